// Contract section 7: start and restart. Scoped use (7.10, 7.11) is in scoped_test.cpp.
#include <doctest/doctest.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/fixture.hpp"
#include "support/sleeping_context.hpp"
#include "support/times.hpp"

using namespace test;

namespace {

using async_timer::mode;

/// Gives what start() throws: "" for nothing, else the kind of error.
template <class Timer>
std::string start_error(Timer& t) {
  try {
    t.start();
    return "";
  } catch (...) {
    return kind_of(std::current_exception());
  }
}

}  // namespace

TEST_CASE_FIXTURE(virtual_context,
                  "7.1 start: on a running timer it throws, and the run goes on undisturbed") {
  times at;
  int stops = 0;
  async_timer::timer t{io,
                       1s,
                       [&] {
                         at.push_back(elapsed());
                         return static_cast<int>(at.size());
                       },
                       {.initial_delay = 2s, .on_stop = [&] { ++stops; }}};
  const auto check_throws = [&] {
    std::string message;
    try {
      t.start();
    } catch (const async_timer::timer_already_running_error& e) {
      message = e.what();
    }
    CHECK(message.find("Already running") != std::string::npos);
    CHECK(t.is_running());
  };
  t.start();
  check_throws();  // before anything has run
  outcome<int> joined;
  t.join(into(joined));
  clock.advance(1s);
  check_throws();  // in the initial delay
  clock.advance(1500ms);
  check_throws();  // in a sleep
  clock.advance(1500ms);
  CHECK(at == times{2s, 3s, 4s});
  CHECK(joined.value == 1);
  CHECK(stops == 0);
  t.request_stop();
  CHECK(out_of_work());
  CHECK(stops == 1);
}

TEST_CASE_FIXTURE(sleeping_context,
                  "7.1 start: with the target in flight, or from inside of it, it throws, too") {
  std::string inside = "not called";
  async_timer::timer<void>* self = nullptr;
  async_timer::timer t{io, 1s, [&]() -> net::awaitable<void> {
                         inside = start_error(*self);
                         auto work = pause(5s);
                         co_await std::move(work);
                       }};
  self = &t;
  t.start();
  clock.advance(1s);
  CHECK(inside == "already_running");
  CHECK(start_error(t) == "already_running");
  clock.advance(4s);
  CHECK(t.hit_count() == 1);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "7.2 start: returns at once with the timer running; the first tick comes later, "
                  "on the executor") {
  bool ticked = false;
  bool in_io = false;
  async_timer::timer t{io, 1s, [&] {
                         ticked = true;
                         in_io = io.get_executor().running_in_this_thread();
                       }};
  t.start();
  CHECK(t.is_running());
  CHECK_FALSE(ticked);
  clock.run_until_idle();
  CHECK(ticked);
  CHECK(in_io);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "7.2 start: ticks run on the strand that the timer was given") {
  const auto strand = net::make_strand(io);
  bool plain_on_strand = false;
  bool async_on_strand = false;
  async_timer::timer plain{strand, 1s, [&] { plain_on_strand = strand.running_in_this_thread(); }};
  async_timer::timer async{strand, 1s, [&]() -> net::awaitable<void> {
                             async_on_strand = strand.running_in_this_thread();
                             co_return;
                           }};
  plain.start();
  async.start();
  clock.run_until_idle();
  CHECK(plain_on_strand);
  CHECK(async_on_strand);
  plain.request_stop();
  async.request_stop();
  CHECK(out_of_work());
}

TEST_CASE("7.3 start: on a destroyed context it throws, and the timer is not running") {
  std::optional<net::io_context> io(std::in_place, 1);
  int count = 0;
  int stops = 0;
  async_timer::timer t{*io, 1s, [&] { return ++count; }, {.on_stop = [&] { ++stops; }}};
  SUBCASE("never started before") {}
  SUBCASE("started before") { t.start(); }
  io.reset();
  CHECK_FALSE(t.is_running());
  for (int i = 0; i < 2; ++i) {
    CHECK(start_error(t) == "dispatch");
    CHECK_FALSE(t.is_running());
  }
  t.request_stop();
  CHECK(count == 0);
  CHECK(stops == 0);
  CHECK(t.hit_count() == 0);
}

