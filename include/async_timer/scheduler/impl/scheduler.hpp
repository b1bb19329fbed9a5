// The bodies of scheduler.hpp: turns, arming, virtual time.
#ifndef ASYNC_TIMER_SCHEDULER_IMPL_SCHEDULER_HPP
#define ASYNC_TIMER_SCHEDULER_IMPL_SCHEDULER_HPP

#include <async_timer/base/innermost.hpp>
#include <async_timer/base/inside_scope.hpp>
#include <async_timer/scheduler/scheduler.hpp>
#include <cstddef>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

inline void scheduler::begin_run(schedule_node& node, const rearm& first, lane::leftovers& unused) {
  const lock_type lock(mutex_);
  check_alive();
  lane& where = *node.lane_;
  if (where.running_ == 0) {
    unused.work = tracked(where.executor_);
  }
  place(node, first);
  // Nothing throws from here on.
  if (where.running_++ == 0) {
    std::swap(where.work_, unused.work);
    where.take_extension(false);
  }
  used_ = true;
  if (has_ready()) {
    post_turn();
  }
  if (driver_stale_) {
    arm_driver();
  }
}

inline void scheduler::end_run(schedule_node& node, lane::leftovers& last) noexcept {
  const lock_type lock(mutex_);
  node.place_ = schedule_node::place::idle;
  set_delay_class(node, std::chrono::nanoseconds(0));
  lane& where = *node.lane_;
  if (--where.running_ == 0) {
    last.work = std::exchange(where.work_, {});
    last.extension = where.take_extension(true);
  }
}

inline void scheduler::arm(schedule_node& node, const rearm& next) {
  const lock_type lock(mutex_);
  check_alive();
  used_ = true;
  place(node, next);
  if (has_ready()) {
    post_turn();
  }
  if (driver_stale_) {
    arm_driver();
  }
}

template <class Note>
bool scheduler::kick(schedule_node& node, Note&& note) noexcept {
  const lock_type lock(mutex_);
  if (node.place_ != schedule_node::place::armed) {
    return false;
  }
  note();
  wheel_->remove(node);
  later_.push_back(node);
  post_turn();  // which also cancels the driver if nothing is left to wait for
  return true;
}

inline bool scheduler::disarm(schedule_node& node) noexcept {
  const lock_type lock(mutex_);
  if (node.place_ == schedule_node::place::ready && (ready_.erase(node) || later_.erase(node))) {
    node.place_ = schedule_node::place::idle;
    return true;
  }
  if (node.place_ != schedule_node::place::armed) {
    return false;
  }
  wheel_->remove(node);
  node.place_ = schedule_node::place::idle;
  if (wheel_->empty()) {
    arm_driver();
  }
  return true;
}

inline std::uint64_t scheduler::next_seed() noexcept {
  const lock_type lock(mutex_);
  return seeds_.next();
}

inline bool scheduler::go_virtual(core::time_point start, std::uint64_t seed) {
  const lock_type lock(mutex_);
  if (used_ || time_.is_virtual()) {
    return false;
  }
  time_.set_virtual(start);
  wheel_.emplace(start);
  seeds_ = core::random_engine(seed);
  return true;
}

inline void scheduler::set_virtual_now(core::time_point now) {
  const lock_type lock(mutex_);
  if (!dead_) {
    time_.set_virtual(now);
    post_turn();
  }
}

inline std::optional<core::time_point> scheduler::next_due() const {
  const lock_type lock(mutex_);
  return wheel_->next_due();
}

inline void scheduler::wake_up(std::uint64_t generation) noexcept {
  {
    const lock_type lock(mutex_);
    if (dead_ || generation != driver_generation_) {
      return;
    }
    driver_due_ = core::time_point::max();
    wake_policy_.woke(time_.now(), delays_.finest());
  }
  turn(false);
}

