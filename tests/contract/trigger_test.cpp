// Contract section 14: trigger.
#include <doctest/doctest.h>

#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/fixture.hpp"
#include "support/sleeping_context.hpp"
#include "support/times.hpp"

using namespace test;

namespace {

using async_timer::mode;

/// Is a context with a target that notes when it starts and takes as long as `takes` says.
class trigger_context : public sleeping_context {
 public:
  times at;
  std::chrono::nanoseconds takes{0};

  [[nodiscard]] auto target() {
    return [this]() -> net::awaitable<int> {
      at.push_back(elapsed());
      const auto count = static_cast<int>(at.size());
      auto work = pause(takes);
      co_await std::move(work);
      co_return count;
    };
  }
};

/// Checks one completion with a value.
void check_value(const outcome<int>& result, int expected) {
  CHECK(result.completions == 1);
  CHECK(result.kind() == "");
  CHECK(result.value == expected);
}
/// Checks one completion with an error.
void check_error(const outcome<int>& result, const std::string& kind) {
  CHECK(result.completions == 1);
  CHECK(result.kind() == kind);
}

}  // namespace

TEST_CASE_FIXTURE(virtual_context, "14.1 trigger: of a timer that is not running fails") {
  int count = 0;
  async_timer::timer t{io, 1s, [&] { return ++count; }};
  outcome<int> triggered;
  SUBCASE("never started") {}
  SUBCASE("stopped") {
    t.start();
    clock.run_until_idle();
    t.request_stop();
    clock.run_until_idle();
  }
  SUBCASE("stop requested, not yet over") {
    t.start();
    clock.run_until_idle();
    t.request_stop();
  }
  const int before = count;
  t.trigger(into(triggered));
  CHECK_FALSE(triggered.done());  // never inside the initiating function
  CHECK(out_of_work());
  check_error(triggered, "not_running");
  REQUIRE(triggered.error);
  CHECK(message_of(triggered.error).find("not running") != std::string::npos);
  CHECK(count == before);
}

TEST_CASE_FIXTURE(virtual_context, "14.1 trigger: the error is thrown into a coroutine") {
  async_timer::timer t{io, 1s, [] { return 1; }};
  std::string got;
  const auto use = [&]() -> net::awaitable<void> {
    try {
      const int v = co_await t.trigger();
      got = std::to_string(v);
    } catch (const async_timer::timer_not_running_error&) {
      got = "not running";
    }
  };
  spawn(use);
  CHECK(got == "not running");
}

