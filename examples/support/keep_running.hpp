// The first failure of a target ends the run of its timer; this begins another one.
#ifndef SUPPORT_KEEP_RUNNING_HPP
#define SUPPORT_KEEP_RUNNING_HPP

#include <async_timer/async_timer.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace support {

//[keep_running
/// Starts a timer again, one delay after each failure, until it is stopped or this is cancelled.
template <class T>
boost::asio::awaitable<void> keep_running(async_timer::timer<T>& timer) {
  namespace asio = boost::asio;
  asio::steady_timer pause(co_await asio::this_coro::executor);
  for (;;) {
    auto [failure, last] = co_await timer.wait(asio::as_tuple(asio::use_awaitable));
    if (!failure || async_timer::is_stopped(failure)) {
      co_return;
    }
    pause.expires_after(timer.delay());
    co_await pause.async_wait(asio::use_awaitable);
    timer.start();
  }
}
//]

}  // namespace support

#endif  // SUPPORT_KEEP_RUNNING_HPP
