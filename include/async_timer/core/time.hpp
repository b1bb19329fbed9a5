// The one clock type of the library, and sums on it that saturate instead of overflowing.
// Knows: the type of the steady clock. Must not know: what time it is; now() is called in the
// scheduler's time source and nowhere else.
#ifndef ASYNC_TIMER_CORE_TIME_HPP
#define ASYNC_TIMER_CORE_TIME_HPP

#include <chrono>

namespace async_timer::core {

using nanoseconds = std::chrono::nanoseconds;

// Spelled out because a standard library may give steady_clock a coarser duration.
using time_point = std::chrono::time_point<std::chrono::steady_clock, nanoseconds>;

[[nodiscard]] constexpr nanoseconds saturating_add(nanoseconds a, nanoseconds b) noexcept {
  if (b > nanoseconds::zero() && a > nanoseconds::max() - b) return nanoseconds::max();
  if (b < nanoseconds::zero() && a < nanoseconds::min() - b) return nanoseconds::min();
  return a + b;
}

[[nodiscard]] constexpr nanoseconds saturating_sub(nanoseconds a, nanoseconds b) noexcept {
  if (b < nanoseconds::zero() && a > nanoseconds::max() + b) return nanoseconds::max();
  if (b > nanoseconds::zero() && a < nanoseconds::min() + b) return nanoseconds::min();
  return a - b;
}

[[nodiscard]] constexpr time_point saturating_add(time_point t, nanoseconds d) noexcept {
  return time_point{saturating_add(t.time_since_epoch(), d)};
}

[[nodiscard]] constexpr time_point saturating_sub(time_point t, nanoseconds d) noexcept {
  return time_point{saturating_sub(t.time_since_epoch(), d)};
}

// later - earlier
[[nodiscard]] constexpr nanoseconds saturating_difference(time_point later,
                                                          time_point earlier) noexcept {
  return saturating_sub(later.time_since_epoch(), earlier.time_since_epoch());
}

}  // namespace async_timer::core

#endif  // ASYNC_TIMER_CORE_TIME_HPP
