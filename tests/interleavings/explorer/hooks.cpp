// What the explorer gets hold of: the library's schedule points, and, through the linker's --wrap,
// the calls in which the standard library and Asio would block a thread.
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <async_timer/base/schedule_point.hpp>
#include <atomic>
#include <cerrno>
#include <climits>
#include <condition_variable>
#include <cstdarg>
#include <cstdint>
#include <ctime>
#include <mutex>
#include <thread>

#include "interleavings/explorer/stage.hpp"

using interleaving::stage;

namespace async_timer::base {

void schedule_point() noexcept { stage::point(false); }

void look_away(const std::atomic<std::uint32_t>& word, unsigned looks) noexcept {
  if (stage::is_actor()) {
    stage::point(false);
    if (word.load(std::memory_order_relaxed) != 0) stage::block(&word, "a lock");
  } else if (looks > 0) {
    std::this_thread::yield();
  }
}

void released(const std::atomic<std::uint32_t>& word) noexcept {
  if (!stage::is_actor()) return;
  stage::wake(&word, false);
  stage::point(true);
}

}  // namespace async_timer::base

extern "C" {

// Mutexes that are not the library's own: Asio's, above all. Actors hold them between two points
// only, so they are never contended; each lock may mean that Asio was given something to do.

int __real_pthread_mutex_lock(pthread_mutex_t* mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t* mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t* mutex) {
  stage::note_foreign_lock(1);
  stage::note_post();
  return __real_pthread_mutex_lock(mutex);
}

int __real_pthread_mutex_unlock(pthread_mutex_t* mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t* mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t* mutex) {
  stage::note_foreign_lock(-1);
  return __real_pthread_mutex_unlock(mutex);
}

// Condition variables, in which the blocking forms wait. A bounded wait may end at any point.

int __real_pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex,
                                  clockid_t clock, const timespec* until);
int __wrap_pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex,
                                  clockid_t clock, const timespec* until);
int __wrap_pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex,
                                  clockid_t clock, const timespec* until) {
  if (!stage::is_actor()) return __real_pthread_cond_clockwait(condition, mutex, clock, until);
  __wrap_pthread_mutex_unlock(mutex);
  stage::block_with_timeout(condition);
  __wrap_pthread_mutex_lock(mutex);
  return ETIMEDOUT;
}

// std::condition_variable::wait(std::unique_lock<std::mutex>&)
void __real__ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE(
    std::condition_variable* self, std::unique_lock<std::mutex>* lock);
void __wrap__ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE(
    std::condition_variable* self, std::unique_lock<std::mutex>* lock);
void __wrap__ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE(
    std::condition_variable* self, std::unique_lock<std::mutex>* lock) {
  if (!stage::is_actor()) {
    __real__ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE(self, lock);
    return;
  }
  lock->unlock();
  stage::block(self->native_handle(), "a condition variable");
  lock->lock();
}

// std::condition_variable::notify_all()
void __real__ZNSt18condition_variable10notify_allEv(std::condition_variable* self);
void __wrap__ZNSt18condition_variable10notify_allEv(std::condition_variable* self);
void __wrap__ZNSt18condition_variable10notify_allEv(std::condition_variable* self) {
  if (stage::is_actor()) {
    stage::wake(self->native_handle(), true);
  } else {
    __real__ZNSt18condition_variable10notify_allEv(self);
  }
}

// The waiting of std::stop_callback's destructor for a callback that runs on another thread: the
// futex calls of libstdc++'s semaphore.
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...) {
  std::va_list rest;
  va_start(rest, number);
  const auto a = va_arg(rest, long);
  const auto b = va_arg(rest, long);
  const auto c = va_arg(rest, long);
  const auto d = va_arg(rest, long);
  va_end(rest);
  const long call = b & FUTEX_CMD_MASK;
  if (number == SYS_futex && stage::is_actor() && (call == FUTEX_WAIT || call == FUTEX_WAKE)) {
    auto* const word = reinterpret_cast<int*>(a);
    if (call == FUTEX_WAKE) {
      stage::wake(word, static_cast<int>(c) == INT_MAX);
    } else if (std::atomic_ref<int>(*word).load() == static_cast<int>(c)) {
      stage::block(word, "a futex");
    }
    return 0;
  }
  return __real_syscall(number, a, b, c, d);
}

}  // extern "C"
