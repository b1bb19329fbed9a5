// Every awaiting function is an Asio operation: tokens, executors, allocators, never inline.
#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <future>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "support/fixture.hpp"
#include "support/operations.hpp"
#include "support/tokens.hpp"

using namespace test;

// --- the default token, and the signatures

namespace {

// What is no token is no candidate, so that the compiler complains about the call.
template <class Token>
concept may_join = requires(async_timer::timer<int>& t, Token token) { t.join(std::move(token)); };
template <class Token>
concept may_wait =
    requires(async_timer::timer<int>& t, Token token) { t.wait({.hits = 1}, std::move(token)); };
template <class Token>
concept may_cancel =
    requires(async_timer::timer<int>& t, Token token) { t.cancel(std::move(token)); };

static_assert(may_join<void (*)(std::exception_ptr, int)>);
static_assert(!may_join<void (*)(int)>);
static_assert(!may_join<void (*)(async_timer::error_code, int)>);
static_assert(!may_join<std::chrono::seconds>);
static_assert(may_wait<void (*)(std::exception_ptr, std::optional<int>)>);
static_assert(!may_wait<void (*)(std::exception_ptr)>);
static_assert(may_cancel<void (*)(std::exception_ptr)>);
static_assert(!may_cancel<std::chrono::seconds>);

}  // namespace

TEST_CASE_FIXTURE(virtual_context, "9.1, 10.13, 11.1, D21 the default token is use_awaitable") {
  using async_timer::timer;
  async_timer::timer<int> t{io, 1s, [] { return 1; }};
  async_timer::timer<void> v{io, 1s, [] {}};
  using nothing = std::monostate;
  static_assert(std::is_same_v<decltype(t.join()), net::awaitable<int>>);
  static_assert(std::is_same_v<decltype(t.trigger()), net::awaitable<int>>);
  static_assert(std::is_same_v<decltype(t.next()), net::awaitable<std::optional<int>>>);
  static_assert(std::is_same_v<decltype(t.wait()), net::awaitable<std::optional<int>>>);
  static_assert(std::is_same_v<decltype(t.wait({.hits = 1})), net::awaitable<std::optional<int>>>);
  static_assert(std::is_same_v<decltype(t.cancel()), net::awaitable<void>>);
  static_assert(std::is_same_v<decltype(t.ref().cancel()), net::awaitable<void>>);
  static_assert(std::is_same_v<decltype(v.join()), net::awaitable<void>>);
  static_assert(std::is_same_v<decltype(v.trigger()), net::awaitable<void>>);
  static_assert(std::is_same_v<decltype(v.next()), net::awaitable<std::optional<nothing>>>);
  static_assert(std::is_same_v<decltype(v.wait()), net::awaitable<std::optional<nothing>>>);

  std::vector<int> values;
  const auto body = [&]() -> net::awaitable<void> {
    t.start();
    const int joined = co_await t.join();
    values.push_back(joined);
    const auto next = co_await t.next();
    values.push_back(next.value_or(-1));
    const auto waited = co_await t.wait({.hits = 2});
    values.push_back(waited.value_or(-1));
    const int triggered = co_await t.trigger();
    values.push_back(triggered);
    co_await t.cancel();
    values.push_back(t.is_running() ? -1 : 0);
  };
  spawn(body);
  clock.advance(10s);
  CHECK(values == std::vector{1, 1, 1, 1, 0});
  CHECK(t.hit_count() == 5);
  CHECK(out_of_work());
}

TEST_CASE("10.13, 11.1 no operation completes inline, whether it has to wait or not") {
  for_each_operation([](const std::string& name, auto initiate) {
    CAPTURE(name);
    virtual_context own;
    async_timer::timer<int> t{own.io, 1s, [] { return 1; }};
    std::array<ending, 3> ends;
    bool initiating = true;
    int inline_completions = 0;
    const auto handler = [&](ending& end) {
      return [&](std::exception_ptr error, const auto&...) {
        if (initiating) ++inline_completions;
        into(end)(std::move(error));
      };
    };
    const auto begin = [&](ending& end) {
      initiating = true;
      initiate(t, handler(end));
      initiating = false;
    };
    begin(ends[0]);  // not running
    own.clock.run_until_idle();
    t.start();
    // From inside a handler of the timer's own executor an inline call would be easy to make.
    net::post(own.io, [&] { begin(ends[1]); });
    own.clock.advance(2s);
    t.request_stop();
    net::post(own.io, [&] { begin(ends[2]); });
    own.clock.run_until_idle();
    for (const auto& end : ends) CHECK(end.completions == 1);
    CHECK(inline_completions == 0);
    CHECK(own.out_of_work());
  });
}

