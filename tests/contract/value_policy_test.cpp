// Settled question 6: what a tick's value may be, and how it gets to those who wait (D21, 26.7).
#include <doctest/doctest.h>

#include <array>
#include <compare>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "support/fixture.hpp"
#include "support/operations.hpp"
#include "support/tokens.hpp"

using namespace test;

namespace {

/// Gets one value by each of the ways; all must be equal to `expected`, as must last_result().
template <class T>
void check_all_ways(virtual_context& own, async_timer::timer<T>& t, const T& expected) {
  t.start();
  own.clock.advance(0s);
  outcome<T> joined;
  outcome<T> triggered;
  outcome<std::optional<T>> next;
  outcome<std::optional<T>> counted;
  outcome<std::optional<T>> idle;
  t.join(into(joined));
  t.next(into(next));
  t.wait({.hits = 1}, into(counted));
  t.wait(into(idle));
  t.trigger(into(triggered));
  own.clock.run_until_idle();
  t.request_stop();
  own.clock.run_until_idle();
  for (const auto* each : {&joined, &triggered}) {
    CHECK(each->completions == 1);
    CHECK(each->kind() == "");
    REQUIRE(each->value.has_value());
    CHECK(*each->value == expected);
  }
  for (const auto* each : {&next, &counted, &idle}) {
    CHECK(each->completions == 1);
    CHECK(each->kind() == "");
    REQUIRE(each->value.has_value());
    REQUIRE(each->value->has_value());
    CHECK(**each->value == expected);
  }
  REQUIRE(t.last_result().has_value());
  CHECK(*t.last_result() == expected);
  CHECK(*t.snapshot().last_result == expected);
  CHECK(own.out_of_work());
}

/// As above, for a target that answers at once and one that answers through an awaitable.
template <class T>
void check_value(const T& expected) {
  SUBCASE("plain target") {
    virtual_context own;
    async_timer::timer<T> t{own.io, 1h, [&] { return expected; }};
    check_all_ways(own, t, expected);
  }
  SUBCASE("awaitable target") {
    virtual_context own;
    async_timer::timer<T> t{own.io, 1h, [&]() -> net::awaitable<T> { co_return expected; }};
    check_all_ways(own, t, expected);
  }
}

struct point {
  int x = 0;
  double y = 0;
  friend bool operator==(const point&, const point&) = default;
};

struct large_value {
  std::array<int, 100> items{};
  friend bool operator==(const large_value&, const large_value&) = default;
};
static_assert(std::is_trivially_copyable_v<large_value> && sizeof(large_value) > 64);

struct unassignable_value {
  const int x = 0;
};
static_assert(std::is_trivially_copyable_v<unassignable_value> &&
              !std::is_copy_assignable_v<unassignable_value>);

enum class color { red, green };

}  // namespace

TEST_CASE("26.7, D21 value: trivially copyable, small and large") {
  SUBCASE("int") { check_value(5); }
  SUBCASE("false is a value") { check_value(false); }
  SUBCASE("zero is a value") { check_value(0.0); }
  SUBCASE("null is a value") { check_value(static_cast<const char*>(nullptr)); }
  SUBCASE("enum") { check_value(color::green); }
  SUBCASE("struct") { check_value(point{3, 0.5}); }
  SUBCASE("large struct") { check_value(large_value{{1, 2, 3}}); }
}

TEST_CASE("26.7, D21 value: with resources") {
  SUBCASE("string") { check_value(std::string(100, 'x')); }
  SUBCASE("empty string") { check_value(std::string()); }
  SUBCASE("vector") { check_value(std::vector<std::string>{"a", std::string(50, 'b')}); }
  SUBCASE("shared_ptr") { check_value(std::make_shared<const int>(5)); }
  SUBCASE("variant") { check_value(std::variant<int, std::string>("text")); }
}

TEST_CASE("D21 value: nothing as a value is a value") {
  SUBCASE("monostate") { check_value(std::monostate{}); }
  SUBCASE("empty optional") { check_value(std::optional<int>()); }
  SUBCASE("empty optional string") { check_value(std::optional<std::string>()); }
}

