// The bodies of stop_watch.hpp.
#ifndef ASYNC_TIMER_TIMER_IMPL_STOP_WATCH_HPP
#define ASYNC_TIMER_TIMER_IMPL_STOP_WATCH_HPP

#include <async_timer/base/ref_ptr.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/net/errors.hpp>
#include <async_timer/net/tagged_executor.hpp>
#include <async_timer/timer/core.hpp>
#include <async_timer/timer/report.hpp>
#include <async_timer/timer/stop_signals.hpp>
#include <async_timer/timer/stop_watch.hpp>
#include <cstddef>
#include <exception>
#include <mutex>
#include <new>
#include <thread>
#include <utility>
#include <vector>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

// --- arming

inline void stop_watch::begin(const net::any_io_executor& plain) noexcept {
  posting posted;
  try {
    const auto serial = base::ref_ptr<executor_tag>::adopt(new executor_tag(plain));
    serial->begin_tracking();
    const std::scoped_lock lock(post_lock_);
    if (timer()) {
      serial_ = serial;
      posted = post(&stop_watch::arm);
      has_begun_ = posted.how == posting::done;
      if (!has_begun_) {
        serial_ = nullptr;
      }
    }
  } catch (...) {
    posted = {posting::no_memory, std::current_exception()};
  }
  if (posted.how != posting::done) {
    finished(posted.failure);  // a run that its signals could not stop must not go on
  }
}

inline void stop_watch::arm() noexcept {
  for (std::size_t i = 0; timer() && i < signals_.list_->size(); ++i) {
    try {
      (*signals_.list_)[i]->arm(*this);
    } catch (...) {
      finished(std::current_exception());
    }
  }
  go_round();
}

inline void stop_watch::go_round() noexcept {
  const auto timer = this->timer();
  if (timer && !post_round(&stop_watch::go_round)) {
    timer->begin_ticking();
  }
}

inline void stop_watch::finished(const std::exception_ptr& failure) noexcept {
  const auto timer = take_timer();
  if (!timer) {
    return;
  }
  if (failure && !is_stopped(failure)) {
    report_signal_failure(*timer, failure);
  }
  timer->request_graceful_stop();
  // Where an executor calls this when it is given a step, the lock is ours: then the others are let
  // go at the end of the run.
  if (!is_posting_here() && post_let_go() == posting::no_memory) {
    try_again(lane_->owner());
  }
}

// --- letting go

inline bool stop_watch::hold_back(timer_core& run, const std::exception_ptr& failure) noexcept {
  stop_signals never_armed;  // destroyed without the lock
  static_cast<void>(take_timer());
  {
    const std::scoped_lock lock(post_lock_);
    if (!has_begun_) {
      never_armed = std::exchange(signals_, {});
      return false;
    }
    run_ = &run;
    failure_ = failure;
  }
  if (!try_now()) {
    try_again(lane_->owner());
  }
  return true;
}

inline stop_watch::posting::result stop_watch::post_let_go() noexcept {
  const std::scoped_lock lock(post_lock_);
  return has_begun_ ? post(&stop_watch::let_go).how : posting::done;
}

inline bool stop_watch::try_now() noexcept {
  const auto posted = post_let_go();
  if (posted == posting::impossible) {
    // What was begun goes on until it finishes, and reaches nobody. Nothing runs on the executor
    // any more, so that its part may be done here.
    finish();
  }
  return posted != posting::no_memory;
}

inline void stop_watch::let_go() noexcept {
  if (std::exchange(is_letting_go_, true)) {
    return;
  }
  for (const auto& each : armed_) {
    each->cancel();
  }
  signals_ = {};  // what they captured goes before the run is over
  rounds_left_ = most_rounds;
  await_armed();
}

/// What the signals captured may go when the run is over, so one that was cancelled has its chance
/// to unwind before. Not more than that: it may not care, and is not to keep the run from its end.
inline void stop_watch::await_armed() noexcept {
  std::erase_if(armed_, [](const auto& each) { return each->use_count() == 1; });
  if (armed_.empty() || !post_round(&stop_watch::await_armed)) {
    finish();
  }
}

/// Is the last thing to happen: from here on the context may go.
inline void stop_watch::finish() noexcept {
  std::exception_ptr failure;
  timer_core* run = nullptr;
  {
    auto rest = take_all();  // the rest goes before the run is over
    failure = std::move(rest.failure);
    run = rest.run;
  }
  if (run != nullptr) {
    run->finish_run(failure);
  }
}

inline void stop_watch::abandon() noexcept {
  static_cast<void>(take_timer());
  static_cast<void>(take_all());
}

inline stop_watch::remains stop_watch::take_all() noexcept {
  remains taken;
  {
    const std::scoped_lock lock(post_lock_);
    has_begun_ = false;
    taken = {.run = std::exchange(run_, nullptr),
             .failure = std::exchange(failure_, nullptr),
             .signals = std::exchange(signals_, {}),
             .armed = std::exchange(armed_, {}),
             .serial = std::exchange(serial_, nullptr)};
  }
  for (const auto& each : taken.armed) {
    each->abandon();
  }
  return taken;
}

// --- posting, and what may become of it

inline stop_watch::posting stop_watch::post(step next) noexcept {
  if (is_stuck_) {
    return {posting::impossible, nullptr};
  }
  posting posted;
  was_dropped_ = false;
  poster_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  try {
    net::post(serial_->serial(true), posted_step(*this, next));
    if (was_dropped_) {
      posted.how = posting::impossible;
    }
  } catch (const std::bad_alloc&) {
    // If the step is left the strand has it, and nobody to run it.
    posted = {was_dropped_ ? posting::no_memory : posting::impossible, std::current_exception()};
  } catch (...) {
    posted = {posting::impossible, std::current_exception()};
  }
  poster_.store({}, std::memory_order_relaxed);
  is_stuck_ = posted.how == posting::impossible;
  return posted;
}

/// Takes one more round of the executor; false: that was the last, or there is no memory for it.
inline bool stop_watch::post_round(step next) noexcept {
  const std::scoped_lock lock(post_lock_);
  return rounds_left_-- > 0 && has_begun_ && post(next).how == posting::done;
}

inline void stop_watch::step_dropped() noexcept {
  if (is_posting_here()) {
    was_dropped_ = true;
  } else if (lane_->owner().is_dead()) {
    give_up();
  }
}

inline void stop_watch::give_up() noexcept {
  static_cast<void>(take_timer());
  timer_core* const run = take_all().run;
  if (run != nullptr) {
    run->abandon_run();
  }
}

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_TIMER_IMPL_STOP_WATCH_HPP
