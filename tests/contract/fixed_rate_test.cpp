// Contract section 4: the pacemaker in fixed_rate, through the timer in virtual time.
#include <doctest/doctest.h>

#include <concepts>
#include <cstdint>
#include <string>

#include "support/fixture.hpp"
#include "support/sleeping_context.hpp"
#include "support/text.hpp"
#include "support/times.hpp"

using namespace test;

namespace {

/// Is a context with what most of these tests need: a target that notes when it starts, and takes
/// as long as `takes` says at that moment.
class rate_context : public sleeping_context {
 public:
  log_recorder log;
  times at;
  std::chrono::nanoseconds takes{0};

  [[nodiscard]] auto target() {
    return [this]() -> net::awaitable<int> {
      at.push_back(elapsed());
      const auto count = static_cast<int>(at.size());
      auto work = pause(takes);
      co_await std::move(work);
      co_return count;
    };
  }
  static async_timer::timer_options fixed_rate() { return {.mode = async_timer::mode::fixed_rate}; }
};

}  // namespace

TEST_CASE_FIXTURE(rate_context,
                  "4.1, 4.2, 4.3 fixed_rate: the slots are one delay apart from the first tick on, "
                  "whatever the target takes") {
  async_timer::timer t{
      io, 1s, target(), {.mode = async_timer::mode::fixed_rate, .initial_delay = 500ms}};
  clock.advance(7s);
  takes = 300ms;
  t.start();
  clock.advance(2s);
  CHECK(at == times{7500ms, 8500ms});
  takes = 999ms;
  clock.advance(2s);
  takes = 1ns;
  clock.advance(2s);
  CHECK(at == times{7500ms, 8500ms, 9500ms, 10500ms, 11500ms, 12500ms});
  CHECK(log.records().empty());
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "4.1 fixed_rate: no error adds up over many ticks") {
  constexpr std::chrono::nanoseconds third{333'333'333};
  std::int64_t ticks = 0;
  std::int64_t off_grid = 0;
  async_timer::timer t{io,
                       third,
                       [&] {
                         off_grid += elapsed() == third * ticks ? 0 : 1;
                         ++ticks;
                       },
                       {.mode = async_timer::mode::fixed_rate}};
  t.start();
  clock.advance(third * 10'000);
  CHECK(ticks == 10'001);
  CHECK(off_grid == 0);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(rate_context,
                  "4.4, 4.6, 4.7 fixed_rate: missed slots are left out, not made up for, and the "
                  "grid stays") {
  async_timer::timer t{io, 1s, target(), fixed_rate()};
  t.start();
  clock.advance(500ms);
  takes = 2500ms;
  clock.advance(1s);  // the tick at 1 s takes until 3.5 s
  takes = 0s;
  clock.advance(4500ms);
  CHECK(at == times{0s, 1s, 4s, 5s, 6s});
  CHECK(t.hit_count() == 5);
  REQUIRE(log.records().size() == 1);
  CHECK(log.records()[0].field("skipped_ticks") == "2");
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(rate_context,
                  "D13, 4.4 fixed_rate: a slot exactly at the end of the tick is fired, not "
                  "missed") {
  async_timer::timer t{io, 1s, target(), fixed_rate()};
  SUBCASE("the next slot: no warning") {
    takes = 1s;
    t.start();
    clock.advance(3s);
    CHECK(at == times{0s, 1s, 2s, 3s});
    CHECK(log.records().empty());
  }
  SUBCASE("the slot after the next: only the one before it is missed") {
    takes = 2s;
    t.start();
    clock.advance(4s);
    CHECK(at == times{0s, 2s, 4s});
    REQUIRE(log.records().size() == 2);
    CHECK(log.records()[0].field("skipped_ticks") == "1");
    CHECK(log.records()[0].field("behind_s") == "1.000");
  }
  SUBCASE("a nanosecond more is too late") {
    takes = 1s + 1ns;
    t.start();
    clock.advance(4s);
    CHECK(at == times{0s, 2s, 4s});
    REQUIRE(log.records().size() == 2);
    CHECK(log.records()[0].field("skipped_ticks") == "1");
    CHECK(log.records()[0].field("behind_s") == "0.000");
  }
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(rate_context,
                  "4.5 fixed_rate: one warning for all that was skipped at once, with what a "
                  "reader needs") {
  async_timer::timer t{
      io, 250ms, target(), {.mode = async_timer::mode::fixed_rate, .name = "poller"}};
  takes = 1'900'500us;
  t.start();
  clock.advance(1'900'500us);
  REQUIRE(log.records().size() == 1);
  const auto& warning = log.records()[0];
  CHECK(warning.level == async_timer::log_level::warning);
  CHECK(warning.logger == "async_timer.pacemaker");
  CHECK(warning.event == "async_timer.fixed_rate_skip");
  CHECK(warning.field("timer_name") == "poller");
  CHECK(warning.field("skipped_ticks") == "7");
  CHECK(warning.field("delay_s") == "0.250");
  // Behind the first missed slot, 0.25 s; 1.6505 s, in three decimals however it is rounded.
  const auto behind = warning.field("behind_s");
  CHECK((behind == "1.650" || behind == "1.651"));
  CHECK(contains(warning.message, "fell behind"));
  CHECK(contains(warning.message, "7"));
  CHECK(contains(warning.message, "0.250"));
  CHECK(contains(warning.message, behind));
  clock.advance(100ms);
  CHECK(at == times{0s, 2s});
  CHECK(log.records().size() == 1);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(rate_context,
                  "4.6 fixed_rate: no burst after a long tick, and the warnings come tick by tick "
                  "only if it falls behind again") {
  async_timer::timer t{io, 1s, target(), fixed_rate()};
  takes = 100s + 300ms;
  t.start();
  clock.advance(100s);
  takes = 0s;
  clock.advance(800ms);
  CHECK(at == times{0s});
  clock.advance(10s);
  CHECK(gaps(at) == times{101s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s});
  CHECK(log.records().size() == 1);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(rate_context,
                  "4.8, D1 fixed_rate: an hour of stall at 1 us costs one division and one "
                  "warning") {
  async_timer::timer t{io, 1us, target(), fixed_rate()};
  takes = 1h + 300ns;
  t.start();
  clock.advance(1h);
  takes = 0s;
  clock.advance(3us);
  CHECK(at == times{0s, 1h + 1us, 1h + 2us, 1h + 3us});
  REQUIRE(log.records().size() == 1);
  CHECK(log.records()[0].field("skipped_ticks") == "3600000000");
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(rate_context,
                  "4.8, D1 fixed_rate: with delay 0 it yields and ticks, without a warning and "
                  "without a grid") {
  std::string trace;
  async_timer::timer<void>* self = nullptr;
  async_timer::timer t{io, 0s,
                       [&] {
                         trace += 't';
                         net::post(io, [&] { trace += 'h'; });
                         if (trace.size() == 7) self->set_delay(1s);
                         at.push_back(elapsed());
                       },
                       fixed_rate()};
  self = &t;
  clock.advance(500ms);
  t.start();
  clock.run_until_idle();
  CHECK(trace == "thththth");
  clock.advance(2s);
  CHECK(at == times{500ms, 500ms, 500ms, 500ms, 1500ms, 2500ms});
  CHECK(log.records().empty());
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(rate_context,
                  "4.8, D1 fixed_rate: delay 0 with a target that takes time ticks back to back") {
  async_timer::timer t{io, 0s, target(), fixed_rate()};
  takes = 700ms;
  t.start();
  clock.advance(2s);
  CHECK(at == times{0s, 700ms, 1400ms});
  CHECK(log.records().empty());
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(rate_context,
                  "4.9, 14.2 fixed_rate: a trigger that cuts a sleep makes the grid begin at that "
                  "moment") {
  async_timer::timer t{io, 1s, target(), fixed_rate()};
  takes = 100ms;
  t.start();
  clock.advance(1300ms);
  outcome<int> triggered;
  t.trigger(into(triggered));
  clock.advance(2500ms);
  CHECK(at == times{0s, 1s, 1300ms, 2300ms, 3300ms});
  CHECK(triggered.completions == 1);
  CHECK(triggered.value == 3);
  CHECK(log.records().empty());
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(rate_context,
                  "4.9, 14.5 fixed_rate: several triggers that cut one sleep move the grid as one "
                  "does") {
  async_timer::timer t{io, 1s, target(), fixed_rate()};
  t.start();
  clock.advance(1300ms);
  outcome<int> first;
  outcome<int> second;
  t.trigger(into(first));
  t.trigger(into(second));
  clock.advance(2500ms);
  CHECK(at == times{0s, 1s, 1300ms, 2300ms, 3300ms});
  CHECK(first.value == 3);
  CHECK(second.value == 3);
  CHECK(log.records().empty());
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(rate_context,
                  "4.10, 14.3 fixed_rate: a trigger that joins a tick in flight leaves the grid "
                  "alone") {
  async_timer::timer t{io, 1s, target(), fixed_rate()};
  takes = 600ms;
  t.start();
  clock.advance(1300ms);
  outcome<int> triggered;
  t.trigger(into(triggered));
  clock.advance(2s);
  CHECK(at == times{0s, 1s, 2s, 3s});
  CHECK(triggered.completions == 1);
  CHECK(triggered.value == 2);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(rate_context,
                  "4.10, 14.4 fixed_rate: a trigger that meets a tick due this moment leaves the "
                  "grid alone") {
  outcome<int> triggered;
  async_timer::timer<int>* other = nullptr;
  // Due at the same instant as the second tick, and called first.
  async_timer::timer a{io, 1s, [&] { other->trigger(into(triggered)); }, {.initial_delay = 1s}};
  async_timer::timer t{io, 1s, target(), fixed_rate()};
  other = &t;
  a.start();
  t.start();
  clock.advance(1s);
  a.request_stop();
  clock.advance(2s);
  CHECK(at == times{0s, 1s, 2s, 3s});
  CHECK(triggered.completions == 1);
  CHECK(triggered.value == 2);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(rate_context, "4.11, D2 fixed_rate: a new delay counts from the previous slot") {
  SUBCASE("shrinking reports nothing skipped") {
    async_timer::timer t{io, 200ms, target(), fixed_rate()};
    t.start();
    clock.advance(700ms);
    t.set_delay(50ms);
    clock.advance(210ms);
    CHECK(at == times{0s, 200ms, 400ms, 600ms, 800ms, 850ms, 900ms});
  }
  SUBCASE("growing waits for one new delay, not for several") {
    async_timer::timer t{io, 50ms, target(), fixed_rate()};
    t.start();
    clock.advance(210ms);
    t.set_delay(200ms);
    clock.advance(450ms);
    CHECK(at == times{0s, 50ms, 100ms, 150ms, 200ms, 250ms, 450ms, 650ms});
  }
  SUBCASE("in flight: from the slot of this tick, whatever the target takes") {
    async_timer::timer t{io, 1s, target(), fixed_rate()};
    takes = 300ms;
    t.start();
    clock.advance(1100ms);
    t.set_delay(2500ms);
    clock.advance(5s);
    CHECK(at == times{0s, 1s, 3500ms, 6s});
  }
  SUBCASE("after a trigger: from the trigger") {
    async_timer::timer t{io, 1s, target(), fixed_rate()};
    takes = 100ms;
    t.start();
    clock.advance(1500ms);
    outcome<int> triggered;
    t.trigger(into(triggered));
    clock.run_until_idle();
    t.set_delay(3s);
    clock.advance(6s);
    CHECK(at == times{0s, 1s, 1500ms, 4500ms, 7500ms});
    CHECK(triggered.completions == 1);
  }
  CHECK(log.records().empty());
}

TEST_CASE_FIXTURE(rate_context,
                  "4.11, D2 fixed_rate: what is past with a new delay is skipped by that delay, "
                  "and only from the previous slot on") {
  async_timer::timer t{io, 1s, target(), fixed_rate()};
  t.start();
  clock.advance(9500ms);
  takes = 950ms;
  clock.advance(600ms);
  t.set_delay(100ms);  // the tick in flight began at 10 s
  takes = 0s;
  clock.advance(1s);
  REQUIRE(at.size() >= 13);
  CHECK(times(at.begin() + 10, at.begin() + 13) == times{10s, 11s, 11100ms});
  REQUIRE(log.records().size() == 1);
  CHECK(log.records()[0].field("skipped_ticks") == "9");
  CHECK(log.records()[0].field("delay_s") == "0.100");
  CHECK(log.records()[0].field("behind_s") == "0.850");
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "4.12, 6.4 fixed_rate: a tick that comes before its slot is the only one of that "
                  "slot") {
  // Jitter is what makes a tick early in virtual time.
  times at;
  async_timer::timer t{io,
                       1s,
                       [&] { at.push_back(elapsed()); },
                       {.mode = async_timer::mode::fixed_rate, .jitter = 0.4}};
  t.start();
  for (std::size_t slot = 0; slot < 1000; ++slot) {
    clock.advance(slot == 0 ? 0s : 1s);
    REQUIRE(at.size() == slot + 1);
  }
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(rate_context,
                  "4.13 fixed_rate: the grid is on the monotonic clock, here the virtual one") {
  static_assert(
      std::same_as<async_timer::virtual_clock::time_point::clock, std::chrono::steady_clock>);
  async_timer::timer t{io, 1s, target(), fixed_rate()};
  static_assert(
      std::same_as<decltype(t.last_tick_at())::value_type::clock, std::chrono::steady_clock>);
  t.start();
  clock.run_until_idle();
  const auto anchor = t.last_tick_at();
  REQUIRE(anchor);
  CHECK(*anchor == clock.now());
  clock.advance(3s);
  CHECK(*t.last_tick_at() == *anchor + 3s);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(rate_context, "4.14 fixed_rate: a restart forgets the grid of the last run") {
  async_timer::timer t{io, 1s, target(), fixed_rate()};
  t.start();
  clock.advance(1200ms);
  t.request_stop();
  clock.advance(100s);
  CHECK(at == times{0s, 1s});
  t.start();
  clock.advance(2s);
  CHECK(at == times{0s, 1s, 101'200ms, 102'200ms, 103'200ms});
  CHECK(log.records().empty());
  t.request_stop();
  CHECK(out_of_work());
}
