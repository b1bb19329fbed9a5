// An executor for handlers that do next to nothing and must need neither memory nor a thread.
#ifndef ASYNC_TIMER_NET_INLINE_EXECUTOR_HPP
#define ASYNC_TIMER_NET_INLINE_EXECUTOR_HPP

#include <async_timer/net/asio.hpp>
#include <utility>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

/// Runs each function where it is handed over, also if that must not block. Asio's system_executor
/// would start threads then, which Asio 1.22 makes it do for a coroutine that ends at once.
class inline_executor {
 public:
  // The names and forms from here on are those of Asio's executor and property protocol.
  inline_executor require(net::execution::blocking_t::never_t) const noexcept { return *this; }
  template <class Function>
  void execute(Function&& function) const {
    std::forward<Function>(function)();
  }
  friend bool operator==(const inline_executor&, const inline_executor&) noexcept { return true; }
  friend bool operator!=(const inline_executor&, const inline_executor&) noexcept { return false; }
};

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_NET_INLINE_EXECUTOR_HPP
