// What runs in no executor of a user's: waits for a context's clock, and functions that are posted.
// They are handlers of that context, if it is an io_context or a thread_pool; those of any other
// Asio runs on a thread of its own.
#ifndef ASYNC_TIMER_NET_INSIDE_CONTEXT_HPP
#define ASYNC_TIMER_NET_INSIDE_CONTEXT_HPP

#include <async_timer/net/asio.hpp>
#include <async_timer/net/executor.hpp>
#include <chrono>
#include <utility>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

/// Is for timers of Asio's: runs what their waits end in where Asio ends them.
class inside_context {
 public:
  explicit inside_context(net::execution_context& context) noexcept : context_(&context) {}

  // The names and forms from here on are those of Asio's executor and property protocol.
  net::execution_context& query(net::execution::context_t) const noexcept { return *context_; }
  template <class Function>
  void execute(Function&& function) const {
    std::forward<Function>(function)();
  }
  friend bool operator==(const inside_context& a, const inside_context& b) noexcept {
    return a.context_ == b.context_;
  }
  friend bool operator!=(const inside_context& a, const inside_context& b) noexcept {
    return !(a == b);
  }

 private:
  net::execution_context* context_;
};

using context_timer =
    net::basic_waitable_timer<std::chrono::steady_clock,
                              net::wait_traits<std::chrono::steady_clock>, inside_context>;

/// Posts to a context, without memory if the function's allocator has some.
///
/// @param own  the context's own executor, or none if it is not known. An executor of a user's will
///   not do: it may refer to what is gone by then, drop the function, or call back
/// @param function  is callable with an error_code, too, and asked for its allocator
template <class Function>
void post_to_context(net::execution_context& context, const net::any_io_executor& own,
                     Function&& function) {
  if (const auto* io = executor_target<net::io_context::executor_type>(own)) {
    net::post(*io, std::forward<Function>(function));
  } else if (const auto* pool = executor_target<net::thread_pool::executor_type>(own)) {
    net::post(*pool, std::forward<Function>(function));
  } else {
    // The context can't be asked for its executor, but a wait that is cancelled is posted to it.
    context_timer never(inside_context(context), context_timer::time_point::max());
    never.async_wait(std::forward<Function>(function));
  }
}

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_NET_INSIDE_CONTEXT_HPP
