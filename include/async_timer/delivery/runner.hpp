// Runs asynchronous targets: a few long-lived coroutines for each lane, since a coroutine frame for
// each sleeping timer would cost a kilobyte and a chain of cache misses a tick.
// A runner serves job after job of a turn, and then parks; a job that suspends keeps its runner,
// the next due one gets another. All of a job's handlers, its cancellation included, run one at a
// time on the runner's executor.
#ifndef ASYNC_TIMER_DELIVERY_RUNNER_HPP
#define ASYNC_TIMER_DELIVERY_RUNNER_HPP

#include <async_timer/base/errors.hpp>
#include <async_timer/base/innermost.hpp>
#include <async_timer/base/inside_scope.hpp>
#include <async_timer/base/ref_ptr.hpp>
#include <async_timer/base/schedule_point.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/net/inline_executor.hpp>
#include <async_timer/net/parking_place.hpp>
#include <async_timer/net/tagged_executor.hpp>
#include <async_timer/scheduler/lane.hpp>
#include <async_timer/scheduler/retry.hpp>
#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <utility>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

class runner;

/// Is what a runner serves.
class async_job : public served_work {
 public:
  /// Says that its time has come while that runner is free; the job gives itself to accept().
  virtual void begin_on(runner& free) noexcept = 0;
  /// Makes the coroutine of one tick.
  virtual net::awaitable<void> run_job() = 0;
  /// Follows when that coroutine is gone, or was stopped before it began.
  ///
  /// @param completed  false: it threw; without a failure that was end_of_ticks, or it never began.
  virtual void job_finished(bool completed, const std::exception_ptr& failure) noexcept = 0;
  /// Says that the coroutine was dropped unfinished: its executor is shut down or out of memory.
  virtual void job_lost() noexcept = 0;

 protected:
  ~async_job() = default;
};

class runner final : public retry {
 public:
  /// Gets an idle runner of the lane, or a new one, for launch(). Throws when memory ends.
  static base::ref_ptr<runner> acquire(lane& where);

  /// Begins a job, perhaps finishes it and others, too, before returning.
  ///
  /// @param owner  identifies the job to calls from inside of it.
  static void launch(base::ref_ptr<runner> idle, async_job& job, const void* owner) noexcept;
  /// Takes a job in the course of begin_on(); to be begun when that returns.
  ///
  /// @param stopped  it is to end at once, with no call of run_job().
  void accept(async_job& job, const void* owner, bool stopped) noexcept;

  /// Identifies the job, for interrupt(): taken between acquire() and the job's end.
  [[nodiscard]] std::uint64_t serial() const noexcept {
    return serial_.load(std::memory_order_acquire);
  }

  /// Cancels what that job awaits, unless it has ended by then. Without memory for it now
  /// it follows later: the stop of a target that waits for ever can't do without.
  void interrupt(std::uint64_t serial) noexcept;

 private:
  class pool;
  class resumption;

  /// Keeps a runner for its coroutine, and tells the job if that is destroyed before the job's end.
  class keeper {
   public:
    explicit keeper(runner& kept) noexcept : kept_(&kept) {}
    keeper(keeper&&) noexcept = default;
    keeper& operator=(keeper&&) = delete;
    ~keeper() {
      if (kept_ && kept_->job_ != nullptr) {
        kept_->tag_->set_owner(nullptr);
        std::exchange(kept_->job_, nullptr)->job_lost();
      }
    }
    runner* operator->() const noexcept { return kept_.get(); }

   private:
    base::ref_ptr<runner> kept_;
  };

  explicit runner(lane& where)
      : lane_(&where),
        tag_(base::ref_ptr<executor_tag>::adopt(new executor_tag(where.executor()))) {}

