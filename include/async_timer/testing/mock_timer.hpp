// A timer that doesn't wait: it notes how long it was to sleep, and ticks at once. All else of it,
// the stops, the triggers, the failures, is the timer of production.
#ifndef ASYNC_TIMER_TESTING_MOCK_TIMER_HPP
#define ASYNC_TIMER_TESTING_MOCK_TIMER_HPP

#include <async_timer/core/interval.hpp>
#include <async_timer/core/time.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/timer/pace.hpp>
#include <async_timer/timer/timer.hpp>
#include <chrono>
#include <concepts>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

ASYNC_TIMER_BEGIN_NAMESPACE

/// Is what a mocked timer has slept; copies share it, and it outlives the timer.
///
/// @par Thread safety
///   Any function from any thread.
class sleep_record {
 public:
  using time_point = core::time_point;
  using hook = std::function<void(std::chrono::nanoseconds)>;

  sleep_record(const sleep_record&) = default;  // and no move: one that was moved from stays useful
  sleep_record& operator=(const sleep_record&) = default;
  ~sleep_record() = default;

  /// Returns how long each sleep was to take, in order; none is zero.
  [[nodiscard]] std::vector<std::chrono::nanoseconds> sleeps() const {
    const std::scoped_lock lock(pace_->mutex);
    return pace_->sleeps;
  }
  /// Forgets the sleeps so far.
  void clear_sleeps() {
    const std::scoped_lock lock(pace_->mutex);
    pace_->sleeps.clear();
  }
  /// Calls a function at each sleep from now on, after it was noted.
  ///
  /// It may stop or trigger the timer: the sleep then ends in no tick, or in one that a trigger
  /// asked for. What it throws ends the run as a failure of the target does.
  ///
  /// @param called  with the duration of the sleep, on the timer's executor; empty for none
  void on_sleep(hook called) {
    std::shared_ptr<const hook> next;
    if (called) {
      next = std::make_shared<const hook>(std::move(called));
    }
    const std::scoped_lock lock(pace_->mutex);
    std::swap(pace_->called, next);
  }
  /// Returns the timer's own time, which each sleep moves on; under a virtual_clock, not that one.
  [[nodiscard]] time_point now() const noexcept { return pace_->now(); }

 private:
  struct mock_pace final : detail::pace {
    [[nodiscard]] time_point now() const noexcept override {
      const std::scoped_lock lock(mutex);
      return time;
    }
    void sleep(std::chrono::nanoseconds asked_for, bool own_time) override {
      std::shared_ptr<const hook> now_called;  // neither copied nor destroyed under the lock
      {
        const std::scoped_lock lock(mutex);
        sleeps.push_back(asked_for);
        if (own_time) {
          time = core::saturating_add(time, asked_for);
        }
        now_called = called;
      }
      if (now_called) {
        (*now_called)(asked_for);
      }
    }

    mutable std::mutex mutex;
    std::vector<std::chrono::nanoseconds> sleeps;
    std::shared_ptr<const hook> called;
    time_point time{std::chrono::hours(1)};
  };

  template <class T>
  friend sleep_record mock_sleeps(timer<T>& timer);

  sleep_record() = default;

  std::shared_ptr<mock_pace> pace_ = std::make_shared<mock_pace>();
};

/// Makes a timer note its sleeps in place of sleeping, and returns the notes.
///
/// The timer ticks as fast as its context can: each sleep yields once to other work, and no real
/// time passes. On a context with a `virtual_clock` it sleeps in that virtual time instead, and
/// ticks when the test moves it. Timeouts of `wait` keep the context's time.
///
/// @param timer  not started yet; also one made by `every`, or a member of a group
/// @throws std::logic_error  if it was started before
/// @par Example
///   @snippet mock_timer.cpp every
template <class T>
sleep_record mock_sleeps(timer<T>& timer) {
  sleep_record record;
  if (!detail::core_access::of(timer).set_pace(record.pace_)) {
    throw std::logic_error(
        "async_timer: mock_sleeps must be called before the timer's first start");
  }
  return record;
}

/// Is a timer that notes its sleeps in place of sleeping; goes wherever a `timer<T>&` goes.
///
/// Moved into a group it stays readable: the notes are this object's, the timer is the group's.
/// @par Example
///   @snippet mock_timer.cpp mock
template <class T>
class mock_timer : public timer<T> {
 public:
  using hook = sleep_record::hook;

  /// Makes a stopped timer, or a running one if `options.start` says so; see timer.
  template <class Executor, class Target>
    requires std::constructible_from<timer<T>, Executor, interval, Target, timer_options>
  mock_timer(Executor&& executor, interval delay, Target&& target, timer_options options = {})
      : mock_timer(std::exchange(options.start, false), std::forward<Executor>(executor), delay,
                   std::forward<Target>(target), options) {}

  /// See sleep_record.
  [[nodiscard]] std::vector<std::chrono::nanoseconds> sleeps() const { return record_.sleeps(); }
  void clear_sleeps() { record_.clear_sleeps(); }
  void on_sleep(hook called) { record_.on_sleep(std::move(called)); }
  [[nodiscard]] const sleep_record& record() const noexcept { return record_; }

 private:
  template <class Executor, class Target>
  mock_timer(bool start, Executor&& executor, interval delay, Target&& target,
             timer_options& options)
      : timer<T>(std::forward<Executor>(executor), delay, std::forward<Target>(target),
                 std::move(options)),
        record_(mock_sleeps<T>(*this)) {
    if (start) {
      this->start();
    }
  }

  sleep_record record_;
};

template <class Executor, class Target>
  requires detail::valid_target<Target>
mock_timer(Executor&&, interval, Target&&, timer_options = {})
    -> mock_timer<target_value_t<Target>>;

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_TESTING_MOCK_TIMER_HPP
