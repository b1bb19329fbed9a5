// Contract section 2: generators as targets - ranges, experimental::coro, objects with next() - and
// callables that return one; D8, D20.
#include <doctest/doctest.h>

#include <concepts>
#include <memory>
#include <optional>
#include <ranges>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
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
using iota = std::ranges::iota_view<int, int>;

// 1.15: the element is the value, from the object as from a callable that returns it.
static_assert(ticks_with<iota, int> && ticks_with<decltype(&nothing<iota>), int>);
static_assert(ticks_with<generator<std::string>, std::string>);
static_assert(ticks_with<decltype(&nothing<generator<std::string>>), std::string>);
static_assert(ticks_with<net::experimental::coro<int>, int>);
static_assert(ticks_with<decltype(&nothing<net::experimental::coro<int>>), int>);
static_assert(ticks_with<async_counter, int> && ticks_with<decltype(&nothing<async_counter>), int>);
static_assert(ticks_with<std::span<const double>, double>);
// 2.11: what an awaitable item resolves to.
static_assert(ticks_with<generator<net::awaitable<int>>, int>);
static_assert(ticks_with<generator<net::awaitable<void>>, void>);
static_assert(ticks_with<decltype(&nothing<generator<net::awaitable<int, io_executor>>>), int>);
// 2.7: only one level is unwrapped.
static_assert(ticks_with<generator<iota>, iota> &&
              ticks_with<decltype(&nothing<generator<iota>>), iota>);
static_assert(ticks_with<generator<std::vector<int>>, std::vector<int>>);

/// Is an executor argument that a coro takes by value.
net::any_io_executor executor_of(net::io_context& io) { return io.get_executor(); }

/// Runs a target that gives 1, 2, 3 and ends, and checks each step on the way.
template <class Target>
void check_counts_to_three(virtual_context& context, Target target) {
  auto& clock = context.clock;
  const auto begin = context.elapsed();
  run_record run;
  log_recorder log;
  timer t{context.io, 1s, std::move(target), run.options()};
  static_assert(std::same_as<decltype(t), timer<int>>);
  t.start();
  outcome<std::optional<int>> waited;
  t.wait(into(waited));
  for (int tick = 1; tick <= 3; ++tick) {
    clock.advance(tick == 1 ? 0s : 1s);
    CHECK(t.hit_count() == tick);
    CHECK(t.last_result() == tick);
    CHECK(context.elapsed() - begin == (tick - 1) * 1s);
  }
  // That it is exhausted shows only when it is asked again.
  outcome<int> joined, triggered;
  outcome<std::optional<int>> looped;
  t.join(into(joined));
  t.next(into(looped));
  const auto last_at = t.last_tick_at();
  clock.advance(999ms);
  CHECK(t.is_running());
  CHECK(run.stops == 0);
  CHECK_FALSE(joined.done());
  clock.advance(1ms);
  CHECK_FALSE(t.is_running());
  CHECK(run.stops == 1);
  CHECK(run.failures.empty());
  CHECK(t.failure_count() == 0);
  CHECK(joined.completions == 1);
  CHECK(joined.kind() == "stopped");
  CHECK(looped.completions == 1);
  CHECK(looped.kind() == "");
  REQUIRE(looped.value.has_value());
  CHECK_FALSE(looped.value->has_value());
  CHECK(waited.completions == 1);
  CHECK(waited.kind() == "");
  CHECK(waited.value->value() == 3);
  CHECK(t.hit_count() == 3);
  CHECK(t.last_result() == 3);
  CHECK(t.last_tick_at() == last_at);
  CHECK(context.out_of_work());
  CHECK(run.stops == 1);
  CHECK(log.records().empty());
}

}  // namespace

TEST_CASE_FIXTURE(virtual_context,
                  "2.4, 2.13, 2.16, 2.17 range: advanced once a tick, to its end") {
  SUBCASE("a view") { check_counts_to_three(*this, std::views::iota(1, 4)); }
  SUBCASE("a view of a container") {
    std::vector numbers{1, 2, 3};
    check_counts_to_three(*this, std::views::all(numbers));
  }
  SUBCASE("a generator") { check_counts_to_three(*this, count_up(1, 3)); }
  SUBCASE("a single-pass view") {
    std::istringstream text("1 2 3");
    check_counts_to_three(*this, std::ranges::istream_view<int>(text));
  }
}

