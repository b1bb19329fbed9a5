// Contract sections 23 and 24: how a timer describes itself, and what it tells the log; D26,
// question 15.
#include <doctest/doctest.h>

#include <cctype>
#include <functional>
#include <ranges>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/capture.hpp"
#include "support/fixture.hpp"
#include "support/generators.hpp"
#include "support/run_record.hpp"
#include "support/sleeping_context.hpp"
#include "support/text.hpp"

using namespace test;
using async_timer::log_level;
using async_timer::timer;

namespace {

template <class T>
std::string streamed(const T& t) {
  std::ostringstream out;
  out << t;
  return out.str();
}

}  // namespace

TEST_CASE_FIXTURE(virtual_context, "23.1 description: class, name, delay, hit_count, state") {
  timer t{io, 1500ms, [] { return 1; }, {.name = "cache"}};
  CHECK(to_string(t) == "timer(name=\"cache\", delay=1.5s, hit_count=0, stopped)");
  t.start();
  CHECK(to_string(t) == "timer(name=\"cache\", delay=1.5s, hit_count=0, running)");
  clock.advance(1500ms);
  t.set_delay(2s);
  CHECK(to_string(t) == "timer(name=\"cache\", delay=2s, hit_count=2, running)");
  CHECK(streamed(t) == to_string(t));
  CHECK(to_string(t.ref()) == to_string(t));
  CHECK(streamed(t.ref()) == to_string(t));
  t.request_stop();
  CHECK(to_string(t) == "timer(name=\"cache\", delay=2s, hit_count=2, stopped)");
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "23.1 description: no name and an empty one are left out") {
  timer unnamed{io, 1s, [] { return 1; }};
  timer empty{io, 1s, [] { return 2; }, {.name = ""}};
  CHECK_FALSE(contains(to_string(unnamed), "name"));
  // No address either: two timers that look the same are described the same.
  CHECK(to_string(unnamed) == to_string(empty));
  CHECK(to_string(unnamed) == "timer(delay=1s, hit_count=0, stopped)");
}

TEST_CASE_FIXTURE(virtual_context, "23.2 description: of any timer, never started, of any target") {
  const auto check = [](const auto& t) {
    CHECK(streamed(t) == "timer(delay=1s, hit_count=0, stopped)");
  };
  check(timer{io, 1s, [] {}});
  check(timer{io, 1s, std::function<int()>([] { return 1; })});
  check(timer{io, 1s, []() -> net::awaitable<std::string> { co_return ""; }});
  check(timer{io, 1s, std::views::iota(1, 3)});
  check(timer{io, 1s, count_up(1, 3)});
  check(timer{io, 1s, [] { return count_up(1, 3); }});
  check(timer{io, 1s, async_counter(1, 3)});
  check(timer{io, 1s, coro_up(io.get_executor(), 1, 3)});
}

TEST_CASE_FIXTURE(virtual_context, "23.2 description: from inside the target and the callbacks") {
  std::vector<std::string> seen;
  timer<int>* self = nullptr;
  timer t{io,
          1s,
          [&]() -> int {
            seen.push_back(to_string(*self));
            throw std::runtime_error("broken");
          },
          {.on_error = [&](async_timer::timer_ref r) { seen.push_back(to_string(r)); },
           .on_stop = [&](async_timer::timer_ref r) { seen.push_back(to_string(r)); }}};
  self = &t;
  t.start();
  CHECK(out_of_work());
  const std::vector<std::string> expected{"timer(delay=1s, hit_count=0, running)",
                                          "timer(delay=1s, hit_count=0, stopped)",
                                          "timer(delay=1s, hit_count=0, stopped)"};
  CHECK(seen == expected);
}

