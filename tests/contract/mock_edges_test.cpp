// Contract section 21: the timer that notes its sleeps, where its hook meddles in virtual time.
#include <doctest/doctest.h>
#include <async_timer/testing.hpp>

#include <chrono>
#include <exception>
#include <stdexcept>
#include <vector>

#include "support/fixture.hpp"
#include "support/times.hpp"

using namespace test;
using async_timer::mock_timer;

TEST_CASE_FIXTURE(virtual_context,
                  "21.5, 21.8 mock: its hook may trigger in virtual time, then the tick is now") {
  times at;
  mock_timer t{io, 5s, [&] { at.push_back(elapsed()); }, {.initial_delay = 30s}};
  outcome<void*> triggered;
  int sleeps = 0;
  t.on_sleep([&](auto) {
    if (++sleeps <= 2) t.trigger(into(triggered));
  });
  t.start();
  clock.run_until_idle();
  CHECK(at == times{0s, 0s});
  CHECK(triggered.completions == 2);
  CHECK(triggered.kind() == "");
  clock.advance(5s);
  CHECK(at == times{0s, 0s, 5s});
  CHECK(t.sleeps() == times{30s, 5s, 5s, 5s});
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "21.5, 21.8 mock: its hook may stop in virtual time, then the run is over") {
  int ticks = 0;
  int stops = 0;
  int sleeps = 0;
  int last_sleep = 1;
  SUBCASE("in the initial delay") {}
  SUBCASE("after a tick") { last_sleep = 2; }
  mock_timer t{io, 5s, [&] { ++ticks; }, {.initial_delay = 30s, .on_stop = [&] { ++stops; }}};
  t.on_sleep([&](auto) {
    if (++sleeps == last_sleep) t.request_stop();
  });
  t.start();
  if (last_sleep == 2) clock.advance(30s);
  CHECK(out_of_work());
  CHECK(stops == 1);
  CHECK(ticks == last_sleep - 1);
}

TEST_CASE_FIXTURE(virtual_context,
                  "21.4, 21.8 mock: a trigger cuts its initial delay in virtual time") {
  times at;
  mock_timer t{io, 5s, [&] { at.push_back(elapsed()); }, {.initial_delay = 2s}};
  t.start();
  clock.advance(1s);
  outcome<void*> triggered;
  t.trigger(into(triggered));
  clock.run_until_idle();
  CHECK(triggered.completions == 1);
  CHECK(at == times{1s});
  clock.advance(5s);
  CHECK(at == times{1s, 6s});
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE("21.4 mock: asked to stop before its first sleep it notes none") {
  net::io_context io;
  mock_timer t{io, 5s, [] {}, {.initial_delay = 30s}};
  t.start();
  t.request_stop();
  io.run();
  CHECK(t.sleeps().empty());
  CHECK(t.hit_count() == 0);
}

TEST_CASE("21.6, 17.6 mock: its failures and ticks are dated by its own time") {
  const log_recorder log;
  net::io_context io;
  mock_timer<int> t{io, 5s, [&, n = 0]() mutable -> int {
                      if (++n == 3) throw std::runtime_error("third");
                      return n;
                    }};
  t.start();
  io.run();
  const auto now = t.record().now().time_since_epoch();
  REQUIRE(t.last_failure_at());
  REQUIRE(t.last_tick_at());
  CHECK(t.last_failure_at()->time_since_epoch() == now);
  CHECK(t.last_tick_at()->time_since_epoch() == now - 5s);
}

TEST_CASE_FIXTURE(virtual_context,
                  "21.5 mock: its hook is copied and destroyed with no lock held") {
  /// Asks the record wherever it is copied or destroyed.
  struct asking {
    const async_timer::sleep_record* record;
    explicit asking(const async_timer::sleep_record& of) : record(&of) {}
    asking(const asking& other) : record(other.record) { static_cast<void>(record->sleeps()); }
    asking& operator=(const asking&) = delete;
    ~asking() { static_cast<void>(record->sleeps()); }
    void operator()(std::chrono::nanoseconds) const {}
  };
  mock_timer t{io, 5s, [] { return 1; }};
  t.on_sleep(asking{t.record()});
  t.start();
  clock.advance(5s);
  t.on_sleep({});
  clock.advance(5s);
  CHECK(t.sleeps() == times{5s, 5s, 5s});
  t.request_stop();
  CHECK(out_of_work());
}
