// Contract sections 5 and 6: initial_delay and jitter, through the timer in virtual time.
#include <doctest/doctest.h>

#include <algorithm>
#include <async_timer/core/random.hpp>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "support/fixture.hpp"
#include "support/sleeping_context.hpp"
#include "support/times.hpp"

using namespace test;

namespace {

using async_timer::mode;

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

/// Gives the correlation of each value with the next one: about 0 for independent draws.
double serial_correlation(const std::vector<double>& values) {
  const double middle = mean(values);
  double same = 0;
  double next = 0;
  for (std::size_t i = 0; i + 1 < values.size(); ++i) {
    same += (values[i] - middle) * (values[i] - middle);
    next += (values[i] - middle) * (values[i + 1] - middle);
  }
  return next / same;
}

/// Checks that values in [0, 1] are spread evenly: each tenth of the range has its share.
void check_uniform(const std::vector<double>& values) {
  std::vector<int> tenths(10);
  for (const double v : values) {
    REQUIRE(v >= 0);
    REQUIRE(v <= 1);
    ++tenths[std::min<std::size_t>(static_cast<std::size_t>(v * 10), 9)];
  }
  const double share = static_cast<double>(values.size()) / 10;
  for (const int n : tenths) CHECK(n == doctest::Approx(share).epsilon(0.15));
}

/// Gives when a timer with an instant target ticks, in a context of its own.
times ticks_of(std::uint64_t seed, async_timer::timer_options options, int ticks,
               async_timer::interval delay = 1s) {
  net::io_context io{1};
  async_timer::virtual_clock clock{io, seed};
  const auto begin = clock.now();
  times at;
  async_timer::timer t{io, delay, [&] { at.push_back(clock.now() - begin); }, std::move(options)};
  t.start();
  clock.run_until_idle();
  while (at.size() < static_cast<std::size_t>(ticks) && clock.advance_to_next()) {
  }
  t.request_stop();
  clock.run_until_idle();
  CHECK(io.stopped());
  return at;
}

/// Gives the seed of a virtual clock whose first timer with jitter draws exactly 0 first.
std::uint64_t seed_of_a_zero_draw() {
  // The generator's output is a bijection of its state, so it can be run backwards: the clock's
  // seed must give a timer's seed, from which the step leads to state 0, whose output is 0.
  constexpr std::uint64_t step = 0x9e3779b97f4a7c15u;
  const auto inverse = [](std::uint64_t odd) {
    std::uint64_t x = odd;
    for (int i = 0; i < 6; ++i) x *= 2 - odd * x;
    return x;
  };
  const auto unshift = [](std::uint64_t y, int bits) {
    std::uint64_t x = y;
    for (int known = bits; known < 64; known += bits) x = y ^ (x >> bits);
    return x;
  };
  std::uint64_t z = 0 - step;
  z = unshift(z, 31) * inverse(0x94d049bb133111ebu);
  z = unshift(z, 27) * inverse(0xbf58476d1ce4e5b9u);
  return unshift(z, 30) - step;
}

}  // namespace

