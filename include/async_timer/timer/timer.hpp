// The timer that users hold: a movable handle over the shared core.
#ifndef ASYNC_TIMER_TIMER_TIMER_HPP
#define ASYNC_TIMER_TIMER_TIMER_HPP

#include <async_timer/base/ref_ptr.hpp>
#include <async_timer/core/interval.hpp>
#include <async_timer/delivery/target_shape.hpp>
#include <async_timer/delivery/value.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/net/token.hpp>
#include <async_timer/timer/blocking.hpp>
#include <async_timer/timer/impl/core.hpp>
#include <async_timer/timer/initiate.hpp>
#include <async_timer/timer/options.hpp>
#include <async_timer/timer/stop_when.hpp>
#include <async_timer/timer/subscription.hpp>
#include <async_timer/timer/target_core.hpp>
#include <async_timer/timer/timer_ref.hpp>
#include <async_timer/timer/validation.hpp>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {
struct core_access;

template <class T>
concept bare_number = std::convertible_to<T, interval> || std::is_arithmetic_v<T>;
}  // namespace detail

/// Calls a target again and again, on a schedule, on an executor.
///
/// A target is a callable that returns a value, nothing, or an `awaitable`; a generator object (a
/// view, a single-pass range, an `experimental::coro`, anything with `next() ->
/// awaitable<optional<T>>`); or a callable that returns such an object. Ticks never overlap.
/// Destroying a running timer requests the stop and doesn't wait for it. While it runs a timer is
/// work of its context, so `run()` doesn't return.
///
/// @tparam T  the type of value a tick has: void, or copy- and default-constructible
/// @par Thread safety
///   Every member function may be called from any thread at any time, on a shared timer too; only
///   moving, assigning and destroying need the handle for themselves.
/// @par Errors
///   `timer_error` and its subclasses; bad arguments: `std::invalid_argument`, which names field,
///   bound and value. On a handle that was moved from all but is_running() and request_stop() throw
///   `std::logic_error`. join, next, wait, trigger and cancel throw threadsafe_dispatch_error at
///   once if neither timer nor handler has an executor.
/// @par Example
///   @snippet tour.cpp construct
template <class T>
class timer {
  static_assert(
      detail::tick_value<T>,
      "async_timer: the value of a tick must be void, or copy- and default-constructible: "
      "return std::shared_ptr<const X> from the target instead");

  using stop_signature = void(std::exception_ptr);
  using value_signature = detail::completion_signature_t<T>;
  using optional_signature = void(std::exception_ptr, std::optional<tick_value_t<T>>);

 public:
  using value_type = T;
  using executor_type = net::any_io_executor;

  /// Makes a stopped timer, or a running one if `options.start` says so, with care: see there.
  ///
  /// @param executor  where the target, the callbacks and, by default, completion handlers run
  /// @param delay     from the end of a tick to the next one, or the grid of fixed_rate; >= 0
  /// @param target    see the class; moved or copied into the timer
  /// @param options   see timer_options
  /// @throws std::invalid_argument; threadsafe_dispatch_error if the executor's context is gone
  template <class Target>
    requires detail::valid_target<Target> && std::same_as<target_value_t<Target>, T>
  timer(const executor_type& executor, interval delay, Target&& target, timer_options options = {})
      : timer(detail::checked(delay, options, target), executor, std::forward<Target>(target),
              std::move(options)) {}

  /// As above, on the executor of a context, as `steady_timer` takes it.
  template <class Context, class Target>
    requires std::derived_from<Context, net::execution_context> && detail::valid_target<Target> &&
             std::same_as<target_value_t<Target>, T>
  timer(Context& context, interval delay, Target&& target, timer_options options = {})
      : timer(executor_type(context.get_executor()), delay, std::forward<Target>(target),
              std::move(options)) {}

  timer(timer&& other) noexcept = default;
  /// Lets go of this timer as its destructor does, and takes over the other one.
  timer& operator=(timer&& other) noexcept {
    timer taken(std::move(other));
    std::swap(core_, taken.core_);
    return *this;
  }
  /// Requests the stop, if the timer runs, and detaches. Pending operations end as at any stop:
  /// `next` empty, an idle wait with its value, the others with the stop outcome.
  ~timer() {
    if (core_) {
      core_.detach()->detach();
    }
  }

