// A non-owning, type-erased reference to a timer, for callbacks and logs.
#ifndef ASYNC_TIMER_TIMER_TIMER_REF_HPP
#define ASYNC_TIMER_TIMER_TIMER_REF_HPP

#include <async_timer/base/ref_ptr.hpp>
#include <async_timer/core/interval.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/net/token.hpp>
#include <chrono>
#include <cstdint>
#include <exception>
#include <optional>
#include <ostream>
#include <string>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {
class timer_core;
class timer_end_signal;
}  // namespace detail

/// Refers to a timer without keeping it: safe to use, and to copy, after the timer was destroyed.
///
/// It keeps the small block of the timer's counters alive, not its target and what that captured.
/// @par Thread safety
///   Its functions may be called from any thread at any time, whoever else uses the timer; only
///   assigning and destroying need the reference for themselves.
class timer_ref {
 public:
  timer_ref(const timer_ref&) = default;  // and no move: one that was moved from stays useful
  timer_ref& operator=(const timer_ref&) = default;
  ~timer_ref() = default;

  /// Returns the timer's name; empty if it has none.
  [[nodiscard]] std::string name() const;
  /// Returns the delay between ticks that the next sleep will use.
  [[nodiscard]] std::chrono::nanoseconds delay() const noexcept;
  /// Returns the number of ticks over all runs.
  [[nodiscard]] std::int64_t hit_count() const noexcept;
  /// Returns when the last tick was completed; empty before the first.
  [[nodiscard]] std::optional<std::chrono::steady_clock::time_point> last_tick_at() const noexcept;
  /// Returns the number of failed runs.
  [[nodiscard]] std::int64_t failure_count() const;
  /// Returns the last failure of the target; null before the first.
  [[nodiscard]] std::exception_ptr last_failure() const;
  /// Tells whether the timer runs; false from the moment a stop was requested.
  [[nodiscard]] bool is_running() const noexcept;
  /// Changes the delay, as timer::set_delay() does.
  void set_delay(interval delay);
  /// Requests the stop and doesn't wait, as timer::request_stop() does.
  void request_stop() noexcept;
  /// Requests the stop and waits for the clean-up, as timer::cancel() does.
  template <
      detail::completion_token_for<void(std::exception_ptr)> CompletionToken = default_token_t<>>
  auto cancel(CompletionToken&& token = CompletionToken{}) const;
  /// Describes the timer in one line, as to_string(timer) does.
  friend std::string to_string(const timer_ref& timer);
  friend std::ostream& operator<<(std::ostream& out, const timer_ref& timer) {
    return out << to_string(timer);
  }

  /// Compares the identity of the timers.
  friend bool operator==(const timer_ref&, const timer_ref&) = default;

 private:
  friend class detail::timer_core;
  friend class detail::timer_end_signal;
  explicit timer_ref(base::ref_ptr<detail::timer_core> core) noexcept;

  base::ref_ptr<detail::timer_core> core_;
};

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_TIMER_TIMER_REF_HPP
