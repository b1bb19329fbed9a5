// Who wants to know that an execution context goes away, without being scheduled there.
#ifndef ASYNC_TIMER_SCHEDULER_SHUTDOWN_LISTENER_HPP
#define ASYNC_TIMER_SCHEDULER_SHUTDOWN_LISTENER_HPP

#include <async_timer/net/asio.hpp>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

/// Is linked in at most one scheduler, by scheduler::watch(); unlinked before on_shutdown().
class shutdown_listener {
 public:
  shutdown_listener() = default;
  shutdown_listener(const shutdown_listener&) = delete;
  shutdown_listener& operator=(const shutdown_listener&) = delete;

  /// Frees what waits and calls nobody; may destroy this object.
  virtual void on_shutdown() noexcept = 0;

 protected:
  virtual ~shutdown_listener() = default;

 private:
  friend class scheduler;
  shutdown_listener* prev_listener_ = nullptr;
  shutdown_listener* next_listener_ = nullptr;
  bool is_watching_ = false;
};

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_SCHEDULER_SHUTDOWN_LISTENER_HPP
