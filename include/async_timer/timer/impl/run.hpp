// The bodies of core.hpp: the way of a tick and the end of a run.
#ifndef ASYNC_TIMER_TIMER_IMPL_RUN_HPP
#define ASYNC_TIMER_TIMER_IMPL_RUN_HPP

#include <async_timer/net/errors.hpp>
#include <async_timer/timer/core.hpp>
#include <async_timer/timer/report.hpp>
#include <async_timer/timer/stop_watch.hpp>
#include <async_timer/timer/waiter.hpp>
#include <mutex>
#include <utility>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

// --- the way of a tick

inline core::time_point timer_core::tick_time() const noexcept {
  const auto flags = state();
  if ((flags & paced) != 0) [[unlikely]] {
    return my_scheduler().is_virtual() ? my_scheduler().now() : cold_->own_pace->now();
  }
  // A fixed delay counts from the end of the target, so there every nanosecond is owed.
  if ((flags & fixed_rate) != 0) {
    const auto recent = my_scheduler().recently();
    // What this thread read last may be older than the tick before, which another one counted.
    if (recent.time_since_epoch().count() >= last_tick_at_.load(std::memory_order_relaxed))
        [[likely]] {
      return recent;
    }
  }
  return my_scheduler().now();
}

inline bool timer_core::begin_tick() noexcept {
  constexpr auto unusual = phase_mask | stop_requested | triggered | first_tick | paced;
  if ((state_.load(std::memory_order_acquire) & unusual) != scheduled) [[unlikely]] {
    return begin_with_care();
  }
  return true;
}

inline bool timer_core::begin_with_care() noexcept {
  if (has(paced) && sleeps_before_first_tick()) {
    return false;
  }
  std::uint32_t before = 0;
  {
    const std::scoped_lock lock(lock_);  // start() may not be through yet on another thread
    before = state();
    lower(triggered | first_tick);
  }
  if ((before & stop_requested) != 0) {
    end_run(nullptr);
    return false;
  }
  if ((before & fixed_rate) != 0 && (before & (triggered | first_tick)) != 0) {
    const auto now = (before & paced) != 0 ? tick_time() : my_scheduler().now();
    pacemaker_.emit(mode::fixed_rate, now, delay(),
                    (before & triggered) != 0 ? core::emission::cut_short : core::emission::first);
  }
  return true;
}

