// Contract section 12: the fields of a tick and the order of delivery; section 26 for one thread.
#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/fixture.hpp"
#include "support/operations.hpp"
#include "support/tokens.hpp"

using namespace test;

TEST_CASE_FIXTURE(virtual_context,
                  "12.1, 12.2 a handler of a tick finds all fields set, whichever way it waited") {
  for_each_wait([&](const std::string& name, auto initiate) {
    if (name.starts_with("idle")) return;
    CAPTURE(name);
    virtual_context own;
    int count = 0;
    async_timer::timer<int> t{own.io, 1s, [&] { return ++count; }};
    t.start();
    own.clock.advance(0s);
    int completions = 0;
    initiate(t, [&](std::exception_ptr, const auto&) {
      ++completions;
      CHECK(t.last_result() == 2);
      CHECK(t.last_tick_at() == own.clock.now());
      CHECK(t.hit_count() == 2);
    });
    own.clock.advance(1s);
    CHECK(completions == 1);
    t.request_stop();
    CHECK(own.out_of_work());
  });
}

namespace {

/// Is a value that reads its timer when it dies: the timer drops it in the midst of a delivery.
struct result_witness {
  struct reading {
    int last_result;
    std::int64_t hit_count;
    bool is_new_time;
  };
  struct diary {
    async_timer::timer<result_witness>* t = nullptr;
    const async_timer::virtual_clock* clock = nullptr;
    std::vector<reading> readings;
  };
  struct body {
    body(diary& d, int n) : own(&d), number(n) {}
    body(const body&) = delete;
    ~body();
    diary* own;
    int number;
  };
  std::shared_ptr<const body> held;
};

result_witness::body::~body() {
  if (own->t == nullptr) return;
  const auto last = own->t->last_result();
  own->readings.push_back({last ? last->held->number : 0, own->t->hit_count(),
                           own->t->last_tick_at() == own->clock->now()});
}

}  // namespace

