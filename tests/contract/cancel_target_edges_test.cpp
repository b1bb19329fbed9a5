// Contract section 15: asynchronous targets that are stopped again and again, and what they leave
// running.
#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/fixture.hpp"
#include "support/tokens.hpp"
#include "support/turnstile.hpp"

using namespace test;
using async_timer::timer;

TEST_CASE_FIXTURE(virtual_context,
                  "15.4, 15.10 cancel: reaches the target in each run, one after the other") {
  turnstile hold{io};
  timer keeps_runners{io, 1h, [] {}};  // they go with the last timer of an executor
  timer t{io, 1h, [&] { return hold.wait(); }};
  keeps_runners.start();
  for (int run = 0; run < 4; ++run) {
    t.start();
    clock.run_until_idle();
    REQUIRE(hold.waiting() == 1);
    no_value cancelled;
    t.cancel(into(cancelled));
    clock.run_until_idle();
    CHECK(cancelled.completions == 1);
    CHECK(hold.waiting() == 0);
    CHECK(t.hit_count() == 0);
  }
  keeps_runners.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "15.4, 15.10 cancel: one that finds the target's end on its way stops nobody "
                  "else's target") {
  timer keeps_runners{io, 1h, [] {}};
  std::optional<timer<void>> t;
  t.emplace(io, 1h, [&]() -> net::awaitable<void> {
    net::post(io, [&] { t->request_stop(); });
    co_await net::post(net::use_awaitable);  // and so ends when the stop is behind it in the queue
  });
  timer next_on_its_runner{io, 1h, []() -> net::awaitable<int> { co_return 42; }};
  keeps_runners.start();
  t->start();
  clock.run_until_idle();
  CHECK_FALSE(t->is_running());
  CHECK(t->hit_count() == 1);
  next_on_its_runner.start();
  clock.run_until_idle();
  CHECK(next_on_its_runner.last_result() == 42);
  next_on_its_runner.request_stop();
  keeps_runners.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "15.1, 15.10 cancel: of a target that would be next, by the one before it") {
  std::optional<timer<int>> second;
  int stops = 0;
  timer first{io, 1h, [&]() -> net::awaitable<void> {
                if (second->hit_count() == 1) second->request_stop();
                co_return;
              }};
  int calls = 0;
  second.emplace(
      io, 1h, [&]() -> net::awaitable<int> { co_return ++calls; },
      async_timer::timer_options{.on_stop = [&] { ++stops; }});
  first.start();
  second->start();
  clock.run_until_idle();
  REQUIRE(calls == 1);
  clock.advance(1h);  // one runner serves both, one after the other
  CHECK(calls == 1);
  CHECK(stops == 1);
  CHECK(second->hit_count() == 1);
  CHECK_FALSE(second->is_running());
  first.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "2.2, 15.1 target: what it leaves running on its executor is work of the "
                  "context") {
  net::io_context there;
  net::steady_timer never{there, net::steady_timer::time_point::max()};
  bool ended = false;
  const auto child = [&]() -> net::awaitable<void> {
    auto wait = never.async_wait(net::use_awaitable);
    try {
      co_await std::move(wait);
    } catch (const async_timer::system_error&) {
    }
    ended = true;
  };
  timer t{io, 1h, [&]() -> net::awaitable<void> {
            auto executor = co_await net::this_coro::executor;
            net::co_spawn(executor, child(), net::detached);
          }};
  t.start();
  clock.run_until_idle();
  t.request_stop();
  clock.run_until_idle();
  CHECK_FALSE(t.is_running());
  CHECK_FALSE(out_of_work());
  never.cancel();
  there.run();
  clock.run_until_idle();
  CHECK(ended);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "14.10, D23 inside the target: each of those that are due together is known") {
  std::vector<std::string> got;
  std::vector<timer<int>*> all;
  const auto joins_itself = [&](std::size_t index) {
    return [&, index]() -> net::awaitable<int> {
      if (index == 0) co_return 1;  // and the runner goes on with the next one
      co_await net::post(net::use_awaitable);
      try {
        co_await all[index]->join();
        got.emplace_back("a value");
      } catch (const async_timer::self_wait_error&) {
        got.emplace_back("self_wait");
      }
      co_return 1;
    };
  };
  timer first{io, 1s, joins_itself(0)};
  timer second{io, 1s, joins_itself(1)};
  timer third{io, 1s, joins_itself(2)};
  all = {&first, &second, &third};
  for (auto* each : all) each->start();
  clock.advance(2s);
  CHECK(got == std::vector<std::string>(6, "self_wait"));
  for (auto* each : all) each->request_stop();
  CHECK(out_of_work());
}
