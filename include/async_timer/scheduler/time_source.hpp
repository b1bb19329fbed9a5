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
      return std::chrono::time_point_cast<std::chrono::nanoseconds>(
          std::chrono::steady_clock::now());
    }
    return core::time_point(std::chrono::nanoseconds(virtual_now));
  }

  void set_virtual(core::time_point now) noexcept {
    virtual_now_.store(now.time_since_epoch().count(), std::memory_order_release);
  }
  void set_real() noexcept { virtual_now_.store(real, std::memory_order_release); }
  [[nodiscard]] bool is_virtual() const noexcept {
    return virtual_now_.load(std::memory_order_acquire) != real;
  }

 private:
  // No clock can show it: a steady clock counts up from about zero.
  static constexpr std::int64_t real = std::numeric_limits<std::int64_t>::min();
  std::atomic<std::int64_t> virtual_now_{real};
};

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_SCHEDULER_TIME_SOURCE_HPP
