// The bodies of core.hpp: construction, reading, waiting.
#ifndef ASYNC_TIMER_TIMER_IMPL_CORE_HPP
#define ASYNC_TIMER_TIMER_IMPL_CORE_HPP

#include <algorithm>
#include <async_timer/base/errors.hpp>
#include <async_timer/net/errors.hpp>
#include <async_timer/timer/core.hpp>
#include <async_timer/timer/impl/lifecycle.hpp>
#include <async_timer/timer/impl/run.hpp>
#include <async_timer/timer/validation.hpp>
#include <async_timer/timer/waiter.hpp>
#include <mutex>
#include <utility>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

inline timer_core::timer_core(base::ref_ptr<lane> where, interval delay, timer_options&& options)
    : state_(stopped | (options.mode == mode::fixed_rate ? fixed_rate : 0U)),
      delay_(delay.nanoseconds().count()),
      initial_delay_(options.initial_delay.nanoseconds()) {
  if (!options.name.empty() || options.on_error || options.on_stop || options.jitter > 0 ||
      !options.stop_on.empty()) {
    cold_state& rare = cold();
    rare.name = std::move(options.name);
    rare.on_error = std::move(options.on_error);
    rare.on_stop = std::move(options.on_stop);
    rare.jitter = options.jitter;
    rare.runs_once = !options.stop_on.empty();
    rare.stop_on = std::move(options.stop_on);
  }
  set_node_lane(where.detach());  // last, since a constructor that throws has no destructor
}

inline timer_core::~timer_core() {
  if (node_lane() != nullptr) {
    node_lane()->release();
  }
}

inline cold_state& timer_core::cold() {
  if (cold_ == nullptr) {
    cold_ = std::make_unique<cold_state>();
  }
  return *cold_;
}

inline bool timer_core::set_pace(std::shared_ptr<pace> own) {
  std::shared_ptr<pace> former;  // destroyed without the lock
  const std::scoped_lock lock(lock_);
  if (has(ever_started)) {
    return false;
  }
  former = std::exchange(cold().own_pace, std::move(own));
  raise(paced);
  return true;
}

// --- reading

inline void timer_core::set_delay(interval delay) {
  check_duration("delay", delay);
  delay_.store(delay.nanoseconds().count(), std::memory_order_release);
}

inline std::optional<std::chrono::steady_clock::time_point> timer_core::last_tick_at()
    const noexcept {
  if (hit_count() == 0) {
    return std::nullopt;
  }
  const std::chrono::nanoseconds since_epoch(last_tick_at_.load(std::memory_order_acquire));
  return std::chrono::time_point_cast<std::chrono::steady_clock::duration>(
      core::time_point(since_epoch));
}

inline std::string timer_core::name() const {
  const std::scoped_lock lock(lock_);
  return cold_ ? cold_->name : std::string();
}

inline std::int64_t timer_core::failure_count() const {
  const std::scoped_lock lock(lock_);
  return cold_ ? cold_->failure_count : 0;
}

inline std::exception_ptr timer_core::last_failure() const {
  const std::scoped_lock lock(lock_);
  return cold_ ? cold_->last_failure : nullptr;
}

inline std::optional<std::chrono::steady_clock::time_point> timer_core::last_failure_at() const {
  const std::scoped_lock lock(lock_);
  if (!cold_ || !cold_->last_failure_at) {
    return std::nullopt;
  }
  return std::chrono::time_point_cast<std::chrono::steady_clock::duration>(*cold_->last_failure_at);
}

inline net::any_io_executor timer_core::executor() const {
  const std::scoped_lock lock(lock_);
  return node_lane() != nullptr ? node_lane()->executor() : net::any_io_executor();
}

inline bool timer_core::is_inside(const void* caller) const noexcept {
  return caller == this || base::inside_scope::contains(this);
}

inline std::string timer_core::describe() const {
  const auto label = name();
  return "timer(" + (label.empty() ? std::string() : "name=\"" + label + "\", ") +
         "delay=" + to_string(interval(delay())) + ", hit_count=" + std::to_string(hit_count()) +
         (is_running() ? ", running)" : ", stopped)");
}

