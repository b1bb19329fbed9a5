// Who waits for a tick, and what ends the wait: ticks, stops, deadlines, cancellation.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "interleavings/world.hpp"
#include "support/tokens.hpp"

using namespace test;

namespace {

/// Tells whether a text is one of some.
bool is_one_of(const std::string& text, const std::vector<std::string>& those) {
  return std::find(those.begin(), those.end(), text) != those.end();
}

void expect_outcome(execution& run, const one_timer& one, const std::string& name,
                    const std::vector<std::string>& those) {
  const auto is = one.done[name].text();
  run.expect(is_one_of(is, those), "the outcome of " + name + " is '" + is + "'");
}

/// A trigger and the second tick of a timer meet: there are two ticks or, if the trigger came too
/// early or too late for that, three; never one more.
void trigger_meets_tick(execution& run, async_timer::mode mode) {
  one_timer one(run, mode);
  one.start_sleeping();
  std::vector<int> ticks_before_time;
  run.together(
      [&] {
        one.w.poll();
        ticks_before_time.push_back(one.told.ticks);
        one.w.serve_for(1);
      },
      [&] { one.t->trigger(one.done.handler("trigger")); });
  const int ticks = one.told.ticks;
  const int value = one.done["trigger"].value.value_or(0);
  const bool early = ticks_before_time.front() == 2;
  run.expect(ticks == 2 || ticks == 3, "ticks are " + std::to_string(ticks));
  run.expect_equal(value, early ? 2 : ticks, "the trigger's value");
  one.w.clock.advance(999ms);
  run.expect_equal(one.told.ticks, ticks, "ticks before the next is due");
  one.w.clock.advance(1s);
  run.expect_equal(one.told.ticks, ticks + 1, "ticks after that");
  one.end(run);
}

}  // namespace

TEST_CASE("14.2, 14.3, 14.4 trigger meets a tick: never a phantom") {
  explore("trigger meets a tick",
          [](execution& run) { trigger_meets_tick(run, async_timer::mode::fixed_delay); });
}

TEST_CASE("14.2, 14.4, 4.9 trigger meets a tick of fixed_rate: never a phantom") {
  explore("trigger meets a tick of fixed_rate",
          [](execution& run) { trigger_meets_tick(run, async_timer::mode::fixed_rate); });
}

TEST_CASE("4.10, 14.3 trigger meets a late tick of fixed_rate that is on its way: the grid stays") {
  explore("trigger meets a tick of fixed_rate on its way", {.preemptions = 3}, [](execution& run) {
    book done;
    world w(run);
    bool on_its_way = false;
    int ticks = 0;
    async_timer::timer_options options;
    options.mode = async_timer::mode::fixed_rate;
    // Due at the same instants; when the first one is called the second one is on its way.
    async_timer::timer<void> first{w.io, 1s, [&] { on_its_way = ticks == 1; }};
    async_timer::timer<void> second{w.io, 1s, [&] { ++ticks; }, options};
    first.start();
    second.start();
    w.clock.run_until_idle();
    bool triggered = false;
    run.together(
        [&] {
          w.jump(1500ms);
          w.serve();
        },
        [&] {
          interleaving::step();
          triggered = on_its_way && ticks == 1;
          if (triggered) second.trigger(done.handler("trigger"));
        });
    if (triggered && ticks == 2) {
      w.clock.advance(500ms);
      run.expect_equal(ticks, 3, "ticks at the next slot");
    }
    first.cancel(done.handler("cancel"));
    second.cancel(done.handler("other cancel"));
    w.finish();
    done.expect_each_once(run);
  });
}

TEST_CASE("14.6, D12c trigger meets start: the first tick is enough") {
  explore("trigger meets start", [](execution& run) {
    one_timer one(run);
    run.together([&] { one.w.serve(); }, [&] { one.told.start(*one.t); },
                 [&] { one.t->trigger(one.done.handler("trigger")); });
    expect_outcome(run, one, "trigger", {"1", "2", "not_running"});
    run.expect_equal(one.told.ticks, one.done["trigger"].value.value_or(1), "ticks");
    one.end(run);
  });
}

TEST_CASE("14.1, 14.7 trigger meets a stop") {
  explore("trigger meets a stop", [](execution& run) {
    one_timer one(run);
    one.start_sleeping();
    run.together([&] { one.w.serve(); }, [&] { one.t->trigger(one.done.handler("trigger")); },
                 [&] { one.t->request_stop(); });
    expect_outcome(run, one, "trigger", {"2", "stopped", "not_running"});
    run.expect_equal(one.told.ticks, one.done["trigger"].value.value_or(1), "ticks");
    one.end(run);
  });
}