inline void scheduler::turn(bool posted) noexcept {
  const base::outside_scope outside;
  lock_type lock(mutex_);
  if (posted) {
    turn_posted_ = false;
  }
  if (dead_) {
    return;
  }
  const bool more = collect(time_.now());
  if (!more) {
    arm_driver();
  }
  run_batch(lock, more);
  if (dead_) {
    return;
  }
  if (more || has_ready()) {
    post_turn();
  }
  if (driver_stale_) {
    arm_driver();
  }
  if (retired_lanes_ != nullptr) {
    lock.unlock();
    destroy_retired_lanes();
  }
}

inline void scheduler::run_batch(lock_type& lock, bool more) noexcept {
  // What becomes ready meanwhile is in later_, so that others get their turn (contract 3.4).
  running_turn turn{.of = *this, .left = std::min(ready_.size(), batch), .more = more};
  const base::innermost<running_turn> here(turn);
  while (turn.left > 0 && !ready_.empty()) {
    schedule_node& node = take_ready(turn);
    if (node.lane_ != nullptr && !node.lane_->runs_inline_) {
      hand_over(lock, node);
    } else {
      lock.unlock();
      call_node(lock, node);
    }
  }
}

inline schedule_node& scheduler::take_ready(running_turn& turn) noexcept {
  --turn.left;
  schedule_node& node = ready_.pop_front();
  node.place_ = schedule_node::place::running;
  // Before the node runs, which may take long: other threads can go on meanwhile.
  if (turn.more || has_ready()) {
    post_turn();
  }
  if (driver_stale_) {
    arm_driver();
  }
  return node;
}

inline served_work* scheduler::next_served(const lane& where) noexcept {
  running_turn* const turn = base::innermost<running_turn>::get();
  if (turn == nullptr || &turn->of != this || turn->left == 0) {
    return nullptr;
  }
  const lock_type lock(mutex_);
  if (dead_ || ready_.empty() || ready_.front().lane_ != &where) {
    return nullptr;
  }
  served_work* const work = ready_.front().served();
  if (work != nullptr) {
    take_ready(*turn);
  }
  return work;
}

inline bool scheduler::collect(core::time_point now) noexcept {
  ready_.append(later_);
  const auto take = [this](core::wheel_node& due, core::time_point) noexcept {
    auto& node = static_cast<schedule_node&>(due);
    // The wheel has fetched the node's first line; by the time it runs the second is there, too.
    core::prefetch_for_write(reinterpret_cast<std::byte*>(&node) + 64);
    ready_.push_back(node);
  };
  // The wheel has its share even if timers with delay 0, which are ready in each turn, fill a
  // batch.
  const std::size_t room = batch - std::min(batch - least_of_wheel, ready_.size());
  const bool more = wheel_->collect(now, room, take);
  return more || ready_.size() > batch;
}

inline void scheduler::hand_over(lock_type& lock, schedule_node& node) noexcept {
  {
    // Goes before the lock is taken again: the node may be over by then, and this the last copy.
    const net::any_io_executor executor = node.lane_->executor_;
    lock.unlock();
    try {
      net::post(executor, carried<&scheduler::deliver, &scheduler::lost>(shared_from_this(), node));
    } catch (...) {
      // The delivery was destroyed unrun, which has told the node.
    }
  }
  lock.lock();
}

inline void scheduler::deliver(schedule_node& node) noexcept {
  const base::outside_scope outside;
  lock_type lock(mutex_, std::defer_lock);
  call_node(lock, node);
  if (dead_) {
    return;
  }
  if (has_ready()) {
    post_turn();
  }
  if (driver_stale_) {
    arm_driver();
  }
}

inline void scheduler::lost(schedule_node& node) noexcept {
  net::any_io_executor own;
  bool dead = false;
  {
    const lock_type lock(mutex_);
    own = own_;
    dead = dead_;
  }
  // A context that goes away drops handlers before it shuts this down. Then it drops this one, too,
  // but later.
  carried<&scheduler::tell_lost, &scheduler::tell_lost> news(shared_from_this(), node);
  if (dead) {
    return;
  }
  try {
    post_to_context(*context_, own, std::move(news));
  } catch (...) {
    // No memory: the node was told when the function was destroyed.
  }
}

