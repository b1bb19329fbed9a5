// Contract section 22: the blocking forms, for threads that can't wait asynchronously.
#include <doctest/doctest.h>

#include <atomic>
#include <exception>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "support/fixture.hpp"
#include "support/operations.hpp"
#include "support/threads.hpp"
#include "support/tokens.hpp"

using namespace test;

namespace {

/// Gives what an action throws, by class and by text.
struct thrown {
  std::string kind;
  std::string text;
};
template <class Action>
thrown caught_from(Action&& action) {
  try {
    action();
  } catch (const std::exception& e) {
    return {kind_of(std::current_exception()), e.what()};
  }
  return {};
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("22.1, 26.4 cancel_threadsafe: returns when the clean-up is done") {
  event_loop loop;
  std::atomic<bool> stopped{false};
  async_timer::timer t{loop.io, 1ms, [] { return 1; }, {.on_stop = [&] { stopped = true; }}};
  t.start();
  t.trigger_threadsafe();
  t.cancel_threadsafe();
  CHECK(stopped);
  CHECK_FALSE(t.is_running());
  t.start();  // which would throw if anything of the run was left
  t.cancel_threadsafe(10s);
  CHECK_FALSE(t.is_running());
}

TEST_CASE("22.2, 26.4 trigger_threadsafe: gives the tick's value") {
  event_loop loop;
  int n = 0;
  async_timer::timer t{loop.io, 1h, [&] { return std::to_string(++n); }};
  t.start();
  CHECK(has("1 2", t.trigger_threadsafe()));  // the first tick may have been there
  const auto before = t.hit_count();
  CHECK(t.trigger_threadsafe(10s) == std::to_string(before + 1));
  CHECK(t.hit_count() == before + 1);
  t.cancel_threadsafe();
  CHECK(caught_from([&] { t.trigger_threadsafe(); }).kind == "not_running");
}

TEST_CASE("22.2 trigger_threadsafe: of a timer without values returns") {
  event_loop loop;
  async_timer::timer t{loop.io, 1h, [] {}};
  t.start();
  t.trigger_threadsafe();
  CHECK(t.hit_count() >= 1);
  t.cancel_threadsafe();
}

TEST_CASE("22.2 trigger_threadsafe: throws what the target throws") {
  event_loop loop;
  async_timer::timer t{loop.io,
                       1h,
                       []() -> int { throw std::runtime_error("no answer"); },
                       {.initial_delay = 1h, .on_error = [] {}}};
  t.start();
  CHECK(caught_from([&] { t.trigger_threadsafe(); }).text == "no answer");
}

TEST_CASE("22.2 trigger_threadsafe: a stop while it waits gives the stop outcome") {
  event_loop loop;
  gate hold(loop.io);
  std::promise<void> begun;
  auto target = [&]() -> net::awaitable<int> {
    begun.set_value();
    auto wait = hold.pass();
    co_await std::move(wait);
    throw async_timer::system_error(net::error::operation_aborted);
  };
  async_timer::timer<int> t{loop.io, 1h, target};
  t.start();
  begun.get_future().wait();
  auto waiting = std::async(std::launch::async,
                            [&] { return caught_from([&] { t.trigger_threadsafe(); }).kind; });
  // It is there for sure when its bound has passed once in this thread; it waits without one.
  CHECK(caught_from([&] { t.trigger_threadsafe(20ms); }).kind == "timeout");
  t.request_stop();
  loop.on_loop([&] {
    hold.open();
    return 0;
  });
  const auto kind = waiting.get();
  const bool stopped = kind == "stopped" || kind == "not_running";  // or it came after the stop
  CHECK(stopped);
  t.cancel_threadsafe();
}

TEST_CASE("22.4, 19.6 guards: a timer that was never started") {
  event_loop loop;
  async_timer::timer t{loop.io, 1h, [] { return 1; }};
  auto unbound = async_timer::every(1h)([] { return 1; });
  for (const auto& got :
       {caught_from([&] { t.cancel_threadsafe(); }), caught_from([&] { t.trigger_threadsafe(); }),
        caught_from([&] { unbound.cancel_threadsafe(); }),
        caught_from([&] { unbound.trigger_threadsafe(); })}) {
    CHECK(got.kind == "dispatch");
    CHECK(has(got.text, "has not been started yet"));
    CHECK(has(got.text, "Call start() first"));
  }
}

TEST_CASE("22.4 guards: a timer whose context is gone") {
  std::optional<net::io_context> io(std::in_place);
  async_timer::timer t{*io, 1h, [] { return 1; }};
  t.start();
  io.reset();
  for (const auto& got : {caught_from([&] { t.cancel_threadsafe(); }),
                          caught_from([&] { t.trigger_threadsafe(); })}) {
    CHECK(got.kind == "dispatch");
    CHECK(has(got.text, "event loop is closed"));
  }
}

TEST_CASE("22.4, D34 guards: on the event loop's own thread") {
  event_loop loop;
  async_timer::timer t{loop.io, 1h, [] { return 1; }};
  t.start();
  const auto cancel = loop.on_loop([&] { return caught_from([&] { t.cancel_threadsafe(); }); });
  CHECK(cancel.kind == "dispatch");
  CHECK(has(cancel.text, "own event loop thread"));
  CHECK(has(cancel.text, "co_await cancel()"));
  const auto trigger = loop.on_loop([&] { return caught_from([&] { t.trigger_threadsafe(); }); });
  CHECK(trigger.kind == "dispatch");
  CHECK(has(trigger.text, "own event loop thread"));
  CHECK(has(trigger.text, "co_await trigger()"));
  CHECK(t.is_running());
  t.cancel_threadsafe();
}

TEST_CASE("22.4, D34 guards: on any thread of the context, whatever strand the timer is on") {
  net::thread_pool pool(2);
  async_timer::timer t{net::any_io_executor(net::make_strand(pool)), 1h, [] { return 1; }};
  t.start();
  std::promise<std::string> plain;
  std::promise<std::string> other_strand;
  net::post(pool, [&] { plain.set_value(caught_from([&] { t.cancel_threadsafe(); }).kind); });
  net::post(net::make_strand(pool),
            [&] { other_strand.set_value(caught_from([&] { t.trigger_threadsafe(); }).kind); });
  CHECK(plain.get_future().get() == "dispatch");
  CHECK(other_strand.get_future().get() == "dispatch");
  t.cancel_threadsafe();
  pool.join();
}

TEST_CASE("22.4, D34 guards: on the own thread of a timer whose strand is over another strand") {
  event_loop loop;
  const auto outer = net::make_strand(net::make_strand(loop.io));
  const auto erased = net::make_strand(net::any_io_executor(outer));
  for (const auto& executor : {net::any_io_executor(outer), net::any_io_executor(erased)}) {
    async_timer::timer t{executor, 1h, [] { return 1; }};
    t.start();
    const auto got = loop.on_loop([&] { return caught_from([&] { t.cancel_threadsafe(10ms); }); });
    CHECK(got.kind == "dispatch");
    t.cancel_threadsafe();
  }
}

TEST_CASE("22.4, D34 guards: inside the target, too") {
  event_loop loop;
  std::promise<std::string> got;
  std::optional<async_timer::timer<void>> t;
  t.emplace(loop.io, 1h, [&] { got.set_value(caught_from([&] { t->cancel_threadsafe(); }).kind); });
  t->start();
  CHECK(got.get_future().get() == "dispatch");
  t->cancel_threadsafe();
}

TEST_CASE("22.5 guards: a stopped timer passes, cancelling it again does nothing") {
  event_loop loop;
  std::atomic<int> stops{0};
  async_timer::timer t{loop.io, 1h, [] { return 1; }, {.on_stop = [&] { ++stops; }}};
  t.start();
  t.cancel_threadsafe();
  t.cancel_threadsafe();
  t.cancel_threadsafe(0s);
  CHECK(stops == 1);
  CHECK(caught_from([&] { t.trigger_threadsafe(0s); }).kind == "not_running");
}

TEST_CASE("22.6, 22.7, D11b timeout: of a cancel leaves the clean-up to itself") {
  event_loop loop;
  gate hold(loop.io);
  std::atomic<int> ticks{0};
  std::atomic<int> stops{0};
  std::promise<void> begun;
  auto target = [&]() -> net::awaitable<void> {
    if (++ticks == 1) begun.set_value();
    auto wait = hold.pass();
    co_await std::move(wait);
  };
  async_timer::timer<void> t{loop.io, 1h, target, {.on_stop = [&] { ++stops; }}};
  t.start();
  begun.get_future().wait();
  const auto got = caught_from([&] { t.cancel_threadsafe(10ms); });
  CHECK(got.kind == "timeout");
  CHECK(has(got.text, "cancel_threadsafe"));
  CHECK(has(got.text, "did not complete within"));
  CHECK(has(got.text, "0.01"));
  CHECK(has(got.text, "may still happen later"));
  CHECK(caught_from([&] { t.cancel_threadsafe(0s); }).kind == "timeout");
  CHECK_FALSE(t.is_running());
  CHECK(stops == 0);
  loop.on_loop([&] {
    hold.open();
    return 0;
  });
  t.cancel_threadsafe();
  CHECK(stops == 1);
  CHECK(ticks == 1);
}

TEST_CASE("22.6, 22.7 timeout: of a trigger leaves the tick to itself") {
  event_loop loop;
  gate hold(loop.io);
  std::atomic<int> ticks{0};
  auto target = [&]() -> net::awaitable<int> {
    const int mine = ++ticks;
    auto wait = hold.pass();
    co_await std::move(wait);
    co_return mine;
  };
  async_timer::timer<int> t{loop.io, 1h, target, {.initial_delay = 1h}};
  t.start();
  const auto got = caught_from([&] { t.trigger_threadsafe(10ms); });
  CHECK(got.kind == "timeout");
  CHECK(has(got.text, "trigger_threadsafe"));
  CHECK(has(got.text, "did not arrive within"));
  CHECK(has(got.text, "0.01"));
  CHECK(has(got.text, "may still happen later"));
  CHECK(t.is_running());
  auto joined = t.join(net::use_future);
  loop.on_loop([&] {
    hold.open();
    return 0;
  });
  CHECK(joined.get() == 1);
  CHECK(ticks == 1);
  t.cancel_threadsafe();
}

TEST_CASE("22.8 timeout: of zero or less polls") {
  event_loop loop;
  gate hold(loop.io);
  auto target = [&]() -> net::awaitable<void> {
    auto wait = hold.pass();
    co_await std::move(wait);
  };
  async_timer::timer<void> t{loop.io, 1h, target};
  t.start();
  CHECK(caught_from([&] { t.trigger_threadsafe(0s); }).kind == "timeout");
  CHECK(caught_from([&] { t.trigger_threadsafe(-5s); }).kind == "timeout");
  CHECK(t.is_running());
  loop.on_loop([&] {
    hold.open();
    return 0;
  });
  t.cancel_threadsafe();
}

TEST_CASE("22.8, D34b context: destroyed while threads wait, they get the dispatch error") {
  auto io = std::make_unique<net::io_context>();  // nobody runs it
  async_timer::timer t{*io, 1h, [] { return 1; }};
  t.start();
  auto triggering =
      std::async(std::launch::async, [&] { return caught_from([&] { t.trigger_threadsafe(); }); });
  auto cancelling = std::async(std::launch::async, [&] {
    // Not before the other one waits: a stop would give it not-running.
    return caught_from([&] { t.trigger_threadsafe(24h); });
  });
  CHECK(triggering.wait_for(30ms) == std::future_status::timeout);
  CHECK(cancelling.wait_for(0s) == std::future_status::timeout);
  auto third =
      std::async(std::launch::async, [&] { return caught_from([&] { t.cancel_threadsafe(); }); });
  CHECK(third.wait_for(30ms) == std::future_status::timeout);
  io.reset();
  for (auto* each : {&triggering, &cancelling, &third}) {
    const auto got = each->get();
    CHECK(got.kind == "dispatch");
    CHECK(has(got.text, "event loop is closed"));
  }
}

TEST_CASE("22.10 blocking forms: on a thread of another event loop") {
  event_loop timers;
  event_loop other;
  async_timer::timer t{timers.io, 1h, [] { return 7; }};
  t.start();
  const int value = other.on_loop([&] { return t.trigger_threadsafe(); });
  CHECK(value == 7);
  other.on_loop([&] {
    t.cancel_threadsafe();
    return 0;
  });
  CHECK_FALSE(t.is_running());
}

TEST_CASE("22.3, 26.4, D33 close_threadsafe: from any thread, with a dead context, never throws") {
  auto loop = std::make_unique<event_loop>();
  async_timer::timer t{loop->io, 100us, [] { return 1; }};
  auto feed = t.subscribe();
  auto on_dead = t.subscribe();
  t.start();
  t.trigger_threadsafe();
  auto waiting = t.subscribe();
  auto ended = waiting.next(net::use_future);
  static_cast<void>(ended.get());
  {
    thread_crew threads;
    for (int i = 0; i < 3; ++i) threads.add([&] { feed.close_threadsafe(); });
  }
  CHECK(feed.closed());
  t.cancel_threadsafe();
  loop.reset();
  on_dead.close_threadsafe();
  CHECK(on_dead.closed());
}

TEST_CASE("22.1, 22.2, 26.4 blocking forms: many threads, ticks, stops and starts at once") {
  net::thread_pool pool(2);
  std::atomic<int> unexpected{0};
  {
    async_timer::timer t{pool.get_executor(), 50us, [] { return 1; }};
    t.start();
    thread_crew threads;
    for (int i = 0; i < 3; ++i) {
      threads.add([&, i] {
        for (int round = 0; round < 100; ++round) {
          const auto got = caught_from([&] {
            if (i == 0 && round % 5 == 0) {
              t.cancel_threadsafe();
              t.start();
            } else if (t.trigger_threadsafe(round % 2 == 0 ? 10s : 20us) != 1) {
              ++unexpected;
            }
          });
          if (!got.kind.empty() && got.kind != "timeout" && got.kind != "not_running" &&
              got.kind != "stopped")
            ++unexpected;
        }
      });
    }
  }
  pool.join();
  CHECK(unexpected == 0);
}
