// Every awaiting function of timers, feeds and groups with every kind of completion token.
#include <doctest/doctest.h>
#include <async_timer/async_timer.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <exception>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include "support/fixture.hpp"
#include "support/operations.hpp"
#include "support/tokens.hpp"

#if defined(ASYNC_TIMER_USE_STANDALONE_ASIO)
#include <asio/experimental/awaitable_operators.hpp>
#include <asio/experimental/co_spawn.hpp>
#include <asio/experimental/coro.hpp>
#include <asio/experimental/parallel_group.hpp>
#include <asio/use_future.hpp>
#else
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/experimental/co_spawn.hpp>
#include <boost/asio/experimental/coro.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/use_future.hpp>
#endif

using namespace test;

namespace {

/// Is a running timer with a feed, and a running group of two: something for each operation.
class world : public virtual_context {
 public:
  world() {
    group.add(async_timer::timer{io, 1s, [] { return 1; }});
    group.add(async_timer::timer{io, 1s, [] {}});
    t.start();
    group.start();
    clock.advance(0s);
    static_cast<void>(feed.drop_oldest(feed.qsize()));
  }
  ~world() { finish(); }
  world(const world&) = delete;
  world& operator=(const world&) = delete;

  /// Lets every operation come to its end.
  void finish() {
    clock.advance(2s);
    t.request_stop();
    no_value all;
    group.cancel_all(into(all));
    clock.run_until_idle();
    CHECK(all.completions == 1);
  }

  async_timer::timer<int> t{io, 1s, [this] { return ++ticks; }};
  async_timer::subscription<int> feed = t.subscribe({});
  async_timer::timer_group group{io};
  int ticks = 0;
};

/// Calls visit(name, initiate) for each awaiting function there is; initiate(world, token) begins
/// it.
template <class Visitor>
void for_each_awaiting_function(Visitor&& visit) {
  for_each_operation([&](const std::string& name, auto initiate) {
    visit(name, [initiate](world& w, auto&& token) {
      return initiate(w.t, std::forward<decltype(token)>(token));
    });
  });
  visit("timer_ref cancel", [](world& w, auto&& token) {
    return w.t.ref().cancel(std::forward<decltype(token)>(token));
  });
  visit("feed next",
        [](world& w, auto&& token) { return w.feed.next(std::forward<decltype(token)>(token)); });
  visit("group counted wait", [](world& w, auto&& token) {
    return w.group.wait({.hits = 1}, std::forward<decltype(token)>(token));
  });
  visit("group idle wait",
        [](world& w, auto&& token) { return w.group.wait(std::forward<decltype(token)>(token)); });
  visit("group trigger", [](world& w, auto&& token) {
    return w.group.trigger(std::forward<decltype(token)>(token));
  });
  visit("group cancel_all", [](world& w, auto&& token) {
    return w.group.cancel_all(std::forward<decltype(token)>(token));
  });
}

/// Fails to compile beside a signature that it can't take; is not copyable, as handlers may be.
struct counting {
  explicit counting(int& counted) : completions(&counted) {}
  counting(counting&&) = default;
  counting& operator=(counting&&) = default;
  template <class... Results>
  void operator()(const std::exception_ptr&, Results&&...) const {
    ++*completions;
  }
  int* completions;
};

// Standalone Asio 1.22 can't await a deferred operation in a coro yet, and use_coro does not
// compile with any signature void(std::exception_ptr, T) up to Asio 1.24.
#if !defined(ASYNC_TIMER_USE_STANDALONE_ASIO)
#define ASYNC_TIMER_TESTS_CORO
template <class Initiate>
net::experimental::coro<void> await_in_coro(net::any_io_executor, Initiate initiate, world& w,
                                            int& completions) {
  // use_coro itself does not compile with any signature void(std::exception_ptr, T) up to
  // Asio 1.24.
  auto operation = initiate(w, compat::deferred);
  co_await std::move(operation);
  ++completions;
}
#endif

}  // namespace

TEST_CASE("9.1, 10.13, 11.1 tokens: every function with a callback") {
  for_each_awaiting_function([](const std::string& name, auto initiate) {
    CAPTURE(name);
    int completions = 0;
    {
      world w;
      initiate(w, counting(completions));
      CHECK(completions == 0);
      w.finish();
      CHECK(completions == 1);
    }
    CHECK(completions == 1);
  });
}

TEST_CASE("9.1 tokens: every function with use_future") {
  for_each_awaiting_function([](const std::string& name, auto initiate) {
    CAPTURE(name);
    world w;
    auto result = initiate(w, net::use_future);
    w.finish();
    CHECK(result.wait_for(0s) == std::future_status::ready);
  });
}

TEST_CASE("9.1 tokens: every function with as_tuple") {
  for_each_awaiting_function([](const std::string& name, auto initiate) {
    CAPTURE(name);
    world w;
    int completions = 0;
    initiate(w, compat::as_tuple([&](const auto& results) {
               ++completions;
               CHECK_FALSE(std::get<0>(results));
             }));
    w.finish();
    CHECK(completions == 1);
  });
}

