// Counts the running delays by their power of two, to tell the finest of them in O(1).
// Knows: counts. Must not know: timers, or what the answer is used for (wake_policy.hpp).
#ifndef ASYNC_TIMER_CORE_DELAY_HISTOGRAM_HPP
#define ASYNC_TIMER_CORE_DELAY_HISTOGRAM_HPP

#include <array>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>

#include <async_timer/core/time.hpp>

namespace async_timer::core {

// A delay of zero is not counted: a timer that never sleeps has no say in when to wake up.
class delay_histogram {
 public:
  void add(nanoseconds delay) noexcept {
    if (delay.count() <= 0) return;
    const unsigned c = class_of(delay);
    ++counts_[c];
    occupied_ |= std::uint64_t{1} << c;
  }

  // Every delay removed must have been added.
  void remove(nanoseconds delay) noexcept {
    if (delay.count() <= 0) return;
    const unsigned c = class_of(delay);
    assert(counts_[c] > 0);
    if (--counts_[c] == 0) occupied_ &= ~(std::uint64_t{1} << c);
  }

  // A lower bound of the finest delay, less than a factor of two below it.
  [[nodiscard]] std::optional<nanoseconds> finest() const noexcept {
    if (occupied_ == 0) return std::nullopt;
    return nanoseconds{std::int64_t{1} << std::countr_zero(occupied_)};
  }

 private:
  static unsigned class_of(nanoseconds delay) noexcept {
    return static_cast<unsigned>(std::bit_width(static_cast<std::uint64_t>(delay.count())) - 1);
  }

  std::uint64_t occupied_ = 0;
  std::array<std::size_t, 64> counts_{};
};

}  // namespace async_timer::core

#endif  // ASYNC_TIMER_CORE_DELAY_HISTOGRAM_HPP
