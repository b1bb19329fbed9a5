// Contract section 25: the classes of errors and which of them goes where.
#include <doctest/doctest.h>

#include <cmath>
#include <concepts>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "support/fixture.hpp"
#include "support/run_record.hpp"
#include "support/sleeping_context.hpp"

using namespace test;
using async_timer::timer;
using async_timer::timer_error;

namespace {

template <class Error>
constexpr bool is_timer_error =
    std::derived_from<Error, timer_error> && std::convertible_to<Error*, timer_error*> &&
    !std::same_as<Error, timer_error> && std::is_constructible_v<Error, std::string> &&
    std::is_constructible_v<Error, const char*>;

// 25.1, and question 9: all six.
static_assert(std::derived_from<timer_error, std::runtime_error>);
static_assert(is_timer_error<async_timer::timer_already_running_error>);
static_assert(is_timer_error<async_timer::timer_not_running_error>);
static_assert(is_timer_error<async_timer::timer_restart_error>);
static_assert(is_timer_error<async_timer::threadsafe_dispatch_error>);
static_assert(is_timer_error<async_timer::timeout_error>);
static_assert(is_timer_error<async_timer::self_wait_error>);
// 25.2, 25.4
static_assert(!std::derived_from<std::invalid_argument, timer_error>);
static_assert(!std::derived_from<async_timer::system_error, timer_error>);
// The signal of an ended target is no error: `catch (const std::exception&)` lets it pass.
static_assert(!std::derived_from<async_timer::end_of_ticks, std::exception>);

template <class Error>
bool holds(const std::exception_ptr& error) {
  try {
    if (error) std::rethrow_exception(error);
  } catch (const Error&) {
    return true;
  } catch (...) {
  }
  return false;
}

template <class Error>
std::exception_ptr made(const Error& error) {
  return std::make_exception_ptr(error);
}

std::exception_ptr thrown_by_start(auto& t) {
  try {
    t.start();
  } catch (...) {
    return std::current_exception();
  }
  return nullptr;
}

}  // namespace

TEST_CASE("25.1 classes: each is caught as timer_error and as runtime_error, none as another") {
  const std::exception_ptr all[] = {made(async_timer::timer_already_running_error("1")),
                                    made(async_timer::timer_not_running_error("2")),
                                    made(async_timer::timer_restart_error("3")),
                                    made(async_timer::threadsafe_dispatch_error("4")),
                                    made(async_timer::timeout_error("5")),
                                    made(async_timer::self_wait_error("6"))};
  for (const auto& each : all) {
    CHECK(holds<timer_error>(each));
    CHECK(holds<std::runtime_error>(each));
    CHECK_FALSE(async_timer::is_stopped(each));
    const int matches = holds<async_timer::timer_already_running_error>(each) +
                        holds<async_timer::timer_not_running_error>(each) +
                        holds<async_timer::timer_restart_error>(each) +
                        holds<async_timer::threadsafe_dispatch_error>(each) +
                        holds<async_timer::timeout_error>(each) +
                        holds<async_timer::self_wait_error>(each);
    CHECK(matches == 1);
  }
}

TEST_CASE_FIXTURE(virtual_context,
                  "25.2 arguments: a bad one is invalid_argument, no timer_error") {
  const auto caught = [](auto&& action) -> std::exception_ptr {
    try {
      action();
    } catch (...) {
      return std::current_exception();
    }
    return nullptr;
  };
  timer t{io, 1s, [] { return 1; }};
  const std::exception_ptr all[] = {caught([&] {
                                      timer bad{io, -1s, [] { return 1; }};
                                    }),
                                    caught([&] {
                                      timer bad{io, 1s, [] { return 1; }, {.jitter = 2}};
                                    }),
                                    caught([&] { t.set_delay(-1s); }), caught([&] {
                                      t.wait({.timeout = std::chrono::duration<double>(HUGE_VAL)},
                                             [](std::exception_ptr, std::optional<int>) {});
                                    }),
                                    caught([&] { clock.advance(-1s); })};
  for (const auto& each : all) {
    CHECK(holds<std::invalid_argument>(each));
    CHECK_FALSE(holds<timer_error>(each));
    CHECK_FALSE(async_timer::is_stopped(each));
  }
}

TEST_CASE_FIXTURE(virtual_context, "25.3 timeout: apart from stop, failure and not-running") {
  timer t{io, 10s, [] { return 1; }, {.initial_delay = 10s, .start = true}};
  outcome<std::optional<int>> expired, stopped, late;
  t.wait({.hits = 1, .timeout = 1s}, into(expired));
  t.wait({.hits = 1, .timeout = 5s}, into(stopped));
  clock.advance(1s);
  CHECK(expired.completions == 1);
  CHECK(holds<async_timer::timeout_error>(expired.error));
  CHECK_FALSE(async_timer::is_stopped(expired.error));
  CHECK_FALSE(holds<async_timer::system_error>(expired.error));
  CHECK(t.is_running());
  t.request_stop();
  clock.run_until_idle();
  CHECK(stopped.completions == 1);
  CHECK(async_timer::is_stopped(stopped.error));
  CHECK_FALSE(holds<async_timer::timeout_error>(stopped.error));
  t.wait({.hits = 1, .timeout = 5s}, into(late));
  CHECK(out_of_work());
  CHECK(late.completions == 1);
  CHECK(holds<async_timer::timer_not_running_error>(late.error));
}