TEST_CASE_FIXTURE(virtual_context, "26.7, D21 value: one that can't be assigned") {
  int n = 0;
  const auto check = [&](auto target) {
    n = 0;
    std::vector<int> got;
    const auto note = [&](const std::exception_ptr& error, const auto& value) {
      CHECK_FALSE(error);
      if constexpr (requires { value.x; }) {
        got.push_back(value.x);
      } else {
        REQUIRE(value.has_value());
        got.push_back(value->x);
      }
    };
    async_timer::timer<unassignable_value> t{io, 1s, target};
    auto feed = t.subscribe({.maxsize = 2, .name = "two"});
    auto shared = t.subscribe_shared();
    t.start();
    t.join(note);
    t.next(note);
    clock.advance(0s);
    CHECK(got == std::vector{1, 1});
    t.trigger(note);
    clock.advance(0s);
    CHECK(got == std::vector{1, 1, 2});
    CHECK(t.last_result()->x == 2);
    CHECK(t.snapshot().last_result->x == 2);
    feed.next(note);
    clock.advance(1s);
    CHECK(got == std::vector{1, 1, 2, 1});
    feed.next(note);
    shared.next([&](const std::exception_ptr&, const auto& value) { got.push_back((*value)->x); });
    clock.run_until_idle();
    CHECK(got == std::vector{1, 1, 2, 1, 2, 1});
    t.request_stop();
    CHECK(out_of_work());
  };
  SUBCASE("plain target") {
    check([&] { return unassignable_value{++n}; });
  }
  SUBCASE("awaitable target") {
    check([&]() -> net::awaitable<unassignable_value> { co_return unassignable_value{++n}; });
  }
}

TEST_CASE_FIXTURE(virtual_context, "D21 monostate: an ordinary type, which join passes on") {
  async_timer::timer t{io, 1s, [] { return std::monostate{}; }};
  static_assert(std::is_same_v<decltype(t), async_timer::timer<std::monostate>>);
  static_assert(std::is_same_v<decltype(t.join()), net::awaitable<std::monostate>>);
  t.start();
  outcome<std::monostate> joined;
  t.join(into(joined));
  clock.advance(0s);
  CHECK(joined.completions == 1);
  CHECK(joined.value.has_value());
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "D21 void: join has no value, next and wait tell tick from end") {
  using maybe = std::optional<std::monostate>;
  const auto check = [&](async_timer::timer<void>& t) {
    t.start();
    clock.run_until_idle();
    no_value joined;
    no_value triggered;
    outcome<maybe> next;
    outcome<maybe> counted;
    outcome<maybe> idle;
    t.join(into(joined));
    t.next(into(next));
    t.wait({.hits = 1}, into(counted));
    t.wait(into(idle));
    t.trigger(into(triggered));
    clock.run_until_idle();
    for (const auto* each : {&joined, &triggered}) {
      CHECK(each->completions == 1);
      CHECK(each->kind() == "");
    }
    for (const auto* each : {&next, &counted}) {
      CHECK(each->completions == 1);
      REQUIRE(each->value.has_value());
      CHECK(each->value->has_value());
    }
    outcome<maybe> idle_without_tick;
    outcome<maybe> ended;
    t.wait(into(idle_without_tick));
    t.next(into(ended));
    t.request_stop();
    clock.run_until_idle();
    REQUIRE(idle.value.has_value());
    CHECK(idle.value->has_value());
    for (const auto* each : {&idle_without_tick, &ended}) {
      CHECK(each->completions == 1);
      CHECK(each->kind() == "");
      REQUIRE(each->value.has_value());
      CHECK_FALSE(each->value->has_value());
    }
    CHECK(t.last_result().has_value());
  };
  async_timer::timer<void> plain{io, 1h, [] {}};
  async_timer::timer<void> awaitable{io, 1h, []() -> net::awaitable<void> { co_return; }};
  check(plain);
  check(awaitable);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "26.7 value: a target that returns a reference ticks with copies") {
  std::vector<int> live{1};
  async_timer::timer t{io, 1s, [&]() -> std::vector<int>& { return live; }};
  static_assert(std::is_same_v<decltype(t), async_timer::timer<std::vector<int>>>);
  t.start();
  outcome<std::vector<int>> joined;
  t.join(into(joined));
  clock.advance(0s);
  live.push_back(2);
  CHECK(joined.value == std::vector{1});
  CHECK(t.last_result() == std::vector{1});
  clock.advance(1s);
  CHECK(t.last_result() == std::vector{1, 2});
  CHECK(live.size() == 2);  // not moved from
  t.request_stop();
  CHECK(out_of_work());
}

// --- copies and moves

