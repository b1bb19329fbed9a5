// Generators as users write them: a single-pass range from a coroutine, objects with next(), and
// the coroutines of Asio's experimental::coro.
#ifndef ASYNC_TIMER_TESTS_SUPPORT_GENERATORS_HPP
#define ASYNC_TIMER_TESTS_SUPPORT_GENERATORS_HPP

#include <async_timer/async_timer.hpp>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

// The channel comes first: after coro.hpp its header takes a concept for `execution_context`.
#if defined(ASYNC_TIMER_USE_STANDALONE_ASIO)
#include <asio/experimental/channel.hpp>
#include <asio/experimental/coro.hpp>
#include <asio/experimental/use_coro.hpp>
#else
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/experimental/coro.hpp>
#endif

#include "support/fixture.hpp"

namespace test {

/// Is how an experimental::coro awaits an operation. In Boost 1.81 use_coro swallows the error, in
/// standalone Asio 1.22 deferred can't be awaited.
#if defined(ASYNC_TIMER_USE_STANDALONE_ASIO)
inline constexpr net::experimental::use_coro_t<> coro_token;
#else
inline constexpr net::deferred_t coro_token;
#endif

/// Is what std::generator is, as far as a timer needs it: single-pass, move-only.
template <class T>
class generator {
 public:
  struct promise_type {
    T* item = nullptr;
    std::exception_ptr failure;

    generator get_return_object() {
      return generator(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    static std::suspend_always initial_suspend() noexcept { return {}; }
    static std::suspend_always final_suspend() noexcept { return {}; }
    std::suspend_always yield_value(T&& value) noexcept {
      item = std::addressof(value);
      return {};
    }
    void return_void() noexcept {}
    void unhandled_exception() { failure = std::current_exception(); }
  };

  class iterator {
   public:
    using value_type = T;
    using difference_type = std::ptrdiff_t;

    explicit iterator(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
    iterator(iterator&&) = default;
    iterator& operator=(iterator&&) = default;
    T&& operator*() const noexcept { return static_cast<T&&>(*handle_.promise().item); }
    iterator& operator++() {
      resume(handle_);
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const iterator& at, std::default_sentinel_t) noexcept {
      return at.handle_.done();
    }

   private:
    std::coroutine_handle<promise_type> handle_;
  };

  generator(generator&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  generator& operator=(generator&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~generator() {
    if (handle_) handle_.destroy();
  }

  iterator begin() {
    resume(handle_);
    return iterator(handle_);
  }
  static std::default_sentinel_t end() noexcept { return {}; }

 private:
  explicit generator(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
  // Resuming what has ended is undefined in std::generator, too; here it is an error.
  static void resume(std::coroutine_handle<promise_type> handle) {
    if (handle.done()) throw std::logic_error("a finished generator was resumed");
    handle.resume();
    if (handle.promise().failure) {
      std::rethrow_exception(std::exchange(handle.promise().failure, nullptr));
    }
  }

  std::coroutine_handle<promise_type> handle_;
};

/// Counts its own copies that live; for what a target captures or makes.
class live_token {
 public:
  explicit live_token(int& live) : live_(&live) { ++*live_; }
  live_token(const live_token& other) : live_(other.live_) { ++*live_; }
  live_token& operator=(const live_token&) = delete;
  ~live_token() { --*live_; }

 private:
  int* live_;
};

/// Gives first, first + 1, ... last.
inline generator<int> count_up(int first, int last) {
  for (int i = first; i <= last; ++i) co_yield int(i);
}

/// As count_up; the parameter lives in the frame, so `live` tells whether the frame does.
inline generator<int> count_up_alive(int first, int last, live_token) {
  for (int i = first; i <= last; ++i) co_yield int(i);
}

inline net::experimental::coro<int> coro_up(net::any_io_executor, int first, int last) {
  for (int i = first; i <= last; ++i) co_yield i;
}
inline net::experimental::coro<int> coro_up_alive(net::any_io_executor, int first, int last,
                                                  live_token) {
  for (int i = first; i <= last; ++i) co_yield i;
}

/// Is an asynchronous generator by structure alone; strict: nothing may follow its end.
class async_counter {
 public:
  async_counter(int first, int last) : next_(first), last_(last) {}
  async_counter(int first, int last, live_token token)
      : next_(first), last_(last), token_(std::move(token)) {}

  net::awaitable<std::optional<int>> next() {
    if (ended_) throw std::logic_error("an exhausted generator was asked again");
    if (next_ > last_) {
      ended_ = true;
      co_return std::nullopt;
    }
    co_return next_++;
  }

 private:
  int next_;
  int last_;
  bool ended_ = false;
  std::optional<live_token> token_;
};

}  // namespace test

#endif  // ASYNC_TIMER_TESTS_SUPPORT_GENERATORS_HPP
