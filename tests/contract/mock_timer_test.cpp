// Contract section 21: the timer that notes its sleeps, and virtual time in every mode (D32).
#include <doctest/doctest.h>
#include <async_timer/async_timer.hpp>
#include <async_timer/testing.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/fixture.hpp"

using namespace test;
using async_timer::mock_timer;
using async_timer::timer;
using durations = std::vector<std::chrono::nanoseconds>;

namespace {

/// Is a context on the real clock: whoever slept here for real would be noticed.
class plain_context {
 public:
  net::io_context io;
  int ticks = 0;

  /// Gives a target that asks `t` to stop in its n-th tick.
  template <class Timer>
  auto stops_at(int n, Timer& t) {
    return [this, n, &t] {
      if (++ticks == n) t->request_stop();
      return ticks;
    };
  }
};

/// What an application has: it takes a timer and knows nothing of mocks.
void run_poller(timer<int>& t) { t.start(); }

}  // namespace

TEST_CASE_FIXTURE(plain_context, "21.1, 21.2 mock: goes where a timer goes, and no time passes") {
  std::optional<mock_timer<int>> t;
  t.emplace(io, 24h, stops_at(3, t));
  run_poller(*t);
  io.run();
  CHECK(ticks == 3);
  CHECK(t->hit_count() == 3);
  CHECK(t->last_result() == 3);
  CHECK_FALSE(t->is_running());
}

TEST_CASE_FIXTURE(plain_context, "21.1 mock: validates as the timer does") {
  CHECK_THROWS_AS((mock_timer{io, -1s, [] {}}), std::invalid_argument);
  CHECK_THROWS_AS((mock_timer{io, 1s, [] {}, {.jitter = 2.0}}), std::invalid_argument);
}

TEST_CASE_FIXTURE(plain_context, "21.1 mock: `start` in the options starts it, mocked already") {
  std::optional<mock_timer<int>> t;
  t.emplace(io, 24h, stops_at(2, t), async_timer::timer_options{.start = true});
  CHECK(t->is_running());
  io.run();
  CHECK(t->sleeps() == durations{24h});
}

TEST_CASE_FIXTURE(plain_context, "21.2 mock: each sleep yields to other work of the context") {
  std::optional<mock_timer<int>> t;
  t.emplace(io, 1h, stops_at(5, t));
  std::vector<int> seen;
  t->start();
  std::function<void()> look = [&] {
    seen.push_back(ticks);
    if (t->is_running()) net::post(io, look);
  };
  net::post(io, look);
  io.run();
  int most = 0;
  for (std::size_t i = 1; i < seen.size(); ++i) most = std::max(most, seen[i] - seen[i - 1]);
  CHECK(most == 1);
}

TEST_CASE_FIXTURE(plain_context, "21.3 mock: n ticks make n-1 sleeps, of the delay then in force") {
  std::optional<mock_timer<int>> t;
  t.emplace(io, 5s, [&] {
    if (++ticks == 2) t->set_delay(7s);
    if (ticks == 4) t->request_stop();
    return ticks;
  });
  t->start();
  io.run();
  CHECK(t->sleeps() == durations{5s, 7s, 7s});
}

TEST_CASE_FIXTURE(plain_context, "21.3 mock: an initial delay is a sleep before the first tick") {
  std::optional<mock_timer<int>> t;
  t.emplace(io, 5s, stops_at(2, t), async_timer::timer_options{.initial_delay = 30s});
  t->start();
  io.run();
  CHECK(t->sleeps() == durations{30s, 5s});
  t->clear_sleeps();
  CHECK(t->sleeps().empty());
}

TEST_CASE_FIXTURE(plain_context, "21.4 mock: a stop in mid-sleep lets no tick follow") {
  mock_timer t{io, 5s, [&] { return ++ticks; }};
  t.on_sleep([&](auto) { net::post(io, [&] { t.request_stop(); }); });
  t.start();
  // The posted stop comes in the yield of a sleep, before or after the tick that follows it; from
  // then on there is none.
  int at_stop = 0;
  std::function<void()> look = [&] {
    if (t.is_running()) {
      net::post(io, look);
    } else if (at_stop == 0) {
      at_stop = ticks;
    }
  };
  net::post(io, look);
  io.run();
  CHECK(ticks >= 1);
  CHECK(ticks == at_stop);
}

TEST_CASE_FIXTURE(plain_context, "21.4 mock: a trigger before a sleep skips it") {
  mock_timer t{io, 5s, [&] { return ++ticks; }, {.initial_delay = 30s}};
  t.start();
  outcome<int> first;
  t.trigger(into(first));  // before the run has slept its initial delay
  t.on_sleep([&](auto) { t.request_stop(); });
  io.run();
  CHECK(first.value == 1);
  CHECK(t.sleeps() == durations{5s});
}

TEST_CASE_FIXTURE(plain_context, "21.5 mock: the hook may stop the timer") {
  mock_timer t{io, 5s, [&] { return ++ticks; }};
  t.on_sleep([&](auto) {
    if (t.sleeps().size() == 3) t.request_stop();
  });
  t.start();
  io.run();
  CHECK(ticks == 3);
  CHECK(t.sleeps() == durations{5s, 5s, 5s});
}

TEST_CASE_FIXTURE(plain_context, "21.5 mock: the hook may trigger the timer") {
  std::optional<mock_timer<int>> t;
  t.emplace(io, 5s, stops_at(2, t));
  outcome<int> triggered;
  t->on_sleep([&](auto) { t->trigger(into(triggered)); });
  t->start();
  io.run();
  CHECK(triggered.value == 2);
}

