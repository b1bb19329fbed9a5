// Virtual time for the timers of one io_context: production code, no waiting.
// It knows the scheduler's seam and the context; timers don't know that it exists.
#ifndef ASYNC_TIMER_TESTING_VIRTUAL_CLOCK_HPP
#define ASYNC_TIMER_TESTING_VIRTUAL_CLOCK_HPP

#include <algorithm>
#include <async_timer/core/interval.hpp>
#include <async_timer/core/time.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/scheduler/scheduler_service.hpp>
#include <async_timer/timer/validation.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>

ASYNC_TIMER_BEGIN_NAMESPACE

/// Replaces the clock of all timers of one `io_context` by a time that only the test moves.
///
/// The context's handlers run inside the functions of this class, on the calling thread; nobody
/// else may run the context meanwhile. Same program, same trace: jitter is seeded, too.
/// @par Thread safety
///   None: one thread. Timers may still be called from other threads between two calls.
/// @par Example
///   @snippet virtual_time.cpp advance
class virtual_clock {
 public:
  using time_point = core::time_point;

  /// Takes over the time of a context, which must not have run a timer yet.
  ///
  /// @param context  outlives the clock; keeps virtual time after the clock is gone
  /// @param seed     of the jitter of its timers
  /// @throws std::logic_error  if a timer of the context was started before, or a clock made
  explicit virtual_clock(net::io_context& context, std::uint64_t seed = 1)
      : context_(&context),
        scheduler_(
            detail::scheduler_service::of(net::any_io_executor(context.get_executor()), true)) {
    if (!scheduler_->go_virtual(time_point(std::chrono::hours(1)), seed)) {
      throw std::logic_error(
          "async_timer: virtual_clock must be made before the context's first timer starts, and "
          "only once");
    }
  }
  virtual_clock(const virtual_clock&) = delete;
  virtual_clock& operator=(const virtual_clock&) = delete;
  ~virtual_clock() = default;

  /// Returns the virtual time; it begins at an arbitrary instant.
  [[nodiscard]] time_point now() const noexcept { return scheduler_->now(); }

  /// Moves time forward and runs all that becomes due, instant by instant, in order.
  ///
  /// @param duration  >= 0
  /// @throws std::invalid_argument; std::runtime_error if handlers keep each other busy for ever at
  ///   one instant, as a timer with delay 0 does; and what handlers throw
  void advance(interval duration) {
    detail::check_duration("duration", duration);
    const auto goal = core::saturating_add(now(), duration.nanoseconds());
    run_ready();
    while (const auto due = next_due()) {
      if (*due > goal) {
        break;
      }
      move_to(*due);
    }
    const bool some_wait_for_ever = scheduler_->next_due() == time_point::max();
    move_to(some_wait_for_ever ? std::min(goal, last_before_ever) : goal);
  }

  /// Moves to the next instant at which something is due, and runs it.
  ///
  /// @return false if nothing waits; then only what was ready has run
  /// @throws std::runtime_error and what handlers throw, as advance()
  bool advance_to_next() {
    run_ready();
    const auto due = next_due();
    if (due) {
      move_to(*due);
    }
    return due.has_value();
  }

  /// Runs what is ready now, and doesn't move time.
  ///
  /// @throws std::runtime_error and what handlers throw, as advance()
  void run_until_idle() { run_ready(); }

 private:
  // Far beyond what a test does at one instant, little enough to fail within seconds.
  static constexpr std::int64_t most_handlers = 20'000'000;

  // What waits for the end of time, as a timer with the longest delay there is, never becomes due.
  static constexpr time_point last_before_ever = time_point::max() - std::chrono::nanoseconds(1);

  /// Gives the next instant at which something becomes due.
  [[nodiscard]] std::optional<time_point> next_due() const {
    const auto due = scheduler_->next_due();
    return due == time_point::max() ? std::nullopt : due;
  }

  void move_to(time_point when) {
    scheduler_->set_virtual_now(std::max(when, now()));
    run_ready();
  }

  void run_ready() {
    context_->restart();
    for (std::int64_t left = most_handlers; context_->poll_one() != 0; --left) {
      if (left == 0) {
        throw std::runtime_error(
            "async_timer: virtual time stands still: handlers keep each other busy at one instant "
            "(a timer with delay 0?)");
      }
    }
  }

  net::io_context* context_;
  std::shared_ptr<detail::scheduler> scheduler_;
};

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_TESTING_VIRTUAL_CLOCK_HPP