namespace {

/// Starts a timer in fixed_rate whose second tick takes 3.25 s, so that slots 2, 3 and 4 are
/// missed.
struct late_timer : sleeping_context {
  int calls = 0;
  void run(const std::string& name) {
    timer t{io,
            1s,
            [this]() -> net::awaitable<void> {
              if (++calls == 2) {
                auto nap = pause(3250ms);
                co_await std::move(nap);
              }
            },
            {.mode = async_timer::mode::fixed_rate, .name = name}};
    t.start();
    clock.advance(10s);
    t.request_stop();
    clock.run_until_idle();
  }
};

void fail_once(virtual_context& context, const std::string& name, int ticks_before = 0) {
  timer t{context.io,
          1s,
          [left = ticks_before]() mutable {
            if (left-- == 0) throw std::runtime_error("broken");
          },
          {.name = name}};
  t.start();
  context.clock.advance(ticks_before * 1s);
  CHECK_FALSE(t.is_running());
}

}  // namespace

TEST_CASE_FIXTURE(virtual_context, "24.1, 24.2, 24.3 failure: one ERROR of async_timer.timer") {
  log_recorder log;
  fail_once(*this, "", 2);
  REQUIRE(log.records().size() == 1);
  const auto& record = log.records().front();
  CHECK(record.level == log_level::error);
  CHECK(record.logger == "async_timer.timer");
  CHECK(record.event == "async_timer.target_exception");
  CHECK(contains(record.message, "unexpected exception in the timer loop"));
  CHECK(contains(record.message, "broken"));
  CHECK(record.field("timer_name") == "");
  CHECK(record.field("hit_count") == "2");
  CHECK(contains(record.field("exception"), "broken"));
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "24.1, D26 failure: a named timer has a logger of its own") {
  log_recorder log;
  fail_once(*this, "cache");
  fail_once(*this, "metrics");
  REQUIRE(log.records().size() == 2);
  CHECK(log.records()[0].logger == "async_timer.timer.cache");
  CHECK(log.records()[0].field("timer_name") == "cache");
  CHECK(log.records()[1].logger == "async_timer.timer.metrics");
  CHECK(log.records()[1].field("timer_name") == "metrics");
}

TEST_CASE_FIXTURE(virtual_context, "24.3 failure: what is no std::exception is reported as well") {
  log_recorder log;
  timer t{io, 1s, []() -> int { throw 42; }};
  t.start();
  CHECK(out_of_work());
  REQUIRE(log.records().size() == 1);
  CHECK(log.records().front().event == "async_timer.target_exception");
  CHECK_FALSE(log.records().front().field("exception").empty());
}

TEST_CASE_FIXTURE(virtual_context, "24.2 failure: with an on_error of the user nothing is logged") {
  log_recorder log;
  run_record run;
  timer t{io, 1s, []() -> int { throw 42; }, run.options()};
  t.start();
  CHECK(out_of_work());
  CHECK(run.failures.size() == 1);
  CHECK(log.records().empty());
}

TEST_CASE_FIXTURE(late_timer, "24.1, 24.2, 24.3 skip: one WARNING of async_timer.pacemaker") {
  log_recorder log;
  run("late");
  REQUIRE(log.records().size() == 1);
  const auto& record = log.records().front();
  CHECK(record.level == log_level::warning);
  CHECK(record.logger == "async_timer.pacemaker");
  CHECK(record.event == "async_timer.fixed_rate_skip");
  CHECK(contains(record.message, "fell behind"));
  // The tick of slot 1 ended at 4.25 s; slots 2, 3 and 4 are past, by 2.25 s the first of them.
  CHECK(record.field("skipped_ticks") == "3");
  CHECK(record.field("delay_s") == "1.000");
  CHECK(record.field("behind_s") == "2.250");
  CHECK(record.field("timer_name") == "late");
  CHECK(contains(record.message, "3"));
  CHECK(contains(record.message, "1.000"));
  CHECK(contains(record.message, "2.250"));
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "24.2, 24.3 callbacks: what they throw is one ERROR each") {
  log_recorder log;
  timer t{io,
          1s,
          []() -> int { throw 42; },
          {.name = "cache",
           .on_error = [] { throw std::runtime_error("on_error broke"); },
           .on_stop = [] { throw std::runtime_error("on_stop broke"); }}};
  t.start();
  no_value cancelled;
  clock.run_until_idle();
  t.cancel(into(cancelled));
  CHECK(out_of_work());
  CHECK(cancelled.kind() == "");
  CHECK_FALSE(t.is_running());
  REQUIRE(log.records().size() == 2);
  const std::string callbacks[] = {"on_error", "on_stop"};
  for (std::size_t i = 0; i < 2; ++i) {
    const auto& record = log.records()[i];
    CHECK(record.level == log_level::error);
    CHECK(record.logger == "async_timer.timer.cache");
    CHECK(record.event == "async_timer.callback_exception");
    CHECK(record.field("callback") == callbacks[i]);
    CHECK(record.field("exception") == callbacks[i] + " broke");
    CHECK(contains(record.message, callbacks[i] + " broke"));
  }
}