TEST_CASE_FIXTURE(virtual_context, "2.4, 2.13 range: one of proxies gives what they stand for") {
  std::vector bits{true};
  timer t{io, 1s, std::views::all(bits)};
  static_assert(std::is_same_v<decltype(t), timer<bool>>);
  t.start();
  clock.run_until_idle();
  bits[0] = false;
  CHECK(t.last_result() == true);
}

TEST_CASE_FIXTURE(virtual_context, "2.4, 2.13, 2.16, 2.17 coro: advanced once a tick, to its end") {
  check_counts_to_three(*this, coro_up(executor_of(io), 1, 3));
}

TEST_CASE_FIXTURE(virtual_context,
                  "2.4, 2.13, 2.16, 2.17, D20 next(): advanced once a tick, to its end") {
  check_counts_to_three(*this, async_counter(1, 3));
}

TEST_CASE_FIXTURE(virtual_context, "2.5, 2.13, 2.16, 2.17 callable: what it returns is advanced") {
  SUBCASE("a view") {
    check_counts_to_three(*this, [] { return std::views::iota(1, 4); });
  }
  SUBCASE("a generator") {
    check_counts_to_three(*this, [] { return count_up(1, 3); });
  }
  SUBCASE("a coro") {
    check_counts_to_three(*this, [this] { return coro_up(executor_of(io), 1, 3); });
  }
  SUBCASE("an object with next()") {
    check_counts_to_three(*this, [] { return async_counter(1, 3); });
  }
}

TEST_CASE_FIXTURE(virtual_context,
                  "2.4, D20 next(): another timer, or any object, is a generator") {
  // Whatever has next() -> awaitable<optional<T>> will do: here a timer, whose ticks are passed on.
  timer source{io, 1s, [n = 0]() mutable { return ++n; }, {.initial_delay = 500ms, .start = true}};
  timer relay{io, 0s, std::move(source)};
  static_assert(std::same_as<decltype(relay), timer<int>>);
  relay.start();
  clock.advance(3s);
  CHECK(relay.hit_count() == 3);
  CHECK(relay.last_result() == 3);
  relay.request_stop();
  clock.run_until_idle();
  CHECK_FALSE(relay.is_running());
}

namespace {

/// Makes things with `make(first, last, token)`, counts the calls, and what of it is alive.
template <class Make>
struct counting_factory {
  int* calls;
  int* live;
  Make make;
  auto operator()() {
    ++*calls;
    return make(1, 3, live_token(*live));
  }
};
template <class Make>
counting_factory(int*, int*, Make) -> counting_factory<Make>;

/// Checks that a factory is called once a run, at its first tick, and that each run begins anew.
template <class Make>
void check_factory(virtual_context& context, Make make) {
  auto& clock = context.clock;
  int calls = 0, live = 0, live_at_stop = -1, stops = 0;
  async_timer::timer_options options;
  options.initial_delay = 1s;
  options.on_stop = [&] {
    live_at_stop = live;
    ++stops;
  };
  timer t{context.io, 1s, counting_factory{&calls, &live, make}, options};
  t.start();
  clock.advance(999ms);
  CHECK(calls == 0);
  clock.advance(1ms);
  CHECK(calls == 1);
  CHECK(t.hit_count() == 1);  // the first tick makes it, and takes the first value
  CHECK(t.last_result() == 1);
  CHECK(live == 1);
  clock.advance(1s);
  CHECK(calls == 1);
  CHECK(t.last_result() == 2);
  CHECK(live == 1);
  t.request_stop();
  clock.run_until_idle();
  CHECK(stops == 1);
  CHECK(live_at_stop == 0);
  CHECK(live == 0);

  t.start();
  clock.advance(1s);
  CHECK(calls == 2);
  CHECK(t.last_result() == 1);
  clock.advance(2s);
  CHECK(t.last_result() == 3);
  CHECK(calls == 2);
  clock.advance(1s);
  CHECK_FALSE(t.is_running());
  CHECK(t.hit_count() == 5);
  CHECK(live_at_stop == 0);
  CHECK(stops == 2);
  CHECK(context.out_of_work());
}

}  // namespace

