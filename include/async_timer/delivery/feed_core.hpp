// One subscriber's queue: every value delivered since it was made, the end kept out of band.
// It knows values and operations; the timer that fills it is an owner that it may leave.
#ifndef ASYNC_TIMER_DELIVERY_FEED_CORE_HPP
#define ASYNC_TIMER_DELIVERY_FEED_CORE_HPP

#include <array>
#include <async_timer/base/log.hpp>
#include <async_timer/base/ref_ptr.hpp>
#include <async_timer/base/word_lock.hpp>
#include <async_timer/core/ring_buffer.hpp>
#include <async_timer/delivery/feed_waiter.hpp>
#include <async_timer/delivery/value.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/net/errors.hpp>
#include <async_timer/net/operation.hpp>
#include <async_timer/scheduler/scheduler_service.hpp>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

/// Is what a timer knows of its feeds.
class feed_base : public base::ref_counted {
 public:
  /// Ends the feed, once: buffered values stay readable, a failure comes after them. Consumers hear
  /// of it by tell_end().
  virtual void end(const std::exception_ptr& failure) noexcept = 0;
  /// Lets consumers resume at the end: those that wait, and those that ask from now on.
  virtual void tell_end() noexcept = 0;
};

/// Is why a feed loses a value, and so which one.
enum class drop_reason : std::uint8_t {
  full,      ///< the oldest makes room
  no_memory  ///< the newest can't be kept
};

inline void report_drop(drop_reason why, std::string_view feed, std::int64_t maxsize,
                        std::int64_t dropped) noexcept {
  constexpr base::event_tag event("async_timer.subscription_drop");
  if (base::log_holds_back(event, feed)) {
    return;
  }
  try {
    const std::string name(feed.empty() ? "<unnamed>" : feed);
    const std::array<log_field, 3> fields{{{"subscription_name", name},
                                           {"maxsize", std::to_string(maxsize)},
                                           {"dropped_count", std::to_string(dropped)}}};
    const auto message =
        (why == drop_reason::full
             ? "feed " + name + " is full (maxsize " + fields[1].value + "): dropped oldest value, "
             : "there is no memory for feed " + name + ": dropped newest value, ") +
        fields[2].value + " dropped in all";
    base::log({log_level::warning, "async_timer.subscription", event, message, fields});
  } catch (...) {
    base::log_without_memory(log_level::warning, "async_timer.subscription", event,
                             why == drop_reason::full
                                 ? "a feed is full: dropped oldest value"
                                 : "there is no memory for a feed: dropped newest value");
  }
}

template <class V>
class feed_core final : public feed_base {
 public:
  feed_core(std::int64_t maxsize, std::string_view name) : maxsize_(maxsize), name_(name) {}

  [[nodiscard]] std::int64_t size() const noexcept {
    const std::scoped_lock lock(lock_);
    return static_cast<std::int64_t>(values_.size());
  }
  [[nodiscard]] std::int64_t dropped() const noexcept {
    const std::scoped_lock lock(lock_);
    return dropped_;
  }
  [[nodiscard]] bool ended() const noexcept {
    const std::scoped_lock lock(lock_);
    return ended_;
  }

  /// Adds a value, at the cost of the oldest one if the feed is full.
  void push(const published<V>& value) noexcept {
    std::optional<published<V>> oldest;  // destroyed without the lock
    feed_waiter<V>* receiver = nullptr;
    std::int64_t dropped = 0;
    auto why = drop_reason::full;
    {
      const std::scoped_lock lock(lock_);
      if (ended_) {
        return;
      }
      const std::int64_t serial = next_serial_++;
      receiver = hand_over(value, serial);
      if (receiver == nullptr) {
        try {
          values_.push_back({serial, value});
          dropped = keep_bound(oldest);
        } catch (...) {
          why = drop_reason::no_memory;
          dropped = ++dropped_;
        }
      }
    }
    if (receiver != nullptr) {
      receiver->complete();
    }
    if (dropped > 0) {
      report_drop(why, name_, maxsize_, dropped);
    }
  }

  void end(const std::exception_ptr& failure) noexcept override {
    const std::scoped_lock lock(lock_);
    if (!std::exchange(ended_, true)) {
      failure_ = failure;
    }
  }

  void tell_end() noexcept override {
    operation_list waiters;
    {
      const std::scoped_lock lock(lock_);
      is_told_ = true;
      if (auto* first = static_cast<feed_waiter<V>*>(waiters_.front())) {
        first->error_ = std::exchange(failure_, nullptr);
      }
      waiters_.claim_all(waiters);
    }
    waiters.complete_all();
  }

  /// Drops up to n of the oldest values; returns how many. Needs no memory: it is what helps when
  /// there is none.
  std::int64_t drop_oldest(std::int64_t n) noexcept {
    for (std::int64_t done = 0; done < n; ++done) {
      std::optional<published<V>> oldest;  // destroyed without the lock
      const std::scoped_lock lock(lock_);
      if (values_.empty()) {
        return done;
      }
      oldest.emplace(std::move(values_.front().value));
      values_.pop_front();
      ++dropped_;
    }
    return n;
  }

