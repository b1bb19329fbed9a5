// The decorator: a function becomes a timer, and stays callable by itself.
#ifndef ASYNC_TIMER_TIMER_EVERY_HPP
#define ASYNC_TIMER_TIMER_EVERY_HPP

#include <async_timer/base/ref_ptr.hpp>
#include <async_timer/core/interval.hpp>
#include <async_timer/delivery/target_shape.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/scheduler/scheduler_service.hpp>
#include <async_timer/timer/options.hpp>
#include <async_timer/timer/target_core.hpp>
#include <async_timer/timer/timer.hpp>
#include <async_timer/timer/validation.hpp>
#include <concepts>
#include <functional>
#include <stdexcept>
#include <type_traits>
#include <utility>

ASYNC_TIMER_BEGIN_NAMESPACE

/// Is a timer made by every(): its executor comes with start(), so it may live at namespace scope.
///
/// Before the first start reads are empty, subscribing is allowed, `next` and idle waits end empty.
template <class Target>
class every_timer : public timer<target_value_t<Target>> {
  using base_type = timer<target_value_t<Target>>;

 public:
  every_timer(interval delay, const timer_options& options, Target target)
      : base_type(base::ref_ptr<detail::value_core<target_value_t<Target>>>::adopt(
            new detail::core_for<Target>(nullptr, detail::checked(delay, options, target),
                                         std::move(target), timer_options(options)))) {}

  /// Begins a run on an executor, or on a context's; see timer::start().
  ///
  /// @param executor  may be another one for each run
  void start(const net::any_io_executor& executor) {
    this->core().start(detail::lane_of(executor));
  }
  template <std::derived_from<net::execution_context> Context>
  void start(Context& context) {
    start(net::any_io_executor(context.get_executor()));
  }
  /// Begins a run on the executor of the last one.
  ///
  /// @throws threadsafe_dispatch_error  if there was none
  using base_type::start;

  /// Calls the undecorated function, without touching the timer.
  ///
  /// It is the very object that ticks call: if it has state, let nobody call it while a tick may,
  /// or let it synchronise by itself.
  template <class... Arguments>
    requires std::invocable<Target&, Arguments...>
  decltype(auto) func(Arguments&&... arguments) {
    return std::invoke(static_cast<detail::target_core<Target>&>(this->core()).function(),
                       std::forward<Arguments>(arguments)...);
  }
};

/// Holds what every() was given, until it meets its function.
class every_decorator {
 public:
  every_decorator(interval delay, timer_options options)
      : delay_(delay), options_(std::move(options)) {}

  /// Makes a timer of a target; see timer.
  template <class Target>
    requires detail::valid_target<Target>
  every_timer<std::decay_t<Target>> operator()(Target&& target) const {
    return {delay_, options_, std::decay_t<Target>(std::forward<Target>(target))};
  }

 private:
  interval delay_;
  timer_options options_;
};

/// Turns a function into a timer: `inline auto refresh = every(5s)([] { return load(); });`
///
/// @param delay    as for timer
/// @param options  as for timer, except `start`: the executor comes with start(executor)
/// @throws std::invalid_argument  when it is applied, and if `options.start` is set
inline every_decorator every(interval delay, timer_options options = {}) {
  if (options.start) {
    throw std::invalid_argument(
        "async_timer: start must be false in every(), since the executor comes with "
        "start(executor)");
  }
  return {delay, std::move(options)};
}

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_TIMER_EVERY_HPP
