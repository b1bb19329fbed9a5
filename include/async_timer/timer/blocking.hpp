// The blocking forms: a thread that can't wait asynchronously waits for an operation.
#ifndef ASYNC_TIMER_TIMER_BLOCKING_HPP
#define ASYNC_TIMER_TIMER_BLOCKING_HPP

#include <async_timer/base/errors.hpp>
#include <async_timer/base/ref_ptr.hpp>
#include <async_timer/core/interval.hpp>
#include <async_timer/delivery/value.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/net/tagged_executor.hpp>
#include <async_timer/timer/core.hpp>
#include <async_timer/timer/waiter.hpp>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

/// Is where a thread waits for an outcome; shared, since the thread may give up first.
template <class Outcome>
class rendezvous {
 public:
  void arrive(Outcome outcome) {
    const std::scoped_lock lock(mutex_);
    outcome_.emplace(std::move(outcome));
    arrived_.notify_all();
  }

  /// Waits; empty if the timeout passed first.
  std::optional<Outcome> wait(const std::optional<interval>& timeout) {
    std::unique_lock lock(mutex_);
    const auto is_there = [this] { return outcome_.has_value(); };
    if (timeout && timeout->nanoseconds() < longest) {
      arrived_.wait_for(lock, timeout->nanoseconds(), is_there);
    } else {
      arrived_.wait(lock, is_there);
    }
    return std::exchange(outcome_, std::nullopt);
  }

 private:
  // A deadline this far ahead would overflow the clock; nobody sees it pass.
  static constexpr std::chrono::nanoseconds longest = std::chrono::hours(24 * 365 * 100);

  std::mutex mutex_;
  std::condition_variable arrived_;
  std::optional<Outcome> outcome_;
};

inline std::exception_ptr context_went_away() noexcept {
  return base::error_of<threadsafe_dispatch_error>(
      "the timer's event loop is closed: its execution context was destroyed while waiting");
}

/// Is an operation whose outcome goes to a waiting thread instead of a handler.
template <class Base>
class blocking_operation final : public Base {
 public:
  using outcome = decltype(std::declval<Base&>().take_outcome());
  using place = rendezvous<outcome>;

  template <class... Args>
  explicit blocking_operation(std::shared_ptr<place> where, Args&&... args)
      : Base(std::forward<Args>(args)...), where_(std::move(where)) {}

  // It has no deadline in a scheduler, so it may complete at any time.
  void complete() noexcept override {
    where_->arrive(this->take_outcome());
    this->release();
  }
  void abandon() noexcept override {
    this->set_error(context_went_away());
    complete();
  }

 private:
  std::shared_ptr<place> where_;
};

/// Refuses calls that could only hang (contract 22.4).
///
/// Needs memory for that, and to look into executors that are too large for an any_io_executor to
/// hold in place.
/// @param what     "timer", "timer group"
/// @param method   the name of the blocking form
/// @param instead  what to call on the event loop's own threads
inline void check_may_block(bool was_started, const net::any_io_executor& executor,
                            const char* what, const char* method, const char* instead) {
  if (!was_started) {
    throw threadsafe_dispatch_error(std::string(method) + ": the " + what +
                                    " has not been started yet. Call start() first");
  }
  if (!executor) {
    throw threadsafe_dispatch_error(std::string(method) + ": the " + what +
                                    "'s event loop is closed");
  }
  if (runs_in_this_thread(executor)) {
    throw threadsafe_dispatch_error(
        std::string(method) + ": called from the " + what +
        "'s own event loop thread, which it would block for ever; use " + instead + " there");
  }
}
inline void check_may_block(const timer_core& timer, const char* method, const char* instead) {
  check_may_block(timer.was_started(), timer.executor(), "timer", method, instead);
}

inline timeout_error did_not(const char* method, const char* what, const interval& timeout) {
  return timeout_error(std::string(method) + ": the " + what + " within " + to_string(timeout) +
                       "; it may still happen later");
}

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_TIMER_BLOCKING_HPP
