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
#include <utility>
#include <vector>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

// --- arming

inline void stop_watch::begin(const net::any_io_executor& plain) noexcept {
  base::ref_ptr<executor_tag> serial;
  posting posted;
  try {
    serial = base::ref_ptr<executor_tag>::adopt(new executor_tag(plain));
    serial->begin_tracking();
    {
      const std::scoped_lock lock(lock_);
      if (timer_ == nullptr) {
        return;
      }
      serial_ = serial;
      has_begun_ = true;
    }
    posted = post(*serial, &stop_watch::arm);
  } catch (...) {
    posted = {posting::no_memory, std::current_exception()};
  }
  if (posted.how != posting::done) {
    could_not_begin(posted);
  }
}

inline void stop_watch::could_not_begin(const posting& why) noexcept {
  bool is_ending = false;
  {
    const std::scoped_lock lock(lock_);
    is_ending = run_ != nullptr;
    if (is_ending) {
      // The end of the run may have posted to what was stuck already.
      is_stuck_ = why.how == posting::impossible;
    } else {
      has_begun_ = false;
      serial_ = nullptr;
    }
  }
  if (is_ending) {
    static_cast<void>(try_again(lane_->owner()));
  } else {
    finished(why.failure);  // a run that its signals could not stop must not go on
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
  // This thread may be another context's: to post from here could meet the end of ours.
  static_cast<void>(try_again(lane_->owner()));
}

// --- letting go

inline bool stop_watch::hold_back(timer_core& run, const std::exception_ptr& failure) noexcept {
  stop_signals never_armed;  // destroyed without the lock
  {
    const std::scoped_lock lock(lock_);
    timer_ = nullptr;
    if (!has_begun_) {
      never_armed = std::exchange(signals_, {});
      return false;
    }
    run_ = &run;
    failure_ = failure;
  }
  if (!try_now() && !try_again(lane_->owner())) {
    give_up();
  }
  return true;
}

inline stop_watch::posting::result stop_watch::post_let_go() noexcept {
  base::ref_ptr<executor_tag> serial;
  {
    const std::scoped_lock lock(lock_);
    if (has_begun_ && std::exchange(is_stuck_, false)) {
      return posting::impossible;
    }
    if (!has_begun_ || std::exchange(is_letting_go_, true)) {
      return posting::done;
    }
    serial = serial_;
  }
  const auto posted = post(*serial, &stop_watch::let_go);
  if (posted.how == posting::no_memory) {
    const std::scoped_lock lock(lock_);
    is_letting_go_ = false;
  }
  return posted.how;
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
  release_signals();  // first: an end that comes now waits for that
  std::exception_ptr failure;
  timer_core* run = nullptr;
  {
    auto held = take_run();
    failure = std::move(held.failure);
    run = held.run;
  }
  if (run != nullptr) {
    run->finish_run(failure);
  }
}

inline void stop_watch::abandon() noexcept {
  static_cast<void>(take_run());
  release_signals();
}

inline void stop_watch::give_up() noexcept {
  timer_core* const run = take_run().run;
  release_signals();
  if (run != nullptr) {
    run->abandon_run();
  }
}

inline stop_watch::held_run stop_watch::take_run() noexcept {
  const std::scoped_lock lock(lock_);
  timer_ = nullptr;
  has_begun_ = false;
  return {std::exchange(run_, nullptr), std::exchange(failure_, nullptr),
          std::exchange(serial_, nullptr)};
}

inline void stop_watch::release_signals() noexcept {
  const auto signals = std::exchange(signals_, {});
  const auto armed = std::exchange(armed_, {});
  for (const auto& each : armed) {
    each->abandon();
  }
}

// --- posting, and what may become of it

inline bool stop_watch::attempt::tell_dropped(const stop_watch& watch) noexcept {
  auto* at = innermost_;
  while (at != nullptr && at->watch_ != &watch) {
    at = at->outer_;
  }
  if (at != nullptr) {
    at->was_dropped_ = true;
  }
  return at != nullptr;
}

inline stop_watch::posting stop_watch::post(const executor_tag& serial, step next) noexcept {
  const attempt here(*this);
  try {
    net::post(serial.serial(true), posted_step(*this, next));
    return {here.was_dropped() ? posting::impossible : posting::done};
  } catch (const std::bad_alloc&) {
    // If the step is left the strand has it, and nobody to run it.
    return {here.was_dropped() ? posting::no_memory : posting::impossible,
            std::current_exception()};
  } catch (...) {
    return {posting::impossible, std::current_exception()};
  }
}

/// Takes one more round of the executor; false: that was the last, or there is no memory for it.
inline bool stop_watch::post_round(step next) noexcept {
  base::ref_ptr<executor_tag> serial;
  {
    const std::scoped_lock lock(lock_);
    if (!has_begun_ || rounds_left_-- <= 0) {
      return false;
    }
    serial = serial_;
  }
  return post(*serial, next).how == posting::done;
}

inline void stop_watch::step_dropped() noexcept {
  if (!attempt::tell_dropped(*this) && lane_->owner().is_dead()) {
    give_up();
  }
}

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_TIMER_IMPL_STOP_WATCH_HPP