  /// Gives a value, or the end, to a waiter, or lets it wait; consumes its own reference. Without
  /// memory to wait it gets that error. If its handler can't run any more it is abandoned.
  ///
  /// @param where  the handler's executor: if its context goes away the waiter goes with it
  void enroll(base::ref_ptr<feed_waiter<V>> op, const net::any_io_executor& where) noexcept {
    try {
      if (!serve_at_once(*op)) {
        // Asks a user's executor, so not under the lock; meanwhile there may come what it waits
        // for.
        auto of_context = where ? scheduler_service::of(where) : nullptr;
        std::unique_lock lock(lock_);
        if (!serve(*op)) {
          if (!of_context || op->watch(std::move(of_context))) {
            waiters_.enlist(*op.detach());
            return;
          }
          lock.unlock();
          op.detach()->abandon();
          return;
        }
      }
    } catch (...) {
      op->error_ = std::current_exception();
    }
    op.detach()->complete();
  }

  /// Ends one waiter by its cancellation slot; false if it is claimed already.
  bool claim(feed_waiter<V>& op) noexcept {
    const std::scoped_lock lock(lock_);
    if (!op.waiting) {
      op.is_cancelled_ = true;
      return false;
    }
    waiters_.claim(op);
    op.error_ = stop_outcome();
    return true;
  }

  /// Claims one waiter whose context goes away; false if it is claimed already.
  bool take_out(feed_waiter<V>& op) noexcept {
    const std::scoped_lock lock(lock_);
    if (!op.waiting) {
      return false;
    }
    waiters_.claim(op);
    return true;
  }

  /// Precedes the handler: a value is not handed to an operation that was cancelled meanwhile, it
  /// goes back to its place (contract 13.29); in a full feed it, or an older one, is dropped.
  void settle(feed_waiter<V>& op) noexcept {
    std::optional<published<V>> oldest;
    feed_waiter<V>* other = nullptr;
    std::int64_t dropped = 0;
    {
      const std::scoped_lock lock(lock_);
      if (!op.is_cancelled_ || !op.value_) {
        return;
      }
      other = hand_over(*op.value_, op.serial_);
      if (other == nullptr) {
        try {
          values_.push_front({op.serial_, *op.value_});
        } catch (...) {
          return;  // no memory to give it back: rather deliver it than lose it
        }
        for (std::size_t i = 1; i < values_.size() && values_[i].serial < values_[i - 1].serial;
             ++i) {
          std::swap(values_[i], values_[i - 1]);
        }
        dropped = keep_bound(oldest);
      }
      op.value_.reset();
      op.error_ = stop_outcome();
    }
    if (other != nullptr) {
      other->complete();
    }
    if (dropped > 0) {
      report_drop(drop_reason::full, name_, maxsize_, dropped);
    }
  }

 private:
  struct entry {
    std::int64_t serial;
    published<V> value;
  };

  [[nodiscard]] bool serve_at_once(feed_waiter<V>& op) noexcept {
    const std::scoped_lock lock(lock_);
    return serve(op);
  }
  /// Gives an operation its outcome, if there is one already; lock held.
  bool serve(feed_waiter<V>& op) noexcept {
    if (!values_.empty()) {
      op.serial_ = values_.front().serial;
      op.value_.emplace(std::move(values_.front().value));
      values_.pop_front();
    } else if (is_told_) {
      op.error_ = std::exchange(failure_, nullptr);
    } else if (op.is_cancelled_) {
      op.error_ = stop_outcome();
    } else {
      return false;
    }
    return true;
  }

  /// Takes out the oldest value if there are too many; lock held.
  ///
  /// @return how many were dropped so far, 0 if this dropped none
  std::int64_t keep_bound(std::optional<published<V>>& oldest) noexcept {
    if (maxsize_ == 0 || std::cmp_less_equal(values_.size(), maxsize_)) {
      return 0;
    }
    oldest.emplace(std::move(values_.front().value));
    values_.pop_front();
    return ++dropped_;
  }

  /// Claims the first waiter for a value, if there is one; lock held.
  feed_waiter<V>* hand_over(const published<V>& value, std::int64_t serial) noexcept {
    auto* const receiver = static_cast<feed_waiter<V>*>(waiters_.front());
    if (receiver != nullptr) {
      waiters_.claim(*receiver);
      receiver->value_.emplace(value);
      receiver->serial_ = serial;
    }
    return receiver;
  }

  const std::int64_t maxsize_;
  const std::string name_;

  mutable base::word_lock lock_;
  core::ring_buffer<entry> values_;  ///< in the order of their serial numbers
  std::int64_t next_serial_ = 0;
  operation_list waiters_;
  std::int64_t dropped_ = 0;
  std::exception_ptr failure_;
  bool ended_ = false;
  bool is_told_ = false;  ///< only after the end
};

/// Applies the outcome as T or as shared_ptr<const T>.
template <class V, class Item>
class feed_item_waiter : public feed_waiter<V> {
 public:
  using feed_waiter<V>::feed_waiter;

 protected:
  ~feed_item_waiter() override = default;

  struct outcome {
    std::exception_ptr error;
    std::optional<published<V>> value;

    template <class Handler>
    void operator()(Handler& handler) {
      std::optional<Item> item;
      if (value) {
        try {
          if constexpr (std::is_same_v<Item, V>) {
            item.emplace(value->get());
          } else {
            item.emplace(value->share());
          }
        } catch (...) {
          error = std::current_exception();
        }
        value.reset();
      }
      std::move(handler)(std::move(error), std::move(item));
    }
  };
  outcome take() noexcept {
    this->feed_->settle(*this);
    return {std::move(this->error_), std::move(this->value_)};
  }
};

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_DELIVERY_FEED_CORE_HPP