TEST_CASE_FIXTURE(virtual_context,
                  "7.3 start: on a context that nobody runs now it succeeds, and ticks when "
                  "somebody does") {
  int count = 0;
  async_timer::timer t{io, 1s, [&] { ++count; }};
  io.stop();
  t.start();
  CHECK(t.is_running());
  CHECK(io.poll() == 0);
  CHECK(count == 0);
  clock.run_until_idle();  // restarts the context
  CHECK(count == 1);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "7.4, 4.14, 5.1 start: after a cancel, an end of ticks or a failure a new run "
                  "begins from scratch, with initial_delay") {
  const log_recorder log;
  for (const auto m : {mode::fixed_delay, mode::fixed_rate}) {
    for (const std::string cause : {"cancel", "end", "failure"}) {
      CAPTURE(cause);
      times at;
      int stops = 0;
      const auto begin = elapsed();
      async_timer::timer t{io,
                           1s,
                           [&] {
                             at.push_back(elapsed() - begin);
                             if (at.size() == 3 && cause == "end")
                               throw async_timer::end_of_ticks{};
                             if (at.size() == 3 && cause == "failure")
                               throw std::runtime_error("broken");
                           },
                           {.mode = m, .initial_delay = 500ms, .on_stop = [&] { ++stops; }}};
      t.start();
      clock.advance(2700ms);
      if (cause == "cancel") t.request_stop();
      clock.advance(7600ms);
      CHECK_FALSE(t.is_running());
      CHECK(stops == 1);
      CHECK(at == times{500ms, 1500ms, 2500ms});

      t.start();
      CHECK(t.is_running());
      clock.advance(2s);
      CHECK(at == times{500ms, 1500ms, 2500ms, 10800ms, 11800ms});
      t.request_stop();
      clock.run_until_idle();
      CHECK(stops == 2);
    }
  }
  for (const auto& record : log.records()) CHECK(record.event == "async_timer.target_exception");
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "7.4 start: waiters of the last run get nothing of the new one, and new waiters "
                  "nothing of the last") {
  int count = 0;
  async_timer::timer t{io, 10s, [&] { return ++count; }};
  t.start();
  clock.advance(1s);
  outcome<int> old_join;
  outcome<std::optional<int>> old_wait;
  t.join(into(old_join));
  t.wait({.hits = 2}, into(old_wait));
  t.request_stop();
  clock.run_until_idle();
  t.start();
  outcome<int> fresh;
  t.join(into(fresh));
  clock.advance(10s);
  CHECK(old_join.completions == 1);
  CHECK(old_join.kind() == "stopped");
  CHECK(old_wait.completions == 1);
  CHECK(old_wait.kind() == "stopped");
  CHECK(fresh.completions == 1);
  CHECK(fresh.value == 2);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "7.4, 2.18 start: a target that makes a generator makes a new one for each run") {
  struct countdown {
    int left = 3;
    net::awaitable<std::optional<int>> next() {
      if (left == 0) co_return std::nullopt;
      co_return left--;
    }
  };
  int made = 0;
  std::vector<int> got;
  async_timer::timer t{io, 1s, [&] {
                         ++made;
                         return countdown{};
                       }};
  const auto run = [&](int ticks) {
    t.start();
    for (int i = 0; i < ticks; ++i) {
      clock.advance(i == 0 ? 0s : 1s);
      got.push_back(t.last_result().value_or(-1));
    }
    t.request_stop();
    clock.run_until_idle();
  };
  run(2);
  run(3);
  CHECK(made == 2);
  CHECK(got == std::vector<int>{3, 2, 3, 2, 1});
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(
    virtual_context,
    "7.5 start: hit_count, last_result, last_tick_at, the delay set, the name and the "
    "telemetry of failures survive a restart") {
  int count = 0;
  async_timer::timer t{io,
                       1s,
                       [&]() -> int {
                         if (++count == 3) throw std::runtime_error("broken");
                         return count;
                       },
                       {.initial_delay = 2s, .name = "kept", .on_error = [] {}}};
  t.start();
  clock.advance(3s);
  t.set_delay(4s);
  clock.advance(1s);
  REQUIRE_FALSE(t.is_running());
  const auto ticked_at = t.last_tick_at();
  const auto failed_at = t.last_failure_at();

  t.start();
  clock.advance(1s);
  CHECK(t.hit_count() == 2);
  CHECK(t.last_result() == 2);
  CHECK(t.last_tick_at() == ticked_at);
  CHECK(t.delay() == 4s);
  CHECK(t.name() == "kept");
  CHECK(t.failure_count() == 1);
  CHECK(kind_of(t.last_failure()) == "broken");
  CHECK(t.last_failure_at() == failed_at);

  clock.advance(1s);
  CHECK(t.hit_count() == 3);
  CHECK(t.last_result() == 4);
  clock.advance(4s - 1ns);
  CHECK(t.hit_count() == 3);
  clock.advance(1ns);
  CHECK(t.hit_count() == 4);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "7.5, 17.5 start: the failure of the last run is forgotten by those who wait") {
  bool broken = true;
  async_timer::timer t{io,
                       1s,
                       [&]() -> int {
                         if (broken) throw std::runtime_error("broken");
                         return 1;
                       },
                       {.initial_delay = 1s, .on_error = [] {}}};
  t.start();
  clock.advance(1s);
  outcome<int> before;
  t.join(into(before));
  clock.run_until_idle();
  CHECK(before.kind() == "broken");
  broken = false;
  t.start();
  outcome<int> after;
  t.join(into(after));
  clock.run_until_idle();
  CHECK_FALSE(after.done());
  clock.advance(1s);
  CHECK(after.completions == 1);
  CHECK(after.kind() == "");
  CHECK(after.value == 1);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(sleeping_context,
                  "7.9, D3 start: throws while the last run still cleans up; the new run then "
                  "knows nothing of the last") {
  std::vector<std::string> events;
  bool clean_up_takes_time = true;
  async_timer::timer t{io,
                       10s,
                       [&]() -> net::awaitable<int> {
                         if (!clean_up_takes_time) co_return 7;
                         bool cancelled = false;
                         try {
                           auto work = pause(1h);
                           co_await std::move(work);
                         } catch (...) {
                           cancelled = true;
                         }
                         co_await net::this_coro::reset_cancellation_state();
                         auto clean_up = pause(3s);
                         co_await std::move(clean_up);
                         events.push_back(cancelled ? "cleaned up" : "not cancelled");
                         throw async_timer::end_of_ticks{};
                       },
                       {.on_stop = [&] { events.push_back("on_stop"); }}};
  t.start();
  clock.advance(1s);
  no_value cancelled;
  t.cancel(into(cancelled));
  CHECK(start_error(t) == "already_running");
  clock.advance(2s);
  CHECK_FALSE(t.is_running());
  CHECK(start_error(t) == "already_running");
  CHECK_FALSE(t.is_running());
  CHECK_FALSE(cancelled.done());
  CHECK(events.empty());
  clock.advance(1s);
  CHECK(cancelled.completions == 1);
  CHECK(events == std::vector<std::string>{"cleaned up", "on_stop"});

  clean_up_takes_time = false;
  CHECK(start_error(t) == "");
  outcome<int> joined;
  t.join(into(joined));
  clock.advance(25s);
  CHECK(joined.completions == 1);
  CHECK(joined.value == 7);
  CHECK(t.is_running());
  CHECK(t.hit_count() == 3);
  CHECK(events.size() == 2);
  CHECK(cancelled.completions == 1);
  t.request_stop();
  CHECK(out_of_work());
  CHECK(events.size() == 3);
}

TEST_CASE_FIXTURE(virtual_context,
                  "7.9, D3 start: allowed as soon as cancel() has completed, in its very handler") {
  int count = 0;
  int stops = 0;
  async_timer::timer t{io, 10s, [&] { ++count; }, {.on_stop = [&] { ++stops; }}};
  std::string error = "not called";
  t.start();
  clock.advance(1s);
  t.cancel([&](std::exception_ptr) { error = start_error(t); });
  CHECK(start_error(t) == "already_running");
  clock.advance(15s);
  CHECK(error == "");
  CHECK(stops == 1);
  CHECK(count == 3);
  CHECK(t.is_running());
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "7.9, D5 start: throws in on_error and on_stop, whatever ended the run; the "
                  "timer can be started afterwards") {
  std::vector<std::string> errors;
  std::string cause;
  async_timer::timer<void>* self = nullptr;
  const auto try_start = [&] { errors.push_back(start_error(*self)); };
  int count = 0;
  async_timer::timer t{io,
                       1s,
                       [&] {
                         ++count;
                         if (cause == "end") throw async_timer::end_of_ticks{};
                         if (cause == "failure") throw std::runtime_error("broken");
                       },
                       {.on_error = try_start, .on_stop = try_start}};
  self = &t;
  SUBCASE("cancel") { cause = "cancel"; }
  SUBCASE("end of ticks") { cause = "end"; }
  SUBCASE("failure") { cause = "failure"; }
  t.start();
  clock.run_until_idle();
  if (cause == "cancel") t.request_stop();
  clock.run_until_idle();
  CHECK(errors ==
        std::vector<std::string>(cause == "failure" ? 2 : 1, std::string("already_running")));
  clock.advance(10s);
  CHECK(count == 1);
  CHECK(start_error(t) == "");
  clock.run_until_idle();
  CHECK(count == 2);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "D3 start: many quick stops and starts leave exactly one run, with its own "
                  "ticks") {
  int count = 0;
  int stops = 0;
  async_timer::timer t{io, 1s, [&] { ++count; }, {.on_stop = [&] { ++stops; }}};
  for (int i = 0; i < 100; ++i) {
    t.start();
    if (i % 2 == 0) clock.run_until_idle();
    t.request_stop();
    clock.run_until_idle();
  }
  CHECK(count == 50);
  CHECK(stops == 100);
  t.start();
  clock.advance(10s);
  CHECK(count == 61);
  t.request_stop();
  CHECK(out_of_work());
  CHECK(stops == 101);
}
