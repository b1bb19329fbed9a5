// Checks arguments; each error is one sentence with field, bound and value.
#ifndef ASYNC_TIMER_TIMER_VALIDATION_HPP
#define ASYNC_TIMER_TIMER_VALIDATION_HPP

#include <async_timer/core/interval.hpp>
#include <async_timer/core/mode.hpp>
#include <async_timer/delivery/target.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/timer/options.hpp>
#include <optional>
#include <stdexcept>
#include <string>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

inline void check_duration(const char* field, interval value) {
  if (!value.is_finite()) {
    throw std::invalid_argument(std::string("async_timer: ") + field + " must be finite, but is " +
                                to_string(value));
  }
  if (value.is_negative()) {
    throw std::invalid_argument(std::string("async_timer: ") + field + " must be >= 0, but is " +
                                to_string(value));
  }
}

inline void check_timeout(const std::optional<interval>& timeout) {
  if (timeout && !timeout->is_finite()) {
    throw std::invalid_argument("async_timer: timeout must be finite, but is " +
                                to_string(*timeout) + "; leave it out to wait without bound");
  }
}

/// Keeps the order delay, jitter, initial_delay, mode (contract 1.6).
inline void check_arguments(interval delay, const timer_options& options) {
  check_duration("delay", delay);
  if (!(options.jitter >= 0 && options.jitter <= 1)) {
    throw std::invalid_argument("async_timer: jitter must be in [0, 1], but is " +
                                std::to_string(options.jitter));
  }
  check_duration("initial_delay", options.initial_delay);
  if (options.mode != mode::fixed_delay && options.mode != mode::fixed_rate) {
    throw std::invalid_argument("async_timer: mode must be fixed_delay or fixed_rate, but is " +
                                std::to_string(static_cast<int>(options.mode)));
  }
}

/// Checks what a timer is made of and passes the delay through, so that it comes before all else.
template <class Target>
interval checked(interval delay, const timer_options& options, const Target& target) {
  check_arguments(delay, options);
  if (is_empty_target(target)) {
    throw std::invalid_argument("async_timer: target must be callable, but is empty");
  }
  return delay;
}

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_TIMER_VALIDATION_HPP
