// Waits for the stop signals of one run: arms them, asks the timer to stop when the first has
// finished, and lets go of the others.
// All it does with a signal happens on one serial executor over the timer's own, so that arming,
// finishing and cancelling never race; the end of the run and a signal may meet on two threads.
#ifndef ASYNC_TIMER_TIMER_STOP_WATCH_HPP
#define ASYNC_TIMER_TIMER_STOP_WATCH_HPP

#include <async_timer/base/ref_ptr.hpp>
#include <async_timer/base/word_lock.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/net/errors.hpp>
#include <async_timer/net/executor.hpp>
#include <async_timer/net/tagged_executor.hpp>
#include <async_timer/scheduler/lane.hpp>
#include <async_timer/scheduler/retry.hpp>
#include <async_timer/scheduler/scheduler.hpp>
#include <async_timer/timer/core.hpp>
#include <async_timer/timer/report.hpp>
#include <async_timer/timer/stop_signals.hpp>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <new>
#include <thread>
#include <utility>
#include <vector>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

/// Is one signal that is waited for. Destroying it is enough where cancelling is no word.
class armed_signal : public base::ref_counted {
 public:
  /// Ends the wait for it, on the watch's executor.
  virtual void cancel() noexcept {}
  /// As cancel(), but the context is going away: nothing of it may be touched.
  virtual void abandon() noexcept {}
};

class stop_watch final : public retry {
 public:
  /// @param timer  has an active run until disarm() or abandon()
  /// @param where  of that run
  stop_watch(timer_core& timer, lane& where, stop_signals signals) noexcept
      : timer_(&timer), lane_(&where), signals_(std::move(signals)) {}

  // --- called by the timer, with no lock held
  /// Arms the signals soon, and lets the timer tick after that.
  void begin(const net::any_io_executor& plain) noexcept;
  /// Lets go of the signals soon; none of them reaches the timer any more.
  void disarm() noexcept;
  /// Lets go of the signals, because the context goes away.
  void abandon() noexcept;

  // --- called by the signals
  /// Says that a signal has finished; null: it did not fail. From any thread.
  void finished(const std::exception_ptr& failure) noexcept;
  /// Keeps an armed signal until the release; on the executor.
  void keep(base::ref_ptr<armed_signal> armed) { armed_.push_back(std::move(armed)); }
  [[nodiscard]] net::any_io_executor executor() const {
    return net::any_io_executor(tagged_executor(serial_));
  }
  [[nodiscard]] const net::any_io_executor& plain_executor() const noexcept {
    return serial_->plain();
  }

 private:
  // A signal that has finished by the start needs some rounds of the executor to say so: one to
  // begin, one for each hop of a coroutine, one to complete. More rounds than that cost little.
  static constexpr int rounds_before_first_tick = 16;

  /// Takes the step, or hears that the executor dropped it.
  class posted_step {
   public:
    posted_step(stop_watch& watch, void (stop_watch::*step)() noexcept) noexcept
        : self_(&watch), step_(step) {}
    posted_step(posted_step&& other) noexcept
        : self_(std::exchange(other.self_, nullptr)), step_(other.step_) {}
    posted_step& operator=(posted_step&&) = delete;
    ~posted_step() {
      if (self_) {
        self_->step_dropped();
      }
    }
    void operator()() {
      const auto self = std::exchange(self_, nullptr);
      ((*self).*step_)();
    }

   private:
    base::ref_ptr<stop_watch> self_;
    void (stop_watch::*step_)() noexcept;
  };
  void post_step(void (stop_watch::*step)() noexcept) {
    net::post(serial_->serial(true), posted_step(*this, step));
  }
  /// Posts the release; false: there was no memory. With the lock held.
  bool post_let_go() noexcept;
  bool try_now() noexcept override {
    const std::scoped_lock lock(lock_);
    return !has_begun_ || post_let_go();
  }
  void give_up() noexcept override { step_dropped(); }

  void step_dropped() noexcept;
  void arm() noexcept;
  void go_round() noexcept;
  void let_go() noexcept;
  void drop_signals() noexcept;
  [[nodiscard]] base::ref_ptr<timer_core> timer() noexcept {
    const std::scoped_lock lock(lock_);
    return base::ref_ptr<timer_core>(timer_);
  }
  [[nodiscard]] base::ref_ptr<timer_core> take_timer() noexcept {
    const std::scoped_lock lock(lock_);
    return base::ref_ptr<timer_core>(std::exchange(timer_, nullptr));
  }

  base::word_lock lock_;
  timer_core* timer_;       ///< null when a signal has finished or the run is over; guarded
  bool has_begun_ = false;  ///< the executor is set, and its context lives; guarded
  std::atomic<std::thread::id> poster_{};  ///< the thread that posts the release, if one does
  const base::ref_ptr<lane> lane_;
  base::ref_ptr<executor_tag> serial_;  ///< nobody's tag; its copies need no memory

  // Touched on the executor only, and while no other thread can be there.
  stop_signals signals_;
  std::vector<base::ref_ptr<armed_signal>> armed_;
  int rounds_left_ = rounds_before_first_tick;
};

inline void stop_watch::begin(const net::any_io_executor& plain) noexcept {
  try {
    auto serial = base::ref_ptr<executor_tag>::adopt(new executor_tag(plain));
    serial->begin_tracking();
    {
      const std::scoped_lock lock(lock_);
      if (timer_ == nullptr) {
        return;
      }
      serial_ = std::move(serial);
      has_begun_ = true;
    }
    post_step(&stop_watch::arm);
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
  if (!timer) {
    return;
  }
  try {
    if (rounds_left_-- > 0) {
      post_step(&stop_watch::go_round);
      return;
    }
  } catch (...) {
    // No memory for another round: this one was the last.
  }
  timer->begin_ticking();
}

inline void stop_watch::let_go() noexcept {
  // Cancelling may come back here through what it calls.
  const auto armed = std::exchange(armed_, {});
  const auto signals = std::exchange(signals_, {});
  for (const auto& each : armed) {
    each->cancel();
  }
}

inline void stop_watch::disarm() noexcept {
  // The lock is held while posting, so that abandon() waits for it: another timer's end is told on
  // that one's threads, and may meet the end of this context.
  bool is_done = true;
  {
    const std::scoped_lock lock(lock_);
    timer_ = nullptr;
    is_done = !has_begun_ || post_let_go();
  }
  if (!is_done) {
    try_again(lane_->owner());
  }
}

inline bool stop_watch::post_let_go() noexcept {
  bool is_done = true;
  poster_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  try {
    post_step(&stop_watch::let_go);
  } catch (const std::bad_alloc&) {
    is_done = false;
  } catch (...) {
    // A broken executor: the signals stay until they finish, and reach nobody.
  }
  poster_.store({}, std::memory_order_relaxed);
  return is_done;
}

inline void stop_watch::abandon() noexcept {
  {
    const std::scoped_lock lock(lock_);
    timer_ = nullptr;
    has_begun_ = false;
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

inline void stop_watch::step_dropped() noexcept {
  // The run is over, but its context went away before the signals were let go. A step that could
  // not even be posted is told here with the lock held, and is tried again.
  if (poster_.load(std::memory_order_relaxed) == std::this_thread::get_id() ||
      !lane_->owner().is_dead()) {
    return;
  }
  {
    const std::scoped_lock lock(lock_);
    timer_ = nullptr;
    if (!std::exchange(has_begun_, false)) {
      return;
    }
  }
  drop_signals();
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
  disarm();
}

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_TIMER_STOP_WATCH_HPP