  static net::awaitable<void> serve(keeper self);
  /// Waits for the next job; destroys the coroutine instead if no timer of the lane runs.
  net::awaitable<void> park();
  /// Comes back with a fresh handler, so that references_ counts no temporary of the last one.
  net::awaitable<void> settle();
  /// Tells whether this thread runs a handler of the runner's executor.
  [[nodiscard]] bool is_in_place() const noexcept {
    return base::innermost<runner>::get() == this || runs_in_strand(tag_->serial(false));
  }
  /// Gets the next job of the turn that this thread is in, if there is one for this lane. Only
  /// where resume() is what runs this runner: resumed by something else, it may be in the middle of
  /// another's target, and off its strand.
  bool take_next() noexcept;
  void begin_next_serial() noexcept {
    serial_.store(serial_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }
  void resume();
  bool try_now() noexcept override;
  void interrupt_here(std::uint64_t serial);

  base::ref_ptr<lane> lane_;
  base::ref_ptr<executor_tag> tag_;
  net::cancellation_signal signal_;
  parking_place parked_;
  base::atomic<std::uint64_t> serial_{0};
  std::atomic<std::uint64_t> to_interrupt_{0};  ///< the serial of the latest job to be cancelled
  base::ref_ptr<runner> next_idle_;             ///< guarded by the lane

  // From here on only touched by handlers on the runner's executor, or before it is launched.
  async_job* job_ = nullptr;
  bool fresh_ = true;
  bool begun_ = false;
  bool interrupted_ = false;
  std::uint64_t ended_serial_ = 0;
  std::uint32_t references_ = 0;
};

/// Resumes a parked coroutine, or destroys it if the executor drops the function.
class runner::resumption {
 public:
  explicit resumption(base::ref_ptr<runner> parked) noexcept : parked_(std::move(parked)) {}
  resumption(resumption&&) noexcept = default;
  resumption& operator=(resumption&&) = delete;
  ~resumption() {
    if (parked_) {
      parked_->parked_.clear();
    }
  }
  void operator()() {
    const auto parked = std::move(parked_);
    parked->resume();
  }

 private:
  base::ref_ptr<runner> parked_;
};

/// Keeps the idle runners of a lane.
class runner::pool final : public lane_extension {
 public:
  ~pool() override {
    while (const auto each = pop()) {
      each->parked_.clear();
    }
  }
  void push(base::ref_ptr<runner> idle) noexcept {
    idle->next_idle_ = std::move(first_);
    first_ = std::move(idle);
  }
  base::ref_ptr<runner> pop() noexcept {
    auto latest = std::move(first_);
    if (latest) {
      first_ = std::move(latest->next_idle_);
    }
    return latest;
  }

