// The timer itself, without its value type and its target: the state of a run, who waits, and what
// each event does in each state (the table is in docs/design.md).
// Everything that changes is guarded by one lock of four bytes, which is never held across code of
// a user, but for copies of an executor and its properties; where both are needed it is taken
// before the scheduler's.
#ifndef ASYNC_TIMER_TIMER_CORE_HPP
#define ASYNC_TIMER_TIMER_CORE_HPP

#include <async_timer/base/inside_scope.hpp>
#include <async_timer/base/ref_ptr.hpp>
#include <async_timer/base/schedule_point.hpp>
#include <async_timer/base/slab_pool.hpp>
#include <async_timer/base/word_lock.hpp>
#include <async_timer/core/interval.hpp>
#include <async_timer/core/pacemaker.hpp>
#include <async_timer/core/random.hpp>
#include <async_timer/core/time.hpp>
#include <async_timer/delivery/feed_core.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/net/operation.hpp>
#include <async_timer/scheduler/scheduler_service.hpp>
#include <async_timer/timer/options.hpp>
#include <async_timer/timer/pace.hpp>
#include <async_timer/timer/timer_ref.hpp>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <typeinfo>
#include <vector>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

class waiter;
class stop_waiter;
class stop_watch;

/// Is shared with a delivery in progress, and only then copied to change it.
using feed_list = std::vector<base::ref_ptr<feed_base>>;

/// Is what most timers never need, made on first use so that a sleeping timer stays small.
struct cold_state {
  std::string name;
  error_callback on_error;
  stop_callback on_stop;
  double jitter = 0;
  std::optional<core::random_engine> random;

  operation_list waiters;            ///< join, wait, next, trigger, in the order of registration
  operation_list stop_waiters;       ///< cancel
  std::shared_ptr<feed_list> feeds;  ///< subscribe, in the order of registration; null for none
  bool feeds_are_read = false;       ///< by a delivery, with the lock free

  stop_signals stop_on;             ///< until the start, which hands them to the watch
  base::ref_ptr<stop_watch> watch;  ///< of the active run
  core::time_point first_due;       ///< where something comes before the first tick
  bool runs_once = false;           ///< it was made with stop signals

  std::shared_ptr<pace> own_pace;  ///< with the flag `paced`; not changed after the first start

  std::exception_ptr sticky_failure;  ///< of the last run, until the next start
  std::exception_ptr last_failure;
  std::optional<core::time_point> last_failure_at;
  std::int64_t failure_count = 0;
};

class timer_core : public schedule_node, public base::from_slabs {
 public:
  // --- one reference for the handle, one for the active run, one for each pending operation
  void add_ref() noexcept { references_.add(); }
  void release() noexcept {
    if (references_.drop()) {
      delete this;
    }
  }
  [[nodiscard]] timer_ref reference() noexcept {
    return timer_ref(base::ref_ptr<timer_core>(this));
  }

  // --- lifecycle, from any thread
  /// Is what a start is given and leaves behind; to be destroyed with no lock held, since what it
  /// leaves may own what calls us then.
  struct beginning {
    base::ref_ptr<lane> where = nullptr;  ///< null: where the timer is; left: the lane not in use
    bool is_fallback = false;             ///< `where` is for a timer that has no lane yet
    std::exception_ptr former_failure = nullptr;  ///< left
    base::ref_ptr<stop_watch> watch{};            ///< left: who waits for the stop signals
    lane::leftovers unused{};                     ///< left
  };
  void start(base::ref_ptr<lane> where = nullptr);
  /// Is start() in two steps, for a caller with a lock: the second one calls code of a user.
  void begin_start(beginning& run);
  void end_start(const beginning& run) const;
  void request_stop() noexcept;
  /// As request_stop(), but a target in flight ends its tick undisturbed.
  void request_graceful_stop() noexcept;
  /// Lets the first tick come: the stop signals have had their chance.
  void begin_ticking() noexcept;
  /// Ends a run that waited for its stop signals to be let go.
  void finish_run(const std::exception_ptr& failure) noexcept;
  /// Ends the run without a word, because its context goes away.
  void abandon_run() noexcept;
  /// Gives the timer a time of its own; false if it was started before.
  bool set_pace(std::shared_ptr<pace> own);
  /// Ends the handle's part: stops the run; what was captured goes as soon as the run is over.
  void detach() noexcept;

