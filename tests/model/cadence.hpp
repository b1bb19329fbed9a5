// When a timer's next tick is due, by the contract's sections 3 to 6.
// Jitter makes it a window instead of an instant. A trigger within the window either cut the sleep
// and moved the grid (4.9), or met the tick and did not (4.10): from outside that can't be told, so
// both are kept as candidates until what follows tells them apart.
#ifndef ASYNC_TIMER_TESTS_MODEL_CADENCE_HPP
#define ASYNC_TIMER_TESTS_MODEL_CADENCE_HPP

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "model/outcome.hpp"

namespace model {

struct candidate {
  nanos slot = 0;   ///< of the grid, for fixed_rate
  nanos from = 0;   ///< the tick comes between this
  nanos until = 0;  ///< and this
  std::int64_t skipped = 0;
  nanos behind = 0;
};

class cadence {
 public:
  void start(nanos now, nanos initial_delay) {
    const nanos first = later(now, initial_delay);
    all_ = {{first, first, first}};
  }

  /// Tells whether a tick at this instant is right, and whether there must have been one by now.
  [[nodiscard]] bool may_tick(nanos now) const {
    return std::any_of(all_.begin(), all_.end(), [now](const auto& c) { return covers(c, now); });
  }
  [[nodiscard]] bool must_tick_by(nanos now) const {
    return std::all_of(all_.begin(), all_.end(), [now](const auto& c) { return c.until <= now; });
  }

  /// A trigger: a tick is due now; one that is due anyway is taken for it.
  void ask_now(nanos now) {
    const auto before = all_;
    all_.clear();
    for (auto c : before) {
      const bool may_be_due = c.from <= now;
      const bool may_sleep = c.until > now;
      if (may_be_due) add({c.slot, now, now});
      if (may_sleep) add({now, now, now});
    }
  }
  /// As ask_now(), where no tick is scheduled yet.
  void cut(nanos now) { all_ = {{now, now, now}}; }

  void ticked(nanos now) {
    std::erase_if(all_, [now](const auto& c) { return !covers(c, now); });
  }

  /// Says when the next tick is due, exactly; false if that can't be.
  bool fix(nanos due) {
    if (!may_tick(due)) return false;
    ticked(due);
    for (auto& c : all_) c.from = c.until = due;
    return true;
  }

  /// A tick was delivered: when is the one after it?
  void plan(nanos now, nanos delay, bool fixed_rate, double jitter) {
    const auto before = all_;
    all_.clear();
    for (const auto& c : before) {
      if (delay == 0) {
        add({now, now, now});
      } else if (fixed_rate) {
        add(next_slot(c, now, delay, jitter));
      } else {
        const nanos spread = share(delay, jitter);
        add({now, later(later(now, delay), -spread), later(later(now, delay), spread)});
      }
    }
  }

  /// Keeps the candidates that something is true of; false, and all are kept, if of none.
  template <class Predicate>
  bool keep(Predicate is_true) {
    if (std::none_of(all_.begin(), all_.end(), is_true)) return false;
    std::erase_if(all_, [&](const auto& c) { return !is_true(c); });
    return true;
  }
  [[nodiscard]] const std::vector<candidate>& candidates() const { return all_; }

 private:
  static bool covers(const candidate& c, nanos now) { return c.from <= now && now <= c.until; }

  void add(const candidate& c) {
    const auto same = [&](const candidate& d) {
      return c.slot == d.slot && c.from == d.from && c.until == d.until && c.skipped == d.skipped;
    };
    if (std::none_of(all_.begin(), all_.end(), same)) all_.push_back(c);
  }

  /// Gives jitter * delay, and a little more, since the library counts in doubles.
  static nanos share(nanos delay, double jitter) {
    if (jitter == 0) return 0;
    const auto exact = static_cast<wide>(static_cast<long double>(delay) * jitter);
    return static_cast<nanos>(std::min<wide>(exact + 2 + (delay >> 50), never));
  }

  static candidate next_slot(const candidate& c, nanos now, nanos delay, double jitter) {
    wide slot = later(c.slot, delay);
    candidate next;
    if (slot < now) {
      const wide missed = (now - slot + delay - 1) / delay;
      next.skipped = static_cast<std::int64_t>(
          std::min<wide>(missed, std::numeric_limits<std::int64_t>::max()));
      next.behind = static_cast<nanos>(std::min<wide>(now - slot, never));
      slot += missed * delay;
    }
    next.slot = static_cast<nanos>(std::min<wide>(slot, never));
    next.until = next.slot;
    next.from = jitter == 0 ? next.slot : std::max(now, later(next.slot, -share(delay, jitter)));
    return next;
  }

  std::vector<candidate> all_;
};

}  // namespace model

#endif  // ASYNC_TIMER_TESTS_MODEL_CADENCE_HPP
