// The operations of a group: one operation for the user's handler, and one part of it for each
// member, enrolled there like any other waiter. The parts report here; the last one in completes.
#ifndef ASYNC_TIMER_TIMER_GROUP_OPERATION_HPP
#define ASYNC_TIMER_TIMER_GROUP_OPERATION_HPP

#include <async_timer/base/ref_ptr.hpp>
#include <async_timer/base/word_lock.hpp>
#include <async_timer/core/interval.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/net/errors.hpp>
#include <async_timer/net/operation.hpp>
#include <async_timer/scheduler/lane.hpp>
#include <async_timer/scheduler/schedule_node.hpp>
#include <async_timer/timer/blocking.hpp>
#include <async_timer/timer/core.hpp>
#include <async_timer/timer/deadline.hpp>
#include <cstddef>
#include <exception>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

using timer_cores = std::vector<base::ref_ptr<timer_core>>;

/// Counts its parts down.
///
/// Its lock is never held while a part, a timer or a handler is called. This refers to a part until
/// that has arrived. No reference is held for the way back: who completes the last part would drop
/// it, and with it the handler's memory, when the handler has been called elsewhere. Instead it is
/// counted what is missing.
class group_operation : public operation {
 public:
  explicit group_operation(timer_cores members)
      : members_(std::move(members)),
        parts_(members_.size()),
        missing_(members_.size() + 1),
        deadline_(*this) {}

  /// Enrolls all parts; consumes the reference that the operation is born with.
  ///
  /// @param caller   the owner of the handler's executor, for inside-the-target detection
  /// @param timeout  ends everything with timed_out(); <= 0 after the parts that are in at once
  void begin(const void* caller, lane& where, const std::optional<interval>& timeout) noexcept {
    const bool expired = timeout && timeout->nanoseconds().count() <= 0;
    if (timeout && !expired && !members_.empty()) {
      try {
        deadline_.arm(where.owner(), timeout->nanoseconds());
      } catch (...) {
        fail(std::current_exception());
      }
    }
    for (std::size_t index = 0; index < members_.size(); ++index) {
      begin_part(index, caller);
    }
    if (expired && some_are_missing()) {
      fail(timed_out());
    }
    count_down();
  }

  bool claim_to_cancel() noexcept override { return begin_to_fail(stop_outcome()); }
  void finish_cancel() noexcept override { cancel_parts(); }

  /// Ends everything with an error, unless it ends already: cancels the parts, which then arrive.
  void fail(const std::exception_ptr& error) noexcept {
    if (begin_to_fail(error)) {
      cancel_parts();
    }
  }

  /// Says that a part has its outcome.
  void arrive(std::size_t index) noexcept {
    base::ref_ptr<operation> part;
    {
      const std::scoped_lock lock(mutex_);
      std::swap(part, parts_[index]);
    }
    count_down();
  }

 protected:
  ~group_operation() override = default;

  /// Makes the part and enrolls it with its member; may throw.
  virtual void enroll(std::size_t index, const void* caller) = 0;
  /// Takes the error of a part that could not be enrolled; arrive() follows.
  virtual void could_not_enroll(std::size_t index, const std::exception_ptr& error) noexcept = 0;
  [[nodiscard]] virtual std::exception_ptr timed_out() const noexcept { return stop_outcome(); }

  [[nodiscard]] timer_core& member(std::size_t index) const noexcept { return *members_[index]; }
  /// Lets fail() find a part; precedes its enrollment.
  void keep(std::size_t index, base::ref_ptr<operation> part) noexcept {
    const std::scoped_lock lock(mutex_);
    std::swap(parts_[index], part);
  }

  /// Precedes the completion, as waiter::may_complete().
  bool may_complete() noexcept { return deadline_.let_go(); }

  mutable base::word_lock mutex_;
  std::exception_ptr error_;

 private:
  /// Keeps the error, and counts as one that is missing, until all parts have been cancelled; false
  /// if everything ends already.
  bool begin_to_fail(const std::exception_ptr& error) noexcept {
    const std::scoped_lock lock(mutex_);
    if (error_ || missing_ == 0) {
      return false;
    }
    error_ = error;
    ++missing_;
    return true;
  }
  void cancel_parts() noexcept {
    for (auto& each : parts_) {
      base::ref_ptr<operation> part;
      {
        const std::scoped_lock lock(mutex_);
        part = each;
      }
      if (part) {
        part->cancel();
      }
    }
    count_down();
  }

  struct expiry final : deadline {
    explicit expiry(group_operation& bounded) noexcept : owner(&bounded) {}
    std::optional<rearm> on_due() noexcept override {
      end_with(owner->timed_out());
      return std::nullopt;
    }
    void on_shutdown() noexcept override { end_with(context_went_away()); }
    void end_with(const std::exception_ptr& error) noexcept {
      owner->fail(error);
      if (arrive()) {
        owner->complete();
      }
    }
    group_operation* owner;
  };

  /// Enrolls even what is to be cancelled at once: a trigger fires all members, a cancel stops all.
  void begin_part(std::size_t index, const void* caller) noexcept {
    try {
      enroll(index, caller);
    } catch (...) {
      could_not_enroll(index, std::current_exception());
      arrive(index);
      return;
    }
    // A failure that came between keep() and the enrollment found nothing to cancel.
    base::ref_ptr<operation> late;
    {
      const std::scoped_lock lock(mutex_);
      if (error_) {
        late = parts_[index];
      }
    }
    if (late) {
      late->cancel();
    }
  }

  [[nodiscard]] bool some_are_missing() const noexcept {
    const std::scoped_lock lock(mutex_);
    return missing_ > 1;
  }

  /// Counts a part, or who begins or cancels the parts, so that nothing completes meanwhile.
  void count_down() noexcept {
    bool last = false;
    {
      const std::scoped_lock lock(mutex_);
      last = --missing_ == 0;
    }
    if (last) {
      complete();
    }
  }

  const timer_cores members_;
  std::vector<base::ref_ptr<operation>> parts_;
  std::size_t missing_;
  expiry deadline_;
};

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_TIMER_GROUP_OPERATION_HPP