namespace {

struct counters {
  int copies = 0;
  int live = 0;
};

/// Counts its copies, and lives.
struct counted {
  static inline counters total;

  counted() { ++total.live; }
  counted(const counted&) {
    ++total.copies;
    ++total.live;
  }
  counted(counted&&) noexcept { ++total.live; }
  counted& operator=(const counted&) = delete;
  ~counted() { --total.live; }
};

}  // namespace

TEST_CASE("26.7 value: moved in once, copied once for each who asked, and never for nobody") {
  const auto check = [](auto target) {
    counted::total = counters();
    virtual_context own;
    ending ends[3];
    {
      async_timer::timer<counted> t{own.io, 1s, target};
      t.start();
      own.clock.advance(9s);
      CHECK(t.hit_count() == 10);
      CHECK(counted::total.copies == 0);
      CHECK(counted::total.live == 1);  // former values are gone
      const auto last = t.last_result();
      CHECK(counted::total.copies == 1);
      t.join(into(ends[0]));
      t.next(into(ends[1]));
      t.wait({.hits = 1}, into(ends[2]));
      own.clock.advance(1s);
      for (const auto& end : ends) CHECK(end.completions == 1);
      CHECK(counted::total.copies == 4);
      CHECK(counted::total.live == 2);
      t.wait({.hits = 100}, into(ends[0]));
      own.clock.advance(1s);
      CHECK(counted::total.copies == 4);  // nothing was copied for who still waits
    }
    CHECK(own.out_of_work());
    CHECK(counted::total.live == 0);
  };
  SUBCASE("plain target") {
    check([] { return counted(); });
  }
  SUBCASE("awaitable target") {
    check([]() -> net::awaitable<counted> { co_return counted(); });
  }
}

TEST_CASE_FIXTURE(virtual_context,
                  "9.2, 26.7 value: each waiter owns its copy, later ticks leave it") {
  int count = 0;
  async_timer::timer<std::string> t{io, 1s, [&] { return std::to_string(++count); }};
  t.start();
  clock.advance(0s);
  outcome<std::string> joined;
  net::io_context elsewhere;
  outcome<std::string> late;
  t.join([&](std::exception_ptr error, std::string value) {
    value += " spoilt";
    into(joined)(std::move(error), std::move(value));
  });
  t.join(net::bind_executor(elsewhere, into(late)));
  clock.advance(5s);
  CHECK(joined.value == "2 spoilt");
  elsewhere.poll();  // five ticks later
  CHECK(late.value == "2");
  t.request_stop();
  CHECK(out_of_work());
}

// --- values that throw

namespace {

/// Throws when it is copied while `armed` counts down to zero.
struct bomb {
  static inline int armed = 0;

  bomb() = default;
  bomb(const bomb& other) : number(other.number) {
    if (armed > 0 && --armed == 0) throw std::runtime_error("no copy today");
  }
  bomb(bomb&&) = default;
  bomb& operator=(const bomb&) = delete;

  int number = 0;
};

/// Can't be moved cheaply: what looks like a move is a copy, and may throw.
struct copy_only {
  static inline int copies_left = -1;

  copy_only() = default;
  copy_only(const copy_only&) {
    if (copies_left == 0) throw std::runtime_error("no copy today");
    if (copies_left > 0) --copies_left;
  }
  copy_only& operator=(const copy_only&) = delete;
};

}  // namespace

