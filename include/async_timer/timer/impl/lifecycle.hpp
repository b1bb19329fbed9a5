// The bodies of core.hpp: the beginning of a run, and the requests to end it.
#ifndef ASYNC_TIMER_TIMER_IMPL_LIFECYCLE_HPP
#define ASYNC_TIMER_TIMER_IMPL_LIFECYCLE_HPP

#include <async_timer/base/errors.hpp>
#include <async_timer/timer/core.hpp>
#include <async_timer/timer/stop_watch.hpp>
#include <mutex>
#include <utility>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

inline void timer_core::start(base::ref_ptr<lane> where) {
  beginning run{.where = std::move(where)};
  begin_start(run);
  end_start(run);
}

inline void timer_core::begin_start(beginning& run) {
  const std::scoped_lock lock(lock_);
  check_startable();
  const bool moves = run.where && !(run.is_fallback && node_lane() != nullptr);
  if (moves) {
    exchange_lane(run.where);
  }
  try {
    start_locked(run);
  } catch (...) {
    if (moves) {
      exchange_lane(run.where);
    }
    throw;
  }
}

inline void timer_core::end_start(const beginning& run) const {
  if (run.watch) {
    run.watch->begin(executor());
  }
}

inline void timer_core::exchange_lane(base::ref_ptr<lane>& with) noexcept {
  lane* const former = node_lane();
  set_node_lane(with.detach());
  with = base::ref_ptr<lane>::adopt(former);
}

inline void timer_core::check_startable() const {
  if (current_phase() != stopped) {
    throw timer_already_running_error(
        is_running() ? "Already running: the timer was started before"
                     : "Already running: the timer's last run is still cleaning up; await cancel() "
                       "before start()");
  }
  if (cold_ && cold_->runs_once && has(ever_started)) {
    throw timer_restart_error(
        "the timer was made with stop_on and has had its run, since its signals can't be armed "
        "again: build a new timer");
  }
}

/// Changes nothing if it throws. Who waits for stop signals is to begin with no lock held.
inline void timer_core::start_locked(beginning& run) {
  if (node_lane() == nullptr) {
    throw threadsafe_dispatch_error("the timer has no executor yet: call start(executor)");
  }
  scheduler& clock = my_scheduler();
  base::ref_ptr<stop_watch> watch;
  if (cold_ && cold_->runs_once) {
    watch = base::ref_ptr<stop_watch>::adopt(new stop_watch(*this, *node_lane(), cold_->stop_on));
  }
  const auto now = has(paced) ? tick_time() : clock.now();
  auto fresh = pacemaker_;
  const auto due = fresh.start(now, initial_delay_);
  const auto armed_for = watch ? core::time_point::max() : has(paced) ? now : due;
  clock.begin_run(*this, {.due = armed_for, .now = now, .delay = delay()}, run.unused);
  // Nothing throws from here on; whoever already calls this node waits for the lock.
  pacemaker_ = fresh;
  if (cold_) {
    run.former_failure = std::exchange(cold_->sticky_failure, nullptr);
    if (cold_->jitter > 0 && !cold_->random) {
      cold_->random.emplace(clock.next_seed());
    }
  }
  if (watch) {
    cold_->stop_on = {};
    cold_->watch = watch;
  }
  if (watch || has(paced)) {
    cold_->first_due = due;
  }
  add_ref();
  set_state((state() & lasting) | ever_started | scheduled | first_tick | (watch ? arming : 0U));
  run.watch = std::move(watch);
}

inline void timer_core::begin_ticking() noexcept {
  std::exception_ptr failure;
  {
    const std::scoped_lock lock(lock_);
    lower(arming);
    if (has(stop_requested) || !my_scheduler().disarm(*this)) {
      return;  // on its way to its end, or there already
    }
    const auto now = my_scheduler().now();
    const bool now_due = has(triggered) || has(paced);
    try {
      my_scheduler().arm(*this,
                         {.due = now_due ? now : cold_->first_due, .now = now, .delay = delay()});
    } catch (...) {
      failure = std::current_exception();
    }
  }
  if (failure) {
    end_run(failure);
  }
}

inline void timer_core::request_stop() noexcept {
  bool interrupts = false;
  {
    const std::scoped_lock lock(lock_);
    interrupts = request_stop_locked(interrupting);
  }
  if (interrupts) {
    interrupt_target();
  }
}

inline void timer_core::request_graceful_stop() noexcept {
  const std::scoped_lock lock(lock_);
  static_cast<void>(request_stop_locked(0));
}

/// Tells whether the target, if it runs, is to be interrupted, which needs the lock free. An
/// interrupting stop may follow a graceful one.
inline bool timer_core::request_stop_locked(flag how) noexcept {
  const flag wanted = stop_requested | how;
  if (is_over() || current_phase() == ending || (state() & wanted) == wanted) {
    return false;
  }
  const bool is_first = !has(stop_requested);
  raise(wanted);
  if (is_first && current_phase() == scheduled) {
    my_scheduler().kick(*this);
  }
  return current_phase() == scheduled && how == interrupting;
}

inline void timer_core::detach() noexcept {
  bool interrupts = false;
  std::optional<captures> last;
  {
    const std::scoped_lock lock(lock_);
    raise(handle_gone);
    interrupts = request_stop_locked(interrupting);
    if (is_over()) {
      take_captures(last);
    }
  }
  if (interrupts) {
    interrupt_target();
  }
  release_captures(last);
  release();
}

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_TIMER_IMPL_LIFECYCLE_HPP
