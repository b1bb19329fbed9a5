// Contract section 20: groups; membership, start, wait. The rest is in group_cancel_test.cpp.
#include <doctest/doctest.h>

#include <iterator>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/fixture.hpp"
#include "support/groups.hpp"

using namespace test;
using async_timer::timer;
using async_timer::timer_group;
using async_timer::timer_ref;
using results = std::vector<async_timer::group_result>;

namespace {

std::vector<timer_ref> members_of(const timer_group& group) {
  std::vector<timer_ref> all;
  for (const auto& each : group) all.push_back(each);
  return all;
}

/// Brings a timer into the state that start() refuses: stopped, but not cleaned up yet.
template <class Timer>
void leave_uncleaned(Timer& t) {
  t.start();
  t.request_stop();
}

}  // namespace

TEST_CASE_FIXTURE(virtual_context,
                  "20.1 group: keeps its members in the order of insertion; size, contains, name") {
  timer_group group{io, {.name = "caches"}};
  CHECK(group.size() == 0);
  CHECK(group.begin() == group.end());
  auto& first = group.add(timer{io, 1s, [] { return 1; }});
  auto& second = group.add(timer{io, 1s, [] {}});
  timer stranger{io, 1s, [] {}};
  CHECK(group.size() == 2);
  CHECK(group.name() == "caches");
  CHECK(group.contains(first.ref()));
  CHECK(group.contains(second.ref()));
  CHECK_FALSE(group.contains(stranger.ref()));
  CHECK(group.contains(first));
  CHECK_FALSE(group.contains(stranger));
  CHECK(*group.begin() == first);
  CHECK(*group.begin() != second);
  CHECK(members_of(group) == std::vector{first.ref(), second.ref()});
  static_assert(std::forward_iterator<timer_group::iterator>);
  static_assert(std::is_same_v<std::iter_reference_t<timer_group::iterator>, timer_ref>);
  const auto& kept = *group.begin();  // the list behind the iterator goes at once
  CHECK(kept == first);
  CHECK(group.begin()->delay() == 1s);
  const auto of_before = group.begin();
  group.add(std::move(stranger));
  CHECK(std::ranges::distance(group) == 3);
  CHECK(*of_before == first.ref());
  end(*this, group);
}

TEST_CASE_FIXTURE(virtual_context,
                  "20.1, D30 group: one timer can't be a member twice, since adding moves it") {
  timer_group group{io};
  timer t{io, 1s, [] {}};
  group.add(std::move(t));
  CHECK_THROWS_AS(group.add(std::move(t)), std::logic_error);
  CHECK(group.size() == 1);
  static_assert(!std::is_invocable_v<decltype([](auto& g, auto& x) -> decltype(g.add(x)) {}),
                                     timer_group&, timer<int>&>);
  end(*this, group);
}

TEST_CASE_FIXTURE(virtual_context,
                  "20.2 group: add gives the timer at its place, and starts it if active") {
  timer_group group{io};
  auto& first = group.add(timer{io, 1s, [] { return 1; }});
  static_assert(std::is_same_v<decltype(first), timer<int>&>);
  CHECK_FALSE(first.is_running());
  group.start();
  CHECK(first.is_running());
  auto& second = group.add(timer{io, 1s, [] { return std::string("x"); }});
  CHECK(second.is_running());
  timer running{io, 1s, [] {}};
  running.start();
  auto& third = group.add(std::move(running));
  CHECK(third.is_running());
  for (int i = 0; i < 100; ++i) group.add(timer{io, 1s, [] {}});
  clock.advance(0s);
  CHECK(first.last_result() == 1);
  CHECK(second.last_result() == "x");
  CHECK(third.hit_count() == 1);
  end(*this, group);
}

TEST_CASE_FIXTURE(
    virtual_context,
    "20.3, D30 group: add with a start that fails leaves group and timer as they were") {
  timer_group group{io};
  group.start();
  timer t{io, 1s, [] { return 7; }};
  leave_uncleaned(t);
  CHECK(thrown_by([&] { group.add(std::move(t)); }) == "already_running");
  CHECK(group.size() == 0);
  CHECK_FALSE(group.contains(t.ref()));
  clock.advance(0s);
  auto& added = group.add(std::move(t));
  clock.advance(0s);
  CHECK(added.last_result() == 7);
  end(*this, group);
}

