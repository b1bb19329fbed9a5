// Contract section 10: wait. The comments name the rows of the table.
#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/fixture.hpp"
#include "support/operations.hpp"
#include "support/tokens.hpp"

using namespace test;
using async_timer::wait_options;

namespace {

using waited = outcome<std::optional<int>>;

/// Is a timer with a delay of 1 s whose n-th call gives n, or fails, or ends, when told to.
class counting_timer : public virtual_context {
 public:
  int calls = 0;
  int fails_at = 0;
  int ends_at = 0;
  std::exception_ptr failure = std::make_exception_ptr(std::runtime_error("no answer"));
  async_timer::timer<int> t{io, 1s, [this] { return tick(); }, {.on_error = [] {}}};

  /// Starts the timer, or starts it again, and makes so many ticks.
  void start_and_tick(int ticks) {
    t.start();
    if (ticks > 0) clock.advance(std::chrono::seconds(ticks - 1));
  }
  void stop() {
    t.request_stop();
    clock.run_until_idle();
  }

  /// Waits, and checks that nothing completes inline; the outcome may be there or still to come.
  void wait(const wait_options& options, waited& result) {
    t.wait(options, into(result));
    CHECK_FALSE(result.done());
    clock.run_until_idle();
  }
  waited wait_now(const wait_options& options) {
    waited result;
    wait(options, result);
    return result;
  }

  void check_untouched() {
    CHECK(t.is_running());
    const auto before = t.hit_count();
    clock.advance(1s);
    CHECK(t.hit_count() == before + 1);
  }

 private:
  int tick() {
    ++calls;
    if (calls == fails_at) std::rethrow_exception(failure);
    if (calls == ends_at) throw async_timer::end_of_ticks{};
    return calls;
  }
};

void check_empty(const waited& result) {
  CHECK(result.completions == 1);
  CHECK(result.kind() == "");
  REQUIRE(result.value.has_value());
  CHECK_FALSE(result.value->has_value());
}

void check_value(const waited& result, int value) {
  CHECK(result.completions == 1);
  CHECK(result.kind() == "");
  REQUIRE(result.value.has_value());
  CHECK(*result.value == value);
}

void check_error(const waited& result, const char* kind) {
  CHECK(result.completions == 1);
  CHECK(result.kind() == kind);
}

const std::vector<wait_options> met_after_two = {
    {.hit_count = 0},
    {.hit_count = 1},
    {.hit_count = 2},
    {.hit_count = -5},
    {.hits = 0},
    {.hits = -1},
    {.hit_count = 2, .timeout = 0s},
    {.hits = 0, .timeout = -1s},
    {.hit_count = 1, .timeout = 1h},
};

const std::vector<wait_options> unmet_after_two = {
    {.hit_count = 3},
    {.hits = 1},
    {.hit_count = 3, .timeout = 1h},
    {.hits = 1, .timeout = 1h},
};

}  // namespace