TEST_CASE_FIXTURE(virtual_context, "9.2, 9.5 value: a copy that throws is that waiter's alone") {
  int count = 0;
  async_timer::timer<bomb> t{io, 1s, [&] {
                               bomb made;
                               made.number = ++count;
                               return made;
                             }};
  t.start();
  clock.advance(0s);
  std::array<outcome<bomb>, 3> ends;
  std::vector<int> numbers;
  const auto handler = [&](std::size_t i) {
    return [&, i](std::exception_ptr error, bomb value) {
      ++ends[i].completions;
      if (!error) numbers.push_back(value.number);
      ends[i].error = std::move(error);
    };
  };
  for (std::size_t i = 0; i < ends.size(); ++i) t.join(handler(i));
  bomb::armed = 2;
  clock.advance(1s);
  bomb::armed = 0;
  CHECK(numbers == std::vector{2, 2});
  for (const auto& end : ends) CHECK(end.completions == 1);
  CHECK(ends[0].kind() == "");
  CHECK(ends[1].kind() == "no copy today");
  CHECK(ends[2].kind() == "");
  CHECK(t.is_running());
  CHECK(t.failure_count() == 0);

  outcome<std::optional<int>> next;
  t.next([&](std::exception_ptr error, std::optional<bomb> value) {
    ++next.completions;
    next.error = std::move(error);
    CHECK_FALSE(value.has_value());
  });
  bomb::armed = 1;
  clock.advance(1s);
  CHECK(next.completions == 1);
  CHECK(next.kind() == "no copy today");

  bomb::armed = 1;
  CHECK_THROWS_WITH(static_cast<void>(t.last_result()), "no copy today");
  bomb::armed = 1;
  CHECK_THROWS_WITH(static_cast<void>(t.snapshot()), "no copy today");
  CHECK(t.last_result()->number == 3);
  CHECK(t.is_running());
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE("9.2, 9.5 value: wherever on its way one can't be copied, who waits is told") {
  const auto check = [](auto target) {
    // Up to the publication it is a failure of the target, from then on each receiver's own.
    bool timer_failed = false;
    bool timer_went_on = false;
    for (int copies = 0; copies < 8; ++copies) {
      CAPTURE(copies);
      virtual_context own;
      async_timer::timer<copy_only> t{own.io, 1s, target, {.on_error = [] {}}};
      copy_only::copies_left = -1;
      t.start();
      own.clock.advance(0s);
      ending joined;
      t.join(into(joined));
      copy_only::copies_left = copies;
      CHECK_NOTHROW(own.clock.advance(1s));
      copy_only::copies_left = -1;
      CHECK(joined.completions == 1);
      if (joined.done() && joined.error) {
        CHECK(joined.kind() == "no copy today");
        CHECK(t.is_running() == (t.failure_count() == 0));
        (t.is_running() ? timer_went_on : timer_failed) = true;
      }
      t.request_stop();
      CHECK(own.out_of_work());
    }
    CHECK(timer_failed);
    CHECK(timer_went_on);
  };
  SUBCASE("plain target") {
    check([] { return copy_only(); });
  }
  SUBCASE("awaitable target") {
    check([]() -> net::awaitable<copy_only> { co_return copy_only(); });
  }
}

// --- user code of a value, and the timer's lock

namespace {

/// Reads its timer whenever it is copied or destroyed: under the timer's lock that would hang.
struct curious {
  static inline async_timer::timer<curious>* t = nullptr;
  static inline int looks = 0;

  curious() = default;
  curious(const curious&) { look(); }
  curious(curious&&) noexcept {}
  curious& operator=(const curious&) = delete;
  ~curious() { look(); }

  static void look() {
    if (t == nullptr) return;
    ++looks;
    const auto name = t->name();
    const auto failures = t->failure_count();
    const bool running = t->is_running();
    static_cast<void>(name.size() + static_cast<std::size_t>(failures) + (running ? 1U : 0U));
  }
};

}  // namespace

TEST_CASE_FIXTURE(virtual_context,
                  "26.5, 26.7 value: its copies and its end happen with no lock held") {
  async_timer::timer<curious> t{io, 1s, [] { return curious(); }, {.name = "curious"}};
  curious::t = &t;
  t.start();
  clock.advance(1s);
  ending joined;
  ending idle;
  t.join(into(joined));
  t.wait({.timeout = 1500ms}, into(idle));
  clock.advance(3s);
  CHECK(joined.completions == 1);
  CHECK(idle.completions == 1);
  { const auto last = t.last_result(); }
  { const auto shot = t.snapshot(); }
  CHECK(curious::looks > 10);
  t.request_stop();
  CHECK(out_of_work());
  curious::t = nullptr;
}

TEST_CASE("1.15, D21 value: what can't be a value is told by the concept") {
  using async_timer::detail::tick_value;
  struct no_default {
    explicit no_default(int) {}
  };
  static_assert(tick_value<void> && tick_value<int> && tick_value<std::string>);
  static_assert(tick_value<std::monostate> && tick_value<std::optional<int>>);
  static_assert(tick_value<std::shared_ptr<const no_default>>);
  static_assert(!tick_value<std::unique_ptr<int>>);
  static_assert(!tick_value<no_default>);
  static_assert(!tick_value<int&>);
  static_assert(!tick_value<const int>);
  CHECK(std::is_same_v<async_timer::tick_value_t<void>, std::monostate>);
}
