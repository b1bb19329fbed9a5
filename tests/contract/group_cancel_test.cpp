// Contract section 20: groups; trigger, cancellation, lifetime. The rest is in group_test.cpp.
#include <doctest/doctest.h>

#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/fixture.hpp"
#include "support/groups.hpp"
#include "support/text.hpp"

using namespace test;
using async_timer::timer;
using async_timer::timer_group;
using results = std::vector<async_timer::group_result>;

namespace {

/// Calls a blocking form on this thread and gives the text of its error.
template <class Call>
std::string text_of(Call&& call) {
  try {
    call();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

/// Is a context of real time, run by a thread of its own.
class running_context {
 public:
  running_context() : thread_([this] { io.run(); }) {}
  ~running_context() {
    work_.reset();
    thread_.join();
  }
  running_context(const running_context&) = delete;
  running_context& operator=(const running_context&) = delete;

  net::io_context io{1};

 private:
  net::executor_work_guard<net::io_context::executor_type> work_{io.get_executor()};
  std::thread thread_;
};

}  // namespace

TEST_CASE_FIXTURE(virtual_context,
                  "20.8 group: cancel_all stops all members and waits for their clean-up") {
  int stops = 0;
  timer_group group{io};
  auto& own = group.add(timer{io, 1s, [] {}, {.on_stop = [&] { ++stops; }}});
  group.start();
  auto& foreign = group.add(timer{io, 1s, [] {}, {.on_stop = [&] { ++stops; }, .start = true}});
  auto& failed =
      group.add(timer{io, 1s, [] { throw std::runtime_error("bad"); }, {.on_error = [] {}}});
  clock.advance(0s);
  CHECK_FALSE(failed.is_running());
  no_value cancelled;
  group.cancel_all(into(cancelled));
  CHECK_FALSE(group.is_running());
  CHECK_FALSE(own.is_running());
  CHECK_FALSE(foreign.is_running());
  CHECK_FALSE(cancelled.done());
  clock.run_until_idle();
  CHECK(cancelled.completions == 1);
  CHECK(cancelled.kind() == "");
  CHECK(stops == 2);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "20.8 group: cancel_all of an empty or inactive group is done") {
  timer_group group{io};
  no_value cancelled;
  group.cancel_all(into(cancelled));
  CHECK_FALSE(cancelled.done());
  clock.run_until_idle();
  CHECK(cancelled.kind() == "");
  group.add(timer{io, 1s, [] {}});
  group.cancel_all(into(cancelled));
  clock.run_until_idle();
  CHECK(cancelled.completions == 2);
  end(*this, group);
}

TEST_CASE_FIXTURE(virtual_context,
                  "20.8 group: what keeps one member from being cancelled is logged, not thrown") {
  const log_recorder log;
  auto elsewhere = std::make_unique<net::io_context>();
  timer_group group{io, {.name = "caches"}};
  auto& lost = group.add(timer{*elsewhere, 1s, [] {}, {.name = "lost"}});
  auto& fine = group.add(timer{io, 1s, [] {}});
  group.start();
  no_value cancelled;
  group.cancel_all(into(cancelled));
  clock.run_until_idle();
  CHECK_FALSE(fine.is_running());
  CHECK_FALSE(cancelled.done());
  elsewhere.reset();
  clock.run_until_idle();
  CHECK(cancelled.completions == 1);
  CHECK(cancelled.kind() == "");
  CHECK_FALSE(lost.is_running());
  REQUIRE(log.records().size() == 1);
  const auto& record = log.records()[0];
  CHECK(record.level == async_timer::log_level::error);
  CHECK(record.logger == "async_timer.group.caches");
  CHECK(record.event == "async_timer.group_cancel_failure");
  CHECK(record.field("group_name") == "caches");
  CHECK(record.field("timer_name") == "lost");
  CHECK(record.field("exception_type") == "async_timer::threadsafe_dispatch_error");
  end(*this, group);
}

TEST_CASE_FIXTURE(virtual_context, "20.8 group: the caller's own cancellation leaves the stop on") {
  int stops = 0;
  timer_group group{io};
  group.add(timer{io, 1s, [] {}, {.on_stop = [&] { ++stops; }}});
  group.start();
  net::cancellation_signal signal;
  no_value cancelled;
  group.cancel_all(net::bind_cancellation_slot(signal.slot(), into(cancelled)));
  signal.emit(net::cancellation_type::terminal);
  clock.run_until_idle();
  CHECK(cancelled.kind() == "stopped");
  CHECK(stops == 1);
  end(*this, group);
}

TEST_CASE_FIXTURE(virtual_context,
                  "20.8 group: cancel_all from a member's target doesn't wait for that member") {
  timer_group group{io};
  int unwound = 0;
  auto& other = group.add(timer{io, 1s, [] {}});
  group.add(timer{io, 1s, [&]() -> net::awaitable<void> {
                    co_await net::this_coro::throw_if_cancelled(false);
                    co_await net::this_coro::reset_cancellation_state(net::disable_cancellation());
                    co_await group.cancel_all();
                    ++unwound;
                  }});
  group.start();
  clock.advance(1s);
  CHECK(unwound == 1);
  CHECK_FALSE(other.is_running());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "20.9 group: may be started and entered again") {
  timer_group group{io};
  auto& member = group.add(timer{io, 1s, [] {}});
  for (int round = 1; round <= 2; ++round) {
    group.start();
    clock.advance(0s);
    CHECK(member.hit_count() == 2 * round - 1);
    no_value cancelled;
    group.cancel_all(into(cancelled));
    clock.run_until_idle();
    CHECK(cancelled.done());
    auto waiting = [&]() -> net::awaitable<void> { co_await group.wait({.hits = 1}); };
    spawn([&]() -> net::awaitable<void> { co_await async_timer::scoped(group, waiting); });
    CHECK(member.hit_count() == 2 * round);
    CHECK_FALSE(group.is_running());
  }
  end(*this, group);
}

TEST_CASE_FIXTURE(virtual_context, "20.16 group: trigger fires all members at the same time") {
  timer_group group{io};
  group.add(timer{io, 1h, [] { return 1; }, {.initial_delay = 1h}});
  group.add(timer{io, 2h, [] { return std::string("s"); }, {.initial_delay = 2h}});
  group.start();
  outcome<results> fired;
  group.trigger(into(fired));
  clock.advance(0s);
  REQUIRE(fired.completions == 1);
  CHECK(fired.kind() == "");
  CHECK(fired.value->at(0).outcome.as<int>() == 1);
  CHECK(fired.value->at(1).outcome.as<std::string>() == "s");
  end(*this, group);
}

TEST_CASE_FIXTURE(virtual_context,
                  "20.16 group: trigger fires the others though one member doesn't run") {
  timer_group group{io};
  auto& stopped = group.add(timer{io, 1h, [] { return 1; }});
  auto& fires = group.add(timer{io, 1h, [] { return 2; }, {.initial_delay = 1h}});
  group.start();
  stopped.request_stop();
  clock.run_until_idle();
  outcome<results> strict;
  group.trigger(into(strict));
  clock.run_until_idle();
  CHECK(strict.kind() == "not_running");
  CHECK(fires.hit_count() == 1);
  outcome<results> lenient;
  group.trigger({.return_exceptions = true}, into(lenient));
  clock.run_until_idle();
  CHECK(lenient.kind() == "");
  CHECK(kind_of(lenient.value->at(0).outcome.error()) == "not_running");
  CHECK(lenient.value->at(1).outcome.as<int>() == 2);
  CHECK(fires.hit_count() == 2);
  end(*this, group);
}

TEST_CASE_FIXTURE(virtual_context, "20.16 group: the timeout of a trigger leaves the targets on") {
  timer_group group{io};
  net::steady_timer never{io, net::steady_timer::time_point::max()};
  bool cut = false;
  auto& slow = group.add(timer{io, 1h, [&]() -> net::awaitable<int> {
                                 auto waiting = never.async_wait(net::use_awaitable);
                                 try {
                                   co_await std::move(waiting);
                                 } catch (const async_timer::system_error&) {
                                 }
                                 cut = (co_await net::this_coro::cancellation_state).cancelled() !=
                                       net::cancellation_type::none;
                                 co_return 1;
                               }});
  group.add(timer{io, 1h, [] { return 2; }});
  group.start();
  clock.advance(1s);
  outcome<results> fired;
  outcome<results> poll;
  group.trigger({.timeout = 2s, .return_exceptions = true}, into(fired));
  group.trigger({.timeout = 0s}, into(poll));
  clock.run_until_idle();
  CHECK(poll.kind() == "timeout");
  CHECK_FALSE(fired.done());
  clock.advance(2s);
  CHECK(fired.kind() == "timeout");
  CHECK(slow.is_running());
  never.cancel();
  clock.run_until_idle();
  CHECK_FALSE(cut);
  CHECK(slow.hit_count() == 1);
  end(*this, group);
}

TEST_CASE_FIXTURE(virtual_context,
                  "20.16 group: trigger from a member's target can't wait for it") {
  timer_group group{io};
  outcome<results> fired;
  bool called = false;
  group.add(timer{io, 1h, [&] {
                    if (!std::exchange(called, true)) {
                      group.trigger({.return_exceptions = true}, into(fired));
                    }
                  }});
  group.add(timer{io, 1h, [] { return 2; }, {.initial_delay = 1h}});
  group.start();
  clock.advance(0s);
  REQUIRE(fired.done());
  CHECK(kind_of(fired.value->at(0).outcome.error()) == "self_wait");
  CHECK(fired.value->at(1).outcome.as<int>() == 2);
  end(*this, group);
}

TEST_CASE_FIXTURE(virtual_context,
                  "20.12, 20.16 group: its own cancellation ends a wait and touches no timer") {
  timer_group group{io};
  auto& member = group.add(timer{io, 1s, [] { return 1; }, {.initial_delay = 1s}});
  group.add(timer{io, 1s, [] { return 1; }, {.initial_delay = 1s}});
  group.start();
  net::cancellation_signal signal;
  outcome<results> waited;
  outcome<results> other;
  group.wait({.hits = 1, .timeout = 1h, .return_exceptions = true},
             net::bind_cancellation_slot(signal.slot(), into(waited)));
  group.wait({.hits = 1}, into(other));
  signal.emit(net::cancellation_type::terminal);
  CHECK_FALSE(waited.done());
  clock.run_until_idle();
  CHECK(waited.kind() == "stopped");
  CHECK_FALSE(other.done());
  signal.emit(net::cancellation_type::terminal);
  clock.advance(1s);
  CHECK(other.kind() == "");
  CHECK(waited.completions == 1);
  CHECK(member.is_running());
  end(*this, group);
}

TEST_CASE_FIXTURE(virtual_context, "20.18 group: cancel_threadsafe refuses what could only hang") {
  timer_group group{io};
  group.add(timer{io, 1s, [] {}});
  const auto never_started = text_of([&] { group.cancel_threadsafe(); });
  CHECK(contains(never_started, "timer group has not been started yet"));
  CHECK(contains(never_started, "Call start() first"));
  group.start();
  std::string own_thread;
  net::post(io, [&] { own_thread = text_of([&] { group.cancel_threadsafe(); }); });
  clock.run_until_idle();
  CHECK(contains(own_thread, "own event loop thread"));
  CHECK(contains(own_thread, "co_await cancel_all()"));
  CHECK(group.is_running());
  const auto in_time = text_of([&] { group.cancel_threadsafe(0s); });
  CHECK(contains(in_time, "cancel_threadsafe"));
  CHECK(contains(in_time, "did not complete within"));
  CHECK_FALSE(group.is_running());
  clock.run_until_idle();
  CHECK(text_of([&] { group.cancel_threadsafe(); }).empty());
  CHECK_THROWS_AS(group.cancel_threadsafe(std::numeric_limits<double>::infinity() * 1s),
                  std::invalid_argument);
  end(*this, group);
}

TEST_CASE("20.18 group: cancel_threadsafe is refused on the thread of a member's context") {
  net::io_context group_context;
  net::io_context member_context;
  timer_group group{group_context};
  group.add(timer{group_context, 1h, [] {}});
  group.add(timer{member_context, 1h, [] {}});
  group.start();
  std::string refused;
  net::post(member_context, [&] { refused = text_of([&] { group.cancel_threadsafe(); }); });
  member_context.poll();
  CHECK(contains(refused, "own event loop thread"));
}

TEST_CASE("20.18 group: cancel_threadsafe returns after the clean-up of all members") {
  int stops = 0;
  running_context context;
  timer_group group{context.io};
  group.add(timer{context.io, 1h, [] {}, {.on_stop = [&] { ++stops; }}});
  group.add(timer{context.io, 1h, [] { return 1; }, {.on_stop = [&] { ++stops; }}});
  group.start();
  group.cancel_threadsafe();
  CHECK(stops == 2);
  group.start();
  group.cancel_threadsafe(1h);
  CHECK(stops == 4);
}

TEST_CASE("20.18 group: cancel_threadsafe says that the context is gone, before and meanwhile") {
  const log_recorder log;
  auto io = std::make_unique<net::io_context>();
  timer_group group{*io};
  auto& member = group.add(timer{*io, 1h, [] {}});
  group.start();
  std::string meanwhile;
  std::thread waiting([&] { meanwhile = text_of([&] { group.cancel_threadsafe(); }); });
  while (member.is_running()) std::this_thread::yield();
  io.reset();
  waiting.join();
  CHECK(contains(meanwhile, "event loop is closed"));
  CHECK(contains(text_of([&] { group.cancel_threadsafe(); }), "event loop is closed"));
  CHECK_THROWS_AS(group.start(), async_timer::threadsafe_dispatch_error);
  CHECK_FALSE(group.is_running());
}

TEST_CASE_FIXTURE(virtual_context, "20.22 group: destroying a group stops its members") {
  int stops = 0;
  const auto captured = std::make_shared<int>();
  std::optional<async_timer::timer_ref> ref;
  outcome<results> waited;
  {
    timer_group group{io};
    ref = group.add(timer{io, 1s, [captured] {}, {.on_stop = [&] { ++stops; }}}).ref();
    group.start();
    group.wait({.hits = 3}, into(waited));
  }
  CHECK_FALSE(ref->is_running());
  clock.run_until_idle();
  CHECK(stops == 1);
  CHECK(waited.kind() == "stopped");
  CHECK(captured.use_count() == 1);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "20.22 group: is a movable handle; members stay where they are") {
  timer_group group{io, {.name = "a"}};
  auto& member = group.add(timer{io, 1s, [] { return 1; }});
  group.start();
  timer_group moved{std::move(group)};
  CHECK(moved.is_running());
  CHECK(member.is_running());
  CHECK_FALSE(group.is_running());  // NOLINT(bugprone-use-after-move)
  CHECK_THROWS_AS(group.start(), std::logic_error);
  timer_group other{io, {.name = "b"}};
  auto gone = other.add(timer{io, 1s, [] {}}).ref();
  other.start();
  other = std::move(moved);
  CHECK(other.name() == "a");
  CHECK_FALSE(gone.is_running());
  CHECK(member.is_running());
  end(*this, other);
}

TEST_CASE("20.22 group: destroying the context destroys pending handlers unrun") {
  const auto captured = std::make_shared<int>();
  bool ran = false;
  auto io = std::make_unique<net::io_context>();
  timer_group group{*io};
  group.add(timer{*io, 1h, [] {}});
  group.add(timer{*io, 1h, [] { return 1; }});
  group.start();
  const auto handler = [captured, &ran](const auto&...) { ran = true; };
  group.wait({.hits = 1}, handler);
  group.wait({.hits = 1, .timeout = 1h}, handler);
  group.trigger({.timeout = 1h, .return_exceptions = true}, handler);
  const auto used = captured.use_count();
  io.reset();
  CHECK_FALSE(ran);
  CHECK(captured.use_count() == used - 3);
  CHECK_FALSE(group.is_running());
}

TEST_CASE_FIXTURE(virtual_context,
                  "20.22 group: a member whose own context goes away contributes that error") {
  auto elsewhere = std::make_unique<net::io_context>();
  timer_group group{io};
  group.add(timer{*elsewhere, 1h, [] {}});
  group.add(timer{io, 1h, [] { return 1; }});
  group.start();
  outcome<results> strict;
  outcome<results> lenient;
  group.wait({.hits = 1}, into(strict));
  group.wait({.hits = 1, .return_exceptions = true}, into(lenient));
  elsewhere.reset();
  clock.advance(0s);
  CHECK(strict.kind() == "dispatch");
  CHECK(lenient.kind() == "");
  CHECK(kind_of(lenient.value->at(0).outcome.error()) == "dispatch");
  CHECK(lenient.value->at(1).outcome.as<int>() == 1);
  end(*this, group);
}

TEST_CASE_FIXTURE(virtual_context,
                  "20.22 group: a wait whose clock goes away with the group's context ends") {
  auto elsewhere = std::make_unique<net::io_context>();
  timer_group group{*elsewhere};
  auto& member = group.add(timer{io, 1s, [] {}});
  group.start();
  outcome<results> waited;
  group.wait({.hits = 3, .timeout = 1h}, net::bind_executor(io, into(waited)));
  elsewhere.reset();
  clock.run_until_idle();
  CHECK(waited.kind() == "dispatch");
  CHECK(member.is_running());
  member.request_stop();
  CHECK(out_of_work());
}