TEST_CASE_FIXTURE(trigger_context,
                  "14.2 trigger: in a sleep it fires one tick now and gives its value; in "
                  "fixed_delay a full delay follows the triggered tick") {
  async_timer::timer t{io, 10s, target()};
  takes = 500ms;
  t.start();
  clock.advance(4s);
  outcome<int> triggered;
  t.trigger(into(triggered));
  clock.run_until_idle();
  CHECK(at == times{0s, 4s});
  CHECK_FALSE(triggered.done());
  clock.advance(500ms);
  check_value(triggered, 2);
  clock.advance(10s);
  CHECK(at == times{0s, 4s, 14500ms});
  CHECK(triggered.completions == 1);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "14.2 trigger: in fixed_rate the grid begins anew at the triggered tick") {
  times at;
  async_timer::timer t{io,
                       10s,
                       [&] {
                         at.push_back(elapsed());
                         return static_cast<int>(at.size());
                       },
                       {.mode = mode::fixed_rate}};
  t.start();
  clock.advance(14s);
  outcome<int> triggered;
  t.trigger(into(triggered));
  clock.advance(20s);
  check_value(triggered, 3);
  CHECK(at == times{0s, 10s, 14s, 24s, 34s});
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "14.2 trigger: co_await gives the value of the tick") {
  int count = 0;
  async_timer::timer t{io, 1h, [&] { return ++count; }};
  t.start();
  std::vector<int> got;
  const auto use = [&]() -> net::awaitable<void> {
    for (int i = 0; i < 3; ++i) {
      const int v = co_await t.trigger();
      got.push_back(v);
    }
    co_await t.cancel();
  };
  clock.run_until_idle();
  spawn(use);
  CHECK(got == std::vector<int>{2, 3, 4});
  CHECK(elapsed() == 0s);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(trigger_context,
                  "14.3, D12b trigger: joins a tick in flight and makes no other one") {
  for (const auto m : {mode::fixed_delay, mode::fixed_rate}) {
    at.clear();
    const auto begin = elapsed();
    async_timer::timer t{io, 10s, target(), {.mode = m}};
    takes = 2s;
    t.start();
    clock.advance(1s);
    outcome<int> triggered;
    outcome<int> again;
    t.trigger(into(triggered));
    clock.advance(500ms);
    t.trigger(into(again));
    clock.advance(500ms);
    check_value(triggered, 1);
    check_value(again, 1);
    clock.advance(9s);
    const auto second = m == mode::fixed_delay ? 12s : 10s;
    CHECK(at.size() == (m == mode::fixed_delay ? 1 : 2));
    clock.advance(1s);
    CHECK(at == times{begin, begin + second});
    clock.advance(1s);
    t.request_stop();
    clock.advance(10s);
    CHECK(at.size() == 2);
  }
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "14.4, D12b trigger: one that meets the natural tick gets that one, and no "
                  "phantom follows") {
  for (const auto m : {mode::fixed_delay, mode::fixed_rate}) {
    // The two timers are due at the same instants; `first` is called first.
    times at;
    const auto begin = elapsed();
    std::function<void()> at_two_seconds = [] {};
    async_timer::timer first{io,
                             1s,
                             [&] {
                               if (elapsed() - begin == 2s) at_two_seconds();
                             },
                             {.mode = m}};
    async_timer::timer t{io,
                         1s,
                         [&] {
                           at.push_back(elapsed() - begin);
                           return static_cast<int>(at.size());
                         },
                         {.mode = m}};
    first.start();
    t.start();
    outcome<int> triggered;
    std::size_t ticks_then = 99;
    at_two_seconds = [&] {
      ticks_then = at.size();
      t.trigger(into(triggered));
    };
    clock.advance(4500ms);
    CHECK(ticks_then == 2);
    check_value(triggered, 3);
    CHECK(at == times{0s, 1s, 2s, 3s, 4s});
    first.request_stop();
    t.request_stop();
    clock.run_until_idle();
  }
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "14.4 trigger: just after a natural tick it is a tick of its own, just before "
                  "one it replaces it") {
  times at;
  async_timer::timer t{io, 1s, [&] {
                         at.push_back(elapsed());
                         return static_cast<int>(at.size());
                       }};
  t.start();
  outcome<int> after;
  outcome<int> before;
  clock.advance(1s);
  t.trigger(into(after));
  clock.run_until_idle();
  check_value(after, 3);
  clock.advance(1s - 1ns);
  t.trigger(into(before));
  clock.advance(2ns);
  check_value(before, 4);
  CHECK(at == times{0s, 1s, 1s, 2s - 1ns});
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "14.5 trigger: several at once share one tick and its value, in order") {
  int count = 0;
  async_timer::timer t{io, 10s, [&] { return ++count; }};
  t.start();
  clock.advance(1s);
  std::vector<int> order;
  std::vector<int> values;
  for (int i = 0; i < 5; ++i) {
    t.trigger([&, i](std::exception_ptr error, int v) {
      CHECK_FALSE(error);
      order.push_back(i);
      values.push_back(v);
    });
  }
  clock.run_until_idle();
  CHECK(order == std::vector<int>{0, 1, 2, 3, 4});
  CHECK(values == std::vector<int>{2, 2, 2, 2, 2});
  clock.advance(10s - 1ns);
  CHECK(count == 2);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "14.6, D12c trigger: between start() and the first tick it takes that one for "
                  "itself") {
  for (const auto m : {mode::fixed_delay, mode::fixed_rate}) {
    times at;
    const auto begin = elapsed();
    async_timer::timer t{io,
                         10s,
                         [&] {
                           at.push_back(elapsed() - begin);
                           return static_cast<int>(at.size());
                         },
                         {.mode = m}};
    t.start();
    outcome<int> triggered;
    t.trigger(into(triggered));
    clock.run_until_idle();
    check_value(triggered, 1);
    clock.advance(10s);
    CHECK(at == times{0s, 10s});
    t.request_stop();
    clock.run_until_idle();
  }
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(trigger_context,
                  "14.7 trigger: gets the stop outcome if the run ends without a failure first") {
  outcome<int> triggered;
  takes = 2s;
  SUBCASE("stop of a tick in flight") {
    async_timer::timer t{io, 10s, target()};
    t.start();
    clock.advance(1s);
    t.trigger(into(triggered));
    t.request_stop();
    clock.run_until_idle();
  }
  SUBCASE("stop of the triggered tick") {
    async_timer::timer t{io, 10s, target()};
    t.start();
    clock.advance(5s);
    t.trigger(into(triggered));
    clock.advance(1s);
    CHECK(at.size() == 2);
    t.request_stop();
    clock.run_until_idle();
  }
  SUBCASE("the triggered tick says that there are no more") {
    int calls = 0;
    async_timer::timer t{io, 10s, [&] {
                           if (++calls == 2) throw async_timer::end_of_ticks{};
                           return calls;
                         }};
    t.start();
    clock.advance(1s);
    t.trigger(into(triggered));
    clock.run_until_idle();
    CHECK(calls == 2);
    CHECK(t.hit_count() == 1);
    CHECK_FALSE(t.is_running());
  }
  SUBCASE("the timer is destroyed") {
    {
      async_timer::timer t{io, 10s, target()};
      t.start();
      clock.advance(5s);
      t.trigger(into(triggered));
    }
    clock.run_until_idle();
    CHECK(at.size() == 1);
  }
  check_error(triggered, "stopped");
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "14.8 trigger: gets the failure of the triggered tick") {
  const log_recorder log;
  int calls = 0;
  async_timer::timer t{io, 10s, [&]() -> int {
                         if (++calls == 2) throw std::runtime_error("broken");
                         return calls;
                       }};
  t.start();
  clock.advance(1s);
  outcome<int> one;
  outcome<int> two;
  t.trigger(into(one));
  t.trigger(into(two));
  CHECK(out_of_work());
  check_error(one, "broken");
  check_error(two, "broken");
  CHECK(one.error == two.error);
  CHECK(t.hit_count() == 1);
}

TEST_CASE_FIXTURE(trigger_context,
                  "14.8 trigger: one pending when a tick in flight fails gets the failure; one "
                  "after the end is not-running (settled question 9)") {
  const log_recorder log;
  async_timer::timer t{io, 10s, [&]() -> net::awaitable<int> {
                         auto work = pause(1s);
                         co_await std::move(work);
                         throw std::runtime_error("broken");
                       }};
  t.start();
  outcome<int> pending;
  outcome<int> late;
  clock.advance(500ms);
  t.trigger(into(pending));
  clock.advance(500ms);
  check_error(pending, "broken");
  t.trigger(into(late));
  CHECK(out_of_work());
  check_error(late, "not_running");
}

TEST_CASE_FIXTURE(virtual_context,
                  "14.9 trigger: to cancel one caller takes nothing from the tick or from others") {
  int count = 0;
  async_timer::timer t{io, 10s, [&] { return ++count; }};
  t.start();
  clock.advance(1s);
  net::cancellation_signal signal;
  outcome<int> abandoned;
  outcome<int> other;
  t.trigger(net::bind_cancellation_slot(signal.slot(), into(abandoned)));
  t.trigger(into(other));
  signal.emit(net::cancellation_type::total);
  clock.run_until_idle();
  check_error(abandoned, "stopped");
  check_value(other, 2);
  clock.advance(9s);
  CHECK(count == 2);
  CHECK(t.is_running());
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "14.9, D12d trigger: once asked for, the tick comes and moves the schedule, "
                  "though nobody waits for it any more") {
  for (const auto m : {mode::fixed_delay, mode::fixed_rate}) {
    times at;
    const auto begin = elapsed();
    async_timer::timer t{io,
                         200ms,
                         [&] {
                           at.push_back(elapsed() - begin);
                           return 0;
                         },
                         {.mode = m}};
    t.start();
    clock.advance(50ms);
    net::cancellation_signal signal;
    outcome<int> abandoned;
    t.trigger(net::bind_cancellation_slot(signal.slot(), into(abandoned)));
    signal.emit(net::cancellation_type::terminal);
    clock.advance(450ms);
    check_error(abandoned, "stopped");
    CHECK(at == times{0s, 50ms, 250ms, 450ms});
    t.request_stop();
    clock.run_until_idle();
  }
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(
    trigger_context,
    "14.9 trigger: to cancel one that joined a tick in flight leaves the tick alone") {
  async_timer::timer t{io, 10s, target()};
  takes = 2s;
  t.start();
  clock.advance(1s);
  net::cancellation_signal signal;
  outcome<int> abandoned;
  t.trigger(net::bind_cancellation_slot(signal.slot(), into(abandoned)));
  signal.emit(net::cancellation_type::partial);
  clock.run_until_idle();
  check_error(abandoned, "stopped");
  CHECK(t.hit_count() == 0);
  clock.advance(11s);
  CHECK(t.hit_count() == 1);
  CHECK(abandoned.completions == 1);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(trigger_context,
                  "14.10, D23 trigger: from inside the target it fails, and so do join and a "
                  "counted wait; the tick goes on") {
  async_timer::timer<int>* self = nullptr;
  std::vector<std::string> got;
  std::string how;
  async_timer::timer t{io, 10s, [&]() -> net::awaitable<int> {
                         auto work = pause(1s);  // also after having been suspended
                         co_await std::move(work);
                         try {
                           if (how == "trigger") co_await self->trigger();
                           if (how == "join") co_await self->join();
                           if (how == "hits") co_await self->wait({.hits = 1});
                           if (how == "hit_count") co_await self->wait({.hit_count = 99});
                           got.push_back("nothing");
                         } catch (const async_timer::self_wait_error&) {
                           got.push_back("self_wait");
                         }
                         co_return 5;
                       }};
  self = &t;
  for (const auto* each : {"trigger", "join", "hits", "hit_count"}) {
    CAPTURE(each);
    how = each;
    got.clear();
    t.start();
    clock.advance(1s);
    CHECK(got == std::vector<std::string>{"self_wait"});
    CHECK(t.last_result() == 5);
    t.request_stop();
    clock.run_until_idle();
  }
  CHECK(t.hit_count() == 4);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "14.10, D23 trigger: from inside a plain target it fails through the handler") {
  outcome<int> triggered;
  outcome<int> joined;
  outcome<std::optional<int>> counted;
  async_timer::timer<int>* self = nullptr;
  int count = 0;
  async_timer::timer t{io, 10s, [&] {
                         if (++count == 1) {
                           self->trigger(into(triggered));
                           self->join(into(joined));
                           self->wait({.hits = 1}, into(counted));
                         }
                         return count;
                       }};
  self = &t;
  t.start();
  clock.run_until_idle();
  check_error(triggered, "self_wait");
  check_error(joined, "self_wait");
  CHECK(counted.completions == 1);
  CHECK(counted.kind() == "self_wait");
  CHECK(count == 1);
  CHECK(t.is_running());
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(trigger_context,
                  "D23 inside the target (settled question 4): what the target awaits or spawns on "
                  "its own executor is inside, too") {
  async_timer::timer<int>* self = nullptr;
  std::vector<std::string> got;
  const auto child = [&]() -> net::awaitable<void> {
    auto work = pause(1s);
    co_await std::move(work);
    try {
      co_await self->join();
      got.push_back("a value");
    } catch (const async_timer::self_wait_error&) {
      got.push_back("self_wait");
    }
  };
  bool spawned = false;
  async_timer::timer t{io, 10s, [&]() -> net::awaitable<int> {
                         if (spawned) {
                           auto executor = co_await net::this_coro::executor;
                           co_await net::co_spawn(executor, child(), net::use_awaitable);
                         } else {
                           auto work = child();
                           co_await std::move(work);
                         }
                         co_return 1;
                       }};
  self = &t;
  SUBCASE("awaited") {}
  SUBCASE("spawned on the target's executor") { spawned = true; }
  t.start();
  clock.advance(1s);
  CHECK(got == std::vector<std::string>{"self_wait"});
  CHECK(t.hit_count() == 1);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(trigger_context,
                  "D23 inside the target (settled question 4): who runs while the target is "
                  "suspended is not inside") {
  async_timer::timer t{io, 10s, target()};
  takes = 2s;
  std::vector<int> got;
  const auto other = [&]() -> net::awaitable<void> {
    const int v = co_await t.trigger();
    got.push_back(v);
  };
  t.start();
  clock.advance(1s);
  spawn(other);  // on the same thread, the same context
  outcome<int> joined;
  t.join(into(joined));
  clock.advance(1s);
  CHECK(got == std::vector<int>{1});
  check_value(joined, 1);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(trigger_context,
                  "D23 inside the target (settled question 4): one timer's target may wait for "
                  "another timer") {
  int count = 0;
  async_timer::timer fast{io, 1s, [&] { return ++count; }};
  std::vector<int> got;
  async_timer::timer slow{io, 10s, [&]() -> net::awaitable<void> {
                            const int joined = co_await fast.join();
                            const int triggered = co_await fast.trigger();
                            got = {joined, triggered};
                          }};
  fast.start();
  slow.start();
  clock.advance(1500ms);
  CHECK(got == std::vector<int>{2, 3});  // the first tick was before the join
  fast.request_stop();
  slow.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(trigger_context,
                  "D23 inside the target (settled question 4): what the target has spawned is no "
                  "longer inside when the tick is over") {
  async_timer::timer<int>* self = nullptr;
  std::vector<int> got;
  int count = 0;
  const auto child = [&]() -> net::awaitable<void> {
    auto work = pause(5s);
    co_await std::move(work);
    const int joined = co_await self->join();
    got.push_back(joined);
  };
  async_timer::timer t{io, 10s, [&]() -> net::awaitable<int> {
                         if (++count == 1) {
                           auto executor = co_await net::this_coro::executor;
                           net::co_spawn(executor, child, [](std::exception_ptr error) {
                             if (error) std::rethrow_exception(error);
                           });
                         }
                         auto work = pause(1s);
                         co_await std::move(work);
                         co_return count;
                       }};
  self = &t;
  t.start();
  SUBCASE("it waits between two ticks") {
    clock.advance(12s);
    CHECK(got == std::vector<int>{2});
  }
  SUBCASE("it begins to wait during the next tick, which is not its own") {
    clock.advance(4500ms);
    outcome<int> triggered;
    t.trigger(into(triggered));  // in flight from 4.5 s to 5.5 s
    clock.advance(1s);
    check_value(triggered, 2);
    CHECK(got == std::vector<int>{2});
  }
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(
    virtual_context,
    "14.11 trigger: the triggered tick is a tick like any other: fields and waiters") {
  int count = 0;
  async_timer::timer t{io, 10s, [&] { return 10 * ++count; }};
  t.start();
  clock.advance(4s);
  outcome<int> joined;
  outcome<std::optional<int>> next;
  outcome<std::optional<int>> waited;
  outcome<int> triggered;
  t.join(into(joined));
  t.next(into(next));
  t.wait({.hits = 1}, into(waited));
  t.trigger(into(triggered));
  clock.run_until_idle();
  check_value(triggered, 20);
  check_value(joined, 20);
  CHECK(next.value == std::optional<int>(20));
  CHECK(waited.value == std::optional<int>(20));
  CHECK(t.hit_count() == 2);
  CHECK(t.last_result() == 20);
  REQUIRE(t.last_tick_at());
  CHECK(*t.last_tick_at() == clock.now());
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(trigger_context,
                  "14.13 trigger: one left pending by a stop does not leak into the next run") {
  async_timer::timer t{io, 10s, target(), {.initial_delay = 3s}};
  outcome<int> triggered;
  SUBCASE("it had cut the sleep") {
    t.start();
    clock.advance(5s);
    t.trigger(into(triggered));
    t.request_stop();
    clock.run_until_idle();
  }
  SUBCASE("it had joined a tick in flight") {
    takes = 5s;
    t.start();
    clock.advance(5s);
    t.trigger(into(triggered));
    t.request_stop();
    clock.run_until_idle();
    takes = 0s;
  }
  CHECK(at == times{3s});
  check_error(triggered, "stopped");
  t.start();
  clock.advance(13s);
  CHECK(at == times{3s, 8s, 18s});
  CHECK(triggered.completions == 1);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "14.14 trigger: with delay 0 the next natural tick is the one") {
  int count = 0;
  async_timer::timer<int>* self = nullptr;
  outcome<int> triggered;
  async_timer::timer t{io, 0s, [&] {
                         if (++count == 5) net::post(io, [&] { self->trigger(into(triggered)); });
                         if (count == 10) throw async_timer::end_of_ticks{};
                         return count;
                       }};
  self = &t;
  t.start();
  CHECK(out_of_work());
  check_value(triggered, 6);
}