inline void scheduler::tell_lost(schedule_node& node) noexcept {
  bool dead = false;
  {
    const lock_type lock(mutex_);
    dead = dead_;
    node.place_ = schedule_node::place::idle;
  }
  if (dead) {
    node.on_shutdown();
  } else {
    node.on_lost(base::error_of<timer_error>(
        "the timer's executor dropped a tick: it is out of memory or shut down"));
  }
}

/// Enters with the lock free, leaves with the lock held.
inline void scheduler::call_node(lock_type& lock, schedule_node& node) noexcept {
  const std::optional<rearm> next = node.on_due();
  lock.lock();
  if (!next) {
    return;
  }
  try {
    check_alive();
    place(node, *next);
  } catch (...) {
    node.place_ = schedule_node::place::idle;
    node.after_rearm();
    lock.unlock();
    node.on_lost(std::current_exception());
    lock.lock();
    return;
  }
  node.after_rearm();
}

inline void scheduler::place(schedule_node& node, const rearm& next) {
  if (next.due <= next.now) {
    later_.push_back(node);
  } else {
    wheel_->catch_up(next.now);
    wheel_->insert(node, next.due);
    node.place_ = schedule_node::place::armed;
    driver_stale_ = driver_stale_ || next.due < driver_due_;
  }
  set_delay_class(node, next.delay);
}

inline void scheduler::set_delay_class(schedule_node& node,
                                       std::chrono::nanoseconds delay) noexcept {
  const auto finer = static_cast<std::uint8_t>(
      std::bit_width(static_cast<std::uint64_t>(std::max<std::int64_t>(delay.count(), 0))));
  if (finer == node.delay_class_) {
    return;
  }
  const auto lower_bound = [](std::uint8_t width) {
    return std::chrono::nanoseconds(width == 0 ? 0 : std::int64_t{1} << (width - 1));
  };
  delays_.remove(lower_bound(node.delay_class_));
  delays_.add(lower_bound(finer));
  node.delay_class_ = finer;
}

inline void scheduler::post_turn() noexcept {
  if (turn_posted_) {
    return;
  }
  try {
    post_to_context(*context_, own_,
                    posted_turn{shared_from_this(), reserved_allocator<void>(turn_memory_)});
    turn_posted_ = true;
  } catch (...) {
    // No memory for Asio's list of timers, as its own executor is not known: the next call of
    // anybody, or the driver, tries again.
  }
}

inline void scheduler::arm_driver() noexcept {
  if (turn_posted_) {
    return;  // that turn will do it, and knows better by then
  }
  driver_stale_ = false;
  if (dead_ || time_.is_virtual()) {
    return;
  }
  const auto earliest = wheel_->next_due();
  if (!earliest) {
    if (driver_due_ != core::time_point::max()) {
      ++driver_generation_;
      driver_due_ = core::time_point::max();
      driver_->cancel();
    }
    return;
  }
  const auto now = time_.now();
  const auto finest = delays_.finest();
  const auto due = wake_policy_.arm_at(*earliest, now, finest);
  if (driver_due_ <= due) {
    return;
  }
  if (wake_policy_.looks_again(due, now, finest)) {
    post_turn();
    return;
  }
  driver_due_ = core::time_point::max();  // the former wait ends here, whatever comes of this one
  try {
    if (!driver_) {
      driver_.emplace(inside_context(*context_));
    }
    driver_->expires_at(std::chrono::time_point_cast<std::chrono::steady_clock::duration>(due));
    driver_->async_wait(driver_wait{shared_from_this(), ++driver_generation_});
    driver_due_ = due;
  } catch (...) {
    post_turn();  // no memory: another turn tries again
  }
}

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_SCHEDULER_IMPL_SCHEDULER_HPP
