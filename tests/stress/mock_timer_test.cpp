// A mock timer that is started on another thread than its context's.
#include <doctest/doctest.h>
#include <async_timer/async_timer.hpp>
#include <async_timer/testing.hpp>

#include <chrono>
#include <vector>

#include "support/fixture.hpp"
#include "support/threads.hpp"
#include "support/tokens.hpp"

using namespace test;

TEST_CASE("21.3, 26.5 mock: no initial sleep is missed by a start on another thread") {
  event_loop loop;
  // Keeps the loop awake, so that it comes to a timer while start() has not returned yet.
  async_timer::timer busy{loop.io, 0s, [] {}};
  busy.start();
  int missed = 0;
  for (int round = 0; round < 3000; ++round) {
    async_timer::mock_timer t{
        loop.io, 1s, [] { throw async_timer::end_of_ticks{}; }, {.initial_delay = 3s}};
    t.start();
    t.wait(net::use_future).wait();
    if (t.sleeps() != std::vector<std::chrono::nanoseconds>{3s}) ++missed;
  }
  CHECK(missed == 0);
  busy.cancel(net::use_future).get();
}