TEST_CASE_FIXTURE(plain_context, "21.5 mock: what the hook throws is a failure of the run") {
  const log_recorder log;
  std::exception_ptr failure;
  mock_timer t{io,
               5s,
               [&] { return ++ticks; },
               {.on_error = [&](async_timer::timer_ref, std::exception_ptr e) { failure = e; }}};
  t.on_sleep([](auto) { throw std::runtime_error("hook"); });
  t.start();
  io.run();
  CHECK(kind_of(failure) == "hook");
  CHECK(ticks == 1);
  t.on_sleep([&](auto) { t.request_stop(); });
  t.start();
  io.restart();
  io.run();
  CHECK(ticks == 2);
}

TEST_CASE_FIXTURE(plain_context, "21.5, 21.3 mock: a hook that throws in the initial delay, too") {
  const log_recorder log;
  mock_timer t{io, 5s, [&] { return ++ticks; }, {.initial_delay = 1s}};
  t.on_sleep([](auto) { throw std::runtime_error("hook"); });
  t.start();
  io.run();
  CHECK(kind_of(t.last_failure()) == "hook");
  CHECK(ticks == 0);
}

TEST_CASE_FIXTURE(plain_context, "21.6 mock: restarts, fails and ends as the timer does") {
  const log_recorder log;
  std::optional<mock_timer<int>> t;
  t.emplace(io, 1h, [&]() -> int {
    if (++ticks % 2 == 0) throw std::runtime_error("every second");
    return ticks;
  });
  for (int run = 1; run <= 3; ++run) {
    t->start();
    io.restart();
    io.run();
    CHECK(kind_of(t->last_failure()) == "every second");
    CHECK(t->failure_count() == run);
  }
  CHECK(t->sleeps() == durations{1h, 1h, 1h});
}

TEST_CASE_FIXTURE(plain_context, "21.6, 18.1 mock: stop signals end it") {
  std::stop_source source;
  std::optional<mock_timer<int>> t;
  t.emplace(
      io, 1h,
      [&] {
        if (++ticks == 4) source.request_stop();
        return ticks;
      },
      async_timer::timer_options{.initial_delay = 1s,
                                 .stop_on = async_timer::stop_when(source.get_token())});
  t->start();
  io.run();
  CHECK(ticks == 4);
  CHECK(t->sleeps() == durations{1s, 1h, 1h, 1h});
  CHECK_THROWS_AS(t->start(), async_timer::timer_restart_error);
}

TEST_CASE_FIXTURE(plain_context, "21.6 mock: feeds, waits and coroutine targets are the timer's") {
  std::optional<mock_timer<int>> t;
  t.emplace(io, 1h, [&]() -> net::awaitable<int> {
    if (++ticks == 3) t->request_stop();
    co_return ticks;
  });
  auto feed = t->subscribe({});
  outcome<std::optional<int>> second;
  t->start();
  t->wait({.hit_count = 2}, into(second));
  io.run();
  CHECK(second.value == 2);
  CHECK(feed.qsize() == 3);
  CHECK(t->sleeps() == durations{1h, 1h});
}

TEST_CASE_FIXTURE(plain_context, "21.7 mock: a delay of zero is no sleep") {
  std::optional<mock_timer<int>> t;
  t.emplace(io, 0s, stops_at(4, t));
  t->start();
  io.run();
  CHECK(t->sleeps().empty());
}

TEST_CASE_FIXTURE(plain_context,
                  "21.8, D32 mock: in fixed_rate the slots are those of its own time, so sleeps "
                  "don't grow") {
  std::optional<mock_timer<int>> t;
  t.emplace(io, 1s, stops_at(5, t),
            async_timer::timer_options{.mode = async_timer::mode::fixed_rate});
  const auto begin = t->record().now();
  t->start();
  io.run();
  CHECK(t->sleeps() == durations{1s, 1s, 1s, 1s});
  CHECK(t->record().now() - begin == 4s);
}

TEST_CASE_FIXTURE(virtual_context,
                  "21.8, D32 mock: on a context with a virtual clock it ticks when the test says "
                  "so, and notes its sleeps all the same") {
  int ticks = 0;
  mock_timer t{io, 5s, [&] { return ++ticks; }, {.initial_delay = 2s}};
  t.start();
  clock.advance(1s);
  CHECK(ticks == 0);
  CHECK(t.sleeps() == durations{2s});
  clock.advance(1s);
  CHECK(ticks == 1);
  clock.advance(9s);
  CHECK(ticks == 2);
  outcome<int> triggered;
  t.trigger(into(triggered));
  clock.run_until_idle();
  CHECK(triggered.value == 3);
  CHECK(t.sleeps() == durations{2s, 5s, 5s, 5s});
  t.request_stop();
  clock.run_until_idle();
  CHECK_FALSE(t.is_running());
}

TEST_CASE_FIXTURE(plain_context, "21.9 mock: is a member of groups, and stays readable") {
  async_timer::timer_group group{io};
  std::optional<mock_timer<int>> t;
  t.emplace(io, 1h, [&] { return ++ticks; });
  timer<int>* member = nullptr;
  t->on_sleep([&](auto) {
    if (ticks == 3) member->request_stop();
  });
  member = &group.add(std::move(*t));
  group.start();
  io.run();
  CHECK(member->hit_count() == 3);
  CHECK(t->sleeps() == durations{1h, 1h, 1h});
}

TEST_CASE_FIXTURE(plain_context, "21.9 mock: timers made by every() note their sleeps, too") {
  auto hourly = async_timer::every(1h)([&] { return ++ticks; });
  auto record = async_timer::mock_sleeps(hourly);
  record.on_sleep([&](auto) {
    if (ticks == 2) hourly.request_stop();
  });
  hourly.start(io);
  io.run();
  CHECK(record.sleeps() == durations{1h, 1h});
  CHECK_THROWS_AS(async_timer::mock_sleeps(hourly), std::logic_error);
}
