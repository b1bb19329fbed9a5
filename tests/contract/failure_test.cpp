// Contract section 17: what a failure of the target does.
#include <doctest/doctest.h>

#include <new>
#include <stdexcept>

#include "support/fixture.hpp"
#include "support/turnstile.hpp"

using namespace test;

namespace {

/// Succeeds so many times, fails once, and so on.
struct failing_every {
  int period;
  int calls = 0;
  int operator()() {
    if (++calls % period == 0) throw std::runtime_error("failure " + std::to_string(calls));
    return calls;
  }
};

async_timer::timer_options quiet() {
  async_timer::timer_options options;
  options.on_error = [] {};
  return options;
}

}  // namespace

TEST_CASE_FIXTURE(virtual_context, "17.1, 17.2, 17.4 failure: the first one ends the run") {
  int calls = 0;
  async_timer::timer t{io, 1s,
                       [&] {
                         if (++calls == 3) throw std::runtime_error("third");
                         return calls;
                       },
                       quiet()};
  t.start();
  clock.advance(1s);
  const auto last_tick = t.last_tick_at();
  REQUIRE(t.is_running());
  clock.advance(1h);
  CHECK(calls == 3);
  CHECK(t.hit_count() == 2);
  CHECK(t.last_result() == 2);
  CHECK(t.last_tick_at() == last_tick);
  CHECK_FALSE(t.is_running());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "17.3 failure: every kind of waiter gets the very same one") {
  turnstile work{io};
  async_timer::timer t{io, 1s,
                       [&]() -> net::awaitable<int> {
                         auto held = work.wait();
                         co_await std::move(held);
                         throw std::runtime_error("broken");
                       },
                       quiet()};
  t.start();
  clock.run_until_idle();
  outcome<int> joined[2];
  t.join(into(joined[0]));
  t.join(into(joined[1]));
  outcome<int> triggered;
  t.trigger(into(triggered));
  outcome<std::optional<int>> optional[4];
  t.next(into(optional[0]));
  t.wait(into(optional[1]));
  t.wait({.hits = 4}, into(optional[2]));
  t.wait({.timeout = 1h}, into(optional[3]));
  work.open();
  CHECK(out_of_work());
  const auto failure = t.last_failure();
  REQUIRE(kind_of(failure) == "broken");
  for (const auto& each : joined) {
    CHECK(each.completions == 1);
    CHECK(each.error == failure);
  }
  CHECK(triggered.completions == 1);
  CHECK(triggered.error == failure);
  for (const auto& each : optional) {
    CHECK(each.completions == 1);
    CHECK(each.error == failure);
    REQUIRE(each.value.has_value());
    CHECK_FALSE(each.value->has_value());
  }
}

TEST_CASE_FIXTURE(virtual_context,
                  "17.5, D6 failure: late waiters see it until the next start, which clears it") {
  async_timer::timer t{io, 1s, failing_every{2}, quiet()};
  t.start();
  clock.advance(1s);
  REQUIRE_FALSE(t.is_running());
  const auto failure = t.last_failure();
  outcome<int> joined;
  t.join(into(joined));
  outcome<std::optional<int>> next;
  t.next(into(next));
  outcome<std::optional<int>> counted;
  t.wait({.hits = 1}, into(counted));
  outcome<std::optional<int>> idle;
  t.wait(into(idle));
  CHECK(out_of_work());
  CHECK(joined.error == failure);
  CHECK(next.error == failure);
  CHECK(counted.error == failure);
  CHECK(idle.error == failure);

  t.start();
  clock.run_until_idle();
  CHECK(t.hit_count() == 2);
  t.request_stop();
  CHECK(out_of_work());
  outcome<int> later;
  t.join(into(later));
  outcome<std::optional<int>> ended;
  t.next(into(ended));
  CHECK(out_of_work());
  CHECK(later.kind() == "not_running");
  CHECK(ended.kind() == "");
  CHECK(t.last_failure() == failure);
}

