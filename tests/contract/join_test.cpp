// Contract section 9: join.
#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/fixture.hpp"
#include "support/operations.hpp"
#include "support/tokens.hpp"

using namespace test;

TEST_CASE_FIXTURE(virtual_context,
                  "9.1 join: gives the value of the next tick, never of a past one") {
  int count = 0;
  async_timer::timer t{io, 1s, [&] { return ++count; }};
  t.start();
  clock.advance(0s);
  REQUIRE(count == 1);
  outcome<int> joined;
  t.join(into(joined));
  clock.run_until_idle();
  CHECK_FALSE(joined.done());
  clock.advance(1s);
  CHECK(joined.completions == 1);
  CHECK(joined.kind() == "");
  CHECK(joined.value == 2);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "9.1 join: waits for the first tick of a run, too") {
  async_timer::timer t{io, 1s, [] { return 7; }, {.initial_delay = 5s}};
  t.start();
  outcome<int> joined;
  t.join(into(joined));
  clock.advance(4999ms);
  CHECK_FALSE(joined.done());
  clock.advance(1ms);
  CHECK(joined.completions == 1);
  CHECK(joined.value == 7);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(busy_timer, "9.1 join: takes the tick that is in flight") {
  REQUIRE(calls == 2);
  REQUIRE(t.hit_count() == 1);
  outcome<int> joined;
  t.join(into(joined));
  clock.run_until_idle();
  CHECK_FALSE(joined.done());
  hold.open();
  clock.run_until_idle();
  CHECK(joined.completions == 1);
  CHECK(joined.value == 2);
  CHECK(calls == 2);
  finish();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "9.2 join: all who wait get the same value, who comes later the next one") {
  int count = 0;
  async_timer::timer t{io, 1s, [&] { return ++count; }};
  t.start();
  clock.advance(0s);
  outcome<int> first;
  outcome<int> second;
  outcome<int> third;
  outcome<int> late;
  t.join(into(first));
  t.join(into(second));
  t.join([&](std::exception_ptr error, int value) {
    into(third)(std::move(error), value);
    t.join(into(late));  // resumed by a tick, so it waits for the one after that
  });
  clock.advance(1s);
  CHECK(first.value == 2);
  CHECK(second.value == 2);
  CHECK(third.value == 2);
  CHECK_FALSE(late.done());
  clock.advance(1s);
  CHECK(late.value == 3);
  for (const auto* each : {&first, &second, &third, &late}) {
    CHECK(each->completions == 1);
    CHECK(each->kind() == "");
  }
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "9.3, D4 join: of a timer that is not running is not-running, and not inline") {
  async_timer::timer t{io, 1s, [] { return 1; }, {.name = "cache"}};
  outcome<int> never_started;
  t.join(into(never_started));
  CHECK_FALSE(never_started.done());
  clock.run_until_idle();
  CHECK(never_started.completions == 1);
  CHECK_THROWS_WITH_AS(std::rethrow_exception(never_started.error), doctest::Contains("cache"),
                       async_timer::timer_not_running_error);
  t.start();
  clock.advance(3s);
  t.request_stop();
  outcome<int> stopping;
  t.join(into(stopping));
  CHECK_FALSE(stopping.done());
  clock.run_until_idle();
  outcome<int> stopped;
  t.join(into(stopped));
  clock.run_until_idle();
  CHECK(stopping.completions == 1);
  CHECK(stopping.kind() == "not_running");
  CHECK(stopped.completions == 1);
  CHECK(stopped.kind() == "not_running");
  CHECK(t.hit_count() == 4);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "9.4, D4 join: a stop while waiting gives the stop outcome") {
  async_timer::timer t{io, 1h, [] { return 1; }};
  t.start();
  clock.advance(1s);
  outcome<int> joined;
  t.join(into(joined));
  t.request_stop();
  CHECK_FALSE(joined.done());
  clock.run_until_idle();  // promptly: no time goes by
  CHECK(joined.completions == 1);
  CHECK(joined.kind() == "stopped");
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "9.4 join: an exhausted target gives the stop outcome") {
  int count = 0;
  async_timer::timer t{io, 1s, [&] {
                         if (count == 1) throw async_timer::end_of_ticks{};
                         return ++count;
                       }};
  t.start();
  clock.advance(0s);
  outcome<int> joined;
  t.join(into(joined));
  clock.advance(1s);
  CHECK(joined.completions == 1);
  CHECK(joined.kind() == "stopped");
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "9.4 join: destroying the timer gives the stop outcome") {
  outcome<int> joined;
  {
    async_timer::timer t{io, 1h, [] { return 1; }};
    t.start();
    clock.advance(0s);
    t.join(into(joined));
  }
  CHECK_FALSE(joined.done());
  clock.run_until_idle();
  CHECK(joined.completions == 1);
  CHECK(joined.kind() == "stopped");
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "9.5 join: a failing target gives its waiters that very failure") {
  const auto failure = std::make_exception_ptr(std::runtime_error("no answer"));
  int count = 0;
  const auto target = [&]() -> int {
    if (++count == 2) std::rethrow_exception(failure);
    return count;
  };
  async_timer::timer t{io, 1s, target, {.on_error = [] {}}};
  t.start();
  clock.advance(0s);
  outcome<int> first;
  outcome<int> second;
  t.join(into(first));
  t.join(into(second));
  clock.advance(1s);
  CHECK(first.completions == 1);
  CHECK(second.completions == 1);
  CHECK(first.error == failure);
  CHECK(second.error == failure);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "9.6, D6 join: the failure stays until the next start, then it is forgotten") {
  const auto failure = std::make_exception_ptr(std::runtime_error("no answer"));
  bool fails = true;
  const auto target = [&] {
    if (fails) std::rethrow_exception(failure);
    return 1;
  };
  async_timer::timer t{io, 1s, target, {.on_error = [] {}}};
  t.start();
  clock.advance(10s);
  REQUIRE_FALSE(t.is_running());
  for (int i = 0; i < 2; ++i) {
    outcome<int> late;
    t.join(into(late));
    CHECK_FALSE(late.done());
    clock.run_until_idle();
    CHECK(late.completions == 1);
    CHECK(late.error == failure);
  }
  fails = false;
  t.start();
  outcome<int> joined;
  t.join(into(joined));
  clock.advance(0s);
  CHECK(joined.completions == 1);
  CHECK(joined.kind() == "");
  CHECK(joined.value == 1);
  t.request_stop();
  clock.run_until_idle();
  outcome<int> after_stop;
  t.join(into(after_stop));
  clock.run_until_idle();
  CHECK(after_stop.kind() == "not_running");
  CHECK(t.last_failure() == failure);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "D6 every late waiter gets the failure of the last run, trigger is not-running") {
  const auto failure = std::make_exception_ptr(std::runtime_error("no answer"));
  async_timer::timer t{
      io, 1s, [&]() -> int { std::rethrow_exception(failure); }, {.on_error = [] {}}};
  t.start();
  clock.advance(0s);
  for_each_wait([&](const std::string& name, auto initiate) {
    CAPTURE(name);
    ending late;
    initiate(t, into(late));
    clock.run_until_idle();
    CHECK(late.completions == 1);
    if (name == "trigger") {
      CHECK(late.kind() == "not_running");
    } else {
      CHECK(late.error == failure);
    }
  });
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "9.7 join: an abandoned one disturbs neither the timer nor the others") {
  int count = 0;
  async_timer::timer t{io, 1s, [&] { return ++count; }};
  t.start();
  clock.advance(0s);
  net::cancellation_signal signal;
  outcome<int> before;
  outcome<int> abandoned;
  outcome<int> after;
  t.join(into(before));
  t.join(net::bind_cancellation_slot(signal.slot(), into(abandoned)));
  t.join(into(after));
  signal.emit(net::cancellation_type::terminal);
  clock.run_until_idle();
  CHECK(abandoned.completions == 1);
  CHECK(abandoned.kind() == "stopped");
  CHECK_FALSE(before.done());
  CHECK_FALSE(after.done());
  CHECK(t.is_running());
  clock.advance(1s);
  CHECK(before.completions == 1);
  CHECK(before.value == 2);
  CHECK(after.completions == 1);
  CHECK(after.value == 2);
  CHECK(abandoned.completions == 1);
  clock.advance(1s);
  CHECK(count == 3);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "9.8 join: may come from any executor, the handler runs on its own") {
  async_timer::timer t{io, 1s, [] { return 4; }};
  t.start();
  net::io_context elsewhere;
  outcome<int> joined;
  bool in_place = false;
  net::post(elsewhere, [&] {
    t.join(net::bind_executor(elsewhere, [&](std::exception_ptr error, int value) {
      in_place = elsewhere.get_executor().running_in_this_thread();
      into(joined)(std::move(error), value);
    }));
  });
  elsewhere.poll();
  clock.advance(0s);
  CHECK_FALSE(joined.done());  // only its own context may run it
  CHECK_FALSE(elsewhere.stopped());
  elsewhere.restart();
  elsewhere.poll();
  CHECK(joined.completions == 1);
  CHECK(joined.value == 4);
  CHECK(in_place);
  CHECK(elsewhere.stopped());
  t.request_stop();
  CHECK(out_of_work());
}

namespace {

net::awaitable<void> join_here(async_timer::timer<int>& t, std::vector<int>& values) {
  const int value = co_await t.join();
  values.push_back(value);
}

}  // namespace

TEST_CASE_FIXTURE(virtual_context,
                  "9.8 join: a coroutine on another context, and one on a strand, resume there") {
  async_timer::timer t{io, 1s, [] { return 4; }};
  t.start();
  net::io_context elsewhere;
  auto strand = net::make_strand(elsewhere);
  std::vector<int> values;
  net::co_spawn(elsewhere, join_here(t, values), net::detached);
  net::co_spawn(strand, join_here(t, values), net::detached);
  elsewhere.poll();
  clock.advance(0s);
  CHECK(values.empty());
  elsewhere.restart();
  elsewhere.poll();
  CHECK(values == std::vector{4, 4});
  CHECK(elsewhere.stopped());
  t.request_stop();
  CHECK(out_of_work());
}
