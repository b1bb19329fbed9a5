// A mutex in four bytes, because a process may hold a million timers and each has one.
// Three states, as in "Futexes Are Tricky" (U. Drepper, 2011), mutex 2: free, held, held and
// awaited. It knows no thread and no owner; never hold it across code of a user.
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
    if (state_.exchange(free, std::memory_order_release) == awaited) [[unlikely]] {
      wake_one(state_);
    }
    schedule_point_after_release();
  }

 private:
  enum : std::uint32_t { free = 0, held = 1, awaited = 2 };

  void lock_contended() noexcept {
    while (state_.exchange(awaited, std::memory_order_acquire) != free) {
      wait_on(state_, awaited);
    }
  }

  std::atomic<std::uint32_t> state_{free};
};

}  // namespace async_timer::base

#endif  // ASYNC_TIMER_BASE_WORD_LOCK_HPP
