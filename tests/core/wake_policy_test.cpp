#include <doctest/doctest.h>

#include <algorithm>
#include <async_timer/core/delay_histogram.hpp>
#include <async_timer/core/random.hpp>
#include <async_timer/core/wake_policy.hpp>
#include <chrono>
#include <optional>
#include <vector>

#include "core/instants.hpp"

using namespace std::chrono_literals;
using namespace async_timer::core;
using test::at;

namespace {

struct outcome {
  std::size_t wake_ups = 0;
  nanoseconds p50{}, p99{};
};

// Drives the policy over sorted due times, each wake-up coming `latency` after it was armed.
outcome drive(const std::vector<nanoseconds>& dues, std::optional<nanoseconds> finest,
              nanoseconds latency) {
  wake_policy policy;
  outcome result;
  std::vector<nanoseconds> late;
  time_point now = at(0s);
  for (std::size_t i = 0; i < dues.size();) {
    const time_point armed = policy.arm_at(at(dues[i]), now, finest);
    REQUIRE(armed >= at(dues[i]));
    REQUIRE(armed <= std::max(now, at(dues[i])) + wake_policy::spacing(finest));
    now = std::max(now, armed) + latency;
    policy.woke(now, finest);
    ++result.wake_ups;
    for (; i < dues.size() && at(dues[i]) <= now; ++i) late.push_back(now - at(dues[i]));
  }
  std::sort(late.begin(), late.end());
  result.p50 = late[late.size() / 2];
  result.p99 = late[late.size() * 99 / 100];
  return result;
}

std::vector<nanoseconds> random_dues(double per_second, nanoseconds span) {
  random_engine random{11};
  std::vector<nanoseconds> dues(
      static_cast<std::size_t>(per_second * std::chrono::duration<double>(span).count()));
  for (nanoseconds& d : dues)
    d = nanoseconds{
        static_cast<std::int64_t>(random.next_unit() * static_cast<double>(span.count()))};
  std::sort(dues.begin(), dues.end());
  return dues;
}

TEST_CASE("P8 wake policy: sparse load is woken for exactly") {
  for (const double rate : {1.0, 100.0, 500.0, 800.0}) {
    const outcome o = drive(random_dues(rate, 20s), std::nullopt, 0ns);
    CAPTURE(rate);
    CHECK(o.p50 == 0ns);
    CHECK(o.p99 == 0ns);
  }
}

TEST_CASE(
    "P8, P12 wake policy: one timer at 1 ms is woken for exactly, however late wake-ups are") {
  std::vector<nanoseconds> dues;
  for (int i = 0; i < 20'000; ++i) dues.push_back(i * 1ms);
  const outcome o = drive(dues, 524'288ns, 45us);
  CHECK(o.wake_ups == dues.size());
  CHECK(o.p99 == 45us);
}

TEST_CASE("P8 wake policy: dense load is woken for a thousand times a second") {
  for (const double rate : {3'000.0, 100'000.0, 1'000'000.0}) {
    const outcome o = drive(random_dues(rate, 2s), std::nullopt, 45us);
    CAPTURE(rate);
    CHECK(o.wake_ups <= 2'000 + wake_policy::burst + 1);
    CHECK(o.p50 <= 650us);
    CHECK(o.p99 <= 1'500us);
  }
}

TEST_CASE("P8 wake policy: a fine delay narrows the spacing to an eighth of it") {
  CHECK(wake_policy::spacing(std::nullopt) == 1ms);
  CHECK(wake_policy::spacing(1h) == 1ms);
  CHECK(wake_policy::spacing(8ms) == 1ms);
  CHECK(wake_policy::spacing(800us) == 100us);
  CHECK(wake_policy::spacing(1ns) == 0ns);
  const outcome o = drive(random_dues(200'000, 1s), 800us, 0ns);
  CHECK(o.wake_ups <= 10'000 + wake_policy::burst + 1);
  CHECK(o.p99 <= 100us);
}

TEST_CASE("wake policy: a burst is exact, then wake-ups are one spacing apart") {
  wake_policy policy;
  for (int i = 0; i < wake_policy::burst; ++i) {
    CHECK(policy.arm_at(at(1us), at(0s), std::nullopt) == at(1us));
    policy.woke(at(0s), std::nullopt);
  }
  CHECK(policy.arm_at(at(1us), at(0s), std::nullopt) == at(1ms));
  policy.woke(at(1ms), std::nullopt);
  CHECK(policy.arm_at(at(1ms), at(1ms), std::nullopt) == at(2ms));
  CHECK(policy.arm_at(at(5ms), at(1ms), std::nullopt) == at(5ms));
  CHECK(policy.arm_at(at(60s), at(60s), std::nullopt) == at(60s));
}

TEST_CASE("P8 wake policy: ticks closer than a sleep is worth are waited for asleep, too") {
  // A look at the wheel takes 300 ns, and each tick 100 ns: at none of these rates all the time.
  for (const double rate : {2'000'000.0, 3'000'000.0, 6'000'000.0}) {
    CAPTURE(rate);
    const auto dues = random_dues(rate, 500ms);
    wake_policy policy;
    std::size_t looks = 0;
    std::size_t sleeps = 0;
    time_point now = at(0s);
    for (std::size_t i = 0; i < dues.size();) {
      now += 300ns;
      ++looks;
      for (; i < dues.size() && at(dues[i]) <= now; ++i) now += 100ns;
      if (i == dues.size() || at(dues[i]) <= now) continue;
      const time_point armed = policy.arm_at(at(dues[i]), now, std::nullopt);
      if (policy.looks_again(armed, now, std::nullopt)) continue;
      now = armed;
      policy.woke(now, std::nullopt);
      ++sleeps;
    }
    CHECK(sleeps >= 300);
    CHECK(sleeps <= 500 + wake_policy::burst);
    CHECK(looks <= 20 * sleeps);
  }
}

TEST_CASE("wake policy: a sleep of a microsecond is not worth it, and another look is a wake-up") {
  wake_policy looks;
  wake_policy sleeps;
  for (int i = 0; i < wake_policy::burst; ++i) {
    CHECK(looks.looks_again(at(1us), at(0s), std::nullopt));
    CHECK_FALSE(sleeps.looks_again(at(1us + 1ns), at(0s), std::nullopt));
  }
  CHECK(looks.arm_at(at(1us), at(0s), std::nullopt) == at(1ms));
  CHECK(sleeps.arm_at(at(1us), at(0s), std::nullopt) == at(1us));
}

TEST_CASE("wake policy: what was paid with a wide spacing does not delay a fine one") {
  wake_policy policy;
  for (int i = 0; i < 100; ++i) policy.woke(at(0s), std::nullopt);
  CHECK(policy.arm_at(at(0s), at(0s), std::nullopt) == at(1ms));
  CHECK(policy.arm_at(at(0s), at(0s), 80us) == at(10us));
}

TEST_CASE("wake policy: an excess of wake-ups is forgotten after a burst of spacings") {
  wake_policy policy;
  for (int i = 0; i < 1000; ++i) policy.woke(at(0s), std::nullopt);
  CHECK(policy.arm_at(at(500us), at(0s), std::nullopt) == at(1ms));
  CHECK(policy.arm_at(at(32'500us), at(32ms), std::nullopt) == at(32'500us));
}

TEST_CASE("wake policy: does not overflow at the ends of time") {
  wake_policy policy;
  CHECK(policy.arm_at(time_point::min(), time_point::min(), 1h) == time_point::min());
  for (int i = 0; i < 100; ++i) policy.woke(time_point::max(), std::nullopt);
  CHECK(policy.arm_at(time_point::max(), time_point::max(), std::nullopt) == time_point::max());
}

TEST_CASE("delay histogram: tells a lower bound of the finest delay, within a factor of two") {
  delay_histogram h;
  CHECK(h.finest() == std::nullopt);
  random_engine random{5};
  std::vector<nanoseconds> delays;
  for (int i = 0; i < 2'000; ++i) {
    if (delays.empty() || random.next() % 2 == 0) {
      delays.push_back(
          nanoseconds{static_cast<std::int64_t>(random.next() >> (1 + random.next() % 62))} + 1ns);
      h.add(delays.back());
    } else {
      h.remove(delays.back());
      delays.pop_back();
    }
    if (delays.empty()) {
      REQUIRE(h.finest() == std::nullopt);
      continue;
    }
    const nanoseconds finest = *std::min_element(delays.begin(), delays.end());
    REQUIRE(h.finest().has_value());
    REQUIRE(*h.finest() <= finest);
    REQUIRE(*h.finest() > finest / 2 - 1ns);
  }
}

TEST_CASE("delay histogram: does not count delays of zero") {
  delay_histogram h;
  h.add(0s);
  CHECK(h.finest() == std::nullopt);
  h.add(nanoseconds::max());
  h.remove(0s);
  CHECK(h.finest() == nanoseconds{std::int64_t{1} << 62});
}

}  // namespace
