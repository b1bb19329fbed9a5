// What a user may say about a timer and about a wait.
#ifndef ASYNC_TIMER_TIMER_OPTIONS_HPP
#define ASYNC_TIMER_TIMER_OPTIONS_HPP

#include <async_timer/core/interval.hpp>
#include <async_timer/core/mode.hpp>
#include <async_timer/delivery/target_shape.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/timer/stop_signals.hpp>
#include <async_timer/timer/timer_ref.hpp>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

/// Is a shared, type-erased callback; a copy of the options shares it, so that it may be move-only.
template <class... Arguments>
class callback {
 public:
  callback() = default;
  callback(std::nullptr_t) noexcept {}  // NOLINT(google-explicit-constructor)

  template <class Function>
    requires(!std::same_as<std::remove_cvref_t<Function>, callback>)
  callback(Function&& function) {  // NOLINT(google-explicit-constructor)
    using stored = std::decay_t<Function>;
    static_assert(accepts<stored>,
                  "async_timer: on_error takes (timer_ref, std::exception_ptr), on_stop takes "
                  "(timer_ref), by value or const reference; both may leave out any of them");
    if constexpr (accepts<stored>) {
      using result = decltype(call_with(std::declval<stored&>(), std::declval<Arguments>()...));
      static_assert(!awaitable_type<result>,
                    "async_timer: on_error and on_stop can't be coroutines, nobody would await "
                    "them: co_spawn from inside");
    }
    if constexpr (requires(const stored& given) { given == nullptr; }) {
      if (function == nullptr) {
        return;
      }
    }
    held_ = std::make_shared<holder<stored>>(std::forward<Function>(function));
  }

  explicit operator bool() const noexcept { return held_ != nullptr; }
  void operator()(Arguments... arguments) const { held_->call(std::move(arguments)...); }

 private:
  struct holder_base {
    holder_base() = default;
    holder_base(const holder_base&) = delete;
    holder_base& operator=(const holder_base&) = delete;
    virtual ~holder_base() = default;
    virtual void call(Arguments... arguments) = 0;
  };

  template <class Function, class First, class... Rest>
  static decltype(auto) call_with(Function& function, First first, Rest... rest) {
    if constexpr (std::invocable<Function&, First, Rest...>) {
      return std::invoke(function, std::move(first), std::move(rest)...);
    } else if constexpr (std::invocable<Function&, First>) {
      return std::invoke(function, std::move(first));
    } else if constexpr (std::invocable<Function&, Rest...>) {
      return std::invoke(function, std::move(rest)...);
    } else {
      return std::invoke(function);
    }
  }

  template <class Function, class First, class... Rest>
  static consteval bool accepts_arguments() {
    return std::invocable<Function&, First, Rest...> || std::invocable<Function&, First> ||
           std::invocable<Function&, Rest...> || std::invocable<Function&>;
  }
  template <class Function>
  static constexpr bool accepts = accepts_arguments<Function, Arguments...>();

  template <class Function>
  struct holder final : holder_base {
    template <class F>
    explicit holder(F&& given) : function(std::forward<F>(given)) {}
    void call(Arguments... arguments) override {
      static_cast<void>(call_with(function, std::move(arguments)...));
    }
    Function function;
  };

  std::shared_ptr<holder_base> held_;
};

}  // namespace detail

/// Is called once for a failed run, before on_stop. What it throws is logged and dropped.
using error_callback = detail::callback<timer_ref, std::exception_ptr>;
/// Is called once at the very end of each run. What it throws is logged and dropped.
using stop_callback = detail::callback<timer_ref>;

/// Says how a timer ticks; all members may be left out.
struct timer_options {
  /// fixed_delay: a tick starts one delay after the last one has finished; fixed_rate: on a grid.
  async_timer::mode mode = async_timer::mode::fixed_delay;
  /// How long to wait before the first tick of each run; >= 0.
  interval initial_delay{};
  /// Spreads the ticks: a fraction of the delay, in [0, 1].
  double jitter = 0;
  /// Shows up in logs and to_string().
  std::string name{};
  /// Replaces the default, which logs the failure.
  error_callback on_error{};
  /// Is called at the very end of each run, unless its context goes away before that.
  stop_callback on_stop{};
  /// Ends the run gracefully when one of them finishes; such a timer can be started only once.
  stop_signals stop_on{};
  /// Starts the timer at once, as the last step of its construction.
  ///
  /// The target may then run on another thread before the variable, and what is declared after it,
  /// is initialised: where it uses those call start() later instead.
  bool start = false;
};

/// Says what a wait is for. With neither count it is an idle wait, for the end of the run.
///
/// Trivially destructible, because g++ 12 destroys temporaries beside `co_await` twice.
struct wait_options {
  /// Waits until the timer's hit_count() is at least this; wins over `hits`; < 0 means 0.
  std::optional<std::int64_t> hit_count{};
  /// Waits for so many more ticks, one in flight included; < 0 means 0.
  std::optional<std::int64_t> hits{};
  /// Bounds the whole wait; must be finite. Left out: no bound. At <= 0 the wait is over at once:
  /// empty if the count was reached before or it is an idle wait, else timeout_error; a timer that
  /// is not running or has failed comes first.
  std::optional<interval> timeout{};
};
static_assert(std::is_trivially_destructible_v<wait_options>);

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_TIMER_OPTIONS_HPP