  // --- reading, from any thread
  [[nodiscard]] bool is_running() const noexcept {
    return is_running_state(state_.load(std::memory_order_acquire));
  }
  [[nodiscard]] bool was_started() const noexcept {
    return (state_.load(std::memory_order_acquire) & ever_started) != 0;
  }
  /// Tells whether there is no run, not even one that cleans up.
  [[nodiscard]] bool is_over() const noexcept {
    return (state_.load(std::memory_order_acquire) & phase_mask) == stopped;
  }
  [[nodiscard]] std::chrono::nanoseconds delay() const noexcept {
    return std::chrono::nanoseconds(delay_.load(std::memory_order_acquire));
  }
  void set_delay(interval delay);
  [[nodiscard]] std::int64_t hit_count() const noexcept {
    return hit_count_.load(std::memory_order_acquire);
  }
  [[nodiscard]] std::optional<std::chrono::steady_clock::time_point> last_tick_at() const noexcept;
  [[nodiscard]] std::string name() const;
  [[nodiscard]] std::int64_t failure_count() const;
  [[nodiscard]] std::exception_ptr last_failure() const;
  [[nodiscard]] std::optional<std::chrono::steady_clock::time_point> last_failure_at() const;
  [[nodiscard]] std::string describe() const;
  /// Is empty before the first start of a timer without executor, and once the context is gone.
  [[nodiscard]] net::any_io_executor executor() const;

  // --- waiting, from any thread
  /// Registers a waiter or completes it at once; consumes the operation's own reference. Without
  /// memory to wait it is completed with that error.
  ///
  /// @param caller   the owner of the handler's executor, for inside-the-target detection
  /// @param trigger  also asks for a tick now
  void enroll(base::ref_ptr<waiter> op, const void* caller, std::optional<interval> timeout,
              bool trigger) noexcept;
  void enroll_stop(base::ref_ptr<stop_waiter> op, const void* caller) noexcept;
  /// Ends one waiter with an outcome if it still waits; false if somebody else was first.
  bool claim(operation& op, operation_list cold_state::*list) noexcept;
  /// Claims one waiter because its time is over; false if somebody else was first.
  bool expire(waiter& op) noexcept;

  // --- feeds, from any thread
  /// Fills a feed from the next delivery on, until the end of the run.
  void add_feed(base::ref_ptr<feed_base> feed);
  void remove_feed(const feed_base& feed) noexcept;

  /// Tells whether the calling code is this timer's target or callback.
  [[nodiscard]] bool is_inside(const void* caller) const noexcept;
  /// Gives the type of the target, for the log: a closure's tells where it was written.
  [[nodiscard]] virtual const std::type_info& target_type() const noexcept = 0;

 protected:
  timer_core(base::ref_ptr<lane> where, interval delay, timer_options&& options);
  ~timer_core() override;

  // --- what the typed parts add
  virtual void interrupt_target() noexcept {}
  /// Destroys what a factory made for this run.
  virtual void end_target_run() noexcept = 0;
  /// Destroys the target and all that it captured.
  virtual void destroy_target() noexcept = 0;
  virtual void store_outcome(waiter& op) noexcept = 0;

  // --- the way of a tick, called by the typed parts in this order
  /// False: the run was to end, and has ended.
  bool begin_tick() noexcept;
  /// Reads the time that the ticks go by.
  [[nodiscard]] core::time_point tick_time() const noexcept;
  /// Claims who waits for the tick just counted; lock held.
  void claim_ticked(operation_list& claimed) noexcept;
  void count_tick(core::time_point now) noexcept;
  /// Gives the feeds to fill for the tick just counted; lock held.
  [[nodiscard]] std::shared_ptr<const feed_list> read_feeds() noexcept;
  /// Follows it when what it gave was let go; lock held.
  void feeds_were_read() noexcept;
  /// Decides when the next tick is due; entered with the lock held. With a value the lock stays
  /// held until after_rearm(); without one the run has ended.
  std::optional<rearm> schedule_next(core::time_point now) noexcept;
  /// Ends the run, once; without an exception it ended normally. To be called with no lock held.
  void end_run(const std::exception_ptr& outcome) noexcept;

  void after_rearm() noexcept final { lock_.unlock(); }
  void on_lost(const std::exception_ptr& failure) noexcept final { end_run(failure); }
  void on_shutdown() noexcept final { abandon_run(); }

  /// Names this timer to inside-the-target detection.
  [[nodiscard]] const void* identity() const noexcept { return this; }

  [[nodiscard]] scheduler& my_scheduler() const noexcept { return node_lane()->owner(); }
  cold_state& cold();