TEST_CASE_FIXTURE(virtual_context,
                  "20.3, 7.8 group: add that can't start a timer of every leaves it without "
                  "executor, for another group") {
  std::optional<net::io_context> gone(std::in_place, 1);
  timer_group dead{*gone};
  dead.start();
  gone.reset();
  auto t = async_timer::every(1s)([] { return 7; });
  CHECK(thrown_by([&] { dead.add(std::move(t)); }) == "dispatch");
  CHECK(dead.size() == 0);
  CHECK_FALSE(t.get_executor());
  timer_group group{io};
  group.start();
  auto& added = group.add(std::move(t));
  clock.advance(0s);
  CHECK(added.last_result() == 7);
  end(*this, group);
}

TEST_CASE_FIXTURE(virtual_context,
                  "20.4, 20.7 group: a scope starts who doesn't run, and cancels all at its end") {
  int stops = 0;
  timer_group group{io};
  auto& first = group.add(timer{io, 1s, [] {}, {.on_stop = [&] { ++stops; }}});
  auto& second = group.add(timer{io, 1s, [] {}, {.on_stop = [&] { ++stops; }}});
  second.start();
  clock.advance(500ms);
  bool left = false;
  auto body = [&]() -> net::awaitable<void> {
    CHECK(group.is_running());
    CHECK(first.is_running());
    co_await group.wait({.hits = 1});
    CHECK(second.hit_count() == 2);
    throw std::runtime_error("body");
  };
  auto work = [&]() -> net::awaitable<void> {
    std::string error;
    try {
      co_await async_timer::scoped(group, body);
    } catch (const std::runtime_error& e) {
      error = e.what();
    }
    CHECK(error == "body");
    CHECK(stops == 2);
    CHECK_FALSE(first.is_running());
    left = true;
  };
  spawn(work);
  clock.advance(1s);
  CHECK(left);
  CHECK_FALSE(group.is_running());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "20.5 group: start has no effect while active; entering starts who stopped") {
  timer_group group{io};
  auto& first = group.add(timer{io, 1s, [] {}});
  auto& second = group.add(timer{io, 1s, [] {}});
  group.start();
  CHECK(group.is_running());
  first.request_stop();
  clock.advance(0s);
  group.start();
  CHECK_FALSE(first.is_running());
  CHECK(second.is_running());
  bool entered = false;
  auto body = [&]() -> net::awaitable<void> {
    entered = first.is_running() && second.is_running();
    co_return;
  };
  spawn([&]() -> net::awaitable<void> { co_await async_timer::scoped(group, body); });
  CHECK(entered);
  CHECK_FALSE(first.is_running());
  end(*this, group);
}

