// Contract section 2: plain and awaitable targets, awaitables of other executor types, how a target
// ends its run or fails; D7, D22. Generators are in target_generators_test.cpp.
#include <doctest/doctest.h>

#include <algorithm>
#include <concepts>
#include <functional>
#include <memory>
#include <ranges>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "support/fixture.hpp"
#include "support/generators.hpp"
#include "support/run_record.hpp"
#include "support/shapes.hpp"
#include "support/sleeping_context.hpp"

using namespace test;
using async_timer::timer;

namespace {

using io_executor = net::io_context::executor_type;
using io_strand = net::strand<io_executor>;
template <class T>
using io_awaitable = net::awaitable<T, io_executor>;

// 1.15, 2.1, 2.2, 2.9: the value type follows from the shape.
static_assert(ticks_with<decltype(&nothing<int>), int>);
static_assert(ticks_with<decltype(&nothing<void>), void>);
static_assert(ticks_with<decltype(&nothing<int&>), int>);
static_assert(ticks_with<decltype(&nothing<const std::string&>), std::string>);
static_assert(ticks_with<std::function<double()>, double>);
static_assert(ticks_with<decltype(&nothing<net::awaitable<int>>), int>);
static_assert(ticks_with<decltype(&nothing<net::awaitable<void>>), void>);
static_assert(ticks_with<decltype(&nothing<io_awaitable<int>>), int>);
static_assert(ticks_with<decltype(&nothing<io_awaitable<void>>), void>);
// A returned container or text is one value.
static_assert(ticks_with<decltype(&nothing<std::vector<int>>), std::vector<int>>);
static_assert(ticks_with<decltype(&nothing<std::string>), std::string>);
static_assert(ticks_with<decltype(&nothing<std::string_view>), std::string_view>);
// What an awaitable resolves to is the value, whatever it is.
static_assert(ticks_with<decltype(&nothing<net::awaitable<std::ranges::iota_view<int, int>>>),
                         std::ranges::iota_view<int, int>>);
static_assert(ticks_with<decltype(&nothing<net::awaitable<std::vector<int>>>), std::vector<int>>);

}  // namespace

TEST_CASE_FIXTURE(virtual_context, "2.1 plain: called once for each tick") {
  int calls = 0;
  timer t{io, 1s, [&] { return ++calls; }};
  t.start();
  CHECK(calls == 0);
  for (int tick = 1; tick <= 5; ++tick) {
    clock.advance(tick == 1 ? 0s : 1s);
    CHECK(calls == tick);
    CHECK(t.hit_count() == tick);
    CHECK(t.last_result() == tick);
  }
  t.request_stop();
  CHECK(out_of_work());
  CHECK(calls == 5);
}

