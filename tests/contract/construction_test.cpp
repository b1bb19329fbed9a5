// Contract section 1: construction, validation, value types; D20, D21, D25; questions 6, 7 and 18.
#include <doctest/doctest.h>

#include <array>
#include <concepts>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "support/fixture.hpp"
#include "support/run_record.hpp"
#include "support/text.hpp"

using namespace test;
using async_timer::timer;
using async_timer::timer_options;

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double inf = std::numeric_limits<double>::infinity();
using seconds_f = std::chrono::duration<double>;

/// Gives the text of the invalid_argument that an action throws; "" if it throws nothing.
template <class Action>
std::string rejection(Action&& action) {
  try {
    action();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

/// Gives the field that a message of rejection() is about, as "<text> <field> must ...".
std::string field_of(std::string_view message) {
  const auto end = message.find(" must");
  if (end == std::string_view::npos) return "";
  const auto begin = message.rfind(' ', end - 1);
  return std::string(message.substr(begin + 1, end - begin - 1));
}

constexpr int (*forty_two)() = [] { return 42; };

int by_name() { return 43; }

/// Is a context that can be shut down, as its destructor does, while it can still be looked at.
struct closable_context : net::io_context {
  closable_context() : net::io_context(1) {}
  using net::execution_context::shutdown;
};

// 1.1: the delay and the target are required, the options are not.
static_assert(
    std::is_constructible_v<timer<int>, net::io_context&, std::chrono::seconds, int (*)()>);
static_assert(std::is_constructible_v<timer<int>, net::io_context&, std::chrono::seconds, int (*)(),
                                      timer_options>);
static_assert(!std::is_constructible_v<timer<int>, net::io_context&, std::chrono::seconds>);
static_assert(!std::is_constructible_v<timer<int>, net::io_context&, int (*)()>);
static_assert(!std::is_constructible_v<timer<int>, std::chrono::seconds, int (*)()>);
// A number without a unit is no duration, and a target of another value type no target.
static_assert(!std::is_constructible_v<timer<int>, net::io_context&, int, int (*)()>);
static_assert(!std::is_constructible_v<timer<int>, net::io_context&, std::chrono::seconds,
                                       std::string (*)()>);
static_assert(!std::copy_constructible<timer<int>> && std::movable<timer<int>>);

}  // namespace

TEST_CASE_FIXTURE(virtual_context, "1.1 construction: options may be left out, all or each") {
  timer bare{io, 1s, [] { return 1; }};
  CHECK(bare.delay() == 1s);
  CHECK(bare.name() == "");
  CHECK_FALSE(bare.is_running());

  const timer_options defaults;
  CHECK(defaults.mode == async_timer::mode::fixed_delay);
  CHECK(defaults.initial_delay == async_timer::interval(0s));
  CHECK(defaults.jitter == 0);
  CHECK(defaults.name.empty());
  CHECK_FALSE(defaults.on_error);
  CHECK_FALSE(defaults.on_stop);
  CHECK_FALSE(defaults.start);

  // The default is fixed_delay without initial delay: a tick at once, then each second.
  bare.start();
  clock.advance(0s);
  CHECK(bare.hit_count() == 1);
  clock.advance(2s);
  CHECK(bare.hit_count() == 3);
  bare.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "1.1 construction: all options by their names") {
  int stops = 0;
  timer t{io,
          12s,
          [] { return 42; },
          {.mode = async_timer::mode::fixed_rate,
           .initial_delay = 1s,
           .jitter = 0.0,
           .name = "answer",
           .on_error = [](async_timer::timer_ref, std::exception_ptr) {},
           .on_stop = [&](async_timer::timer_ref) { ++stops; },
           .start = true}};
  CHECK(t.is_running());
  CHECK(t.name() == "answer");
  clock.advance(1s);
  CHECK(t.hit_count() == 1);
  clock.advance(12s);
  CHECK(t.hit_count() == 2);
  t.request_stop();
  CHECK(out_of_work());
  CHECK(stops == 1);
}

TEST_CASE_FIXTURE(virtual_context, "1.1 construction: callbacks may leave out arguments") {
  int calls = 0;
  timer_options options;
  options.on_error = [&] { ++calls; };
  options.on_stop = [&] { ++calls; };
  timer none{io, 1s, [] { throw std::runtime_error("broken"); }, options};
  options.on_error = [&](async_timer::timer_ref) { ++calls; };
  timer one{io, 1s, [] { throw std::runtime_error("broken"); }, options};
  none.start();
  one.start();
  CHECK(out_of_work());
  CHECK(calls == 4);
}

TEST_CASE_FIXTURE(virtual_context, "1.1 construction: any executor and any context will do") {
  const auto strand = net::make_strand(io);
  const net::any_io_executor any = io.get_executor();
  timer on_context{io, 1s, forty_two};
  timer on_executor{io.get_executor(), 1s, forty_two};
  timer on_strand{strand, 1s, forty_two};
  timer on_any{any, 1s, forty_two};
  static_assert(std::same_as<decltype(on_context), timer<int>>);
  static_assert(std::same_as<decltype(on_executor), timer<int>>);
  static_assert(std::same_as<decltype(on_strand), timer<int>>);
  static_assert(std::same_as<decltype(on_any), timer<int>>);
  CHECK(on_context.get_executor() == any);
  CHECK(on_executor.get_executor() == any);
  CHECK(on_strand.get_executor() == net::any_io_executor(strand));
  for (auto* each : {&on_context, &on_executor, &on_strand, &on_any}) {
    each->start();
    clock.advance(0s);
    CHECK(each->last_result() == 42);
    each->request_stop();
  }
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "1.1 construction: an empty executor is rejected") {
  const net::any_io_executor empty;
  auto unbound = async_timer::every(1s)(forty_two);
  for (const auto& text : {rejection([&] { timer(empty, 1s, forty_two); }),
                           rejection([&] { timer(unbound.get_executor(), 1s, forty_two); }),
                           rejection([&] { unbound.start(empty); }),
                           rejection([&] { async_timer::timer_group{empty}; })}) {
    CHECK(field_of(text) == "executor");
    CHECK(contains(text, "empty"));
  }
  CHECK(field_of(rejection([&] { timer(empty, -1s, forty_two); })) == "delay");
  CHECK_FALSE(unbound.is_running());
  unbound.start(io);
  unbound.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "1.2 delay: negative is rejected with field, bound and value") {
  for (const auto& text : {rejection([&] {
                             timer t{io, -1s, forty_two};
                           }),
                           rejection([&] {
                             timer t{io, -1.0s, forty_two};
                           })}) {
    CHECK(field_of(text) == "delay");
    CHECK(contains(text, ">= 0"));
    CHECK(contains(text, "-1s"));
  }
  CHECK(contains(rejection([&] { timer t{io, -1ns, forty_two}; }), "-0.000000001s"));
  const auto below_a_nanosecond = std::chrono::duration<std::int64_t, std::pico>(-1);
  CHECK(field_of(rejection([&] { timer t{io, below_a_nanosecond, forty_two}; })) == "delay");
}

TEST_CASE_FIXTURE(virtual_context, "1.2 delay: zero is legal") {
  int count = 0;
  timer t{io, 0s, [&]() -> int {
            if (++count == 5) throw async_timer::end_of_ticks{};
            return count;
          }};
  CHECK(t.delay() == 0s);
  t.start();
  CHECK(out_of_work());
  CHECK(t.hit_count() == 4);
}

TEST_CASE_FIXTURE(virtual_context, "1.3 initial_delay: negative is rejected with field and value") {
  const auto text = rejection([&] { timer t{io, 1s, forty_two, {.initial_delay = -250ms}}; });
  CHECK(field_of(text) == "initial_delay");
  CHECK(contains(text, ">= 0"));
  CHECK(contains(text, "-0.25s"));
  CHECK(rejection([&] { timer t{io, 1s, forty_two, {.initial_delay = 0s}}; }) == "");
}

TEST_CASE_FIXTURE(virtual_context,
                  "1.4 jitter: outside of [0, 1] is rejected, the ends are legal") {
  for (const double bad : {-0.001, 1.001, -5.0, 17.0}) {
    const auto text = rejection([&] { timer t{io, 1s, forty_two, {.jitter = bad}}; });
    CHECK(field_of(text) == "jitter");
    CHECK(contains(text, "[0, 1]"));
    CHECK(contains(text, std::to_string(bad).substr(0, 5)));
  }
  for (const double good : {0.0, -0.0, 0.5, 1.0}) {
    CHECK(rejection([&] { timer t{io, 1s, forty_two, {.jitter = good}}; }) == "");
  }
}

TEST_CASE_FIXTURE(virtual_context, "1.5 mode: a value cast in is rejected") {
  const auto odd = static_cast<async_timer::mode>(7);
  const auto text = rejection([&] { timer t{io, 1s, forty_two, {.mode = odd}}; });
  CHECK(field_of(text) == "mode");
  CHECK(contains(text, "7"));
  CHECK(rejection([&] {
          timer t{io, 1s, forty_two, {.mode = async_timer::mode::fixed_rate}};
        }) == "");
}

TEST_CASE_FIXTURE(virtual_context,
                  "1.6 validation: delay, jitter, initial_delay, mode; the first") {
  timer_options bad;
  bad.jitter = 2;
  bad.initial_delay = -1s;
  bad.mode = static_cast<async_timer::mode>(7);
  CHECK(field_of(rejection([&] { timer t{io, -1s, forty_two, bad}; })) == "delay");
  CHECK(field_of(rejection([&] { timer t{io, 1s, forty_two, bad}; })) == "jitter");
  bad.jitter = 1;
  CHECK(field_of(rejection([&] { timer t{io, 1s, forty_two, bad}; })) == "initial_delay");
  bad.initial_delay = 1s;
  CHECK(field_of(rejection([&] { timer t{io, 1s, forty_two, bad}; })) == "mode");
}

TEST_CASE_FIXTURE(virtual_context, "1.7 validation: comes before anything is scheduled") {
  int calls = 0;
  auto target = [&] { return ++calls; };
  run_record run;
  auto options = run.options();
  options.start = true;
  CHECK(rejection([&] { timer t{io, -1s, target, options}; }) != "");
  options.jitter = 2;
  CHECK(rejection([&] { timer t{io, 1s, target, options}; }) != "");
  CHECK(rejection([&] { timer t{io, 1s, std::function<int()>{}, {.start = true}}; }) != "");
  CHECK_FALSE(clock.advance_to_next());
  CHECK(out_of_work());
  CHECK(calls == 0);
  CHECK(run.stops == 0);
  CHECK(run.failures.empty());
}

TEST_CASE_FIXTURE(virtual_context, "1.8 start: the option is the same as start() at the end") {
  int calls = 0;
  timer t{io, 1s, [&] { return ++calls; }, {.start = true}};
  CHECK(t.is_running());
  CHECK(calls == 0);
  outcome<int> joined;
  t.join(into(joined));
  clock.advance(0s);
  CHECK(calls == 1);
  CHECK(joined.value == 1);
  CHECK_THROWS_AS(t.start(), async_timer::timer_already_running_error);
  t.request_stop();
  CHECK(out_of_work());
  CHECK(joined.completions == 1);
}

TEST_CASE("1.8 start: where it fails the constructor fails and leaves nothing behind") {
  closable_context io;
  const auto executor = io.get_executor();
  {
    timer sound{executor, 1s, forty_two};  // the scheduler is there before the shutdown
  }
  io.shutdown();
  struct target {
    std::shared_ptr<int> held;
    int operator()() const { return *held; }
  };
  auto held = std::make_shared<int>(1);
  bool failed = false;
  try {
    timer t{executor, 1s, target{held}, {.start = true}};
  } catch (const async_timer::threadsafe_dispatch_error&) {
    failed = true;
  }
  CHECK(failed);
  CHECK(held.use_count() == 1);
}

TEST_CASE_FIXTURE(virtual_context, "1.10, D20 target: an empty function is rejected at once") {
  for (const auto& text : {rejection([&] {
                             timer t{io, 1s, std::function<int()>{}};
                           }),
                           rejection([&] {
                             timer t{io, 1s, std::function<net::awaitable<int>()>{}};
                           }),
                           rejection([&] {
                             timer t{io, 1s, static_cast<int (*)()>(nullptr)};
                           })}) {
    CHECK(field_of(text) == "target");
    CHECK(contains(text, "empty"));
  }
  timer full{io, 1s, std::function<int()>(by_name)};
  timer named{io, 1s, by_name};
  full.start();
  named.start();
  clock.advance(0s);
  CHECK(full.last_result() == 43);
  CHECK(named.last_result() == 43);
  full.request_stop();
  named.request_stop();
  CHECK(out_of_work());
}

namespace {

template <class Target>
concept accepted = async_timer::detail::valid_target<Target>;
template <class Target>
concept makes_a_timer =
    std::constructible_from<timer<int>, net::io_context&, std::chrono::seconds, Target>;

struct with_argument {
  int operator()(int given) const { return given; }
};
struct nothing_at_all {};
/// Has a next(), which gives no awaitable of an optional.
struct not_quite_a_generator {
  int next() { return 1; }
};
struct not_quite_an_async_generator {
  net::awaitable<int> next() { co_return 1; }
};

// 1.10, 2.9, D20: what can't be a target is seen by the compiler. (Deducing a timer of it stops at
// one readable sentence.)
static_assert(accepted<int (*)()> && makes_a_timer<int (*)()>);
static_assert(!accepted<std::vector<int>> && !makes_a_timer<std::vector<int>>);
static_assert(!accepted<std::vector<int>&> && !makes_a_timer<const std::vector<int>&>);
static_assert(!accepted<std::string> && !makes_a_timer<std::string>);
static_assert(!accepted<std::string_view> && !makes_a_timer<const char*>);
static_assert(!accepted<std::array<int, 3>> && !accepted<int[3]>);
static_assert(!accepted<with_argument> && !makes_a_timer<with_argument>);
static_assert(!accepted<nothing_at_all> && !makes_a_timer<nothing_at_all>);
static_assert(!accepted<not_quite_a_generator> && !accepted<not_quite_an_async_generator>);
static_assert(!accepted<int> && !makes_a_timer<int>);
static_assert(!accepted<std::nullptr_t> && !makes_a_timer<std::nullptr_t>);

}  // namespace

TEST_CASE_FIXTURE(virtual_context,
                  "1.12, D25 set_delay: checks as the constructor, or changes it") {
  timer t{io, 5s, forty_two};
  CHECK(t.delay() == 5s);
  t.set_delay(250ms);
  CHECK(t.delay() == 250ms);
  t.set_delay(0s);
  CHECK(t.delay() == 0s);
  t.set_delay(7s);
  for (const async_timer::interval bad :
       {async_timer::interval(-1s), async_timer::interval(-1ns),
        async_timer::interval(seconds_f(nan)), async_timer::interval(seconds_f(inf)),
        async_timer::interval(seconds_f(-inf))}) {
    const auto text = rejection([&] { t.set_delay(bad); });
    CHECK(field_of(text) == "delay");
    CHECK(contains(text, to_string(bad)));
    CHECK(t.delay() == 7s);
  }
}

TEST_CASE_FIXTURE(virtual_context, "1.13 fresh: a new timer has nothing to show") {
  timer t{io, 1s, forty_two, {.name = "fresh"}};
  clock.advance(10s);
  CHECK_FALSE(t.is_running());
  CHECK(t.hit_count() == 0);
  CHECK_FALSE(t.last_result().has_value());
  CHECK_FALSE(t.last_tick_at().has_value());
  CHECK(t.failure_count() == 0);
  CHECK(t.last_failure() == nullptr);
  CHECK_FALSE(t.last_failure_at().has_value());
  const auto shot = t.snapshot();
  CHECK_FALSE(shot.is_running);
  CHECK(shot.hit_count == 0);
  CHECK_FALSE(shot.last_result.has_value());
  CHECK_FALSE(shot.last_tick_at.has_value());
  CHECK(shot.failure_count == 0);
  CHECK(shot.last_failure == nullptr);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "1.14, D21 value: nothing is a value, apart from none and end") {
  timer t{io, 1s, [] {}};
  static_assert(std::same_as<decltype(t), timer<void>>);
  CHECK_FALSE(t.last_result().has_value());
  t.start();
  outcome<std::optional<std::monostate>> ticked, ended;
  no_value joined;
  t.next(into(ticked));
  t.join(into(joined));
  clock.advance(0s);
  CHECK(ticked.completions == 1);
  REQUIRE(ticked.value.has_value());
  CHECK(ticked.value->has_value());  // a tick
  CHECK(joined.completions == 1);
  CHECK(joined.kind() == "");
  CHECK(t.last_result().has_value());
  t.next(into(ended));
  t.request_stop();
  clock.run_until_idle();
  CHECK(ended.completions == 1);
  CHECK(ended.kind() == "");
  REQUIRE(ended.value.has_value());
  CHECK_FALSE(ended.value->has_value());  // the end
  CHECK(t.last_result().has_value());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "1.14, D21 value: an empty optional is a value like another") {
  timer t{io, 1s, []() -> std::optional<int> { return std::nullopt; }};
  static_assert(std::same_as<decltype(t), timer<std::optional<int>>>);
  t.start();
  outcome<std::optional<std::optional<int>>> ticked;
  outcome<std::optional<int>> joined;
  t.next(into(ticked));
  t.join(into(joined));
  clock.advance(0s);
  REQUIRE(ticked.value.has_value());
  REQUIRE(ticked.value->has_value());
  CHECK_FALSE(ticked.value->value().has_value());
  REQUIRE(joined.value.has_value());
  CHECK_FALSE(joined.value->has_value());
  const auto last = t.last_result();
  REQUIRE(last.has_value());
  CHECK_FALSE(last->has_value());
  CHECK(t.hit_count() == 1);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "1.14, D21 value: an awaited empty optional is one, too") {
  timer t{io, 1s, []() -> net::awaitable<std::optional<int>> { co_return std::nullopt; }};
  t.start();
  clock.advance(1s);
  CHECK(t.hit_count() == 2);
  const auto last = t.last_result();
  REQUIRE(last.has_value());
  CHECK_FALSE(last->has_value());
  t.request_stop();
  CHECK(out_of_work());
}

namespace {

template <class Timer, class T>
constexpr bool gives() {
  using optional_value = std::optional<async_timer::tick_value_t<T>>;
  static_assert(std::same_as<typename Timer::value_type, T>);
  static_assert(std::same_as<decltype(std::declval<Timer&>().join()), net::awaitable<T>>);
  static_assert(std::same_as<decltype(std::declval<Timer&>().trigger()), net::awaitable<T>>);
  static_assert(
      std::same_as<decltype(std::declval<Timer&>().next()), net::awaitable<optional_value>>);
  static_assert(
      std::same_as<decltype(std::declval<Timer&>().wait()), net::awaitable<optional_value>>);
  static_assert(std::same_as<decltype(std::declval<Timer&>().wait({.hits = 3})),
                             net::awaitable<optional_value>>);
  static_assert(std::same_as<decltype(std::declval<Timer&>().last_result()), optional_value>);
  static_assert(
      std::same_as<decltype(std::declval<Timer&>().snapshot().last_result), optional_value>);
  static_assert(std::same_as<decltype(std::declval<Timer&>().cancel()), net::awaitable<void>>);
  return true;
}
static_assert(gives<timer<int>, int>());
static_assert(gives<timer<std::string>, std::string>());
static_assert(gives<timer<void>, void>());
static_assert(gives<timer<std::optional<int>>, std::optional<int>>());

// Question 6: what a value may be. A timer of another type stops at one static_assert.
struct move_only {
  std::unique_ptr<int> held;
};
struct not_default {
  explicit not_default(int) {}
};
static_assert(async_timer::detail::tick_value<void> && async_timer::detail::tick_value<int>);
static_assert(async_timer::detail::tick_value<std::shared_ptr<const move_only>>);
static_assert(!async_timer::detail::tick_value<move_only>);
static_assert(!async_timer::detail::tick_value<not_default>);

}  // namespace

TEST_CASE_FIXTURE(virtual_context, "1.15 value type: flows from the target to what waits for it") {
  timer numbers{io, 1s, [] { return 1.5; }};
  static_assert(gives<decltype(numbers), double>());
  timer texts{io, 1s, []() -> net::awaitable<std::string> { co_return "text"; }};
  static_assert(gives<decltype(texts), std::string>());
  const std::string kept = "kept";
  timer references{io, 1s, [&]() -> const std::string& { return kept; }};
  static_assert(gives<decltype(references), std::string>());

  outcome<double> number;
  outcome<std::string> text;
  outcome<std::optional<std::string>> reference;
  numbers.start();
  texts.start();
  references.start();
  numbers.join(into(number));
  texts.trigger(into(text));
  references.wait({.hits = 1}, into(reference));
  clock.advance(0s);
  CHECK(number.value == 1.5);
  CHECK(text.value == "text");
  REQUIRE(reference.value.has_value());
  CHECK(*reference.value == "kept");
  numbers.request_stop();
  texts.request_stop();
  references.request_stop();
  CHECK(out_of_work());
}

namespace {

/// Is trivially copyable, and too large to be kept in place.
struct large {
  std::array<int, 40> numbers{};
};

/// Throws when its budget of copies is used up.
struct fragile {
  int number = 0;
  static inline int copies_left = 1000;

  fragile() = default;
  explicit fragile(int n) : number(n) {}
  fragile(fragile&&) = default;
  fragile& operator=(fragile&&) = default;
  fragile(const fragile& other) : number(other.number) {
    if (copies_left-- == 0) throw std::runtime_error("no more copies");
  }
  fragile& operator=(const fragile&) = default;
};

}  // namespace

TEST_CASE_FIXTURE(virtual_context,
                  "1.15 value type: large, shared and move-only behind a pointer") {
  int count = 0;
  timer wide{io, 1s, [&] {
               large value;
               value.numbers.back() = ++count;
               return value;
             }};
  timer shared{io, 1s, [] {
                 return std::make_shared<const move_only>(move_only{std::make_unique<int>(7)});
               }};
  outcome<large> first, second;
  outcome<std::shared_ptr<const move_only>> pointed;
  wide.start();
  shared.start();
  wide.join(into(first));
  wide.join(into(second));
  shared.join(into(pointed));
  clock.advance(0s);
  CHECK(first.value->numbers.back() == 1);
  CHECK(second.value->numbers.back() == 1);
  CHECK(*(*pointed.value)->held == 7);
  CHECK(shared.last_result() == pointed.value);
  clock.advance(1s);
  CHECK(wide.last_result()->numbers.back() == 2);
  wide.request_stop();
  shared.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "1.15 value type: a copy that throws harms only the one it was for") {
  run_record run;
  timer t{io, 1s, [] { return fragile(5); }, run.options()};
  t.start();
  outcome<fragile> first, second;
  t.join(into(first));
  t.join(into(second));
  fragile::copies_left = 0;  // the next copy throws, the counter goes below zero then
  clock.advance(0s);
  fragile::copies_left = 1000;
  CHECK(first.completions == 1);
  CHECK(first.kind() == "no more copies");
  CHECK(second.completions == 1);
  CHECK(second.kind() == "");
  CHECK(second.value->number == 5);
  CHECK(run.failures.empty());
  CHECK(t.is_running());
  clock.advance(1s);
  CHECK(t.hit_count() == 2);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "D25 durations: NaN and infinity are rejected, named and shown") {
  const std::pair<double, std::string> cases[] = {{nan, "nan"}, {inf, "inf"}, {-inf, "-inf"}};
  for (const auto& [value, text] : cases) {
    const async_timer::interval odd = seconds_f(value);
    const auto delay = rejection([&] { timer t{io, odd, forty_two}; });
    CHECK(field_of(delay) == "delay");
    CHECK(contains(delay, text));
    const auto initial = rejection([&] { timer t{io, 1s, forty_two, {.initial_delay = odd}}; });
    CHECK(field_of(initial) == "initial_delay");
    CHECK(contains(initial, text));
    const auto jitter = rejection([&] { timer t{io, 1s, forty_two, {.jitter = value}}; });
    CHECK(field_of(jitter) == "jitter");
    CHECK(contains(jitter, text));
    timer t{io, 1s, forty_two};
    const auto timeout =
        rejection([&] { t.wait({.timeout = odd}, [](std::exception_ptr, std::optional<int>) {}); });
    CHECK(field_of(timeout) == "timeout");
    CHECK(contains(timeout, text));
  }
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "D25 durations: huge ones saturate, and just take long") {
  using std::chrono::hours;
  for (const auto mode : {async_timer::mode::fixed_delay, async_timer::mode::fixed_rate}) {
    timer_options options;
    options.mode = mode;
    options.jitter = 1;
    timer slow{io, hours::max(), forty_two, options};
    CHECK(slow.delay() == std::chrono::nanoseconds::max());
    options.jitter = 0;
    options.initial_delay = seconds_f(1e300);
    timer late{io, 1s, forty_two, options};
    slow.start();
    late.start();
    CHECK(slow.is_running());
    outcome<std::optional<int>> bounded;
    late.wait({.hits = 1, .timeout = hours::max()}, into(bounded));
    clock.advance(hours(24));
    CHECK(slow.hit_count() == 1);
    CHECK(late.hit_count() == 0);
    CHECK_FALSE(bounded.done());
    slow.request_stop();
    late.request_stop();
    clock.run_until_idle();
    CHECK(bounded.completions == 1);
    CHECK(bounded.kind() == "stopped");
    CHECK(out_of_work());
  }
}

TEST_CASE_FIXTURE(virtual_context, "1.12, D25 durations: any unit, whole or floating") {
  CHECK(timer(io, 1.5s, forty_two).delay() == 1500ms);
  CHECK(timer(io, std::chrono::minutes(2), forty_two).delay() == 120s);
  CHECK(timer(io, 3us, forty_two).delay() == 3us);
  CHECK(timer(io, std::chrono::duration<float, std::milli>(0.5F), forty_two).delay() == 500us);
}