TEST_CASE_FIXTURE(
    virtual_context,
    "2.5, 2.6, 2.18, 2.21, D8 factory: called once a run; its generator dies with it") {
  SUBCASE("of a generator") {
    check_factory(*this, [](int first, int last, live_token token) {
      return count_up_alive(first, last, std::move(token));
    });
  }
  SUBCASE("of a coro") {
    check_factory(*this, [this](int first, int last, live_token token) {
      return coro_up_alive(executor_of(io), first, last, std::move(token));
    });
  }
  SUBCASE("of an object with next()") {
    check_factory(*this, [](int first, int last, live_token token) {
      return async_counter(first, last, std::move(token));
    });
  }
}

TEST_CASE_FIXTURE(virtual_context,
                  "2.5, 2.22 factory: one that fails is called again in a new run") {
  run_record run;
  int calls = 0;
  timer t{io, 1s,
          [&] {
            if (++calls == 1) throw std::runtime_error("no generator");
            return count_up(1, 3);
          },
          run.options()};
  t.start();
  CHECK(out_of_work());
  CHECK(run.failure() == "no generator");
  CHECK(run.stops == 1);
  t.start();
  clock.advance(1s);
  CHECK(calls == 2);
  CHECK(t.last_result() == 2);
  t.request_stop();
  CHECK(out_of_work());
  CHECK(run.failures.size() == 1);
}

TEST_CASE_FIXTURE(virtual_context, "2.7 shape: items that could be advanced are plain values") {
  const auto ranges = []() -> generator<iota> {
    for (int i = 1; i < 100; ++i) co_yield iota(i, 100);
  };
  timer object{io, 1s, ranges()};
  timer made{io, 1s, ranges};
  object.start();
  made.start();
  clock.advance(2s);
  CHECK(object.hit_count() == 3);
  CHECK(object.last_result()->front() == 3);
  CHECK(made.hit_count() == 3);
  CHECK(made.last_result()->front() == 3);
  object.request_stop();
  made.request_stop();
  CHECK(out_of_work());
}

namespace {

/// Is a view, and can be called as well.
struct callable_view : std::ranges::view_interface<callable_view> {
  [[nodiscard]] const int* begin() const { return numbers; }
  [[nodiscard]] const int* end() const { return numbers + 3; }
  std::string operator()() const { return "called"; }
  int numbers[3] = {1, 2, 3};
};

/// Has next(), and can be called as well.
struct callable_counter : async_counter {
  using async_counter::async_counter;
  std::string operator()() const { return "called"; }
};

static_assert(std::invocable<callable_view&> && std::invocable<callable_counter&>);

}  // namespace

TEST_CASE_FIXTURE(virtual_context, "2.8 precedence: a generator that is callable is a generator") {
  SUBCASE("a range") { check_counts_to_three(*this, callable_view{}); }
  SUBCASE("an object with next()") { check_counts_to_three(*this, callable_counter(1, 3)); }
}

namespace {

/// Is a type that makes iterators, as a class of counters does.
struct counter_type {
  int first = 1;
  int last = 3;
  iota operator()() const { return {first, last + 1}; }
};

}  // namespace

TEST_CASE_FIXTURE(virtual_context,
                  "2.9 factory: a class that makes iterators works as a callable") {
  check_counts_to_three(*this, counter_type{});
}

TEST_CASE_FIXTURE(virtual_context,
                  "2.9 range: a returned container is a value, a view of it is not") {
  const std::vector numbers{1, 2, 3};
  int calls = 0;
  timer whole{io, 1s, [&] {
                ++calls;
                return numbers;
              }};
  static_assert(std::same_as<decltype(whole), timer<std::vector<int>>>);
  whole.start();
  clock.advance(9s);
  CHECK(calls == 10);
  CHECK(whole.hit_count() == 10);
  whole.request_stop();
  clock.run_until_idle();
  check_counts_to_three(*this,
                        std::views::all(numbers) | std::views::transform([](int n) { return n; }));
}

