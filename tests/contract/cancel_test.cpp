// Contract section 15: cancel and stop of timers that sleep or have a plain target.
#include <doctest/doctest.h>

#include <stdexcept>

#include "support/fixture.hpp"
#include "support/trace.hpp"
#include "support/turnstile.hpp"

using namespace test;

namespace {

/// Counts the ends of a run.
async_timer::timer_options counting_stops(int& stops) {
  async_timer::timer_options options;
  options.on_stop = [&stops] { ++stops; };
  return options;
}

}  // namespace

TEST_CASE_FIXTURE(virtual_context,
                  "15.1 cancel: completes after on_stop and after who waits has the outcome") {
  trace happened;
  async_timer::timer_options options;
  options.on_stop = [&] { happened("on_stop"); };
  async_timer::timer t{io, 1s, answer, options};
  t.start();
  t.cancel(happened.handler("cancel"));
  CHECK(happened.text() == "");
  CHECK(out_of_work());
  CHECK(happened.text() == "on_stop cancel");

  t.start();
  clock.run_until_idle();
  t.join(happened.handler("join"));
  t.wait(happened.handler("wait"));
  t.cancel(happened.handler("cancel"));
  CHECK(out_of_work());
  CHECK(happened.text() == "on_stop cancel on_stop join:stopped wait cancel");
}

TEST_CASE_FIXTURE(virtual_context, "15.2 cancel: a timer never started needs no on_stop") {
  int stops = 0;
  async_timer::timer t{io, 1s, answer, counting_stops(stops)};
  no_value cancelled;
  t.cancel(into(cancelled));
  CHECK_FALSE(cancelled.done());
  CHECK(out_of_work());
  CHECK(cancelled.completions == 1);
  CHECK(cancelled.kind() == "");
  CHECK(stops == 0);
  CHECK(t.hit_count() == 0);
}

TEST_CASE_FIXTURE(virtual_context, "15.2 cancel: a finished timer gets no second on_stop") {
  int stops = 0;
  async_timer::timer t{io, 1s, [] { throw async_timer::end_of_ticks{}; }, counting_stops(stops)};
  t.start();
  CHECK(out_of_work());
  REQUIRE(stops == 1);
  no_value first;
  t.cancel(into(first));
  no_value second;
  t.cancel(into(second));
  CHECK(out_of_work());
  CHECK(first.completions == 1);
  CHECK(second.completions == 1);
  CHECK(first.kind() == "");
  CHECK(stops == 1);
}

TEST_CASE_FIXTURE(virtual_context, "15.2 request_stop: before a start it doesn't reach that run") {
  int stops = 0;
  async_timer::timer t{io, 1s, answer, counting_stops(stops)};
  t.request_stop();
  t.start();
  CHECK(t.is_running());
  clock.advance(3s);
  CHECK(t.hit_count() == 4);
  CHECK(stops == 0);
  t.request_stop();
  CHECK(out_of_work());
  CHECK(stops == 1);
}

TEST_CASE_FIXTURE(virtual_context, "15.3 cancel: cuts the sleep, and no tick follows") {
  int stops = 0;
  async_timer::timer t{io, 1h, answer, counting_stops(stops)};
  t.start();
  clock.advance(10min);
  REQUIRE(t.hit_count() == 1);
  no_value cancelled;
  t.cancel(into(cancelled));
  CHECK(out_of_work());
  CHECK(cancelled.completions == 1);
  CHECK(elapsed() == 10min);
  CHECK(stops == 1);
  clock.advance(10h);
  CHECK(t.hit_count() == 1);
  CHECK(stops == 1);
}

TEST_CASE_FIXTURE(virtual_context, "15.6 cancel: a plain target ends its tick, then the run ends") {
  int stops = 0;
  async_timer::timer<int>* self = nullptr;
  no_value cancelled;
  async_timer::timer t{io, 1s,
                       [&] {
                         self->cancel(into(cancelled));
                         CHECK_FALSE(self->is_running());
                         CHECK(stops == 0);
                         return 7;
                       },
                       counting_stops(stops)};
  self = &t;
  t.start();
  CHECK(out_of_work());
  CHECK(t.hit_count() == 1);
  CHECK(t.last_result() == 7);
  CHECK(stops == 1);
  CHECK(cancelled.completions == 1);
  CHECK(cancelled.kind() == "");
}

TEST_CASE_FIXTURE(virtual_context, "15.7 cancel: from inside a plain target it doesn't wait") {
  async_timer::timer<int>* self = nullptr;
  no_value cancelled;
  async_timer::timer t{io, 1s, [&] {
                         self->cancel(into(cancelled));
                         CHECK_FALSE(cancelled.done());
                         io.poll();
                         CHECK(cancelled.done());
                         return 1;
                       }};
  self = &t;
  t.start();
  CHECK(out_of_work());
  CHECK(cancelled.completions == 1);
  CHECK(t.hit_count() == 1);
}

