// When to wake up for what is due: exactly under sparse load, coalesced under dense load, because
// a sleep and a wake-up cost as much CPU as a few hundred ticks.
// Knows: how often it has woken. Must not know: clocks, the wheel, what drives the wake-ups.
#ifndef ASYNC_TIMER_CORE_WAKE_POLICY_HPP
#define ASYNC_TIMER_CORE_WAKE_POLICY_HPP

#include <algorithm>
#include <chrono>
#include <optional>

#include <async_timer/core/time.hpp>

namespace async_timer::core {

// A leaky bucket of wake-ups. Each one adds a spacing to `paid_until_`, the time up to which the
// wake-ups so far would last if spread evenly. As long as that is less than a burst ahead of the
// clock the next wake-up may be exact; else it has to wait for its place in the even spread, which
// puts wake-ups one spacing apart and makes a due time half a spacing late on average.
class wake_policy {
 public:
  static constexpr nanoseconds coarsest_spacing = std::chrono::milliseconds{1};
  static constexpr int burst = 32;  // wake-ups in a row, however close, which are still exact
  // A sleep this short costs more than another look at what is due.
  static constexpr nanoseconds not_worth_sleeping = std::chrono::microseconds{1};

  // `finest` is the shortest running delay (delay_histogram): an eighth of it is the most that
  // coalescing may cost.
  [[nodiscard]] static constexpr nanoseconds spacing(std::optional<nanoseconds> finest) noexcept {
    return finest ? std::min(coarsest_spacing, *finest / 8) : coarsest_spacing;
  }

  // Never before `earliest`, the earliest due time, and at most one spacing after the later of
  // `earliest` and `now`.
  [[nodiscard]] time_point arm_at(time_point earliest, time_point now,
                                  std::optional<nanoseconds> finest) const noexcept {
    const nanoseconds gap = spacing(finest);
    // The second bound matters when the spacing has become finer than the one paid with.
    const time_point free =
        std::min(saturating_sub(paid_until_, gap * (burst - 1)), saturating_add(now, gap));
    return std::max(earliest, free);
  }

  // Whether that is too near to sleep until then, so that the caller looks again at once. It counts
  // as a wake-up: with ticks a few hundred nanoseconds apart there would be nothing but such looks.
  [[nodiscard]] bool looks_again(time_point armed, time_point now,
                                 std::optional<nanoseconds> finest) noexcept {
    const bool is_near = armed <= saturating_add(now, not_worth_sleeping);
    if (is_near) woke(now, finest);
    return is_near;
  }

  // To be called at each wake-up out of a sleep, not when due work was found without sleeping.
  void woke(time_point now, std::optional<nanoseconds> finest) noexcept {
    const nanoseconds gap = spacing(finest);
    const time_point most = saturating_add(now, gap * burst);
    paid_until_ = std::min(saturating_add(std::max(paid_until_, now), gap), most);
  }

 private:
  time_point paid_until_ = time_point::min();
};

}  // namespace async_timer::core

#endif  // ASYNC_TIMER_CORE_WAKE_POLICY_HPP
