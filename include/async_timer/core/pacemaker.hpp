// When the next tick is due: pure integer arithmetic on the slot of the previous one.
// Knows: one time_point. The caller passes in the time, the delay in force (so that a changed
// delay needs no notification) and the random draw.
// Must not know: clocks, sleeping, the target, what is done about skipped slots.
#ifndef ASYNC_TIMER_CORE_PACEMAKER_HPP
#define ASYNC_TIMER_CORE_PACEMAKER_HPP

#include <algorithm>
#include <cstdint>
#include <limits>

#include <async_timer/core/mode.hpp>
#include <async_timer/core/time.hpp>

namespace async_timer::core {

// How a tick came to be emitted.
enum class emission : unsigned char {
  first,      // the first tick of a run, at the end of its initial delay
  scheduled,  // any other tick; also one whose trigger was coalesced and so cut no sleep
  cut_short,  // a trigger cut the sleep before this tick, be it the first or a later one
};

struct step {
  time_point due;            // when to emit the next tick; never before the `now` it was asked at
  std::int64_t skipped = 0;  // fixed_rate: the number of slots that were missed
  nanoseconds behind{0};     // fixed_rate: how late `now` is for the first missed slot

  friend bool operator==(const step&, const step&) = default;
};

class pacemaker {
 public:
  // Begins a run and forgets the previous one. Returns when the first tick is due; that is not
  // jittered.
  time_point start(time_point now, nanoseconds initial_delay) noexcept {
    return slot_ = saturating_add(now, initial_delay);
  }

  // To be called when a tick is emitted, just before its target runs. Only this moves the grid of
  // fixed_rate. A first tick anchors it at the instant it was due and not at `now`, so that the
  // lateness of one wake-up does not stay in the schedule for ever; unless it is late by a whole
  // delay, when the grid it was meant to begin has already been missed.
  void emit(mode m, time_point now, nanoseconds delay, emission how) noexcept {
    if (m != mode::fixed_rate) return;
    const bool missed = how == emission::first && saturating_difference(now, slot_) >= delay;
    if (how == emission::cut_short || missed) slot_ = now;
  }

  // The draw, uniform in [0, 1), is looked at only in this case.
  [[nodiscard]] static constexpr bool needs_draw(double jitter, nanoseconds delay) noexcept {
    return jitter > 0 && delay.count() > 0;
  }

  // To be called when a tick has been delivered: schedules the one after it.
  step next(mode m, time_point now, nanoseconds delay, double jitter, double draw) noexcept {
    if (delay.count() <= 0) {
      slot_ = now;
      return {.due = now};
    }
    return m == mode::fixed_rate ? next_slot(now, delay, jitter, draw)
                                 : after_delay(now, delay, jitter, draw);
  }

 private:
  // d * factor, for a factor in [-1, 1]
  static nanoseconds scaled(nanoseconds d, double factor) noexcept {
    const double product = static_cast<double>(d.count()) * factor;
    if (product >= 0x1p63) return nanoseconds::max();  // the largest delays round up to this
    if (product < -0x1p63) return nanoseconds::min();
    return nanoseconds{static_cast<std::int64_t>(product)};
  }

  step after_delay(time_point now, nanoseconds delay, double jitter, double draw) noexcept {
    nanoseconds wait = delay;
    if (jitter > 0) wait = saturating_add(delay, scaled(delay, jitter * (2 * draw - 1)));
    slot_ = saturating_add(now, std::max(wait, nanoseconds{0}));
    return {.due = slot_};
  }

  // A slot exactly at `now` is in time: under a virtual clock that is the common case.
  step next_slot(time_point now, nanoseconds delay, double jitter, double draw) noexcept {
    step result{};
    slot_ = saturating_add(slot_, delay);
    if (slot_ < now) {
      // Unsigned, for the distance between two time points need not fit a signed count.
      const auto late = static_cast<std::uint64_t>(now.time_since_epoch().count()) -
                        static_cast<std::uint64_t>(slot_.time_since_epoch().count());
      const auto width = static_cast<std::uint64_t>(delay.count());
      const std::uint64_t whole = late < width ? 0 : late / width;
      const std::uint64_t into_slot = late - whole * width;
      const std::uint64_t missed = whole + (into_slot != 0 ? 1 : 0);
      constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max();
      result.skipped = static_cast<std::int64_t>(std::min(missed, most));
      result.behind = saturating_difference(now, slot_);
      const std::uint64_t ahead = into_slot != 0 ? width - into_slot : 0;
      slot_ = saturating_add(now, nanoseconds{static_cast<std::int64_t>(ahead)});
    }
    result.due = slot_;
    if (jitter > 0) {
      const time_point early = saturating_sub(slot_, scaled(delay, jitter * draw));
      result.due = std::max(now, early);
    }
    return result;
  }

  time_point slot_{};
};

static_assert(sizeof(pacemaker) == 8);

}  // namespace async_timer::core

#endif  // ASYNC_TIMER_CORE_PACEMAKER_HPP