TEST_CASE("14.13, D3 trigger meets a stop and the next start: no request leaks into that") {
  explore("trigger meets a stop and a start", [](execution& run) {
    one_timer one(run);
    one.start_sleeping();
    run.together(
        [&] { one.w.serve(); }, [&] { one.t->trigger(one.done.handler("trigger")); },
        [&] { one.t->cancel(one.done.handler("cancel", [&] { one.told.start(*one.t); })); });
    // One of each run, and one that the trigger has to have for itself.
    const auto ticks = one.told.ticks;
    const auto value = one.done["trigger"].value.value_or(2);
    run.expect(ticks == value || (value == 2 && ticks == 3), "ticks are " + std::to_string(ticks));
    run.expect(one.done["trigger"].value || ticks == 2, "a tick that nobody asked for");
    one.end(run);
  });
}

TEST_CASE("14.5, 9.2 triggers from two threads: one tick for those that come before it") {
  explore("two triggers", [](execution& run) {
    one_timer one(run);
    one.start_sleeping();
    run.together([&] { one.w.serve(); }, [&] { one.t->trigger(one.done.handler("trigger")); },
                 [&] { one.t->trigger(one.done.handler("other trigger")); });
    const auto a = one.done["trigger"].value.value_or(0);
    const auto b = one.done["other trigger"].value.value_or(0);
    run.expect_equal(std::min(a, b), 2, "the value of the first one");
    run.expect_equal(one.told.ticks, std::max(a, b), "ticks");
    one.end(run);
  });
}

TEST_CASE(
    "9.1, 9.7 join meets a tick and its own cancellation, which runs where its handler does") {
  explore("join meets a tick and its cancellation", [](execution& run) {
    one_timer one(run, 2);
    net::cancellation_signal signal;
    const auto strand = net::make_strand(one.w.io);
    one.start_sleeping();
    run.together([&] { one.w.serve_for(1); }, [&] { one.w.serve(); },
                 [&] {
                   net::post(strand, [&] {
                     one.t->join(net::bind_cancellation_slot(
                         signal.slot(), net::bind_executor(strand, one.done.handler("join"))));
                   });
                   net::post(strand, [&] { signal.emit(net::cancellation_type::terminal); });
                 });
    expect_outcome(run, one, "join", {"2", "stopped"});
    one.end(run);
  });
}

TEST_CASE("10.10, 10.11, 10.14 a deadline meets the tick that it waits for, on two threads") {
  explore("a deadline meets a tick", [](execution& run) {
    one_timer one(run, 2);
    one.start_sleeping();
    one.t->wait({.hits = 1, .timeout = 1s}, one.done.handler("wait"));
    run.together([&] { one.w.serve_for(1); }, [&] { one.w.serve(); });
    expect_outcome(run, one, "wait", {"2", "timeout"});
    run.expect_equal(one.told.ticks, 2, "ticks");
    one.end(run);
  });
}

TEST_CASE("10.11, 10.17 a deadline meets a stop, on two threads") {
  explore_long("a deadline meets a stop", {}, one_preemption, [](execution& run) {
    one_timer one(run, 2);
    one.start_sleeping();
    one.t->wait({.hits = 9, .timeout = 1s}, one.done.handler("wait"));
    one.t->wait({.timeout = 1s}, one.done.handler("idle wait"));
    run.together([&] { one.w.serve_for(1); }, [&] { one.w.serve(); },
                 [&] { one.t->request_stop(); });
    expect_outcome(run, one, "wait", {"stopped", "timeout"});
    expect_outcome(run, one, "idle wait", {"", "2"});
    one.end(run);
  });
}

TEST_CASE("10.5, 10.11 a wait with a deadline begins while the timer stops") {
  explore("a wait with a deadline meets a stop", [](execution& run) {
    one_timer one(run);
    one.start_sleeping();
    run.together([&] { one.w.serve(); },
                 [&] { one.t->wait({.hits = 1, .timeout = 1h}, one.done.handler("wait")); },
                 [&] { one.t->request_stop(); });
    expect_outcome(run, one, "wait", {"stopped", "not_running"});
    one.end(run);
  });
}

TEST_CASE("11.2, 9.4, 10.19 next, join and an idle wait meet a tick and the end of the run") {
  explore("next meets the end", [](execution& run) {
    one_timer one(run);
    one.start_sleeping();
    run.together([&] { one.w.serve_for(1); },
                 [&] {
                   one.t->next(one.done.handler("next"));
                   one.t->wait(one.done.handler("idle wait"));
                 },
                 [&] { one.t->cancel(one.done.handler("cancel")); });
    expect_outcome(run, one, "next", {"2", ""});
    expect_outcome(run, one, "idle wait", {"2", ""});
    one.end(run);
  });
}

TEST_CASE("10.7, 10.13, D10 a counted wait meets ticks: not one more than it asked for") {
  explore("a counted wait meets ticks", [](execution& run) {
    one_timer one(run);
    one.start_sleeping();
    run.together([&] { one.w.serve_for(3); },
                 [&] { one.t->wait({.hits = 2}, one.done.handler("hits")); },
                 [&] { one.t->wait({.hit_count = 3}, one.done.handler("hit_count")); });
    // Begun before the first of the three ticks, or after one more of them, and so on.
    one.w.clock.advance(2s);
    expect_outcome(run, one, "hits", {"3", "4", "5", "6"});
    expect_outcome(run, one, "hit_count", {"3", ""});
    one.end(run);
  });
}
