// Contract section 20: groups, where their members, clocks and options are at an edge.
#include <doctest/doctest.h>

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "support/fixture.hpp"
#include "support/groups.hpp"
#include "support/text.hpp"
#include "support/threads.hpp"
#include "support/tokens.hpp"
#include "support/turnstile.hpp"

using namespace test;
using async_timer::timer;
using async_timer::timer_group;
using results = std::vector<async_timer::group_result>;

TEST_CASE_FIXTURE(virtual_context,
                  "20.12 group: a timeout of zero is over at once, though the tick is due") {
  timer_group group{io};
  group.add(timer{io, 1s, [] { return 1; }});
  group.start();
  outcome<results> waited;
  outcome<results> fired;
  group.wait({.hits = 1, .timeout = 0s}, into(waited));
  group.trigger({.timeout = 0s}, into(fired));
  clock.run_until_idle();
  CHECK(waited.kind() == "timeout");
  CHECK(fired.kind() == "timeout");
  CHECK(contains(message_of(waited.error), "timer_group::wait"));
  CHECK(contains(message_of(fired.error), "timer_group::trigger"));
  end(*this, group);
}

TEST_CASE_FIXTURE(virtual_context,
                  "20.13 group: the first error ends the wait at once, whoever comes after it") {
  timer_group group{io};
  group.add(timer{io, 1h, [] { return 1; }});
  auto& running = group.add(timer{io, 1h, [] { return 2; }});
  running.start();
  clock.run_until_idle();
  outcome<results> waited;
  group.wait({.hits = 1}, into(waited));
  clock.run_until_idle();
  CHECK(waited.completions == 1);
  CHECK(waited.kind() == "not_running");
  CHECK(running.is_running());
  end(*this, group);
}

TEST_CASE_FIXTURE(virtual_context,
                  "20.13, 20.16 group: errors propagate unless return_exceptions asks for them") {
  timer_group group{io};
  group.add(timer{io, 1h, [] { return 1; }});
  outcome<results> fired;
  outcome<results> waited;
  group.trigger({.timeout = 1h}, into(fired));
  group.wait({.hits = 1, .timeout = 1h}, into(waited));
  clock.run_until_idle();
  CHECK(fired.kind() == "not_running");
  CHECK(waited.kind() == "not_running");
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "20.8 group: to cancel cancel_all ends it while a target still runs, and is no "
                  "failure to be logged") {
  const log_recorder log;
  turnstile hold{io};
  timer_group group{io};
  group.add(timer{io, 1h, [&] { return hold.wait_uninterruptibly(); }});
  group.start();
  clock.run_until_idle();
  net::cancellation_signal signal;
  no_value cancelled;
  group.cancel_all(net::bind_cancellation_slot(signal.slot(), into(cancelled)));
  clock.run_until_idle();
  REQUIRE_FALSE(cancelled.done());
  signal.emit(net::cancellation_type::terminal);
  clock.run_until_idle();
  CHECK(cancelled.completions == 1);
  CHECK(cancelled.kind() == "stopped");
  CHECK(hold.waiting() == 1);
  CHECK(log.records().empty());
  hold.open();
  end(*this, group);
}

TEST_CASE_FIXTURE(virtual_context,
                  "20.12 group: a timeout that can't be armed, since the group's context is gone, "
                  "is said at once") {
  auto elsewhere = std::make_unique<net::io_context>();
  timer_group group{*elsewhere};
  auto& member = group.add(timer{io, 1s, [] { return 1; }});
  group.start();
  elsewhere.reset();
  clock.run_until_idle();
  outcome<results> waited;
  group.wait({.hits = 3, .timeout = 1h}, net::bind_executor(io, into(waited)));
  clock.run_until_idle();
  CHECK(waited.completions == 1);
  CHECK(waited.kind() == "dispatch");
  CHECK(member.is_running());
  member.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "20.4, 18.1 group: starts members with stop signals, too") {
  std::stop_source source;
  timer_group group{io};
  auto& member = group.add(
      timer{io, 1s, [] { return 1; }, {.stop_on = async_timer::stop_when(source.get_token())}});
  group.start();
  clock.advance(2s);
  CHECK(member.hit_count() == 3);
  source.request_stop();
  clock.run_until_idle();
  CHECK_FALSE(member.is_running());
  end(*this, group);
}