TEST_CASE_FIXTURE(
    virtual_context,
    "20.7 group: a scope whose body moves the group cancels its members all the same") {
  std::optional<timer_group> group(std::in_place, io);
  auto& only = group->add(timer{io, 1s, [] {}});
  std::optional<timer_group> elsewhere;
  bool ran = false;
  auto body = [&]() -> net::awaitable<void> {
    elsewhere.emplace(std::move(*group));
    ran = only.is_running();
    co_return;
  };
  spawn([&]() -> net::awaitable<void> { co_await async_timer::scoped(*group, body); });
  CHECK(ran);
  CHECK_FALSE(only.is_running());
  CHECK_FALSE(elsewhere->is_running());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(
    virtual_context,
    "20.7 group: a scope waits for the clean-up of those that it did not start, too") {
  net::steady_timer gate(io, net::steady_timer::time_point::max());
  const auto unwinds_slowly = [&]() -> net::awaitable<void> {
    co_await net::this_coro::reset_cancellation_state(net::disable_cancellation());
    auto wait = gate.async_wait(net::use_awaitable);
    co_await std::move(wait);
  };
  timer_group group{io};
  group.add(timer{io, 1s, [] {}});
  bool left = false;
  auto body = [&]() -> net::awaitable<void> {
    group.add(timer{io, 1s, unwinds_slowly});
    auto tick = net::post(net::use_awaitable);
    co_await std::move(tick);
  };
  spawn([&]() -> net::awaitable<void> {
    co_await async_timer::scoped(group, body);
    left = true;
  });
  CHECK_FALSE(group.is_running());
  CHECK_FALSE(left);
  gate.cancel();
  clock.run_until_idle();
  CHECK(left);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "20.6 group: a start that fails stops just those that it started") {
  int stops = 0;
  timer_group group{io};
  auto& started = group.add(timer{io, 1s, [] {}, {.on_stop = [&] { ++stops; }}});
  auto& ran = group.add(timer{io, 1s, [] {}});
  auto& refuses = group.add(timer{io, 1s, [] {}});
  auto& behind = group.add(timer{io, 1s, [] {}});
  ran.start();
  leave_uncleaned(refuses);
  CHECK(thrown_by([&] { group.start(); }) == "already_running");
  CHECK_FALSE(group.is_running());
  CHECK_FALSE(started.is_running());
  CHECK(ran.is_running());
  CHECK_FALSE(behind.is_running());
  CHECK(stops == 0);
  clock.advance(0s);
  CHECK(stops == 1);
  group.start();
  CHECK(group.is_running());
  end(*this, group);
}

TEST_CASE_FIXTURE(virtual_context,
                  "20.6 group: a scope that can't be entered waits for the cancellation") {
  int stops = 0;
  bool entered = false;
  timer_group group{io};
  group.start();
  auto& ran = group.add(timer{io, 1s, [] {}});
  auto& started = group.add(timer{io, 1s, [] {}, {.on_stop = [&] { ++stops; }}});
  auto& refuses = group.add(timer{io, 1s, [] {}});
  started.request_stop();
  refuses.request_stop();
  clock.advance(0s);
  stops = 0;
  std::string error;
  auto body = [&]() -> net::awaitable<void> {
    entered = true;
    co_return;
  };
  spawn([&]() -> net::awaitable<void> {
    leave_uncleaned(refuses);
    try {
      co_await async_timer::scoped(group, body);
    } catch (const async_timer::timer_already_running_error&) {
      error = std::to_string(stops) + " stopped";
    }
  });
  CHECK(error == "1 stopped");
  CHECK_FALSE(entered);
  CHECK_FALSE(started.is_running());
  CHECK(ran.is_running());
  CHECK_FALSE(group.is_running());
  end(*this, group);
}

TEST_CASE_FIXTURE(virtual_context, "20.10 group: runs while it is active and every member runs") {
  timer_group group{io};
  CHECK_FALSE(group.is_running());
  group.start();
  CHECK(group.is_running());
  group.add(timer{io, 1s, [] {}});
  auto& second = group.add(timer{io, 1s, [] {}});
  CHECK(group.is_running());
  second.request_stop();
  CHECK_FALSE(group.is_running());
  timer_group inactive{io};
  auto& runs = inactive.add(timer{io, 1s, [] {}, {.start = true}});
  CHECK_FALSE(inactive.is_running());
  runs.request_stop();
  end(*this, group);
}

TEST_CASE_FIXTURE(virtual_context,
                  "20.11 group: wait gives each member's value, in order, when all are there") {
  int a = 0;
  timer_group group{io};
  auto& first = group.add(timer{io, 1s, [&] { return ++a; }});
  auto& second = group.add(timer{io, 3s, [] { return std::string("s"); }});
  group.start();
  outcome<results> counted;
  group.wait({.hit_count = 2}, into(counted));
  outcome<results> more;
  group.wait({.hits = 1}, into(more));
  clock.advance(0s);
  CHECK_FALSE(counted.done());
  REQUIRE(more.value->size() == 2);
  CHECK(more.value->at(0).outcome.as<int>() == 1);
  clock.advance(2s);
  CHECK_FALSE(counted.done());
  clock.advance(1s);
  REQUIRE(counted.completions == 1);
  CHECK(counted.kind() == "");
  REQUIRE(counted.value->size() == 2);
  const auto& list = *counted.value;
  CHECK(list[0].timer == first.ref());
  CHECK(list[0].outcome.as<int>() == 2);
  CHECK(list[1].timer == second.ref());
  CHECK(list[1].outcome.as<std::string>() == "s");
  end(*this, group);
}

TEST_CASE_FIXTURE(virtual_context,
                  "20.11, 20.16 group: an empty group gives an empty list at once, never inline") {
  timer_group group{io};
  outcome<results> waited;
  outcome<results> fired;
  SUBCASE("inactive") {}
  SUBCASE("active") { group.start(); }
  group.wait({.hit_count = 5, .timeout = 0s}, into(waited));
  group.trigger(into(fired));
  CHECK_FALSE(waited.done());
  CHECK_FALSE(fired.done());
  clock.run_until_idle();
  CHECK(waited.kind() == "");
  CHECK(waited.value->empty());
  CHECK(fired.completions == 1);
  CHECK(fired.value->empty());
  end(*this, group);
}

TEST_CASE_FIXTURE(virtual_context,
                  "20.11 group: an idle wait ends with the last run, each with its last value") {
  timer_group group{io};
  auto& first = group.add(timer{io, 1s, [] { return 1; }});
  auto& second = group.add(timer{io, 1s, [] {}});
  group.start();
  clock.advance(0s);
  outcome<results> waited;
  group.wait(into(waited));
  clock.advance(1s);
  first.request_stop();
  clock.advance(0s);
  CHECK_FALSE(waited.done());
  second.request_stop();
  clock.advance(0s);
  REQUIRE(waited.done());
  CHECK(waited.value->at(0).outcome.as<int>() == 1);
  CHECK(waited.value->at(1).outcome.as<void>().has_value());
  end(*this, group);
}

TEST_CASE_FIXTURE(virtual_context,
                  "20.12, D31 group: the timeout of a wait is an error, also of an idle one") {
  timer_group group{io};
  auto& first = group.add(timer{io, 1s, [] { return 1; }});
  auto& second = group.add(timer{io, 1s, [] { return 2; }});
  group.start();
  clock.advance(500ms);
  outcome<results> counted;
  outcome<results> idle;
  outcome<results> with_errors;
  outcome<results> at_once;
  group.wait({.hits = 9, .timeout = 2s}, into(counted));
  group.wait({.timeout = 2s}, into(idle));
  group.wait({.timeout = 2s, .return_exceptions = true}, into(with_errors));
  group.wait({.timeout = -1s}, into(at_once));
  clock.run_until_idle();
  CHECK(at_once.kind() == "timeout");
  clock.advance(1999ms);
  CHECK_FALSE(counted.done());
  clock.advance(1ms);
  CHECK(counted.kind() == "timeout");
  CHECK(counted.value->empty());
  CHECK(idle.kind() == "timeout");
  CHECK(with_errors.kind() == "timeout");
  CHECK(first.is_running());
  clock.advance(1s);
  CHECK(second.hit_count() == 4);
  CHECK(counted.completions == 1);
  end(*this, group);
}

TEST_CASE_FIXTURE(virtual_context,
                  "20.12 group: what is met, or can't be, comes before a timeout of zero") {
  timer_group group{io};
  auto& only = group.add(timer{io, 1s, [] { return 1; }});
  group.start();
  clock.advance(0s);
  outcome<results> met;
  group.wait({.hit_count = 1, .timeout = 0s}, into(met));
  clock.run_until_idle();
  CHECK(met.kind() == "");
  only.request_stop();
  clock.advance(0s);
  outcome<results> stopped;
  group.wait({.hit_count = 2, .timeout = 0s}, into(stopped));
  clock.run_until_idle();
  CHECK(stopped.kind() == "not_running");
  CHECK_THROWS_AS(
      group.wait({.timeout = std::numeric_limits<double>::infinity() * 1s}, into(stopped)),
      std::invalid_argument);
  end(*this, group);
}

TEST_CASE_FIXTURE(virtual_context,
                  "20.12 group: a target that fails with timeout_error is a failure, no timeout") {
  timer_group group{io};
  group.add(timer{
      io, 1s, []() -> int { throw async_timer::timeout_error("mine"); }, {.on_error = [] {}}});
  group.start();
  outcome<results> waited;
  group.wait({.timeout = 5s, .return_exceptions = true}, into(waited));
  clock.advance(0s);
  CHECK(waited.kind() == "");
  CHECK(kind_of(waited.value->at(0).outcome.error()) == "timeout");
  CHECK_THROWS_WITH(static_cast<void>(waited.value->at(0).outcome.as<int>()), "mine");
  end(*this, group);
}

TEST_CASE_FIXTURE(
    virtual_context,
    "20.13, D31 group: the first error withdraws the siblings' waits and ends the wait") {
  timer_group group{io};
  auto& good = group.add(timer{io, 1s, [] { return 1; }});
  int left = 2;
  group.add(timer{io,
                  1s,
                  [&] {
                    if (--left == 0) throw std::runtime_error("bad");
                  },
                  {.on_error = [] {}}});
  group.start();
  clock.advance(0s);
  outcome<results> waited;
  group.wait({.hits = 5}, into(waited));
  clock.advance(1s);
  CHECK(waited.completions == 1);
  CHECK(waited.kind() == "bad");
  CHECK(waited.value->empty());
  CHECK(good.is_running());
  clock.advance(5s);
  CHECK(waited.completions == 1);
  end(*this, group);
}

TEST_CASE_FIXTURE(virtual_context,
                  "20.14 group: with return_exceptions errors stand in the places of values") {
  timer_group group{io};
  group.add(timer{io, 1s, []() -> int { throw std::runtime_error("bad"); }, {.on_error = [] {}}});
  auto& stops = group.add(timer{io, 1s, [] { return 2; }, {.initial_delay = 1s}});
  group.add(timer{io, 1s, [] { return 3; }});
  auto& never = group.add(timer{io, 1s, [] { return 4; }});
  group.start();
  never.request_stop();
  outcome<results> waited;
  group.wait({.hits = 2, .return_exceptions = true}, into(waited));
  clock.advance(500ms);
  stops.request_stop();
  clock.advance(1s);
  REQUIRE(waited.done());
  CHECK(waited.kind() == "");
  const auto& list = *waited.value;
  REQUIRE(list.size() == 4);
  CHECK(kind_of(list[0].outcome.error()) == "bad");
  CHECK(async_timer::is_stopped(list[1].outcome.error()));
  CHECK_FALSE(list[1].outcome.has_value());
  CHECK(list[2].outcome.as<int>() == 3);
  CHECK(kind_of(list[3].outcome.error()) == "not_running");
  end(*this, group);
}

TEST_CASE_FIXTURE(
    virtual_context,
    "20.15, D31b group: a member that met the condition already contributes nothing") {
  timer_group group{io};
  auto& early = group.add(timer{io, 1s, [] { return 1; }, {.start = true}});
  clock.advance(2s);
  early.request_stop();
  clock.advance(0s);
  group.add(timer{io, 1s, [] { return 2; }, {.start = true}});
  outcome<results> waited;
  group.wait({.hit_count = 2}, into(waited));
  clock.advance(1s);
  REQUIRE(waited.done());
  CHECK(waited.kind() == "");
  const auto& nothing = waited.value->at(0).outcome;
  CHECK_FALSE(nothing.has_value());
  CHECK_FALSE(nothing.error());
  CHECK(nothing.as<int>() == std::nullopt);
  CHECK(waited.value->at(1).outcome.as<int>() == 2);
  end(*this, group);
}

TEST_CASE_FIXTURE(virtual_context,
                  "20.17 group: a wait or trigger is for the members of its moment") {
  timer_group group{io};
  group.add(timer{io, 1s, [] { return 1; }});
  group.start();
  outcome<results> waited;
  outcome<results> fired;
  group.wait({.hits = 1}, into(waited));
  group.trigger(into(fired));
  group.add(timer{io, 1s, [] { return 2; }});
  clock.advance(1s);
  CHECK(waited.value->size() == 1);
  CHECK(fired.value->size() == 1);
  end(*this, group);
}

TEST_CASE_FIXTURE(virtual_context, "20.19 group: describes itself in one line") {
  timer_group group{io, {.name = "caches"}};
  group.add(timer{io, 1s, [] {}});
  CHECK(to_string(group) == "timer_group(name=\"caches\", timers=1, inactive)");
  timer_group unnamed{io};
  unnamed.start();
  std::ostringstream text;
  text << unnamed;
  CHECK(text.str() == "timer_group(timers=0, active)");
  end(*this, group);
}

TEST_CASE_FIXTURE(virtual_context,
                  "20.20 group: a member that ends by itself stays, and the group stays active") {
  timer_group group{io};
  auto& ends = group.add(timer{io, 1s, []() -> int { throw async_timer::end_of_ticks{}; }});
  auto& runs = group.add(timer{io, 1s, [] {}});
  group.start();
  clock.advance(0s);
  CHECK_FALSE(ends.is_running());
  CHECK(runs.is_running());
  CHECK(group.size() == 2);
  CHECK(group.add(timer{io, 1s, [] {}}).is_running());
  ends.start();
  CHECK(group.is_running());
  end(*this, group);
}

TEST_CASE_FIXTURE(virtual_context,
                  "20.21 group: mixes value types, and every() timers, started on its executor") {
  timer_group group{io};
  auto& decorated = group.add(async_timer::every(1s)([] { return 5; }));
  CHECK(decorated.func() == 5);
  group.add(timer{io, 1s, [] { return std::string("s"); }});
  group.add(timer{io, 1s, [] {}});
  group.add(timer{io, 1s, []() -> net::awaitable<double> { co_return 0.5; }});
  group.start();
  outcome<results> waited;
  group.wait({.hits = 1}, into(waited));
  clock.advance(0s);
  REQUIRE(waited.value->size() == 4);
  const auto& list = *waited.value;
  CHECK(list[0].outcome.as<int>() == 5);
  CHECK(list[1].outcome.as<std::string>() == "s");
  CHECK(list[2].outcome.as<void>().has_value());
  CHECK(list[3].outcome.as<double>() == 0.5);
  CHECK_THROWS_AS(static_cast<void>(list[0].outcome.as<long>()), std::logic_error);
  end(*this, group);
}
