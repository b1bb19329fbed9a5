// The one place that reads a clock: the steady clock, or a virtual time that a test moves.
#ifndef ASYNC_TIMER_SCHEDULER_TIME_SOURCE_HPP
#define ASYNC_TIMER_SCHEDULER_TIME_SOURCE_HPP

#include <async_timer/core/time.hpp>
#include <async_timer/net/asio.hpp>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

class time_source {
 public:
  [[nodiscard]] core::time_point now() const noexcept {
    const std::int64_t virtual_now = virtual_now_.load(std::memory_order_acquire);
    if (virtual_now == real) [[likely]] {
      return read(latest_reading());
    }
    return core::time_point(std::chrono::nanoseconds(virtual_now));
  }

  /// Gives now(), or what this thread read last if that is less than a microsecond ago by the
  /// processor's own counter. Under dense load that saves most readings, each of which costs as
  /// much as the rest of a short tick's arithmetic and waits for all loads under way.
  [[nodiscard]] core::time_point recently() const noexcept {
#if defined(__x86_64__) && defined(__GNUC__)
    reading& last = latest_reading();
    if (!is_virtual() && __builtin_ia32_rdtsc() - last.cycle < longest_recent) {
      return last.time;
    }
#endif
    return now();
  }

  void set_virtual(core::time_point now) noexcept {
    virtual_now_.store(now.time_since_epoch().count(), std::memory_order_release);
  }
  [[nodiscard]] bool is_virtual() const noexcept {
    return virtual_now_.load(std::memory_order_acquire) != real;
  }

 private:
  struct reading {
    core::time_point time;
    std::uint64_t cycle = 0;
  };
  // About a microsecond where the counter runs at 2 GHz, less where it is faster.
  static constexpr std::uint64_t longest_recent = 2048;

  static reading& latest_reading() noexcept {
    thread_local constinit reading last{};
    return last;
  }
  static core::time_point read(reading& last) noexcept {
#if defined(__x86_64__) && defined(__GNUC__)
    last.cycle = __builtin_ia32_rdtsc();  // before the clock: what is handed out is never younger
#endif
    last.time =
        std::chrono::time_point_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now());
    return last.time;
  }

  // No clock can show it: a steady clock counts up from about zero.
  static constexpr std::int64_t real = std::numeric_limits<std::int64_t>::min();
  std::atomic<std::int64_t> virtual_now_{real};
};

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_SCHEDULER_TIME_SOURCE_HPP
