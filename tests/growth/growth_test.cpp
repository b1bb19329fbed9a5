// Nothing grows: whatever comes and goes, the second half of it holds no more memory than the
// first. ASYNC_TIMER_GROWTH_SCALE=10 makes each run ten times as long, for a soak.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "growth/busy_day.hpp"
#include "support/fixture.hpp"
#include "support/generators.hpp"
#include "support/memory.hpp"

using namespace test;
using async_timer::timer;
using async_timer::timer_group;

namespace {

std::int64_t scaled(std::int64_t count) {
  const char* const scale = std::getenv("ASYNC_TIMER_GROWTH_SCALE");
  return count * (scale != nullptr ? std::max(1, std::atoi(scale)) : 1);
}

/// Calls round(i) so many times; asserts that the most memory that was in use after a round of the
/// second half is not more than after one of the first half, in blocks and in bytes.
template <class Round>
void expect_flat(std::int64_t rounds, Round round) {
  memory_use most[2];
  for (std::int64_t i = 0; i < rounds; ++i) {
    round(i);
    const auto now = memory_in_use();
    auto& half = most[i < rounds / 2 ? 0 : 1];
    half.blocks = std::max(half.blocks, now.blocks);
    half.bytes = std::max(half.bytes, now.bytes);
  }
  CHECK(most[1].blocks <= most[0].blocks);
  CHECK(most[1].bytes <= most[0].bytes);
}

constexpr auto ignore = [](auto&&...) {};

}  // namespace

TEST_CASE("growth: a day of a thousand timers, with consumers that come and go") {
  busy_day timers;
  // In the first day each timer meets its first consumer, for which it makes a place that stays.
  for (int hour = 0; hour < 24; ++hour) timers.pass_an_hour();
  expect_flat(scaled(24), [&](std::int64_t) { timers.pass_an_hour(); });
}

TEST_CASE_FIXTURE(virtual_context,
                  "growth: timers that are made, started, cancelled and destroyed") {
  expect_flat(scaled(1'000), [&](std::int64_t) {
    for (int i = 0; i < 1'000; ++i) {
      timer<int> t{io, 1s, [] { return 1; }, {.name = i % 2 == 0 ? "a name" : ""}};
      t.start();
      t.cancel(ignore);
      if (i % 10 == 0) clock.run_until_idle();
    }
    clock.run_until_idle();
  });
}

TEST_CASE_FIXTURE(virtual_context,
                  "growth: a timer that is started and cancelled again and again") {
  timer<int> plain{io, 1s, [] { return 1; }};
  timer<int> made{io, 1s, [] { return count_up(1, 100); }};
  timer<int> later{io, 1s, []() -> net::awaitable<int> { co_return 1; }};
  expect_flat(scaled(5'000), [&](std::int64_t) {
    for (auto* t : {&plain, &made, &later}) t->start();
    clock.advance(1s);
    for (auto* t : {&plain, &made, &later}) t->cancel(ignore);
    clock.run_until_idle();
  });
}