TEST_CASE_FIXTURE(sleeping_context, "24.2 silence: nothing is logged in normal operation") {
  log_recorder log;
  run_record run;
  timer delayed{io, 1s, [] { return 1; }, {.initial_delay = 1s, .jitter = 0.5, .name = "delayed"}};
  timer rated{io,
              1s,
              [this]() -> net::awaitable<void> {
                auto nap = pause(900ms);
                co_await std::move(nap);
              },
              {.mode = async_timer::mode::fixed_rate, .name = "rated"}};
  timer counted{io, 1s, count_up(1, 3)};
  delayed.start();
  rated.start();
  counted.start();
  outcome<int> triggered, joined;
  outcome<std::optional<int>> waited;
  clock.advance(3s);
  delayed.trigger(into(triggered));
  clock.advance(3s);
  delayed.wait({.hits = 100, .timeout = 1s}, into(waited));
  clock.advance(3s);
  CHECK(triggered.kind() == "");
  CHECK(waited.kind() == "timeout");
  CHECK_FALSE(counted.is_running());
  CHECK_THROWS(delayed.start());
  CHECK_THROWS(delayed.set_delay(-1s));
  delayed.join(into(joined));
  delayed.request_stop();
  clock.run_until_idle();
  CHECK(joined.kind() == "stopped");
  delayed.start();
  no_value cancelled;
  rated.cancel(into(cancelled));  // in flight or between two ticks
  delayed.request_stop();
  CHECK(out_of_work());
  CHECK(log.records().empty());
}

TEST_CASE_FIXTURE(virtual_context, "24.4, D24 sink: what it throws does not break the run") {
  async_timer::set_log_sink([](const async_timer::log_record&) -> void { throw 42; });
  int stops = 0;
  timer t{
      io, 1s, []() -> int { throw std::runtime_error("broken"); }, {.on_stop = [&] { ++stops; }}};
  outcome<int> joined;
  no_value cancelled;
  t.start();
  t.join(into(joined));
  t.cancel(into(cancelled));
  t.request_stop();
  CHECK(out_of_work());
  CHECK(stops == 1);
  t.start();
  t.join(into(joined));
  clock.run_until_idle();
  CHECK(stops == 2);
  CHECK(joined.completions == 2);
  CHECK(joined.kind() == "broken");
  CHECK(cancelled.completions == 1);
  CHECK_FALSE(t.is_running());
  CHECK(out_of_work());
  async_timer::set_log_sink({});
}

