// Contract section 13 under threads: feeds made, consumed and dropped while the timer ticks.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/feeds.hpp"
#include "support/fixture.hpp"
#include "support/threads.hpp"
#include "support/tokens.hpp"

using namespace test;

namespace {

using feed_of_int = async_timer::subscription<std::int64_t>;

/// Is silent, since a drop is what these tests are about.
struct no_log {
  no_log() {
    async_timer::set_log_sink([](const async_timer::log_record&) {});
  }
  ~no_log() { async_timer::set_log_sink({}); }
  no_log(const no_log&) = delete;
  no_log& operator=(const no_log&) = delete;
};

}  // namespace

TEST_CASE("13.8, 13.1 feed: pushed = consumed + dropped + buffered, with many consumers") {
  const no_log quiet;
  net::thread_pool pool(2);
  std::int64_t n = 0;
  async_timer::timer<std::int64_t> t{pool.get_executor(), 10us, [&] { return ++n; }};
  auto bounded = t.subscribe({.maxsize = 3});
  auto unbounded = t.subscribe();
  std::atomic<std::int64_t> consumed_bounded{0};
  std::atomic<std::int64_t> consumed_unbounded{0};
  std::atomic<int> disorder{0};
  std::atomic<int> over_full{0};
  std::atomic<bool> over{false};
  const auto consume = [&](feed_of_int& feed, std::atomic<std::int64_t>& consumed) {
    std::int64_t last = 0;
    while (const auto value = feed.next(net::use_future).get()) {
      if (*value <= last) ++disorder;
      last = *value;
      ++consumed;
    }
  };
  t.start();
  {
    thread_crew threads;
    for (int i = 0; i < 2; ++i) {
      threads.add([&] { consume(bounded, consumed_bounded); });
      threads.add([&] { consume(unbounded, consumed_unbounded); });
    }
    threads.add([&] {
      while (!over) {
        if (bounded.qsize() > 3) ++over_full;
        bounded.drop_oldest(1);
        std::this_thread::yield();
      }
    });
    t.wait({.hits = 2000}, net::use_future).get();
    t.cancel(net::use_future).get();
    over = true;
  }
  CHECK(bounded.closed());
  CHECK(bounded.qsize() == 0);
  CHECK(t.hit_count() == consumed_bounded + bounded.dropped_count());
  CHECK(t.hit_count() == consumed_unbounded);
  CHECK(unbounded.dropped_count() == 0);
  CHECK(disorder == 0);
  CHECK(over_full == 0);
  pool.join();
}

TEST_CASE("13.22, D19 feed: made, read and dropped by many threads while the timer ticks") {
  const no_log quiet;
  constexpr int rounds = 150;
  net::thread_pool pool(2);
  std::int64_t n = 0;
  std::atomic<int> gaps{0};
  std::atomic<int> twice{0};
  async_timer::timer<std::int64_t> t{pool.get_executor(), 10us, [&] { return ++n; }};
  auto all = t.subscribe();
  t.start();
  {
    thread_crew threads;
    for (int i = 0; i < 3; ++i) {
      threads.add([&, i] {
        for (int round = 0; round < rounds; ++round) {
          auto feed = t.subscribe({.maxsize = round % 3 == 0 ? 1 : 0});
          auto shared = t.subscribe_shared();
          const auto first = shared.next(net::use_future).get();
          const auto second = shared.next(net::use_future).get();
          if (!first || !second || **second != **first + 1) ++gaps;
          if ((round + i) % 3 == 0) feed.close();
          auto pending = std::make_shared<std::atomic<int>>(0);
          feed.next([pending, &twice](std::exception_ptr, std::optional<std::int64_t>) {
            if (pending->fetch_add(1) != 0) ++twice;
          });
        }
      });
    }
  }
  t.cancel(net::use_future).get();
  pool.join();
  CHECK(gaps == 0);
  CHECK(twice == 0);
  CHECK(all.qsize() == t.hit_count());
}

TEST_CASE("13.29 next: cancellations race with ticks, and no value is lost") {
  constexpr int rounds = 2000;
  net::thread_pool pool(1);
  net::io_context own(1);  // handlers and emits here, ticks over there
  std::int64_t n = 0;
  async_timer::timer<std::int64_t> t{pool.get_executor(), 20us, [&] { return ++n; }};
  auto feed = t.subscribe();
  std::int64_t last = 0;
  std::int64_t consumed = 0;
  int disorder = 0;
  int aborted = 0;
  int completions = 0;
  t.start();
  for (int i = 0; i < rounds; ++i) {
    net::cancellation_signal signal;
    feed.next(net::bind_cancellation_slot(
        signal.slot(),
        net::bind_executor(own, [&](std::exception_ptr error, std::optional<std::int64_t> value) {
          ++completions;
          if (error) ++aborted;
          if (value) {
            ++consumed;
            if (*value != last + 1) ++disorder;
            last = *value;
          }
        })));
    for (int spin = 0; spin < i % 128; ++spin) static_cast<void>(t.hit_count());
    if (i % 3 == 0) std::this_thread::yield();
    signal.emit(net::cancellation_type::terminal);
    own.restart();
    own.run();
  }
  t.cancel(net::use_future).get();
  CHECK(completions == rounds);
  CHECK(consumed + aborted == rounds);
  CHECK(disorder == 0);
  CHECK(t.hit_count() == consumed + feed.qsize());
  pool.join();
}

TEST_CASE("13.16, D18 end: runs end and begin again under consumers on all threads") {
  constexpr int rounds = 60;
  net::thread_pool pool(2);
  std::atomic<int> begun{0};
  std::atomic<int> ended{0};
  std::atomic<int> unexpected{0};
  std::int64_t n = 0;
  async_timer::timer<std::int64_t> t{pool.get_executor(), 10us, [&] { return ++n; }};
  for (int round = 0; round < rounds; ++round) {
    auto feed = t.subscribe();
    thread_crew threads;
    for (int i = 0; i < 2; ++i) {
      ++begun;
      threads.add([&] {
        while (feed.next(net::use_future).get()) {
        }
        ++ended;
        if (!feed.closed()) ++unexpected;
      });
    }
    t.start();
    if (round % 2 == 0) t.join(net::use_future).get();
    t.cancel(net::use_future).get();
  }
  CHECK(ended == begun);
  CHECK(unexpected == 0);
  pool.join();
}

TEST_CASE("13.23, D9 feed: its timer is destroyed while others read it") {
  net::thread_pool pool(2);
  std::atomic<int> ended{0};
  for (int round = 0; round < 60; ++round) {
    std::optional<async_timer::timer<int>> t(std::in_place, pool.get_executor(), 10us,
                                             [] { return 1; });
    auto feed = t->subscribe();
    t->start();
    thread_crew threads;
    threads.add([&] {
      while (feed.next(net::use_future).get()) {
      }
      ++ended;
    });
    if (round % 2 == 0) std::this_thread::yield();
    t.reset();
  }
  CHECK(ended == 60);
  pool.join();
}
