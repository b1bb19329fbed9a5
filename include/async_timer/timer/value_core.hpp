// A timer core with its value type: keeps the last value and hands it to who waits.
#ifndef ASYNC_TIMER_TIMER_VALUE_CORE_HPP
#define ASYNC_TIMER_TIMER_VALUE_CORE_HPP

#include <async_timer/delivery/feed_core.hpp>
#include <async_timer/delivery/value.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/timer/core.hpp>
#include <async_timer/timer/waiter.hpp>
#include <chrono>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

ASYNC_TIMER_BEGIN_NAMESPACE

/// Is what a timer shows of one and the same moment; see timer::snapshot().
template <class T>
struct timer_snapshot {
  bool is_running = false;                     ///< false from the moment a stop was requested
  std::int64_t hit_count = 0;                  ///< ticks over all runs
  std::optional<tick_value_t<T>> last_result;  ///< of the last of them; empty before the first
  /// When that tick was completed; empty before the first.
  std::optional<std::chrono::steady_clock::time_point> last_tick_at;
  std::int64_t failure_count = 0;   ///< failed runs
  std::exception_ptr last_failure;  ///< of the target; null before the first
};

namespace detail {

template <class T>
class value_core : public timer_core {
 public:
  using value_type = tick_value_t<T>;

  [[nodiscard]] std::optional<value_type> last_result() const {
    published<value_type> last;
    {
      const std::scoped_lock lock(lock_);
      if (hit_count() == 0) {
        return std::nullopt;
      }
      last = last_;
    }
    return last.get();
  }

  [[nodiscard]] timer_snapshot<T> snapshot() const {
    timer_snapshot<T> shot;
    published<value_type> last;
    {
      const std::scoped_lock lock(lock_);
      shot.is_running = is_running();
      shot.hit_count = hit_count();
      shot.last_tick_at = last_tick_at();
      shot.failure_count = cold_ ? cold_->failure_count : 0;
      shot.last_failure = cold_ ? cold_->last_failure : nullptr;
      last = last_;
    }
    if (shot.hit_count > 0) {
      shot.last_result.emplace(last.get());
    }
    return shot;
  }

  /// Subscribes a feed from the next delivery on.
  base::ref_ptr<feed_core<value_type>> subscribe(std::int64_t maxsize, std::string_view name) {
    auto feed =
        base::ref_ptr<feed_core<value_type>>::adopt(new feed_core<value_type>(maxsize, name));
    add_feed(feed);
    return feed;
  }

 protected:
  using timer_core::timer_core;
  ~value_core() override = default;

  /// Ends a tick with its value: sets all fields, posts the completions, decides what is next.
  ///
  /// With a value the lock is held until after_rearm(); without one the run has ended.
  std::optional<rearm> deliver(published<value_type>& value) noexcept {
    const auto now = tick_time();
    lock_.lock();
    return deliver_locked(value, now);
  }
  /// Is deliver(), for who has read the time and taken the lock.
  std::optional<rearm> deliver_locked(published<value_type>& value, core::time_point now) noexcept {
    std::swap(last_, value);
    count_tick(now);
    if (!kept_in_place<value_type> || (cold_ && (!cold_->waiters.empty() || cold_->feeds))) {
      hand_out(value);
    }
    return schedule_next(now);
  }
  /// Follows the end of the handle: nobody can ask for the last value any more.
  void forget_value() noexcept {
    if constexpr (!kept_in_place<value_type>) {
      published<value_type> gone;  // destroyed without the lock
      const std::scoped_lock lock(lock_);
      std::swap(gone, last_);
    }
  }

 private:
  /// Posts the completions, then fills the feeds, in the order of registration; opens the lock
  /// meanwhile.
  void hand_out(published<value_type>& former) noexcept {
    operation_list claimed;
    claim_ticked(claimed);
    auto filled = read_feeds();
    auto value = last_;
    set_phase(settling);
    lock_.unlock();
    claimed.complete_all();
    if (filled) {
      for (const auto& feed : *filled) {
        static_cast<feed_core<value_type>&>(*feed).push(value);
      }
    }
    // Each may be the last reference to what a user's destructor follows.
    filled.reset();
    value = {};
    former = {};
    lock_.lock();
    feeds_were_read();
  }

  void store_outcome(waiter& op) noexcept override {
    if (op.what() == awaited::tick) {
      static_cast<value_waiter<T, false>&>(op).set_value(last_);
    } else if (op.what() != awaited::end || hit_count() > op.goal()) {
      static_cast<value_waiter<T, true>&>(op).set_value(last_);
    }
  }

  [[no_unique_address]] published<value_type> last_;  // nothing for a void
};

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_TIMER_VALUE_CORE_HPP