TEST_CASE_FIXTURE(virtual_context, "growth: waits whose time is over") {
  timer<int> t{io, 1h, [] { return 1; }};
  t.start();
  expect_flat(scaled(1'000), [&](std::int64_t) {
    for (int i = 0; i < 10; ++i) t.wait({.hits = 1'000'000'000, .timeout = 1s}, ignore);
    clock.advance(2s);
  });
}

TEST_CASE_FIXTURE(virtual_context, "growth: joins that are cancelled by their slots") {
  timer<int> t{io, 1h, [] { return 1; }};
  t.start();
  clock.run_until_idle();
  expect_flat(scaled(1'000), [&](std::int64_t) {
    for (int i = 0; i < 100; ++i) {
      net::cancellation_signal signal;
      t.join(net::bind_cancellation_slot(signal.slot(), ignore));
      signal.emit(net::cancellation_type::terminal);
      clock.run_until_idle();
    }
  });
}

TEST_CASE_FIXTURE(virtual_context, "growth: feeds that are abandoned, full, unread, waited for") {
  timer<std::string> t{io, 1s, [] { return std::string(40, 'x'); }};
  t.start();
  auto kept = t.subscribe({.maxsize = 100});
  expect_flat(scaled(1'000), [&](std::int64_t i) {
    auto unread = t.subscribe();
    auto full = t.subscribe({.maxsize = 2, .name = "full"});
    auto waiting = t.subscribe_shared();
    waiting.next(ignore);
    waiting.next(ignore);
    clock.advance(4s);
    if (i % 2 == 0) unread.close();
    kept.drop_oldest(3);
  });
}

TEST_CASE_FIXTURE(virtual_context, "growth: a feed that is read as fast as it is filled") {
  timer<std::string> t{io, 1s, [] { return std::string(40, 'x'); }};
  t.start();
  auto feed = t.subscribe();
  expect_flat(scaled(10'000), [&](std::int64_t) {
    clock.advance(1s);
    while (feed.qsize() > 0) {
      feed.next(ignore);
      clock.run_until_idle();
    }
  });
}

TEST_CASE_FIXTURE(virtual_context, "growth: strands, and so lanes, that are made and dropped") {
  timer<int> steady{io, 1h, [] { return 1; }};
  steady.start();
  expect_flat(scaled(10'000), [&](std::int64_t) {
    timer<int> t{net::make_strand(io), 1s, [] { return 1; }};
    t.start();
    clock.run_until_idle();
  });
}

TEST_CASE_FIXTURE(virtual_context, "growth: contexts that are made and dropped, with all on them") {
  expect_flat(scaled(500), [](std::int64_t) {
    virtual_context other;
    timer<std::string> t{other.io, 1s, [] { return std::string(40, 'x'); }};
    timer<int> later{other.io, 1s, []() -> net::awaitable<int> { co_return 1; }};
    auto feed = t.subscribe();
    t.start();
    later.start();
    feed.next(ignore);
    later.wait({.hits = 10, .timeout = 1h}, ignore);
    other.clock.advance(2s);
  });
}

TEST_CASE_FIXTURE(virtual_context, "growth: groups, their operations, and their members") {
  timer_group steady{io};
  for (int i = 0; i < 10; ++i) steady.add(timer<int>(io, 1s, [] { return 1; }));
  steady.start();
  expect_flat(scaled(1'000), [&](std::int64_t) {
    timer_group group{io, {.name = "of its own"}};
    for (int i = 0; i < 5; ++i) group.add(timer<int>(io, 1s, [] { return 1; }));
    group.start();
    group.add(timer<void>(io, 1s, [] {}));
    group.wait({.hits = 1, .timeout = 10s}, ignore);
    steady.wait({.hits = 2, .timeout = 1s}, ignore);
    steady.trigger(ignore);
    clock.advance(2s);
    group.cancel_all(ignore);
    clock.run_until_idle();
  });
}

TEST_CASE_FIXTURE(virtual_context, "growth: stop signals that are armed and let go") {
  timer<int> other{io, 1h, [] { return 1; }};
  other.start();
  std::stop_source never;
  net::steady_timer at(io, std::chrono::steady_clock::time_point::max());
  // Asio keeps some two hundred mutexes for strands, each made when a strand first happens upon it.
  for (int i = 0; i < 20'000; ++i) net::make_strand(io);
  expect_flat(scaled(1'000), [&](std::int64_t) {
    async_timer::timer_options options;
    options.stop_on = async_timer::stop_when(other, never.get_token(),
                                             [&](auto done) { at.async_wait(std::move(done)); });
    timer<int> t{io, 1s, [] { return 1; }, std::move(options)};
    t.start();
    clock.advance(1s);
    t.cancel(ignore);
    clock.run_until_idle();
  });
}

TEST_CASE_FIXTURE(virtual_context, "growth: failures, whose last one is kept") {
  const log_recorder log;
  timer<int> t{io,
               1s,
               []() -> int { throw std::runtime_error(std::string(100, 'x')); },
               {.on_error = [] {}}};
  expect_flat(scaled(5'000), [&](std::int64_t) {
    t.start();
    t.join(ignore);
    clock.run_until_idle();
  });
}

TEST_CASE_FIXTURE(virtual_context, "growth: asynchronous targets that are many at once, and few") {
  // Runners stay for as many as were busy at once, and no more.
  std::vector<timer<int>> timers;
  for (int i = 0; i < 100; ++i) {
    timers.emplace_back(io, 1s, []() -> net::awaitable<int> {
      auto executor = co_await net::this_coro::executor;
      auto hop = net::post(executor, net::use_awaitable);
      co_await std::move(hop);
      co_return 1;
    });
    timers.back().start();
  }
  clock.advance(10s);
  expect_flat(scaled(200), [&](std::int64_t i) {
    timers[static_cast<std::size_t>(i % 100)].cancel(ignore);
    clock.advance(1s);
    timers[static_cast<std::size_t>(i % 100)].start();
    clock.advance(1s);
  });
}

// --- what is captured goes when its time is over

TEST_CASE_FIXTURE(virtual_context, "growth: what a run made is gone when cancel() resolves") {
  int live = 0;
  timer<int> t{io, 1s, [&] { return count_up_alive(1, 100, live_token(live)); }};
  for (int run = 0; run < 3; ++run) {
    t.start();
    clock.advance(2s);
    CHECK(live == 1);
    int live_then = -1;
    t.cancel([&](const std::exception_ptr&) { live_then = live; });
    clock.run_until_idle();
    CHECK(live_then == 0);
  }
}

TEST_CASE_FIXTURE(virtual_context,
                  "growth: what a destroyed timer captured is gone when cancel() resolves") {
  int live = 0;
  const auto held = [&] { return live_token(live); };
  std::optional<timer<int>> t;
  async_timer::timer_options options;
  options.on_error = [one = held()] {};
  options.on_stop = [one = held()] {};
  options.stop_on = async_timer::stop_when(
      [one = held()](auto done) { net::post(done.get_executor(), std::move(done)); });
  SUBCASE("that sleeps") {
    options.stop_on = {};
    t.emplace(
        io, 1s, [one = held()] { return 1; }, std::move(options));
  }
  SUBCASE("whose target waits") {
    options.stop_on = {};
    t.emplace(
        io, 1s,
        [this, one = held()]() -> net::awaitable<int> {
          net::steady_timer never(io, std::chrono::steady_clock::time_point::max());
          auto wait = never.async_wait(net::use_awaitable);
          co_await std::move(wait);
          co_return 1;
        },
        std::move(options));
  }
  SUBCASE("that waits for its signals") {
    t.emplace(
        io, 1s, [one = held()] { return 1; }, std::move(options));
  }
  options = {};
  t->start();
  clock.run_until_idle();
  int live_then = -1;
  t->cancel([&](const std::exception_ptr&) { live_then = live; });
  t.reset();
  clock.run_until_idle();
  CHECK(live_then == 0);
  CHECK(live == 0);
}
