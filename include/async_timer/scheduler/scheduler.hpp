// One scheduler for each execution context: the wheel, and the one steady_timer that drives it.
// A turn runs in no executor of a user's (net/inside_context.hpp): it collects what is due, re-arms
// the driver, and then runs at most a batch of nodes, one by one, with no lock held. While
// more are ready than the one that runs, another turn is posted: it goes on where this one ends,
// or, on a context run by many threads, takes over at once, so that a slow target delays no other
// timer.
#ifndef ASYNC_TIMER_SCHEDULER_SCHEDULER_HPP
#define ASYNC_TIMER_SCHEDULER_SCHEDULER_HPP

#include <algorithm>
#include <array>
#include <async_timer/base/errors.hpp>
#include <async_timer/base/ref_ptr.hpp>
#include <async_timer/base/word_lock.hpp>
#include <async_timer/core/delay_histogram.hpp>
#include <async_timer/core/random.hpp>
#include <async_timer/core/time.hpp>
#include <async_timer/core/timing_wheel.hpp>
#include <async_timer/core/wake_policy.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/net/errors.hpp>
#include <async_timer/net/executor.hpp>
#include <async_timer/net/inside_context.hpp>
#include <async_timer/net/reserved_memory.hpp>
#include <async_timer/net/tagged_executor.hpp>
#include <async_timer/scheduler/lane.hpp>
#include <async_timer/scheduler/schedule_node.hpp>
#include <async_timer/scheduler/shutdown_listener.hpp>
#include <async_timer/scheduler/time_source.hpp>
#include <bit>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <utility>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

inline constexpr const char* context_is_gone =
    "the timer's execution context has been destroyed: start it on a living executor";

class scheduler : public std::enable_shared_from_this<scheduler> {
 public:
  explicit scheduler(net::execution_context& context)
      : context_(&context),
        wheel_(std::in_place, time_.now()),
        turn_memory_(base::ref_ptr<reserved_memory>::adopt(new reserved_memory)),
        seeds_(std::random_device{}()) {
    stop_outcome();  // made now, so that no stop lacks the memory for it
  }

  [[nodiscard]] core::time_point now() const noexcept { return time_.now(); }
  [[nodiscard]] bool is_virtual() const noexcept { return time_.is_virtual(); }
  [[nodiscard]] core::time_point recently() const noexcept { return time_.recently(); }

  /// Tells the context's own executor; no effect if it is another one, or known already.
  void know_own(const net::any_io_executor& own) noexcept;

  /// Finds or makes the lane of an executor of this context.
  ///
  /// Lanes are few, and those in use come back often: the last few are remembered.
  base::ref_ptr<lane> lane_for(const net::any_io_executor& given);

  /// Begins a run: arms the node and holds the lane's work until end_run().
  ///
  /// Throws threadsafe_dispatch_error if the context is gone; then, or when memory ends, nothing
  /// has changed.
  void begin_run(schedule_node& node, const rearm& first, lane::leftovers& unused);
  /// Ends a run whose node is idle; drops the lane's work with the last run.
  void end_run(schedule_node& node, lane::leftovers& last) noexcept;

  /// Arms an idle node of a run in progress. Throws when memory ends.
  void arm(schedule_node& node, const rearm& next);
  /// Makes an armed node due now. Tells whether it was waiting; else it is on its way already.
  bool kick(schedule_node& node) noexcept {
    return kick(node, [] {});
  }
  /// As above, and calls `note` before the node can run, with the lock held; if it was waiting.
  template <class Note>
  bool kick(schedule_node& node, Note&& note) noexcept;
  /// Takes an armed node out. Else false: it is on its way and will be called.
  bool disarm(schedule_node& node) noexcept;

  /// Takes the next node of the turn that this thread is in, if it is of that lane and has work to
  /// be served; gives that work, to be begun now. Null: there is none, or no turn.
  served_work* next_served(const lane& where) noexcept;

  /// Says that the executor of a node dropped its tick: the node's run fails, or if that happened
  /// because the context goes away, is over without a word.
  void lost(schedule_node& node) noexcept;

  /// Tells a listener when the context goes away; false if it has gone.
  bool watch(shutdown_listener& listener) noexcept;
  /// False if the listener has been told, or is about to be.
  bool unwatch(shutdown_listener& listener) noexcept;

  /// Seeds the next random engine; the same sequence again under a virtual clock.
  std::uint64_t next_seed() noexcept;

  // Virtual time, for testing/virtual_clock.hpp.
  /// Stops the real clock; false if a node was armed before.
  bool go_virtual(core::time_point start, std::uint64_t seed);
  /// Moves virtual time and posts the turn that collects what is due then.
  void set_virtual_now(core::time_point now);
  [[nodiscard]] std::optional<core::time_point> next_due() const;

  [[nodiscard]] bool is_dead() const noexcept {
    const lock_type lock(mutex_);
    return dead_;
  }
  /// Lets go of everything, calls no handler; the context is being destroyed.
  void shutdown() noexcept;