inline void timer_core::count_tick(core::time_point now) noexcept {
  last_tick_at_.store(now.time_since_epoch().count(), std::memory_order_release);
  hit_count_.store(hit_count_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

inline void timer_core::claim_ticked(operation_list& claimed) noexcept {
  if (!cold_) {
    return;
  }
  for (operation* next = cold_->waiters.front(); next != nullptr;) {
    auto& op = static_cast<waiter&>(*std::exchange(next, next->next));
    if (op.what() == awaited::end || (op.what() == awaited::count && hit_count() < op.goal())) {
      continue;
    }
    cold_->waiters.claim(op);
    store_outcome(op);
    claimed.push_back(op);
  }
}

inline core::step timer_core::next_step(core::time_point now) noexcept {
  const auto pause = delay();
  const double jitter = cold_ ? cold_->jitter : 0;
  const double draw = core::pacemaker::needs_draw(jitter, pause) ? cold_->random->next_unit() : 0;
  return pacemaker_.next(has(fixed_rate) ? mode::fixed_rate : mode::fixed_delay, now, pause, jitter,
                         draw);
}

inline std::optional<rearm> timer_core::schedule_next(core::time_point now) noexcept {
  core::step step{.due = now};
  if (!has(stop_requested) && !has(triggered)) {
    step = next_step(now);
    if (step.skipped > 0 && !base::log_holds_back(skip_event, cold_ ? std::string_view(cold_->name)
                                                                    : std::string_view())) {
      set_phase(settling);
      lock_.unlock();
      report_skipped(*this, step, delay());
      lock_.lock();
    }
  }
  if (has(paced) && step.due > now && !has(stop_requested) && !has(triggered)) [[unlikely]] {
    if (const auto failure = sleep_locked(step.due - now)) {
      lock_.unlock();
      end_run(failure);
      return std::nullopt;
    }
    now = tick_time();
  }
  if (has(stop_requested)) {
    lock_.unlock();
    end_run(nullptr);
    return std::nullopt;
  }
  set_phase(scheduled);
  return rearm{.due = has(triggered) ? now : step.due, .now = now, .delay = delay()};
}

/// Tells the pace of a sleep, with the lock opened meanwhile; gives what that threw.
inline std::exception_ptr timer_core::sleep_locked(std::chrono::nanoseconds asked_for) noexcept {
  const auto own = cold_->own_pace;
  const bool own_time = !my_scheduler().is_virtual();
  std::exception_ptr failure;
  set_phase(settling);
  lock_.unlock();
  try {
    own->sleep(asked_for, own_time);
  } catch (...) {
    failure = std::current_exception();
  }
  lock_.lock();
  return failure;
}

/// Sleeps through the initial delay of a timer with a pace; then its node is armed again already.
inline bool timer_core::sleeps_before_first_tick() noexcept {
  std::exception_ptr failure;
  {
    const std::scoped_lock lock(lock_);  // start() may not be through yet on another thread
    if (!has(first_tick)) {
      return false;
    }
    const auto now = tick_time();
    const auto due = std::exchange(cold_->first_due, now);
    if (due <= now || has(stop_requested) || has(triggered)) {
      return false;
    }
    failure = sleep_locked(due - now);
    if (!failure) {
      try {
        const auto woken = tick_time();
        const bool now_due = has(stop_requested) || has(triggered);
        set_phase(scheduled);
        my_scheduler().arm(*this, {.due = now_due ? woken : due, .now = woken, .delay = delay()});
        return true;
      } catch (...) {
        failure = std::current_exception();
      }
    }
  }
  end_run(failure);
  return true;
}

// --- the end of a run

inline void timer_core::record_failure(const std::exception_ptr& failure,
                                       std::exception_ptr& former) noexcept {
  try {
    cold_state& rare = cold();
    rare.sticky_failure = failure;
    former = std::exchange(rare.last_failure, failure);
    rare.last_failure_at = has(paced) ? tick_time() : my_scheduler().now();
    ++rare.failure_count;
  } catch (...) {
    // No memory for the telemetry: the failure still reaches on_error, or the log.
  }
}

inline void timer_core::claim_waiters(const std::exception_ptr& failure,
                                      operation_list& claimed) noexcept {
  while (cold_ && !cold_->waiters.empty()) {
    auto& op = static_cast<waiter&>(*cold_->waiters.front());
    cold_->waiters.claim(op);
    if (failure) {
      op.set_error(failure);
    } else if (op.what() == awaited::end) {
      store_outcome(op);
    } else if (op.what() != awaited::tick_or_end) {
      op.set_error(stop_outcome());
    }
    claimed.push_back(op);
  }
}

inline void timer_core::end_run(const std::exception_ptr& outcome) noexcept {
  std::exception_ptr former_failure;  // may own what calls us when destroyed: not under the lock
  base::ref_ptr<stop_watch> watch;
  bool failed = false;
  {
    const std::scoped_lock lock(lock_);
    // Who answers a requested stop with the cancellation that came of it has not failed (D7).
    failed = outcome && !(has(stop_requested) && is_stopped(outcome));
    set_phase(ending);
    if (failed) {
      record_failure(outcome, former_failure);
    }
    if (cold_) {
      watch = cold_->watch;
    }
  }
  const std::exception_ptr failure = failed ? outcome : nullptr;
  if (!watch || !watch->hold_back(*this, failure)) {
    finish_run(failure);
  }
}

inline void timer_core::finish_run(const std::exception_ptr& failure) noexcept {
  base::ref_ptr<stop_watch> watch;
  operation_list claimed;
  std::optional<last_words> words;
  {
    const std::scoped_lock lock(lock_);
    if (failure || cold_) {
      words.emplace(failure);
    }
    if (cold_) {
      watch = std::exchange(cold_->watch, nullptr);
      claim_waiters(failure, claimed);
      words->on_error = cold_->on_error;
      words->on_stop = cold_->on_stop;
    }
  }
  if (words) {
    say(*words);
    // What the callbacks captured is not to outlive the completion of cancel().
    words->on_error = {};
    words->on_stop = {};
  } else {
    const base::inside_scope inside(this);
    end_target_run();
  }
  operation_list stop_waiters;
  leave_run(stop_waiters);
  claimed.complete_all();
  if (words) {
    tell_all(words->feeds);
    tell_all(words->late_feeds);
    words.reset();
  }
  stop_waiters.complete_all();
  release();
}

/// Tells all but those who wait, and the consumers of feeds, that the run is over; no lock held.
inline void timer_core::say(last_words& words) noexcept {
  words.feeds = end_feeds(words.failure);
  const base::inside_scope inside(this);
  end_target_run();
  if (words.failure) {
    call_on_error(words.on_error, words.failure);
    words.late_feeds = end_feeds(nullptr);  // contract 13.27
  }
  call_on_stop(words.on_stop);
}

inline std::shared_ptr<const feed_list> timer_core::end_feeds(
    const std::exception_ptr& failure) noexcept {
  std::shared_ptr<const feed_list> ended;
  {
    const std::scoped_lock lock(lock_);
    if (cold_) {
      ended = std::exchange(cold_->feeds, nullptr);
    }
  }
  end_all(ended, failure);
  return ended;
}

inline void timer_core::end_all(const std::shared_ptr<const feed_list>& feeds,
                                const std::exception_ptr& failure) noexcept {
  if (feeds) {
    for (const auto& feed : *feeds) {
      feed->end(failure);
    }
  }
}

inline void timer_core::tell_all(const std::shared_ptr<const feed_list>& feeds) noexcept {
  if (feeds) {
    for (const auto& feed : *feeds) {
      feed->tell_end();
    }
  }
}

inline void timer_core::call_on_error(const error_callback& on_error,
                                      const std::exception_ptr& failure) noexcept {
  if (!on_error) {
    report_failure(*this, failure);
    return;
  }
  try {
    on_error(reference(), failure);
  } catch (...) {
    report_callback_failure(*this, "on_error", std::current_exception());
  }
}

inline void timer_core::call_on_stop(const stop_callback& on_stop) noexcept {
  if (!on_stop) {
    return;
  }
  try {
    on_stop(reference());
  } catch (...) {
    report_callback_failure(*this, "on_stop", std::current_exception());
  }
}

inline void timer_core::abandon_run() noexcept {
  operation_list waiters;
  base::ref_ptr<stop_watch> watch;
  {
    const std::scoped_lock lock(lock_);
    set_phase(ending);
    if (cold_) {
      watch = std::exchange(cold_->watch, nullptr);
      cold_->waiters.claim_all(waiters);
    }
  }
  if (watch) {
    watch->abandon();
  }
  const auto feeds = end_feeds(nullptr);
  end_target_run();
  operation_list stop_waiters;
  leave_run(stop_waiters);
  tell_all(feeds);
  waiters.abandon_all();
  stop_waiters.abandon_all();
  release();
}

/// Is the last step of a run: from `stopped` on another thread may start the next one. What goes
/// with the handle goes before that, so that whoever waits for the stop finds it gone.
inline void timer_core::leave_run(operation_list& stop_waiters) noexcept {
  lane::leftovers left;  // destroyed without the lock
  std::optional<captures> last;
  std::unique_lock lock(lock_);
  if (has(handle_gone)) {
    take_captures(last);
    lock.unlock();
    {
      const base::inside_scope inside(this);
      release_captures(last);
    }
    lock.lock();
  }
  my_scheduler().end_run(*this, left);
  set_state((state() & lasting) | stopped);
  if (cold_) {
    cold_->stop_waiters.claim_all(stop_waiters);
  }
}

/// Takes what is destroyed with the last handle, or the last run after it; lock held.
inline void timer_core::take_captures(std::optional<captures>& taken) noexcept {
  raise(captures_gone);
  taken.emplace();
  if (cold_) {
    taken->on_error = std::exchange(cold_->on_error, {});
    taken->on_stop = std::exchange(cold_->on_stop, {});
    taken->stop_on = std::exchange(cold_->stop_on, {});
    taken->feeds = std::exchange(cold_->feeds, nullptr);
  }
}

inline void timer_core::release_captures(std::optional<captures>& taken) noexcept {
  if (taken) {
    end_all(taken->feeds, nullptr);
    tell_all(taken->feeds);
    destroy_target();
    taken.reset();
  }
}

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_TIMER_IMPL_RUN_HPP
