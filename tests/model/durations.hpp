// The durations of a command, which also stand for what is none.
#ifndef ASYNC_TIMER_TESTS_MODEL_DURATIONS_HPP
#define ASYNC_TIMER_TESTS_MODEL_DURATIONS_HPP

#include <async_timer/core/interval.hpp>
#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>

#include "model/command.hpp"

namespace model {

/// Is the duration that the library is given.
inline async_timer::interval interval_of(std::int64_t code) {
  using seconds = std::chrono::duration<double>;
  switch (code) {
    case not_a_number:
      return seconds(std::numeric_limits<double>::quiet_NaN());
    case infinite:
      return seconds(std::numeric_limits<double>::infinity());
    case minus_infinite:
      return seconds(-std::numeric_limits<double>::infinity());
    case longest:
      return std::chrono::hours::max();
    default:
      return std::chrono::nanoseconds(code);
  }
}

/// Gives the nanoseconds of a duration that the library takes, empty for others.
inline std::optional<nanos> finite(std::int64_t code) {
  if (code == longest) return never;
  const bool odd = code == not_a_number || code == infinite || code == minus_infinite;
  return odd ? std::nullopt : std::optional<nanos>(code);
}

inline bool is_legal_delay(std::int64_t code) { return finite(code).value_or(-1) >= 0; }

}  // namespace model

#endif  // ASYNC_TIMER_TESTS_MODEL_DURATIONS_HPP
