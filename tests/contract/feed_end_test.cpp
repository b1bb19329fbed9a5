// Contract section 13, the end: of runs, of timers, of contexts, and what feeds make of it.
#include "support/feeds.hpp"

#include <doctest/doctest.h>

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/fixture.hpp"
#include "support/generators.hpp"
#include "support/tokens.hpp"
#include "support/trace.hpp"

using namespace test;
using ints = std::vector<int>;
using feed_of_int = async_timer::subscription<int>;

namespace {

/// Is a timer that fails at its third tick.
class failing_timer : public virtual_context {
 public:
  int n = 0;
  std::exception_ptr failure = std::make_exception_ptr(std::runtime_error("no answer"));
  async_timer::timer<int> t{io,
                            1s,
                            [this] {
                              if (++n == 3) std::rethrow_exception(failure);
                              return n;
                            },
                            {.on_error = [] {}}};
};

}  // namespace

TEST_CASE_FIXTURE(counting_timer, "13.10, 13.14, D17 end: the values first, then the end") {
  auto feed = t.subscribe();
  start(3);
  CHECK_FALSE(feed.closed());
  stop();
  CHECK(feed.closed());
  CHECK(feed.qsize() == 3);  // the end doesn't count
  CHECK(drain(*this, feed) == ints{1, 2, 3});
  CHECK(feed.qsize() == 0);
  CHECK(feed.closed());
  const auto end = take(feed);
  clock.run_until_idle();
  CHECK(end->ended());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "13.10 end: a consumer that waits is told, once") {
  auto feed = t.subscribe();
  reading<int> got;
  read_on(feed, got);
  start(2);
  CHECK(got.ends == 0);
  stop();
  CHECK(got.values == ints{1, 2});
  CHECK(got.ends == 1);
  CHECK_FALSE(got.error);
  CHECK(out_of_work());
  CHECK(got.ends == 1);
}