  /// Begins a run; the first tick comes after `initial_delay`, never inside this call.
  ///
  /// @throws timer_already_running_error  while a run is active or cleans up; it goes on
  /// @throws timer_restart_error          if it was made with `stop_on` and started before
  /// @throws threadsafe_dispatch_error    if the executor's context is gone
  void start() { core().start(); }

  /// Tells whether the timer runs; false from the moment a stop was requested.
  [[nodiscard]] bool is_running() const noexcept { return core_ && core_->is_running(); }

  /// Requests the stop and doesn't wait: a sleep is cut, an `awaitable` target is cancelled where
  /// it waits, a plain target finishes. No effect on a timer that is not running.
  void request_stop() noexcept {
    if (core_) {
      core_->request_stop();
    }
  }

  /// Requests the stop and waits until the run has cleaned up.
  ///
  /// @par Completion signature
  ///   `void(std::exception_ptr)`
  /// @par Completes when
  ///   the target is unwound, who waits has the outcome, and on_stop has returned; at once if the
  ///   timer is not running, and from inside its own target or callbacks. Never with an error of
  ///   the target.
  /// @par Per-operation cancellation
  ///   `terminal`, `partial`, `total`: ends this wait with `operation_aborted`; the stop goes on.
  template <
      detail::completion_token_for<stop_signature> CompletionToken = default_token_t<executor_type>>
  auto cancel(CompletionToken&& token = CompletionToken{}) {
    return net::async_initiate<CompletionToken, stop_signature>(
        detail::initiate_cancel{base::ref_ptr<detail::timer_core>(&core())}, token);
  }

  /// Waits for the next tick and passes on its value; one in flight counts.
  ///
  /// @par Completion signature
  ///   `void(std::exception_ptr, T)`; for void `void(std::exception_ptr)`
  /// @par Completes when
  ///   - a tick succeeded: its value;
  ///   - the target failed: its exception, also for later calls, until the next start;
  ///   - the timer stopped meanwhile: the stop outcome, see is_stopped();
  ///   - the timer is not running: timer_not_running_error;
  ///   - called from inside the target: self_wait_error.
  /// @par Per-operation cancellation
  ///   `terminal`, `partial`, `total`: ends this wait with `operation_aborted`; the timer runs on.
  /// @par Example
  ///   @snippet tour.cpp join
  template <detail::completion_token_for<value_signature> CompletionToken =
                default_token_t<executor_type>>
  auto join(CompletionToken&& token = CompletionToken{}) {
    return initiate<false>(detail::awaited::tick, {}, false, std::forward<CompletionToken>(token));
  }

  /// Waits for the next tick; ends empty when the timer stops or is not running.
  ///
  /// The loop `while (auto value = co_await t.next())` ends with the run. A busy loop misses ticks.
  /// @par Completion signature
  ///   `void(std::exception_ptr, std::optional<tick_value_t<T>>)`
  /// @par Completes when, per-operation cancellation
  ///   as join(), but empty in place of the stop outcome and of timer_not_running_error.
  template <detail::completion_token_for<optional_signature> CompletionToken =
                default_token_t<executor_type>>
  auto next(CompletionToken&& token = CompletionToken{}) {
    return initiate<true>(detail::awaited::tick_or_end, {}, false,
                          std::forward<CompletionToken>(token));
  }

  /// Waits for a count of ticks, or, with no count given, for the end of the run.
  ///
  /// @param options  see wait_options
  /// @par Completion signature
  ///   `void(std::exception_ptr, std::optional<tick_value_t<T>>)`
  /// @par Completes when
  ///   - the count is reached: the value of the tick that did it; empty if it was reached already;
  ///   - the timeout passed first: timeout_error; an idle wait: the last value of this wait, no
  ///     error;
  ///   - otherwise as join(); an idle wait: at the end of the run, with the last value.
  /// @par Per-operation cancellation
  ///   `terminal`, `partial`, `total`: ends this wait with `operation_aborted`; the timer runs on.
  /// @throws std::invalid_argument  if the timeout is not finite; for one <= 0 see wait_options
  template <detail::completion_token_for<optional_signature> CompletionToken =
                default_token_t<executor_type>>
  auto wait(wait_options options, CompletionToken&& token = CompletionToken{}) {
    detail::check_timeout(options.timeout);
    const bool counted = options.hit_count || options.hits;
    return initiate<true>(counted ? detail::awaited::count : detail::awaited::end, options, false,
                          std::forward<CompletionToken>(token));
  }
  /// Waits for the end of the run.
  template <detail::completion_token_for<optional_signature> CompletionToken =
                default_token_t<executor_type>>
  auto wait(CompletionToken&& token = CompletionToken{}) {
    return wait(wait_options{}, std::forward<CompletionToken>(token));
  }
  /// Is no way to wait, but a common mistake with a readable end.
  template <detail::bare_number Number>
  auto wait(Number) {
    static_assert(!detail::bare_number<Number>,
                  "async_timer: say what the number means: wait({.timeout = 5s}), "
                  "wait({.hits = 3}) or wait({.hit_count = 3})");
  }