TEST_CASE_FIXTURE(virtual_context, "17.5, 7.4 failure: the restart begins a whole new run") {
  auto options = quiet();
  options.initial_delay = 5s;
  async_timer::timer t{io, 1s, failing_every{3}, options};
  t.start();
  clock.advance(7s);
  REQUIRE(t.failure_count() == 1);
  REQUIRE(t.hit_count() == 2);
  t.start();
  CHECK(t.is_running());
  clock.advance(4s);
  CHECK(t.hit_count() == 2);
  clock.advance(1s);
  CHECK(t.hit_count() == 3);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "17.6 failure: count, last one and its time are cumulative") {
  async_timer::timer t{io, 1s, failing_every{2}, quiet()};
  CHECK(t.failure_count() == 0);
  CHECK(t.last_failure() == nullptr);
  CHECK_FALSE(t.last_failure_at().has_value());
  t.start();
  clock.advance(1s);
  CHECK(t.failure_count() == 1);
  CHECK(kind_of(t.last_failure()) == "failure 2");
  const auto first_at = t.last_failure_at();
  REQUIRE(first_at.has_value());
  CHECK(*first_at == clock.now());

  clock.advance(10s);
  t.start();
  clock.run_until_idle();
  CHECK(t.failure_count() == 1);
  CHECK(kind_of(t.last_failure()) == "failure 2");
  CHECK(t.last_failure_at() == first_at);
  clock.advance(1s);
  CHECK(t.failure_count() == 2);
  CHECK(kind_of(t.last_failure()) == "failure 4");
  CHECK(*t.last_failure_at() - *first_at == 11s);
  const auto shot = t.snapshot();
  CHECK(shot.failure_count == 2);
  CHECK(shot.last_failure == t.last_failure());
  CHECK(t.ref().failure_count() == 2);
  CHECK(t.ref().last_failure() == t.last_failure());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "17.6 failure: a run that ends otherwise leaves the record") {
  async_timer::timer t{io, 1s, failing_every{2}, quiet()};
  t.start();
  clock.advance(1s);
  const auto failure = t.last_failure();
  t.start();
  clock.run_until_idle();
  t.request_stop();
  CHECK(out_of_work());
  CHECK(t.failure_count() == 1);
  CHECK(t.last_failure() == failure);
}

TEST_CASE_FIXTURE(virtual_context, "17.1, 2.22 failure: any exception is one, of any target") {
  const log_recorder log;
  SUBCASE("2.22 not a std::exception, plain") {
    async_timer::timer t{io, 1s, []() -> int { throw "text"; }};
    t.start();
    CHECK(out_of_work());
    CHECK(t.failure_count() == 1);
  }
  SUBCASE("2.22 not a std::exception, awaitable") {
    async_timer::timer t{io, 1s, []() -> net::awaitable<void> {
                           throw 1;
                           co_return;
                         }};
    t.start();
    CHECK(out_of_work());
    CHECK(t.failure_count() == 1);
  }
  SUBCASE("2.22 thrown before the awaitable is made") {
    async_timer::timer t{io, 1s, []() -> net::awaitable<void> { throw std::bad_alloc(); }};
    t.start();
    CHECK(out_of_work());
    CHECK(t.failure_count() == 1);
  }
  SUBCASE("2.22 one of the library's own, about another timer") {
    async_timer::timer other{io, 1s, [] { return 1; }};
    async_timer::timer t{io, 1s, [&]() -> net::awaitable<int> {
                           auto joined = other.join();
                           co_return co_await std::move(joined);
                         }};
    t.start();
    CHECK(out_of_work());
    CHECK(kind_of(t.last_failure()) == "not_running");
  }
  CHECK(log.records().size() == 1);
}

TEST_CASE_FIXTURE(
    virtual_context,
    "17.1, D7 failure: a target that waits for a stopped timer fails with its outcome") {
  async_timer::timer other{io, 1h, [] { return 1; }};
  other.start();
  clock.run_until_idle();
  async_timer::timer t{io, 1s,
                       [&]() -> net::awaitable<int> {
                         auto joined = other.join();
                         co_return co_await std::move(joined);
                       },
                       quiet()};
  t.start();
  clock.run_until_idle();
  other.request_stop();
  CHECK(out_of_work());
  CHECK(t.failure_count() == 1);
  CHECK(kind_of(t.last_failure()) == "stopped");
}

TEST_CASE_FIXTURE(virtual_context, "17.1 failure: other timers of the context go on") {
  async_timer::timer bad{io, 1s, failing_every{2}, quiet()};
  async_timer::timer good{io, 1s, [] { return 1; }};
  async_timer::timer good_too{io, 1s, []() -> net::awaitable<int> { co_return 1; }};
  bad.start();
  good.start();
  good_too.start();
  clock.advance(5s);
  CHECK(bad.hit_count() == 1);
  CHECK(good.hit_count() == 6);
  CHECK(good_too.hit_count() == 6);
  good.request_stop();
  good_too.request_stop();
  CHECK(out_of_work());
}