TEST_CASE_FIXTURE(late_timer,
                  "24.4, D24 sink: one that throws at a skip leaves the timer running") {
  async_timer::set_log_sink([](const async_timer::log_record&) -> void { throw 42; });
  timer t{io,
          1s,
          [this]() -> net::awaitable<void> {
            if (++calls == 2) {
              auto nap = pause(3250ms);
              co_await std::move(nap);
            }
          },
          {.mode = async_timer::mode::fixed_rate}};
  t.start();
  clock.advance(5s);
  CHECK(t.is_running());
  CHECK(t.hit_count() == 3);  // at 0 s, from 1 s to 4.25 s, at 5 s
  t.request_stop();
  CHECK(out_of_work());
  async_timer::set_log_sink({});
}

TEST_CASE_FIXTURE(late_timer, "24.4 sink: it may call the timer, no lock is held") {
  std::vector<std::string> seen;
  timer<void>* self = nullptr;
  async_timer::set_log_sink([&](const async_timer::log_record& record) {
    seen.emplace_back(record.event);
    seen.push_back(to_string(*self));
    seen.push_back(self->name());
    (void)self->snapshot();
    if (record.level == log_level::warning) {
      self->set_delay(2s);
    } else {
      CHECK_THROWS_AS(self->start(), async_timer::timer_already_running_error);
      async_timer::set_log_sink({});  // this very function object is not destroyed under its feet
      seen.push_back("still here");
    }
  });
  timer t{io,
          1s,
          [this]() -> net::awaitable<void> {
            if (++calls == 2) {
              auto nap = pause(3250ms);
              co_await std::move(nap);
            }
            if (calls == 3) throw std::runtime_error("broken");
          },
          {.mode = async_timer::mode::fixed_rate, .name = "late"}};
  self = &t;
  t.start();
  clock.advance(20s);
  CHECK_FALSE(t.is_running());
  CHECK(out_of_work());
  async_timer::set_log_sink({});
  const std::vector<std::string> expected{"async_timer.fixed_rate_skip",
                                          "timer(name=\"late\", delay=1s, hit_count=2, running)",
                                          "late",
                                          "async_timer.target_exception",
                                          "timer(name=\"late\", delay=2s, hit_count=2, stopped)",
                                          "late",
                                          "still here"};
  CHECK(seen == expected);
}

TEST_CASE_FIXTURE(late_timer, "24.4 sink: it may stop the timer whose skip it is told of") {
  timer<void>* self = nullptr;
  async_timer::set_log_sink([&](const async_timer::log_record&) { self->request_stop(); });
  run_record run;
  auto options = run.options();
  options.mode = async_timer::mode::fixed_rate;
  timer t{io, 1s,
          [this]() -> net::awaitable<void> {
            if (++calls == 2) {
              auto nap = pause(3250ms);
              co_await std::move(nap);
            }
          },
          options};
  self = &t;
  t.start();
  clock.advance(10s);
  CHECK_FALSE(t.is_running());
  CHECK(t.hit_count() == 2);
  CHECK(run.stops == 1);
  CHECK(out_of_work());
  async_timer::set_log_sink({});
}

TEST_CASE_FIXTURE(virtual_context,
                  "24.4 sink: is told every event, however many come in a second") {
  log_recorder log;
  for (int i = 0; i < 200; ++i) fail_once(*this, "noisy");
  CHECK(log.records().size() == 200);
}

TEST_CASE_FIXTURE(virtual_context, "24.4 sink: the default one writes one line a second") {
  async_timer::set_log_sink({});
  const auto text = stderr_within_a_second([&](const std::string& name) {
    for (int i = 0; i < 50; ++i) fail_once(*this, name);
  });
  CHECK(text.starts_with("ERROR async_timer.timer.attempt"));
  CHECK(contains(text, ": unexpected exception in the timer loop: broken"));
  CHECK(text.find('\n') == text.size() - 1);
}

TEST_CASE_FIXTURE(virtual_context, "24.4 sink: one that does nothing silences the library") {
  async_timer::set_log_sink([](const async_timer::log_record&) {});
  CHECK(stderr_within_a_second([&](const std::string& name) { fail_once(*this, name); }) == "");
  async_timer::set_log_sink({});
}