  /// Fires a tick now and passes on its value; the schedule goes on from there.
  ///
  /// A tick in flight, or due this moment, is taken for it: never a second one.
  /// @par Completes when, per-operation cancellation
  ///   as join(); the cancellation of one caller takes nothing from the tick or from the others.
  template <detail::completion_token_for<value_signature> CompletionToken =
                default_token_t<executor_type>>
  auto trigger(CompletionToken&& token = CompletionToken{}) {
    return initiate<false>(detail::awaited::tick, {}, true, std::forward<CompletionToken>(token));
  }

  /// Is cancel() for a thread that can't wait asynchronously: returns after the clean-up.
  ///
  /// @param timeout  left out: waits without bound. If it passes the stop goes on by itself.
  /// @throws threadsafe_dispatch_error  if never started; if the context is gone, or goes
  ///   meanwhile; on a thread that runs the timer's io_context or thread_pool
  /// @throws timeout_error; at once if <= 0 and not done by then. std::invalid_argument: not finite
  void cancel_threadsafe(std::optional<interval> timeout = {}) {
    using operation = detail::blocking_operation<detail::stop_waiter>;
    detail::check_timeout(timeout);
    detail::check_may_block(core(), "cancel_threadsafe", "co_await cancel()");
    const auto place = std::make_shared<typename operation::place>();
    core().enroll_stop(base::ref_ptr<detail::stop_waiter>(
                           base::ref_ptr<operation>::adopt(new operation(place, core()))),
                       nullptr);
    const auto outcome = place->wait(timeout);
    if (!outcome) {
      throw detail::did_not("cancel_threadsafe", "cancellation did not complete", *timeout);
    }
    if (outcome->error) {
      std::rethrow_exception(outcome->error);
    }
  }

  /// Is trigger() for a thread that can't wait asynchronously: returns the tick's value.
  ///
  /// @param timeout  left out: waits without bound. If it passes the tick may still come.
  /// @throws as cancel_threadsafe(), and what trigger() completes with
  T trigger_threadsafe(std::optional<interval> timeout = {}) {
    using operation = detail::blocking_operation<detail::value_waiter<T, false>>;
    detail::check_timeout(timeout);
    detail::check_may_block(core(), "trigger_threadsafe", "co_await trigger()");
    const auto place = std::make_shared<typename operation::place>();
    auto op = base::ref_ptr<operation>::adopt(
        new operation(place, core(), detail::awaited::tick, detail::tick_goal{}));
    const base::ref_ptr<detail::waiter> waiting(op.get());
    core().enroll(std::move(op), nullptr, std::nullopt, true);
    auto outcome = place->wait(timeout);
    if (!outcome) {
      waiting->cancel();
      throw detail::did_not("trigger_threadsafe", "tick did not arrive", *timeout);
    }
    if (outcome->error) {
      std::rethrow_exception(outcome->error);
    }
    if constexpr (!std::is_void_v<T>) {
      return outcome->value->get();
    }
  }

  /// Subscribes to every tick from now on, one in flight included.
  ///
  /// Before the first start, and on a stopped timer, it is a feed of the next run. It ends with its
  /// run, or with the timer.
  /// @param options  see subscription_options
  /// @throws std::invalid_argument  if maxsize < 0
  /// @par Example
  ///   @snippet tour.cpp subscribe
  [[nodiscard]] subscription<T> subscribe(subscription_options options = {}) {
    return make_feed<subscription<T>>(options);
  }
  /// As subscribe(), for heavy values: all such feeds share one object of each tick, but where it
  /// is trivially copyable and 64 bytes at most.
  [[nodiscard]] shared_subscription<T> subscribe_shared(subscription_options options = {}) {
    return make_feed<shared_subscription<T>>(options);
  }

