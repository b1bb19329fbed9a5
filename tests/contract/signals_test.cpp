// Contract 22.9 and D35: signals of the system end a run through Asio's signal_set.
#include <doctest/doctest.h>
#include <async_timer/async_timer.hpp>

#include <chrono>
#include <csignal>

#if defined(ASYNC_TIMER_USE_STANDALONE_ASIO)
#include <asio/signal_set.hpp>
#else
#include <boost/asio/signal_set.hpp>
#endif

#include "support/fixture.hpp"
#include "support/tokens.hpp"

using namespace test;

TEST_CASE_FIXTURE(virtual_context,
                  "22.9, D35 signals: as a stop signal one ends the run gracefully") {
  net::signal_set signals(io, SIGUSR1);
  int stops = 0;
  async_timer::timer t{io,
                       1h,
                       [] { return 1; },
                       {.on_stop = [&] { ++stops; },
                        .stop_on = async_timer::stop_when(signals.async_wait(compat::deferred))}};
  t.start();
  clock.advance(3h);
  REQUIRE(t.is_running());
  REQUIRE(std::raise(SIGUSR1) == 0);
  clock.run_until_idle();
  CHECK_FALSE(t.is_running());
  CHECK(stops == 1);
  CHECK(t.hit_count() == 4);
}

TEST_CASE_FIXTURE(virtual_context,
                  "22.9, D35 signals: a handler of a signal_set may cancel and wait") {
  net::signal_set signals(io, SIGUSR1);
  async_timer::timer t{io, 1h, [] { return 1; }};
  no_value cancelled;
  signals.async_wait([&](const auto&, int) { t.cancel(into(cancelled)); });
  t.start();
  clock.advance(1h);
  REQUIRE(std::raise(SIGUSR1) == 0);
  clock.run_until_idle();
  CHECK(cancelled.completions == 1);
  CHECK_FALSE(cancelled.error);
  CHECK_FALSE(t.is_running());
}
