// Scoped use: start, run the body, always cancel and wait for the clean-up.
#ifndef ASYNC_TIMER_TIMER_SCOPED_HPP
#define ASYNC_TIMER_TIMER_SCOPED_HPP

#include <async_timer/delivery/target_shape.hpp>
#include <async_timer/delivery/value.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/timer/timer_ref.hpp>
#include <concepts>
#include <exception>
#include <functional>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

// g++ before 14 destroys a temporary beside co_await twice; such a closure is caught here.
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 14
inline constexpr bool temporaries_beside_co_await_are_safe = false;
#else
inline constexpr bool temporaries_beside_co_await_are_safe = true;
#endif

/// Holds a body for the life of the scope: a copy of it, or a reference if it can't be copied.
template <class Body>
using scope_body = std::conditional_t<!std::is_lvalue_reference_v<Body> ||
                                          std::copy_constructible<std::decay_t<Body>>,
                                      std::decay_t<Body>, Body>;

/// Says how to enter and to leave the scope of a timer; timer_group has its own.
template <class Timer>
struct scope_of {
  /// Throws if there is nothing to leave; gives an error that is to be thrown after leave().
  ///
  /// @param here  the coroutine's executor, for a timer of every() that has none
  std::exception_ptr enter(Timer& timer, const net::any_io_executor& here) {
    start(timer, here);
    entered_ = timer.ref();
    return nullptr;
  }
  /// Precedes leave(), which may find no memory.
  void request_stop(Timer& timer) noexcept {
    entered_->request_stop();
    timer.request_stop();  // nothing, if the body has moved it away
  }
  template <class CompletionToken>
  auto leave(Timer&, CompletionToken&& token) {
    return entered_->cancel(std::forward<CompletionToken>(token));
  }
  /// Gives the timer that the body has put in the place of the one entered, to be left, too.
  [[nodiscard]] std::optional<timer_ref> replacement(const Timer& timer) const {
    try {
      if (auto there = timer.ref(); there != *entered_) {
        return there;
      }
    } catch (const std::logic_error&) {
      // It was moved from, and nothing put in its place.
    }
    return std::nullopt;
  }

 private:
  static void start(Timer& timer, const net::any_io_executor& here) {
    if constexpr (requires { timer.start(here); }) {
      if (!timer.get_executor()) {
        timer.start(here);
        return;
      }
    }
    timer.start();
  }

  std::optional<timer_ref> entered_;
};

/// Awaits what the caller's cancellation doesn't reach.
inline auto uncancelled() {
  return net::bind_cancellation_slot(net::cancellation_slot(), net::use_awaitable);
}

template <class Timer, class Body, class Result>
net::awaitable<Result> run_scoped(Timer& timer, Body body) {
  scope_of<Timer> scope;
  const net::any_io_executor here = co_await net::this_coro::executor;
  std::exception_ptr failure = scope.enter(timer, here);
  std::optional<tick_value_t<Result>> result;
  try {
    if (failure) {
      std::rethrow_exception(failure);
    }
    auto work = std::invoke(body);
    if constexpr (std::is_void_v<Result>) {
      co_await std::move(work);
      result.emplace();
    } else {
      result.emplace(co_await std::move(work));
    }
  } catch (...) {
    failure = std::current_exception();
  }
  scope.request_stop(timer);
  // A caller that was cancelled would not get past the next co_await, nor wait for the clean-up.
  const bool throws_if_cancelled = co_await net::this_coro::throw_if_cancelled();
  co_await net::this_coro::throw_if_cancelled(false);
  try {
    auto stop = scope.leave(timer, uncancelled());
    co_await std::move(stop);
    if (const auto other = scope.replacement(timer)) {
      auto stop_other = other->cancel(uncancelled());
      co_await std::move(stop_other);
    }
  } catch (...) {
    if (!failure) {
      failure = std::current_exception();
    }
  }
  co_await net::this_coro::throw_if_cancelled(throws_if_cancelled);
  if (failure) {
    std::rethrow_exception(failure);
  }
  if constexpr (!std::is_void_v<Result>) {
    co_return std::move(*result);
  }
}

}  // namespace detail

/// Starts a timer, or a group, runs a body, and always cancels it and waits for its clean-up.
///
/// Of a group those that don't run are started, even if it is active. If one can't be, those that
/// were are cancelled, which is waited for, and the error is thrown without running the body.
/// @param timer  a timer or a timer_group; must outlive the awaiting of the result. If the body
///   moves it, it is stopped where it is then, and so is what the body has put in its place. One
///   made by every() that has no executor, or whose context is gone, is started on the coroutine's
/// @param body   returns an `awaitable`; a named one is copied
/// @return an `awaitable` of the body's result. It throws timer_already_running_error if the timer
///   runs already, then without running the body; and whatever the body throws, after the clean-up.
///   Without memory to wait for the clean-up the timer is stopped nevertheless.
/// @par Cancellation
///   reaches the body; the clean-up is always waited for.
/// @par Example
///   @snippet tour.cpp scoped
template <class Timer, class Body>
auto scoped(Timer& timer, Body&& body) {
  static_assert(detail::temporaries_beside_co_await_are_safe || std::is_lvalue_reference_v<Body> ||
                    std::is_trivially_destructible_v<Body>,
                "async_timer::scoped: name the body first (auto body = ...; scoped(timer, body)): "
                "this g++ destroys a temporary closure beside co_await twice");
  using result = std::invoke_result_t<std::decay_t<Body>&>;
  static_assert(detail::awaitable_type<result>,
                "async_timer::scoped: the body must return an awaitable");
  using value = typename detail::awaitable_traits<result>::value_type;
  return detail::run_scoped<Timer, detail::scope_body<Body>, value>(timer,
                                                                    std::forward<Body>(body));
}

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_TIMER_SCOPED_HPP