TEST_CASE_FIXTURE(virtual_context, "5.1 initial_delay: precedes the first tick of every run") {
  times at;
  async_timer::timer t{io, 1s, [&] { at.push_back(elapsed()); }, {.initial_delay = 5s}};
  for (int run = 0; run < 2; ++run) {
    t.start();
    clock.advance(7s);
    t.request_stop();
    clock.advance(3s);
  }
  CHECK(at == times{5s, 6s, 7s, 15s, 16s, 17s});
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "5.2 initial_delay: is not jittered") {
  for (const auto m : {mode::fixed_delay, mode::fixed_rate}) {
    const auto begin = elapsed();
    times at;
    async_timer::timer t{io,
                         1s,
                         [&] { at.push_back(elapsed() - begin); },
                         {.mode = m, .initial_delay = 5s, .jitter = 1}};
    for (int run = 0; run < 20; ++run) {
      at.clear();
      const auto started = elapsed() - begin;
      t.start();
      clock.advance(5s);
      CHECK(at == times{started + 5s});
      t.request_stop();
      clock.run_until_idle();
    }
  }
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "5.3 initial_delay: a stop or cancel in it ends the run with no tick and one "
                  "on_stop") {
  int count = 0;
  times stops;
  async_timer::timer t{io, 1s, [&] { ++count; }, {.initial_delay = 5s, .on_stop = [&] {
                                                    stops.push_back(elapsed());
                                                  }}};
  t.start();
  clock.advance(4s);
  no_value cancelled;
  SUBCASE("request_stop") { t.request_stop(); }
  SUBCASE("cancel") {
    t.cancel(into(cancelled));
    clock.run_until_idle();
    CHECK(cancelled.completions == 1);
    CHECK(cancelled.kind() == "");
  }
  CHECK(out_of_work());
  clock.advance(10s);
  CHECK(count == 0);
  CHECK(t.hit_count() == 0);
  CHECK(stops == times{4s});
}

TEST_CASE_FIXTURE(virtual_context,
                  "5.4, 4.9, 14.6 initial_delay: a trigger in it fires the first tick now, and the "
                  "schedule counts from there") {
  times at;
  for (const auto m : {mode::fixed_delay, mode::fixed_rate}) {
    at.clear();
    const auto begin = elapsed();
    async_timer::timer t{io,
                         1s,
                         [&] {
                           at.push_back(elapsed() - begin);
                           return static_cast<int>(at.size());
                         },
                         {.mode = m, .initial_delay = 5s}};
    t.start();
    clock.advance(2300ms);
    outcome<int> triggered;
    t.trigger(into(triggered));
    clock.run_until_idle();
    CHECK(triggered.completions == 1);
    CHECK(triggered.value == 1);
    clock.advance(2500ms);
    CHECK(at == times{2300ms, 3300ms, 4300ms});
    t.request_stop();
    clock.run_until_idle();
  }
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "5.5 initial_delay: the timer counts as running, and join waits for the first "
                  "tick") {
  async_timer::timer t{io, 1s, [] { return 7; }, {.initial_delay = 5s}};
  t.start();
  clock.advance(1s);
  CHECK(t.is_running());
  outcome<int> joined;
  t.join(into(joined));
  clock.advance(4s - 1ns);
  CHECK(t.is_running());
  CHECK_FALSE(joined.done());
  clock.advance(1ns);
  CHECK(joined.completions == 1);
  CHECK(joined.value == 7);
  CHECK(t.hit_count() == 1);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "5.6 initial_delay: a delay set in it is used for the sleep after the first "
                  "tick") {
  for (const auto m : {mode::fixed_delay, mode::fixed_rate}) {
    times at;
    const auto begin = elapsed();
    async_timer::timer t{
        io, 1s, [&] { at.push_back(elapsed() - begin); }, {.mode = m, .initial_delay = 5s}};
    t.start();
    clock.advance(2s);
    t.set_delay(20s);
    clock.advance(50s);
    CHECK(at == times{5s, 25s, 45s});
    t.request_stop();
    clock.run_until_idle();
  }
  CHECK(out_of_work());
}

TEST_CASE("6.1 jitter: each sleep of fixed_delay is scaled by a factor of its own in [1-j, 1+j]") {
  for (const double jitter : {0.1, 0.25, 1.0}) {
    CAPTURE(jitter);
    std::vector<double> draws;
    for (const auto sleep : gaps(ticks_of(3, {.jitter = jitter}, 4001)))
      draws.push_back((in_seconds(sleep) - (1 - jitter)) / (2 * jitter));
    REQUIRE(draws.size() == 4000);
    check_uniform(draws);
    CHECK(std::abs(serial_correlation(draws)) < 0.05);
  }
}

