// The feed that a subscriber holds.
#ifndef ASYNC_TIMER_TIMER_SUBSCRIPTION_HPP
#define ASYNC_TIMER_TIMER_SUBSCRIPTION_HPP

#include <async_timer/base/ref_ptr.hpp>
#include <async_timer/delivery/feed_core.hpp>
#include <async_timer/delivery/value.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/net/operation_with.hpp>
#include <async_timer/net/token.hpp>
#include <async_timer/timer/core.hpp>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

ASYNC_TIMER_BEGIN_NAMESPACE

/// Says what a feed keeps. Trivially destructible, as all options that may stand beside `co_await`.
struct subscription_options {
  /// How many values it buffers before the oldest is dropped; >= 0, 0 is unbounded.
  std::int64_t maxsize = 0;
  /// Shows up in the warning of a drop; copied.
  std::string_view name{};
};
static_assert(std::is_trivially_destructible_v<subscription_options>);

namespace detail {

template <class V, class Item>
struct initiate_feed_next {
  using executor_type = net::any_io_executor;

  base::ref_ptr<feed_core<V>> feed;
  base::ref_ptr<timer_core> timer;

  [[nodiscard]] executor_type get_executor() const { return timer->executor(); }

  template <class Handler>
  void operator()(Handler&& handler) const {
    using op_type = operation_with<feed_item_waiter<V, Item>, std::decay_t<Handler>>;
    std::decay_t<Handler> owned(std::forward<Handler>(handler));
    auto op = op_type::create(std::move(owned), timer->executor(), *feed);
    const auto where = op->executor_of_context();
    op->connect_slot();
    feed->enroll(std::move(op), where);
  }
};

}  // namespace detail

/// Receives every tick from the moment of subscribing, in order, however slow its consumer is.
///
/// Dropping it unsubscribes. It may outlive its timer: the values left, then the end.
/// @tparam T     the timer's value type
/// @tparam Item  what next() gives: a copy of the value, or `std::shared_ptr<const T>`
/// @par Thread safety
///   Every member function may be called from any thread at any time; moving and destroying need
///   the handle for themselves.
/// @par Errors
///   One that was moved from is closed; next() and drop_oldest() then throw `std::logic_error`.
template <class T, class Item = tick_value_t<T>>
class subscription {
  using value = tick_value_t<T>;
  using signature = void(std::exception_ptr, std::optional<Item>);

 public:
  using value_type = Item;
  using executor_type = net::any_io_executor;

  subscription(subscription&&) noexcept = default;
  /// Closes this feed and takes over the other one.
  subscription& operator=(subscription&& other) noexcept {
    subscription taken(std::move(other));
    std::swap(feed_, taken.feed_);
    std::swap(timer_, taken.timer_);
    return *this;
  }
  /// Closes the feed.
  ~subscription() { close(); }

  /// Takes the oldest buffered value, or waits for one.
  ///
  /// Several consumers of one feed compete for its values.
  /// @par Completion signature
  ///   `void(std::exception_ptr, std::optional<Item>)`
  /// @par Completes when
  ///   - there is a value: that value;
  ///   - the feed has ended and is drained: with the target's failure, once, if it ended by one;
  ///     then, and otherwise, empty.
  /// @par Per-operation cancellation
  ///   `terminal`, `partial`, `total`: ends this wait with `operation_aborted`; no value is lost.
  /// @throws threadsafe_dispatch_error  if neither timer nor handler has an executor
  template <
      detail::completion_token_for<signature> CompletionToken = default_token_t<executor_type>>
  auto next(CompletionToken&& token = CompletionToken{}) {
    return net::async_initiate<CompletionToken, signature>(
        detail::initiate_feed_next<value, Item>{base::ref_ptr(&feed()), timer_}, token);
  }

  /// Returns the number of buffered values; the end doesn't count.
  [[nodiscard]] std::int64_t qsize() const noexcept { return feed_ ? feed_->size() : 0; }
  /// Returns how many values were dropped, by a full buffer or by drop_oldest().
  [[nodiscard]] std::int64_t dropped_count() const noexcept { return feed_ ? feed_->dropped() : 0; }
  /// Tells whether no more values will come; buffered ones may still be there.
  [[nodiscard]] bool closed() const noexcept { return !feed_ || feed_->ended(); }

  /// Drops the oldest values.
  ///
  /// @param n  at most so many; >= 0
  /// @return how many were dropped
  /// @throws std::invalid_argument  if n < 0
  std::int64_t drop_oldest(std::int64_t n = 1) {
    if (n < 0) {
      throw std::invalid_argument("async_timer: n must be >= 0, but is " + std::to_string(n));
    }
    return feed().drop_oldest(n);
  }

  /// Unsubscribes; buffered values stay readable, then the feed ends. Again is no change.
  void close() noexcept {
    if (feed_) {
      timer_->remove_feed(*feed_);
      feed_->end(nullptr);
      feed_->tell_end();
    }
  }
  /// Is close(), for those who look for the blocking forms: it doesn't wait and never throws.
  void close_threadsafe() noexcept { close(); }

 private:
  template <class U>
  friend class timer;
  subscription(base::ref_ptr<detail::feed_core<value>> feed,
               base::ref_ptr<detail::timer_core> timer) noexcept
      : feed_(std::move(feed)), timer_(std::move(timer)) {}

  [[nodiscard]] detail::feed_core<value>& feed() const {
    if (!feed_) {
      throw std::logic_error("async_timer: this subscription was moved from");
    }
    return *feed_;
  }

  base::ref_ptr<detail::feed_core<value>> feed_;
  base::ref_ptr<detail::timer_core> timer_;
};

/// Is a feed that hands out the value itself instead of copies.
template <class T>
using shared_subscription = subscription<T, std::shared_ptr<const tick_value_t<T>>>;

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_TIMER_SUBSCRIPTION_HPP
