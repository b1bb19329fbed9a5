// What timers leave to the other functions of their context, and what they ask of it.
#include <doctest/doctest.h>

#include <exception>
#include <memory>
#include <optional>
#include <vector>

#include "support/fixture.hpp"

using namespace test;
using async_timer::timer;

namespace {

/// Tells how many of so many timers, all due at once, tick before what the first of them posts.
template <class MakeTarget>
int ticks_before_a_posted_function(int timers, MakeTarget make_target) {
  net::io_context io{1};
  async_timer::virtual_clock clock{io};
  int ticks = 0;
  int before = -1;
  const auto tick = [&] {
    if (ticks++ == 0) net::post(io, [&] { before = ticks; });
  };
  std::vector<std::unique_ptr<timer<void>>> all;
  for (int i = 0; i < timers; ++i) {
    all.push_back(std::make_unique<timer<void>>(io, 1h, make_target(tick)));
    all.back()->start();
  }
  clock.run_until_idle();
  CHECK(ticks == timers);
  CHECK(before > 0);
  return before;
}

}  // namespace

TEST_CASE("3.4 turns: of very many timers that are due at once a part ticks, then others run") {
  constexpr int timers = 4000;
  SUBCASE("3.4 plain targets") {
    const auto plain = [](auto tick) { return [tick] { tick(); }; };
    CHECK(ticks_before_a_posted_function(timers, plain) < timers / 4);
  }
  SUBCASE("3.4 asynchronous targets") {
    const auto awaited = [](auto tick) {
      return [tick]() -> net::awaitable<void> {
        tick();
        co_return;
      };
    };
    CHECK(ticks_before_a_posted_function(timers, awaited) < timers / 4);
  }
}

TEST_CASE_FIXTURE(virtual_context, "3.1, 10.5 turns: what is not due asks nothing of the context") {
  const auto guard = net::make_work_guard(io);
  timer<int> t{io, 1h, answer, {.initial_delay = 1h}};
  t.start();
  CHECK(io.poll() == 0);
  outcome<std::optional<int>> waited;
  t.wait({.hits = 1, .timeout = 1h}, into(waited));
  CHECK(io.poll() == 0);
  t.request_stop();
  io.poll();
  CHECK(waited.kind() == "stopped");
}

TEST_CASE_FIXTURE(virtual_context,
                  "8.4 turns: a timer is work of its context in each of its runs") {
  timer<int> t{io, 1h, answer};
  timer<int> other{io, 1h, answer};
  for (int run = 0; run < 3; ++run) {
    CAPTURE(run);
    io.restart();
    t.start();
    other.start();
    io.poll();
    CHECK_FALSE(io.stopped());
    t.request_stop();
    io.poll();
    CHECK_FALSE(io.stopped());  // the other runs on
    other.request_stop();
    io.poll();
    CHECK(io.stopped());
  }
}