TEST_CASE_FIXTURE(sleeping_context,
                  "6.1, 3.2 jitter: in fixed_delay it is the sleep that is scaled, not the time "
                  "the target takes") {
  times begins;
  times ends;
  async_timer::timer t{io,
                       1s,
                       [&]() -> net::awaitable<void> {
                         begins.push_back(elapsed());
                         auto work = pause(10s);
                         co_await std::move(work);
                         ends.push_back(elapsed());
                       },
                       {.jitter = 0.5}};
  t.start();
  clock.advance(2000s);
  REQUIRE(ends.size() > 100);
  for (std::size_t i = 0; i < ends.size(); ++i) {
    REQUIRE(ends[i] - begins[i] == 10s);
    if (i + 1 == begins.size()) break;
    REQUIRE(begins[i + 1] - ends[i] >= 500ms);
    REQUIRE(begins[i + 1] - ends[i] <= 1500ms);
  }
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE("6.2, 6.7 jitter: with jitter 1 the smallest draw gives no sleep at all, not less") {
  const std::uint64_t seed = seed_of_a_zero_draw();
  async_timer::core::random_engine of_clock{seed};
  async_timer::core::random_engine of_timer{of_clock.next()};
  REQUIRE(of_timer.next_unit() == 0);

  const auto at = ticks_of(seed, {.jitter = 1}, 3);
  REQUIRE(at.size() >= 3);
  CHECK(at[0] == 0s);
  CHECK(at[1] == 0s);
  CHECK(at[2] > 0s);
}

TEST_CASE("6.7, 3.4 jitter: a sleep that jitter has eaten still lets other work have its turn") {
  net::io_context io{1};
  async_timer::virtual_clock clock{io, seed_of_a_zero_draw()};
  std::string trace;
  async_timer::timer t{io,
                       1s,
                       [&] {
                         trace += 't';
                         net::post(io, [&] { trace += 'h'; });
                       },
                       {.jitter = 1}};
  t.start();
  clock.run_until_idle();
  CHECK(trace == "thth");
}

TEST_CASE("6.7, D12 jitter: a stop during a sleep that jitter has eaten is seen before the tick") {
  net::io_context io{1};
  async_timer::virtual_clock clock{io, seed_of_a_zero_draw()};
  int count = 0;
  async_timer::timer<void>* self = nullptr;
  async_timer::timer t{io,
                       1s,
                       [&] {
                         ++count;
                         net::post(io, [&] { self->request_stop(); });
                       },
                       {.jitter = 1}};
  self = &t;
  t.start();
  clock.advance(10s);
  CHECK(count == 1);
}

TEST_CASE(
    "6.3, 6.4, D14 jitter: a tick of fixed_rate comes before its slot or on it, by a uniform "
    "draw of up to jitter * delay; early ticks do not add up") {
  const log_recorder log;
  for (const double jitter : {0.1, 0.5, 1.0}) {
    CAPTURE(jitter);
    const auto at =
        ticks_of(5, {.mode = mode::fixed_rate, .initial_delay = 2s, .jitter = jitter}, 4001);
    REQUIRE(at.size() == 4001);
    CHECK(at[0] == 2s);
    CHECK(std::is_sorted(at.begin(), at.end()));
    std::vector<double> draws;
    for (std::size_t n = 1; n < at.size(); ++n) {
      const auto slot = 2s + 1s * static_cast<std::int64_t>(n);
      REQUIRE(at[n] <= slot);
      draws.push_back(in_seconds(slot - at[n]) / jitter);
    }
    check_uniform(draws);
    CHECK(std::abs(serial_correlation(draws)) < 0.05);
  }
  CHECK(log.records().empty());
}

TEST_CASE_FIXTURE(sleeping_context,
                  "6.3, 6.4, D14 jitter: in fixed_rate a tick never begins before the last "
                  "one has finished, and never after its slot") {
  const log_recorder log;
  times begins;
  times ends;
  async_timer::timer t{io,
                       1s,
                       [&]() -> net::awaitable<void> {
                         begins.push_back(elapsed());
                         auto work = pause(800ms);
                         co_await std::move(work);
                         ends.push_back(elapsed());
                       },
                       {.mode = mode::fixed_rate, .jitter = 1}};
  t.start();
  clock.advance(1000s + 900ms);
  REQUIRE(begins.size() >= 1001);
  int back_to_back = 0;
  for (std::size_t n = 1; n <= 1000; ++n) {
    const auto slot = 1s * static_cast<std::int64_t>(n);
    REQUIRE(begins[n] >= ends[n - 1]);
    REQUIRE(begins[n] >= slot - 1s);
    REQUIRE(begins[n] <= slot);
    back_to_back += begins[n] == ends[n - 1] ? 1 : 0;
  }
  CHECK(back_to_back > 100);  // the case was there
  CHECK(log.records().empty());
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE(
    "4.10, 14.4, 6.4 jitter: a trigger that meets a tick due now, before its slot, doesn't move "
    "the grid") {
  struct trace {
    times begins;
    int early_and_back_to_back = -1;
  };
  // Triggers, from the handler of a join, right after the given tick; -1: never.
  const auto trace_with_trigger = [](int after_tick) {
    sleeping_context context;
    trace result;
    std::chrono::nanoseconds last_end{-1};
    async_timer::timer t{context.io,
                         1s,
                         [&]() -> net::awaitable<int> {
                           const auto begin = context.elapsed();
                           const auto tick = static_cast<int>(result.begins.size());
                           if (begin == last_end && result.early_and_back_to_back < 0)
                             result.early_and_back_to_back = tick;
                           result.begins.push_back(begin);
                           auto work = context.pause(800ms);
                           co_await std::move(work);
                           last_end = context.elapsed();
                           co_return tick;
                         },
                         {.mode = mode::fixed_rate, .jitter = 1}};
    outcome<int> triggered;
    t.start();
    if (after_tick >= 0) {
      t.wait({.hit_count = after_tick + 1},
             [&](std::exception_ptr, std::optional<int>) { t.trigger(into(triggered)); });
    }
    context.clock.advance(200s);
    CHECK(triggered.completions == (after_tick >= 0 ? 1 : 0));
    if (after_tick >= 0) CHECK(triggered.value == after_tick + 1);
    return result;
  };
  const auto undisturbed = trace_with_trigger(-1);
  REQUIRE(undisturbed.early_and_back_to_back > 0);
  const auto disturbed = trace_with_trigger(undisturbed.early_and_back_to_back - 1);
  CHECK(disturbed.begins == undisturbed.begins);
}

TEST_CASE_FIXTURE(virtual_context,
                  "6.3, D14 jitter: in fixed_rate a trigger moves the grid, and the draws count "
                  "from the new slots") {
  times at;
  async_timer::timer t{io,
                       1s,
                       [&] {
                         at.push_back(elapsed());
                         return 0;
                       },
                       {.mode = mode::fixed_rate, .jitter = 0.2}};
  t.start();
  clock.advance(100'300ms);
  const auto before = at.size();
  outcome<int> triggered;
  t.trigger(into(triggered));
  clock.run_until_idle();
  REQUIRE(at.size() == before + 1);
  CHECK(at.back() == 100'300ms);
  clock.advance(100s);
  REQUIRE(at.size() >= before + 100);
  for (std::size_t n = 1; n < 100; ++n) {
    const auto slot = 100'300ms + 1s * static_cast<std::int64_t>(n);
    REQUIRE(at[before + n] <= slot);
    REQUIRE(at[before + n] >= slot - 200ms);
  }
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE("6.5 jitter: without it a tick is on its slot to the nanosecond") {
  const auto at = ticks_of(1, {.mode = mode::fixed_rate}, 1001, 333'333'333ns);
  REQUIRE(at.size() == 1001);
  for (std::size_t n = 0; n < at.size(); ++n)
    REQUIRE(at[n] == std::chrono::nanoseconds(333'333'333) * static_cast<std::int64_t>(n));
}

TEST_CASE("6.6 jitter: a timer without jitter draws no random number") {
  const auto jittered = [](bool with_neighbour) {
    net::io_context io{1};
    async_timer::virtual_clock clock{io, 9};
    times at;
    async_timer::timer neighbour{io, 1s, [] {}, {.jitter = 0}};
    async_timer::timer t{
        io, 1s, [&] { at.push_back(clock.now().time_since_epoch()); }, {.jitter = 0.5}};
    if (with_neighbour) neighbour.start();
    t.start();
    clock.advance(50s);
    return at;
  };
  CHECK(jittered(true) == jittered(false));
}

TEST_CASE("6.6 jitter: a base of 0 stays 0 and draws no random number") {
  for (const auto m : {mode::fixed_delay, mode::fixed_rate}) {
    net::io_context io{1};
    async_timer::virtual_clock clock{io, 9};
    const auto begin = clock.now();
    times at;
    async_timer::timer<void>* self = nullptr;
    async_timer::timer t{io,
                         0s,
                         [&] {
                           at.push_back(clock.now() - begin);
                           if (at.size() == 100) self->set_delay(1s);
                         },
                         {.mode = m, .jitter = 0.5}};
    self = &t;
    t.start();
    clock.run_until_idle();
    CHECK(at == times(100, 0s));
    clock.advance(20s);
    // The sleeps that follow are those of a timer that has drawn nothing so far.
    const auto fresh = ticks_of(9, {.mode = m, .jitter = 0.5}, 20);
    REQUIRE(at.size() >= 110);
    CHECK(times(at.begin() + 99, at.begin() + 110) == times(fresh.begin(), fresh.begin() + 11));
  }
}

TEST_CASE(
    "6.1, 6.6 jitter: the same seed gives the same ticks, another seed others; two timers "
    "draw differently") {
  for (const auto m : {mode::fixed_delay, mode::fixed_rate}) {
    const auto first = ticks_of(21, {.mode = m, .jitter = 0.5}, 100);
    CHECK(first == ticks_of(21, {.mode = m, .jitter = 0.5}, 100));
    CHECK(first != ticks_of(22, {.mode = m, .jitter = 0.5}, 100));
  }
  net::io_context io{1};
  async_timer::virtual_clock clock{io};
  const auto begin = clock.now();
  times a;
  times b;
  async_timer::timer one{io, 1s, [&] { a.push_back(clock.now() - begin); }, {.jitter = 0.5}};
  async_timer::timer two{io, 1s, [&] { b.push_back(clock.now() - begin); }, {.jitter = 0.5}};
  one.start();
  two.start();
  clock.advance(20s);
  CHECK(a != b);
}

TEST_CASE_FIXTURE(virtual_context,
                  "14.12 jitter: has no say in when a triggered tick comes, only in the sleep "
                  "after it") {
  for (const auto m : {mode::fixed_delay, mode::fixed_rate}) {
    times at;
    async_timer::timer t{io,
                         10s,
                         [&] {
                           at.push_back(elapsed());
                           return 0;
                         },
                         {.mode = m, .jitter = 0.1}};
    t.start();
    clock.run_until_idle();
    for (int i = 0; i < 50; ++i) {
      clock.advance(3s);
      outcome<int> triggered;
      t.trigger(into(triggered));
      clock.run_until_idle();
      CHECK(triggered.completions == 1);
      CHECK(at.back() == elapsed());
      CHECK(at.size() == static_cast<std::size_t>(i) + 2);
    }
    const auto last = at.back();
    clock.advance(11s);
    REQUIRE(at.size() == 52);
    CHECK(at.back() - last >= 9s);
    CHECK(at.back() - last <= 11s);
    t.request_stop();
    clock.run_until_idle();
  }
  CHECK(out_of_work());
}
