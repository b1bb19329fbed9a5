// The group that users hold: timers of any value types with one life.
#ifndef ASYNC_TIMER_TIMER_TIMER_GROUP_HPP
#define ASYNC_TIMER_TIMER_TIMER_GROUP_HPP

#include <algorithm>
#include <async_timer/base/errors.hpp>
#include <async_timer/base/ref_ptr.hpp>
#include <async_timer/core/interval.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/net/token.hpp>
#include <async_timer/scheduler/scheduler_service.hpp>
#include <async_timer/timer/blocking.hpp>
#include <async_timer/timer/group_parts.hpp>
#include <async_timer/timer/group_result.hpp>
#include <async_timer/timer/group_state.hpp>
#include <async_timer/timer/scoped.hpp>
#include <async_timer/timer/timer_ref.hpp>
#include <async_timer/timer/validation.hpp>
#include <concepts>
#include <cstddef>
#include <exception>
#include <iterator>
#include <memory>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

ASYNC_TIMER_BEGIN_NAMESPACE

/// Keeps timers, of mixed value types, that start, wait, fire and stop together.
///
/// It owns its members: destroying the group stops them, as destroying each would. A member that
/// ends by itself stays a member, and the group active. The group is a movable handle; members,
/// and references to them, stay where they are.
///
/// @par Thread safety
///   Every member function may be called from any thread at any time; only moving, assigning and
///   destroying need the handle for themselves.
/// @par Example
///   @snippet tour.cpp group
class timer_group {
  using results_signature = void(std::exception_ptr, std::vector<group_result>);
  using stop_signature = void(std::exception_ptr);

 public:
  using executor_type = net::any_io_executor;
  class iterator;

  /// Makes an inactive group without members.
  ///
  /// @param executor  where completion handlers run by default, the clock of timeouts, and where
  ///   members that have no executor yet, those of every(), are started
  /// @param options   see group_options
  /// @throws threadsafe_dispatch_error  if the executor's context is gone
  explicit timer_group(const executor_type& executor, group_options options = {})
      : state_(std::make_shared<detail::group_state>(detail::lane_of(executor),
                                                     std::move(options.name))) {}

  /// As above, on the executor of a context, as `steady_timer` takes it.
  template <std::derived_from<net::execution_context> Context>
  explicit timer_group(Context& context, group_options options = {})
      : timer_group(executor_type(context.get_executor()), std::move(options)) {}

  timer_group(timer_group&& other) noexcept = default;
  /// Lets go of this group as its destructor does, and takes over the other one.
  timer_group& operator=(timer_group&& other) noexcept {
    timer_group taken(std::move(other));
    std::swap(state_, taken.state_);
    return *this;
  }
  /// Destroys the members: stops them, and doesn't wait for it.
  ~timer_group() {
    if (state_) {
      state_->close();
    }
  }

  /// Takes a timer in; in an active group starts it first, if it doesn't run.
  ///
  /// @param timer  a timer<T>, or what derives from one; left as it is if this throws
  /// @return the timer at its place, which it keeps for the life of the group
  /// @throws what timer::start() throws; std::logic_error if the timer was moved from
  template <class Timer>
    requires detail::any_timer<Timer>
  Timer& add(Timer&& timer) {
    return state().add(std::forward<Timer>(timer));
  }

  /// Makes the group active and starts the members that don't run; no effect while active.
  ///
  /// @throws what a member's start() throws. Then the group is inactive, and those that this call
  ///   has started are requested to stop; who ran before runs on.
  void start() {
    detail::timer_cores started;
    if (const auto failure = state().start(false, started)) {
      for (const auto& member : started) {
        member->request_stop();
      }
      std::rethrow_exception(failure);
    }
  }

  /// Waits until every member meets a condition, each as timer::wait() does.
  ///
  /// Waits for the members of this moment; one added later is none of it.
  /// @param options  see group_wait_options
  /// @par Completion signature
  ///   `void(std::exception_ptr, std::vector<group_result>)`, the list in the order of the members
  /// @par Completes when
  ///   - every member has its outcome; empty if it met the condition already. At once if there are
  ///     no members;
  ///   - a member failed, and return_exceptions is false: its error, when the other waits are
  ///     withdrawn; with return_exceptions the error stands in the list;
  ///   - the timeout passed first: timeout_error, for an idle wait, too.
  ///   The timers are untouched by all of this.
  /// @par Per-operation cancellation
  ///   `terminal`, `partial`, `total`: ends this wait with `operation_aborted`; the timers run on.
  /// @throws std::invalid_argument  if the timeout is not finite
  template <detail::completion_token_for<results_signature> CompletionToken =
                default_token_t<executor_type>>
  auto wait(group_wait_options options, CompletionToken&& token = CompletionToken{}) {
    return initiate(options, false, std::forward<CompletionToken>(token));
  }
  /// Waits for the end of every member's run.
  template <detail::completion_token_for<results_signature> CompletionToken =
                default_token_t<executor_type>>
  auto wait(CompletionToken&& token = CompletionToken{}) {
    return initiate({}, false, std::forward<CompletionToken>(token));
  }