TEST_CASE_FIXTURE(virtual_context, "2.1 plain: mutable, move-only and pointed-to callables") {
  timer counting{io, 1s, [n = 0]() mutable { return ++n; }};
  timer owning{io, 1s, [held = std::make_unique<int>(7)] { return *held; }};
  const std::function<int()> named = [] { return 3; };
  timer copied{io, 1s, named};
  int (*const pointer)() = [] { return 4; };
  timer pointed{io, 1s, pointer};
  for (auto* each : {&counting, &owning, &copied, &pointed}) each->start();
  clock.advance(1s);
  CHECK(counting.last_result() == 2);
  CHECK(owning.last_result() == 7);
  CHECK(copied.last_result() == 3);
  CHECK(pointed.last_result() == 4);
  for (auto* each : {&counting, &owning, &copied, &pointed}) each->request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(sleeping_context, "2.2 awaitable: called once a tick, which ends when it does") {
  int calls = 0;
  timer t{io, 1s, [&]() -> net::awaitable<int> {
            const int number = ++calls;
            auto nap = pause(3s);
            co_await std::move(nap);
            co_return number;
          }};
  t.start();
  clock.advance(0s);
  CHECK(calls == 1);
  CHECK(t.hit_count() == 0);
  clock.advance(2999ms);
  CHECK(t.hit_count() == 0);
  clock.advance(1ms);
  CHECK(t.hit_count() == 1);
  CHECK(t.last_result() == 1);
  clock.advance(999ms);
  CHECK(calls == 1);  // fixed_delay counts from the end of the tick
  clock.advance(1ms);
  CHECK(calls == 2);
  clock.advance(3s);
  CHECK(t.hit_count() == 2);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "2.2 awaitable: one that never suspends is a tick as well") {
  int calls = 0;
  timer with_value{io, 1s, []() -> net::awaitable<std::string> { co_return "text"; }};
  timer without{io, 1s, [&]() -> net::awaitable<void> {
                  ++calls;
                  co_return;
                }};
  with_value.start();
  without.start();
  clock.advance(2s);
  CHECK(with_value.hit_count() == 3);
  CHECK(with_value.last_result() == "text");
  CHECK(without.hit_count() == 3);
  CHECK(calls == 3);
  with_value.request_stop();
  without.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "2.2 awaitable: a function that only passes one on") {
  const auto load = [](int n) -> net::awaitable<int> { co_return n * 10; };
  int calls = 0;
  timer t{io, 1s, [&] { return load(++calls); }};
  static_assert(std::same_as<decltype(t), timer<int>>);
  t.start();
  clock.advance(1s);
  CHECK(calls == 2);
  CHECK(t.last_result() == 20);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "2.2 awaitable: a failure before the awaitable is made") {
  run_record run;
  timer t{io, 1s,
          [fail = true]() mutable -> net::awaitable<int> {
            if (std::exchange(fail, false)) throw std::runtime_error("no awaitable");
            return []() -> net::awaitable<int> { co_return 1; }();
          },
          run.options()};
  t.start();
  CHECK(out_of_work());
  CHECK(run.failure() == "no awaitable");
  CHECK(run.stops == 1);
  CHECK(t.hit_count() == 0);
  t.start();
  clock.advance(0s);
  CHECK(t.last_result() == 1);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "2.2 awaitable: one of the context's executor type") {
  int calls = 0;
  timer t{io, 1s, [&]() -> io_awaitable<int> {
            const auto here = co_await net::this_coro::executor;
            static_assert(std::same_as<decltype(here), const io_executor>);
            co_await net::post(net::use_awaitable_t<io_executor>());
            co_return ++calls;
          }};
  static_assert(std::same_as<decltype(t), timer<int>>);
  timer nothing_given{io, 1s, []() -> io_awaitable<void> { co_return; }};
  static_assert(std::same_as<decltype(nothing_given), timer<void>>);
  outcome<int> joined;
  t.start();
  nothing_given.start();
  t.join(into(joined));
  clock.advance(0s);
  CHECK(joined.value == 1);
  clock.advance(2s);
  CHECK(calls == 3);
  CHECK(t.hit_count() == 3);
  CHECK(nothing_given.hit_count() == 3);
  t.request_stop();
  nothing_given.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "2.2 awaitable: one of a strand's type runs on that strand") {
  const io_strand strand = net::make_strand(io);
  bool on_strand = false;
  timer t{strand, 1s, [&]() -> net::awaitable<int, io_strand> {
            on_strand = strand.running_in_this_thread();
            co_return 5;
          }};
  t.start();
  clock.advance(0s);
  CHECK(on_strand);
  CHECK(t.last_result() == 5);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "2.2 awaitable: a foreign executor type fails, and says why") {
  run_record run;
  bool called = false;
  timer t{net::make_strand(io), 1s,
          [&]() -> io_awaitable<int> {
            called = true;
            co_return 1;
          },
          run.options()};
  t.start();
  CHECK(out_of_work());
  CHECK_FALSE(called);
  CHECK(run.failure().find("executor") != std::string::npos);
  CHECK(run.stops == 1);
  CHECK(t.hit_count() == 0);
}

TEST_CASE_FIXTURE(sleeping_context,
                  "2.2, D7 awaitable: another executor type is cancelled as well") {
  run_record run;
  int unwound = 0;
  timer helper{io, 1h, [] {}, {.initial_delay = 1000h, .start = true}};
  timer t{io, 1s,
          [&]() -> io_awaitable<int> {
            try {
              co_await helper.wait({.timeout = 60s}, net::use_awaitable_t<io_executor>());
            } catch (...) {
              ++unwound;
              throw;
            }
            co_return 1;
          },
          run.options()};
  t.start();
  clock.advance(1s);
  no_value cancelled;
  t.cancel(into(cancelled));
  clock.run_until_idle();
  CHECK(unwound == 1);
  CHECK(cancelled.completions == 1);
  CHECK(cancelled.kind() == "");
  CHECK(run.failures.empty());
  CHECK(run.stops == 1);
  CHECK(t.hit_count() == 0);
  helper.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "2.9 plain: a returned container or text is one value") {
  timer numbers{io, 1s, [] { return std::vector{1, 2, 3}; }};
  timer text{io, 1s, [] { return std::string("abc"); }};
  static_assert(std::same_as<decltype(text), timer<std::string>>);
  numbers.start();
  text.start();
  clock.advance(1s);
  CHECK(numbers.hit_count() == 2);
  CHECK(numbers.last_result() == std::vector{1, 2, 3});
  CHECK(text.hit_count() == 2);
  CHECK(text.last_result() == "abc");
  numbers.request_stop();
  text.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "2.12 awaitable: one that gives a range is not unwrapped again") {
  int calls = 0;
  timer t{io, 1s, [&]() -> net::awaitable<std::ranges::iota_view<int, int>> {
            ++calls;
            co_return std::views::iota(calls, 100);
          }};
  t.start();
  clock.advance(2s);
  CHECK(calls == 3);
  CHECK(t.hit_count() == 3);
  CHECK(t.last_result()->front() == 3);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "2.12 awaitable: one that gives a shared generator is not, too") {
  timer t{io, 1s, []() -> net::awaitable<std::shared_ptr<generator<int>>> {
            co_return std::make_shared<generator<int>>(count_up(1, 3));
          }};
  static_assert(std::same_as<decltype(t), timer<std::shared_ptr<generator<int>>>>);
  t.start();
  clock.advance(5s);
  CHECK(t.hit_count() == 6);
  CHECK(t.is_running());
  t.request_stop();
  CHECK(out_of_work());
}

namespace {

/// Runs a timer whose target ends its run at the third call, and checks that this is no failure.
template <class Target>
void check_ends_normally(virtual_context& context, int& calls, Target target) {
  run_record run;
  log_recorder log;
  timer t{context.io, 1s, std::move(target), run.options()};
  t.start();
  context.clock.advance(1s);
  CHECK(t.hit_count() == 2);
  outcome<int> joined;
  outcome<std::optional<int>> looped, waited;
  no_value cancelled;
  t.join(into(joined));
  t.next(into(looped));
  t.wait(into(waited));
  const auto before = t.last_tick_at();
  context.clock.advance(1s);
  CHECK(calls == 3);
  CHECK_FALSE(t.is_running());
  CHECK(t.hit_count() == 2);
  CHECK(t.last_result() == 2);
  CHECK(t.last_tick_at() == before);
  CHECK(joined.completions == 1);
  CHECK(joined.kind() == "stopped");
  CHECK(looped.completions == 1);
  CHECK(looped.kind() == "");
  CHECK(waited.completions == 1);
  CHECK(waited.kind() == "");
  CHECK(run.failures.empty());
  CHECK(run.stops == 1);
  CHECK(t.failure_count() == 0);
  CHECK(log.records().empty());
  t.cancel(into(cancelled));
  CHECK(context.out_of_work());
  CHECK(cancelled.completions == 1);
  CHECK(run.stops == 1);
  CHECK(calls == 3);
}

}  // namespace

TEST_CASE_FIXTURE(virtual_context, "2.14, 2.17, D22 end_of_ticks: a plain target ends its run") {
  int calls = 0;
  check_ends_normally(*this, calls, [&] {
    if (++calls == 3) throw async_timer::end_of_ticks{};
    return calls;
  });
}

TEST_CASE_FIXTURE(virtual_context,
                  "2.15, 2.17, D22 end_of_ticks: an awaitable ends its run alike") {
  int calls = 0;
  check_ends_normally(*this, calls, [&]() -> net::awaitable<int> {
    auto hop = net::post(co_await net::this_coro::executor, net::use_awaitable);
    co_await std::move(hop);
    if (++calls == 3) throw async_timer::end_of_ticks{};
    co_return calls;
  });
}

TEST_CASE_FIXTURE(virtual_context, "2.15, 2.17, D22 end_of_ticks: of another executor type alike") {
  int calls = 0;
  check_ends_normally(*this, calls, [&]() -> io_awaitable<int> {
    if (++calls == 3) throw async_timer::end_of_ticks{};
    co_return calls;
  });
}

TEST_CASE_FIXTURE(virtual_context,
                  "2.15, 2.17, D22 end_of_ticks: thrown before there is an awaitable") {
  int calls = 0;
  check_ends_normally(*this, calls, [&]() -> net::awaitable<int> {
    if (++calls == 3) throw async_timer::end_of_ticks{};
    return [](int n) -> net::awaitable<int> { co_return n; }(calls);
  });
}

TEST_CASE_FIXTURE(virtual_context, "2.14 end_of_ticks: at the first call, a run without ticks") {
  run_record run;
  bool ending = true;
  timer t{io, 1s,
          [&] {
            if (ending) throw async_timer::end_of_ticks{};
            return 1;
          },
          run.options()};
  t.start();
  CHECK(out_of_work());
  CHECK(t.hit_count() == 0);
  CHECK_FALSE(t.last_result().has_value());
  CHECK(run.stops == 1);
  CHECK(run.failures.empty());
  ending = false;
  t.start();
  clock.advance(1s);
  CHECK(t.hit_count() == 2);
  t.request_stop();
  CHECK(out_of_work());
  CHECK(run.stops == 2);
}

namespace {

/// Runs a timer whose target fails at once, and checks who hears of it.
template <class Target>
void check_fails(virtual_context& context, const std::string& kind, Target target) {
  run_record run;
  timer t{context.io, 1s, std::move(target), run.options()};
  t.start();
  outcome<int> joined;
  t.join(into(joined));
  CHECK(context.out_of_work());
  CHECK_FALSE(t.is_running());
  CHECK(t.hit_count() == 0);
  CHECK(t.failure_count() == 1);
  REQUIRE(run.failures.size() == 1);
  CHECK(run.failure() == kind);
  CHECK(run.stops == 1);
  CHECK(joined.completions == 1);
  CHECK(joined.kind() == kind);
  CHECK(joined.error == run.failures.front());
  CHECK(t.last_failure() == run.failures.front());
}

[[noreturn]] void raise_abort() {
  throw async_timer::system_error(async_timer::error_code(net::error::operation_aborted),
                                  "somebody else's");
}

}  // namespace

TEST_CASE_FIXTURE(virtual_context, "2.22 failure: any exception of a plain target ends the run") {
  check_fails(*this, "broken", []() -> int { throw std::runtime_error("broken"); });
  check_fails(*this, "unknown", []() -> int { throw 42; });
  check_fails(*this, "std::bad_alloc", []() -> int { throw std::bad_alloc(); });
}

TEST_CASE_FIXTURE(virtual_context, "2.22 failure: any exception of an awaitable ends the run") {
  check_fails(*this, "broken", []() -> net::awaitable<int> {
    throw std::runtime_error("broken");
    co_return 1;
  });
  check_fails(*this, "unknown", []() -> net::awaitable<int> {
    throw 42;
    co_return 1;
  });
  check_fails(*this, "broken", []() -> io_awaitable<int> {
    throw std::runtime_error("broken");
    co_return 1;
  });
}

TEST_CASE_FIXTURE(virtual_context,
                  "2.23, D7 cancellation: of the target's own making is a failure") {
  check_fails(*this, "stopped", []() -> int { raise_abort(); });
  check_fails(*this, "stopped", []() -> net::awaitable<int> {
    raise_abort();
    co_return 1;
  });
  check_fails(*this, "stopped", []() -> io_awaitable<int> {
    raise_abort();
    co_return 1;
  });
}

TEST_CASE_FIXTURE(virtual_context, "2.23, D7 cancellation: from another timer that was stopped") {
  run_record run;
  timer source{io, 10s, [] { return 1; }, {.initial_delay = 10s, .start = true}};
  timer t{io, 1s,
          [&]() -> net::awaitable<int> {
            auto value = source.join();
            co_return co_await std::move(value);
          },
          run.options()};
  t.start();
  clock.advance(1s);
  source.request_stop();
  CHECK(out_of_work());
  CHECK_FALSE(t.is_running());
  CHECK(run.failure() == "stopped");
  CHECK(run.stops == 1);
  CHECK(t.failure_count() == 1);
}

TEST_CASE_FIXTURE(sleeping_context,
                  "2.23, D7 cancellation: after a stop was requested is no failure") {
  run_record run;
  log_recorder log;
  outcome<int> joined;
  no_value cancelled;
  SUBCASE("an awaitable target, waiting") {
    timer t{io, 1s,
            [&]() -> net::awaitable<int> {
              auto nap = pause(60s);
              co_await std::move(nap);
              co_return 1;
            },
            run.options()};
    t.start();
    t.join(into(joined));
    clock.advance(1s);
    t.cancel(into(cancelled));
    CHECK(out_of_work());
    CHECK(t.failure_count() == 0);
  }
  SUBCASE("an awaitable target that stops its timer and then raises it") {
    timer<int>* self = nullptr;
    timer t{io, 1s,
            [&]() -> net::awaitable<int> {
              self->request_stop();
              raise_abort();
              co_return 1;
            },
            run.options()};
    self = &t;
    t.start();
    t.join(into(joined));
    clock.advance(0s);
    t.cancel(into(cancelled));
    CHECK(out_of_work());
    CHECK(t.failure_count() == 0);
  }
  SUBCASE("a plain target that stops its timer and then raises it") {
    timer<int>* self = nullptr;
    timer t{io, 1s,
            [&]() -> int {
              self->request_stop();
              raise_abort();
            },
            run.options()};
    self = &t;
    t.start();
    t.join(into(joined));
    clock.advance(0s);
    t.cancel(into(cancelled));
    CHECK(out_of_work());
    CHECK(t.failure_count() == 0);
  }
  CHECK(run.failures.empty());
  CHECK(run.stops == 1);
  CHECK(joined.completions == 1);
  CHECK(joined.kind() == "stopped");
  CHECK(cancelled.completions == 1);
  CHECK(cancelled.kind() == "");
  CHECK(log.records().empty());
}

TEST_CASE_FIXTURE(virtual_context, "2.24 executor: the target runs on the timer's, callbacks too") {
  const auto strand = net::make_strand(io);
  int plain_on = 0, awaited_on = 0, resumed_on = 0, generated_on = 0, callbacks_on = 0;
  const auto here = [&] { return strand.running_in_this_thread() ? 1 : 0; };
  timer plain{
      strand, 1s, [&] { plain_on += here(); }, {.on_stop = [&] { callbacks_on += here(); }}};
  timer awaited{strand,
                1s,
                [&]() -> net::awaitable<void> {
                  awaited_on += here();
                  auto away = net::post(io, net::use_awaitable);
                  co_await std::move(away);
                  resumed_on += here();
                },
                {.on_stop = [&] { callbacks_on += here(); }}};
  timer generated{strand,
                  1s,
                  [&] {
                    generated_on += here();
                    return count_up(1, 100);
                  },
                  {.on_stop = [&] { callbacks_on += here(); }}};
  timer failing{
      strand, 1s, []() -> int { throw 1; }, {.on_error = [&] { callbacks_on += here(); }}};
  plain.start();
  awaited.start();
  generated.start();
  failing.start();
  clock.advance(2s);
  CHECK(plain_on == 3);
  CHECK(awaited_on == 3);
  CHECK(resumed_on == 3);
  CHECK(generated_on == 1);
  plain.request_stop();
  awaited.request_stop();
  generated.request_stop();
  CHECK(out_of_work());
  CHECK(callbacks_on == 4);
}

TEST_CASE_FIXTURE(sleeping_context, "2.24 executor: ticks of one timer never overlap") {
  log_recorder log;  // the skipped slots of fixed_rate are reported
  for (const auto mode : {async_timer::mode::fixed_delay, async_timer::mode::fixed_rate}) {
    int inside = 0, most = 0, calls = 0;
    timer t{io,
            1s,
            [&]() -> net::awaitable<int> {
              most = std::max(most, ++inside);
              auto nap = pause(3500ms);
              co_await std::move(nap);
              --inside;
              co_return ++calls;
            },
            {.mode = mode}};
    t.start();
    outcome<int> triggered[10];
    for (auto& each : triggered) {
      clock.advance(2s);
      t.trigger(into(each));
    }
    clock.advance(10s);
    CHECK(most == 1);
    CHECK(calls > 5);
    for (const auto& each : triggered) CHECK(each.completions == 1);
    t.request_stop();
    clock.run_until_idle();
    CHECK_FALSE(t.is_running());
  }
  CHECK(out_of_work());
}