TEST_CASE_FIXTURE(virtual_context, "2.10, D20 next(): of another executor type is awaited there") {
  struct counter {
    int given = 0;
    net::awaitable<std::optional<int>, io_executor> next() {
      co_await net::post(net::use_awaitable_t<io_executor>());
      co_return given < 3 ? std::optional(++given) : std::nullopt;
    }
  };
  SUBCASE("the object") { check_counts_to_three(*this, counter{}); }
  SUBCASE("a callable") {
    check_counts_to_three(*this, [] { return counter{}; });
  }
}

namespace {

net::awaitable<int> awaited(int n) {
  auto hop = net::post(co_await net::this_coro::executor, net::use_awaitable);
  co_await std::move(hop);
  co_return n;
}
net::awaitable<int, io_executor> awaited_there(int n) {
  co_await net::post(net::use_awaitable_t<io_executor>());
  co_return n;
}
generator<net::awaitable<int>> awaitables() {
  for (int i = 1; i <= 3; ++i) co_yield awaited(i);
}
generator<net::awaitable<int, io_executor>> awaitables_there() {
  for (int i = 1; i <= 3; ++i) co_yield awaited_there(i);
}

}  // namespace

TEST_CASE_FIXTURE(virtual_context, "2.11, 2.13 items: those that are awaitables are awaited") {
  SUBCASE("of a generator") { check_counts_to_three(*this, awaitables()); }
  SUBCASE("of a callable's generator") { check_counts_to_three(*this, awaitables); }
  SUBCASE("of a view") {
    check_counts_to_three(*this, std::views::iota(1, 4) | std::views::transform(awaited));
  }
  SUBCASE("of another executor type") { check_counts_to_three(*this, awaitables_there()); }
  SUBCASE("of another executor type, from a callable") {
    check_counts_to_three(*this, awaitables_there);
  }
}

TEST_CASE_FIXTURE(sleeping_context, "2.11 items: the tick ends when the awaitable does, void too") {
  int finished = 0;
  const auto naps = [&]() -> generator<net::awaitable<void>> {
    for (int i = 0; i < 2; ++i) {
      co_yield [](sleeping_context& context, int& done) -> net::awaitable<void> {
        auto nap = context.pause(3s);
        co_await std::move(nap);
        ++done;
      }(*this, finished);
    }
  };
  run_record run;
  timer t{io, 1s, naps, run.options()};
  static_assert(std::same_as<decltype(t), timer<void>>);
  t.start();
  clock.advance(2999ms);
  CHECK(t.hit_count() == 0);
  clock.advance(1ms);
  CHECK(finished == 1);
  CHECK(t.hit_count() == 1);
  clock.advance(4s);
  CHECK(finished == 2);
  CHECK(t.hit_count() == 2);
  clock.advance(1s);
  CHECK_FALSE(t.is_running());
  CHECK(run.stops == 1);
  CHECK(run.failures.empty());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "2.13 exhaustion: an empty generator gives a run without ticks") {
  run_record run;
  timer range{io, 1s, count_up(1, 0), run.options()};
  timer coro{io, 1s, coro_up(executor_of(io), 1, 0), run.options()};
  timer object{io, 1s, async_counter(1, 0), run.options()};
  timer made{io, 1s, [] { return std::views::empty<int>; }, run.options()};
  for (auto* each : {&range, &coro, &object, &made}) {
    each->start();
    clock.advance(0s);
    CHECK_FALSE(each->is_running());
    CHECK(each->hit_count() == 0);
    CHECK_FALSE(each->last_result().has_value());
  }
  CHECK(out_of_work());
  CHECK(run.stops == 4);
  CHECK(run.failures.empty());
}

