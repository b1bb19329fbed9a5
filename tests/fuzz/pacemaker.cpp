// The pacemaker against the same arithmetic in 128 bits, which can't overflow.
#include <algorithm>
#include <async_timer/core/pacemaker.hpp>
#include <cstdint>
#include <limits>

#include "fuzz/input.hpp"

namespace {

using namespace async_timer::core;
using async_timer::mode;
using fuzz::require;
using fuzz::wide;

constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min();

wide within_time(wide t) { return std::clamp<wide>(t, least, most); }
time_point at(std::int64_t t) { return time_point(nanoseconds(t)); }
wide count(time_point t) { return t.time_since_epoch().count(); }

/// Runs both side by side.
class pair {
 public:
  void start(std::int64_t now, std::int64_t initial_delay) {
    slot_ = within_time(wide(now) + initial_delay);
    require(count(tested_.start(at(now), nanoseconds(initial_delay))) == slot_, "first due");
  }

  void emit(mode m, std::int64_t now, std::int64_t delay, emission how) {
    tested_.emit(m, at(now), nanoseconds(delay), how);
    if (m == mode::fixed_delay) return;
    const bool missed = how == emission::first && now - slot_ >= delay;
    if (how == emission::cut_short || missed) slot_ = now;
  }

  void next(mode m, std::int64_t now, std::int64_t delay, double jitter, double draw) {
    const step got = tested_.next(m, at(now), nanoseconds(delay), jitter, draw);
    require(count(got.due) >= now, "never before now");
    if (delay == 0 || m == mode::fixed_delay) {
      require(got.skipped == 0 && got.behind == nanoseconds(0), "only fixed_rate skips");
    }
    if (delay == 0) {
      require(count(got.due) == now, "no delay: at once");
      slot_ = now;
    } else if (m == mode::fixed_delay) {
      check_delay(got, now, delay, jitter);
      slot_ = count(got.due);
    } else {
      check_rate(got, now, delay, jitter);
    }
  }

 private:
  /// Allows for the bits that a double lacks.
  static wide share(std::int64_t delay, double jitter) {
    return static_cast<wide>(static_cast<long double>(delay) * jitter) + 2 + (delay >> 50);
  }

  static void check_delay(const step& got, std::int64_t now, std::int64_t delay, double jitter) {
    const wide spread = jitter > 0 ? share(delay, jitter) : 0;
    require(count(got.due) >= within_time(wide(now) + std::max<wide>(delay - spread, 0)), "early");
    require(count(got.due) <= within_time(wide(now) + delay + spread), "late");
  }

  void check_rate(const step& got, std::int64_t now, std::int64_t delay, double jitter) {
    wide slot = within_time(slot_ + delay);
    wide missed = 0;
    wide behind = 0;
    if (slot < now) {
      behind = now - slot;
      missed = (behind + delay - 1) / delay;
      slot = within_time(slot + missed * delay);
    }
    require(got.skipped == std::min<wide>(missed, most), "skipped");
    require(got.behind.count() == std::min<wide>(behind, most), "behind");
    slot_ = slot;
    if (jitter == 0) return require(count(got.due) == slot, "on the grid");
    require(count(got.due) <= slot, "never after its slot");
    require(count(got.due) >= std::max<wide>(now, slot - share(delay, jitter)), "too early");
  }

  pacemaker tested_;
  wide slot_ = 0;
};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::input in(data, size);
  pair both;
  std::int64_t now = in.magnitude();
  both.start(now, std::max<std::int64_t>(in.magnitude(), 0));
  while (in.more()) {
    const auto choice = in.byte();
    const mode m = (choice & 1) != 0 ? mode::fixed_rate : mode::fixed_delay;
    const wide passed = std::max<std::int64_t>(in.magnitude(), 0);
    now = static_cast<std::int64_t>(within_time(now + passed));
    const auto delay = std::max<std::int64_t>(in.magnitude(), 0);
    switch (choice / 2 % 4) {
      case 0:
        both.start(now, delay);
        break;
      case 1:
        both.emit(m, now, delay, static_cast<emission>(choice / 8 % 3));
        break;
      default: {
        const double jitter = (choice & 16) != 0 ? in.byte() / 255.0 : 0;
        both.next(m, now, delay, jitter, in.byte() / 256.0);
      }
    }
  }
  return 0;
}
