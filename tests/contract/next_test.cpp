// Contract section 11: the loop over a timer, `while (auto value = co_await t.next())`.
#include <doctest/doctest.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/fixture.hpp"
#include "support/operations.hpp"
#include "support/tokens.hpp"

using namespace test;

namespace {

// Lets a consumer that is spawned after start() see the first tick.
const async_timer::timer_options soon{.initial_delay = 1ms};
const async_timer::timer_options soon_and_quiet{.initial_delay = 1ms, .on_error = [] {}};

/// Is what a consumer's loop saw.
struct seen {
  std::vector<int> values;
  bool ended = false;
  std::exception_ptr error;
};

net::awaitable<void> consume(async_timer::timer<int>& t, seen& result) {
  try {
    while (auto value = co_await t.next()) result.values.push_back(*value);
    result.ended = true;
  } catch (...) {
    result.error = std::current_exception();
  }
}

/// As above, and busy after each value until the gate is opened.
net::awaitable<void> consume_slowly(async_timer::timer<int>& t, gate& busy, seen& result) {
  try {
    while (auto value = co_await t.next()) {
      result.values.push_back(*value);
      auto work = busy.pass();
      co_await std::move(work);
    }
    result.ended = true;
  } catch (...) {
    result.error = std::current_exception();
  }
}

}  // namespace

TEST_CASE_FIXTURE(virtual_context, "11.1 next: each step gives the next tick, in order") {
  int count = 0;
  async_timer::timer<int> t{io, 1s, [&] { return ++count; }};
  t.start();
  clock.advance(0s);
  seen loop;
  spawn(consume(t, loop));
  clock.advance(4s);
  CHECK(loop.values == std::vector{2, 3, 4, 5});
  CHECK_FALSE(loop.ended);
  t.request_stop();
  CHECK(out_of_work());
  CHECK(loop.ended);
}

TEST_CASE_FIXTURE(virtual_context,
                  "11.1 next: a busy consumer misses ticks and sees the rest in order") {
  int count = 0;
  async_timer::timer<int> t{io, 1s, [&] { return ++count; }, soon};
  gate busy(io);
  seen loop;
  t.start();
  spawn(consume_slowly(t, busy, loop));
  clock.advance(3500ms);
  CHECK(loop.values == std::vector{1});
  busy.open();
  clock.run_until_idle();
  busy.close();
  CHECK(loop.values == std::vector{1});  // the ticks in between are gone
  clock.advance(2s);
  CHECK(loop.values == std::vector{1, 5});
  busy.open();
  clock.advance(2s);
  CHECK(loop.values == std::vector{1, 5, 7, 8});
  t.request_stop();
  CHECK(out_of_work());
  CHECK(loop.ended);
}

