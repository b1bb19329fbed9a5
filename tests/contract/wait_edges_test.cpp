// Contract sections 9, 10, 14, 15 and 18: waits, triggers and stops where two things meet.
#include <doctest/doctest.h>

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "support/fixture.hpp"
#include "support/text.hpp"

using namespace test;
using async_timer::timer;

namespace {

/// Gives the text of the error of each operation on a timer that is not running.
template <class T>
std::string refusals_of(virtual_context& context, timer<T>& t) {
  std::string texts;
  const auto note = [&texts](const std::exception_ptr& error, const auto&...) {
    texts += message_of(error) + '\n';
  };
  t.join(note);
  t.wait({.hits = 1}, note);
  t.trigger(note);
  context.clock.run_until_idle();
  return texts;
}

}  // namespace

TEST_CASE_FIXTURE(virtual_context,
                  "9.3, 10.16, 14.1 not running: the error names what was called, and the timer") {
  timer named{io, 1s, answer, {.name = "cache"}};
  timer unnamed{io, 1s, answer, {.on_stop = [] {}}};
  timer bare{io, 1s, answer};
  CHECK(refusals_of(*this, named) ==
        "join: the timer \"cache\" is not running; call start() first\n"
        "wait: the timer \"cache\" is not running; call start() first\n"
        "trigger: the timer \"cache\" is not running; call start() first\n");
  const std::string without_name =
      "join: the timer is not running; call start() first\n"
      "wait: the timer is not running; call start() first\n"
      "trigger: the timer is not running; call start() first\n";
  CHECK(refusals_of(*this, unnamed) == without_name);
  CHECK(refusals_of(*this, bare) == without_name);
}

TEST_CASE_FIXTURE(virtual_context,
                  "10.15, 10.21 wait: a timeout of zero is over at once, though the tick is due") {
  timer t{io, 1s, answer};
  t.start();
  outcome<std::optional<int>> counted;
  outcome<std::optional<int>> idle;
  t.wait({.hits = 1, .timeout = 0s}, into(counted));
  t.wait({.timeout = 0s}, into(idle));
  clock.run_until_idle();
  CHECK(counted.kind() == "timeout");
  CHECK_FALSE(counted.value->has_value());
  CHECK(idle.kind() == "");
  REQUIRE(idle.done());
  CHECK_FALSE(idle.value->has_value());
  CHECK(t.hit_count() == 1);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "14.10, D23 inside the target: of all waits only an idle one with a timeout can "
                  "end") {
  outcome<std::optional<int>> counted;
  outcome<std::optional<int>> polled;
  outcome<std::optional<int>> idle;
  outcome<std::optional<int>> bounded;
  timer<int>* self = nullptr;
  timer t{io, 1h, [&] {
            if (self->hit_count() == 0) {
              self->wait({.hits = 2, .timeout = 1s}, into(counted));
              self->wait({.hits = 2, .timeout = 0s}, into(polled));
              self->wait(into(idle));
              self->wait({.timeout = 1s}, into(bounded));
            }
            return 42;
          }};
  self = &t;
  t.start();
  clock.run_until_idle();
  CHECK(counted.kind() == "self_wait");
  CHECK(polled.kind() == "self_wait");
  CHECK(idle.kind() == "self_wait");
  CHECK_FALSE(bounded.done());
  clock.advance(1s);
  REQUIRE(bounded.done());
  CHECK(bounded.kind() == "");
  CHECK(bounded.value->has_value());
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "14.2, 18.1 trigger: cuts each sleep of a timer with stop signals") {
  std::stop_source source;
  timer t{io, 1h, answer, {.stop_on = async_timer::stop_when(source.get_token())}};
  t.start();
  clock.run_until_idle();
  REQUIRE(t.hit_count() == 1);
  for (int n = 2; n < 5; ++n) {
    outcome<int> triggered;
    t.trigger(into(triggered));
    clock.run_until_idle();
    CHECK(triggered.completions == 1);
    CHECK(triggered.kind() == "");
    CHECK(t.hit_count() == n);
  }
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "12.6, 17.6 failure telemetry: empty before the first failure, named or not") {
  timer bare{io, 1s, answer};
  timer named{io, 1s, answer, {.name = "named"}};
  for (const auto* t : {&bare, &named}) {
    CHECK(t->failure_count() == 0);
    CHECK_FALSE(t->last_failure());
    CHECK_FALSE(t->last_failure_at());
    CHECK_FALSE(t->ref().last_failure());
    CHECK(t->snapshot().failure_count == 0);
    CHECK_FALSE(t->snapshot().last_failure);
  }
}

