// Timers at namespace scope, as several files of a program see them.
#ifndef ASYNC_TIMER_TESTS_BUILDS_SHARED_TIMERS_HPP
#define ASYNC_TIMER_TESTS_BUILDS_SHARED_TIMERS_HPP

#include <async_timer/async_timer.hpp>
#include <chrono>

inline int shared_calls = 0;

inline auto shared_timer =
    async_timer::every(std::chrono::seconds(1), {.name = "shared"})([] { return ++shared_calls; });

/// Is made before the first one who asks, whichever file that is in.
inline async_timer::net::io_context& early_context() {
  static async_timer::net::io_context context;
  return context;
}

/// What the other file's timer did; see other_file.cpp.
int ticks_of_other_file();

#endif  // ASYNC_TIMER_TESTS_BUILDS_SHARED_TIMERS_HPP
