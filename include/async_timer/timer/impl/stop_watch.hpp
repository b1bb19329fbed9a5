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
  try {
    const auto serial = base::ref_ptr<executor_tag>::adopt(new executor_tag(plain));
    serial->begin_tracking();
    {
      const std::scoped_lock lock(lock_);
      if (timer_ == nullptr) {
        return;
      }
      serial_ = serial;
      has_begun_ = true;
    }
    net::post(serial->serial(true), posted_step(*this, &stop_watch::arm));
  } catch (...) {
    // No memory: a run that its signals could not stop must not go on.
    finished(std::current_exception());
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
  post_let_go();
}

// --- letting go

inline bool stop_watch::hold_back(timer_core& run, const std::exception_ptr& failure) noexcept {
  {
    const std::scoped_lock lock(lock_);
    timer_ = nullptr;
    if (!has_begun_) {
      return false;
    }
    run_ = &run;
    failure_ = failure;
  }
  post_let_go();
  return true;
}

inline void stop_watch::post_let_go() noexcept {
  auto posted = posting::done;
  {
    const std::scoped_lock lock(lock_);
    if (has_begun_) {
      posted = post(&stop_watch::let_go);
    }
  }
  if (posted == posting::no_memory) {
    try_again(lane_->owner());
  } else if (posted == posting::impossible) {
    finish();  // the signals stay until they finish, and reach nobody
  }
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
    armed_.clear();
    finish();
  }
}

/// Is the last thing to happen: from here on the context may go.
inline void stop_watch::finish() noexcept {
  base::ref_ptr<executor_tag> serial;
  std::exception_ptr failure;
  timer_core* run = nullptr;
  {
    const std::scoped_lock lock(lock_);
    has_begun_ = false;
    serial = std::move(serial_);
    failure = std::exchange(failure_, nullptr);
    run = std::exchange(run_, nullptr);
  }
  if (run != nullptr) {
    run->finish_run(failure);
  }
}

// --- posting, and what may become of it

inline stop_watch::posting stop_watch::post(step next) noexcept {
  auto posted = posting::done;
  was_dropped_ = false;
  poster_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  try {
    net::post(serial_->serial(true), posted_step(*this, next));
    posted = was_dropped_ ? posting::impossible : posting::done;
  } catch (const std::bad_alloc&) {
    posted = posting::no_memory;
  } catch (...) {
    posted = posting::impossible;
  }
  was_dropped_ = false;
  poster_.store({}, std::memory_order_relaxed);
  return posted;
}

/// Takes one more round of the executor; false: that was the last, or there is no memory for it.
inline bool stop_watch::post_round(step next) noexcept {
  const std::scoped_lock lock(lock_);
  return rounds_left_-- > 0 && has_begun_ && post(next) == posting::done;
}

inline void stop_watch::step_dropped() noexcept {
  if (poster_.load(std::memory_order_relaxed) == std::this_thread::get_id()) {
    was_dropped_ = true;  // in post(), with the lock held
    return;
  }
  const bool is_dead = lane_->owner().is_dead();
  timer_core* run = nullptr;
  {
    const std::scoped_lock lock(lock_);
    if (!has_begun_) {
      return;
    }
    run = run_;
    was_dropped_ = run != nullptr;
    if (is_dead) {
      timer_ = run_ = nullptr;
      has_begun_ = false;
    }
  }
  if (is_dead) {
    drop_signals();
    if (run != nullptr) {
      run->abandon_run();
    }
  } else if (run != nullptr) {
    try_again(lane_->owner());
  }
}

inline bool stop_watch::try_now() noexcept {
  {
    const std::scoped_lock lock(lock_);
    if (!has_begun_) {
      return true;
    }
    const auto posted = was_dropped_ ? posting::impossible : post(&stop_watch::let_go);
    if (posted != posting::impossible) {
      return posted == posting::done;
    }
  }
  finish();
  return true;
}

inline void stop_watch::abandon() noexcept {
  {
    const std::scoped_lock lock(lock_);
    timer_ = nullptr;
    has_begun_ = false;
    run_ = nullptr;
  }
  drop_signals();
}

inline void stop_watch::drop_signals() noexcept {
  const auto armed = std::exchange(armed_, {});
  const auto signals = std::exchange(signals_, {});
  for (const auto& each : armed) {
    each->abandon();
  }
  serial_ = {};
}

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_TIMER_IMPL_STOP_WATCH_HPP
