// The initiations of the timer's operations: classes with an executor, not lambdas, since tokens of
// newer Asio (cancel_after) ask an initiation for its executor.
#ifndef ASYNC_TIMER_TIMER_INITIATE_HPP
#define ASYNC_TIMER_TIMER_INITIATE_HPP

#include <algorithm>
#include <async_timer/base/ref_ptr.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/net/operation_with.hpp>
#include <async_timer/timer/core.hpp>
#include <async_timer/timer/options.hpp>
#include <async_timer/timer/waiter.hpp>
#include <cstdint>
#include <type_traits>
#include <utility>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

struct initiate_cancel {
  using executor_type = net::any_io_executor;

  base::ref_ptr<timer_core> timer;

  [[nodiscard]] executor_type get_executor() const { return timer->executor(); }

  template <class Handler>
  void operator()(Handler&& handler) const {
    using op_type = operation_with<stop_waiter, std::decay_t<Handler>>;
    std::decay_t<Handler> owned(std::forward<Handler>(handler));
    auto op = op_type::create(std::move(owned), timer->executor(), *timer);
    const void* const caller = op->caller();
    op->connect_slot();
    timer->enroll_stop(std::move(op), caller);
  }
};

/// Returns what a wait is for; an idle wait remembers the hit_count at its beginning.
inline tick_goal goal_of(const wait_options& options) noexcept {
  if (options.hit_count) {
    return {.count = std::max<std::int64_t>(*options.hit_count, 0), .from_now = false};
  }
  return {.count = std::max<std::int64_t>(options.hits.value_or(0), 0)};
}

template <class T, bool AsOptional>
struct initiate_wait {
  using executor_type = net::any_io_executor;

  base::ref_ptr<timer_core> timer;
  awaited what;
  wait_options options;
  bool trigger;

  [[nodiscard]] executor_type get_executor() const { return timer->executor(); }

  template <class Handler>
  void operator()(Handler&& handler) const {
    using op_type = operation_with<value_waiter<T, AsOptional>, std::decay_t<Handler>>;
    std::decay_t<Handler> owned(std::forward<Handler>(handler));
    auto op = op_type::create(std::move(owned), timer->executor(), *timer, what, goal_of(options));
    const void* const caller = op->caller();
    op->connect_slot();
    timer->enroll(std::move(op), caller, options.timeout, trigger);
  }
};

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_TIMER_INITIATE_HPP
