// What a timer tells the log, with the event tags and fields of the contract.
#ifndef ASYNC_TIMER_TIMER_REPORT_HPP
#define ASYNC_TIMER_TIMER_REPORT_HPP

#include <array>
#include <async_timer/base/log.hpp>
#include <async_timer/core/pacemaker.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/timer/core.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <typeinfo>

#if __has_include(<cxxabi.h>)
#include <cxxabi.h>
#endif

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

inline std::string describe(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "an exception that is not a std::exception";
  }
}

/// Names a type as it is written in the source, where the compiler can tell.
inline std::string type_name(const std::type_info& type) {
  const char* const mangled = type.name();
#if __has_include(<cxxabi.h>)
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> readable(
      abi::__cxa_demangle(mangled, nullptr, nullptr, &status), &std::free);
  if (readable) {
    return readable.get();
  }
#endif
  return mangled;
}

inline std::string type_name(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    return type_name(typeid(error));
  } catch (...) {
    return "unknown";
  }
}

inline std::string in_seconds(std::chrono::nanoseconds duration) {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%.3f", std::chrono::duration<double>(duration).count());
  return text.data();
}

inline std::string timer_logger(const std::string& name) {
  return name.empty() ? "async_timer.timer" : "async_timer.timer." + name;
}

inline constexpr base::event_tag skip_event("async_timer.fixed_rate_skip");

/// Reports that fixed_rate left out slots (contract 4.5); ask log_holds_back() before.
inline void report_skipped(const timer_core& timer, const core::step& step,
                           std::chrono::nanoseconds delay) noexcept {
  try {
    const auto name = timer.name();
    const std::array<log_field, 4> fields{{{"timer_name", name},
                                           {"skipped_ticks", std::to_string(step.skipped)},
                                           {"delay_s", in_seconds(delay)},
                                           {"behind_s", in_seconds(step.behind)}}};
    const auto message = "fixed_rate fell behind: skipping " + fields[1].value +
                         " tick(s) of delay " + fields[2].value + " s, " + fields[3].value +
                         " s behind the first missed slot";
    base::log({log_level::warning, "async_timer.pacemaker", skip_event, message, fields});
  } catch (...) {
    base::log_without_memory(log_level::warning, "async_timer.pacemaker", skip_event,
                             "fixed_rate fell behind: skipping ticks");
  }
}

/// Is the default on_error (contract 16.3).
inline void report_failure(const timer_core& timer, const std::exception_ptr& failure) noexcept {
  constexpr base::event_tag event("async_timer.target_exception");
  try {
    const auto name = timer.name();
    if (base::log_holds_back(event, name)) {
      return;
    }
    const auto logger = timer_logger(name);
    const std::array<log_field, 4> fields{{{"timer_name", name},
                                           {"target", type_name(timer.target_type())},
                                           {"hit_count", std::to_string(timer.hit_count())},
                                           {"exception", describe(failure)}}};
    const auto message = "unexpected exception in the timer loop: " + fields[3].value;
    base::log({log_level::error, logger, event, message, fields});
  } catch (...) {
    base::log_without_memory(log_level::error, "async_timer.timer", event,
                             "unexpected exception in the timer loop");
  }
}

/// Reports that a stop signal ended with an error (contract 18.4).
inline void report_signal_failure(const timer_core& timer,
                                  const std::exception_ptr& failure) noexcept {
  constexpr base::event_tag event("async_timer.cancel_aws_raised");
  try {
    const auto name = timer.name();
    if (base::log_holds_back(event, name)) {
      return;
    }
    const std::array<log_field, 2> fields{
        {{"timer_name", name}, {"exception_type", type_name(failure)}}};
    const auto message = "a stop signal failed with " + fields[1].value + " (" + describe(failure) +
                         "), which is treated as stop";
    base::log({log_level::warning, "async_timer.pacemaker", event, message, fields});
  } catch (...) {
    base::log_without_memory(log_level::warning, "async_timer.pacemaker", event,
                             "a stop signal failed, which is treated as stop");
  }
}

inline void report_callback_failure(const timer_core& timer, const char* callback,
                                    const std::exception_ptr& failure) noexcept {
  constexpr base::event_tag event("async_timer.callback_exception");
  try {
    const auto name = timer.name();
    if (base::log_holds_back(event, name)) {
      return;
    }
    const auto logger = timer_logger(name);
    const std::array<log_field, 3> fields{
        {{"timer_name", name}, {"callback", callback}, {"exception", describe(failure)}}};
    const auto message = std::string(callback) + " threw, which is ignored: " + fields[2].value;
    base::log({log_level::error, logger, event, message, fields});
  } catch (...) {
    base::log_without_memory(log_level::error, "async_timer.timer", event,
                             "a callback threw, which is ignored");
  }
}

/// Reports that a group could not stop a member, or not wait for its clean-up (contract 20.8).
inline void report_group_cancel_failure(const std::string& group, const timer_core& timer,
                                        const std::exception_ptr& failure) noexcept {
  constexpr base::event_tag event("async_timer.group_cancel_failure");
  try {
    const auto name = timer.name();
    if (base::log_holds_back(event, group + '/' + name)) {
      return;
    }
    const auto logger = group.empty() ? "async_timer.group" : "async_timer.group." + group;
    const std::array<log_field, 3> fields{
        {{"group_name", group}, {"timer_name", name}, {"exception_type", type_name(failure)}}};
    const auto message = "a timer of the group was not cancelled cleanly: " + describe(failure);
    base::log({log_level::error, logger, event, message, fields});
  } catch (...) {
    base::log_without_memory(log_level::error, "async_timer.group", event,
                             "a timer of the group was not cancelled cleanly");
  }
}

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_TIMER_REPORT_HPP
