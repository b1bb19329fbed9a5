// Groups: members added, started, fired, waited for and cancelled by different threads.
#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "interleavings/world.hpp"

using namespace test;

namespace {

/// Is a group with one member, and what is told of that.
struct one_group {
  explicit one_group(execution& run, int threads = 1) : w(run, threads) {
    group.emplace(w.io);
    member = &group->add(async_timer::timer<int>{w.io, 1s, told.target(), told.options()});
  }
  void start_sleeping() {
    group->start();
    ++told.starts;
    w.clock.run_until_idle();
  }
  void end(execution& run) {
    if (group) group->cancel_all(done.handler("last cancel_all"));
    w.finish();
    group.reset();
    done.expect_each_once(run);
    told.expect_all_over(run);
  }

  story told;
  book done;
  world w;
  std::optional<async_timer::timer_group> group;
  async_timer::timer<int>* member = nullptr;
};

}  // namespace

TEST_CASE("20.2, 20.8 add meets start and cancel_all: every member is stopped at the end") {
  explore("add meets start and cancel_all", one_preemption, [](execution& run) {
    one_group one(run);
    story added;
    run.together(
        [&] { one.w.serve(); },
        [&] {
          one.group->add(async_timer::timer<int>{one.w.io, 1s, added.target(), added.options()});
        },
        [&] { one.group->start(); },
        [&] { one.group->cancel_all(one.done.handler("cancel_all")); });
    // Started or not, and stopped as often as that.
    one.told.starts = one.told.stops + (one.member->is_running() ? 1 : 0);
    one.end(run);
    run.expect(added.is_released(), "what the added one captured is not released");
    run.expect(added.stops <= 1 && one.told.stops <= 1, "a run ended twice");
    run.expect(added.stops == 1 || added.ticks == 0, "a run did not end");
  });
}

TEST_CASE("20.4, 7.1 start meets the start of a member: one run, and no error of the group's") {
  explore("start of a group meets the start of a member", [](execution& run) {
    one_group one(run);
    run.together([&] { one.group->start(); },
                 [&] {
                   try {
                     one.member->start();
                   } catch (const async_timer::timer_already_running_error&) {
                   }
                 });
    one.told.starts = 1;
    run.expect(one.group->is_running(), "the member does not run");
    one.end(run);
  });
}

TEST_CASE("20.8, 15.10 cancel_all meets the end of a member and another cancel_all") {
  explore_long("cancel_all meets the end of a member", {}, one_preemption, [](execution& run) {
    one_group one(run);
    one.start_sleeping();
    const auto cancels = [&](const char* name) {
      one.group->cancel_all(one.done.handler(name, [&] {
        run.expect_equal(one.told.stops, 1, "on_stop calls at the end of cancel_all");
      }));
    };
    run.together([&] { one.w.serve(); }, [&] { cancels("cancel_all"); },
                 [&] { one.member->request_stop(); }, [&] { cancels("other cancel_all"); });
    one.end(run);
  });
}

TEST_CASE("20.11, 20.13 wait meets ticks, the end of a member and its own cancellation") {
  explore("a wait of a group meets ticks and ends", [](execution& run) {
    one_group one(run);
    story second_told;
    auto& second = one.group->add(
        async_timer::timer<int>{one.w.io, 1s, second_told.target(), second_told.options()});
    ++second_told.starts;
    one.start_sleeping();
    run.together([&] { one.w.serve_for(1); },
                 [&] { one.group->wait({.hits = 1}, one.done.handler("wait")); },
                 [&] { second.request_stop(); });
    const auto kind = one.done["wait"].kind();
    run.expect(kind == "" || kind == "stopped" || kind == "not_running",
               "the outcome of wait is " + kind);
    one.end(run);
    second_told.expect_all_over(run);
  });
}

TEST_CASE("20.11, 20.12 the deadline of a wait meets the tick that it waits for, on two threads") {
  explore("the deadline of a group meets a tick", [](execution& run) {
    one_group one(run, 2);
    one.start_sleeping();
    one.group->wait({.hits = 1, .timeout = 1s}, one.done.handler("wait"));
    run.together([&] { one.w.serve_for(1); }, [&] { one.w.serve(); });
    const auto kind = one.done["wait"].kind();
    run.expect(kind == "" || kind == "timeout", "the outcome of wait is " + kind);
    one.end(run);
  });
}

TEST_CASE("20.16, 20.8 a trigger of a group meets cancel_all and the end of the group") {
  explore("a trigger of a group meets cancel_all", [](execution& run) {
    one_group one(run);
    one.start_sleeping();
    run.together([&] { one.w.serve(); }, [&] { one.group->trigger(one.done.handler("trigger")); },
                 [&] { one.group->cancel_all(one.done.handler("cancel_all")); });
    const auto kind = one.done["trigger"].kind();
    run.expect(kind == "" || kind == "stopped" || kind == "not_running",
               "the outcome of trigger is " + kind);
    one.end(run);
  });
}

TEST_CASE("20.18, 22.1 cancel_threadsafe of a group meets a tick and the end of a member") {
  explore("cancel_threadsafe of a group", [](execution& run) {
    one_group one(run);
    one.start_sleeping();
    run.together([&] { one.w.serve_for(1); },
                 [&] {
                   one.group->cancel_threadsafe();
                   run.expect_equal(one.told.stops, 1, "on_stop calls when it returned");
                 },
                 [&] { one.member->request_stop(); });
    one.end(run);
  });
}

TEST_CASE("20.22, D9 the end of the group's handle meets its wait and a tick") {
  explore("the end of a group meets a tick", [](execution& run) {
    one_group one(run);
    one.start_sleeping();
    one.group->wait({.hits = 1}, one.done.handler("wait"));
    run.together([&] { one.w.serve_for(1); }, [&] { one.group.reset(); });
    const auto kind = one.done["wait"].kind();
    run.expect(kind == (one.told.ticks == 2 ? "" : "stopped"), "the outcome of wait is " + kind);
    one.end(run);
  });
}