  /// Fires all members now, each as timer::trigger() does, and waits for their ticks.
  ///
  /// A member that is not running contributes timer_not_running_error; the others fire.
  /// @param options  see group_trigger_options
  /// @par Completion signature, completes when, per-operation cancellation
  ///   as wait(); the targets go on whatever becomes of this wait.
  /// @throws std::invalid_argument  if the timeout is not finite
  template <detail::completion_token_for<results_signature> CompletionToken =
                default_token_t<executor_type>>
  auto trigger(group_trigger_options options, CompletionToken&& token = CompletionToken{}) {
    const group_wait_options waiting{.timeout = options.timeout,
                                     .return_exceptions = options.return_exceptions};
    return initiate(waiting, true, std::forward<CompletionToken>(token));
  }
  /// Fires all members and waits for their ticks without bound.
  template <detail::completion_token_for<results_signature> CompletionToken =
                default_token_t<executor_type>>
  auto trigger(CompletionToken&& token = CompletionToken{}) {
    return initiate({}, true, std::forward<CompletionToken>(token));
  }

  /// Makes the group inactive, stops all members at the same time, and waits for their clean-up.
  ///
  /// It stops those that the group did not start, too.
  /// @par Completion signature
  ///   `void(std::exception_ptr)`
  /// @par Completes when
  ///   every member is cleaned up, each as timer::cancel() says. Never with an error of a member:
  ///   what keeps one from being cancelled is logged, and the others are cancelled nevertheless. If
  ///   there is no memory to wait it throws; the stop is requested nevertheless, unless it was the
  ///   token that lacked memory, before this began (`use_future` and `use_awaitable` may).
  /// @par Per-operation cancellation
  ///   `terminal`, `partial`, `total`: ends this wait with `operation_aborted`; the stop goes on.
  template <
      detail::completion_token_for<stop_signature> CompletionToken = default_token_t<executor_type>>
  auto cancel_all(CompletionToken&& token = CompletionToken{}) {
    return net::async_initiate<CompletionToken, stop_signature>(
        detail::initiate_group_stop{shared_state(), std::nullopt}, token);
  }

  /// Is cancel_all() for a thread that can't wait asynchronously: returns after the clean-up.
  ///
  /// If there is no memory to wait, or for a refusal's text, it throws `std::bad_alloc`; the stop
  /// is requested nevertheless.
  /// @param timeout  left out: waits without bound. If it passes the stop goes on by itself.
  /// @throws threadsafe_dispatch_error  if never started; if the group's context is gone, or a
  ///   member's goes meanwhile; on a thread that runs the io_context or thread_pool of the group or
  ///   of a member
  /// @throws timeout_error; at once if <= 0 and not done by then
  /// @throws std::invalid_argument  if the timeout is not finite
  void cancel_threadsafe(std::optional<interval> timeout = {}) {
    using operation = detail::blocking_operation<detail::group_stop_operation>;
    detail::check_timeout(timeout);
    auto& group = state();
    std::shared_ptr<typename operation::place> place;
    try {
      group.check_may_block("cancel_threadsafe", "co_await cancel_all()");
      place = std::make_shared<typename operation::place>();
      auto op =
          base::ref_ptr<operation>::adopt(new operation(place, group.deactivate(), group.name()));
      op.detach()->begin(nullptr, group.where(), std::nullopt);
    } catch (const threadsafe_dispatch_error&) {
      throw;  // refused
    } catch (...) {
      group.request_stop();
      throw;
    }
    const auto outcome = place->wait(timeout);
    if (!outcome) {
      throw detail::did_not("cancel_threadsafe", "cancellation did not complete", *timeout);
    }
    if (outcome->error) {
      std::rethrow_exception(outcome->error);
    }
  }

  /// Tells whether the group is active and all its members run; true for an active empty group.
  [[nodiscard]] bool is_running() const { return state_ && state_->is_running(); }
  /// Returns the number of members, running or not.
  [[nodiscard]] std::size_t size() const { return state().size(); }
  /// Tells whether a timer is a member.
  [[nodiscard]] bool contains(const timer_ref& timer) const {
    const auto all = state().references();
    return std::find(all.begin(), all.end(), timer) != all.end();
  }
  /// Begins an iteration, in the order of insertion, over the members of this moment.
  [[nodiscard]] iterator begin() const;
  [[nodiscard]] static std::default_sentinel_t end() noexcept { return std::default_sentinel; }
  /// Returns the name; empty if none was given.
  [[nodiscard]] std::string name() const { return state().name(); }
  /// Returns the executor given; empty once its context is gone.
  [[nodiscard]] executor_type get_executor() const { return state().where().executor(); }

