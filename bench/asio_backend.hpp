// The Asio of the build target, for what is written by hand.
#ifndef ASYNC_TIMER_BENCH_ASIO_BACKEND_HPP
#define ASYNC_TIMER_BENCH_ASIO_BACKEND_HPP

#if defined(ASYNC_TIMER_USE_STANDALONE_ASIO)
#include <asio.hpp>
#include <system_error>
#else
#include <boost/asio.hpp>
#include <boost/system/error_code.hpp>
#endif

#include "measure.hpp"

namespace bench {

#if defined(ASYNC_TIMER_USE_STANDALONE_ASIO)
namespace net = ::asio;
using error_code = std::error_code;
#else
namespace net = ::boost::asio;
using error_code = boost::system::error_code;
#endif

/// Runs a context for a time. Asio's own run_for() keeps no memory from one handler to the next.
inline void run_for(net::io_context& context, nanoseconds time) {
  net::steady_timer end(context, time);
  end.async_wait([&context](const error_code&) { context.stop(); });
  context.restart();
  context.run();
}

}  // namespace bench

#endif  // ASYNC_TIMER_BENCH_ASIO_BACKEND_HPP
