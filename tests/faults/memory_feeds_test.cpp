// Every allocation fails in turn: feeds. A value that there is no memory for is lost, is counted,
// and the consumer goes on.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/fixture.hpp"
#include "support/memory.hpp"
#include "support/stage.hpp"
#include "support/text.hpp"

using namespace test;
using async_timer::timer;

namespace {

template <class T>
std::unique_ptr<timer<T>> running(stage& on, const T& value) {
  const spared_memory ours;
  auto made = std::make_unique<timer<T>>(on.io, 1s, [value, c = on.capture()] { return value; });
  made->start();
  on.pass(100ms);
  return made;
}

}  // namespace

TEST_CASE("no memory: a feed that nobody reads, bounded and not") {
  fail_each([](stage& on) {
    const auto t = running(on, 42);
    auto unbounded =
        on.make([&] { return t->subscribe({.name = "a name too long to be in place"}); });
    auto bounded = on.make([&] { return t->subscribe({.maxsize = 3}); });
    on.pass(9s);
    CHECK(t->is_running());
    CHECK(t->hit_count() == 10);
    if (unbounded) CHECK(unbounded->qsize() + unbounded->dropped_count() == 9);
    if (bounded) {
      CHECK(bounded->qsize() <= 3);
      CHECK(bounded->qsize() + bounded->dropped_count() == 9);
      CHECK(on.records > 0);
      const auto buffered = bounded->qsize();
      CHECK(bounded->drop_oldest(2) == std::min<std::int64_t>(2, buffered));
    }
    unbounded.reset();
    on.calm();
    on.expect_works(*t);
  });
}

TEST_CASE("no memory: a feed without bound loses the newest value, and that is what it tells") {
  fail_each([](stage& on) {
    std::string told;
    std::unique_ptr<async_timer::subscription<int>> feed;
    const auto t = running(on, 42);
    {
      const spared_memory ours;
      feed = std::make_unique<async_timer::subscription<int>>(t->subscribe({.name = "all"}));
      async_timer::set_log_sink([&](const async_timer::log_record& record) {
        const spared_memory ours_again;
        told += record.message;
      });
    }
    on.pass(9s);
    CHECK(feed->qsize() + feed->dropped_count() == 9);
    CHECK(contains(told, "dropped newest value") == (feed->dropped_count() > 0));
    CHECK_FALSE(contains(told, "oldest"));
    on.calm();
    async_timer::set_log_sink({});
  });
}

