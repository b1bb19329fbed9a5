// The blocking forms: threads that really wait, for what others do.
#include <doctest/doctest.h>

#include <string>

#include "interleavings/world.hpp"

using namespace test;

TEST_CASE("22.2, 26.4 trigger_threadsafe meets a tick and a stop") {
  explore("trigger_threadsafe meets a tick and a stop", [](execution& run) {
    one_timer one(run);
    one.start_sleeping();
    int value = 0;
    std::string error;
    run.together([&] { one.w.serve_for(1); },
                 [&] { error = thrown_by([&] { value = one.t->trigger_threadsafe(); }); },
                 [&] { one.t->request_stop(); });
    run.expect(error == "stopped" || error == "not_running" || (error.empty() && value >= 2),
               "it gave " + std::to_string(value) + " and threw " + error);
    one.end(run);
  });
}

TEST_CASE("22.6, 22.7 trigger_threadsafe: its timeout meets the tick") {
  explore("a timeout of trigger_threadsafe meets the tick", [](execution& run) {
    one_timer one(run);
    one.start_sleeping();
    int value = 0;
    std::string error;
    run.together([&] { one.w.serve(); },
                 [&] { error = thrown_by([&] { value = one.t->trigger_threadsafe(1ns); }); });
    run.expect(error == ""
                   ? value == 2
                   : error.find("did not arrive") != std::string::npos || error == "timeout",
               "it gave " + std::to_string(value) + " and threw " + error);
    run.expect_equal(one.told.ticks, 2, "ticks");
    one.end(run);
  });
}

TEST_CASE("22.1, 26.4 cancel_threadsafe meets the end of the run and the next start") {
  explore("cancel_threadsafe meets the end and start again", [](execution& run) {
    one_timer one(run);
    one.start_sleeping();
    run.together([&] { one.w.serve(); },
                 [&] {
                   one.t->cancel_threadsafe();
                   run.expect(one.told.stops >= 1, "it returned before on_stop");
                 },
                 [&] {
                   one.t->request_stop();
                   one.told.start(*one.t);
                 });
    one.end(run);
  });
}

TEST_CASE("22.6, 22.7, D11b cancel_threadsafe: its timeout meets the clean-up") {
  explore("a timeout of cancel_threadsafe meets the clean-up", [](execution& run) {
    one_timer one(run);
    one.start_sleeping();
    run.together([&] { one.w.serve(); },
                 [&] {
                   const auto error = thrown_by([&] { one.t->cancel_threadsafe(1ns); });
                   run.expect(error.empty() ? one.told.stops == 1 : error == "timeout",
                              "it threw " + error);
                 });
    run.expect_equal(one.told.stops, 1, "on_stop calls");
    one.end(run);
  });
}

TEST_CASE("22.1, 22.2 cancel_threadsafe from two threads, while a third one waits for a tick") {
  explore_long("two cancel_threadsafe meet a trigger_threadsafe", {.random = 400},
               {.preemptions = 1, .interleavings = 100'000, .random = 1500}, [](execution& run) {
                 one_timer one(run);
                 one.start_sleeping();
                 std::string error;
                 const auto cancels = [&] {
                   one.t->cancel_threadsafe();
                   run.expect_equal(one.told.stops, 1, "on_stop calls when it returned");
                 };
                 run.together([&] { one.w.serve(); }, cancels, cancels,
                              [&] { error = thrown_by([&] { one.t->trigger_threadsafe(); }); });
                 run.expect(error == "" || error == "stopped" || error == "not_running",
                            "it threw " + error);
                 one.end(run);
               });
}