TEST_CASE_FIXTURE(counting_timer,
                  "10.12, 10.2 wait: a condition already met is empty at once, running or not") {
  start_and_tick(2);
  for (const auto& options : met_after_two) check_empty(wait_now(options));
  stop();
  REQUIRE(t.last_result() == 2);
  for (const auto& options : met_after_two) check_empty(wait_now(options));
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer,
                  "10.12, 10.2 wait: zero and less are met before the first start") {
  check_empty(wait_now({.hit_count = 0}));
  check_empty(wait_now({.hit_count = -1}));
  check_empty(wait_now({.hits = 0}));
  check_empty(wait_now({.hits = -1, .timeout = -1s}));
  CHECK_FALSE(t.is_running());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "10.12 wait: a condition met before the failure is empty") {
  fails_at = 3;
  start_and_tick(3);
  REQUIRE_FALSE(t.is_running());
  for (const auto& options : met_after_two) check_empty(wait_now(options));
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer,
                  "10.13 wait: a condition reached gives the value of the tick that reached it") {
  start_and_tick(1);
  waited by_count;
  waited by_hits;
  waited in_time;
  wait({.hit_count = 4}, by_count);
  wait({.hits = 3}, by_hits);
  wait({.hits = 3, .timeout = 3100ms}, in_time);
  clock.advance(2999ms);
  CHECK_FALSE(by_count.done());
  CHECK_FALSE(by_hits.done());
  CHECK_FALSE(in_time.done());
  clock.advance(1ms);
  check_value(by_count, 4);
  check_value(by_hits, 4);
  check_value(in_time, 4);
  clock.advance(5s);
  CHECK(in_time.completions == 1);
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer,
                  "10.14, 10.6 wait: a timeout before the condition is a timeout error") {
  start_and_tick(1);
  waited bounded;
  waited other;
  wait({.hit_count = 100, .timeout = 1500ms}, bounded);
  wait({.hits = 2}, other);
  clock.advance(1499ms);
  CHECK_FALSE(bounded.done());
  clock.advance(1ms);
  check_error(bounded, "timeout");
  CHECK_FALSE(other.done());
  check_untouched();
  check_value(other, 3);
  CHECK(bounded.completions == 1);
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer,
                  "10.15, 10.5, 10.6 wait: unmet with no time left is a timeout error at once") {
  start_and_tick(1);
  for (const auto timeout : {0s, -1s, -1000s}) {
    check_error(wait_now({.hit_count = 2, .timeout = timeout}), "timeout");
    check_error(wait_now({.hits = 1, .timeout = timeout}), "timeout");
  }
  check_untouched();
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer,
                  "10.16, D4 wait: unmet on a timer that is not running is not-running at once") {
  const auto check_all = [&] {
    for (auto options : unmet_after_two) {
      check_error(wait_now(options), "not_running");
      options.timeout = 0s;
      check_error(wait_now(options), "not_running");
      options.timeout = -1s;
      check_error(wait_now(options), "not_running");
    }
  };
  check_all();
  start_and_tick(2);
  stop();
  check_all();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer,
                  "10.17, D4 wait: unmet when the run ends without failure is the stop outcome") {
  start_and_tick(2);
  std::vector<waited> all(unmet_after_two.size());
  for (std::size_t i = 0; i < all.size(); ++i) wait(unmet_after_two[i], all[i]);
  t.request_stop();
  clock.run_until_idle();
  for (const auto& each : all) check_error(each, "stopped");

  ends_at = 4;
  start_and_tick(1);
  waited exhausted;
  wait({.hits = 2, .timeout = 1h}, exhausted);
  clock.advance(1s);
  CHECK_FALSE(t.is_running());
  check_error(exhausted, "stopped");
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "10.18 wait: unmet when the target fails is that failure") {
  fails_at = 3;
  start_and_tick(2);
  std::vector<waited> all(unmet_after_two.size());
  for (std::size_t i = 0; i < all.size(); ++i) wait(unmet_after_two[i], all[i]);
  clock.advance(1s);
  for (const auto& each : all) {
    CHECK(each.completions == 1);
    CHECK(each.error == failure);
  }
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(
    counting_timer,
    "10.16, 10.18, 10.23, D6 wait: the last run's failure meets those who come late") {
  fails_at = 3;
  start_and_tick(3);
  REQUIRE_FALSE(t.is_running());
  for (const auto& options : unmet_after_two) CHECK(wait_now(options).error == failure);
  CHECK(wait_now({.hits = 1, .timeout = 0s}).error == failure);
  CHECK(wait_now({}).error == failure);
  CHECK(wait_now({.timeout = 5s}).error == failure);
  start_and_tick(1);
  stop();
  check_error(wait_now({.hits = 1}), "not_running");
  check_empty(wait_now({}));
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer,
                  "10.19 idle wait: gives the last value seen when the run ends without failure") {
  start_and_tick(1);
  waited early;
  waited later;
  waited no_tick;
  wait({}, early);
  clock.advance(1s);
  wait({}, later);
  clock.advance(2s);
  wait({}, no_tick);
  clock.advance(500ms);
  CHECK_FALSE(early.done());
  t.request_stop();
  clock.run_until_idle();
  check_value(early, 4);
  check_value(later, 4);
  check_empty(no_tick);  // a tick before it is none of its own
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "10.19 idle wait: ends with the exhaustion of the target, too") {
  ends_at = 3;
  start_and_tick(0);
  waited idle;
  t.wait(into(idle));
  clock.advance(10s);
  check_value(idle, 2);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer,
                  "10.20, 10.6 idle wait: gives the last value seen at the timeout, no error") {
  start_and_tick(1);
  waited no_tick;
  waited two_ticks;
  wait({.timeout = 700ms}, no_tick);
  wait({.timeout = 2500ms}, two_ticks);
  clock.advance(699ms);
  CHECK_FALSE(no_tick.done());
  clock.advance(1ms);
  check_empty(no_tick);
  clock.advance(1799ms);
  CHECK_FALSE(two_ticks.done());
  clock.advance(1ms);
  check_value(two_ticks, 3);
  check_untouched();
  CHECK(two_ticks.completions == 1);
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer,
                  "10.20 idle wait: the end of the run may come before the timeout") {
  start_and_tick(1);
  waited idle;
  wait({.timeout = 1h}, idle);
  clock.advance(1s);
  stop();
  check_value(idle, 2);
  CHECK_FALSE(clock.advance_to_next());  // no deadline is left behind
  CHECK(idle.completions == 1);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer,
                  "10.21, 10.5 idle wait: with no time left on a running timer is empty at once") {
  start_and_tick(2);
  check_empty(wait_now({.timeout = 0s}));
  check_empty(wait_now({.timeout = -5s}));
  check_untouched();
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer,
                  "10.22 idle wait: on a timer that is not running is empty at once") {
  const auto check_all = [&] {
    check_empty(wait_now({}));
    check_empty(wait_now({.timeout = 1h}));
    check_empty(wait_now({.timeout = -1s}));
  };
  check_all();
  start_and_tick(2);
  stop();
  check_all();
  CHECK_FALSE(clock.advance_to_next());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "10.23 idle wait: a failing target gives the failure") {
  fails_at = 3;
  start_and_tick(1);
  waited idle;
  waited bounded;
  wait({}, idle);
  wait({.timeout = 1h}, bounded);
  clock.advance(2s);
  CHECK(idle.completions == 1);
  CHECK(idle.error == failure);
  CHECK(bounded.completions == 1);
  CHECK(bounded.error == failure);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "10.1 wait: hit_count wins over hits") {
  start_and_tick(2);
  check_empty(wait_now({.hit_count = 1, .hits = 100}));
  waited later;
  wait({.hit_count = 5, .hits = 0}, later);
  clock.advance(2s);
  CHECK_FALSE(later.done());
  clock.advance(1s);
  check_value(later, 5);
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "10.3 wait: hit_count is the count over all runs") {
  start_and_tick(2);
  stop();
  start_and_tick(0);
  waited total;
  wait({.hit_count = 4}, total);  // the wait itself lets the first tick of this run happen
  REQUIRE(t.hit_count() == 3);
  CHECK_FALSE(total.done());
  clock.advance(1s);
  check_value(total, 4);
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(busy_timer, "10.4 wait: hits counts from the call, a tick in flight first") {
  REQUIRE(calls == 2);
  waited one;
  waited two;
  t.wait({.hits = 1}, into(one));
  t.wait({.hits = 2}, into(two));
  hold.open();
  clock.run_until_idle();
  check_value(one, 2);
  CHECK_FALSE(two.done());
  clock.advance(1s);
  check_value(two, 3);
  finish();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer,
                  "10.4 wait: hits counts from the initiation, which use_awaitable puts off") {
  start_and_tick(1);
  auto lazy = t.wait({.hits = 1});
  clock.advance(3s);
  std::optional<int> value;
  const auto consume = [&](net::awaitable<std::optional<int>> wait) -> net::awaitable<void> {
    value = co_await std::move(wait);
  };
  net::co_spawn(io, consume(std::move(lazy)), net::detached);
  clock.run_until_idle();
  CHECK_FALSE(value.has_value());
  clock.advance(1s);
  CHECK(value == 5);
  stop();
  CHECK(out_of_work());
}

namespace {

/// Is a handler with a slot, asking for which lets something happen: while a wait is initiated.
struct meanwhile {
  using cancellation_slot_type = net::cancellation_slot;

  std::function<void()> happens;
  waited* result;

  [[nodiscard]] cancellation_slot_type get_cancellation_slot() const {
    happens();
    return {};
  }
  void operator()(std::exception_ptr error, std::optional<int> value) const {
    into (*result)(std::move(error), value);
  }
};

}  // namespace

TEST_CASE_FIXTURE(counting_timer,
                  "10.4, 10.13 wait: a tick while it is being initiated, as on another thread, "
                  "makes none of its values empty") {
  start_and_tick(1);
  bool ticked = false;
  const auto tick_once = [&] {
    if (!std::exchange(ticked, true)) clock.advance(1s);
  };
  waited one;
  t.wait({.hits = 1}, meanwhile{tick_once, &one});
  REQUIRE(t.hit_count() == 2);
  clock.advance(1s);
  check_value(one, 3);

  ticked = false;
  waited idle;
  t.wait({.timeout = 1500ms}, meanwhile{tick_once, &idle});
  clock.advance(500ms);
  stop();
  check_empty(idle);  // it began after the tick
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "10.5 wait: the timeout bounds the whole wait, not each tick") {
  start_and_tick(1);
  waited bounded;
  wait({.hits = 10, .timeout = 2500ms}, bounded);
  clock.advance(2499ms);
  CHECK(t.hit_count() == 3);
  CHECK_FALSE(bounded.done());
  clock.advance(1ms);
  check_error(bounded, "timeout");
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(busy_timer, "10.5 wait: the timeout passes while the target hangs, too") {
  waited counted;
  waited idle;
  t.wait({.hits = 1, .timeout = 5s}, into(counted));
  t.wait({.timeout = 5s}, into(idle));
  clock.advance(5s);
  check_error(counted, "timeout");
  check_empty(idle);
  finish();
  CHECK(counted.completions == 1);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer,
                  "10.5 wait: the longest timeout and the largest count are no end") {
  start_and_tick(1);
  waited longest;
  waited largest;
  wait({.timeout = std::chrono::hours::max()}, longest);
  wait({.hits = std::numeric_limits<std::int64_t>::max()}, largest);
  clock.advance(2s);
  CHECK_FALSE(longest.done());
  CHECK_FALSE(largest.done());
  stop();
  check_value(longest, 3);
  check_error(largest, "stopped");
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "10.5 wait: a timeout that is no number is refused by the call") {
  start_and_tick(1);
  waited never;
  const std::chrono::duration<double> nan(std::numeric_limits<double>::quiet_NaN());
  const std::chrono::duration<double> infinite(std::numeric_limits<double>::infinity());
  CHECK_THROWS_WITH_AS(t.wait({.hits = 1, .timeout = nan}, into(never)),
                       doctest::Contains("timeout"), std::invalid_argument);
  CHECK_THROWS_AS(t.wait({.timeout = infinite}, into(never)), std::invalid_argument);
  check_untouched();
  CHECK_FALSE(never.done());
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer,
                  "10.7, D10 wait: the counter decides, however late the consumer is served") {
  start_and_tick(1);
  net::io_context elsewhere;  // runs no handler while the ticks go by
  waited third;
  waited fifth;
  t.wait({.hit_count = 3}, net::bind_executor(elsewhere, into(third)));
  t.wait({.hits = 4}, net::bind_executor(elsewhere, into(fifth)));
  clock.advance(9s);
  REQUIRE(t.hit_count() == 10);
  elsewhere.poll();
  check_value(third, 3);
  check_value(fifth, 5);
  CHECK(elsewhere.stopped());
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(
    counting_timer,
    "10.8, D11 idle wait: its own cancellation is an error, the timer's stop is none") {
  start_and_tick(1);
  net::cancellation_signal signal;
  waited cancelled;
  waited other;
  wait({}, other);
  t.wait({}, net::bind_cancellation_slot(signal.slot(), into(cancelled)));
  clock.advance(1s);
  signal.emit(net::cancellation_type::terminal);
  clock.run_until_idle();
  check_error(cancelled, "stopped");
  CHECK_FALSE(other.done());
  check_untouched();
  stop();
  check_value(other, 3);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(
    counting_timer,
    "10.8, D11 idle wait: a timeout error of the target is a failure like any other") {
  failure = std::make_exception_ptr(async_timer::timeout_error("the database is slow"));
  fails_at = 2;
  start_and_tick(1);
  waited idle;
  waited bounded;
  wait({}, idle);
  wait({.timeout = 1h}, bounded);
  clock.advance(1s);
  CHECK(idle.completions == 1);
  CHECK(idle.error == failure);
  CHECK(bounded.error == failure);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "10.9 wait: a restart does not resume it") {
  start_and_tick(1);
  waited counted;
  waited idle;
  wait({.hit_count = 3}, counted);
  wait({}, idle);
  stop();
  check_error(counted, "stopped");
  start_and_tick(5);
  CHECK(counted.completions == 1);
  CHECK(idle.completions == 1);
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "10.9 wait: not even a restart made before its handler ran") {
  start_and_tick(1);
  waited counted;
  wait({.hit_count = 3}, counted);
  no_value cancelled;
  t.cancel([&](std::exception_ptr error) {
    into(cancelled)(std::move(error));
    t.start();
  });
  clock.advance(5s);
  CHECK(cancelled.completions == 1);
  REQUIRE(t.hit_count() > 3);
  check_error(counted, "stopped");
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer,
                  "10.10 wait: at the same instant a delivered value beats the timeout") {
  start_and_tick(1);  // the next tick is due in 1 s, and was before the wait was
  waited counted;
  waited idle;
  wait({.hits = 1, .timeout = 1s}, counted);
  wait({.timeout = 1s}, idle);
  clock.advance(1s);
  check_value(counted, 2);
  check_value(idle, 2);
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer,
                  "10.10 wait: a delivered value is not lost to a timeout that passes after it") {
  start_and_tick(1);
  net::io_context elsewhere;
  waited counted;
  t.wait({.hits = 1, .timeout = 1500ms}, net::bind_executor(elsewhere, into(counted)));
  clock.advance(10s);
  elsewhere.poll();
  check_value(counted, 2);
  waited expired;
  t.wait({.hits = 1, .timeout = 500ms}, net::bind_executor(elsewhere, into(expired)));
  clock.advance(10s);  // and a timeout is not undone by a tick that comes after it
  elsewhere.restart();
  elsewhere.poll();
  check_error(expired, "timeout");
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(
    counting_timer,
    "12.7, 10.10 wait: a deadline due with the tick does not cost its place in the order") {
  start_and_tick(1);
  std::string order;
  const auto note = [&](char letter) {
    return
        [&order, letter](std::exception_ptr error, const auto&) { order += error ? '!' : letter; };
  };
  t.join(note('a'));
  t.wait({.hits = 1, .timeout = 1s}, note('b'));
  t.join(note('c'));
  t.wait({.hits = 1, .timeout = 1s}, note('d'));
  t.next(note('e'));
  clock.advance(1s);
  CHECK(order == "abcde");
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "10.11 wait: after a timeout nothing stays registered") {
  start_and_tick(1);
  auto token = std::make_shared<int>();
  waited counted;
  waited idle;
  const auto handler = [token](waited& result) {
    return [token, &result](std::exception_ptr error, std::optional<int> value) {
      into(result)(std::move(error), value);
    };
  };
  t.wait({.hits = 9, .timeout = 1500ms}, handler(counted));
  t.wait({.timeout = 1500ms}, handler(idle));
  CHECK(token.use_count() == 4);
  clock.advance(1500ms);
  CHECK(counted.completions == 1);
  CHECK(idle.completions == 1);
  CHECK(token.use_count() == 2);  // ours, and the one in `handler`
  clock.advance(20s);
  stop();
  CHECK(counted.completions == 1);
  CHECK(idle.completions == 1);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "10.11 wait: a value in time leaves no deadline behind") {
  start_and_tick(1);
  waited counted;
  waited idle;
  wait({.hits = 1, .timeout = 1h}, counted);
  wait({.timeout = 1h}, idle);
  clock.advance(1s);
  stop();
  check_value(counted, 2);
  check_value(idle, 2);
  CHECK_FALSE(clock.advance_to_next());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "10.13, 10.14 wait: reads naturally in a coroutine") {
  std::optional<int> third;
  std::string second_wait;
  const auto consume = [&]() -> net::awaitable<void> {
    third = co_await t.wait({.hits = 3, .timeout = 10s});
    try {
      co_await t.wait({.hits = 3, .timeout = 10ms});
    } catch (const async_timer::timeout_error&) {
      second_wait = "timeout";
    }
    co_await t.cancel();
  };
  start_and_tick(1);
  spawn(consume);
  clock.advance(10s);
  CHECK(third == 4);
  CHECK(second_wait == "timeout");
  CHECK_FALSE(t.is_running());
  CHECK(out_of_work());
}
