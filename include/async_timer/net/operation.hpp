// A pending asynchronous operation, as lists, owners and cancellation slots see it.
// Its owner claims it (unlinks it from the owner's list under the owner's lock) and completes it,
// once.
#ifndef ASYNC_TIMER_NET_OPERATION_HPP
#define ASYNC_TIMER_NET_OPERATION_HPP

#include <async_timer/base/ref_ptr.hpp>
#include <async_timer/base/word_lock.hpp>
#include <async_timer/net/asio.hpp>
#include <mutex>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

/// Is the part of an operation that is the same for all handlers.
///
/// It is born with one reference, which complete() or abandon() consumes. If it has a handler
/// nobody else may have one then: the memory is the handler's, and may go with it.
class operation : public base::ref_counted {
 public:
  /// Posts the completion with the outcome stored before; call it once, after claiming.
  virtual void complete() noexcept = 0;
  /// Destroys the handler unrun, because its context is going away; call it once, after claiming.
  virtual void abandon() noexcept = 0;
  /// Claims it, to end it alone; true: finish_cancel() is to follow. Calls nobody.
  virtual bool claim_to_cancel() noexcept = 0;
  virtual void finish_cancel() noexcept { complete(); }
  /// Ends this operation alone, unless it ends already; for who knows that it is there.
  void cancel() noexcept {
    if (claim_to_cancel()) {
      finish_cancel();
    }
  }

  // Guarded by the owner's lock.
  operation* prev = nullptr;
  operation* next = nullptr;
  bool waiting =
      false;  ///< in the owner's list, so anybody may claim it; false for good after that
};

/// Is a list through the operations themselves: linking needs no memory, unlinking no search.
class operation_list {
 public:
  operation_list() = default;
  operation_list(const operation_list&) = delete;
  operation_list& operator=(const operation_list&) = delete;

  [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }
  [[nodiscard]] operation* front() const noexcept { return first_; }

  void push_back(operation& op) noexcept {
    op.prev = last_;
    op.next = nullptr;
    (last_ != nullptr ? last_->next : first_) = &op;
    last_ = &op;
  }

  void erase(operation& op) noexcept {
    (op.prev != nullptr ? op.prev->next : first_) = op.next;
    (op.next != nullptr ? op.next->prev : last_) = op.prev;
    op.prev = op.next = nullptr;
  }

  /// Adds an operation that may be claimed from now on; with the owner's lock held.
  void enlist(operation& op) noexcept {
    op.waiting = true;
    push_back(op);
  }
  /// Claims an operation of this list; with the owner's lock held.
  void claim(operation& op) noexcept {
    op.waiting = false;
    erase(op);
  }
  /// Claims all and moves them behind those of another list; with the owner's lock held.
  void claim_all(operation_list& claimed) noexcept {
    while (operation* op = first_) {
      claim(*op);
      claimed.push_back(*op);
    }
  }

  /// Completes all, in order; only for a list of claimed operations, with no lock held.
  void complete_all() noexcept {
    while (operation* op = first_) {
      erase(*op);
      op->complete();
    }
  }
  void abandon_all() noexcept {
    while (operation* op = first_) {
      erase(*op);
      op->abandon();
    }
  }

 private:
  operation* first_ = nullptr;
  operation* last_ = nullptr;
};

/// Is what a cancellation slot refers to in place of the operation: that may go first, with its
/// context, while the signal stays.
class slot_link final : public base::ref_counted {
 public:
  explicit slot_link(operation& op) noexcept : op_(&op) {}

  /// Says that the operation goes; from now on nobody finds it here.
  void cut() noexcept {
    const std::scoped_lock lock(lock_);
    op_ = nullptr;
  }
  /// Ends the operation if it is still there. No reference to it is needed: once it is claimed it
  /// waits to be completed.
  void cancel() noexcept {
    operation* claimed = nullptr;
    {
      const std::scoped_lock lock(lock_);
      if (op_ != nullptr && op_->claim_to_cancel()) {
        claimed = op_;
      }
    }
    if (claimed != nullptr) {
      claimed->finish_cancel();
    }
  }

 private:
  base::word_lock lock_;  ///< taken before that of the operation's owner
  operation* op_;
};

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_NET_OPERATION_HPP
