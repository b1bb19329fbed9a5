// Who waits for the next value of a feed: the operation, and what it does when its handler's
// context goes.
#ifndef ASYNC_TIMER_DELIVERY_FEED_WAITER_HPP
#define ASYNC_TIMER_DELIVERY_FEED_WAITER_HPP

#include <async_timer/base/ref_ptr.hpp>
#include <async_timer/base/schedule_point.hpp>
#include <async_timer/delivery/value.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/net/operation.hpp>
#include <async_timer/scheduler/scheduler.hpp>
#include <async_timer/scheduler/shutdown_listener.hpp>
#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

template <class V>
class feed_core;

/// Waits for the next value of a feed, and for the end of its handler's context.
template <class V>
class feed_waiter : public operation, private shutdown_listener {
 public:
  explicit feed_waiter(feed_core<V>& feed) noexcept : feed_(&feed) {}

  bool claim_to_cancel() noexcept override { return feed_->claim(*this); }

 protected:
  ~feed_waiter() override = default;

  /// Precedes the completion; false: on_shutdown() is on its way, and completes when it arrives.
  bool may_complete() noexcept {
    if (watched_ && !watched_->unwatch(*this) && !meet()) {
      return false;
    }
    watched_ = nullptr;
    return true;
  }

 private:
  /// Lets it go with the context of its handler, which may be another one than the timer's; false
  /// if that has gone.
  bool watch(std::shared_ptr<scheduler> of_context) noexcept {
    if (!of_context->watch(*this)) {
      return false;
    }
    watched_ = std::move(of_context);
    return true;
  }
  void on_shutdown() noexcept final {
    if (feed_->take_out(*this)) {
      watched_ = nullptr;
      this->abandon();
    } else if (meet()) {
      watched_ = nullptr;
      this->complete();
    }
  }
  /// Tells whether the other one of who completes it and on_shutdown() was here already.
  bool meet() noexcept { return met_.exchange(true, std::memory_order_acq_rel); }

  std::shared_ptr<scheduler> watched_;
  base::atomic<bool> met_{false};

 protected:
  friend class feed_core<V>;
  base::ref_ptr<feed_core<V>> feed_;
  std::optional<published<V>> value_;
  std::int64_t serial_ = 0;  ///< of the value
  std::exception_ptr error_;
  bool is_cancelled_ = false;  ///< after a value was handed over, but before the handler had it
};

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_DELIVERY_FEED_WAITER_HPP
