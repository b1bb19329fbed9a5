// Something that must be done, and can't be here or now: for want of memory, or since this is no
// thread of the context. It is tried in each turn of a scheduler, which needs no memory.
#ifndef ASYNC_TIMER_SCHEDULER_RETRY_HPP
#define ASYNC_TIMER_SCHEDULER_RETRY_HPP

#include <async_timer/base/ref_ptr.hpp>
#include <async_timer/base/schedule_point.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/scheduler/schedule_node.hpp>
#include <async_timer/scheduler/scheduler.hpp>
#include <atomic>
#include <exception>
#include <optional>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

/// An attempt fails for want of memory only, which passes: with an executor that is broken it would
/// go on for ever, and keep a processor busy.
class retry : public base::ref_counted, private schedule_node {
 public:
  /// Tries from the next turn on, and lives until then. From any thread; no effect while it tries.
  /// False: it does not, since the context is gone.
  [[nodiscard]] bool try_again(scheduler& clock) noexcept {
    if (is_trying_.exchange(true, std::memory_order_acq_rel)) {
      return true;
    }
    add_ref();
    clock_ = &clock;
    try {
      const auto now = clock.now();
      clock.arm(*this, {.due = now, .now = now});
    } catch (...) {
      is_trying_.store(false, std::memory_order_release);
      release();
      return false;
    }
    return true;
  }

 protected:
  ~retry() override = default;

  /// Tells whether it is done, or hopeless; called in a turn.
  virtual bool try_now() noexcept = 0;
  /// Follows in place of that if the context goes away.
  virtual void give_up() noexcept {}

 private:
  std::optional<rearm> on_due() noexcept final {
    // Whoever finds that it tries no more has asked after this attempt, and arms it anew. What
    // others wrote before they found that it tries is seen by the attempt: hence no plain store.
    is_trying_.exchange(false, std::memory_order_acq_rel);
    if (!try_now() && !is_trying_.exchange(true, std::memory_order_acq_rel)) {
      const auto now = clock_->now();
      return rearm{.due = now, .now = now};
    }
    release();
    return std::nullopt;
  }
  void on_lost(const std::exception_ptr&) noexcept final { on_shutdown(); }
  void on_shutdown() noexcept final {
    is_trying_.store(false, std::memory_order_release);
    give_up();
    release();
  }

  scheduler* clock_ = nullptr;
  base::atomic<bool> is_trying_{false};
};

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_SCHEDULER_RETRY_HPP
