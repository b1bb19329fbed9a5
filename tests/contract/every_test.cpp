// Contract section 19: every(), the decorator.
#include <doctest/doctest.h>

#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/feeds.hpp"
#include "support/fixture.hpp"
#include "support/generators.hpp"
#include "support/tokens.hpp"

using namespace test;

namespace {

int twice(int x) { return 2 * x; }

// 19.6: no context is anywhere near.
int global_calls = 0;
auto global_timer = async_timer::every(2s, {.name = "global"})([] { return ++global_calls; });

}  // namespace

TEST_CASE_FIXTURE(virtual_context, "19.1, 19.7 every: makes a timer, which is not started") {
  int n = 0;
  auto t = async_timer::every(1s)([&] { return ++n; });
  static_assert(std::is_base_of_v<async_timer::timer<int>, decltype(t)>);
  clock.advance(5s);
  CHECK(n == 0);
  CHECK_FALSE(t.is_running());
  CHECK(t.delay() == 1s);
  t.start(io);
  CHECK(n == 0);  // not inline
  clock.advance(2s);
  CHECK(n == 3);
  CHECK(t.last_result() == 3);
  outcome<int> joined;
  outcome<int> triggered;
  t.join(into(joined));
  t.trigger(into(triggered));
  auto feed = t.subscribe();
  clock.advance(0s);
  CHECK(joined.value == 4);
  CHECK(triggered.value == 4);
  CHECK(drain(*this, feed) == std::vector<int>{4});
  no_value cancelled;
  t.cancel(into(cancelled));
  clock.run_until_idle();
  CHECK(cancelled.completions == 1);
  CHECK_FALSE(t.is_running());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "19.1 every: before the first start reads are empty") {
  auto t = async_timer::every(1s)([] { return 1; });
  CHECK(t.hit_count() == 0);
  CHECK_FALSE(t.last_result());
  CHECK_FALSE(t.last_tick_at());
  CHECK_FALSE(t.is_running());
  CHECK(t.failure_count() == 0);
  CHECK_FALSE(t.get_executor());
  t.request_stop();
  auto feed = t.subscribe();
  outcome<int> joined;
  outcome<int> triggered;
  outcome<std::optional<int>> counted;
  outcome<std::optional<int>> next;
  outcome<std::optional<int>> idle;
  no_value cancelled;
  t.join(net::bind_executor(io, into(joined)));
  t.trigger(net::bind_executor(io, into(triggered)));
  t.wait({.hits = 1}, net::bind_executor(io, into(counted)));
  t.next(net::bind_executor(io, into(next)));
  t.wait(net::bind_executor(io, into(idle)));
  t.cancel(net::bind_executor(io, into(cancelled)));
  clock.run_until_idle();
  CHECK(joined.kind() == "not_running");
  CHECK(triggered.kind() == "not_running");
  CHECK(counted.kind() == "not_running");
  CHECK(next.completions == 1);
  CHECK(next.kind() == "");
  CHECK(next.value == std::optional<std::optional<int>>(std::in_place, std::nullopt));
  CHECK(idle.completions == 1);
  CHECK(idle.kind() == "");
  CHECK(cancelled.completions == 1);
  CHECK(cancelled.kind() == "");
  CHECK_THROWS_AS(t.start(), async_timer::threadsafe_dispatch_error);
  CHECK_FALSE(feed.closed());
  t.start(io);
  clock.advance(1s);
  CHECK(drain(*this, feed) == std::vector<int>{1, 1});
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "19.1, 7.10 every: a scope starts it where the coroutine runs, if it is bound to "
                  "no executor yet") {
  auto strand = net::make_strand(io);
  auto t = async_timer::every(1s)([&] { return strand.running_in_this_thread(); });
  bool left = false;
  const auto body = [&]() -> net::awaitable<bool> {
    auto joined = t.join();
    co_return co_await std::move(joined);
  };
  const auto whole = [&]() -> net::awaitable<void> {
    auto scope = async_timer::scoped(t, body);
    const bool on_strand = co_await std::move(scope);
    CHECK(on_strand);
    CHECK_FALSE(t.is_running());
    left = true;
  };
  net::co_spawn(strand, whole, net::detached);
  clock.run_until_idle();
  CHECK(left);
  CHECK(t.get_executor() == net::any_io_executor(strand));
  left = false;
  net::co_spawn(io, whole, net::detached);  // it has an executor now, and keeps it
  clock.run_until_idle();
  CHECK(left);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "19.2 every: func() is the function, apart from the timer") {
  int calls = 0;
  auto t = async_timer::every(1s)([&] { return ++calls; });
  CHECK(t.func() == 1);
  CHECK(t.func() == 2);
  CHECK(t.hit_count() == 0);
  CHECK_FALSE(t.last_result());
  t.start(io);
  clock.advance(0s);
  CHECK(t.last_result() == 3);
  CHECK(t.func() == 4);
  CHECK(t.hit_count() == 1);
  CHECK(t.last_result() == 3);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE("19.2 every: func() throws what the function throws, and no failure is counted") {
  auto t = async_timer::every(1s)([]() -> int { throw std::runtime_error("no answer"); });
  CHECK_THROWS_WITH_AS(t.func(), "no answer", std::runtime_error);
  CHECK(t.failure_count() == 0);
}

TEST_CASE_FIXTURE(virtual_context, "19.3, D29 every: the name is the one given, or none") {
  auto unnamed = async_timer::every(1s)([] { return twice(1); });
  auto empty = async_timer::every(1s, {.name = ""})([] { return twice(1); });
  std::string label = "refresh";
  auto named = async_timer::every(1s, {.name = label})([] { return twice(1); });
  label = "changed";
  CHECK(unnamed.name().empty());
  CHECK(empty.name().empty());
  CHECK(named.name() == "refresh");
  CHECK(to_string(named).find("refresh") != std::string::npos);
}

TEST_CASE_FIXTURE(virtual_context, "19.4 every: hands on mode, initial delay and callbacks") {
  std::vector<std::chrono::nanoseconds> at;
  std::string failed;
  int stops = 0;
  const async_timer::timer_options options{
      .mode = async_timer::mode::fixed_rate,
      .initial_delay = 5s,
      .on_error = [&](async_timer::timer_ref, std::exception_ptr e) { failed = kind_of(e); },
      .on_stop = [&] { ++stops; }};
  auto t = async_timer::every(2s, options)([&] {
    at.push_back(elapsed());
    if (at.size() == 3) throw std::runtime_error("no answer");
  });
  t.start(io);
  clock.advance(20s);
  CHECK(at == std::vector<std::chrono::nanoseconds>{5s, 7s, 9s});
  CHECK(failed == "no answer");
  CHECK(stops == 1);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "19.4 every: hands on jitter") {
  std::vector<std::chrono::nanoseconds> at;
  auto t = async_timer::every(10s, {.mode = async_timer::mode::fixed_rate, .jitter = 0.5})(
      [&] { at.push_back(elapsed()); });
  t.start(io);
  clock.advance(100s);
  REQUIRE(at.size() >= 10);
  bool some_early = false;
  for (std::size_t i = 1; i < 10; ++i) some_early = some_early || at[i] % 10s != 0s;
  CHECK(some_early);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "19.4 every: without on_error a failure is logged as usual") {
  const log_recorder log;
  auto t = async_timer::every(
      1s, {.name = "refresh"})([]() -> int { throw std::runtime_error("no answer"); });
  t.start(io);
  clock.advance(0s);
  REQUIRE(log.records().size() == 1);
  CHECK(log.records()[0].level == async_timer::log_level::error);
  CHECK(log.records()[0].logger == "async_timer.timer.refresh");
  CHECK(out_of_work());
}

TEST_CASE("19.4 every: bad options are refused when it is applied") {
  const auto f = [] { return 1; };
  CHECK_THROWS_WITH_AS(async_timer::every(-1s)(f), doctest::Contains("delay"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(async_timer::every(1s, {.jitter = 2})(f), doctest::Contains("jitter"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(async_timer::every(1s, {.initial_delay = -1s})(f),
                       doctest::Contains("initial_delay"), std::invalid_argument);
}

TEST_CASE("19.5 every: there is no start option") {
  CHECK_THROWS_WITH_AS(async_timer::every(1s, {.start = true}), doctest::Contains("start"),
                       std::invalid_argument);
}

TEST_CASE_FIXTURE(virtual_context,
                  "19.6 every: lives at namespace scope; start binds the executor") {
  global_calls = 0;
  const auto hits = global_timer.hit_count();
  CHECK(global_timer.name() == "global");
  global_timer.start(io);
  clock.advance(4s);
  CHECK(global_calls == 3);
  CHECK(global_timer.get_executor() == net::any_io_executor(io.get_executor()));
  CHECK_THROWS_AS(global_timer.start(io), async_timer::timer_already_running_error);
  global_timer.request_stop();
  clock.run_until_idle();
  global_timer.start();  // where it ran last
  clock.advance(2s);
  CHECK(global_timer.hit_count() == hits + 5);
  global_timer.request_stop();
  CHECK(out_of_work());
}

TEST_CASE("19.6 every: outlives a context that it ran on, and runs on another one") {
  int n = 0;
  auto t = async_timer::every(1s)([&] { return ++n; });
  for (int round = 1; round <= 3; ++round) {
    virtual_context context;
    t.start(context.io.get_executor());
    context.clock.advance(1s);
    CHECK(n == 2 * round);
    CHECK(t.is_running());
  }
  CHECK_FALSE(t.is_running());
  CHECK(t.hit_count() == 6);
  CHECK(t.last_result() == 6);
  CHECK_THROWS_AS(t.start(), async_timer::threadsafe_dispatch_error);
}

TEST_CASE_FIXTURE(virtual_context, "19.7 every: takes asynchronous functions") {
  int n = 0;
  auto t = async_timer::every(1s)([&]() -> net::awaitable<int> { co_return ++n; });
  static_assert(std::is_base_of_v<async_timer::timer<int>, decltype(t)>);
  t.start(io);
  clock.advance(1s);
  CHECK(t.last_result() == 2);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "19.7 every: takes generator functions, anew for each run") {
  auto t = async_timer::every(1s)([] { return count_up(1, 3); });
  static_assert(std::is_base_of_v<async_timer::timer<int>, decltype(t)>);
  for (int run = 1; run <= 2; ++run) {
    auto feed = t.subscribe();
    t.start(io);
    clock.advance(10s);
    CHECK_FALSE(t.is_running());
    CHECK(drain(*this, feed) == std::vector<int>{1, 2, 3});
  }
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "19.6, 26.5 every: from a context that is gone to the next one") {
  int calls = 0;
  auto t = async_timer::every(1ms)([&] { return ++calls; });
  {
    net::io_context first;
    async_timer::virtual_clock its_clock{first};
    t.start(first);
    its_clock.run_until_idle();
  }
  CHECK_FALSE(t.is_running());
  for (int run = 0; run < 2; ++run) {
    t.start(io);
    clock.advance(1ms);
    t.request_stop();
    clock.run_until_idle();
  }
  CHECK(calls == 5);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(
    virtual_context,
    "2.22, 17.2 every: the value of a tick that was lost with its context is not taken "
    "for that of a later one") {
  net::io_context elsewhere{1};
  bool fails = false;
  auto t = async_timer::every(1s, {.on_error = [] {}})([&]() -> net::awaitable<int> {
    if (fails) throw std::runtime_error("no such luck");
    auto hop = net::post(net::bind_executor(elsewhere.get_executor(), net::use_awaitable));
    co_await std::move(hop);
    co_return 7;
  });
  {
    virtual_context first;
    t.start(first.io);
    first.clock.run_until_idle();
    CHECK(elsewhere.poll() == 1);  // its end is on its way home, and gets no further
  }
  CHECK_FALSE(t.is_running());
  fails = true;
  outcome<int> joined;
  t.start(io);
  t.join(into(joined));
  clock.run_until_idle();
  CHECK(joined.kind() == "no such luck");
  CHECK(t.hit_count() == 0);
  CHECK(t.failure_count() == 1);
  CHECK(out_of_work());
}
