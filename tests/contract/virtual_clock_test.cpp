// The virtual clock itself (settled question 14): the same code path, another time.
#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <limits>
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
using async_timer::virtual_clock;

/// Gives what several timers of all kinds do in a minute: a line for each tick.
std::string trace_of(std::uint64_t seed, std::chrono::nanoseconds stride) {
  const log_recorder warnings;  // the slow one falls behind
  net::io_context io{1};
  virtual_clock clock{io, seed};
  const auto begin = clock.now();
  std::string trace;
  const auto note = [&](const char* who) {
    trace += std::string(who) + ' ' + std::to_string((clock.now() - begin).count()) + '\n';
  };
  async_timer::timer plain{io, 1s, [&] { note("plain"); }};
  async_timer::timer jittered{io, 1s, [&] { note("jittered"); }, {.jitter = 0.5}};
  async_timer::timer rate{io,
                          700ms,
                          [&] { note("rate"); },
                          {.mode = mode::fixed_rate, .initial_delay = 100ms, .jitter = 1}};
  async_timer::timer slow{io,
                          900ms,
                          [&]() -> net::awaitable<void> {
                            note("slow");
                            co_await plain.wait({.hits = 1});
                            note("slow ends");
                          },
                          {.mode = mode::fixed_rate}};
  plain.start();
  jittered.start();
  rate.start();
  slow.start();
  for (std::chrono::nanoseconds done{0}; done < 1min; done += stride) clock.advance(stride);
  return trace;
}

}  // namespace

TEST_CASE_FIXTURE(virtual_context,
                  "virtual clock: advance runs all that becomes due, each at its own instant, in "
                  "order, and ends exactly at its goal") {
  std::vector<std::pair<char, std::chrono::nanoseconds>> ticks;
  async_timer::timer a{io, 3s, [&] { ticks.emplace_back('a', elapsed()); }, {.initial_delay = 3s}};
  async_timer::timer b{io, 2s, [&] { ticks.emplace_back('b', elapsed()); }, {.initial_delay = 2s}};
  a.start();
  b.start();
  clock.advance(5s);
  CHECK(elapsed() == 5s);
  CHECK(ticks == decltype(ticks){{'b', 2s}, {'a', 3s}, {'b', 4s}});
  clock.advance(999ms);
  CHECK(elapsed() == 5999ms);
  CHECK(ticks.size() == 3);
  clock.advance(1ms);
  CHECK(ticks.size() == 5);  // both at 6 s
  a.request_stop();
  b.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "virtual clock: what is due at the goal runs, with all that follows from it at "
                  "that instant") {
  std::string trace;
  async_timer::timer t{io, 1s, [&] {
                         trace += 't';
                         net::post(io, [&] {
                           trace += 'h';
                           net::post(io, [&] { trace += 'g'; });
                         });
                       }};
  t.start();
  clock.advance(2s);
  CHECK(trace == "thgthgthg");
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "virtual clock: advance sees timers that start on its way") {
  times at;
  async_timer::timer late{io, 1s, [&] { at.push_back(elapsed()); }, {.initial_delay = 500ms}};
  async_timer::timer starter{io, 10s, [&] { late.start(); }, {.initial_delay = 2s}};
  starter.start();
  clock.advance(5s);
  CHECK(at == times{2500ms, 3500ms, 4500ms});
  starter.request_stop();
  late.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "virtual clock: advance by 0 runs what is ready; a negative or endless duration "
                  "is an argument error") {
  bool ran = false;
  net::post(io, [&] { ran = true; });
  clock.advance(0s);
  CHECK(ran);
  CHECK(elapsed() == 0s);
  const double infinity = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_AS(clock.advance(-1ns), std::invalid_argument);
  CHECK_THROWS_AS(clock.advance(std::chrono::duration<double>(infinity)), std::invalid_argument);
  CHECK_THROWS_AS(clock.advance(std::chrono::duration<double>(nan)), std::invalid_argument);
  CHECK(elapsed() == 0s);
  clock.advance(std::chrono::duration<double>(0.25));
  CHECK(elapsed() == 250ms);
}

TEST_CASE_FIXTURE(virtual_context, "D25 virtual clock: the end of time is reached, not passed") {
  const auto ever = std::chrono::nanoseconds::max();
  times at;
  async_timer::timer t{io, ever, [&] { at.push_back(elapsed()); }};
  t.start();
  clock.advance(24h * 365 * 200);
  CHECK(at == times{0s});
  CHECK(elapsed() == 24h * 365 * 200);
  clock.advance(ever);
  CHECK(at == times{0s});
  t.request_stop();
  CHECK(out_of_work());
  clock.advance(ever);
  CHECK(clock.now() == virtual_clock::time_point::max());
  clock.advance(1s);
  CHECK(clock.now() == virtual_clock::time_point::max());
}

