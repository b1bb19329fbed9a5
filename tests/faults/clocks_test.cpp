// Clocks that stand still, or leap far ahead, as that of a suspended machine does: no burst of what
// was missed, one warning, and the grid as before.
#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "support/fixture.hpp"

using namespace test;
using async_timer::mode;
using async_timer::timer;
using std::chrono::nanoseconds;

namespace {

constexpr auto year = std::chrono::hours(24 * 365);

/// Is virtual_context with a clock that can leap: what becomes due in between is due all at once.
class leaping_context : public virtual_context {
 public:
  /// Returns how many handlers ran.
  std::int64_t leap(nanoseconds by) {
    const auto scheduler = async_timer::detail::scheduler_service::of(io.get_executor());
    scheduler->set_virtual_now(async_timer::core::saturating_add(clock.now(), by));
    io.restart();
    std::int64_t handlers = 0;
    while (io.poll_one() > 0) ++handlers;
    return handlers;
  }
};

}  // namespace

TEST_CASE_FIXTURE(leaping_context, "clocks: a leap of a year is one tick and one warning") {
  for (const auto m : {mode::fixed_rate, mode::fixed_delay}) {
    for (const nanoseconds delay :
         {2ns, 7ns, nanoseconds(1us), nanoseconds(1ms), nanoseconds(1s)}) {
      CAPTURE(delay.count());
      const log_recorder log;
      timer<int> t{io, delay, [] { return 1; }, {.mode = m}};
      t.start();
      clock.advance(0s);
      const auto first = clock.now();
      CHECK(t.hit_count() == 1);
      CHECK(leap(year + delay / 2) <= 4);
      CHECK(t.hit_count() == 2);
      if (m == mode::fixed_rate) {
        REQUIRE(log.records().size() == 1);
        CHECK(log.records()[0].field("skipped_ticks") == std::to_string(year / delay - 1));
        clock.advance_to_next();
        CHECK((clock.now() - first) % delay == 0ns);
      } else {
        CHECK(log.records().empty());
        clock.advance_to_next();
        CHECK(clock.now() - first == year + delay / 2 + delay);
      }
      CHECK(t.hit_count() == 3);
      t.request_stop();
      CHECK(out_of_work());
    }
  }
}

