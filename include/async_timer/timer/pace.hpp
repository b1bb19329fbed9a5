// The seam of a timer's own time: what it reads in place of the clock, and how it sleeps. Timers
// have none, but for those under test (testing/mock_timer.hpp).
#ifndef ASYNC_TIMER_TIMER_PACE_HPP
#define ASYNC_TIMER_TIMER_PACE_HPP

#include <async_timer/core/time.hpp>
#include <async_timer/net/asio.hpp>
#include <chrono>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

class pace {
 public:
  pace() = default;
  pace(const pace&) = delete;
  pace& operator=(const pace&) = delete;
  virtual ~pace() = default;

  [[nodiscard]] virtual core::time_point now() const noexcept = 0;
  /// Is told of each sleep with no lock held, before it begins.
  ///
  /// @param asked_for  > 0
  /// @param own_time   whether to move now() on by that: nobody else's clock does. The timer then
  ///                   ticks in the next turn.
  /// Whatever it throws ends the run as a failure of the target does.
  virtual void sleep(std::chrono::nanoseconds asked_for, bool own_time) = 0;
};

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_TIMER_PACE_HPP