namespace {

generator<int> ends_by_signal() {
  co_yield 1;
  throw async_timer::end_of_ticks{};
}
net::experimental::coro<int> coro_ends_by_signal(net::any_io_executor) {
  co_yield 1;
  throw async_timer::end_of_ticks{};
}
struct counter_ends_by_signal {
  bool given = false;
  net::awaitable<std::optional<int>> next() {
    if (std::exchange(given, true)) throw async_timer::end_of_ticks{};
    co_return 1;
  }
};

generator<int> breaks() {
  co_yield 1;
  throw std::runtime_error("broken");
}
net::experimental::coro<int> coro_breaks(net::any_io_executor) {
  co_yield 1;
  throw std::runtime_error("broken");
}
struct counter_breaks {
  bool given = false;
  net::awaitable<std::optional<int>> next() {
    if (std::exchange(given, true)) throw std::runtime_error("broken");
    co_return 1;
  }
};

template <class Target>
void check_end(virtual_context& context, const std::string& failure, Target target) {
  run_record run;
  timer t{context.io, 1s, std::move(target), run.options()};
  t.start();
  context.clock.advance(0s);
  CHECK(t.hit_count() == 1);
  outcome<int> joined;
  t.join(into(joined));
  context.clock.advance(1s);
  CHECK_FALSE(t.is_running());
  CHECK(t.hit_count() == 1);
  CHECK(run.failure() == failure);
  CHECK(run.stops == 1);
  CHECK(joined.completions == 1);
  CHECK(joined.kind() == (failure.empty() ? "stopped" : failure));
  CHECK(context.out_of_work());
}

}  // namespace

TEST_CASE_FIXTURE(virtual_context, "2.15, D22 end_of_ticks: in a generator ends the run, too") {
  SUBCASE("range") { check_end(*this, "", ends_by_signal()); }
  SUBCASE("made range") { check_end(*this, "", ends_by_signal); }
  SUBCASE("coro") { check_end(*this, "", coro_ends_by_signal(executor_of(io))); }
  SUBCASE("made coro") {
    check_end(*this, "", [this] { return coro_ends_by_signal(executor_of(io)); });
  }
  SUBCASE("next()") { check_end(*this, "", counter_ends_by_signal{}); }
  SUBCASE("made object with next()") {
    check_end(*this, "", [] { return counter_ends_by_signal{}; });
  }
}

TEST_CASE_FIXTURE(virtual_context, "2.22 failure: of a generator ends the run") {
  SUBCASE("range") { check_end(*this, "broken", breaks()); }
  SUBCASE("made range") { check_end(*this, "broken", breaks); }
  SUBCASE("coro") { check_end(*this, "broken", coro_breaks(executor_of(io))); }
  SUBCASE("made coro") {
    check_end(*this, "broken", [this] { return coro_breaks(executor_of(io)); });
  }
  SUBCASE("next()") { check_end(*this, "broken", counter_breaks{}); }
  SUBCASE("made object with next()") {
    check_end(*this, "broken", [] { return counter_breaks{}; });
  }
}

namespace {

/// Checks that a generator that is given as an object goes on in the next run where it was, ends
/// there, and stays ended.
template <class Target>
void check_goes_on(virtual_context& context, Target target) {
  auto& clock = context.clock;
  run_record run;
  timer t{context.io, 1s, std::move(target), run.options()};
  t.start();
  clock.advance(1s);
  CHECK(t.last_result() == 2);
  t.request_stop();
  clock.run_until_idle();
  CHECK(run.stops == 1);
  t.start();
  clock.advance(0s);
  CHECK(t.last_result() == 3);
  CHECK(t.hit_count() == 3);
  clock.advance(1s);
  CHECK_FALSE(t.is_running());
  CHECK(run.stops == 2);
  for (int again = 3; again <= 4; ++again) {
    t.start();
    CHECK(t.is_running());
    clock.advance(0s);
    CHECK_FALSE(t.is_running());
    CHECK(run.stops == again);
  }
  CHECK(t.hit_count() == 3);
  CHECK(run.failures.empty());
  CHECK(context.out_of_work());
}

}  // namespace

TEST_CASE_FIXTURE(virtual_context,
                  "2.19 restart: a range given as an object goes on, then is over") {
  SUBCASE("a view") { check_goes_on(*this, std::views::iota(1, 4)); }
  SUBCASE("a generator") { check_goes_on(*this, count_up(1, 3)); }
}

TEST_CASE_FIXTURE(virtual_context,
                  "2.19 restart: a coro given as an object goes on, then is over") {
  check_goes_on(*this, coro_up(executor_of(io), 1, 3));
}