  /// Describes the group in one line: name, number of members, active or not.
  [[nodiscard]] friend std::string to_string(const timer_group& group) {
    return group.state().describe();
  }
  friend std::ostream& operator<<(std::ostream& out, const timer_group& group) {
    return out << to_string(group);
  }

 private:
  template <class>
  friend struct detail::scope_of;

  [[nodiscard]] const std::shared_ptr<detail::group_state>& shared_state() const {
    if (!state_) {
      throw std::logic_error("async_timer: this timer_group was moved from");
    }
    return state_;
  }
  [[nodiscard]] detail::group_state& state() const { return *shared_state(); }

  template <class CompletionToken>
  auto initiate(const group_wait_options& options, bool trigger, CompletionToken&& token) {
    detail::check_timeout(options.timeout);
    return net::async_initiate<CompletionToken, results_signature>(
        detail::initiate_group_values{shared_state(), options, trigger}, token);
  }

  std::shared_ptr<detail::group_state> state_;
};

/// Goes through the members that the group had when begin() was called; copies share that list, but
/// each call of begin() makes another one.
/// Gives each by value, since the list goes with the last iterator.
class timer_group::iterator {
  struct arrow {
    timer_ref member;
    timer_ref* operator->() noexcept { return &member; }
  };

 public:
  using iterator_concept = std::forward_iterator_tag;
  using iterator_category = std::input_iterator_tag;  // C++17 asks for true references
  using value_type = timer_ref;
  using difference_type = std::ptrdiff_t;
  using pointer = arrow;
  using reference = timer_ref;

  iterator() = default;
  explicit iterator(std::vector<timer_ref> members)
      : members_(std::make_shared<const std::vector<timer_ref>>(std::move(members))) {}

  reference operator*() const { return (*members_)[at_]; }
  pointer operator->() const { return {**this}; }
  iterator& operator++() {
    ++at_;
    return *this;
  }
  iterator operator++(int) { return std::exchange(*this, std::next(*this)); }
  friend bool operator==(const iterator&, const iterator&) = default;
  friend bool operator==(const iterator& at, std::default_sentinel_t) noexcept {
    return !at.members_ || at.at_ == at.members_->size();
  }

 private:
  std::shared_ptr<const std::vector<timer_ref>> members_;
  std::size_t at_ = 0;
};

inline timer_group::iterator timer_group::begin() const { return iterator(state().references()); }

namespace detail {

/// Enters a group, active or not, by starting who doesn't run; leaves it by cancel_all().
template <std::derived_from<timer_group> Group>
struct scope_of<Group> {
  /// Gives the error if a member could not be started; then leave() stops those that were.
  std::exception_ptr enter(timer_group& group, const net::any_io_executor&) {
    state_ = group.shared_state();
    failure_ = state_->start(true, started_);
    return failure_;
  }

  void request_stop(timer_group& group) const noexcept {
    if (!failure_) {
      state_->request_stop();
    }
    if (const auto other = replacement(group)) {
      other->state->request_stop();
    }
    for (const auto& member : started_) {
      member->request_stop();
    }
  }
  template <class CompletionToken>
  auto leave(timer_group&, CompletionToken&& token) {
    initiate_group_stop stop{state_, std::nullopt};
    if (failure_) {
      stop.only = std::move(started_);
    }
    return net::async_initiate<CompletionToken, void(std::exception_ptr)>(std::move(stop), token);
  }

  struct other_group {
    std::shared_ptr<group_state> state;
    template <class CompletionToken>
    auto cancel(CompletionToken&& token) const {
      return net::async_initiate<CompletionToken, void(std::exception_ptr)>(
          initiate_group_stop{state, std::nullopt}, token);
    }
  };
  /// Gives the group that the body has put in the place of the one entered, to be left, too.
  [[nodiscard]] std::optional<other_group> replacement(const timer_group& group) const noexcept {
    if (!group.state_ || group.state_ == state_) {
      return std::nullopt;  // moved from, or the one entered
    }
    return other_group{group.state_};
  }

 private:
  std::shared_ptr<group_state> state_;  // the body may move the group
  timer_cores started_;
  std::exception_ptr failure_;
};

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_TIMER_TIMER_GROUP_HPP