TEST_CASE("9.1 tokens: every function with deferred begins when it is called") {
  for_each_awaiting_function([](const std::string& name, auto initiate) {
    CAPTURE(name);
    world w;
    int completions = 0;
    auto later = initiate(w, compat::deferred);
    w.clock.advance(1s);
    CHECK(completions == 0);
    std::move(later)(counting(completions));
    w.finish();
    CHECK(completions == 1);
  });
}

TEST_CASE("9.1 tokens: every function with detached") {
  for_each_awaiting_function([](const std::string& name, auto initiate) {
    CAPTURE(name);
    world w;
    initiate(w, net::detached);
    w.finish();
    CHECK(w.out_of_work());
  });
}

TEST_CASE("9.1, 9.8 tokens: every function with bind_executor") {
  for_each_awaiting_function([](const std::string& name, auto initiate) {
    CAPTURE(name);
    world w;
    auto strand = net::make_strand(w.io);
    int on_strand = 0;
    initiate(w, net::bind_executor(strand, [&](const std::exception_ptr&, const auto&...) {
               on_strand += strand.running_in_this_thread() ? 1 : -1;
             }));
    w.finish();
    CHECK(on_strand == 1);
  });
}

TEST_CASE(
    "9.1, 9.7 tokens: every function with bind_cancellation_slot ends when the slot says so") {
  for_each_awaiting_function([](const std::string& name, auto initiate) {
    CAPTURE(name);
    net::cancellation_signal signal;
    world w;
    int completions = 0;
    initiate(w, net::bind_cancellation_slot(signal.slot(), counting(completions)));
    signal.emit(net::cancellation_type::terminal);
    w.clock.run_until_idle();
    CHECK(completions == 1);
    w.finish();
    CHECK(completions == 1);
  });
}

TEST_CASE("9.1 tokens: every function with use_awaitable") {
  for_each_awaiting_function([](const std::string& name, auto initiate) {
    CAPTURE(name);
    world w;
    int completions = 0;
    const auto body = [&]() -> net::awaitable<void> {
      auto operation = initiate(w, net::use_awaitable);
      co_await std::move(operation);
      ++completions;
    };
    net::co_spawn(w.io, body, [](const std::exception_ptr& error) { CHECK_FALSE(error); });
    w.clock.run_until_idle();
    w.finish();
    CHECK(completions == 1);
  });
}

TEST_CASE("9.1 tokens: every function in a coroutine on a concrete executor") {
  using executor = net::io_context::executor_type;
  for_each_awaiting_function([](const std::string& name, auto initiate) {
    CAPTURE(name);
    world w;
    int completions = 0;
    const auto body = [&]() -> net::awaitable<void, executor> {
      auto operation = initiate(w, net::use_awaitable_t<executor>());
      co_await std::move(operation);
      ++completions;
    };
    net::co_spawn(w.io.get_executor(), body,
                  [](const std::exception_ptr& error) { CHECK_FALSE(error); });
    w.clock.run_until_idle();
    w.finish();
    CHECK(completions == 1);
  });
}

#if defined(ASYNC_TIMER_TESTS_CORO)
TEST_CASE("9.1 tokens: every function in an experimental::coro") {
  for_each_awaiting_function([](const std::string& name, auto initiate) {
    CAPTURE(name);
    world w;
    int completions = 0;
    auto body = await_in_coro(w.io.get_executor(), initiate, w, completions);
    net::experimental::co_spawn(std::move(body),
                                [](const std::exception_ptr& error) { CHECK_FALSE(error); });
    w.clock.run_until_idle();
    w.finish();
    CHECK(completions == 1);
  });
}
#endif

TEST_CASE("9.7 tokens: every function beside another with ||, and with &&") {
  using namespace net::experimental::awaitable_operators;
  for_each_awaiting_function([](const std::string& name, auto initiate) {
    CAPTURE(name);
    world w;
    int either = 0;
    int both = 0;
    const auto body = [&]() -> net::awaitable<void> {
      auto one = initiate(w, net::use_awaitable) || w.t.join(net::use_awaitable);
      co_await std::move(one);
      ++either;
    };
    const auto body_of_both = [&]() -> net::awaitable<void> {
      auto two = initiate(w, net::use_awaitable) && w.t.wait({.hits = 1}, net::use_awaitable);
      co_await std::move(two);
      ++both;
    };
    net::co_spawn(w.io, body_of_both, [](const std::exception_ptr&) {});
    net::co_spawn(w.io, body, [](const std::exception_ptr&) {});
    w.clock.run_until_idle();
    w.finish();
    CHECK(either == 1);
    CHECK((both == 1 || name.find("cancel") != std::string::npos));
    CHECK(w.out_of_work());
  });
}

TEST_CASE("9.7 tokens: every function in a parallel_group") {
  for_each_awaiting_function([](const std::string& name, auto initiate) {
    CAPTURE(name);
    world w;
    int completions = 0;
    net::experimental::make_parallel_group(initiate(w, compat::deferred),
                                           w.t.next(compat::deferred))
        .async_wait(net::experimental::wait_for_all(),
                    [&](const std::array<std::size_t, 2>&, const auto&...) { ++completions; });
    w.finish();
    CHECK(completions == 1);
  });
}
