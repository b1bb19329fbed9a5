// The exceptions that this library throws by itself, the same for both backends.
// The stop outcome is not one of them: it is the backend's own operation_aborted, see
// net/errors.hpp.
#ifndef ASYNC_TIMER_BASE_ERRORS_HPP
#define ASYNC_TIMER_BASE_ERRORS_HPP

#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>

namespace async_timer {

/// Is the base of every error that the library itself reports.
class timer_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Is thrown by `start()` while a run is active or still cleaning up.
class timer_already_running_error : public timer_error {
 public:
  using timer_error::timer_error;
};

/// Reaches `trigger`, `join` and counted waits of a timer that is not running.
class timer_not_running_error : public timer_error {
 public:
  using timer_error::timer_error;
};

/// Is thrown by the second `start()` of a timer that was built with stop signals.
class timer_restart_error : public timer_error {
 public:
  using timer_error::timer_error;
};

/// Reports that the executor can't take the call: never bound, gone, or the caller's own.
class threadsafe_dispatch_error : public timer_error {
 public:
  using timer_error::timer_error;
};

/// Reports that the bound of a wait, or of a blocking call, has passed.
class timeout_error : public timer_error {
 public:
  using timer_error::timer_error;
};

/// Reports that a target waits for a tick, or the end, of its own timer, which would never come.
class self_wait_error : public timer_error {
 public:
  using timer_error::timer_error;
};

/// Is thrown by a target to end its own run as if it were exhausted; never reported as a failure.
struct end_of_ticks {};

namespace base {

/// Makes an error whose text is that of all parts. Where there is no memory for it std::bad_alloc
/// takes its place: who is told must be told something.
template <class Error, class... Parts>
std::exception_ptr error_of(const Parts&... parts) noexcept {
  try {
    std::string text;
    (text.append(std::string_view(parts)), ...);
    return std::make_exception_ptr(Error(text));
  } catch (...) {
    return std::current_exception();
  }
}

}  // namespace base

}  // namespace async_timer

#endif  // ASYNC_TIMER_BASE_ERRORS_HPP