TEST_CASE_FIXTURE(virtual_context, "2.19 restart: an object with next() goes on, then is over") {
  check_goes_on(*this, async_counter(1, 3));
}

TEST_CASE_FIXTURE(virtual_context, "2.19, 2.22 restart: a generator that failed is over") {
  run_record run;
  timer range{io, 1s, breaks(), run.options()};
  timer coro{io, 1s, coro_breaks(executor_of(io)), run.options()};
  for (auto* each : {&range, &coro}) {
    each->start();
    clock.advance(1s);
    CHECK_FALSE(each->is_running());
    each->start();
    clock.advance(0s);
    CHECK_FALSE(each->is_running());
    CHECK(each->hit_count() == 1);
    CHECK(each->failure_count() == 1);
  }
  CHECK(run.failures.size() == 2);
  CHECK(run.stops == 4);
  CHECK(out_of_work());
}

namespace {

/// Counts how often a frame was left by an exception.
struct unwind_counter {
  int* unwound;
  int entered = std::uncaught_exceptions();
  ~unwind_counter() {
    if (std::uncaught_exceptions() > entered) ++*unwound;
  }
};

/// Gives 1, then waits inside of the next step for a steady_timer that never expires.
net::experimental::coro<int> coro_that_waits(net::any_io_executor, net::steady_timer* never,
                                             live_token, int* unwound) {
  const unwind_counter counter{unwound};
  co_yield 1;
  co_await never->async_wait(coro_token);
  co_yield 2;
}

/// The same by structure: its next() is one coroutine for each step.
struct counter_that_waits {
  sleeping_context* context;
  int* asked;
  live_token token;
  int given = 0;

  net::awaitable<std::optional<int>> next() {
    ++*asked;
    if (given > 0) {
      auto nap = context->pause(60s);
      co_await std::move(nap);
    }
    co_return ++given;
  }
};

struct waiting_fixture : sleeping_context {
  net::steady_timer never{io, net::steady_timer::time_point::max()};
  run_record run;
  int live = 0;
  int live_at_stop = -1;
  int unwound = 0;
  int asked = 0;

  async_timer::timer_options options() {
    auto made = run.options();
    made.on_stop = [this] {
      ++run.stops;
      live_at_stop = live;
    };
    return made;
  }
  /// Stops a timer between two ticks, with cancel() and with request_stop(), and starts it again.
  void check_stopped_between(timer<int>& t) {
    for (int run_number = 1; run_number <= 3; ++run_number) {
      t.start();
      clock.advance(1500ms);
      CHECK(t.last_result() == 2 * run_number);
      no_value cancelled;
      if (run_number == 1) {
        t.cancel(into(cancelled));
      } else {
        t.request_stop();
      }
      clock.run_until_idle();
      CHECK(run.stops == run_number);
      CHECK(live == 1);  // the object is the timer's, not the run's
    }
    CHECK(t.hit_count() == 6);
    CHECK(run.failures.empty());
  }
  /// Starts a timer and cancels it while the second step waits inside.
  void interrupt(timer<int>& t) {
    t.start();
    clock.advance(2s);
    CHECK(t.hit_count() == 1);
    no_value cancelled;
    t.cancel(into(cancelled));
    clock.run_until_idle();
    CHECK(cancelled.completions == 1);
    CHECK(cancelled.kind() == "");
    CHECK_FALSE(t.is_running());
    CHECK(run.stops == 1);
    CHECK(run.failures.empty());
    CHECK(t.hit_count() == 1);
  }
};

}  // namespace

TEST_CASE_FIXTURE(waiting_fixture, "2.20, D8 interrupted: a coro given as an object is dead then") {
  {
    timer t{io, 1s, coro_that_waits(executor_of(io), &never, live_token(live), &unwound),
            options()};
    interrupt(t);
    CHECK(unwound == 1);
    t.start();
    clock.advance(120s);
    CHECK_FALSE(t.is_running());
    CHECK(t.hit_count() == 1);
    CHECK(run.stops == 2);
    CHECK(run.failures.empty());
  }
  CHECK(out_of_work());
  CHECK(live == 0);
}

