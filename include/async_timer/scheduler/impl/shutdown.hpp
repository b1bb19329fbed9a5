// The bodies of scheduler.hpp: lanes, and the end of the context.
#ifndef ASYNC_TIMER_SCHEDULER_IMPL_SHUTDOWN_HPP
#define ASYNC_TIMER_SCHEDULER_IMPL_SHUTDOWN_HPP

#include <async_timer/scheduler/scheduler.hpp>
#include <memory>
#include <utility>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

inline void scheduler::know_own(const net::any_io_executor& own) noexcept {
  const lock_type lock(mutex_);
  if (!dead_ && !own_ && is_context_executor(own)) {
    own_ = own;
  }
}

inline base::ref_ptr<lane> scheduler::lane_for(const net::any_io_executor& given) {
  bool knows_own = false;
  bool has_retired_lanes = false;
  {
    const lock_type lock(mutex_);
    check_alive();
    knows_own = static_cast<bool>(own_);
    has_retired_lanes = retired_lanes_ != nullptr;
    if (const auto& latest = recent_lanes_.front(); latest && latest->executor_ == given) {
      return latest;
    }
  }
  auto executor = untracked(untagged(given));
  if (!knows_own) {
    know_own(executor_beneath(executor));
  }
  if (has_retired_lanes) {
    destroy_retired_lanes();  // there may be no turn for long
  }
  base::ref_ptr<lane> evicted;
  const lock_type lock(mutex_);
  check_alive();
  const auto same = [&](const auto& known) { return known && known->executor_ == executor; };
  auto found = std::find_if(recent_lanes_.begin(), recent_lanes_.end(), same);
  if (found == recent_lanes_.end()) {
    auto made = base::ref_ptr<lane>::adopt(new lane(shared_from_this(), std::move(executor)));
    made->next_ = lanes_;
    if (lanes_ != nullptr) {
      lanes_->prev_ = made.get();
    }
    lanes_ = made.get();
    evicted = std::move(recent_lanes_.back());
    found = std::prev(recent_lanes_.end());
    *found = std::move(made);
  }
  std::rotate(recent_lanes_.begin(), found, std::next(found));
  return recent_lanes_.front();
}

inline bool scheduler::unlink(lane& gone) noexcept {
  if (gone.prev_ == nullptr && lanes_ != &gone) {
    return false;  // shutdown() has done it
  }
  (gone.prev_ != nullptr ? gone.prev_->next_ : lanes_) = gone.next_;
  if (gone.next_ != nullptr) {
    gone.next_->prev_ = gone.prev_;
  }
  gone.prev_ = gone.next_ = nullptr;
  return true;
}

/// Destroys a lane: at once if its executor was taken, or on a thread that runs the context; else
/// in a turn, in lane_for() or in shutdown(). The last to refer to it may be a thread that knows
/// nothing of the context, which may go meanwhile, and a strand must not outlive that.
inline void scheduler::retire(lane& unused) noexcept {
  {
    const lock_type lock(mutex_);
    const bool is_inside = own_ && runs_in_this_thread(own_);
    if (unlink(unused) && !is_inside) {
      unused.next_ = std::exchange(retired_lanes_, &unused);
      if (!dead_) {
        post_turn();
      }
      return;
    }
  }
  delete &unused;
}

inline void scheduler::destroy_retired_lanes() noexcept {
  lock_type lock(mutex_);
  lane* next = std::exchange(retired_lanes_, nullptr);
  lock.unlock();
  while (next != nullptr) {
    delete std::exchange(next, next->next_);
  }
}

// Needs no memory: a destructor could not say that there is none.
inline void scheduler::shutdown() noexcept {
  ready_queue nodes;
  net::any_io_executor own;
  decltype(recent_lanes_) recent;
  {
    const lock_type lock(mutex_);
    dead_ = true;
    driver_.reset();
    wheel_->drain([this](core::wheel_node& node, core::time_point) noexcept {
      ready_.push_back(static_cast<schedule_node&>(node));
    });
    ready_.append(later_);
    nodes = ready_.take_all();
    for (lane* each = lanes_; each != nullptr; each = each->next_) {
      each->lose_context();
    }
    std::swap(own, own_);
    std::swap(recent, recent_lanes_);
  }
  while (!nodes.empty()) {
    nodes.pop_front().on_shutdown();
  }
  tell_listeners();
  while (empty_a_lane()) {
  }
  destroy_retired_lanes();
}

/// Destroys what a lane keeps, with no lock held, since that may be the last to refer to anything.
inline bool scheduler::empty_a_lane() noexcept {
  net::any_io_executor executor;
  net::any_io_executor work;
  std::unique_ptr<lane_extension> extension;
  const lock_type lock(mutex_);
  if (lanes_ == nullptr) {
    return false;
  }
  lane& first = *lanes_;
  unlink(first);
  executor = first.take_executor();
  work = std::exchange(first.work_, {});
  extension = first.take_extension(true);
  return true;
}

inline bool scheduler::watch(shutdown_listener& listener) noexcept {
  const lock_type lock(mutex_);
  if (!dead_) {
    listeners_.link(listener);
  }
  return !dead_;
}

inline bool scheduler::unwatch(shutdown_listener& listener) noexcept {
  const lock_type lock(mutex_);
  return listeners_.unlink(listener);
}

/// One by one, since each may destroy others.
inline void scheduler::tell_listeners() noexcept {
  for (;;) {
    lock_type lock(mutex_);
    shutdown_listener* const next = listeners_.pop();
    lock.unlock();
    if (next == nullptr) {
      return;
    }
    next->on_shutdown();
  }
}

inline void lane::release() noexcept {
  if (references_.drop()) {
    const auto keep_until_retired = scheduler_;
    keep_until_retired->retire(*this);
  }
}

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_SCHEDULER_IMPL_SHUTDOWN_HPP
