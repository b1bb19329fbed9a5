// The deduction of timer.hpp's value type, and one readable sentence for the two common mistakes in
// place of a failed deduction.
#ifndef ASYNC_TIMER_TIMER_IMPL_DEDUCTION_HPP
#define ASYNC_TIMER_TIMER_IMPL_DEDUCTION_HPP

#include <async_timer/core/interval.hpp>
#include <async_timer/delivery/target_shape.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/timer/options.hpp>
#include <async_timer/timer/timer.hpp>
#include <concepts>
#include <type_traits>

ASYNC_TIMER_BEGIN_NAMESPACE

template <class Executor, class Target>
  requires detail::valid_target<Target>
timer(Executor&&, interval, Target&&, timer_options = {}) -> timer<target_value_t<Target>>;

namespace detail {
template <class Delay>
struct delay_is_no_duration;
template <class Target>
struct target_is_no_target;
}  // namespace detail

template <class Delay>
class timer<detail::delay_is_no_duration<Delay>> {
  static_assert(std::is_void_v<Delay>,
                "async_timer: delay must be a std::chrono duration, such as 5s or 100ms");

 public:
  template <class... Arguments>
  explicit timer(Arguments&&...) {}
};
template <class Target>
class timer<detail::target_is_no_target<Target>> {
  static_assert(std::is_void_v<Target>,
                "async_timer: a target is a callable without parameters, a view or single-pass "
                "range, an experimental::coro, or an object with next() -> "
                "awaitable<optional<T>>; a container or a member function is none, wrap it in a "
                "lambda");

 public:
  template <class... Arguments>
  explicit timer(Arguments&&...) {}
};

template <class Executor, class Delay, class Target>
  requires(!std::convertible_to<Delay, interval>)
timer(Executor&&, Delay&&, Target&&, timer_options = {})
    -> timer<detail::delay_is_no_duration<Delay>>;
template <class Executor, class Target>
  requires(!detail::valid_target<Target>)
timer(Executor&&, interval, Target&&, timer_options = {})
    -> timer<detail::target_is_no_target<Target>>;

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_TIMER_IMPL_DEDUCTION_HPP