TEST_CASE_FIXTURE(waiting_fixture, "2.20, D8 interrupted: an object with next() is over then") {
  {
    timer t{io, 1s, counter_that_waits{this, &asked, live_token(live)}, options()};
    interrupt(t);
    CHECK(asked == 2);
    t.start();
    clock.advance(120s);
    CHECK_FALSE(t.is_running());
    CHECK(asked == 2);
    CHECK(t.hit_count() == 1);
    CHECK(run.stops == 2);
    CHECK(run.failures.empty());
    t.request_stop();
    clock.run_until_idle();
  }
  CHECK(out_of_work());
  CHECK(live == 0);
}

TEST_CASE_FIXTURE(waiting_fixture, "2.20 stopped between two steps: an object goes on") {
  SUBCASE("a coro") {
    timer t{io, 1s, coro_up_alive(executor_of(io), 1, 9, live_token(live)), options()};
    check_stopped_between(t);
  }
  SUBCASE("an object with next()") {
    timer t{io, 1s, async_counter(1, 9, live_token(live)), options()};
    check_stopped_between(t);
  }
  CHECK(out_of_work());
  CHECK(live == 0);
}

TEST_CASE_FIXTURE(waiting_fixture,
                  "2.18, 2.21, D8 interrupted: what a factory made is gone at on_stop") {
  int calls = 0;
  SUBCASE("coro") {
    timer t{io, 1s,
            [&] {
              ++calls;
              return coro_that_waits(executor_of(io), &never, live_token(live), &unwound);
            },
            options()};
    interrupt(t);
    CHECK(unwound == 1);
    CHECK(live_at_stop == 0);
    t.start();
    clock.advance(0s);
    CHECK(calls == 2);
    CHECK(t.hit_count() == 2);
    CHECK(t.last_result() == 1);
    t.request_stop();
    clock.run_until_idle();
    CHECK(live_at_stop == 0);
  }
  SUBCASE("next()") {
    timer t{io, 1s,
            [&] {
              ++calls;
              return counter_that_waits{this, &asked, live_token(live)};
            },
            options()};
    interrupt(t);
    CHECK(live_at_stop == 0);
    t.start();
    clock.advance(0s);
    CHECK(calls == 2);
    CHECK(t.hit_count() == 2);
    CHECK(t.last_result() == 1);
    t.request_stop();
    clock.run_until_idle();
    CHECK(live_at_stop == 0);
  }
  CHECK(out_of_work());
  CHECK(live == 0);
}

TEST_CASE_FIXTURE(waiting_fixture,
                  "D8 destroyed: a timer whose generator waits unwinds it, and it") {
  SUBCASE("a coro") {
    timer t{io, 1s, coro_that_waits(executor_of(io), &never, live_token(live), &unwound),
            options()};
    t.start();
    clock.advance(2s);
    CHECK(live == 1);
  }
  SUBCASE("a coro, made by a callable") {
    timer t{io, 1s,
            [this] { return coro_that_waits(executor_of(io), &never, live_token(live), &unwound); },
            options()};
    t.start();
    clock.advance(2s);
    CHECK(live == 1);
  }
  SUBCASE("an object with next()") {
    timer t{io, 1s, counter_that_waits{this, &asked, live_token(live)}, options()};
    t.start();
    clock.advance(2s);
    CHECK(live == 1);
  }
  clock.run_until_idle();
  CHECK(live == 0);
  CHECK(run.stops == 1);
  CHECK(run.failures.empty());
  CHECK(out_of_work());
}

TEST_CASE("D8 destroyed: a context whose generator waits frees it, and calls nobody") {
  int live = 0;
  int asked = 0;
  run_record run;
  std::optional<timer<int>> t;
  {
    sleeping_context context;
    t.emplace(context.io, 1s, counter_that_waits{&context, &asked, live_token(live)},
              run.options());
    t->start();
    context.clock.advance(2s);
    CHECK(live == 1);
  }
  CHECK_FALSE(t->is_running());
  t.reset();
  CHECK(live == 0);
  CHECK(run.stops == 0);
  CHECK(run.failures.empty());
}
