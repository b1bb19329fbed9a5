// Contract section 13, while the timer runs: reading, order, bounds, dropping, closing.
#include "support/feeds.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "support/fixture.hpp"
#include "support/operations.hpp"
#include "support/tokens.hpp"
#include "support/trace.hpp"

using namespace test;
using ints = std::vector<int>;
using feed_of_int = async_timer::subscription<int>;

// 13.21: a handle that owns its place in the timer.
static_assert(!std::is_copy_constructible_v<feed_of_int>);
static_assert(!std::is_copy_assignable_v<feed_of_int>);
static_assert(std::is_nothrow_move_constructible_v<feed_of_int>);
static_assert(std::is_nothrow_move_assignable_v<feed_of_int>);
// 1.15: the element type is the timer's.
static_assert(std::is_same_v<feed_of_int::value_type, int>);
static_assert(std::is_same_v<async_timer::subscription<void>::value_type, std::monostate>);
static_assert(std::is_same_v<decltype(std::declval<async_timer::timer<std::string>&>().subscribe()),
                             async_timer::subscription<std::string>>);

TEST_CASE_FIXTURE(counting_timer, "13.1, 13.6 feed: each gets every tick, in order, by itself") {
  auto read = t.subscribe();
  auto left = t.subscribe();
  reading<int> got;
  read_on(read, got);
  start(3);
  CHECK(got.values == ints{1, 2, 3});
  CHECK(read.qsize() == 0);
  CHECK(left.qsize() == 3);
  CHECK(drain(*this, left) == ints{1, 2, 3});
  tick(2);
  CHECK(got.values == ints{1, 2, 3, 4, 5});
  CHECK(drain(*this, left) == ints{4, 5});
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "13.1 feed: waiters of the timer take nothing from it") {
  auto feed = t.subscribe();
  start(1);
  outcome<int> joined;
  outcome<int> triggered;
  t.join(into(joined));
  tick(1);
  t.trigger(into(triggered));
  clock.run_until_idle();
  CHECK(joined.value == 2);
  CHECK(triggered.value == 3);
  CHECK(drain(*this, feed) == ints{1, 2, 3});
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "13.2 feed: sees no tick from before the subscription") {
  start(2);
  auto feed = t.subscribe();
  CHECK(feed.qsize() == 0);
  tick(1);
  CHECK(drain(*this, feed) == ints{3});
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(busy_timer, "13.2 feed: sees the tick that is in flight") {
  REQUIRE(calls == 2);
  REQUIRE(t.hit_count() == 1);
  auto feed = t.subscribe();
  hold.open();
  clock.run_until_idle();
  CHECK(drain(*this, feed) == ints{2});
  finish();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "13.2 feed: made inside the target it sees that very tick") {
  int n = 0;
  std::optional<async_timer::timer<int>> t;
  std::optional<feed_of_int> feed;
  t.emplace(io, 1s, [&] {
    if (++n == 2) feed.emplace(t->subscribe());
    return n;
  });
  t->start();
  clock.advance(2s);
  REQUIRE(feed);
  CHECK(drain(*this, *feed) == ints{2, 3});
  t->request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "13.3 feed: maxsize must be >= 0, and says so") {
  for (const auto bad : {std::int64_t{-1}, std::numeric_limits<std::int64_t>::min()}) {
    CHECK_THROWS_WITH_AS(static_cast<void>(t.subscribe({.maxsize = bad})),
                         doctest::Contains("maxsize"), std::invalid_argument);
    CHECK_THROWS_WITH_AS(static_cast<void>(t.subscribe_shared({.maxsize = bad})),
                         doctest::Contains("maxsize"), std::invalid_argument);
  }
  auto unbounded = t.subscribe({.maxsize = 0});
  auto huge = t.subscribe({.maxsize = std::numeric_limits<std::int64_t>::max()});
  start(500);
  CHECK(unbounded.qsize() == 500);
  CHECK(huge.qsize() == 500);
  CHECK(unbounded.dropped_count() == 0);
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "13.4 feed: made before start, with a consumer that waits") {
  auto feed = t.subscribe();
  const auto first = take(feed);
  clock.advance(1h);
  CHECK_FALSE(first->done());
  start(1);
  CHECK(first->completions == 1);
  CHECK(first->value == 1);
  CHECK(feed.qsize() == 0);  // not kept for a second reader
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "13.1 next: never completes inline") {
  auto feed = t.subscribe();
  start(1);
  const auto first = take(feed);
  CHECK_FALSE(first->done());
  clock.run_until_idle();
  CHECK(first->value == 1);
  feed.close();
  const auto end = take(feed);
  CHECK_FALSE(end->done());
  clock.run_until_idle();
  CHECK(end->ended());
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "13.6 feed: a slow coroutine misses nothing") {
  int n = 0;
  async_timer::timer t{io, 1s, [&] { return ++n; }};
  async_timer::timer pace{io, 3s, [] {}};
  auto feed = t.subscribe();
  ints got;
  t.start();
  pace.start();
  auto consumer = [&]() -> net::awaitable<void> {
    while (auto value = co_await feed.next()) {
      got.push_back(*value);
      if (got.size() == 20) break;
      co_await pace.join();
    }
  };
  spawn(std::ref(consumer));
  clock.advance(200s);
  ints expected;
  for (int i = 1; i <= 20; ++i) expected.push_back(i);
  CHECK(got == expected);
  CHECK(feed.dropped_count() == 0);
  CHECK(feed.qsize() == n - 20);
  t.request_stop();
  pace.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "13.7 feed: full, it drops the oldest and keeps the new one") {
  const log_recorder log;
  auto feed = t.subscribe({.maxsize = 2, .name = "prices"});
  auto unnamed = t.subscribe({.maxsize = 3});
  start(2);
  CHECK(feed.dropped_count() == 0);
  CHECK(log.records().empty());
  tick(2);
  CHECK(feed.qsize() == 2);
  CHECK(feed.dropped_count() == 2);
  REQUIRE(log.records().size() == 3);
  const auto& first = log.records()[0];
  CHECK(first.level == async_timer::log_level::warning);
  CHECK(first.logger == "async_timer.subscription");
  CHECK(first.event == "async_timer.subscription_drop");
  CHECK(first.field("subscription_name") == "prices");
  CHECK(first.field("maxsize") == "2");
  CHECK(first.field("dropped_count") == "1");
  for (const auto* part : {"prices", "maxsize 2", "dropped oldest", "1"})
    CHECK(first.message.find(part) != std::string::npos);
  CHECK(log.records()[1].field("dropped_count") == "2");
  const auto& other = log.records()[2];
  CHECK(other.field("subscription_name") == "<unnamed>");
  CHECK(other.field("maxsize") == "3");
  CHECK(other.message.find("<unnamed>") != std::string::npos);
  CHECK(drain(*this, feed) == ints{3, 4});
  CHECK(drain(*this, unnamed) == ints{2, 3, 4});
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer,
                  "13.7 feed: who waits gets the value, nothing is dropped for it") {
  const log_recorder log;
  auto feed = t.subscribe({.maxsize = 1});
  reading<int> got;
  read_on(feed, got);
  start(10);
  CHECK(got.values.size() == 10);
  CHECK(feed.dropped_count() == 0);
  CHECK(log.records().empty());
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "13.8 feed: pushed = consumed + dropped + buffered, always") {
  const log_recorder log;
  constexpr int maxsize = 5;
  auto feed = t.subscribe({.maxsize = maxsize});
  std::mt19937 random(7);
  std::int64_t consumed = 0;
  int last = 0;
  start(1);
  for (int step = 0; step < 400; ++step) {
    switch (random() % 4) {
      case 0:
      case 1:
        tick(static_cast<int>(random() % 4));
        break;
      case 2:
        feed.drop_oldest(static_cast<std::int64_t>(random() % 3));
        break;
      default:
        if (feed.qsize() > 0) {
          const auto one = take(feed);
          clock.run_until_idle();
          REQUIRE(one->value);
          REQUIRE(*one->value > last);
          last = *one->value;
          ++consumed;
        }
    }
    REQUIRE(feed.qsize() <= maxsize);
    REQUIRE(t.hit_count() == consumed + feed.dropped_count() + feed.qsize());
  }
  CHECK(consumed > 20);
  CHECK(feed.dropped_count() > 20);
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer,
                  "13.24, 13.9 drop_oldest: counts what it drops, and logs nothing") {
  const log_recorder log;
  auto feed = t.subscribe();
  CHECK(feed.drop_oldest() == 0);
  start(6);
  CHECK(feed.drop_oldest() == 1);
  CHECK(feed.drop_oldest(2) == 2);
  CHECK(feed.drop_oldest(0) == 0);
  CHECK(feed.dropped_count() == 3);
  CHECK(feed.qsize() == 3);
  CHECK_THROWS_WITH_AS(feed.drop_oldest(-1), doctest::Contains("n must be >= 0"),
                       std::invalid_argument);
  CHECK(feed.qsize() == 3);
  CHECK(drain(*this, feed) == ints{4, 5, 6});
  tick(2);
  CHECK(feed.drop_oldest(std::numeric_limits<std::int64_t>::max()) == 2);
  CHECK(feed.dropped_count() == 5);
  CHECK(feed.qsize() == 0);
  CHECK(log.records().empty());
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "13.25 drop_oldest: qsize - 1 keeps just the newest") {
  auto feed = t.subscribe();
  start(5);
  CHECK(feed.drop_oldest(feed.qsize() - 1) == 4);
  CHECK(drain(*this, feed) == ints{5});
  tick(3);
  feed.close();
  CHECK(feed.drop_oldest(100) == 3);
  CHECK(feed.closed());
  const auto end = take(feed);
  clock.run_until_idle();
  CHECK(end->ended());
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer,
                  "13.17, 13.18 close: keeps what is buffered, takes nothing more") {
  auto feed = t.subscribe();
  auto other = t.subscribe();
  start(2);
  CHECK_FALSE(feed.closed());
  feed.close();
  CHECK(feed.closed());
  feed.close();
  tick(2);
  CHECK(feed.qsize() == 2);
  CHECK(drain(*this, feed) == ints{1, 2});
  const auto end = take(feed);
  clock.run_until_idle();
  CHECK(end->ended());
  CHECK_FALSE(other.closed());
  CHECK(drain(*this, other) == ints{1, 2, 3, 4});
  CHECK(t.is_running());
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "13.17 close: ends who waits, once") {
  auto feed = t.subscribe();
  start(1);
  CHECK(drain(*this, feed) == ints{1});
  const auto waiting = take(feed);
  clock.run_until_idle();
  REQUIRE_FALSE(waiting->done());
  feed.close();
  CHECK_FALSE(waiting->done());  // not inline
  clock.run_until_idle();
  CHECK(waiting->ended());
  feed.close();
  tick(3);
  CHECK(waiting->completions == 1);
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "22.3, D33 close_threadsafe: closes like close, here as well") {
  auto never_run = t.subscribe();
  never_run.close_threadsafe();
  CHECK(never_run.closed());
  auto feed = t.subscribe();
  start(2);
  bool closed_inside = false;
  net::post(io, [&] {
    feed.close_threadsafe();  // on the event loop's own thread
    closed_inside = feed.closed();
  });
  clock.run_until_idle();
  CHECK(closed_inside);
  feed.close_threadsafe();
  CHECK(drain(*this, feed) == ints{1, 2});
  static_assert(noexcept(feed.close_threadsafe()));
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "13.20 close: in the loop over the feed, which then drains") {
  auto feed = t.subscribe();
  start(4);
  ints got;
  bool over = false;
  auto consumer = [&]() -> net::awaitable<void> {
    while (auto value = co_await feed.next()) {
      got.push_back(*value);
      if (got.size() == 2) feed.close();
    }
    over = true;
  };
  spawn(std::ref(consumer));
  CHECK(over);
  CHECK(got == ints{1, 2, 3, 4});
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "13.21, 13.22 feed: dropping the handle unsubscribes it") {
  const log_recorder log;
  auto stays = t.subscribe();
  std::shared_ptr<taken<int>> waiting;
  {
    auto goes = t.subscribe({.maxsize = 1});
    start(1);
    CHECK(drain(*this, goes) == ints{1});
    waiting = take(goes);
  }
  clock.run_until_idle();
  CHECK(waiting->ended());
  tick(5);
  CHECK(log.records().empty());  // nobody fills it any more
  CHECK(t.is_running());
  CHECK(drain(*this, stays) == ints{1, 2, 3, 4, 5, 6});
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "13.22, D19 feed: a dropped one lets go of its values") {
  auto tracked = std::make_shared<const int>(1);
  async_timer::timer t{io, 1s, [&] { return tracked; }};
  t.start();
  {
    auto feed = t.subscribe();
    auto other = t.subscribe_shared();
    clock.advance(4s);
    CHECK(feed.qsize() == 5);
    CHECK(tracked.use_count() >= 6);
  }
  clock.advance(1s);
  CHECK(tracked.use_count() == 2);  // ours, and last_result
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "13.21 feed: moving hands it over, and closes what it replaces") {
  auto first = t.subscribe();
  auto second = t.subscribe();
  start(2);
  CHECK(drain(*this, second) == ints{1, 2});
  const auto waiting = take(second);
  second = std::move(first);
  clock.run_until_idle();
  CHECK(waiting->ended());
  CHECK(second.qsize() == 2);
  CHECK_FALSE(second.closed());
  tick(1);
  auto third = std::move(second);
  CHECK(drain(*this, third) == ints{1, 2, 3});
  // NOLINTBEGIN(bugprone-use-after-move)
  CHECK(first.closed());
  CHECK(first.qsize() == 0);
  CHECK(first.dropped_count() == 0);
  first.close();
  CHECK_THROWS_AS(first.drop_oldest(), std::logic_error);
  CHECK_THROWS_AS(take(first), std::logic_error);
  // NOLINTEND(bugprone-use-after-move)
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "13.22, D19 feed: others may be dropped and made in a delivery") {
  // The log of a drop is what runs of a user's code in the middle of a delivery.
  auto first = t.subscribe({.maxsize = 1});
  std::optional<feed_of_int> second(t.subscribe());
  auto third = t.subscribe();
  std::optional<feed_of_int> made;
  start(1);
  int drops = 0;
  async_timer::set_log_sink([&](const async_timer::log_record&) {
    if (++drops == 1) {
      second.reset();
      made.emplace(t.subscribe());
    }
  });
  tick(2);
  async_timer::set_log_sink({});
  CHECK(drops == 2);
  CHECK(drain(*this, first) == ints{3});
  CHECK(drain(*this, third) == ints{1, 2, 3});
  REQUIRE(made);
  CHECK(drain(*this, *made) == ints{3});
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "13.28 feed: one delivery fills feeds in order of registration") {
  trace order;
  auto a = t.subscribe();
  auto b = t.subscribe();
  auto c = t.subscribe();
  // The waits begin the other way round: what counts is the registration of the feed.
  c.next(order.handler("c"));
  b.next(order.handler("b"));
  a.next(order.handler("a"));
  start(1);
  CHECK(order.text() == "a b c");
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "12.8, 13.28 tick: those who wait come before the feeds") {
  trace order;
  auto feed = t.subscribe();
  feed.next(order.handler("feed"));
  t.start();
  t.join(order.handler("join"));
  t.wait({.hits = 1}, order.handler("wait"));
  tick(0);
  CHECK(order.text() == "join wait feed");
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "13.16 next: several consumers compete, in order of asking") {
  auto feed = t.subscribe();
  const auto first = take(feed);
  const auto second = take(feed);
  start(1);
  CHECK(first->value == 1);
  CHECK_FALSE(second->done());
  tick(1);
  CHECK(second->value == 2);
  CHECK(first->completions == 1);
  CHECK(second->completions == 1);
  CHECK(feed.qsize() == 0);
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "13.1, 1.14 feed: of a timer without values gives something") {
  async_timer::timer t{io, 1s, [] {}};
  auto feed = t.subscribe();
  t.start();
  clock.advance(1s);
  CHECK(feed.qsize() == 2);
  CHECK(drain(*this, feed).size() == 2);
  t.request_stop();
  clock.run_until_idle();
  const auto end = take(feed);
  clock.run_until_idle();
  CHECK(end->ended());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "13.1, 1.14 feed: an empty optional as value is not the end") {
  int n = 0;
  async_timer::timer<std::optional<int>> t{io, 1s, [&]() -> std::optional<int> {
                                             if (++n == 1) return std::nullopt;
                                             return n;
                                           }};
  auto feed = t.subscribe();
  t.start();
  clock.advance(1s);
  const auto first = take(feed);
  const auto second = take(feed);
  clock.run_until_idle();
  REQUIRE(first->value.has_value());
  CHECK_FALSE(first->value->has_value());
  REQUIRE(second->value.has_value());
  CHECK(**second->value == 2);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "13.1 subscribe_shared: heavy values are one object for all") {
  async_timer::timer t{io, 1s, [] { return std::string(100, 'x'); }};
  auto one = t.subscribe_shared({.maxsize = 4});
  auto two = t.subscribe_shared();
  t.start();
  clock.advance(1s);
  const auto first = drain(*this, one);
  const auto second = drain(*this, two);
  REQUIRE(first.size() == 2);
  REQUIRE(second.size() == 2);
  CHECK(first[0] == second[0]);
  CHECK(first[1] == second[1]);
  CHECK(first[0] != first[1]);
  CHECK(*first[0] == std::string(100, 'x'));
  t.request_stop();
  clock.run_until_idle();
  const auto end = take(one);
  clock.run_until_idle();
  CHECK(end->ended());
  CHECK(out_of_work());
}

namespace {
struct copy_throws {
  int number = 0;
  std::shared_ptr<bool> armed;

  copy_throws() = default;
  explicit copy_throws(std::shared_ptr<bool> a) : number(1), armed(std::move(a)) {}
  copy_throws(copy_throws&&) = default;
  copy_throws& operator=(copy_throws&&) = default;
  copy_throws& operator=(const copy_throws&) = default;
  copy_throws(const copy_throws& other) : number(other.number), armed(other.armed) {
    if (armed && std::exchange(*armed, false)) throw std::runtime_error("no copy");
  }
  ~copy_throws() = default;
};
}  // namespace

TEST_CASE_FIXTURE(virtual_context, "13.1 feed: a copy that throws goes to that consumer alone") {
  auto armed = std::make_shared<bool>(false);
  async_timer::timer t{io, 1s, [&] { return copy_throws(armed); }};
  auto one = t.subscribe();
  auto two = t.subscribe();
  t.start();
  clock.advance(0s);
  *armed = true;
  const auto failed = take(one);
  const auto fine = take(two);
  clock.run_until_idle();
  CHECK(failed->completions == 1);
  CHECK(failed->kind() == "no copy");
  REQUIRE(fine->value);
  CHECK(fine->value->number == 1);
  CHECK(t.is_running());
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "13.29 next: cancelling a wait takes no value") {
  auto feed = t.subscribe();
  start(1);
  CHECK(drain(*this, feed) == ints{1});
  net::cancellation_signal signal;
  auto cancelled = std::make_shared<taken<int>>();
  feed.next(net::bind_cancellation_slot(signal.slot(), into(cancelled)));
  const auto other = take(feed);
  signal.emit(net::cancellation_type::terminal);
  CHECK_FALSE(cancelled->done());  // not inline
  clock.run_until_idle();
  CHECK(cancelled->completions == 1);
  CHECK(cancelled->kind() == "stopped");
  CHECK_FALSE(cancelled->value);
  tick(2);
  CHECK(other->value == 2);
  CHECK(drain(*this, feed) == ints{3});
  CHECK(t.is_running());
  CHECK_FALSE(feed.closed());
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(held_consumers,
                  "13.29 next: cancelled after it was given a value, it gives it back") {
  auto feed = t.subscribe();
  one a;
  take_there(feed, a);
  start(1);  // a has the value 1, its handler has not run
  CHECK(feed.qsize() == 0);
  tick(1);
  cancel(a);
  run_there();
  CHECK(a.got->completions == 1);
  CHECK(a.got->kind() == "stopped");
  CHECK_FALSE(a.got->value);
  CHECK(drain(*this, feed) == ints{1, 2});
  CHECK(feed.dropped_count() == 0);
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(held_consumers, "13.29 next: a buffered value comes back as well") {
  auto feed = t.subscribe();
  start(3);
  one a;
  take_there(feed, a);
  CHECK(feed.qsize() == 2);
  cancel(a);
  run_there();
  CHECK(a.got->kind() == "stopped");
  CHECK(drain(*this, feed) == ints{1, 2, 3});
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(held_consumers, "13.29 next: what comes back goes to who waits") {
  auto feed = t.subscribe();
  one a;
  take_there(feed, a);
  const auto other = take(feed);
  start(1);
  CHECK_FALSE(other->done());
  cancel(a);
  run_there();
  CHECK(feed.qsize() == 0);  // it is not in the buffer as well
  clock.run_until_idle();
  CHECK(a.got->kind() == "stopped");
  CHECK(other->completions == 1);
  CHECK(other->value == 1);
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(held_consumers, "13.29, 13.1 next: several values come back in their order") {
  for (const bool first_first : {true, false}) {
    CAPTURE(first_first);
    auto feed = t.subscribe();
    one a;
    one b;
    take_there(feed, a);
    take_there(feed, b);
    if (!t.is_running()) start(1);
    tick(first_first ? 1 : 2);
    cancel(first_first ? a : b);
    cancel(first_first ? b : a);
    run_there();
    CHECK(a.got->kind() == "stopped");
    CHECK(b.got->kind() == "stopped");
    const auto back = drain(*this, feed);
    REQUIRE(back.size() == 2);
    CHECK(back[0] + 1 == back[1]);
  }
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(held_consumers, "13.29, 13.8 next: what comes back keeps to the bound") {
  const log_recorder log;
  auto feed = t.subscribe({.maxsize = 1});
  one a;
  take_there(feed, a);
  start(2);  // 1 is handed over, 2 fills the feed
  cancel(a);
  run_there();
  CHECK(a.got->kind() == "stopped");
  CHECK(feed.qsize() <= 1);
  CHECK(t.hit_count() == feed.dropped_count() + feed.qsize());
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(held_consumers,
                  "13.29 next: a value given back after the end is still read first") {
  auto feed = t.subscribe();
  one a;
  take_there(feed, a);
  start(1);
  stop();
  REQUIRE(feed.closed());
  cancel(a);
  run_there();
  CHECK(a.got->kind() == "stopped");
  CHECK(drain(*this, feed) == ints{1});
  const auto end = take(feed);
  clock.run_until_idle();
  CHECK(end->ended());
  CHECK(out_of_work());
}
