// Contract section 8: is_running. From many threads: tests/stress/is_running_test.cpp.
#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/fixture.hpp"
#include "support/sleeping_context.hpp"

using namespace test;

TEST_CASE_FIXTURE(virtual_context,
                  "8.1 is_running: true from start() to the end of the run, false before") {
  bool in_target = false;
  async_timer::timer<void>* self = nullptr;
  async_timer::timer t{io, 10s, [&] { in_target = self->is_running(); }, {.initial_delay = 5s}};
  self = &t;
  CHECK_FALSE(t.is_running());
  t.start();
  CHECK(t.is_running());
  clock.advance(1s);
  CHECK(t.is_running());  // in the initial delay
  clock.advance(4s);
  CHECK(in_target);
  CHECK(t.is_running());  // in a sleep
  clock.advance(3s);
  t.request_stop();
  clock.run_until_idle();
  CHECK_FALSE(t.is_running());
  t.start();
  CHECK(t.is_running());
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE("8.1 is_running: true at once with start = true") {
  net::io_context io{1};
  async_timer::virtual_clock clock{io};
  const async_timer::timer t{io, 1s, [] {}, {.start = true}};
  CHECK(t.is_running());
}

TEST_CASE_FIXTURE(sleeping_context,
                  "8.2, 15.14 is_running: false as soon as cancel() was called, while clean-up "
                  "goes on") {
  async_timer::timer t{io, 10s, [&]() -> net::awaitable<void> {
                         try {
                           auto work = pause(1h);
                           co_await std::move(work);
                         } catch (...) {
                         }
                         co_await net::this_coro::reset_cancellation_state();
                         auto clean_up = pause(3s);
                         co_await std::move(clean_up);
                       }};
  t.start();
  clock.advance(1s);
  CHECK(t.is_running());
  no_value cancelled;
  SUBCASE("cancel") {
    t.cancel(into(cancelled));
    CHECK_FALSE(t.is_running());
  }
  SUBCASE("request_stop") {
    t.request_stop();
    CHECK_FALSE(t.is_running());
    t.cancel(into(cancelled));
  }
  clock.advance(2s);
  CHECK_FALSE(t.is_running());
  CHECK_FALSE(cancelled.done());
  clock.advance(1s);
  CHECK(cancelled.completions == 1);
  CHECK_FALSE(t.is_running());
  CHECK(t.hit_count() == 1);  // the target swallowed the cancellation and returned
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "8.2 is_running: a cancel() that is never initiated requests nothing") {
  async_timer::timer t{io, 10s, [] {}};
  t.start();
  { auto lazy = t.cancel(); }
  clock.advance(1s);
  CHECK(t.is_running());
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "8.2, D5 is_running: false in on_error, in on_stop and for whom the end of the "
                  "run resumes, whatever ended it") {
  std::vector<std::string> running;
  async_timer::timer<int>* self = nullptr;
  const auto note = [&](const char* where) {
    if (self->is_running()) running.push_back(where);
  };
  std::string cause;
  int calls = 0;
  int seen = 0;
  async_timer::timer t{io,
                       1s,
                       [&] {
                         if (++calls == 2 && cause == "end") throw async_timer::end_of_ticks{};
                         if (calls == 2 && cause == "failure") throw std::runtime_error("broken");
                         if (calls == 2 && cause == "stop inside") self->request_stop();
                         return calls;
                       },
                       {.on_error = [&] { note("on_error"); },
                        .on_stop =
                            [&](async_timer::timer_ref ref) {
                              note("on_stop");
                              if (ref.is_running()) running.push_back("on_stop, by its argument");
                              ++seen;
                            }}};
  self = &t;
  SUBCASE("cancel") { cause = "cancel"; }
  SUBCASE("request_stop in a sleep") { cause = "stop"; }
  SUBCASE("request_stop inside the target") { cause = "stop inside"; }
  SUBCASE("end of ticks") { cause = "end"; }
  SUBCASE("failure") { cause = "failure"; }
  t.start();
  clock.run_until_idle();
  t.wait({.hit_count = 99}, [&](std::exception_ptr, std::optional<int>) {
    note("counted wait");
    ++seen;
  });
  t.wait([&](std::exception_ptr, std::optional<int>) {
    note("idle wait");
    ++seen;
  });
  if (cause == "stop") t.request_stop();
  if (cause == "cancel") {
    t.cancel([&](std::exception_ptr) {
      note("cancel");
      ++seen;
    });
  }
  clock.advance(1s);
  CHECK(seen == (cause == "cancel" ? 4 : 3));
  CHECK(running == std::vector<std::string>{});
  CHECK_FALSE(t.is_running());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "8.2 is_running: false inside the target from its own request on") {
  std::vector<bool> seen;
  async_timer::timer<void>* self = nullptr;
  async_timer::timer t{io, 1s, [&] {
                         seen.push_back(self->is_running());
                         self->request_stop();
                         seen.push_back(self->is_running());
                       }};
  self = &t;
  t.start();
  CHECK(out_of_work());
  CHECK(seen == std::vector<bool>{true, false});
  CHECK(t.hit_count() == 1);
}

TEST_CASE_FIXTURE(virtual_context, "8.3 is_running: false when the run ended by itself") {
  int calls = 0;
  bool fail = false;
  async_timer::timer t{io,
                       1s,
                       [&] {
                         if (++calls < 3) return;
                         if (fail) throw std::runtime_error("broken");
                         throw async_timer::end_of_ticks{};
                       },
                       {.on_error = [] {}}};
  SUBCASE("by end of ticks") {}
  SUBCASE("by a failure") { fail = true; }
  t.start();
  clock.advance(2s - 1ns);
  CHECK(t.is_running());
  clock.advance(1ns);
  CHECK_FALSE(t.is_running());
  CHECK(out_of_work());
}
