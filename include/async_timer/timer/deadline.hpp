// The time that an operation has. It passes on the scheduler's thread, while the operation may
// complete on another one.
#ifndef ASYNC_TIMER_TIMER_DEADLINE_HPP
#define ASYNC_TIMER_TIMER_DEADLINE_HPP

#include <async_timer/base/schedule_point.hpp>
#include <async_timer/core/time.hpp>
#include <async_timer/scheduler/schedule_node.hpp>
#include <async_timer/scheduler/scheduler.hpp>
#include <atomic>
#include <chrono>
#include <memory>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

/// Is part of an operation, which completes when nothing refers to it any more: a deadline on its
/// way and who completes it otherwise meet here, and the second one goes on.
class deadline : public schedule_node {
 public:
  /// Throws when memory ends; then it is not armed.
  void arm(scheduler& clock, std::chrono::nanoseconds timeout) {
    const auto now = clock.now();
    clock_ = clock.shared_from_this();  // before the deadline can pass
    try {
      clock.arm(*this, {.due = core::saturating_add(now, timeout), .now = now});
    } catch (...) {
      clock_ = nullptr;
      throw;
    }
  }

  /// Precedes the completion; false: the deadline is on its way, and completes when it arrives.
  bool let_go() noexcept {
    if (clock_ == nullptr) {
      return true;
    }
    if (!clock_->disarm(*this) && !meet()) {
      return false;
    }
    clock_ = nullptr;
    return true;
  }

 protected:
  ~deadline() override = default;

  /// Says that it has arrived; true: the operation is to be completed here, and is let go.
  ///
  /// @param claimed  it is known that nobody else completes it
  bool arrive(bool claimed = false) noexcept {
    if (!claimed && !meet()) {
      return false;
    }
    clock_ = nullptr;
    return true;
  }

 private:
  bool meet() noexcept { return met_.exchange(true, std::memory_order_acq_rel); }

  std::shared_ptr<scheduler> clock_;  ///< kept: the timer may have started elsewhere meanwhile
  base::atomic<bool> met_{false};
};

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_TIMER_DEADLINE_HPP