TEST_CASE_FIXTURE(virtual_context, "13.10, 2.13 end: exhaustion of the target is the plain end") {
  async_timer::timer<int> t{io, 1s, count_up(1, 3)};
  auto feed = t.subscribe();
  reading<int> got;
  read_on(feed, got);
  auto later = t.subscribe();
  t.start();
  clock.advance(10s);
  CHECK(got.values == ints{1, 2, 3});
  CHECK(got.ends == 1);
  CHECK_FALSE(got.error);
  CHECK(later.closed());
  CHECK(drain(*this, later) == ints{1, 2, 3});
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(failing_timer, "13.11, 17.3 failure: the values first, then that very failure") {
  auto feed = t.subscribe();
  auto bounded = t.subscribe({.maxsize = 2});
  auto live = t.subscribe();
  reading<int> got;
  read_on(live, got);
  t.start();
  clock.advance(5s);
  CHECK(got.values == ints{1, 2});
  CHECK(got.ends == 1);
  CHECK(got.error == failure);
  for (auto* each : {&feed, &bounded}) {
    CHECK(each->closed());
    CHECK(each->qsize() == 2);
    CHECK(each->dropped_count() == 0);
    CHECK(drain(*this, *each) == ints{1, 2});
    const auto failed = take(*each);
    clock.run_until_idle();
    CHECK(failed->completions == 1);
    CHECK(failed->error == failure);
    CHECK_FALSE(failed->value);
  }
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(failing_timer, "13.15, D18 failure: is given once, then the end stays") {
  auto feed = t.subscribe();
  t.start();
  clock.advance(5s);
  CHECK(drain(*this, feed) == ints{1, 2});
  const auto failed = take(feed);
  const auto second = take(feed);
  clock.run_until_idle();
  CHECK(failed->error == failure);
  CHECK(second->ended());
  for (int i = 0; i < 3; ++i) {
    const auto again = take(feed);
    clock.run_until_idle();
    CHECK(again->ended());
  }
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "13.15, D18 end: stays, each further next() ends at once") {
  auto feed = t.subscribe();
  start(1);
  stop();
  CHECK(drain(*this, feed) == ints{1});
  for (int i = 0; i < 3; ++i) {
    const auto end = take(feed);
    clock.run_until_idle();
    CHECK(end->ended());
  }
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "13.16, D18 end: all consumers of one feed are told") {
  auto feed = t.subscribe();
  start(1);
  CHECK(drain(*this, feed) == ints{1});
  const auto a = take(feed);
  const auto b = take(feed);
  const auto c = take(feed);
  stop();
  CHECK(a->ended());
  CHECK(b->ended());
  CHECK(c->ended());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(failing_timer, "13.16, 13.11 failure: of several consumers the first gets it") {
  auto feed = t.subscribe();
  t.start();
  clock.advance(1s);
  CHECK(drain(*this, feed) == ints{1, 2});
  const auto a = take(feed);
  const auto b = take(feed);
  clock.advance(1s);
  CHECK(a->completions == 1);
  CHECK(a->error == failure);
  CHECK(b->ended());
  const auto later = take(feed);
  clock.run_until_idle();
  CHECK(later->ended());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "13.12, 13.9, D16 end: evicts nothing from a full feed") {
  const log_recorder log;
  auto three = t.subscribe({.maxsize = 3});
  auto one = t.subscribe({.maxsize = 1});
  start(3);
  const auto before = one.dropped_count();
  CHECK(before == 2);
  stop();
  CHECK(three.qsize() == 3);
  CHECK(three.dropped_count() == 0);
  CHECK(one.qsize() == 1);
  CHECK(one.dropped_count() == before);
  CHECK(log.records().size() == 2);  // the drops while it ran
  CHECK(drain(*this, three) == ints{1, 2, 3});
  CHECK(drain(*this, one) == ints{3});
  for (auto* each : {&three, &one}) {
    const auto end = take(*each);
    clock.run_until_idle();
    CHECK(end->ended());
  }
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(failing_timer, "13.13, 13.24 end: shedding load doesn't lose it") {
  auto feed = t.subscribe({.maxsize = 1});
  auto ended = t.subscribe();
  const log_recorder log;
  t.start();
  clock.advance(5s);
  CHECK(feed.drop_oldest(100) == 1);
  CHECK(feed.drop_oldest(100) == 0);
  CHECK(feed.closed());
  const auto failed = take(feed);
  clock.run_until_idle();
  CHECK(failed->error == failure);
  CHECK(ended.drop_oldest(1) == 1);
  CHECK(drain(*this, ended) == ints{2});
  CHECK(ended.dropped_count() == 1);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(failing_timer,
                  "13.19, 13.18 close: after the end changes nothing, even a failure") {
  auto feed = t.subscribe();
  t.start();
  clock.advance(5s);
  feed.close();
  feed.close();
  CHECK(drain(*this, feed) == ints{1, 2});
  const auto failed = take(feed);
  const auto end = take(feed);
  clock.run_until_idle();
  CHECK(failed->error == failure);
  CHECK(end->ended());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(failing_timer, "13.18 close: before a failure keeps it away") {
  auto feed = t.subscribe();
  t.start();
  clock.advance(0s);
  feed.close();
  clock.advance(5s);
  CHECK(drain(*this, feed) == ints{1});
  const auto end = take(feed);
  clock.run_until_idle();
  CHECK(end->ended());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "13.5, D15 feed: of a stopped timer waits for the next run") {
  start(2);
  stop();
  auto feed = t.subscribe();
  CHECK_FALSE(feed.closed());
  const auto first = take(feed);
  clock.advance(1h);
  CHECK_FALSE(first->done());
  start(2);
  CHECK(first->value == 3);
  CHECK(drain(*this, feed) == ints{4});
  stop();
  CHECK(feed.closed());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "13.26 feed: stays ended when the timer is started again") {
  auto feed = t.subscribe();
  start(1);
  stop();
  start(3);
  CHECK(feed.closed());
  CHECK(drain(*this, feed) == ints{1});
  const auto end = take(feed);
  clock.run_until_idle();
  CHECK(end->ended());
  auto fresh = t.subscribe();
  tick(1);
  CHECK(drain(*this, fresh) == ints{5});
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "13.27, 16.11 feed: made in on_error it ends, and plainly") {
  std::optional<async_timer::timer<int>> t;
  std::optional<feed_of_int> feed;
  bool fails = true;
  t.emplace(
      io, 1s,
      [&]() -> int {
        if (fails) throw std::runtime_error("no answer");
        return 1;
      },
      async_timer::timer_options{.on_error = [&] { feed.emplace(t->subscribe()); }});
  t->start();
  clock.advance(0s);
  REQUIRE(feed);
  CHECK(feed->closed());
  const auto end = take(*feed);
  clock.run_until_idle();
  CHECK(end->ended());
  fails = false;
  t->start();
  clock.advance(1s);
  CHECK(feed->qsize() == 0);
  t->request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "13.27, D15 feed: made in on_stop it is one of the next run") {
  std::optional<async_timer::timer<int>> t;
  std::optional<feed_of_int> feed;
  int n = 0;
  t.emplace(
      io, 1s, [&] { return ++n; }, async_timer::timer_options{.on_stop = [&] {
        if (!feed) feed.emplace(t->subscribe());
      }});
  t->start();
  clock.advance(0s);
  t->request_stop();
  clock.run_until_idle();
  REQUIRE(feed);
  CHECK_FALSE(feed->closed());
  t->start();
  clock.advance(1s);
  CHECK(drain(*this, *feed) == ints{2, 3});
  t->request_stop();
  clock.run_until_idle();
  CHECK(feed->closed());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "13.10, 16.7 end: feeds have ended before on_stop is called") {
  std::optional<feed_of_int> feed;
  bool closed = false;
  async_timer::timer t{io, 1s, [] { return 1; }, {.on_stop = [&] { closed = feed->closed(); }}};
  feed.emplace(t.subscribe());
  t.start();
  clock.advance(0s);
  t.request_stop();
  clock.run_until_idle();
  CHECK(closed);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "16.2, 16.10, 13.11 end: who reads a feed resumes after the callbacks, and may "
                  "start the next run") {
  net::io_context there{1};  // another thread, in effect: the callbacks let it run
  trace happened;
  bool fails = false;
  SUBCASE("16.2 a failure") { fails = true; }
  SUBCASE("16.10 a plain end") {}
  async_timer::timer_options options;
  options.on_error = [&] {
    happened("on_error");
    there.poll();
  };
  options.on_stop = [&] {
    happened("on_stop");
    there.poll();
  };
  async_timer::timer t{io, 1s,
                       [&]() -> int {
                         if (fails) throw std::runtime_error("broken");
                         throw async_timer::end_of_ticks{};
                       },
                       options};
  auto feed = t.subscribe();
  feed.next(net::bind_executor(there, [&](std::exception_ptr, std::optional<int>) {
    happened("feed");
    CHECK_NOTHROW(t.start());
  }));
  t.start();
  t.join(net::bind_executor(there, [&](std::exception_ptr, int) { happened("join"); }));
  clock.run_until_idle();
  there.restart();
  there.poll();
  CHECK(happened.text() == std::string(fails ? "on_error " : "") + "on_stop join feed");
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "13.30, D9b feed: ends when the timer is stopped before a tick") {
  auto feed = t.subscribe();
  const auto waiting = take(feed);
  t.start();
  t.request_stop();
  clock.run_until_idle();
  CHECK(n == 0);
  CHECK(feed.closed());
  CHECK(waiting->ended());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "13.30 feed: ends when a start is cancelled, with initial delay") {
  async_timer::timer t{io, 1s, [] { return 1; }, {.initial_delay = 1h}};
  auto feed = t.subscribe();
  const auto waiting = take(feed);
  t.start();
  no_value cancelled;
  t.cancel(into(cancelled));
  clock.run_until_idle();
  CHECK(cancelled.completions == 1);
  CHECK(waiting->ended());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "13.23, D9 feed: outlives its timer; the values, then the end") {
  std::optional<feed_of_int> feed;
  std::optional<feed_of_int> waiting_feed;
  std::shared_ptr<taken<int>> waiting;
  int n = 0;
  {
    async_timer::timer t{io, 1s, [&] { return ++n; }};
    feed.emplace(t.subscribe({.maxsize = 2}));
    waiting_feed.emplace(t.subscribe());
    t.start();
    clock.advance(1s);
    CHECK(drain(*this, *waiting_feed) == ints{1, 2});
    waiting = take(*waiting_feed);
  }
  clock.run_until_idle();
  CHECK(feed->closed());
  CHECK(feed->qsize() == 2);
  CHECK(waiting->ended());
  CHECK(drain(*this, *feed) == ints{1, 2});
  const auto end = take(*feed);
  clock.run_until_idle();
  CHECK(end->ended());
  feed->close();
  CHECK(feed->drop_oldest() == 0);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "D15, 13.23 feed: of a timer that never ran ends with the timer") {
  std::optional<feed_of_int> feed;
  std::shared_ptr<taken<int>> waiting;
  {
    async_timer::timer t{io, 1s, [] { return 1; }};
    feed.emplace(t.subscribe());
    waiting = take(*feed);
    clock.run_until_idle();
    CHECK_FALSE(waiting->done());
  }
  CHECK(feed->closed());
  clock.run_until_idle();
  CHECK(waiting->ended());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "D15, 13.23 feed: made after the last run ends with the timer") {
  std::optional<feed_of_int> feed;
  {
    async_timer::timer t{io, 1s, [] { return 1; }};
    t.start();
    clock.advance(1s);
    t.request_stop();
    clock.run_until_idle();
    feed.emplace(t.subscribe());
    CHECK_FALSE(feed->closed());
  }
  CHECK(feed->closed());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "13.23 feed: moving the timer leaves its feeds open") {
  int n = 0;
  async_timer::timer<int> t{io, 1s, [&] { return ++n; }};
  auto feed = t.subscribe();
  t.start();
  clock.advance(0s);
  auto moved = std::move(t);
  clock.advance(1s);
  CHECK_FALSE(feed.closed());
  CHECK(drain(*this, feed) == ints{1, 2});
  moved.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "13.22, D19 feed: destroyed by its own consumer") {
  std::optional<feed_of_int> feed(t.subscribe());
  auto other = t.subscribe();
  int got = 0;
  feed->next([&](std::exception_ptr, std::optional<int> value) {
    got = value.value_or(-1);
    feed.reset();
  });
  start(3);
  CHECK(got == 1);
  CHECK_FALSE(feed);
  CHECK(t.is_running());
  CHECK(drain(*this, other) == ints{1, 2, 3});
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer,
                  "13.22, 13.16 feed: destroyed by one consumer, it ends the others") {
  std::optional<feed_of_int> feed(t.subscribe());
  auto other = std::make_shared<taken<int>>();
  feed->next([&](std::exception_ptr, std::optional<int>) { feed.reset(); });
  feed->next(into(other));
  start(1);
  CHECK(other->ended());
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "13.23, D9 timer: destroyed by a consumer of its feed") {
  std::optional<async_timer::timer<int>> own(std::move(t));
  auto feed = own->subscribe();
  ints got;
  bool over = false;
  auto consumer = [&]() -> net::awaitable<void> {
    while (auto value = co_await feed.next()) {
      got.push_back(*value);
      if (got.size() == 2) own.reset();
    }
    over = true;
  };
  own->start();
  spawn(std::ref(consumer));
  clock.advance(5s);
  CHECK(got == ints{1, 2});
  CHECK(over);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "13.11 failure: arrives in a coroutine as an exception") {
  async_timer::timer t{
      io, 1s, []() -> int { throw std::runtime_error("no answer"); }, {.on_error = [] {}}};
  auto feed = t.subscribe();
  std::string failed;
  auto consumer = [&]() -> net::awaitable<void> {
    try {
      while (co_await feed.next()) {
      }
    } catch (const std::runtime_error& e) {
      failed = e.what();
    }
  };
  spawn(std::ref(consumer));
  t.start();
  clock.advance(1s);
  CHECK(failed == "no answer");
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(failing_timer,
                  "13.11, 13.26 shared feed: the failure after the values, then over") {
  auto feed = t.subscribe_shared();
  t.start();
  clock.advance(5s);
  const auto values = drain(*this, feed);
  REQUIRE(values.size() == 2);
  CHECK(*values[1] == 2);
  const auto failed = take(feed);
  const auto end = take(feed);
  clock.run_until_idle();
  CHECK(failed->error == failure);
  CHECK(end->ended());
  CHECK(out_of_work());
}

// --- the context goes away first; D34b and settled question 5: handlers are destroyed unrun

namespace {

/// Is a context that a test destroys.
struct mortal {
  std::optional<net::io_context> io{std::in_place, 1};

  void run() {
    io->restart();
    io->poll();
  }
};

/// Lives in a handler; tells whether it was called, and whether it is gone.
struct witness {
  std::shared_ptr<int> alive = std::make_shared<int>(0);
  int calls = 0;

  auto handler() {
    return [held = alive, this](std::exception_ptr, auto&&...) { ++calls; };
  }
  [[nodiscard]] bool gone_unrun() const { return calls == 0 && alive.use_count() == 1; }
};

net::awaitable<void> consume(feed_of_int feed, std::shared_ptr<int> held) {
  while (auto value = co_await feed.next()) {
  }
  ++*held;
}

}  // namespace

TEST_CASE("13.22, 13.23 context: destroyed with a pending next() of a timer that runs") {
  mortal context;
  witness seen;
  async_timer::timer t{*context.io, 1h, [] { return 1; }};
  auto feed = t.subscribe();
  t.start();
  context.run();
  CHECK(feed.drop_oldest() == 1);
  feed.next(seen.handler());
  context.run();
  context.io.reset();
  CHECK(seen.gone_unrun());
  CHECK(feed.closed());
  CHECK_FALSE(t.is_running());
}

TEST_CASE("13.22, 13.23 context: destroyed with a pending next() of a timer that never ran") {
  mortal context;
  witness seen;
  async_timer::timer t{*context.io, 1h, [] { return 1; }};
  auto feed = t.subscribe();
  feed.next(seen.handler());
  context.run();
  context.io.reset();
  CHECK(seen.gone_unrun());
}

TEST_CASE("13.22, 13.23 context: destroyed with a completion that has not run yet") {
  mortal context;
  witness seen;
  async_timer::timer t{*context.io, 1h, [] { return 1; }};
  auto feed = t.subscribe();
  feed.next(seen.handler());
  feed.close();
  context.io.reset();
  CHECK(seen.gone_unrun());
}

TEST_CASE("13.22, 13.23 context: destroyed when the consumer owns the feed") {
  for (const bool runs : {true, false}) {
    for (const bool timer_goes_first : {true, false}) {
      CAPTURE(runs);
      CAPTURE(timer_goes_first);
      mortal context;
      auto held = std::make_shared<int>(0);
      std::optional<async_timer::timer<int>> t(std::in_place, *context.io, 1h, [] { return 1; });
      if (runs) t->start();
      net::co_spawn(*context.io, consume(t->subscribe(), held), net::detached);
      context.run();
      CHECK(held.use_count() == 2);
      if (timer_goes_first) t.reset();
      context.io.reset();
      CHECK(held.use_count() == 1);
      CHECK(*held == 0);
    }
  }
}

TEST_CASE("13.22, 13.23 context: destroyed when the consumer owns feed and timer") {
  for (const bool runs : {true, false}) {
    CAPTURE(runs);
    mortal context;
    auto held = std::make_shared<int>(0);
    async_timer::timer<int> t{*context.io, 1h, [] { return 1; }};
    if (runs) t.start();
    auto both = [](async_timer::timer<int> own, std::shared_ptr<int> kept) -> net::awaitable<void> {
      auto feed = own.subscribe();
      while (auto value = co_await feed.next()) {
      }
      ++*kept;
    };
    net::co_spawn(*context.io, both(std::move(t), held), net::detached);
    context.run();
    context.io.reset();
    CHECK(held.use_count() == 1);
    CHECK(*held == 0);
  }
}

TEST_CASE("13.22, 13.23 context: the consumer's own, not the timer's, is destroyed") {
  mortal theirs;
  mortal ours;
  witness seen;
  async_timer::timer t{*theirs.io, 1h, [] { return 1; }};
  auto feed = t.subscribe();
  feed.next(net::bind_executor(*ours.io, seen.handler()));
  ours.io.reset();
  CHECK(seen.gone_unrun());
  t.start();
  theirs.run();
  CHECK(feed.qsize() == 1);  // nobody waits any more
  CHECK(t.is_running());
}

TEST_CASE(
    "13.22, 13.23 context: the consumer's own is destroyed by a callback at the end of a run") {
  for (const bool fails : {false, true}) {
    CAPTURE(fails);
    mortal theirs;
    mortal ours;
    witness seen;
    async_timer::timer t{*theirs.io,
                         1h,
                         [&] {
                           if (fails) throw std::runtime_error("broken");
                           throw async_timer::end_of_ticks{};
                         },
                         {.on_error = [] {}, .on_stop = [&] { ours.io.reset(); }}};
    auto feed = t.subscribe();
    feed.next(net::bind_executor(*ours.io, seen.handler()));
    t.start();
    theirs.run();
    CHECK_FALSE(ours.io);
    CHECK(seen.gone_unrun());
    CHECK(feed.closed());
  }
}

TEST_CASE("13.22, 13.23 context: consumers on two contexts, the second one's is destroyed") {
  mortal theirs;
  mortal ours;
  witness first;
  witness seen;
  async_timer::timer t{*theirs.io, 1h, [] { return 1; }};
  auto feed = t.subscribe();
  t.start();
  feed.next(first.handler());
  theirs.run();
  REQUIRE(first.calls == 1);
  feed.next(net::bind_executor(*ours.io, seen.handler()));
  ours.io.reset();
  CHECK(seen.gone_unrun());
  CHECK(t.is_running());
}

TEST_CASE("13.22, 13.23 context: a feed read on one context after another was destroyed") {
  mortal theirs;
  std::optional<feed_of_int> feed;
  async_timer::timer t{*theirs.io, 1h, [] { return 1; }};
  feed.emplace(t.subscribe());
  {
    mortal ours;
    witness seen;
    feed->next(net::bind_executor(*ours.io, seen.handler()));
    ours.io.reset();
    REQUIRE(seen.gone_unrun());
  }
  mortal other;
  witness again;
  feed->next(net::bind_executor(*other.io, again.handler()));
  other.io.reset();
  CHECK(again.gone_unrun());
}

TEST_CASE_FIXTURE(virtual_context,
                  "D9 feed: a next() that is begun while its handler's context goes goes with it") {
  async_timer::timer t{io, 1s, [] { return 1; }, {.initial_delay = 1s}};
  auto feed = t.subscribe();
  t.start();
  clock.advance(0s);
  const auto token = std::make_shared<int>();
  int completions = 0;
  auto going = std::make_unique<net::io_context>();
  const auto asking = [&feed] {  // its end, with the handler, uses the feed
    return std::shared_ptr<void>(nullptr, [&feed](void*) { static_cast<void>(feed.qsize()); });
  };
  const auto ask = [&, executor = going->get_executor()] {
    feed.next(net::bind_executor(
        executor, [&completions, token, asks_back = asking()](const std::exception_ptr&,
                                                              const auto&) { ++completions; }));
  };
  ask();
  // What is queued in a context is destroyed with it.
  std::shared_ptr<void> at_end(nullptr, [&](void*) { ask(); });
  net::post(*going, [kept = std::move(at_end)] {});
  CHECK(token.use_count() == 2);
  going.reset();
  CHECK(token.use_count() == 1);
  clock.advance(1s);
  CHECK(completions == 0);
  CHECK(feed.qsize() == 1);
  t.request_stop();
  CHECK(out_of_work());
}