// --- waiting

inline std::exception_ptr timer_core::timed_out() noexcept {
  return base::error_of<timeout_error>(
      "wait: the timeout passed before the condition was met; the timer itself is untouched");
}

inline std::exception_ptr timer_core::not_running(const char* what) const noexcept {
  const bool is_named = cold_ && !cold_->name.empty();
  const std::string_view quote = is_named ? "\"" : "";
  return base::error_of<timer_not_running_error>(
      what, ": the timer", is_named ? " " : "", quote,
      is_named ? std::string_view(cold_->name) : std::string_view(), quote,
      " is not running; call start() first");
}

inline std::optional<timer_core::at_once> timer_core::outcome_at_once(
    const waiter& op, bool inside, const std::optional<interval>& timeout, bool trigger) {
  const awaited what = op.what();
  if (what == awaited::count && hit_count() >= op.goal()) {
    return at_once{};
  }
  if (!is_running_state(state())) {
    if (!trigger && cold_ && cold_->sticky_failure) {
      return at_once{cold_->sticky_failure};
    }
    if (what == awaited::tick_or_end || what == awaited::end) {
      return at_once{};
    }
    return at_once{not_running(what == awaited::count ? "wait" : trigger ? "trigger" : "join")};
  }
  const bool expired = timeout && timeout->nanoseconds().count() <= 0;
  if (inside && !(what == awaited::end && timeout)) {
    return at_once{base::error_of<self_wait_error>(
        "the timer's own target waits for the timer, which would never end: return first, or wait "
        "from elsewhere")};
  }
  if (expired) {
    return at_once{what == awaited::end ? nullptr : timed_out()};
  }
  return std::nullopt;
}

inline void timer_core::enroll(base::ref_ptr<waiter> op, const void* caller,
                               std::optional<interval> timeout, bool trigger) noexcept {
  try {
    const std::scoped_lock lock(lock_);
    op->begin_at(hit_count());
    if (auto outcome = outcome_at_once(*op, is_inside(caller), timeout, trigger)) {
      op->set_error(std::move(outcome->error));
    } else {
      operation_list& list = cold().waiters;
      if (timeout) {
        op->arm_deadline(my_scheduler(), timeout->nanoseconds());
      }
      list.enlist(*op.detach());
      if (trigger) {
        trigger_locked();
      }
      return;
    }
  } catch (...) {
    op->set_error(std::current_exception());  // no memory to wait
  }
  op.detach()->complete();
}

/// Asks for a tick now, unless one is on its way.
inline void timer_core::trigger_locked() noexcept {
  if (current_phase() == settling || has(arming)) {
    raise(triggered);
    return;
  }
  // Only a sleep that is cut short is noted: a tick on its way already must keep its grid.
  const bool was_cut = my_scheduler().kick(*this, [this] { raise(triggered); });
  if (!was_cut && has(paced) && has(first_tick)) [[unlikely]] {
    raise(triggered);  // it is about to sleep its own way
  }
}

inline void timer_core::enroll_stop(base::ref_ptr<stop_waiter> op, const void* caller) noexcept {
  base::ref_ptr<timer_core> keep;  // who waits may hold the last reference, and end at once
  bool interrupts = false;
  bool waits = false;
  {
    // One section: between two the run could end, and the next one would be waited for.
    const std::scoped_lock lock(lock_);
    if (current_phase() != stopped && !is_inside(caller)) {
      try {
        cold().stop_waiters.enlist(*op);
        waits = true;
      } catch (...) {
        op->set_error(std::current_exception());  // no memory to wait; the stop goes on
      }
    }
    interrupts = request_stop_locked(interrupting);
    if (waits) {
      keep = base::ref_ptr<timer_core>(this);
      static_cast<void>(op.detach());
    }
  }
  if (interrupts) {
    interrupt_target();
  }
  if (!waits) {
    op.detach()->complete();
  }
}