// --- tokens

namespace {

/// Gives what a future was promised; it is filled where the context runs.
template <class T>
T get(std::future<T>& future) {
  REQUIRE(future.wait_for(0s) == std::future_status::ready);
  return future.get();
}

}  // namespace

TEST_CASE_FIXTURE(virtual_context, "9.1, 9.4, 9.5 use_future carries value, stop and failure") {
  int count = 0;
  const auto target = [&] {
    if (++count == 3) throw std::runtime_error("no answer");
    return count;
  };
  async_timer::timer<int> t{io, 1s, target, {.on_error = [] {}}};
  t.start();
  std::future<int> joined = t.join(net::use_future);
  std::future<std::optional<int>> waited = t.wait({.hits = 2, .timeout = 1h}, net::use_future);
  std::future<std::optional<int>> ended = t.wait(net::use_future);
  clock.advance(1s);
  CHECK(get(joined) == 1);
  CHECK(get(waited) == 2);
  CHECK(ended.wait_for(0s) == std::future_status::timeout);
  std::future<int> triggered = t.trigger(net::use_future);
  clock.advance(1s);
  CHECK_THROWS_WITH(get(ended), "no answer");
  CHECK_THROWS_WITH(get(triggered), "no answer");

  count = 100;
  t.start();
  clock.run_until_idle();
  std::future<int> unlucky = t.join(net::use_future);
  std::future<std::optional<int>> next = t.next(net::use_future);
  std::future<void> cancelled = t.cancel(net::use_future);
  clock.run_until_idle();
  CHECK_THROWS_AS(get(unlucky), async_timer::system_error);
  CHECK_FALSE(get(next).has_value());
  CHECK_NOTHROW(get(cancelled));
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "9.1, 9.8 tokens: handlers that Asio gives its system_executor run on the "
                  "context's thread, too") {
  async_timer::timer<int> t{io, 1s, [] { return 1; }};
  const auto here = std::this_thread::get_id();
  int calls = 0;
  const auto counts = [&](const std::exception_ptr&, int value) {
    calls += std::this_thread::get_id() == here ? value : 100;
    if (calls == 3) throw std::runtime_error("seen enough");
    return calls;
  };
  t.start();
  std::future<int> called = t.join(net::use_future(counts));
  t.join(net::bind_executor(net::system_executor(), counts));
  std::future<int> failed =
      t.wait({.hits = 2},
             net::use_future([&](const auto& error, auto value) { return counts(error, *value); }));
  clock.run_until_idle();
  CHECK(get(called) == 1);
  CHECK(calls == 2);
  clock.advance(1s);
  CHECK_THROWS_WITH(get(failed), "seen enough");
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE("9.1, 19.5 tokens: a future where there is no context is ready all the same") {
  auto t = async_timer::every(1h)([] { return 1; });
  std::future<void> cancelled = t.cancel(net::use_future);
  CHECK(cancelled.wait_for(1min) == std::future_status::ready);
}

TEST_CASE_FIXTURE(virtual_context, "9.1, 9.4, 11.2 as_tuple gives the error beside the value") {
  async_timer::timer<int> t{io, 1s, [] { return 1; }};
  int completions = 0;
  const auto body = [&]() -> net::awaitable<void> {
    t.start();
    auto join = t.join(compat::as_tuple(net::use_awaitable));
    static_assert(
        std::is_same_v<decltype(join), net::awaitable<std::tuple<std::exception_ptr, int>>>);
    const auto [error, value] = co_await std::move(join);
    CHECK_FALSE(error);
    CHECK(value == 1);
    auto stopped_join = t.join(compat::as_tuple(net::use_awaitable));
    t.request_stop();
    const auto [not_running, nothing] = co_await std::move(stopped_join);
    CHECK(kind_of(not_running) == "not_running");
    CHECK(nothing == 0);
    auto cancel = t.cancel(compat::as_tuple(net::use_awaitable));
    const auto [none] = co_await std::move(cancel);
    CHECK_FALSE(none);
    ++completions;
  };
  spawn(body);
  clock.advance(1s);
  CHECK(completions == 1);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "9.1, 10.4 deferred as a token: nothing begins before it is called") {
  int count = 0;
  async_timer::timer<int> t{io, 1s, [&] { return ++count; }};
  t.start();
  auto join = t.join(compat::deferred);
  auto trigger = t.trigger(compat::deferred);
  auto wait = t.wait({.hits = 1, .timeout = 1h}, compat::deferred);
  auto cancel = t.cancel(compat::deferred);
  clock.advance(2500ms);
  REQUIRE(count == 3);  // nothing was triggered, nothing cancelled
  outcome<int> joined;
  outcome<std::optional<int>> waited;
  std::move(join)(into(joined));
  std::move(wait)(into(waited));
  CHECK_FALSE(joined.done());
  clock.advance(500ms);
  CHECK(joined.completions == 1);
  CHECK(joined.value == 4);
  REQUIRE(waited.value.has_value());
  CHECK(*waited.value == 4);
  auto triggered = std::move(trigger)(net::use_future);
  clock.run_until_idle();
  CHECK(get(triggered) == 5);
  no_value cancelled;
  std::move(cancel)(into(cancelled));
  CHECK_FALSE(t.is_running());
  clock.run_until_idle();
  CHECK(cancelled.completions == 1);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "9.3 deferred: called after the timer is gone it is not-running") {
  std::optional<async_timer::timer<int>> t;
  t.emplace(io, 1s, [] { return 1; });
  t->start();
  clock.advance(0s);
  auto join = t->join(compat::deferred);
  auto cancel = t->cancel(compat::deferred);
  t.reset();
  clock.run_until_idle();
  outcome<int> joined;
  no_value cancelled;
  std::move(join)(into(joined));
  std::move(cancel)(into(cancelled));
  clock.run_until_idle();
  CHECK(joined.completions == 1);
  CHECK(joined.kind() == "not_running");
  CHECK(cancelled.completions == 1);
  CHECK(cancelled.kind() == "");
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "9.1 detached: the operation happens, nobody hears of its end") {
  int count = 0;
  async_timer::timer<int> t{io, 1h, [&] { return ++count; }};
  t.join(net::detached);
  t.start();
  clock.advance(1s);
  t.trigger(net::detached);
  t.join(net::detached);
  t.next(net::detached);
  t.wait({.hits = 1}, net::detached);
  t.wait(net::detached);
  clock.run_until_idle();
  CHECK(count == 2);
  t.cancel(net::detached);
  CHECK_FALSE(t.is_running());
  CHECK(out_of_work());
}

namespace {

/// Can only be moved, and only be called once, as an rvalue.
struct once {
  std::unique_ptr<int> result_of;
  int* calls;
  template <class... Values>
  void operator()(std::exception_ptr, const Values&...) && {
    *calls += *result_of;
  }
};

}  // namespace

TEST_CASE_FIXTURE(busy_timer, "9.1, 10.13, 11.1 handlers may be move-only and single-use") {
  int called = 0;
  int initiated = 0;
  for_each_operation([&](const std::string&, auto initiate) {
    initiate(t, once{std::make_unique<int>(1), &called});
    // Asio's own binder of these versions calls an lvalue.
    auto move_only = [&called, one = std::make_unique<int>(1)](std::exception_ptr, const auto&...) {
      called += *one;
    };
    initiate(t, net::bind_executor(io, std::move(move_only)));
    initiated += 2;
  });
  finish();
  CHECK(called == initiated);
  for_each_operation([&](const std::string&, auto initiate) {
    initiate(t, once{std::make_unique<int>(1), &called});
    ++initiated;
  });
  clock.run_until_idle();
  CHECK(called == initiated);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "9.2 a handler that throws leaves through run(), and harms nobody") {
  async_timer::timer<int> t{io, 1s, [] { return 1; }};
  t.start();
  clock.advance(0s);
  outcome<int> before;
  outcome<int> after;
  t.join(into(before));
  t.join([](std::exception_ptr, int) { throw std::runtime_error("a bad handler"); });
  t.join(into(after));
  CHECK_THROWS_WITH(clock.advance(1s), "a bad handler");
  clock.run_until_idle();
  CHECK(before.completions == 1);
  CHECK(after.completions == 1);
  clock.advance(1s);
  CHECK(t.hit_count() >= 3);
  t.request_stop();
  CHECK(out_of_work());
}

// --- operators and groups

TEST_CASE_FIXTURE(virtual_context,
                  "9.7, D11 operator ||: the winner's value, the loser abandoned") {
  using namespace net::experimental::awaitable_operators;
  int fast_count = 0;
  int slow_count = 0;
  async_timer::timer<int> fast{io, 1s, [&] { return ++fast_count; }};
  async_timer::timer<int> slow{io, 1h, [&] { return ++slow_count; }};
  std::vector<std::string> log;
  const auto body = [&]() -> net::awaitable<void> {
    fast.start();
    slow.start();
    co_await slow.join();
    auto race = fast.wait({.hits = 2}) || slow.join();
    const auto winner = co_await std::move(race);
    log.push_back(winner.index() == 0 ? "fast" : "slow");
    CHECK(*std::get<0>(winner) == 3);
    auto timed = slow.next() || fast.wait({.timeout = 1500ms});
    const auto timed_out = co_await std::move(timed);
    log.push_back(timed_out.index() == 1 ? "time" : "tick");
    CHECK(fast.is_running());
    CHECK(slow.is_running());
  };
  spawn(body);
  clock.advance(10s);
  CHECK(log == std::vector<std::string>{"fast", "time"});
  CHECK(fast_count == 11);
  clock.advance(1h);
  CHECK(slow_count == 2);
  fast.request_stop();
  slow.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "9.2 operator &&: the values of both, one timer or two") {
  using namespace net::experimental::awaitable_operators;
  int count = 0;
  async_timer::timer<int> t{io, 1s, [&] { return ++count; }};
  async_timer::timer<std::string> u{io, 3s, [] { return std::string("u"); }};
  async_timer::timer<void> v{io, 2s, [] {}};
  bool done = false;
  const auto body = [&]() -> net::awaitable<void> {
    t.start();
    u.start();
    v.start();
    co_await u.join();
    auto all = t.wait({.hits = 2}) && u.join();
    const auto [waited, text] = co_await std::move(all);
    CHECK(waited == 3);
    CHECK(text == "u");
    auto two_of_one = t.join() && t.next();
    const auto [joined, next] = co_await std::move(two_of_one);
    CHECK(next == joined);
    auto with_void = v.join() && t.join();  // wins nothing from v but the waiting
    co_await std::move(with_void);
    done = true;
  };
  spawn(body);
  clock.advance(10s);
  CHECK(done);
  t.request_stop();
  u.request_stop();
  v.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "9.7 parallel_group: one, and the others are cancelled; or all") {
  int count = 0;
  async_timer::timer<int> t{io, 1s, [&] { return ++count; }};
  async_timer::timer<int> slow{io, 1h, [] { return 100; }};
  t.start();
  slow.start();
  clock.advance(0s);
  int completions = 0;
  net::experimental::make_parallel_group(t.join(compat::deferred), slow.join(compat::deferred))
      .async_wait(net::experimental::wait_for_one(),
                  [&](std::array<std::size_t, 2> order, std::exception_ptr first, int value,
                      std::exception_ptr second, int) {
                    ++completions;
                    CHECK(order == std::array<std::size_t, 2>{0, 1});
                    CHECK_FALSE(first);
                    CHECK(value == 2);
                    CHECK(kind_of(second) == "stopped");
                  });
  clock.advance(1s);
  CHECK(completions == 1);
  CHECK(slow.is_running());
  net::experimental::make_parallel_group(t.wait({.hits = 1}, compat::deferred),
                                         slow.trigger(compat::deferred), t.cancel(compat::deferred))
      .async_wait(net::experimental::wait_for_all(),
                  [&](std::array<std::size_t, 3>, std::exception_ptr first, std::optional<int>,
                      std::exception_ptr second, int value, std::exception_ptr third) {
                    ++completions;
                    CHECK(kind_of(first) == "stopped");
                    CHECK_FALSE(second);
                    CHECK(value == 100);
                    CHECK_FALSE(third);
                  });
  clock.run_until_idle();
  CHECK(completions == 2);
  slow.request_stop();
  CHECK(out_of_work());
}

// --- executors

TEST_CASE("9.8 every operation's handler runs on its own executor, and holds its work") {
  for_each_operation([](const std::string& name, auto initiate) {
    CAPTURE(name);
    busy_timer own;
    net::io_context elsewhere;
    auto strand = net::make_strand(elsewhere);
    ending pending;
    ending at_once;
    int in_strand = 0;
    const auto handler = [&](ending& end) {
      return net::bind_executor(strand, [&](std::exception_ptr error, const auto&...) {
        in_strand += strand.running_in_this_thread() ? 1 : 0;
        into(end)(std::move(error));
      });
    };
    initiate(own.t, handler(pending));
    elsewhere.poll();
    CHECK_FALSE(elsewhere.stopped());  // held by the pending operation
    own.finish();
    CHECK_FALSE(pending.done());
    CHECK_FALSE(elsewhere.stopped());
    elsewhere.poll();
    CHECK(pending.completions == 1);
    CHECK(elsewhere.stopped());
    initiate(own.t, handler(at_once));
    own.clock.run_until_idle();
    CHECK_FALSE(at_once.done());
    elsewhere.restart();
    elsewhere.poll();
    CHECK(at_once.completions == 1);
    CHECK(in_strand == 2);
    CHECK(elsewhere.stopped());
    CHECK(own.out_of_work());
  });
}

TEST_CASE_FIXTURE(virtual_context, "9.8 a handler without an executor runs on the timer's") {
  auto strand = net::make_strand(io);
  async_timer::timer<int> t{strand, 1s, [] { return 1; }};
  int in_strand = 0;
  int completions = 0;
  const auto note = [&](std::exception_ptr, const auto&...) {
    ++completions;
    in_strand += strand.running_in_this_thread() ? 1 : 0;
  };
  t.join(note);  // not running
  clock.run_until_idle();
  t.start();
  t.next(note);
  clock.advance(0s);
  t.wait({.timeout = 500ms}, note);
  clock.advance(500ms);
  t.trigger(note);
  clock.run_until_idle();
  t.cancel(note);
  clock.run_until_idle();
  CHECK(completions == 5);
  CHECK(in_strand == 5);
  CHECK(out_of_work());
}

TEST_CASE("9.8 handlers on a strand of a thread pool run there, one at a time") {
  for_each_operation([](const std::string& name, auto initiate) {
    CAPTURE(name);
    busy_timer own;
    net::thread_pool pool(2);
    auto strand = net::make_strand(pool);
    const auto here = std::this_thread::get_id();
    int completions = 0;  // unguarded: the strand is what guards it
    int elsewhere = 0;
    auto note = net::bind_executor(strand, [&](std::exception_ptr, const auto&...) {
      ++completions;
      elsewhere += std::this_thread::get_id() != here ? 1 : 0;
    });
    for (int i = 0; i < 20; ++i) initiate(own.t, note);
    own.finish();
    for (int i = 0; i < 20; ++i) initiate(own.t, note);  // answered at once
    own.clock.run_until_idle();
    pool.join();
    CHECK(completions == 40);
    CHECK(elsewhere == 40);
    CHECK(own.out_of_work());
  });
}

TEST_CASE_FIXTURE(virtual_context, "9.8 a coroutine of another pool resumes there") {
  async_timer::timer<int> t{io, 1s, [] { return 6; }};
  net::thread_pool pool(1);
  std::thread::id before;
  std::thread::id after;
  int value = 0;
  std::promise<void> enrolled;
  const auto body = [&]() -> net::awaitable<void> {
    before = std::this_thread::get_id();
    auto join = t.join(net::use_awaitable);
    net::post(pool, [&] { enrolled.set_value(); });  // runs when the one thread is free again
    value = co_await std::move(join);
    after = std::this_thread::get_id();
  };
  t.start();
  auto ended = net::co_spawn(pool, body, net::use_future);
  enrolled.get_future().wait();
  clock.advance(0s);
  ended.get();  // waits: the end is on the pool's thread
  CHECK(value == 6);
  CHECK(before == after);
  CHECK(before != std::this_thread::get_id());
  pool.join();
  t.request_stop();
  CHECK(out_of_work());
}

// --- a token that has a name is copied, as by any operation of Asio's

TEST_CASE_FIXTURE(virtual_context, "11.1 tokens: a handler that has a name serves twice") {
  async_timer::timer_group group{io};
  auto& t = group.add(async_timer::timer<int>{io, 1s, answer});
  auto feed = t.subscribe();
  int calls = 0;
  auto handler = [&calls, kept = std::make_shared<int>()](
                     const std::exception_ptr&, const auto&...) { calls += kept ? 1 : 0; };
  int expected = 0;
  for (int round = 0; round < 2; ++round) {
    t.start();
    for_each_operation([&](const std::string&, const auto& initiate) {
      initiate(t, handler);
      ++expected;
    });
    group.wait({.hits = 1}, handler);
    group.wait(handler);
    group.trigger({.timeout = 1h}, handler);
    group.trigger(handler);
    group.cancel_all(handler);
    feed.next(handler);
    t.ref().cancel(handler);
    expected += 7;
    clock.advance(1s);
  }
  CHECK(calls == expected);
  CHECK(out_of_work());
}