TEST_CASE_FIXTURE(virtual_context,
                  "11.2, D4 next: ends normally when the run ends, and when there is none") {
  int count = 0;
  async_timer::timer<int> t{io, 1s,
                            [&] {
                              if (count == 2) throw async_timer::end_of_ticks{};
                              return ++count;
                            },
                            soon};
  seen never_started;
  spawn(consume(t, never_started));
  CHECK(never_started.ended);
  CHECK(never_started.values.empty());

  seen exhausted;
  t.start();
  spawn(consume(t, exhausted));
  clock.advance(10s);
  CHECK(exhausted.ended);
  CHECK(exhausted.values == std::vector{1, 2});

  seen stopped;
  spawn(consume(t, stopped));
  CHECK(stopped.ended);
  CHECK(stopped.values.empty());

  count = 0;
  seen cancelled;
  t.start();
  spawn(consume(t, cancelled));
  clock.advance(1ms);
  no_value cancel;
  t.cancel(into(cancel));
  clock.run_until_idle();
  CHECK(cancel.completions == 1);
  CHECK(cancelled.ended);
  CHECK(cancelled.values == std::vector{1});
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "11.2 next: is empty, without an error, and never inline") {
  async_timer::timer<int> t{io, 1s, [] { return 1; }};
  outcome<std::optional<int>> idle;
  t.next(into(idle));
  CHECK_FALSE(idle.done());
  clock.run_until_idle();
  CHECK(idle.completions == 1);
  CHECK(idle.kind() == "");
  REQUIRE(idle.value.has_value());
  CHECK_FALSE(idle.value->has_value());
  t.start();
  clock.advance(1ms);
  outcome<std::optional<int>> waiting;
  t.next(into(waiting));
  t.request_stop();
  outcome<std::optional<int>> stopping;
  t.next(into(stopping));
  CHECK_FALSE(waiting.done());
  CHECK_FALSE(stopping.done());
  clock.run_until_idle();
  for (const auto* each : {&waiting, &stopping}) {
    CHECK(each->completions == 1);
    CHECK(each->kind() == "");
    REQUIRE(each->value.has_value());
    CHECK_FALSE(each->value->has_value());
  }
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "11.2 next: a failure reaches the consumer that waits") {
  const auto failure = std::make_exception_ptr(std::runtime_error("no answer"));
  int count = 0;
  const auto target = [&] {
    if (++count == 3) std::rethrow_exception(failure);
    return count;
  };
  async_timer::timer<int> t{io, 1s, target, soon_and_quiet};
  seen loop;
  t.start();
  spawn(consume(t, loop));
  clock.advance(5s);
  CHECK(loop.values == std::vector{1, 2});
  CHECK_FALSE(loop.ended);
  CHECK(loop.error == failure);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "11.3, D6 next: a failure reaches the consumer that was busy, too") {
  const auto failure = std::make_exception_ptr(std::runtime_error("no answer"));
  int count = 0;
  const auto target = [&] {
    if (++count == 2) std::rethrow_exception(failure);
    return count;
  };
  async_timer::timer<int> t{io, 1s, target, soon_and_quiet};
  gate busy(io);
  seen loop;
  t.start();
  spawn(consume_slowly(t, busy, loop));
  clock.advance(5s);
  REQUIRE_FALSE(t.is_running());
  CHECK(loop.values == std::vector{1});
  CHECK_FALSE(loop.error);
  busy.open();
  clock.run_until_idle();
  CHECK_FALSE(loop.ended);
  CHECK(loop.error == failure);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "11.4, D11 next: cancelling the consumer is no end of the loop") {
  int count = 0;
  async_timer::timer<int> t{io, 1s, [&] { return ++count; }, soon};
  t.start();
  net::cancellation_signal signal;
  seen cancelled;
  seen other;
  net::co_spawn(io, consume(t, cancelled),
                net::bind_cancellation_slot(signal.slot(), net::detached));
  net::co_spawn(io, consume(t, other), net::detached);
  clock.advance(1500ms);
  signal.emit(net::cancellation_type::terminal);
  clock.run_until_idle();
  CHECK(cancelled.values == std::vector{1, 2});
  CHECK_FALSE(cancelled.ended);
  CHECK(kind_of(cancelled.error) == "stopped");
  CHECK(t.is_running());
  clock.advance(1s);
  CHECK(other.values == std::vector{1, 2, 3});
  t.request_stop();
  CHECK(out_of_work());
  CHECK(other.ended);
}

TEST_CASE_FIXTURE(virtual_context, "11.5 next: neither starts the timer nor stops it") {
  int count = 0;
  async_timer::timer<int> t{io, 1s, [&] { return ++count; }, soon};
  seen loop;
  spawn(consume(t, loop));
  clock.advance(3s);
  CHECK_FALSE(t.is_running());
  CHECK(count == 0);

  t.start();
  std::optional<int> last;
  const auto break_at_two = [&]() -> net::awaitable<void> {
    while (auto value = co_await t.next()) {
      last = value;
      if (value == 2) break;
    }
  };
  spawn(break_at_two);
  clock.advance(1500ms);
  CHECK(last == 2);
  CHECK(t.is_running());
  clock.advance(2s);
  CHECK(count == 4);
  CHECK(last == 2);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "11.1 next: loops over a timer without values as well") {
  int ticks = 0;
  int seen_ticks = 0;
  async_timer::timer<void> t{io, 1s, [&] { ++ticks; }, soon};
  const auto loop = [&]() -> net::awaitable<void> {
    while (co_await t.next()) ++seen_ticks;
  };
  t.start();
  spawn(loop);
  clock.advance(3500ms);
  CHECK(ticks == 4);
  CHECK(seen_ticks == 4);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "11.2, D21 next: a value that says nothing is not the end") {
  std::vector<std::optional<int>> values;
  bool ended = false;
  int count = 0;
  async_timer::timer<std::optional<int>> t{io, 1s,
                                           [&]() -> std::optional<int> {
                                             return ++count == 2 ? std::nullopt
                                                                 : std::optional<int>(count);
                                           },
                                           soon};
  const auto loop = [&]() -> net::awaitable<void> {
    while (auto value = co_await t.next()) values.push_back(*value);
    ended = true;
  };
  t.start();
  spawn(loop);
  clock.advance(2500ms);
  CHECK(values == std::vector<std::optional<int>>{1, std::nullopt, 3});
  CHECK_FALSE(ended);
  t.request_stop();
  CHECK(out_of_work());
  CHECK(ended);
}