TEST_CASE_FIXTURE(virtual_context, "15.10, D3b cancel: several at once all come after on_stop") {
  trace happened;
  async_timer::timer_options options;
  options.on_stop = [&] { happened("on_stop"); };
  async_timer::timer t{io, 1s, answer, options};
  t.start();
  clock.run_until_idle();
  t.request_stop();
  t.cancel(happened.handler("first"));
  t.cancel(happened.handler("second"));
  t.ref().cancel(happened.handler("third"));
  CHECK(out_of_work());
  CHECK(happened.text() == "on_stop first second third");
}

TEST_CASE_FIXTURE(virtual_context, "15.11 cancel: throws nothing of target or callbacks") {
  const log_recorder log;
  async_timer::timer<int>* self = nullptr;
  no_value cancelled;
  async_timer::timer_options options;
  options.on_error = [] { throw std::runtime_error("on_error"); };
  options.on_stop = [] { throw std::runtime_error("on_stop"); };
  async_timer::timer t{io, 1s,
                       [&]() -> int {
                         net::post(io, [&] { self->cancel(into(cancelled)); });
                         self->request_stop();
                         throw std::runtime_error("target");
                       },
                       options};
  self = &t;
  t.start();
  CHECK(out_of_work());
  CHECK(cancelled.completions == 1);
  CHECK(cancelled.kind() == "");
}

TEST_CASE_FIXTURE(virtual_context,
                  "15.12 cancel: during initial_delay gives no tick, one on_stop") {
  int stops = 0;
  auto options = counting_stops(stops);
  options.initial_delay = 5s;
  async_timer::timer t{io, 1s, answer, options};
  t.start();
  clock.advance(2s);
  no_value cancelled;
  t.cancel(into(cancelled));
  CHECK(out_of_work());
  CHECK(cancelled.completions == 1);
  clock.advance(1min);
  CHECK(t.hit_count() == 0);
  CHECK(stops == 1);
}

TEST_CASE_FIXTURE(virtual_context,
                  "15.13, D9b cancel: right after start() gives no tick, but one on_stop") {
  int stops = 0;
  async_timer::timer t{io, 1s, answer, counting_stops(stops)};
  t.start();
  outcome<int> joined;
  t.join(into(joined));
  no_value cancelled;
  t.cancel(into(cancelled));
  CHECK(stops == 0);
  CHECK(out_of_work());
  CHECK(cancelled.completions == 1);
  CHECK(joined.completions == 1);
  CHECK(joined.kind() == "stopped");
  CHECK(t.hit_count() == 0);
  CHECK(stops == 1);
}

TEST_CASE_FIXTURE(virtual_context,
                  "15.14, 8.2 cancel: is_running() is false right after the call") {
  async_timer::timer t{io, 1s, answer};
  t.start();
  clock.run_until_idle();
  CHECK(t.is_running());
  SUBCASE("15.14 cancel()") {
    no_value cancelled;
    t.cancel(into(cancelled));
    CHECK_FALSE(t.is_running());
    CHECK_FALSE(t.ref().is_running());
    CHECK_FALSE(t.snapshot().is_running);
    CHECK(out_of_work());
  }
  SUBCASE("15.14 request_stop()") {
    t.request_stop();
    CHECK_FALSE(t.is_running());
  }
  CHECK(out_of_work());
  CHECK_FALSE(t.is_running());
}

TEST_CASE_FIXTURE(virtual_context, "15.15 cancel: waiters never get a value of a later run") {
  async_timer::timer t{io, 1s, answer};
  t.start();
  clock.run_until_idle();
  outcome<int> joined;
  t.join(into(joined));
  outcome<int> triggered;
  t.trigger(into(triggered));
  outcome<std::optional<int>> counted;
  t.wait({.hits = 5}, into(counted));
  outcome<std::optional<int>> idle;
  t.wait(into(idle));
  outcome<std::optional<int>> next;
  t.next(into(next));
  bool restarted = false;
  t.cancel([&](std::exception_ptr) {
    t.start();
    restarted = true;
  });
  clock.advance(10s);
  REQUIRE(restarted);
  CHECK(t.hit_count() == 12);
  CHECK(joined.completions == 1);
  CHECK(joined.kind() == "stopped");
  CHECK(triggered.completions == 1);
  CHECK(triggered.kind() == "stopped");
  CHECK(counted.completions == 1);
  CHECK(counted.kind() == "stopped");
  CHECK(idle.completions == 1);
  CHECK(idle.kind() == "");
  CHECK(next.completions == 1);
  CHECK(next.kind() == "");
  REQUIRE(next.value.has_value());
  CHECK_FALSE(next.value->has_value());
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "D3, 7.9 start: refused while a requested stop is under way") {
  int stops = 0;
  async_timer::timer t{io, 1s, answer, counting_stops(stops)};
  t.start();
  clock.run_until_idle();
  t.request_stop();
  CHECK_FALSE(t.is_running());
  CHECK_THROWS_AS(t.start(), async_timer::timer_already_running_error);
  CHECK_FALSE(t.is_running());
  CHECK(out_of_work());
  CHECK(stops == 1);
  t.start();
  clock.advance(2s);
  CHECK(t.is_running());
  CHECK(t.hit_count() == 4);
  CHECK(stops == 1);
  t.request_stop();
  CHECK(out_of_work());
  CHECK(stops == 2);
}

