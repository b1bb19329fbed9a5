#include <doctest/doctest.h>

#include <algorithm>
#include <async_timer/core/pacemaker.hpp>
#include <async_timer/core/random.hpp>
#include <async_timer/core/schedule.hpp>
#include <chrono>
#include <cstdint>
#include <limits>
#include <vector>

#include "core/instants.hpp"

using namespace std::chrono_literals;
using namespace async_timer::core;
using async_timer::mode;
using test::at;

namespace {

// A pacemaker whose first tick was due and emitted at at(0).
pacemaker anchored(nanoseconds delay) {
  pacemaker p;
  p.start(at(0s), 0s);
  p.emit(mode::fixed_rate, at(0s), delay, emission::first);
  return p;
}

step rate(pacemaker& p, time_point now, nanoseconds delay) {
  return p.next(mode::fixed_rate, now, delay, 0, 0);
}

step pause(pacemaker& p, time_point now, nanoseconds delay) {
  return p.next(mode::fixed_delay, now, delay, 0, 0);
}

// What the scheduler does for a tick on time.
step tick(pacemaker& p, time_point emitted, nanoseconds delay, nanoseconds target_takes = 0ns) {
  p.emit(mode::fixed_rate, emitted, delay, emission::scheduled);
  return rate(p, emitted + target_takes, delay);
}

TEST_CASE("5.1, 4.14 pacemaker: the first tick of every run is due after the initial delay") {
  pacemaker p;
  CHECK(p.start(at(0s), 0s) == at(0s));
  CHECK(p.start(at(5s), 3s) == at(8s));
  p.emit(mode::fixed_rate, at(8s), 1s, emission::first);
  CHECK(rate(p, at(8s), 1s).due == at(9s));
  CHECK(p.start(at(20s), 3s) == at(23s));
  p.emit(mode::fixed_rate, at(23s), 1s, emission::first);
  CHECK(rate(p, at(23s), 1s) == step{.due = at(24s)});
}

TEST_CASE("5.2 pacemaker: the initial delay is not jittered") {
  pacemaker p;
  for (int i = 0; i < 10; ++i) CHECK(p.start(at(0s), 2s) == at(2s));
}

TEST_CASE("5.6, 3.3 pacemaker: a delay is in force from the next sleep on") {
  pacemaker p;
  p.start(at(0s), 3s);
  CHECK(pause(p, at(3s), 7s).due == at(10s));
  CHECK(pause(p, at(10s), 2s).due == at(12s));
}

TEST_CASE("3.2 pacemaker: fixed_delay counts from the end of the tick and never skips") {
  pacemaker p;
  p.start(at(0s), 0s);
  const struct {
    nanoseconds now, due;
  } table[] = {{0s, 1s}, {1500ms, 2500ms}, {100s, 101s}, {101s, 102s}};
  for (const auto& row : table) {
    p.emit(mode::fixed_delay, at(row.now), 1s, emission::scheduled);
    CHECK(pause(p, at(row.now), 1s) == step{.due = at(row.due)});
  }
}

TEST_CASE("3.4, 6.6, 6.7 pacemaker: a sleep of zero is due now, whether by delay or by jitter") {
  pacemaker p;
  p.start(at(0s), 0s);
  CHECK(pause(p, at(4s), 0s) == step{.due = at(4s)});
  CHECK(p.next(mode::fixed_delay, at(4s), 0s, 1, 0.9).due == at(4s));
  CHECK(p.next(mode::fixed_delay, at(4s), 10s, 1, 0).due == at(4s));
  CHECK(p.next(mode::fixed_delay, at(4s), nanoseconds::max(), 1, 0).due == at(4s));
}

TEST_CASE(
    "4.1, 4.2, 4.3 pacemaker: fixed_rate slots are one delay apart, whatever the target takes") {
  pacemaker p = anchored(1s);
  CHECK(rate(p, at(400ms), 1s) == step{.due = at(1s)});
  CHECK(tick(p, at(1s), 1s, 999ms).due == at(2s));
  for (int i = 2; i < 100'000; ++i) REQUIRE(tick(p, at(i * 1s + 30us), 1s).due == at((i + 1) * 1s));
}

TEST_CASE(
    "4.1 pacemaker: a first tick that comes late by less than a delay does not shift the grid") {
  const struct {
    nanoseconds emitted, second;
  } table[] = {{2s, 3s}, {2s + 50us, 3s}, {2999ms, 3s}, {3s, 4s}, {7200ms, 8200ms}};
  for (const auto& row : table) {
    pacemaker p;
    p.start(at(0s), 2s);
    p.emit(mode::fixed_rate, at(row.emitted), 1s, emission::first);
    CHECK(rate(p, at(row.emitted), 1s) == step{.due = at(row.second)});
  }
}

TEST_CASE(
    "4.4, 4.6, D13 pacemaker: a slot exactly at now fires now; earlier slots are skipped in one "
    "step") {
  const struct {
    nanoseconds now, due;
    std::int64_t skipped;
    nanoseconds behind;
  } table[] = {
      {0s, 1s, 0, 0s},
      {999ms, 1s, 0, 0s},
      {1s, 1s, 0, 0s},
      {1s + 1ns, 2s, 1, 1ns},
      {1500ms, 2s, 1, 500ms},
      {2s, 2s, 1, 1s},
      {2s + 1ns, 3s, 2, 1s + 1ns},
      {10500ms, 11s, 10, 9500ms},
      {11s, 11s, 10, 10s},
  };
  for (const auto& row : table) {
    CAPTURE(row.now.count());
    pacemaker p = anchored(1s);
    CHECK(rate(p, at(row.now), 1s) == step{at(row.due), row.skipped, row.behind});
  }
}

TEST_CASE("4.7 pacemaker: the grid is unchanged after a skip") {
  pacemaker p = anchored(1s);
  CHECK(rate(p, at(3700ms), 1s).due == at(4s));
  CHECK(tick(p, at(4s), 1s).due == at(5s));
}

TEST_CASE("4.7, 4.12 pacemaker: a tick emitted several slots late keeps its slot") {
  pacemaker p = anchored(1s);
  CHECK(rate(p, at(0s), 1s).due == at(1s));
  CHECK(tick(p, at(3500ms), 1s) == step{at(4s), 2, 1500ms});
}

TEST_CASE("4.8, D1 pacemaker: an hour of stall at 1 us is skipped by one division") {
  pacemaker p = anchored(1us);
  CHECK(rate(p, at(1h + 300ns), 1us) == step{at(1h + 1us), 3'600'000'000, 1h - 1us + 300ns});
}

TEST_CASE("4.8, D1 pacemaker: fixed_rate with delay 0 ticks now, skips nothing, keeps no grid") {
  pacemaker p = anchored(0s);
  CHECK(rate(p, at(0s), 0s) == step{.due = at(0s)});
  CHECK(rate(p, at(1h), 0s) == step{.due = at(1h)});
  p.emit(mode::fixed_rate, at(1h), 1s, emission::scheduled);
  CHECK(rate(p, at(1h), 1s) == step{.due = at(1h + 1s)});
}

TEST_CASE("4.9, 5.4 pacemaker: a trigger that cuts the sleep moves the grid to that moment") {
  pacemaker p = anchored(1s);
  CHECK(rate(p, at(0s), 1s).due == at(1s));
  p.emit(mode::fixed_rate, at(300ms), 1s, emission::cut_short);
  CHECK(rate(p, at(350ms), 1s) == step{.due = at(1300ms)});
  CHECK(tick(p, at(1300ms), 1s).due == at(2300ms));

  pacemaker first;
  first.start(at(0s), 60s);
  first.emit(mode::fixed_rate, at(200ms), 1s, emission::cut_short);
  CHECK(rate(first, at(200ms), 1s).due == at(1200ms));
}

TEST_CASE("4.10 pacemaker: a trigger coalesced into a tick in flight leaves the grid alone") {
  pacemaker p = anchored(1s);
  CHECK(tick(p, at(0s), 1s, 500ms).due == at(1s));
  p.emit(mode::fixed_rate, at(1s), 1s, emission::scheduled);
  CHECK(rate(p, at(1700ms), 1s).due == at(2s));
}

TEST_CASE("4.11, D2 pacemaker: a changed delay counts from the previous slot") {
  SUBCASE("shrinking does not report skipped slots of the past") {
    pacemaker p = anchored(200ms);
    for (int i = 0; i < 4; ++i) CHECK(tick(p, at(i * 200ms), 200ms).due == at((i + 1) * 200ms));
    CHECK(tick(p, at(800ms), 50ms) == step{.due = at(850ms)});
    CHECK(tick(p, at(850ms), 50ms) == step{.due = at(900ms)});
  }
  SUBCASE("growing does not wait for n new delays") {
    pacemaker p = anchored(50ms);
    for (int i = 0; i < 5; ++i) CHECK(tick(p, at(i * 50ms), 50ms).due == at((i + 1) * 50ms));
    CHECK(tick(p, at(250ms), 200ms) == step{.due = at(450ms)});
  }
  SUBCASE("what is past with the new delay is skipped by the new delay only") {
    pacemaker p = anchored(1s);
    CHECK(tick(p, at(0s), 100ms, 950ms) == step{at(1s), 9, 850ms});
  }
  SUBCASE("after a trigger it counts from the trigger") {
    pacemaker p = anchored(1s);
    p.emit(mode::fixed_rate, at(500ms), 1s, emission::cut_short);
    CHECK(rate(p, at(500ms), 3s).due == at(3500ms));
  }
}

TEST_CASE("4.12 pacemaker: waking a hair early does not tick the same slot twice") {
  pacemaker p = anchored(1s);
  CHECK(rate(p, at(0s), 1s).due == at(1s));
  CHECK(tick(p, at(1s - 20us), 1s).due == at(2s));
}

TEST_CASE("6.1, 6.2 pacemaker: fixed_delay jitter scales the sleep by a factor in [1-j, 1+j]") {
  const struct {
    double jitter, draw;
    nanoseconds wait;
  } table[] = {{0.1, 0, 9s},  {0.1, 0.5, 10s}, {0.1, 0.75, 10500ms}, {1, 0.25, 5s},
               {1, 0.5, 10s}, {0.5, 0, 5s},    {0, 0.9, 10s}};
  for (const auto& row : table) {
    pacemaker p;
    p.start(at(0s), 0s);
    const step s = p.next(mode::fixed_delay, at(0s), 10s, row.jitter, row.draw);
    CHECK(std::chrono::abs(s.due - at(row.wait)) <= 1us);
  }
}

TEST_CASE("6.6 pacemaker: without jitter or delay no random number is needed") {
  CHECK_FALSE(pacemaker::needs_draw(0, 1s));
  CHECK_FALSE(pacemaker::needs_draw(0.5, 0s));
  CHECK(pacemaker::needs_draw(0.5, 1s));
  CHECK(pacemaker::needs_draw(0.5, 1ns));
}

TEST_CASE("6.5 pacemaker: without jitter a tick is due on its slot, to the nanosecond") {
  pacemaker p = anchored(333'333'333ns);
  for (int i = 1; i < 1000; ++i)
    REQUIRE(tick(p, at((i - 1) * 333'333'333ns), 333'333'333ns).due == at(i * 333'333'333ns));
}

TEST_CASE("6.3, 6.4, D14, rule 2 pacemaker: fixed_rate jitter is early only, by at most j*delay") {
  const struct {
    double jitter, draw;
    nanoseconds now, due;
  } table[] = {{0.2, 0, 0s, 10s},     {0.2, 0.5, 0s, 9s}, {0.2, 0.999999, 0s, 8s},
               {1, 0.75, 0s, 2500ms}, {1, 0.75, 4s, 4s},  {1, 0.75, 10s, 10s}};
  for (const auto& row : table) {
    pacemaker p = anchored(10s);
    const step s = p.next(mode::fixed_rate, at(row.now), 10s, row.jitter, row.draw);
    CHECK(std::chrono::abs(s.due - at(row.due)) <= 10us);
    CHECK(s.skipped == 0);
  }
}

TEST_CASE("6.4, D14 pacemaker: early draws do not compound, the grid does not drift") {
  for (const double jitter : {0.1, 0.5, 1.0}) {
    random_engine random{7};
    pacemaker p = anchored(10s);
    time_point now = at(0s);
    double sum = 0;
    constexpr int ticks = 20'000;
    for (int i = 1; i <= ticks; ++i) {
      const step s = p.next(mode::fixed_rate, now, 10s, jitter, random.next_unit());
      REQUIRE(s.skipped == 0);
      REQUIRE(s.due <= at(i * 10s));
      REQUIRE(s.due >=
              std::max(now, at(i * 10s) - std::chrono::duration_cast<nanoseconds>(10s * jitter)));
      sum += std::chrono::duration<double>(at(i * 10s) - s.due).count();
      now = s.due;
      p.emit(mode::fixed_rate, now, 10s, emission::scheduled);
    }
    CHECK(sum / ticks == doctest::Approx(5 * jitter).epsilon(0.03));
  }
}

TEST_CASE("D25 pacemaker: nothing overflows") {
  const nanoseconds huge = nanoseconds::max();
  pacemaker p;
  CHECK(p.start(at(0s), huge) == time_point::max());
  CHECK(pause(p, at(0s), huge).due == time_point::max());
  CHECK(p.next(mode::fixed_delay, at(0s), huge, 1, 0.99).due == time_point::max());
  CHECK(p.next(mode::fixed_delay, time_point::min(), huge, 1, 0.99).due >= time_point{-1us});
  p = anchored(huge);
  CHECK(rate(p, at(0s), huge) == step{.due = time_point::max()});
  CHECK(p.next(mode::fixed_rate, at(0s), huge, 1, 0.999).due >= at(0s));
  p = anchored(huge);
  CHECK(rate(p, time_point::max(), huge - 1000s) == step{.due = time_point::max()});
  p.start(time_point::min(), 0s);
  CHECK(rate(p, time_point::max(), 1ns) ==
        step{time_point::max(), std::numeric_limits<std::int64_t>::max(), nanoseconds::max()});
}

TEST_CASE("4.4 pacemaker: agrees with a loop over the slots") {
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    INFO("seed " << seed);
    random_engine random{seed};
    pacemaker p = anchored(1ns);
    std::int64_t slot = 0, now = 0;
    for (int i = 0; i < 20'000; ++i) {
      const auto delay = static_cast<std::int64_t>(random.next() % 50 + 1);
      now += static_cast<std::int64_t>(random.next() % 200);
      std::int64_t skipped = 0;
      slot += delay;
      const std::int64_t first = slot;
      for (; slot < now; slot += delay) ++skipped;
      const step s = rate(p, at(nanoseconds{now}), nanoseconds{delay});
      REQUIRE(s == step{at(nanoseconds{slot}), skipped, nanoseconds{skipped ? now - first : 0}});
      now = slot;
      p.emit(mode::fixed_rate, at(nanoseconds{now}), nanoseconds{delay}, emission::scheduled);
    }
  }
}

TEST_CASE(
    "6.1 random: draws are uniform in [0, 1), repeat with the seed and differ between seeds") {
  random_engine a{42}, b{42}, c{43};
  double sum = 0;
  std::vector<int> tenths(10);
  for (int i = 0; i < 100'000; ++i) {
    const double x = a.next_unit();
    REQUIRE(x >= 0);
    REQUIRE(x < 1);
    REQUIRE(x == b.next_unit());
    sum += x;
    ++tenths[static_cast<std::size_t>(x * 10)];
  }
  CHECK(sum / 100'000 == doctest::Approx(0.5).epsilon(0.01));
  for (const int n : tenths) CHECK(n == doctest::Approx(10'000).epsilon(0.05));
  CHECK(a.next() != c.next());
  static_assert(sizeof(random_engine) == 8);
}

struct every_full_second {
  std::optional<time_point> next(time_point after) {
    return std::chrono::floor<std::chrono::seconds>(after) + 1s;
  }
};
static_assert(schedule<every_full_second>);
static_assert(!schedule<int>);

}  // namespace