  /// Returns the delay that the next sleep will use.
  [[nodiscard]] std::chrono::nanoseconds delay() const { return core().delay(); }
  /// Changes the delay from the next sleep on; @throws std::invalid_argument, changing nothing
  void set_delay(interval delay) { core().set_delay(delay); }
  /// Returns the last tick's value; empty before the first tick. Kept over stop and restart.
  [[nodiscard]] std::optional<tick_value_t<T>> last_result() const { return core().last_result(); }
  /// Returns when the last tick was completed, on the steady clock; empty before the first.
  [[nodiscard]] std::optional<std::chrono::steady_clock::time_point> last_tick_at() const {
    return core().last_tick_at();
  }
  /// Returns the number of ticks over all runs.
  [[nodiscard]] std::int64_t hit_count() const { return core().hit_count(); }
  /// Returns the number of failed runs.
  [[nodiscard]] std::int64_t failure_count() const { return core().failure_count(); }
  /// Returns the last failure of the target; null before the first.
  [[nodiscard]] std::exception_ptr last_failure() const { return core().last_failure(); }
  /// Returns when the target failed last; empty before the first time.
  [[nodiscard]] std::optional<std::chrono::steady_clock::time_point> last_failure_at() const {
    return core().last_failure_at();
  }
  /// Returns several of the above as they were at one moment.
  [[nodiscard]] timer_snapshot<T> snapshot() const { return core().snapshot(); }
  /// Returns the name; empty if none was given.
  [[nodiscard]] std::string name() const { return core().name(); }
  /// Returns the executor given; empty once its context is gone.
  [[nodiscard]] executor_type get_executor() const { return core().executor(); }
  /// Returns a reference that doesn't keep the timer.
  [[nodiscard]] timer_ref ref() const { return core().reference(); }
  /// Is ref(), for comparisons and timer_group::contains().
  operator timer_ref() const { return ref(); }  // NOLINT(google-explicit-constructor)

  /// Describes the timer in one line: name, delay, hit_count, state.
  [[nodiscard]] friend std::string to_string(const timer& t) { return t.core().describe(); }
  friend std::ostream& operator<<(std::ostream& out, const timer& t) { return out << to_string(t); }

 protected:
  /// Makes a timer whose executor comes with start(executor); for `every`.
  explicit timer(base::ref_ptr<detail::value_core<T>> core) noexcept : core_(std::move(core)) {}

  [[nodiscard]] detail::value_core<T>& core() const {
    if (!core_) {
      throw std::logic_error("async_timer: this timer was moved from");
    }
    return *core_;
  }

 private:
  friend struct detail::core_access;

  template <class Target>
  timer(interval checked_delay, const executor_type& executor, Target&& target,
        timer_options&& options) {
    const bool start = options.start;
    using made = detail::core_for<std::decay_t<Target>>;
    core_ = base::ref_ptr<detail::value_core<T>>::adopt(
        new made(detail::lane_of(executor), checked_delay,
                 std::decay_t<Target>(std::forward<Target>(target)), std::move(options)));
    if (start) {
      core_->start();
    }
  }

  template <class Feed>
  Feed make_feed(const subscription_options& options) {
    if (options.maxsize < 0) {
      throw std::invalid_argument("async_timer: maxsize must be >= 0, but is " +
                                  std::to_string(options.maxsize));
    }
    return Feed(core().subscribe(options.maxsize, options.name),
                base::ref_ptr<detail::timer_core>(core_));
  }

  template <bool AsOptional, class CompletionToken>
  auto initiate(detail::awaited what, const wait_options& options, bool trigger,
                CompletionToken&& token) {
    using signature = std::conditional_t<AsOptional, optional_signature, value_signature>;
    return net::async_initiate<CompletionToken, signature>(
        detail::initiate_wait<T, AsOptional>{base::ref_ptr<detail::timer_core>(&core()), what,
                                             options, trigger},
        token);
  }

  base::ref_ptr<detail::value_core<T>> core_;
};

namespace detail {

/// Leads from a handle to its core, for who keeps timers of any type.
struct core_access {
  template <class T>
  static value_core<T>& of(const timer<T>& handle) {
    return handle.core();
  }
};

}  // namespace detail

template <detail::completion_token_for<void(std::exception_ptr)> CompletionToken>
auto timer_ref::cancel(CompletionToken&& token) const {
  return net::async_initiate<CompletionToken, void(std::exception_ptr)>(
      detail::initiate_cancel{core_}, token);
}

ASYNC_TIMER_END_NAMESPACE

#include <async_timer/timer/impl/deduction.hpp>

#endif  // ASYNC_TIMER_TIMER_TIMER_HPP