TEST_CASE_FIXTURE(leaping_context, "clocks: a leap over a thousand timers is a tick for each") {
  const log_recorder log;
  std::vector<timer<int>> timers;
  int ticks = 0;
  for (int i = 1; i <= 1'000; ++i) {
    timers.emplace_back(
        io, i * 1us, [&] { return ++ticks; },
        async_timer::timer_options{.mode = i % 2 == 0 ? mode::fixed_rate : mode::fixed_delay,
                                   .jitter = i % 6 == 3 ? 1.0 : 0.0});
    timers.back().start();
  }
  clock.advance(0s);
  CHECK(ticks == 1'000);
  CHECK(leap(year + 500ns) < 1'000);  // between the slots of all
  CHECK(ticks == 2'000);
  CHECK(log.records().size() == 500);
  for (auto& t : timers) t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(leaping_context, "clocks: many leaps in a row, each with its own warning") {
  const log_recorder log;
  timer<int> t{io, 1s, [] { return 1; }, {.mode = mode::fixed_rate}};
  t.start();
  clock.advance(0s);
  const auto first = clock.now();
  for (int i = 1; i <= 100; ++i) {
    leap(year / 7 + 1ms);
    CHECK(t.hit_count() == 1 + 2 * i - 1);
    CHECK(log.records().size() == static_cast<std::size_t>(i));
    clock.advance_to_next();
    CHECK((clock.now() - first) % 1s == 0ns);
  }
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(leaping_context,
                  "clocks: a leap over what waits: timeouts, initial delay, signals") {
  outcome<std::optional<int>> bounded;
  outcome<std::vector<async_timer::group_result>> group_wait;
  timer<int> t{io, std::chrono::hours(1'000'000), [] { return 1; }, {.initial_delay = 1h}};
  async_timer::timer_group group{io};
  auto& member = group.add(timer<int>(io, 1h, [] { return 1; }));
  t.start();
  group.start();
  t.wait({.hits = 5, .timeout = 2h}, into(bounded));
  group.wait({.hits = 50, .timeout = 2h}, into(group_wait));
  leap(year);
  CHECK(t.hit_count() == 1);
  CHECK(member.hit_count() == 1);
  CHECK(bounded.completions == 1);
  CHECK(bounded.kind() == "timeout");
  CHECK(group_wait.completions == 1);
  CHECK(group_wait.kind() == "timeout");
  t.request_stop();
  member.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(leaping_context, "clocks: a leap to an hour before the end of time") {
  const log_recorder log;
  timer<int> rate{io, 1s, [] { return 1; }, {.mode = mode::fixed_rate}};
  timer<int> pause{io, 1s, [] { return 1; }};
  timer<int> beyond{io, 2h, [] { return 1; }};
  for (auto* t : {&rate, &pause, &beyond}) t->start();
  clock.advance(0s);
  const auto left = async_timer::core::time_point::max() - clock.now();
  CHECK(leap(left - 1h) < 20);
  CHECK(leap(30min) < 20);
  CHECK(rate.hit_count() == 3);
  CHECK(pause.hit_count() == 3);
  CHECK(beyond.hit_count() == 2);  // the third one would be after the end
  for (auto* t : {&rate, &pause, &beyond}) t->request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(leaping_context, "clocks: a clock that stands still") {
  timer<int> resting{io, 1ns, [] { return 1; }};
  timer<int> restless{io, 0s, [] { return 1; }, {.mode = mode::fixed_rate}};
  outcome<int> triggered;
  outcome<std::optional<int>> bounded;
  resting.start();
  restless.start();
  for (int handlers = 0; handlers < 10'000; ++handlers) io.poll_one();
  // One waits for its nanosecond; the other has no delay, and lets others run between its ticks.
  CHECK(resting.hit_count() == 1);
  CHECK(restless.hit_count() > 1'000);
  resting.trigger(into(triggered));
  resting.wait({.hits = 5, .timeout = 1ns}, into(bounded));
  for (int handlers = 0; handlers < 100; ++handlers) io.poll_one();
  CHECK(triggered.completions == 1);
  CHECK(resting.hit_count() == 2);
  CHECK(bounded.completions == 0);
  CHECK(elapsed() == 0ns);
  outcome<void*> stopped;
  restless.cancel(into(stopped));
  resting.cancel(into(stopped));
  for (int handlers = 0; handlers < 100; ++handlers) io.poll_one();
  CHECK(stopped.completions == 2);
  CHECK(bounded.kind() == "stopped");
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(leaping_context,
                  "3.4 clocks: hundreds of timers with delay 0, and one that waits") {
  std::vector<timer<int>> restless;
  for (int i = 0; i < 600; ++i) restless.emplace_back(io, 0s, [] { return 1; });
  timer<int> patient{io, 10ms, [] { return 1; }};
  outcome<std::optional<int>> bounded;
  for (auto& t : restless) t.start();
  patient.start();
  patient.wait({.hits = 9, .timeout = 5ms}, into(bounded));
  const auto run_on = [this] {
    for (int handlers = 0; handlers < 100; ++handlers) io.poll_one();
  };
  run_on();
  CHECK(patient.hit_count() == 1);
  async_timer::detail::scheduler_service::of(io.get_executor())
      ->set_virtual_now(clock.now() + 10ms);
  run_on();
  CHECK(patient.hit_count() == 2);
  CHECK(bounded.kind() == "timeout");
  CHECK(restless.front().hit_count() > 10);
  CHECK(restless.back().hit_count() > 10);
  for (auto& t : restless) t.request_stop();
  patient.request_stop();
  CHECK(out_of_work());
}