inline bool timer_core::claim(operation& op, operation_list cold_state::*list) noexcept {
  const std::scoped_lock lock(lock_);
  if (!op.waiting) {
    return false;
  }
  ((*cold_).*list).claim(op);
  return true;
}

inline bool timer_core::expire(waiter& op) noexcept {
  const std::scoped_lock lock(lock_);
  if (!op.waiting) {
    return false;
  }
  cold_->waiters.claim(op);
  if (op.what() == awaited::end) {
    store_outcome(op);
  } else {
    op.set_error(timed_out());
  }
  return true;
}

// --- feeds

inline void timer_core::add_feed(base::ref_ptr<feed_base> feed) {
  std::shared_ptr<feed_list> former;  // destroyed without the lock
  const std::scoped_lock lock(lock_);
  feeds_to_change(former).push_back(std::move(feed));
}

inline void timer_core::remove_feed(const feed_base& feed) noexcept {
  std::shared_ptr<feed_list> former;  // both destroyed without the lock
  base::ref_ptr<feed_base> removed;
  const std::scoped_lock lock(lock_);
  if (!cold_ || !cold_->feeds) {
    return;
  }
  const auto is_it = [&](const auto& each) { return each.get() == &feed; };
  const auto found = std::find_if(cold_->feeds->begin(), cold_->feeds->end(), is_it);
  if (found == cold_->feeds->end()) {
    return;
  }
  if (cold_->feeds->size() == 1) {
    former = std::exchange(cold_->feeds, nullptr);
    return;
  }
  const auto index = found - cold_->feeds->begin();
  try {
    feed_list& changed = feeds_to_change(former);
    removed = std::move(changed[static_cast<std::size_t>(index)]);
    changed.erase(changed.begin() + index);
  } catch (...) {
    // No memory: the feed stays until the end of the run; it is closed and takes nothing more.
  }
}

/// Gives the list, or a copy if a delivery reads it; lock held. Throws when memory ends.
inline feed_list& timer_core::feeds_to_change(std::shared_ptr<feed_list>& former) {
  cold_state& rare = cold();
  if (!rare.feeds || rare.feeds_are_read) {
    auto fresh =
        rare.feeds ? std::make_shared<feed_list>(*rare.feeds) : std::make_shared<feed_list>();
    former = std::exchange(rare.feeds, std::move(fresh));
    rare.feeds_are_read = false;  // the new one is nobody else's
  }
  return *rare.feeds;
}

inline std::shared_ptr<const feed_list> timer_core::read_feeds() noexcept {
  if (!cold_ || !cold_->feeds) {
    return nullptr;
  }
  cold_->feeds_are_read = true;
  return cold_->feeds;
}

inline void timer_core::feeds_were_read() noexcept {
  if (cold_) {
    cold_->feeds_are_read = false;
  }
}

}  // namespace detail

// --- timer_ref

inline timer_ref::timer_ref(base::ref_ptr<detail::timer_core> core) noexcept
    : core_(std::move(core)) {}
inline std::string timer_ref::name() const { return core_->name(); }
inline std::chrono::nanoseconds timer_ref::delay() const noexcept { return core_->delay(); }
inline std::int64_t timer_ref::hit_count() const noexcept { return core_->hit_count(); }
inline std::optional<std::chrono::steady_clock::time_point> timer_ref::last_tick_at()
    const noexcept {
  return core_->last_tick_at();
}
inline std::int64_t timer_ref::failure_count() const { return core_->failure_count(); }
inline std::exception_ptr timer_ref::last_failure() const { return core_->last_failure(); }
inline bool timer_ref::is_running() const noexcept { return core_->is_running(); }
inline void timer_ref::set_delay(interval delay) { core_->set_delay(delay); }
inline void timer_ref::request_stop() noexcept { core_->request_stop(); }
inline std::string to_string(const timer_ref& timer) { return timer.core_->describe(); }

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_TIMER_IMPL_CORE_HPP
