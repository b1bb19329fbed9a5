// Where threads meet, as tests see it: tests/interleavings runs the threads of a test one at a time
// and decides at each of these points who goes on. Everywhere else there is nothing here but
// std::atomic and empty functions.
#ifndef ASYNC_TIMER_BASE_SCHEDULE_POINT_HPP
#define ASYNC_TIMER_BASE_SCHEDULE_POINT_HPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <utility>

namespace async_timer::base {

#if defined(ASYNC_TIMER_TEST_SCHEDULE)

// Defined by the test.
/// Lets another thread go on.
void schedule_point() noexcept;
/// Takes the place of the pause before a thread looks at a lock again.
void look_away(const std::atomic<std::uint32_t>& word, unsigned looks) noexcept;
/// Follows the release of a lock.
void released(const std::atomic<std::uint32_t>& word) noexcept;

/// Is std::atomic with a point before each access that orders others, so not before a relaxed one.
template <class T>
class atomic {
 public:
  constexpr atomic(T value) noexcept : value_(value) {}  // NOLINT(google-explicit-constructor)

  T load(std::memory_order order) const noexcept { return at(order).value_.load(order); }
  void store(T to, std::memory_order order) noexcept { at(order).value_.store(to, order); }
  T exchange(T to, std::memory_order order) noexcept {
    return at(order).value_.exchange(to, order);
  }
  T fetch_add(T n, std::memory_order order) noexcept {
    return at(order).value_.fetch_add(n, order);
  }
  T fetch_sub(T n, std::memory_order order) noexcept {
    return at(order).value_.fetch_sub(n, order);
  }
  bool compare_exchange_weak(T& expected, T to, std::memory_order order,
                             std::memory_order otherwise) noexcept {
    return at(order).value_.compare_exchange_strong(expected, to, order, otherwise);
  }

 private:
  const atomic& at(std::memory_order order) const noexcept {
    if (order != std::memory_order_relaxed) {
      schedule_point();
    }
    return *this;
  }
  atomic& at(std::memory_order order) noexcept {
    static_cast<void>(std::as_const(*this).at(order));
    return *this;
  }

  std::atomic<T> value_;
};

#else

inline void schedule_point() noexcept {}
inline void released(const std::atomic<std::uint32_t>&) noexcept {}

/// Pauses before the next look at a lock: some nanoseconds, a turn of the other threads, then up to
/// half a millisecond, since the holder may have lost the processor to a busy thread.
inline void look_away(const std::atomic<std::uint32_t>&, unsigned looks) noexcept {
  constexpr unsigned pauses = 64;
  constexpr unsigned yields = 16;
  if (looks < pauses) {
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_ia32_pause();
#endif
  } else if (looks < pauses + yields) {
    std::this_thread::yield();
  } else {
    std::this_thread::sleep_for(std::chrono::microseconds(std::min(looks - pauses, 500U)));
  }
}

template <class T>
using atomic = std::atomic<T>;

#endif

}  // namespace async_timer::base

#endif  // ASYNC_TIMER_BASE_SCHEDULE_POINT_HPP
