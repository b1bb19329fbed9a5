// The default completion token of our operations.
// Asio's own default differs between versions (void, void, deferred_t), so we ask the executor only
// for a default that it names, and take use_awaitable otherwise.
#ifndef ASYNC_TIMER_NET_TOKEN_HPP
#define ASYNC_TIMER_NET_TOKEN_HPP

#include <async_timer/net/asio.hpp>
#include <exception>
#include <type_traits>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

template <class Executor, class = void>
struct default_token {
  using type = net::use_awaitable_t<>;
};
template <class Executor>
struct default_token<Executor, std::void_t<typename Executor::default_completion_token_type>> {
  using type = typename Executor::default_completion_token_type;
};

template <class T>
struct completion_signature {
  using type = void(std::exception_ptr, T);
};
template <>
struct completion_signature<void> {
  using type = void(std::exception_ptr);
};
template <class T>
using completion_signature_t = typename completion_signature<T>::type;

/// Is what Asio asks of a token; asked for where a user passes one, so that the compiler's first
/// line is about his code, and shows the signature.
#if defined(BOOST_ASIO_HAS_CONCEPTS) || defined(ASIO_HAS_CONCEPTS)
template <class Token, class Signature>
concept completion_token_for = net::completion_token_for<Token, Signature>;
#else
template <class Token, class Signature>
concept completion_token_for = true;
#endif

}  // namespace detail

template <class Executor = net::any_io_executor>
using default_token_t = typename detail::default_token<Executor>::type;

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_NET_TOKEN_HPP