  // The state is one word, so that is_running() needs no lock: a phase and some flags. While the
  // target runs the phase is still `scheduled`: begin_tick() just looks.
  enum phase : std::uint32_t { stopped, scheduled, settling, ending };
  using flag = std::uint32_t;
  static constexpr std::uint32_t phase_mask = 7;
  static constexpr flag stop_requested = 8;
  static constexpr flag triggered = 16;   ///< the next tick was asked for while the timer slept
  static constexpr flag first_tick = 32;  ///< no tick yet in this run
  static constexpr flag handle_gone = 64;
  static constexpr flag fixed_rate = 128;
  static constexpr flag captures_gone = 256;
  static constexpr flag ever_started = 512;
  static constexpr flag interrupting = 1024;  ///< the stop requested doesn't wait for the target
  static constexpr flag arming = 2048;        ///< the first tick waits for the stop signals
  static constexpr flag paced = 4096;         ///< it has a time of its own
  static constexpr flag lasting = fixed_rate | handle_gone | captures_gone | ever_started | paced;

  [[nodiscard]] std::uint32_t state() const noexcept {
    return state_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] static phase phase_of(std::uint32_t state) noexcept {
    return static_cast<phase>(state & phase_mask);
  }
  [[nodiscard]] phase current_phase() const noexcept { return phase_of(state()); }
  [[nodiscard]] bool has(flag f) const noexcept { return (state() & f) != 0; }
  // These need the lock.
  void raise(flag f) noexcept { set_state(state() | f); }
  void lower(flag f) noexcept { set_state(state() & ~f); }
  void set_phase(phase to) noexcept { set_state((state() & ~phase_mask) | to); }
  void set_state(std::uint32_t to) noexcept { state_.store(to, std::memory_order_release); }

  // The hot part: what a tick of a timer that nobody waits for touches.
  mutable base::word_lock lock_;
  base::reference_count references_;
  base::atomic<std::uint32_t> state_{stopped};
  core::pacemaker pacemaker_;
  base::atomic<std::int64_t> delay_;
  const std::chrono::nanoseconds initial_delay_;  // here, since it costs no block size
  base::atomic<std::int64_t> hit_count_{0};
  base::atomic<std::int64_t> last_tick_at_{0};
  std::unique_ptr<cold_state> cold_;

 private:
  static bool is_running_state(std::uint32_t state) noexcept {
    const auto at = state & phase_mask;
    return at != stopped && at != ending && (state & stop_requested) == 0;
  }
  struct at_once {
    std::exception_ptr error;
  };
  /// Is what the end of a run tells; a timer with nothing but a target has nothing to tell.
  struct last_words {
    std::exception_ptr failure = nullptr;
    error_callback on_error{};
    stop_callback on_stop{};
    std::shared_ptr<const feed_list> feeds{};
    std::shared_ptr<const feed_list> late_feeds{};  ///< made in on_error
  };
  struct captures {
    error_callback on_error;
    stop_callback on_stop;
    stop_signals stop_on;
    std::shared_ptr<const feed_list> feeds;
  };
  std::optional<at_once> outcome_at_once(const waiter& op, bool inside,
                                         const std::optional<interval>& timeout, bool trigger);
  std::exception_ptr not_running(const char* what) const noexcept;
  static std::exception_ptr timed_out() noexcept;
  void check_startable() const;
  void start_locked(beginning& run);
  void exchange_lane(base::ref_ptr<lane>& with) noexcept;
  bool request_stop_locked(flag how) noexcept;
  void trigger_locked() noexcept;
  bool begin_with_care() noexcept;
  core::step next_step(core::time_point now) noexcept;
  bool sleeps_before_first_tick() noexcept;
  std::exception_ptr sleep_locked(std::chrono::nanoseconds asked_for) noexcept;
  void claim_waiters(const std::exception_ptr& failure, operation_list& claimed) noexcept;
  void record_failure(const std::exception_ptr& failure, std::exception_ptr& former) noexcept;
  void call_on_error(const error_callback& on_error, const std::exception_ptr& failure) noexcept;
  void call_on_stop(const stop_callback& on_stop) noexcept;
  void say(last_words& words) noexcept;
  void leave_run(operation_list& stop_waiters) noexcept;
  void take_captures(std::optional<captures>& taken) noexcept;
  void release_captures(std::optional<captures>& taken) noexcept;
  feed_list& feeds_to_change(std::shared_ptr<feed_list>& former);
  std::shared_ptr<const feed_list> end_feeds(const std::exception_ptr& failure) noexcept;
  static void end_all(const std::shared_ptr<const feed_list>& feeds,
                      const std::exception_ptr& failure) noexcept;
  static void tell_all(const std::shared_ptr<const feed_list>& feeds) noexcept;
};

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_TIMER_CORE_HPP