TEST_CASE("D36 snapshot: one of no timer is as of one that was never started") {
  const async_timer::timer_snapshot<int> none;
  CHECK_FALSE(none.is_running);
  CHECK(none.hit_count == 0);
  CHECK_FALSE(none.last_result);
  CHECK_FALSE(none.last_tick_at);
  CHECK(none.failure_count == 0);
  CHECK_FALSE(none.last_failure);
}

TEST_CASE_FIXTURE(virtual_context, "15.14, 15.3 timer_ref: requests the stop as the timer does") {
  int stops = 0;
  timer t{io, 1h, answer, {.on_stop = [&] { ++stops; }}};
  t.start();
  clock.run_until_idle();
  auto ref = t.ref();
  ref.request_stop();
  CHECK_FALSE(t.is_running());
  CHECK_FALSE(ref.is_running());
  CHECK(out_of_work());
  CHECK(stops == 1);
  ref.request_stop();
  CHECK(out_of_work());
  CHECK(stops == 1);
}

TEST_CASE_FIXTURE(
    virtual_context,
    "13.7, 14.2 trigger: by who is told of a dropped value is the next tick, at once") {
  int n = 0;
  timer t{io, 1h, [&] { return ++n; }};
  auto feed = t.subscribe({.maxsize = 1});
  outcome<int> triggered;
  async_timer::set_log_sink([&](const async_timer::log_record& record) {
    CHECK(record.event == "async_timer.subscription_drop");
    if (!triggered.done() && n == 2) t.trigger(into(triggered));
  });
  t.start();
  clock.advance(1h);
  async_timer::set_log_sink({});
  CHECK(triggered.completions == 1);
  CHECK(triggered.value == 3);
  CHECK(n == 3);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(
    virtual_context,
    "13.22 feeds: one that goes during a delivery frees its values with no lock held") {
  struct probe {
    std::function<void()> at_end;
    ~probe() { at_end(); }
  };
  using value = std::shared_ptr<const probe>;
  timer<value>* self = nullptr;
  int freed = 0;
  timer t{io, 1h, [&] {
            return value(new probe{[&] {
              ++freed;
              if (self != nullptr) static_cast<void>(self->name());
            }});
          }};
  self = &t;
  auto full = t.subscribe({.maxsize = 1});
  std::optional<async_timer::subscription<value>> dropped{t.subscribe()};
  async_timer::set_log_sink([&](const async_timer::log_record&) { dropped.reset(); });
  t.start();
  clock.run_until_idle();
  CHECK(freed == 0);
  clock.advance(1h);
  async_timer::set_log_sink({});
  CHECK(freed == 1);
  self = nullptr;
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(
    virtual_context,
    "9.1, 9.2 join: once another tick has come, the handler is the last to keep its value") {
  timer t{io, 1h, [] { return std::make_shared<int>(1); }};
  t.start();
  clock.run_until_idle();
  long owners = 0;
  t.join([&](std::exception_ptr, const std::shared_ptr<int>& value) {
    clock.advance(1h);
    owners = value.use_count();
  });
  clock.advance(1h);
  CHECK(owners == 1);
  t.request_stop();
  CHECK(out_of_work());
}