TEST_CASE_FIXTURE(virtual_context,
                  "20.22 group: destroying it stops its members, though an operation that was "
                  "never begun keeps what it needs") {
  std::optional<timer_group> group{std::in_place, io};
  const auto member = group->add(timer{io, 1h, [] { return 1; }}).ref();
  group->start();
  auto later = group->cancel_all(compat::deferred);
  group.reset();
  CHECK_FALSE(member.is_running());
  CHECK(out_of_work());
  no_value cancelled;
  std::move(later)(into(cancelled));
  clock.run_until_idle();
  CHECK(cancelled.completions == 1);
  CHECK(cancelled.kind() == "");
}

TEST_CASE("20.18 group: cancel_threadsafe may block the thread of a member that is over") {
  event_loop own;
  event_loop of_member;
  timer_group group{own.io};
  group.add(timer{of_member.io, 1h, [] {}});
  group.start();
  group.cancel_threadsafe();
  CHECK(of_member.on_loop([&] { return thrown_by([&] { group.cancel_threadsafe(); }); }) == "");
}

TEST_CASE_FIXTURE(virtual_context, "20.19, 24.1 group: without a name it has a logger, too") {
  const log_recorder log;
  auto elsewhere = std::make_unique<net::io_context>();
  timer_group group{io};
  group.add(timer{*elsewhere, 1s, [] {}});
  group.start();
  no_value cancelled;
  group.cancel_all(into(cancelled));
  elsewhere.reset();
  clock.run_until_idle();
  CHECK(cancelled.completions == 1);
  REQUIRE(log.records().size() == 1);
  CHECK(log.records()[0].logger == "async_timer.group");
}

TEST_CASE_FIXTURE(virtual_context,
                  "20.7, 20.16 group: what is initiated when it is gone hears of its members") {
  outcome<results> waited;
  outcome<results> fired;
  no_value cancelled;
  int stops = 0;
  {
    timer_group group{io};
    const auto first =
        group.add(timer{io, 1s, [] { return 1; }, {.on_stop = [&] { ++stops; }}}).ref();
    const auto second =
        group.add(timer{io, 1s, [] { return 1; }, {.on_stop = [&] { ++stops; }}}).ref();
    group.start();
    clock.advance(0s);
    auto wait = group.wait(compat::deferred);
    auto trigger = group.trigger(compat::deferred);
    auto cancel = group.cancel_all(compat::deferred);
    group = timer_group{io};
    CHECK_FALSE(first.is_running());
    CHECK_FALSE(second.is_running());
    std::move(wait)(into(waited));
    std::move(trigger)(into(fired));
    std::move(cancel)(into(cancelled));
  }
  CHECK(out_of_work());
  CHECK(stops == 2);
  CHECK(waited.kind() == "");
  REQUIRE(waited.value);
  CHECK(waited.value->size() == 2);
  CHECK(fired.kind() == "not_running");
  CHECK(cancelled.completions == 1);
  CHECK(cancelled.kind() == "");
}

namespace {

/// Is a timer of a user's own whose moves ask the group that it goes to.
class asking_timer : public timer<int> {
 public:
  asking_timer(net::io_context& io, const timer_group& group)
      : timer<int>(io, 1s, [] { return 1; }), group_(&group) {}
  asking_timer(asking_timer&& other) noexcept
      : timer<int>(std::move(other)), group_(other.group_), seen(group_->size()) {}

 private:
  const timer_group* group_;

 public:
  std::size_t seen = 0;
};

}  // namespace

TEST_CASE_FIXTURE(virtual_context, "20.2 group: add() moves a timer with no lock held") {
  timer_group group{io};
  group.start();
  const auto& added = group.add(asking_timer{io, group});
  CHECK(added.seen == 1);
  CHECK(added.is_running());
  end(*this, group);
}
