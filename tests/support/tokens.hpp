// Completion tokens and helpers of Asio that moved between its versions, under one name.
#ifndef ASYNC_TIMER_TESTS_SUPPORT_TOKENS_HPP
#define ASYNC_TIMER_TESTS_SUPPORT_TOKENS_HPP

#include <async_timer/async_timer.hpp>

#if defined(ASYNC_TIMER_USE_STANDALONE_ASIO)
#include <asio/bind_cancellation_slot.hpp>
#include <asio/bind_executor.hpp>
#include <asio/detached.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <asio/experimental/awaitable_operators.hpp>
#include <asio/experimental/deferred.hpp>
#include <asio/experimental/parallel_group.hpp>
#include <asio/use_future.hpp>
#else
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/use_future.hpp>
#endif

namespace test::compat {

#if defined(ASYNC_TIMER_USE_STANDALONE_ASIO)
using ::asio::experimental::as_tuple;
using ::asio::experimental::deferred;
#else
using ::boost::asio::as_tuple;
using ::boost::asio::deferred;
#endif

}  // namespace test::compat

#endif  // ASYNC_TIMER_TESTS_SUPPORT_TOKENS_HPP
