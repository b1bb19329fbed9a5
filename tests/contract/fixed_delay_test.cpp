// Contract section 3: the pacemaker in fixed_delay, through the timer in virtual time.
#include <doctest/doctest.h>

#include <string>

#include "support/fixture.hpp"
#include "support/sleeping_context.hpp"
#include "support/times.hpp"

using namespace test;

TEST_CASE_FIXTURE(virtual_context,
                  "3.1 fixed_delay: the first tick comes at start + initial_delay, not sooner") {
  times at;
  async_timer::timer t{io, 1s, [&] { at.push_back(elapsed()); }, {.initial_delay = 3s}};
  clock.advance(10s);
  t.start();
  clock.advance(3s - 1ns);
  CHECK(at == times{});
  clock.advance(1ns);
  CHECK(at == times{13s});
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "3.1 fixed_delay: with no initial_delay the first tick sleeps not at all, and is "
                  "never inside start()") {
  times at;
  async_timer::timer t{io, 1s, [&] { at.push_back(elapsed()); }};
  SUBCASE("started from outside") {
    t.start();
    CHECK(at == times{});
  }
  SUBCASE("started from a handler on the timer's own executor") {
    std::size_t ticks_in_start = 99;
    net::post(io, [&] {
      t.start();
      ticks_in_start = at.size();
    });
    clock.run_until_idle();
    CHECK(ticks_in_start == 0);
  }
  clock.run_until_idle();
  CHECK(at == times{0s});
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(sleeping_context,
                  "3.2 fixed_delay: a tick starts one delay after the last one has finished; never "
                  "a skip, never a warning") {
  const log_recorder log;
  times at;
  std::chrono::nanoseconds takes = 400ms;
  async_timer::timer t{io, 1s, [&]() -> net::awaitable<void> {
                         at.push_back(elapsed());
                         auto work = pause(takes);
                         co_await std::move(work);
                       }};
  t.start();
  clock.advance(3s);
  CHECK(at == times{0s, 1400ms, 2800ms});
  takes = 10s;
  clock.advance(30s);
  CHECK(at == times{0s, 1400ms, 2800ms, 4200ms, 15200ms, 26200ms});
  CHECK(t.hit_count() == 5);
  CHECK(log.records().empty());
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "3.2, 3.3 fixed_delay: the delay is read when the sleep begins, and changes "
                  "nothing in the sleep that goes on") {
  times at;
  async_timer::timer t{io, 4s, [&] { at.push_back(elapsed()); }};
  t.start();
  clock.advance(1s);
  SUBCASE("shrinking") {
    t.set_delay(1s);
    CHECK(t.delay() == 1s);
    clock.advance(5s);
    CHECK(at == times{0s, 4s, 5s, 6s});
  }
  SUBCASE("growing") {
    t.set_delay(10s);
    clock.advance(20s);
    CHECK(at == times{0s, 4s, 14s});
  }
  SUBCASE("back and forth within one sleep: only the last value counts") {
    t.set_delay(10s);
    clock.advance(1s);
    t.set_delay(2s);
    clock.advance(4s);
    CHECK(at == times{0s, 4s, 6s});
  }
  SUBCASE("a rejected value changes nothing") {
    CHECK_THROWS_AS(t.set_delay(-1s), std::invalid_argument);
    clock.advance(7s);
    CHECK(at == times{0s, 4s, 8s});
  }
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(sleeping_context,
                  "3.3 fixed_delay: a delay set while the target is in flight is used at once for "
                  "the sleep that follows") {
  times at;
  async_timer::timer t{io, 4s, [&]() -> net::awaitable<void> {
                         at.push_back(elapsed());
                         auto work = pause(1s);
                         co_await std::move(work);
                       }};
  t.start();
  clock.advance(500ms);
  t.set_delay(2s);
  clock.advance(3s);
  CHECK(at == times{0s, 3s});
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "3.4 fixed_delay: with delay 0 other work gets its turn between any two ticks") {
  std::string trace;
  async_timer::timer t{io, 0s, [&] {
                         trace += 't';
                         net::post(io, [&] { trace += 'h'; });
                         if (trace.size() >= 9) throw async_timer::end_of_ticks{};
                       }};
  t.start();
  clock.run_until_idle();
  CHECK(trace == "ththththth");
  CHECK(t.hit_count() == 4);
  CHECK(elapsed() == 0s);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "3.4 fixed_delay: two timers with delay 0 take turns") {
  std::string trace;
  const auto tick = [&](char who) {
    trace += who;
    if (trace.size() >= 7) throw async_timer::end_of_ticks{};
  };
  async_timer::timer a{io, 0s, [&] { tick('a'); }};
  async_timer::timer b{io, 0s, [&] { tick('b'); }};
  a.start();
  b.start();
  clock.run_until_idle();
  CHECK(trace == "abababab");
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "3.5, D12 fixed_delay: a stop between two ticks without sleep is seen before the "
                  "next tick") {
  int stops = 0;
  async_timer::timer<int>* self = nullptr;
  int count = 0;
  async_timer::timer t{io,
                       0s,
                       [&] {
                         if (++count == 3) net::post(io, [&] { self->request_stop(); });
                         return count;
                       },
                       {.on_stop = [&] { ++stops; }}};
  self = &t;
  t.start();
  clock.run_until_idle();
  CHECK(count == 3);
  CHECK(t.hit_count() == 3);
  CHECK(stops == 1);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "3.5, 14.14 fixed_delay: a trigger between two ticks without sleep gets the next "
                  "tick, and nothing is left over for later") {
  outcome<int> triggered;
  async_timer::timer<int>* self = nullptr;
  times at;
  async_timer::timer t{io, 0s, [&] {
                         at.push_back(elapsed());
                         if (at.size() == 3) {
                           net::post(io, [&] {
                             self->trigger(into(triggered));
                             self->set_delay(10s);
                           });
                         }
                         return static_cast<int>(at.size());
                       }};
  self = &t;
  t.start();
  clock.run_until_idle();
  CHECK(at.size() == 4);
  CHECK(triggered.completions == 1);
  CHECK(triggered.kind() == "");
  CHECK(triggered.value == 4);
  clock.advance(10s);
  CHECK(at == times{0s, 0s, 0s, 0s, 10s});
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "3.6 fixed_delay: a stop during a sleep ends the run at once, without a tick") {
  int count = 0;
  times stopped;
  async_timer::timer t{
      io, 10s, [&] { ++count; }, {.on_stop = [&] { stopped.push_back(elapsed()); }}};
  t.start();
  clock.advance(4s);
  REQUIRE(count == 1);
  t.request_stop();
  CHECK(out_of_work());
  CHECK(stopped == times{4s});
  clock.advance(100s);
  CHECK(count == 1);
  CHECK(stopped.size() == 1);
}

TEST_CASE_FIXTURE(virtual_context,
                  "3.7 fixed_delay: a stop before the first tick gives no tick, however often") {
  int count = 0;
  int stops = 0;
  async_timer::timer t{io, 0s, [&] { ++count; }, {.on_stop = [&] { ++stops; }}};
  for (int runs = 1; runs <= 3; ++runs) {
    t.start();
    t.request_stop();
    CHECK(out_of_work());
    clock.advance(10s);
    CHECK(stops == runs);
  }
  CHECK(count == 0);
  CHECK(t.hit_count() == 0);
}

TEST_CASE_FIXTURE(virtual_context, "3.8 fixed_delay: to stop is idempotent") {
  int stops = 0;
  async_timer::timer t{io, 1s, [] {}, {.on_stop = [&] { ++stops; }}};
  t.start();
  clock.advance(1500ms);
  t.request_stop();
  t.request_stop();
  clock.run_until_idle();
  t.request_stop();
  no_value cancelled;
  t.cancel(into(cancelled));
  CHECK(out_of_work());
  CHECK(cancelled.completions == 1);
  CHECK(cancelled.kind() == "");
  CHECK(stops == 1);
  CHECK(t.hit_count() == 2);
}

TEST_CASE_FIXTURE(virtual_context,
                  "3.9 fixed_delay: a stop beats a trigger that has cut the sleep already") {
  int count = 0;
  async_timer::timer t{io, 10s, [&] { return ++count; }};
  t.start();
  clock.advance(1s);
  outcome<int> triggered;
  t.trigger(into(triggered));
  t.request_stop();
  CHECK(out_of_work());
  CHECK(count == 1);
  CHECK(triggered.completions == 1);
  CHECK(triggered.kind() == "stopped");
}

TEST_CASE_FIXTURE(virtual_context, "3.9 fixed_delay: a stop beats a tick that is due already") {
  int count = 0;
  async_timer::timer<int>* other = nullptr;
  // Both are due at the same instants; the one that comes first stops the other.
  async_timer::timer a{io, 5s, [&] {
                         if (elapsed() == 5s) other->request_stop();
                       }};
  async_timer::timer b{io, 5s, [&] { return ++count; }};
  other = &b;
  a.start();
  b.start();
  clock.advance(5s);
  CHECK(count == 1);
  CHECK_FALSE(b.is_running());
  a.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "3.9 fixed_delay: a trigger beats the timeout of the sleep: the rest of it is "
                  "dropped, and the next one is whole") {
  times at;
  async_timer::timer t{io, 10s, [&] {
                         at.push_back(elapsed());
                         return 0;
                       }};
  t.start();
  clock.advance(9s);
  outcome<int> triggered;
  t.trigger(into(triggered));
  clock.advance(11s);
  CHECK(at == times{0s, 9s, 19s});
  CHECK(triggered.completions == 1);
  t.request_stop();
  CHECK(out_of_work());
}