TEST_CASE_FIXTURE(virtual_context,
                  "12.1 all fields are set before user code runs: the former value's destructor") {
  result_witness::diary diary;
  int count = 0;
  async_timer::timer<result_witness> t{
      io, 1s,
      [&] { return result_witness{std::make_shared<const result_witness::body>(diary, ++count)}; }};
  diary.t = &t;
  diary.clock = &clock;
  t.start();
  clock.advance(2s);
  diary.t = nullptr;
  REQUIRE(diary.readings.size() == 2);
  for (int i = 0; i < 2; ++i) {
    const auto& reading = diary.readings[static_cast<std::size_t>(i)];
    CHECK(reading.last_result == i + 2);
    CHECK(reading.hit_count == i + 2);
    CHECK(reading.is_new_time);
  }
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "12.2 a consumer that resumes late sees its own tick's fields or later ones") {
  int count = 0;
  async_timer::timer t{io, 1s, [&] { return ++count; }};
  t.start();
  net::io_context elsewhere;
  int completions = 0;
  t.join(net::bind_executor(elsewhere, [&](std::exception_ptr, int value) {
    ++completions;
    CHECK(value == 1);
    CHECK(t.hit_count() == 4);
    CHECK(t.last_result() == 4);
  }));
  clock.advance(3s);
  CHECK(completions == 0);
  elsewhere.poll();
  CHECK(completions == 1);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "12.2 no consumer resumes inside the tick that serves it") {
  bool inside = false;
  bool resumed_inside = false;
  int completions = 0;
  async_timer::timer t{io, 1s, [&] {
                         inside = true;
                         net::post(io, [&] { inside = false; });
                         return 1;
                       }};
  t.start();
  const auto note = [&](std::exception_ptr, int) {
    ++completions;
    resumed_inside = resumed_inside || inside;
  };
  t.join(note);
  t.join(net::bind_executor(net::make_strand(io), note));
  clock.advance(0s);
  CHECK(completions == 2);
  CHECK_FALSE(resumed_inside);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "12.3 during invocation n the count reads n - 1") {
  std::vector<std::int64_t> readings;
  std::optional<async_timer::timer<void>> t;
  t.emplace(io, 1s, [&] { readings.push_back(t->hit_count()); });
  t->start();
  clock.advance(2s);
  CHECK(readings == std::vector<std::int64_t>{0, 1, 2});
  t->request_stop();
  clock.run_until_idle();
  t->start();
  clock.advance(0s);
  CHECK(readings.back() == 3);
  t->request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(busy_timer, "12.3 an asynchronous target reads n - 1 until it has returned") {
  CHECK(t.hit_count() == 1);
  clock.advance(5s);
  CHECK(t.hit_count() == 1);
  hold.open();
  clock.run_until_idle();
  CHECK(t.hit_count() == 2);
  finish();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(
    virtual_context,
    "12.4 a failure changes none of the tick's fields, its own ones before on_error") {
  const auto failure = std::make_exception_ptr(std::runtime_error("no answer"));
  int count = 0;
  int errors = 0;
  const auto target = [&] {
    if (++count == 3) std::rethrow_exception(failure);
    return count;
  };
  const auto on_error = [&](const async_timer::timer_ref& ref, std::exception_ptr error) {
    ++errors;
    CHECK(error == failure);
    CHECK(ref.failure_count() == 1);
    CHECK(ref.last_failure() == failure);
    CHECK(ref.hit_count() == 2);
  };
  async_timer::timer t{io, 1s, target, {.on_error = on_error}};
  CHECK(t.failure_count() == 0);
  CHECK_FALSE(t.last_failure());
  CHECK_FALSE(t.last_failure_at().has_value());
  t.start();
  clock.advance(1s);
  const auto second_tick = clock.now();
  clock.advance(1s);
  const auto failed_at = clock.now();
  clock.advance(5s);
  CHECK(errors == 1);
  CHECK(t.last_result() == 2);
  CHECK(t.last_tick_at() == second_tick);
  CHECK(t.hit_count() == 2);
  CHECK(t.failure_count() == 1);
  CHECK(t.last_failure() == failure);
  CHECK(t.last_failure_at() == failed_at);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "12.4 neither does the end of the target") {
  int count = 0;
  async_timer::timer t{io, 1s, [&] {
                         if (++count == 3) throw async_timer::end_of_ticks{};
                         return count;
                       }};
  t.start();
  clock.advance(1s);
  const auto second_tick = clock.now();
  clock.advance(5s);
  CHECK_FALSE(t.is_running());
  CHECK(t.last_result() == 2);
  CHECK(t.last_tick_at() == second_tick);
  CHECK(t.hit_count() == 2);
  CHECK(t.failure_count() == 0);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(busy_timer,
                  "12.5 last_tick_at is when the tick was completed, not when it began") {
  const auto first_tick = t.last_tick_at();
  clock.advance(700ms);
  CHECK(t.last_tick_at() == first_tick);
  hold.open();
  clock.run_until_idle();
  CHECK(t.last_tick_at() == clock.now());
  REQUIRE(first_tick.has_value());
  CHECK(clock.now() - *first_tick == 1700ms);
  finish();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "12.5 last_tick_at never goes back") {
  async_timer::timer t{
      io, 100ms, [] { return 1; }, {.mode = async_timer::mode::fixed_rate, .jitter = 1}};
  t.start();
  clock.advance(0s);
  auto before = t.last_tick_at();
  for (int i = 0; i < 50; ++i) {
    clock.advance(100ms);
    const auto now = t.last_tick_at();
    CHECK(now >= before);
    CHECK(now <= clock.now());
    before = now;
  }
  t.request_stop();
  clock.run_until_idle();
  clock.advance(1s);
  t.start();
  CHECK(t.last_tick_at() == before);
  clock.advance(0s);
  CHECK(t.last_tick_at() == clock.now());
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "12.6 the fields are empty before the first tick, and outlive stop and restart") {
  int count = 0;
  async_timer::timer t{io, 1s, [&] { return ++count; }, {.initial_delay = 1s}};
  const auto check_empty = [&] {
    CHECK_FALSE(t.last_result().has_value());
    CHECK_FALSE(t.last_tick_at().has_value());
    CHECK(t.hit_count() == 0);
  };
  check_empty();
  t.start();
  clock.advance(999ms);
  check_empty();
  clock.advance(1001ms);
  const auto second_tick = clock.now();
  const auto check_kept = [&] {
    CHECK(t.last_result() == 2);
    CHECK(t.last_tick_at() == second_tick);
    CHECK(t.hit_count() == 2);
  };
  check_kept();
  t.request_stop();
  clock.advance(10s);
  CHECK_FALSE(t.is_running());
  check_kept();
  t.start();
  check_kept();
  clock.advance(999ms);
  check_kept();
  clock.advance(1ms);
  CHECK(t.last_result() == 3);
  CHECK(t.last_tick_at() == clock.now());
  CHECK(t.hit_count() == 3);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "12.7 the waiters of a tick resume in the order they came") {
  async_timer::timer t{io, 1s, [] { return 1; }};
  t.start();
  clock.advance(0s);
  std::string order;
  const auto note = [&](char letter) {
    return [&order, letter](std::exception_ptr, const auto&) { order += letter; };
  };
  t.join(note('a'));
  t.next(note('b'));
  t.wait({.hits = 1}, note('c'));
  t.join(note('d'));
  t.wait({.hits = 2}, note('-'));  // has to wait longer
  t.wait({.hit_count = 2, .timeout = 1h}, note('e'));
  t.next(note('f'));
  t.join(note('g'));
  clock.advance(1s);
  CHECK(order == "abcdefg");
  order.clear();
  t.join(note('h'));
  t.trigger(note('i'));
  t.join(note('j'));
  clock.run_until_idle();
  CHECK(order == "-hij");
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "12.7 at the end of a run, too, and those of cancel come last") {
  async_timer::timer t{io, 1s, [] { return 1; }};
  t.start();
  clock.advance(0s);
  std::string order;
  const auto note = [&](char letter) {
    return [&order, letter](std::exception_ptr, const auto&...) { order += letter; };
  };
  t.join(note('a'));
  t.wait(note('b'));
  t.next(note('c'));
  t.wait({.hits = 4}, note('d'));
  t.cancel(note('x'));
  t.cancel(note('y'));
  clock.run_until_idle();
  CHECK(order == "abcdxy");
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "26.7 last_result gives a value, which later ticks leave alone") {
  std::string live = "a";
  async_timer::timer t{io, 1s, [&]() -> const std::string& { return live; }};
  static_assert(std::is_same_v<decltype(t.last_result()), std::optional<std::string>>);
  static_assert(std::is_same_v<decltype(t.snapshot().last_result), std::optional<std::string>>);
  t.start();
  clock.advance(0s);
  const auto first = t.last_result();
  auto mine = t.last_result();
  live = "b";
  CHECK(t.last_result() == "a");  // not a view of what the target gave
  mine->append("x");
  CHECK(t.last_result() == "a");
  clock.advance(1s);
  CHECK(first == "a");
  CHECK(t.last_result() == "b");
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "26.7 last_result: what it shared outlives the timer") {
  std::optional<std::shared_ptr<const int>> kept;
  {
    async_timer::timer t{io, 1s, [] { return std::make_shared<const int>(5); }};
    t.start();
    clock.advance(0s);
    kept = t.last_result();
  }
  CHECK(out_of_work());
  REQUIRE(kept.has_value());
  CHECK(**kept == 5);
  CHECK(kept->use_count() == 1);
}

TEST_CASE_FIXTURE(virtual_context, "D36, 26.2 snapshot gives what the single reads give") {
  const auto failure = std::make_exception_ptr(std::runtime_error("no answer"));
  int count = 0;
  const auto target = [&] {
    if (++count == 3) std::rethrow_exception(failure);
    return std::to_string(count);
  };
  async_timer::timer t{io, 1s, target, {.on_error = [] {}}};
  const auto check = [&] {
    const auto shot = t.snapshot();
    CHECK(shot.is_running == t.is_running());
    CHECK(shot.hit_count == t.hit_count());
    CHECK(shot.last_result == t.last_result());
    CHECK(shot.last_tick_at == t.last_tick_at());
    CHECK(shot.failure_count == t.failure_count());
    CHECK(shot.last_failure == t.last_failure());
    return shot;
  };
  const auto fresh = check();
  CHECK_FALSE(fresh.is_running);
  CHECK_FALSE(fresh.last_result.has_value());
  CHECK_FALSE(fresh.last_tick_at.has_value());
  t.start();
  CHECK(check().is_running);
  clock.advance(1s);
  const auto running = check();
  CHECK(running.is_running);
  CHECK(running.hit_count == 2);
  CHECK(running.last_result == "2");
  CHECK(running.last_tick_at == clock.now());
  clock.advance(1s);
  const auto failed = check();
  CHECK_FALSE(failed.is_running);
  CHECK(failed.last_result == "2");
  CHECK(failed.failure_count == 1);
  CHECK(failed.last_failure == failure);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "D21 no value yet and a value that says nothing are distinct") {
  async_timer::timer<std::optional<int>> t{io, 1s, []() -> std::optional<int> { return {}; }};
  CHECK_FALSE(t.last_result().has_value());
  t.start();
  clock.advance(0s);
  REQUIRE(t.last_result().has_value());
  CHECK_FALSE(t.last_result()->has_value());
  outcome<std::optional<std::optional<int>>> waited;
  outcome<std::optional<std::optional<int>>> met;
  t.wait({.hits = 1}, into(waited));
  t.wait({.hits = 0}, into(met));
  clock.advance(1s);
  REQUIRE(waited.value.has_value());
  CHECK(waited.value->has_value());
  REQUIRE(met.value.has_value());
  CHECK_FALSE(met.value->has_value());
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "D21 a timer without values tells a tick from none, too") {
  async_timer::timer<void> t{io, 1s, [] {}};
  CHECK_FALSE(t.last_result().has_value());
  CHECK_FALSE(t.snapshot().last_result.has_value());
  t.start();
  clock.advance(0s);
  CHECK(t.last_result().has_value());
  CHECK(t.snapshot().last_result.has_value());
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "26.1 every observer can be read in every state of a timer") {
  const auto read_all = [](const auto& t) {
    CHECK(t.name() == "reads");
    CHECK(t.delay() == 1s);
    CHECK(t.hit_count() >= 0);
    CHECK(t.last_result().has_value() == (t.hit_count() > 0));
    CHECK(t.last_tick_at().has_value() == (t.hit_count() > 0));
    CHECK((t.last_failure() != nullptr) == (t.failure_count() > 0));
    CHECK(t.last_failure_at().has_value() == (t.failure_count() > 0));
    return t.is_running();
  };
  int count = 0;
  int from_inside = 0;
  std::optional<async_timer::timer<int>> t;
  const auto target = [&]() -> int {
    CHECK(read_all(*t));
    ++from_inside;
    if (++count == 3) throw std::runtime_error("no answer");
    return count;
  };
  const auto callback = [&] {
    CHECK_FALSE(read_all(*t));
    ++from_inside;
  };
  t.emplace(io, 1s, target,
            async_timer::timer_options{.name = "reads", .on_error = callback, .on_stop = callback});
  CHECK_FALSE(read_all(*t));
  t->start();
  CHECK(read_all(*t));
  clock.advance(1s);
  CHECK(read_all(*t));
  clock.advance(1s);
  CHECK_FALSE(read_all(*t));
  CHECK(from_inside == 5);
  CHECK(out_of_work());
}