TEST_CASE_FIXTURE(virtual_context,
                  "virtual clock: advance_to_next moves to the next instant at which something is "
                  "due, and says whether there was one") {
  times at;
  async_timer::timer t{io, 1s, [&] { at.push_back(elapsed()); }, {.initial_delay = 3s}};
  CHECK_FALSE(clock.advance_to_next());
  CHECK(elapsed() == 0s);
  t.start();
  CHECK(clock.advance_to_next());
  CHECK(elapsed() == 3s);
  CHECK(at == times{3s});
  CHECK(clock.advance_to_next());
  CHECK(at == times{3s, 4s});
  t.request_stop();
  CHECK_FALSE(clock.advance_to_next());
  CHECK(elapsed() == 4s);
  CHECK_FALSE(t.is_running());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "virtual clock: advance_to_next first runs what is ready now, which may move "
                  "the next instant") {
  times at;
  async_timer::timer far{io, 1h, [&] { at.push_back(elapsed()); }, {.initial_delay = 1h}};
  async_timer::timer near{io, 1h, [&] { at.push_back(elapsed()); }, {.initial_delay = 2s}};
  far.start();
  net::post(io, [&] { near.start(); });
  CHECK(clock.advance_to_next());
  CHECK(at == times{2s});
  far.request_stop();
  near.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "virtual clock: advance_to_next takes all that is due at one instant together") {
  int ticks = 0;
  async_timer::timer a{io, 1s, [&] { ++ticks; }, {.initial_delay = 1s}};
  async_timer::timer b{io, 1s, [&] { ++ticks; }, {.initial_delay = 1s}};
  async_timer::timer c{io, 1s, [&] { ++ticks; }, {.initial_delay = 1s + 1ns}};
  for (auto* t : {&a, &b, &c}) t->start();
  CHECK(clock.advance_to_next());
  CHECK(ticks == 2);
  CHECK(clock.advance_to_next());
  CHECK(ticks == 3);
  CHECK(elapsed() == 1s + 1ns);
  for (auto* t : {&a, &b, &c}) t->request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "virtual clock: run_until_idle runs what is ready and doesn't move time") {
  int ticks = 0;
  async_timer::timer t{io, 1s, [&] { ++ticks; }};
  t.start();
  for (int i = 0; i < 3; ++i) clock.run_until_idle();
  CHECK(ticks == 1);
  CHECK(elapsed() == 0s);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "virtual clock: moves nothing by itself, whatever real time does, and running "
                  "the context directly moves it neither") {
  int ticks = 0;
  async_timer::timer t{io, 1ns, [&] { ++ticks; }};
  t.start();
  clock.run_until_idle();
  CHECK(ticks == 1);
  for (int i = 0; i < 10'000; ++i) {
    io.restart();
    io.poll();
  }
  CHECK(ticks == 1);
  CHECK(elapsed() == 0s);
  clock.advance(1ns);
  CHECK(ticks == 2);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "virtual clock: the time seen inside targets is the due time") {
  async_timer::timer t{io, 1s, [&] { return clock.now(); }};
  t.start();
  clock.advance(2500ms);
  REQUIRE(t.last_result());
  CHECK(*t.last_result() == clock.now() - 500ms);
  CHECK(t.last_tick_at() == *t.last_result());
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "virtual clock: timeouts of waits are in virtual time") {
  async_timer::timer t{io, 1h, [] { return 1; }, {.initial_delay = 1h}};
  t.start();
  outcome<std::optional<int>> counted;
  t.wait({.hits = 1, .timeout = 10min}, into(counted));
  clock.advance(10min - 1ns);
  CHECK_FALSE(counted.done());
  clock.advance(1ns);
  CHECK(counted.completions == 1);
  CHECK(counted.kind() == "timeout");
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE("virtual clock: to install it late is an error that says why") {
  net::io_context io{1};
  std::string message;
  const auto install = [&] {
    try {
      const virtual_clock clock{io};
    } catch (const std::logic_error& e) {
      message = e.what();
    }
  };
  SUBCASE("after a timer has started") {
    async_timer::timer t{io, 1h, [] {}, {.initial_delay = 1h}};
    t.start();
    install();
    t.request_stop();
    io.run();
  }
  SUBCASE("after a timer has come and gone") {
    {
      async_timer::timer t{io, 1h, [] {}, {.initial_delay = 1h, .start = true}};
    }
    io.run();
    install();
  }
  SUBCASE("a second one") {
    const virtual_clock first{io};
    install();
  }
  SUBCASE("a second one when the first has gone: the context keeps virtual time") {
    { const virtual_clock first{io}; }
    install();
  }
  CHECK(message.find("before the context's first timer") != std::string::npos);
}

TEST_CASE("virtual clock: timers may be made before it, so long as none was started") {
  net::io_context io{1};
  int ticks = 0;
  async_timer::timer t{io, 1h, [&] { ++ticks; }};
  virtual_clock clock{io};
  t.start();
  clock.advance(2h);
  CHECK(ticks == 3);
}

TEST_CASE("virtual clock: each context has its own") {
  net::io_context one{1};
  net::io_context two{1};
  virtual_clock clock_one{one};
  virtual_clock clock_two{two};
  int ticks_one = 0;
  int ticks_two = 0;
  async_timer::timer a{one, 1s, [&] { ++ticks_one; }};
  async_timer::timer b{two, 1s, [&] { ++ticks_two; }};
  a.start();
  b.start();
  const auto begin_two = clock_two.now();
  clock_one.advance(5s);
  CHECK(ticks_one == 6);
  CHECK(ticks_two == 0);
  CHECK(clock_two.now() == begin_two);
  clock_two.advance(1s);
  CHECK(ticks_two == 2);
}

TEST_CASE_FIXTURE(virtual_context, "virtual clock: timers on a strand of the context follow it") {
  times at;
  async_timer::timer t{net::make_strand(io), 1s, [&] { at.push_back(elapsed()); }};
  t.start();
  clock.advance(2s);
  CHECK(at == times{0s, 1s, 2s});
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "virtual clock: what a handler throws comes out of it, and it can be used on") {
  times at;
  async_timer::timer t{io, 1s, [&] {
                         at.push_back(elapsed());
                         if (elapsed() == 2s) {
                           net::post(io, [] { throw std::runtime_error("from a handler"); });
                         }
                       }};
  t.start();
  CHECK_THROWS_WITH(clock.advance(10s), "from a handler");
  CHECK(elapsed() == 2s);
  clock.advance(2s);
  CHECK(at == times{0s, 1s, 2s, 3s, 4s});
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE("virtual clock: the same seed gives the same trace, twice; another seed another one") {
  const auto trace = trace_of(1, 1min);
  CHECK(trace.size() > 1000);
  CHECK(trace == trace_of(1, 1min));
  CHECK(trace != trace_of(2, 1min));
}

TEST_CASE("virtual clock: the trace doesn't depend on the strides that time is moved in") {
  const auto leap = trace_of(1, 1min);
  for (const auto stride : times{10s, 1s, 250ms, 10ms}) CHECK(leap == trace_of(1, stride));
}

TEST_CASE_FIXTURE(virtual_context, "4.1, 3.2 virtual clock: a day of ticks") {
  std::int64_t rate_ticks = 0;
  std::int64_t off_grid = 0;
  async_timer::timer rate{io,
                          1s,
                          [&] { off_grid += elapsed() == 1s * rate_ticks++ ? 0 : 1; },
                          {.mode = mode::fixed_rate}};
  async_timer::timer delay{io, 1min, [] {}};
  async_timer::timer daily{io, 24h, [] {}, {.initial_delay = 24h}};
  rate.start();
  delay.start();
  daily.start();
  clock.advance(24h);
  CHECK(rate.hit_count() == 86'401);
  CHECK(delay.hit_count() == 1'441);
  CHECK(daily.hit_count() == 1);
  CHECK(off_grid == 0);
  CHECK(elapsed() == 24h);
  for (auto* t : {&rate, &delay, &daily}) t->request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "virtual clock: a thousand timers of coprime periods all tick when they should") {
  struct counted {
    std::optional<async_timer::timer<void>> timer;
    std::chrono::nanoseconds period{};
    std::int64_t ticks = 0;
    std::int64_t wrong = 0;
  };
  std::vector<counted> all(1000);
  for (std::size_t i = 0; i < all.size(); ++i) {
    auto& each = all[i];
    each.period = std::chrono::microseconds(10'007 + 7919 * static_cast<std::int64_t>(i));
    each.timer.emplace(io, each.period, [this, &each] {
      each.wrong += elapsed() == each.period * each.ticks++ ? 0 : 1;
    });
    each.timer->start();
  }
  clock.advance(60s);
  std::int64_t wrong = 0;
  for (auto& each : all) {
    wrong += each.wrong;
    wrong += each.ticks == 60s / each.period + 1 ? 0 : 1;
    each.timer->request_stop();
  }
  CHECK(wrong == 0);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "D25 virtual clock: a timer with the longest delay there is never ticks again") {
  int ticks = 0;
  async_timer::timer t{io, std::chrono::nanoseconds::max(), [&] { ++ticks; }};
  t.start();
  clock.advance(0s);
  CHECK(ticks == 1);
  CHECK_FALSE(clock.advance_to_next());
  CHECK(elapsed() == 0s);
  t.request_stop();
  CHECK(out_of_work());
}