TEST_CASE_FIXTURE(virtual_context,
                  "D9b on_stop: comes exactly once however often a stop is asked") {
  int stops = 0;
  async_timer::timer t{io, 1s, answer, counting_stops(stops)};
  for (int run = 1; run <= 3; ++run) {
    t.start();
    clock.advance(std::chrono::seconds(run));
    t.request_stop();
    t.request_stop();
    no_value cancelled;
    t.cancel(into(cancelled));
    t.ref().request_stop();
    CHECK(out_of_work());
    CHECK(cancelled.completions == 1);
    CHECK(stops == run);
  }
}

TEST_CASE_FIXTURE(virtual_context,
                  "D11 outcomes: a consumer's own cancellation is told from the end of the run") {
  async_timer::timer t{io, 1s, answer};
  t.start();
  clock.run_until_idle();
  net::cancellation_signal signal;
  outcome<std::optional<int>> cut;
  outcome<std::optional<int>> ended;

  SUBCASE("D11 idle wait") {
    t.wait(net::bind_cancellation_slot(signal.slot(), into(cut)));
    t.wait(into(ended));
  }
  SUBCASE("D11 next") {
    t.next(net::bind_cancellation_slot(signal.slot(), into(cut)));
    t.next(into(ended));
  }
  signal.emit(net::cancellation_type::terminal);
  clock.run_until_idle();
  CHECK(cut.completions == 1);
  CHECK(cut.kind() == "stopped");
  CHECK_FALSE(ended.done());
  CHECK(t.is_running());
  t.request_stop();
  CHECK(out_of_work());
  CHECK(cut.completions == 1);
  CHECK(ended.completions == 1);
  CHECK(ended.kind() == "");
}

TEST_CASE_FIXTURE(virtual_context,
                  "D11 outcomes: a target's timeout is a failure, not the timeout of a wait") {
  async_timer::timer_options quiet;
  quiet.on_error = [] {};
  async_timer::timer t{io, 1s, []() -> int { throw async_timer::timeout_error("of the target"); },
                       quiet};
  t.start();
  outcome<std::optional<int>> idle;
  t.wait(into(idle));
  outcome<std::optional<int>> bounded;
  t.wait({.timeout = 1min}, into(bounded));
  CHECK(out_of_work());
  CHECK(idle.completions == 1);
  CHECK(idle.kind() == "timeout");
  CHECK(bounded.completions == 1);
  CHECK(bounded.kind() == "timeout");
  CHECK(idle.error == t.last_failure());
  CHECK(bounded.error == t.last_failure());
}

TEST_CASE_FIXTURE(virtual_context, "D7 plain target: a cancellation raised alone is a failure") {
  std::string failed;
  async_timer::timer_options options;
  options.on_error = [&](async_timer::timer_ref, std::exception_ptr error) {
    failed = kind_of(error);
  };
  async_timer::timer t{
      io, 1s, []() -> int { throw async_timer::system_error(net::error::operation_aborted); },
      options};
  t.start();
  CHECK(out_of_work());
  CHECK(failed == "stopped");
  CHECK(t.failure_count() == 1);
  outcome<int> joined;
  t.join(into(joined));
  CHECK(out_of_work());
  CHECK(joined.error == t.last_failure());
}

TEST_CASE_FIXTURE(virtual_context,
                  "D7, 16.12 plain target: a cancellation raised after a stop is a normal end") {
  int failures = 0;
  int stops = 0;
  auto options = counting_stops(stops);
  options.on_error = [&] { ++failures; };
  async_timer::timer<int>* self = nullptr;
  async_timer::timer t{io, 1s,
                       [&]() -> int {
                         self->request_stop();
                         throw async_timer::system_error(net::error::operation_aborted);
                       },
                       options};
  self = &t;
  t.start();
  CHECK(out_of_work());
  CHECK(stops == 1);
  CHECK(failures == 0);
  CHECK(t.failure_count() == 0);
}

TEST_CASE_FIXTURE(virtual_context,
                  "D7b, 15.17 plain target: an error after a requested stop is a failure") {
  trace happened;
  async_timer::timer<int>* self = nullptr;
  async_timer::timer_options options;
  options.on_error = [&](async_timer::timer_ref, std::exception_ptr error) {
    happened("on_error:" + kind_of(error));
  };
  options.on_stop = [&] { happened("on_stop"); };
  async_timer::timer t{io, 1s,
                       [&]() -> int {
                         self->cancel(happened.handler("cancel"));
                         throw std::runtime_error("oops");
                       },
                       options};
  self = &t;
  t.start();
  t.join(happened.handler("join"));
  CHECK(out_of_work());
  CHECK(happened.text() == "on_error:oops on_stop cancel join:oops");
  CHECK(t.failure_count() == 1);
}
