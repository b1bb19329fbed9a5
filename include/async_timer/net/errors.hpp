// The bridge to the backend's errors: the stop outcome, and how to tell it from a failure.
#ifndef ASYNC_TIMER_NET_ERRORS_HPP
#define ASYNC_TIMER_NET_ERRORS_HPP

#include <async_timer/net/asio.hpp>
#include <exception>

ASYNC_TIMER_BEGIN_NAMESPACE

/// Tells whether an outcome is the stop outcome (or the caller's own cancellation), not a failure.
///
/// @param outcome  what a completion handler received; null is no error and gives false. Of Asio's
///   `multiple_exceptions` the first one counts.
/// @par Thread safety
///   Safe from any thread. Complexity: a throw and a catch.
[[nodiscard]] inline bool is_stopped(const std::exception_ptr& outcome) noexcept {
  if (!outcome) {
    return false;
  }
  try {
    std::rethrow_exception(outcome);
  } catch (const system_error& error) {
    return error.code() == net::error::operation_aborted;
  } catch (const net::multiple_exceptions& several) {  // of a || b and a && b in coroutines
    return is_stopped(several.first_exception());
  } catch (...) {
    return false;
  }
}

namespace detail {

/// Is the stop outcome; one object for the process, since it never differs. std::bad_alloc takes
/// its place as long as there was no memory to make it, which a scheduler's construction sees to.
inline std::exception_ptr stop_outcome() noexcept {
  // Never destroyed, since timers at namespace scope may stop at the very end: hence the union.
  union keeper {
    keeper()
        : outcome(std::make_exception_ptr(
              system_error(net::error::operation_aborted, "async_timer: stopped"))) {}
    ~keeper() {}
    std::exception_ptr outcome;
  };
  try {
    static const keeper kept;
    return kept.outcome;
  } catch (...) {
    return std::current_exception();
  }
}

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_NET_ERRORS_HPP
