// Instants of the tests of core.
#ifndef ASYNC_TIMER_TESTS_CORE_INSTANTS_HPP
#define ASYNC_TIMER_TESTS_CORE_INSTANTS_HPP

#include <async_timer/core/time.hpp>
#include <chrono>

namespace test {

/// Gives the instant that is so far from the start of a test; the start is no special instant.
constexpr async_timer::core::time_point at(async_timer::core::nanoseconds since_start) {
  return async_timer::core::time_point{std::chrono::seconds{1000} + since_start};
}

}  // namespace test

#endif  // ASYNC_TIMER_TESTS_CORE_INSTANTS_HPP