 private:
  base::ref_ptr<runner> first_;
};

inline base::ref_ptr<runner> runner::acquire(lane& where) {
  base::ref_ptr<runner> chosen;
  where.with_extension<pool>([&](pool* runners) {
    if (runners != nullptr) {
      chosen = runners->pop();
    }
  });
  if (!chosen) {
    chosen = base::ref_ptr<runner>::adopt(new runner(where));
  }
  chosen->begin_next_serial();
  return chosen;
}

inline void runner::launch(base::ref_ptr<runner> idle, async_job& job, const void* owner) noexcept {
  runner& chosen = *idle;
  chosen.job_ = &job;
  chosen.tag_->set_owner(owner);
  try {
    if (std::exchange(chosen.fresh_, false)) {
      // The handler keeps the signal until Asio is done with it, which is after the coroutine's
      // end. It is called by an executor that needs no memory: what fails there comes out of run().
      auto ended = net::bind_executor(inline_executor(), [idle](const std::exception_ptr&) {});
      net::co_spawn(net::any_io_executor(tagged_executor(chosen.tag_)), serve(keeper(chosen)),
                    net::bind_cancellation_slot(chosen.signal_.slot(), std::move(ended)));
    } else {
      net::dispatch(chosen.tag_->serial(false), resumption(std::move(idle)));
    }
  } catch (...) {
    // The keeper was destroyed, which has told the job.
  }
}

inline void runner::accept(async_job& job, const void* owner, bool stopped) noexcept {
  job_ = &job;
  interrupted_ = stopped;
  tag_->set_owner(owner);
}

inline bool runner::take_next() noexcept {
  if (base::innermost<runner>::get() != this) {
    return false;
  }
  while (job_ == nullptr) {
    served_work* const next = lane_->owner().next_served(*lane_);
    if (next == nullptr) {
      return false;
    }
    begin_next_serial();  // before anybody can ask for it
    static_cast<async_job*>(next)->begin_on(*this);
  }
  return true;
}

inline void runner::interrupt(std::uint64_t serial) noexcept {
  // Who is late, with a job that is over, must not take the place of one that waits for memory.
  auto latest = to_interrupt_.load(std::memory_order_relaxed);
  while (latest < serial &&
         !to_interrupt_.compare_exchange_weak(latest, serial, std::memory_order_acq_rel,
                                              std::memory_order_relaxed)) {
  }
  if (!try_now()) {
    static_cast<void>(try_again(lane_->owner()));
  }
}

inline bool runner::try_now() noexcept {
  try {
    net::post(tag_->serial(true), [self = base::ref_ptr<runner>(this),
                                   serial = to_interrupt_.load(std::memory_order_acquire)] {
      self->interrupt_here(serial);
    });
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  } catch (...) {
    return true;  // a broken executor: the stop waits for the end of the tick, as for a plain
                  // target
  }
}

inline void runner::interrupt_here(std::uint64_t serial) {
  if (this->serial() != serial || ended_serial_ == serial) {
    return;
  }
  if (!begun_) {
    interrupted_ = true;
    return;
  }
  try {
    signal_.emit(net::cancellation_type::terminal);
  } catch (const std::bad_alloc&) {
    static_cast<void>(try_again(lane_->owner()));
  }
}

inline void runner::resume() {
  const base::outside_scope outside;
  const base::innermost<runner> here(*this);
  references_ = tag_->use_count();
  parked_.resume();
}

// What these two begin must not throw, or it would come out of the context's run(): where they fail
// the handler is destroyed, and so the coroutine.

inline net::awaitable<void> runner::park() {
  return net::async_initiate<const net::use_awaitable_t<>&, void()>(
      [this](auto handler) {
        try {
          lane_->with_extension<pool>([&](pool* runners) {
            if (runners != nullptr) {
              runners->push(base::ref_ptr<runner>(this));
              parked_.put(std::move(handler));
            }
          });
        } catch (...) {
          // No memory for the pool.
        }
      },
      net::use_awaitable);
}

inline net::awaitable<void> runner::settle() {
  return net::async_initiate<const net::use_awaitable_t<>&, void()>(
      [this](auto handler) {
        parked_.put(std::move(handler));
        try {
          net::post(tag_->serial(true), resumption(base::ref_ptr<runner>(this)));
        } catch (...) {
          // The resumption was destroyed, which has cleared the place.
        }
      },
      net::use_awaitable);
}

inline net::awaitable<void> runner::serve(keeper self) {
  auto settled = self->settle();
  co_await std::move(settled);
  self->tag_->begin_tracking();  // not before: the runner's own coroutine is no work
  const auto own_references = self->references_;
  for (;;) {
    self->begun_ = true;
    bool completed = false;
    std::exception_ptr failure;
    if (!std::exchange(self->interrupted_, false)) {
      try {
        auto work = self->job_->run_job();
        co_await std::move(work);
        completed = true;
      } catch (const end_of_ticks&) {
      } catch (...) {
        failure = std::current_exception();
      }
      if (!self->is_in_place()) {
        // A target may end where it went, in a pool of threads perhaps; the rest is done here.
        co_await net::this_coro::throw_if_cancelled(false);
        auto back = self->settle();
        co_await std::move(back);
      }
      // What one target says about cancellation is not to reach the next one.
      co_await net::this_coro::throw_if_cancelled(true);
      co_await net::this_coro::reset_cancellation_state(net::enable_terminal_cancellation());
    }
    self->begun_ = false;
    self->ended_serial_ = self->serial();
    self->tag_->set_owner(nullptr);
    std::exchange(self->job_, nullptr)->job_finished(completed, std::exchange(failure, nullptr));
    if (self->tag_->use_count() != own_references) {
      auto settled_again = self->settle();
      co_await std::move(settled_again);
      // Children that outlive their target still carry the tag, and must not be taken for the next
      // job's: such a runner retires.
      if (self->references_ != own_references) {
        co_return;
      }
    }
    if (!self->take_next()) {
      auto next_job = self->park();
      co_await std::move(next_job);
    }
  }
}

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_DELIVERY_RUNNER_HPP
