// What asynchronous targets of tests wait at: it takes no time and has no clock.
#ifndef ASYNC_TIMER_TESTS_SUPPORT_TURNSTILE_HPP
#define ASYNC_TIMER_TESTS_SUPPORT_TURNSTILE_HPP

#include <async_timer/net/asio.hpp>
#if defined(ASYNC_TIMER_USE_STANDALONE_ASIO)
#include <asio/detached.hpp>
#include <asio/redirect_error.hpp>
#else
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#endif
#include <chrono>

namespace test {

/// Holds coroutines until it is opened; it stays open then.
class turnstile {
 public:
  explicit turnstile(async_timer::net::io_context& io)
      : timer_(io, std::chrono::steady_clock::time_point::max()) {}

  /// Waits until the turnstile is open; throws operation_aborted if it is cancelled.
  async_timer::net::awaitable<void> wait() {
    namespace net = async_timer::net;
    ++waiting_;
    const leaving on_exit{waiting_};
    while (!open_) {
      async_timer::error_code error;
      co_await timer_.async_wait(net::redirect_error(net::use_awaitable, error));
      if (!open_) throw async_timer::system_error(error);
    }
  }

  /// Waits until the turnstile is open, whatever is cancelled meanwhile.
  async_timer::net::awaitable<void> wait_uninterruptibly() {
    namespace net = async_timer::net;
    ++waiting_;
    const leaving on_exit{waiting_};
    async_timer::error_code error;
    if (!open_) {
      co_await timer_.async_wait(net::bind_cancellation_slot(
          net::cancellation_slot(), net::redirect_error(net::use_awaitable, error)));
    }
  }

  void open() {
    open_ = true;
    timer_.cancel();
  }
  /// Counts the coroutines that wait here now.
  [[nodiscard]] int waiting() const { return waiting_; }

 private:
  struct leaving {
    int& count;
    ~leaving() { --count; }
  };

  async_timer::net::steady_timer timer_;
  bool open_ = false;
  int waiting_ = 0;
};

}  // namespace test

#endif  // ASYNC_TIMER_TESTS_SUPPORT_TURNSTILE_HPP
