// Who wants to know that an execution context goes away, without being scheduled there.
#ifndef ASYNC_TIMER_SCHEDULER_SHUTDOWN_LISTENER_HPP
#define ASYNC_TIMER_SCHEDULER_SHUTDOWN_LISTENER_HPP

#include <async_timer/net/asio.hpp>
#include <utility>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

/// Is linked in at most one scheduler, by scheduler::watch(); unlinked before on_shutdown(), for
/// which it must stay.
class shutdown_listener {
 public:
  shutdown_listener() = default;
  shutdown_listener(const shutdown_listener&) = delete;
  shutdown_listener& operator=(const shutdown_listener&) = delete;

  /// Frees what waits; completes only what somebody else has claimed. May destroy this object.
  virtual void on_shutdown() noexcept = 0;

 protected:
  virtual ~shutdown_listener() = default;

 private:
  friend class shutdown_listeners;
  shutdown_listener* prev_listener_ = nullptr;
  shutdown_listener* next_listener_ = nullptr;
  bool is_watching_ = false;
};

/// Is a list of them, through themselves; guarded by its owner.
class shutdown_listeners {
 public:
  void link(shutdown_listener& listener) noexcept {
    if (std::exchange(listener.is_watching_, true)) {
      return;
    }
    listener.prev_listener_ = nullptr;
    listener.next_listener_ = first_;
    if (first_ != nullptr) {
      first_->prev_listener_ = &listener;
    }
    first_ = &listener;
  }
  /// Tells whether it was linked; if not, on_shutdown() has been called, or is about to be.
  bool unlink(shutdown_listener& listener) noexcept {
    if (!std::exchange(listener.is_watching_, false)) {
      return false;
    }
    (listener.prev_listener_ != nullptr ? listener.prev_listener_->next_listener_ : first_) =
        listener.next_listener_;
    if (listener.next_listener_ != nullptr) {
      listener.next_listener_->prev_listener_ = listener.prev_listener_;
    }
    return true;
  }
  /// Unlinks any one; null if there is none.
  shutdown_listener* pop() noexcept {
    shutdown_listener* const next = first_;
    if (next != nullptr) {
      unlink(*next);
    }
    return next;
  }

 private:
  shutdown_listener* first_ = nullptr;
};

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_SCHEDULER_SHUTDOWN_LISTENER_HPP