 private:
  friend class lane;

  // Enough to spread the cost of a turn, few enough that other handlers don't notice.
  static constexpr std::size_t batch = 256;
  static constexpr std::size_t least_of_wheel = batch / 4;  ///< in each turn, if so many are due

  /// Needs no memory where it counts, see post_to_context(): a turn that could not be posted would
  /// leave all that is ready waiting for ever.
  struct posted_turn {
    using allocator_type = reserved_allocator<void>;

    std::shared_ptr<scheduler> self;
    allocator_type memory;
    [[nodiscard]] allocator_type get_allocator() const noexcept { return memory; }
    void operator()(const error_code& = {}) const { self->turn(true); }
  };
  struct driver_wait {
    std::shared_ptr<scheduler> self;
    std::uint64_t generation;
    void operator()(const error_code& error) const {
      if (!error) {
        self->wake_up(generation);
      }
    }
  };
  template <void (scheduler::*Arrive)(schedule_node&) noexcept,
            void (scheduler::*Drop)(schedule_node&) noexcept>
  class carried;

  using lock_type = std::unique_lock<base::word_lock>;
  struct running_turn;

  void turn(bool posted) noexcept;
  void wake_up(std::uint64_t generation) noexcept;
  /// Moves due nodes from the wheel to the ready queue; true if more are due.
  bool collect(core::time_point now) noexcept;
  void run_batch(lock_type& lock, bool more) noexcept;
  schedule_node& take_ready(running_turn& turn) noexcept;
  void hand_over(lock_type& lock, schedule_node& node) noexcept;
  void deliver(schedule_node& node) noexcept;
  void tell_lost(schedule_node& node) noexcept;
  void call_node(lock_type& lock, schedule_node& node) noexcept;
  void place(schedule_node& node, const rearm& next);
  [[nodiscard]] bool has_ready() const noexcept { return !ready_.empty() || !later_.empty(); }
  void post_turn() noexcept;
  void arm_driver() noexcept;
  void set_delay_class(schedule_node& node, std::chrono::nanoseconds delay) noexcept;
  void retire(lane& unused) noexcept;
  void destroy_retired_lanes() noexcept;
  bool unlink(lane& gone) noexcept;
  bool empty_a_lane() noexcept;
  void tell_listeners() noexcept;
  void check_alive() const {
    if (dead_) {
      throw threadsafe_dispatch_error(context_is_gone);
    }
  }

  net::execution_context* const context_;  ///< is gone once this is dead
  time_source time_;
  mutable base::word_lock mutex_;
  std::optional<core::timing_wheel> wheel_;  ///< always there; anew for virtual time
  ready_queue ready_;                        ///< for the turns that have begun
  ready_queue later_;                        ///< for the next one
  core::wake_policy wake_policy_;
  core::delay_histogram delays_;
  net::any_io_executor own_;             ///< the context's own; empty until one of its own turns up
  std::optional<context_timer> driver_;  ///< made when first armed: never in virtual time
  const base::ref_ptr<reserved_memory> turn_memory_;
  core::time_point driver_due_ = core::time_point::max();
  std::uint64_t driver_generation_ = 0;
  bool driver_stale_ = false;  ///< something became due before the driver's time
  bool turn_posted_ = false;
  bool used_ = false;
  bool dead_ = false;
  core::random_engine seeds_;
  lane* lanes_ = nullptr;          ///< all but the retired ones
  lane* retired_lanes_ = nullptr;  ///< to go in a turn, in lane_for(), at the latest in shutdown()
  shutdown_listeners listeners_;
  std::array<base::ref_ptr<lane>, 8> recent_lanes_;
};

/// Is a turn that runs nodes, for next_served() to find it on this thread's stack.
struct scheduler::running_turn {
  const scheduler& of;
  std::size_t left;  ///< so many nodes may still be run
  const bool more;   ///< are due beside those that are ready
};

/// Carries a node through an executor; where that drops the function, the scheduler hears of it.
template <void (scheduler::*Arrive)(schedule_node&) noexcept,
          void (scheduler::*Drop)(schedule_node&) noexcept>
class scheduler::carried {
 public:
  carried(std::shared_ptr<scheduler> self, schedule_node& node) noexcept
      : self_(std::move(self)), node_(&node) {}
  carried(carried&& other) noexcept
      : self_(std::move(other.self_)), node_(std::exchange(other.node_, nullptr)) {}
  carried& operator=(carried&&) = delete;
  ~carried() {
    if (node_ != nullptr) {
      (*self_.*Drop)(*node_);
    }
  }
  void operator()(const error_code& = {}) { (*self_.*Arrive)(*std::exchange(node_, nullptr)); }

 private:
  std::shared_ptr<scheduler> self_;
  schedule_node* node_;
};

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#include <async_timer/scheduler/impl/scheduler.hpp>
#include <async_timer/scheduler/impl/shutdown.hpp>

#endif  // ASYNC_TIMER_SCHEDULER_SCHEDULER_HPP