TEST_CASE_FIXTURE(virtual_context, "25.3 timeout: a target's own is a failure like another") {
  run_record run;
  const auto timed_out = [] {
    return async_timer::system_error(async_timer::error_code(net::error::timed_out));
  };
  timer t{io, 10s, [&]() -> int { throw timed_out(); }, run.options()};
  t.start();
  outcome<std::optional<int>> counted, idle;
  t.wait({.hits = 1, .timeout = 60s}, into(counted));
  t.wait({.timeout = 60s}, into(idle));
  CHECK(out_of_work());
  for (const auto* each : {&counted, &idle}) {
    CHECK(each->completions == 1);
    CHECK(holds<async_timer::system_error>(each->error));
    CHECK_FALSE(holds<async_timer::timeout_error>(each->error));
    CHECK_FALSE(async_timer::is_stopped(each->error));
    CHECK(each->error == run.failures.front());
  }
}

TEST_CASE_FIXTURE(virtual_context, "25.4 stop outcome: the backend's operation_aborted") {
  timer t{io, 10s, [] { return 1; }, {.initial_delay = 10s, .start = true}};
  outcome<int> joined;
  t.join(into(joined));
  t.request_stop();
  CHECK(out_of_work());
  CHECK(joined.completions == 1);
  CHECK(async_timer::is_stopped(joined.error));
  CHECK_FALSE(holds<timer_error>(joined.error));
  try {
    std::rethrow_exception(joined.error);
  } catch (const async_timer::system_error& error) {
    CHECK(error.code() == net::error::operation_aborted);
  } catch (...) {
    FAIL("not a system_error");
  }
}

TEST_CASE("25.4 is_stopped: tells the stop outcome from everything else") {
  using async_timer::error_code;
  using async_timer::is_stopped;
  using async_timer::system_error;
  CHECK(is_stopped(made(system_error(error_code(net::error::operation_aborted)))));
  CHECK(is_stopped(made(system_error(error_code(net::error::operation_aborted), "with a text"))));
  CHECK_FALSE(is_stopped(nullptr));
  CHECK_FALSE(is_stopped(made(system_error(error_code(net::error::eof)))));
  CHECK_FALSE(is_stopped(made(system_error(error_code(net::error::timed_out)))));
  CHECK_FALSE(is_stopped(made(std::runtime_error("Operation aborted."))));
  CHECK_FALSE(is_stopped(made(42)));
}

TEST_CASE_FIXTURE(virtual_context,
                  "25.5 not running: join, trigger, counted wait, before the start") {
  timer t{io, 1s, [] { return 1; }, {.name = "cache"}};
  outcome<int> joined, triggered;
  outcome<std::optional<int>> counted, expired, looped, idle;
  t.join(into(joined));
  t.trigger(into(triggered));
  t.wait({.hits = 1}, into(counted));
  t.wait({.hit_count = 1, .timeout = 0s}, into(expired));
  t.next(into(looped));
  t.wait(into(idle));
  CHECK(joined.completions == 0);  // through the handler, never inline
  clock.run_until_idle();
  for (const auto& error : {joined.error, triggered.error, counted.error, expired.error}) {
    CHECK(holds<async_timer::timer_not_running_error>(error));
    CHECK(message_of(error).find("not running") != std::string::npos);
    CHECK(message_of(error).find("cache") != std::string::npos);
  }
  for (const auto* each : {&looped, &idle}) {
    CHECK(each->completions == 1);
    CHECK(each->kind() == "");
    CHECK_FALSE(each->value->has_value());
  }
  CHECK(joined.completions + triggered.completions + counted.completions + expired.completions ==
        4);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "25.5 already running: start, while running and while cleaning up") {
  std::exception_ptr in_callback;
  timer<int>* self = nullptr;
  timer t{io, 1s, [] { return 1; }, {.on_stop = [&] { in_callback = thrown_by_start(*self); }}};
  self = &t;
  CHECK(thrown_by_start(t) == nullptr);
  const auto error = thrown_by_start(t);
  CHECK(holds<async_timer::timer_already_running_error>(error));
  CHECK(message_of(error).find("Already running") != std::string::npos);
  clock.advance(0s);
  CHECK(t.hit_count() == 1);
  t.request_stop();
  const auto stopping = thrown_by_start(t);
  CHECK(holds<async_timer::timer_already_running_error>(stopping));
  CHECK(message_of(stopping).find("cancel()") != std::string::npos);
  clock.run_until_idle();
  CHECK(holds<async_timer::timer_already_running_error>(in_callback));
  CHECK(thrown_by_start(t) == nullptr);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "25.5 self wait: through the handler, to join from the target") {
  outcome<int> joined;
  timer<int>* self = nullptr;
  timer t{io, 1s, [&] {
            if (!joined.done() && self->hit_count() == 0) self->join(into(joined));
            return 1;
          }};
  self = &t;
  t.start();
  clock.advance(0s);
  CHECK(joined.completions == 1);
  CHECK(holds<async_timer::self_wait_error>(joined.error));
  CHECK(t.hit_count() == 1);
  CHECK(t.is_running());
  t.request_stop();
  CHECK(out_of_work());
}
