// Numbers at the ends of their range, at the public API (D25): each has a defined result.
#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
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

using async_timer::interval;
using async_timer::mode;
using std::chrono::nanoseconds;

constexpr auto int_max = std::numeric_limits<std::int64_t>::max();
constexpr auto int_min = std::numeric_limits<std::int64_t>::min();

using seconds_f = std::chrono::duration<double>;
interval no_number() { return seconds_f(std::numeric_limits<double>::quiet_NaN()); }
interval infinity() { return seconds_f(std::numeric_limits<double>::infinity()); }

async_timer::timer_options in_mode(mode how) {
  async_timer::timer_options options;
  options.mode = how;
  return options;
}

constexpr mode modes[] = {mode::fixed_delay, mode::fixed_rate};

/// Is a context whose targets note when they are called.
class noting_context : public sleeping_context {
 public:
  log_recorder log;
  times at;
  nanoseconds takes{0};

  [[nodiscard]] auto note() {
    return [this] { at.push_back(elapsed()); };
  }
  [[nodiscard]] auto note_slowly() {
    return [this]() -> net::awaitable<void> {
      at.push_back(elapsed());
      auto work = pause(takes);
      co_await std::move(work);
    };
  }
};

}  // namespace

TEST_CASE_FIXTURE(noting_context, "1.2, D25 numbers: a delay of one nanosecond is kept exactly") {
  for (const mode how : modes) {
    at.clear();
    const auto begin = elapsed();
    async_timer::timer t{io, 1ns, note(), in_mode(how)};
    t.start();
    clock.advance(4ns);
    CHECK(at == times{begin, begin + 1ns, begin + 2ns, begin + 3ns, begin + 4ns});
    t.request_stop();
    clock.run_until_idle();
  }
  CHECK(log.records().empty());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(noting_context,
                  "6.1, 6.7, D25 numbers: jitter of a nanosecond is neither negative nor endless") {
  for (const mode how : modes) {
    at.clear();
    auto options = in_mode(how);
    options.jitter = 1;
    async_timer::timer t{io, 1ns, note(), options};
    t.start();
    clock.advance(1us);
    CHECK(at.size() >= 400);
    CHECK(at.size() <= 2100);
    for (const auto gap : gaps(at)) REQUIRE(gap <= 2ns);
    t.request_stop();
    clock.run_until_idle();
  }
  CHECK(log.records().empty());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(noting_context, "1.2, D25 numbers: what rounds to nothing is a delay of zero") {
  const interval tiny = seconds_f(std::numeric_limits<double>::denorm_min());
  int calls = 0;
  auto five_times = [&] {
    if (calls == 5) throw async_timer::end_of_ticks{};
    ++calls;
  };
  async_timer::timer t{io, tiny, five_times};
  CHECK(t.delay() == 0ns);
  t.start();
  clock.run_until_idle();
  CHECK(calls == 5);
  CHECK_THROWS_AS(t.set_delay(seconds_f(-std::numeric_limits<double>::denorm_min())),
                  std::invalid_argument);
  CHECK(t.delay() == 0ns);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(noting_context,
                  "1.12, 4.9, D25 numbers: the longest delay can be set, and cut by a trigger") {
  for (const mode how : modes) {
    at.clear();
    const auto begin = elapsed();
    async_timer::timer t{io, 1s, note(), in_mode(how)};
    t.start();
    clock.advance(1s);
    t.set_delay(std::chrono::hours::max());
    CHECK(t.delay() == nanoseconds::max());
    clock.advance(24h * 365 * 10);
    CHECK(at == times{begin, begin + 1s, begin + 2s});
    const auto asked = elapsed();
    no_value fired;
    t.trigger(into(fired));
    t.set_delay(1min);
    clock.advance(90s);
    CHECK(fired.kind() == "");
    CHECK(at == times{begin, begin + 1s, begin + 2s, asked, asked + 1min});
    t.request_stop();
    clock.run_until_idle();
  }
  CHECK(log.records().empty());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "D25 numbers: near the end of time sums stop there, and what is due then never "
                  "comes") {
  const auto end = async_timer::virtual_clock::time_point::max();
  clock.advance(end - clock.now() - 10s);
  for (const mode how : modes) {
    int ticks = 0;
    const auto left = end - clock.now();
    async_timer::timer t{io, left / 2 - 1ns, [&] { return ++ticks; }, in_mode(how)};
    auto late_options = in_mode(how);
    late_options.initial_delay = 1min;
    async_timer::timer late{io, 1s, [&] { return ++ticks; }, late_options};
    t.start();
    late.start();
    outcome<std::optional<int>> bounded;
    outcome<std::optional<int>> unbounded;
    late.wait({.hits = 1, .timeout = left / 4}, into(bounded));
    late.wait({.hits = 1, .timeout = left + 1ns}, into(unbounded));
    clock.advance(left / 4);
    CHECK(ticks == 1);
    CHECK(bounded.kind() == "timeout");
    clock.advance(left / 4);
    CHECK(ticks == 2);
    CHECK_FALSE(unbounded.done());
    CHECK(late.hit_count() == 0);
    t.request_stop();
    late.request_stop();
    clock.run_until_idle();
    CHECK(unbounded.kind() == "stopped");
  }
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(
    noting_context,
    "4.5, 4.8, D1 numbers: quadrillions of missed slots are counted by one division") {
  const struct {
    nanoseconds delay, takes;
    std::string skipped, behind;
    nanoseconds next;
  } table[] = {
      {1ns, 1h, "3599999999999", "3600.000", 1h},
      {1us, 24h * 364 + 1ns, "31449600000000", "31449600.000", 24h * 364 + 1us},
      {3ns, 24h * 364, "10483199999999999", "31449600.000", 24h * 364},
      {7s, 1h + 5s, "514", "3598.000", 7s * 515},
  };
  for (const auto& row : table) {
    CAPTURE(row.skipped);
    at.clear();
    takes = row.takes;
    const auto before = log.records().size();
    const auto begin = elapsed();
    async_timer::timer t{io, row.delay, note_slowly(), in_mode(mode::fixed_rate)};
    t.start();
    clock.advance(0s);
    takes = 0s;
    clock.advance(row.takes);
    t.set_delay(24h);
    clock.advance(row.next - row.takes);
    CHECK(at == times{begin, begin + row.next});
    REQUIRE(log.records().size() == before + 1);
    CHECK(log.records().back().field("skipped_ticks") == row.skipped);
    CHECK(log.records().back().field("behind_s") == row.behind);
    t.request_stop();
    clock.run_until_idle();
  }
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "10.5, 20.12, D25 numbers: timeouts of every size, alone and in a group") {
  async_timer::timer_group group{io};
  auto& t = group.add(async_timer::timer{io, 1h, [] { return 1; }});
  group.start();
  clock.advance(0s);
  const struct {
    interval timeout;
    nanoseconds passes;  // when it is over
  } table[] = {{nanoseconds::min(), 0ns}, {-1ns, 0ns}, {0s, 0ns}, {1ns, 1ns}, {59min, 59min},
               {seconds_f(0.5), 500ms}};
  for (const auto& row : table) {
    CAPTURE(to_string(row.timeout));
    outcome<std::optional<int>> counted;
    outcome<std::optional<int>> idle;
    outcome<std::vector<async_timer::group_result>> all;
    t.wait({.hits = 1, .timeout = row.timeout}, into(counted));
    t.wait({.timeout = row.timeout}, into(idle));
    group.wait({.hits = 1, .timeout = row.timeout}, into(all));
    clock.advance(row.passes > 0ns ? row.passes - 1ns : 0ns);
    CHECK(counted.done() == (row.passes == 0ns));
    CHECK(all.done() == (row.passes == 0ns));
    clock.advance(1ns);
    CHECK(counted.kind() == "timeout");
    CHECK(all.kind() == "timeout");
    CHECK(idle.kind() == "");
    CHECK(idle.completions == 1);
    t.trigger([](std::exception_ptr, int) {});  // the hour begins anew
    clock.run_until_idle();
  }
  outcome<std::vector<async_timer::group_result>> longest;
  group.wait({.hits = 1, .timeout = std::chrono::hours::max()}, into(longest));
  clock.advance(1h);
  CHECK(longest.kind() == "");
  CHECK(longest.completions == 1);
  CHECK(group.is_running());
}

TEST_CASE_FIXTURE(virtual_context,
                  "22.6, D25 numbers: timeouts that are no numbers are refused by every call") {
  async_timer::timer_group group{io};
  auto& t = group.add(async_timer::timer{io, 1h, [] { return 1; }});
  group.start();
  clock.advance(0s);
  const auto never = [](std::exception_ptr, auto&&) { FAIL("a refused call completes"); };
  for (const interval odd : {no_number(), infinity()}) {
    CAPTURE(to_string(odd));
    CHECK_THROWS_AS(t.wait({.hits = 0, .timeout = odd}, never), std::invalid_argument);
    CHECK_THROWS_AS(t.wait({.timeout = odd}, never), std::invalid_argument);
    CHECK_THROWS_AS(t.cancel_threadsafe(odd), std::invalid_argument);
    CHECK_THROWS_AS(t.trigger_threadsafe(odd), std::invalid_argument);
    CHECK_THROWS_AS(group.wait({.timeout = odd}, never), std::invalid_argument);
    CHECK_THROWS_AS(group.trigger({.timeout = odd}, never), std::invalid_argument);
    CHECK_THROWS_AS(group.cancel_threadsafe(odd), std::invalid_argument);
  }
  clock.run_until_idle();
  CHECK(group.is_running());
  CHECK(t.hit_count() == 1);
  CHECK_THROWS_AS(t.trigger_threadsafe(nanoseconds::min()), async_timer::timeout_error);
  CHECK_THROWS_AS(t.cancel_threadsafe(-1ns), async_timer::timeout_error);
}

TEST_CASE_FIXTURE(virtual_context,
                  "10.2, 13.3, 13.24, D25 numbers: counts at the ends of their range") {
  async_timer::timer t{io, 1s, [] { return 1; }};
  auto feed = t.subscribe({.maxsize = int_max});
  CHECK_THROWS_AS(static_cast<void>(t.subscribe({.maxsize = int_min})), std::invalid_argument);
  t.start();
  clock.advance(2s);
  for (const std::int64_t least : {int_min, std::int64_t{-1}, std::int64_t{0}}) {
    outcome<std::optional<int>> count;
    outcome<std::optional<int>> more;
    t.wait({.hit_count = least}, into(count));
    t.wait({.hits = least}, into(more));
    clock.run_until_idle();
    CHECK(count.completions == 1);
    CHECK(count.kind() == "");
    CHECK(more.completions == 1);
    CHECK(more.kind() == "");
  }
  CHECK_THROWS_AS(feed.drop_oldest(int_min), std::invalid_argument);
  CHECK(feed.qsize() == 3);
  CHECK(feed.drop_oldest(int_max) == 3);
  CHECK(feed.dropped_count() == 3);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "1.4, D25 numbers: jitter just outside its range is refused") {
  const auto made_with = [this](double jitter) {
    async_timer::timer_options options;
    options.jitter = jitter;
    async_timer::timer t{io, 1s, [] {}, options};
  };
  for (const double legal : {-0.0, 0.0, std::numeric_limits<double>::denorm_min(), 1.0}) {
    CHECK_NOTHROW(made_with(legal));
  }
  for (const double bad : {-std::numeric_limits<double>::denorm_min(), std::nextafter(1.0, 2.0)}) {
    CHECK_THROWS_AS(made_with(bad), std::invalid_argument);
  }
}
