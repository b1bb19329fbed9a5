// A mutex in four bytes, because a process may hold a million timers and each has one.
// Nobody is woken: who finds it held looks again after a moment, then after a longer one, up to a
// fraction of a millisecond. So to release it is one plain store, where a futex needs an exchange,
// the dearest instruction of a tick. It is made for sections of nanoseconds, never hold it across
// code of a user; it knows no thread and no owner.
#ifndef ASYNC_TIMER_BASE_WORD_LOCK_HPP
#define ASYNC_TIMER_BASE_WORD_LOCK_HPP

#include <async_timer/base/schedule_point.hpp>
#include <atomic>
#include <cstdint>

namespace async_timer::base {

class word_lock {
 public:
  word_lock() = default;
  word_lock(const word_lock&) = delete;
  word_lock& operator=(const word_lock&) = delete;

  void lock() noexcept {
    schedule_point();
    std::uint32_t expected = free;
    if (state_.compare_exchange_strong(expected, held, std::memory_order_acquire,
                                       std::memory_order_relaxed)) [[likely]] {
      return;
    }
    lock_contended();
  }

  bool try_lock() noexcept {
    schedule_point();
    std::uint32_t expected = free;
    return state_.compare_exchange_strong(expected, held, std::memory_order_acquire,
                                          std::memory_order_relaxed);
  }

  void unlock() noexcept {
    state_.store(free, std::memory_order_release);
    released(state_);
  }

 private:
  enum : std::uint32_t { free = 0, held = 1 };

  void lock_contended() noexcept {
    unsigned looks = 0;
    do {
      while (state_.load(std::memory_order_relaxed) != free) {
        look_away(state_, looks++);
      }
    } while (state_.exchange(held, std::memory_order_acquire) != free);
  }

  std::atomic<std::uint32_t> state_{free};
};

}  // namespace async_timer::base

#endif  // ASYNC_TIMER_BASE_WORD_LOCK_HPP