TEST_CASE("no memory: a full feed loses the oldest value, and tells so in fewer words") {
  stage on;
  const auto t = running(on, 42);
  auto feed = t->subscribe({.maxsize = 3, .name = "latest"});
  on.pass(4s);
  REQUIRE(feed.qsize() == 3);
  std::string told;
  async_timer::set_log_sink([&](const async_timer::log_record& record) {
    const spared_memory ours;
    told += record.message;
  });
  {
    const failing_memory failing(1, 1'000);
    on.pass(1s);
  }
  CHECK(told == "a feed is full: dropped oldest value");
  CHECK(feed.dropped_count() == 2);
  async_timer::set_log_sink({});
}

TEST_CASE("no memory: drop_oldest needs none") {
  stage on;
  const auto t = running(on, long_text);
  auto feed = t->subscribe();
  on.pass(9s);
  {
    const failing_memory failing(1, 1'000);
    CHECK(feed.drop_oldest(4) == 4);
    CHECK(feed.drop_oldest(100) == 5);
    CHECK(failing_memory::outcome().failures == 0);
  }
  CHECK(feed.dropped_count() == 9);
  CHECK(feed.qsize() == 0);
}

TEST_CASE("no memory: a consumer that takes and waits, with a slot") {
  fail_each([](stage& on) {
    const auto t = running(on, long_text);
    const auto feed = on.make([&] { return t->subscribe(); });
    if (!feed) return;
    on.begin_cancellable("waiting", [&](auto handler) { feed->next(std::move(handler)); });
    on.begin_cancellable("also", [&](auto handler) { feed->next(std::move(handler)); });
    on.pass(1s);
    on.cancel_all();
    on.pass(1s);
    on.begin_cancellable("buffered", [&](auto handler) { feed->next(std::move(handler)); });
    on.cancel_all();  // a value on its way goes back
    on.pass(2s);
    on.begin("the rest", [&](auto handler) { feed->next(std::move(handler)); });
    on.calm();
    on.expect_works(*t);
    CHECK(feed->closed());
  });
}

TEST_CASE("no memory: a consumer on another context, which goes") {
  fail_each(
      [](stage& on) {
        const auto t = running(on, 42);
        const auto feed = on.make([&] { return t->subscribe_shared(); });
        if (!feed) return;
        auto other = [] {
          const spared_memory ours;
          return std::make_unique<net::io_context>();
        }();
        on.attempt([&] {
          feed->next(net::bind_executor(other->get_executor(),
                                        [c = on.capture()](auto&&...) { FAIL("was called"); }));
        });
        other.reset();
        CHECK(on.captures == 1);  // the target's own
        on.pass(1s);
        on.calm();
        on.expect_works(*t);
      },
      spared_for_asio::some);
}

TEST_CASE("no memory: the target fails under its feeds") {
  fail_each([](stage& on) {
    bool fails = false;
    const auto t = on.make([&] {
      return timer<std::string>(on.io, 1s, [&fails, c = on.capture()] {
        if (fails) throw std::runtime_error(long_text);
        return long_text;
      });
    });
    if (!t) return;
    const auto first = on.make([&] { return t->subscribe(); });
    const auto second = on.make([&] { return t->subscribe_shared(); });
    if (!on.attempt([&] { t->start(); })) return;
    if (first) {
      for (int i = 0; i < 3; ++i) {
        on.begin_cancellable("first", [&](auto handler) { first->next(std::move(handler)); });
      }
    }
    if (second) on.begin("second", [&](auto handler) { second->next(std::move(handler)); });
    on.pass(100ms);
    fails = true;
    on.pass(1s);
    CHECK_FALSE(t->is_running());
    on.expect_runs_or_was_heard(*t);
    if (first) CHECK(first->closed());
    if (second) CHECK(second->closed());
    fails = false;
    on.calm();
    on.expect_works(*t);
  });
}

TEST_CASE("no memory: feeds that come and go leave nothing with the timer") {
  fail_each([](stage& on) {
    const auto t = running(on, 42);
    for (int i = 0; i < 4; ++i) {
      auto one = on.make([&] { return t->subscribe(); });
      auto another = on.make([&] { return t->subscribe(); });
      on.pass(1s);
      one.reset();
    }
    on.calm();
    static_cast<void>(t->subscribe());  // may be the first one that there was memory for
    const auto before = memory_in_use();
    auto feed = std::make_unique<async_timer::subscription<int>>(t->subscribe());
    feed.reset();
    CHECK(memory_in_use().blocks <= before.blocks);
    on.expect_works(*t);
  });
}

namespace {

/// Counts the allocations of a call that leaves nothing behind.
template <class Call>
std::int64_t allocations_of(Call call) {
  for (std::int64_t first = 1;; ++first) {
    try {
      const failing_memory fails(first);
      call();
    } catch (const std::bad_alloc&) {
    }
    if (failing_memory::outcome().failures == 0) return first - 1;
  }
}

}  // namespace

TEST_CASE_FIXTURE(virtual_context, "13.1 a feed more needs memory for itself alone") {
  timer<int> t{io, 1s, [] { return 1; }};
  t.start();
  const auto comes_and_goes = [&] { static_cast<void>(t.subscribe()); };
  const auto with_a_list = allocations_of(comes_and_goes);
  std::vector<async_timer::subscription<int>> feeds;
  for (int i = 0; i < 5; ++i) feeds.push_back(t.subscribe());
  const auto without = allocations_of(comes_and_goes);
  CHECK(without < with_a_list);
  clock.advance(1s);  // a delivery reads the list
  CHECK(allocations_of(comes_and_goes) == without);
  feeds.back().close();
  CHECK(allocations_of(comes_and_goes) == without);
}
