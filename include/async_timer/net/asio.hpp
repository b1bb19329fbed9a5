// The door to Asio: picks the backend by what the build target defines, names it `net`.
// Only the room net/ includes an Asio header or reads an Asio version.
#ifndef ASYNC_TIMER_NET_ASIO_HPP
#define ASYNC_TIMER_NET_ASIO_HPP

#if !defined(__cpp_rtti) && !defined(_CPPRTTI)
#error \
    "async_timer needs run-time type information, to look into an any_io_executor, as standalone Asio 1.22 does: compile without -fno-rtti"
#endif

#if defined(ASYNC_TIMER_USE_STANDALONE_ASIO)

#include <asio/version.hpp>
#if defined(__clang__) && ASIO_VERSION < 102400 && !defined(ASIO_HAS_STD_COROUTINE)
#error \
    "Asio before 1.24 hides coroutines from clang: define ASIO_HAS_CO_AWAIT=1 and ASIO_HAS_STD_COROUTINE=1, or link async_timer::standalone, which does"
#endif

#include <asio/any_io_executor.hpp>
#include <asio/associated_allocator.hpp>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/awaitable.hpp>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/bind_executor.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/dispatch.hpp>
#include <asio/error.hpp>
#include <asio/execution_context.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/multiple_exceptions.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <asio/strand.hpp>
#include <asio/system_executor.hpp>
#include <asio/this_coro.hpp>
#include <asio/thread_pool.hpp>
#include <asio/use_awaitable.hpp>
#include <system_error>

#define ASYNC_TIMER_BEGIN_NAMESPACE \
  namespace async_timer {           \
  inline namespace with_standalone {
#else

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/multiple_exceptions.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/system_executor.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#define ASYNC_TIMER_BEGIN_NAMESPACE \
  namespace async_timer {           \
  inline namespace with_boost {
#endif

#define ASYNC_TIMER_END_NAMESPACE \
  }                               \
  }

ASYNC_TIMER_BEGIN_NAMESPACE

#if defined(ASYNC_TIMER_USE_STANDALONE_ASIO)
namespace net = ::asio;
using error_code = std::error_code;
using system_error = std::system_error;
#else
namespace net = ::boost::asio;
using error_code = boost::system::error_code;
using system_error = boost::system::system_error;
#endif

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_NET_ASIO_HPP
