// Waits for the stop signals of one run: arms them, asks the timer to stop when the first has
// finished, and lets go of the others; only after that does the run end.
// All it does with a signal happens on one serial executor over the timer's own, so that arming,
// finishing and cancelling never race; the end of the run and a signal may meet on two threads.
// It begins on the thread that starts the timer, and from then on posts from those only that run
// the context's turns and handlers, with no lock held: a signal may finish on another one while
// this context goes.
#ifndef ASYNC_TIMER_TIMER_STOP_WATCH_HPP
#define ASYNC_TIMER_TIMER_STOP_WATCH_HPP

#include <async_timer/base/inside_scope.hpp>
#include <async_timer/base/ref_ptr.hpp>
#include <async_timer/base/word_lock.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/net/tagged_executor.hpp>
#include <async_timer/scheduler/lane.hpp>
#include <async_timer/scheduler/retry.hpp>
#include <async_timer/scheduler/scheduler.hpp>
#include <async_timer/timer/core.hpp>
#include <async_timer/timer/stop_signals.hpp>
#include <exception>
#include <mutex>
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
  /// @param timer  has an active run until hold_back() or abandon()
  /// @param where  of that run
  stop_watch(timer_core& timer, lane& where, stop_signals signals) noexcept
      : timer_(&timer), lane_(&where), signals_(std::move(signals)) {}

  // --- called by the timer, with no lock held
  /// Arms the signals soon, and lets the timer tick after that.
  void begin(const net::any_io_executor& plain) noexcept;
  /// Lets go of the signals soon, none of which reaches the timer any more, and calls finish_run()
  /// after that, or abandon_run(); false: they are let go already, or were never begun and go here.
  [[nodiscard]] bool hold_back(timer_core& run, const std::exception_ptr& failure) noexcept;
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
  // begin, one for each hop of a coroutine, one to complete; a cancelled one as many to unwind.
  // More rounds than that cost little.
  static constexpr int most_rounds = 16;

  using step = void (stop_watch::*)() noexcept;
  /// Takes the step, or hears that the executor dropped it.
  class posted_step {
   public:
    posted_step(stop_watch& watch, step next) noexcept : self_(&watch), step_(next) {}
    posted_step(posted_step&& other) noexcept
        : self_(std::exchange(other.self_, nullptr)), step_(other.step_) {}
    posted_step& operator=(posted_step&&) = delete;
    ~posted_step() {
      if (self_) {
        self_->step_dropped();
      }
    }
    void operator()() {
      // A target may run its context's handlers: what the signals do is no part of it.
      const base::outside_scope outside;
      const auto self = std::exchange(self_, nullptr);
      ((*self).*step_)();
    }

   private:
    base::ref_ptr<stop_watch> self_;
    step step_;
  };
  struct posting {
    enum result { done, no_memory, impossible };
    result how = done;
    std::exception_ptr failure = nullptr;
  };
  /// Is a step being posted by this thread, which hears at once if it is destroyed; they nest.
  class attempt {
   public:
    explicit attempt(const stop_watch& watch) noexcept : watch_(&watch), outer_(innermost_) {
      innermost_ = this;
    }
    attempt(const attempt&) = delete;
    attempt& operator=(const attempt&) = delete;
    ~attempt() { innermost_ = outer_; }

    [[nodiscard]] bool was_dropped() const noexcept { return was_dropped_; }
    /// Tells the one of that watch; false if there is none.
    static bool tell_dropped(const stop_watch& watch) noexcept;

   private:
    const stop_watch* watch_;
    attempt* outer_;
    bool was_dropped_ = false;
    static inline constinit thread_local attempt* innermost_ = nullptr;
  };
  posting post(const executor_tag& serial, step next) noexcept;
  [[nodiscard]] bool post_round(step next) noexcept;
  [[nodiscard]] posting::result post_let_go() noexcept;
  bool try_now() noexcept override;
  void give_up() noexcept override;

  void step_dropped() noexcept;
  void could_not_begin(const posting& why) noexcept;
  void arm() noexcept;
  void go_round() noexcept;
  void let_go() noexcept;
  void await_armed() noexcept;
  void finish() noexcept;
  void release_signals() noexcept;
  /// Is what the end of the watch leaves, to be destroyed with no lock held.
  struct held_run {
    timer_core* run;
    std::exception_ptr failure;
    base::ref_ptr<executor_tag> serial;
  };
  held_run take_run() noexcept;
  [[nodiscard]] base::ref_ptr<timer_core> timer() noexcept {
    const std::scoped_lock lock(lock_);
    return base::ref_ptr<timer_core>(timer_);
  }
  [[nodiscard]] base::ref_ptr<timer_core> take_timer() noexcept {
    const std::scoped_lock lock(lock_);
    return base::ref_ptr<timer_core>(std::exchange(timer_, nullptr));
  }

  // Guarded by the lock.
  base::word_lock lock_;
  timer_core* timer_;                   ///< null when a signal has finished or the run is over
  timer_core* run_ = nullptr;           ///< whose end waits for the release
  std::exception_ptr failure_;          ///< of that run
  bool has_begun_ = false;              ///< until the end of the release
  bool is_letting_go_ = false;          ///< the release is under way
  bool is_stuck_ = false;               ///< the run ended while the executor refused to begin
  base::ref_ptr<executor_tag> serial_;  ///< nobody's tag; its copies need no memory

  const base::ref_ptr<lane> lane_;

  // Touched on the executor only, and while no other thread can be there.
  stop_signals signals_;
  std::vector<base::ref_ptr<armed_signal>> armed_;
  int rounds_left_ = most_rounds;
};

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#include <async_timer/timer/impl/stop_watch.hpp>

#endif  // ASYNC_TIMER_TIMER_STOP_WATCH_HPP
