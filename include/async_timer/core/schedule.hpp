// The seam for schedules that are neither fixed delay nor fixed rate: cron, business hours, ...
// Knows: the shape of such a schedule. Must not know: any schedule.
#ifndef ASYNC_TIMER_CORE_SCHEDULE_HPP
#define ASYNC_TIMER_CORE_SCHEDULE_HPP

#include <concepts>
#include <optional>

#include <async_timer/core/time.hpp>

namespace async_timer::core {

// next(after) is the first instant strictly later than `after` at which to tick; empty means that
// there is none, which ends the run.
template <class Schedule>
concept schedule = requires(Schedule& s, time_point after) {
  { s.next(after) } -> std::convertible_to<std::optional<time_point>>;
};

}  // namespace async_timer::core

#endif  // ASYNC_TIMER_CORE_SCHEDULE_HPP
