// Decision D9 and what belongs to it: who may be destroyed when.
#include <doctest/doctest.h>

#if defined(ASYNC_TIMER_USE_STANDALONE_ASIO)
#include <asio/experimental/channel.hpp>
#else
#include <boost/asio/experimental/channel.hpp>
#endif
#include <functional>
#include <stdexcept>

#include "support/fixture.hpp"
#include "support/trace.hpp"
#include "support/turnstile.hpp"

using namespace test;

namespace {

using int_timer = async_timer::timer<int>;

/// Is what a target or a callback captures, to see when it is released.
struct token {
  std::shared_ptr<int> held = std::make_shared<int>(0);
  [[nodiscard]] std::weak_ptr<int> watch() const { return held; }
};

/// Is one pending operation of every kind, and how often each has completed.
struct all_waiters {
  outcome<int> join;
  outcome<int> trigger;
  outcome<std::optional<int>> next;
  outcome<std::optional<int>> counted;
  outcome<std::optional<int>> bounded;
  outcome<std::optional<int>> idle;
  no_value cancel;

  /// Without the trigger, if it would disturb.
  void wait_for(int_timer& t) {
    t.join(into(join));
    t.next(into(next));
    t.wait({.hits = 1000}, into(counted));
    t.wait({.hits = 1000, .timeout = std::chrono::hours(1000)}, into(bounded));
    t.wait(into(idle));
  }
  void expect_stopped() const {
    CHECK(join.completions == 1);
    CHECK(join.kind() == "stopped");
    CHECK(next.completions == 1);
    CHECK(next.kind() == "");
    CHECK(counted.completions == 1);
    CHECK(counted.kind() == "stopped");
    CHECK(bounded.completions == 1);
    CHECK(bounded.kind() == "stopped");
    CHECK(idle.completions == 1);
    CHECK(idle.kind() == "");
  }
};

/// Notes what ends the run.
async_timer::timer_options noting(trace& happened) {
  async_timer::timer_options options;
  options.name = "n";
  options.on_error = [&](async_timer::timer_ref timer, std::exception_ptr error) {
    happened("on_error(" + timer.name() + "):" + kind_of(error));
  };
  options.on_stop = [&](async_timer::timer_ref timer) {
    happened("on_stop(" + timer.name() + ")");
  };
  return options;
}

}  // namespace

// --- the handle is destroyed

TEST_CASE_FIXTURE(virtual_context, "D9 destroyed: a timer never started; its target goes at once") {
  const log_recorder log;
  trace happened;
  token target;
  token callback;
  const auto target_gone = target.watch();
  const auto callback_gone = callback.watch();
  {
    auto options = noting(happened);
    options.on_stop = [callback] { FAIL_CHECK("on_stop without a run"); };
    callback = {};
    int_timer t{io, 1s, [target] { return *target.held; }, std::move(options)};
    target = {};
    CHECK_FALSE(target_gone.expired());
    CHECK_FALSE(callback_gone.expired());
  }
  CHECK(target_gone.expired());
  CHECK(callback_gone.expired());
  CHECK(out_of_work());
  CHECK(happened.text() == "");
}

TEST_CASE_FIXTURE(virtual_context, "D9 destroyed: a stopped timer's target goes at once") {
  token target;
  const auto gone = target.watch();
  auto t = std::make_unique<int_timer>(io, 1s, [target] { return *target.held; });
  target = {};
  t->start();
  clock.advance(1s);
  t->request_stop();
  CHECK(out_of_work());
  CHECK_FALSE(gone.expired());  // the timer may start again
  t.reset();
  CHECK(gone.expired());
}

TEST_CASE_FIXTURE(virtual_context,
                  "D9 destroyed: a sleeping timer stops; who waits gets the stop outcome") {
  trace happened;
  all_waiters waiters;
  token target;
  const auto gone = target.watch();
  {
    int_timer t{io, 1h, [target] { return *target.held; }, noting(happened)};
    target = {};
    t.start();
    clock.run_until_idle();
    waiters.wait_for(t);
    t.cancel(into(waiters.cancel));
    CHECK(happened.text() == "");
  }
  CHECK_FALSE(waiters.join.done());
  CHECK(out_of_work());
  CHECK(happened.text() == "on_stop(n)");
  waiters.expect_stopped();
  CHECK(waiters.cancel.completions == 1);
  CHECK(waiters.cancel.kind() == "");
  CHECK(gone.expired());
  CHECK(elapsed() == 0s);
}

TEST_CASE_FIXTURE(virtual_context, "D9, D9b destroyed: right after start() there is no tick") {
  trace happened;
  {
    int_timer t{io, 1s,
                [&] {
                  happened("tick");
                  return 1;
                },
                noting(happened)};
    t.start();
    t.trigger(happened.handler("trigger"));
  }
  CHECK(out_of_work());
  CHECK(happened.text() == "on_stop(n) trigger:stopped");
}

TEST_CASE_FIXTURE(virtual_context, "D9 destroyed: in its own plain target, which goes on safely") {
  trace happened;
  token target;
  const auto gone = target.watch();
  std::unique_ptr<int_timer> t;
  t = std::make_unique<int_timer>(
      io, 1s,
      [&, target] {
        t.reset();
        *target.held = 5;
        happened("returns");
        return *target.held;
      },
      noting(happened));
  target = {};
  t->start();
  outcome<int> joined;
  t->join(into(joined));
  CHECK(out_of_work());
  CHECK(happened.text() == "returns on_stop(n)");
  CHECK(joined.completions == 1);
  CHECK(joined.value == 5);
  CHECK(gone.expired());
}

TEST_CASE_FIXTURE(virtual_context, "D9 destroyed: in its own plain target, which then throws") {
  trace happened;
  std::unique_ptr<int_timer> t;
  t = std::make_unique<int_timer>(
      io, 1s,
      [&]() -> int {
        t.reset();
        throw std::runtime_error("last words");
      },
      noting(happened));
  t->start();
  t->join(happened.handler("join"));
  CHECK(out_of_work());
  CHECK(happened.text() == "on_error(n):last words on_stop(n) join:last words");
}

TEST_CASE_FIXTURE(virtual_context, "D9 destroyed: in its own awaitable target") {
  turnstile work{io};
  trace happened;
  token target;
  const auto gone = target.watch();
  std::unique_ptr<int_timer> t;
  bool suspends = false;
  SUBCASE("D9 that then waits and is cancelled there") { suspends = true; }
  SUBCASE("D9 that then returns") {}
  t = std::make_unique<int_timer>(
      io, 1s,
      [&, target]() -> net::awaitable<int> {
        t.reset();
        if (suspends) {
          auto held = work.wait();
          co_await std::move(held);
        }
        co_return ++*target.held;
      },
      noting(happened));
  target = {};
  t->start();
  t->join(happened.handler("join"));
  CHECK(out_of_work());
  CHECK(happened.text() == (suspends ? "on_stop(n) join:stopped" : "on_stop(n) join"));
  CHECK(gone.expired());
}

TEST_CASE_FIXTURE(virtual_context,
                  "D9 destroyed: while its target is suspended; the clean-up keeps what it needs") {
  turnstile work{io};
  turnstile clean_up{io};
  trace happened;
  all_waiters waiters;
  token target;
  const auto gone = target.watch();
  auto t = std::make_unique<int_timer>(
      io, 1s,
      [&, target]() -> net::awaitable<int> {
        try {
          auto held = work.wait();
          co_await std::move(held);
        } catch (const async_timer::system_error&) {
          happened("cancelled");
        }
        co_await net::this_coro::reset_cancellation_state(net::enable_terminal_cancellation());
        auto rest = clean_up.wait();
        co_await std::move(rest);
        ++*target.held;
        throw async_timer::system_error(net::error::operation_aborted);
      },
      noting(happened));
  target = {};
  t->start();
  clock.run_until_idle();
  REQUIRE(work.waiting() == 1);
  waiters.wait_for(*t);
  const auto ref = t->ref();
  t.reset();
  clock.advance(1h);
  CHECK(happened.text() == "cancelled");
  CHECK_FALSE(gone.expired());
  CHECK_FALSE(ref.is_running());
  ref.cancel(into(waiters.cancel));
  clock.run_until_idle();
  CHECK_FALSE(waiters.cancel.done());
  clean_up.open();
  CHECK(out_of_work());
  CHECK(happened.text() == "cancelled on_stop(n)");
  CHECK(waiters.cancel.completions == 1);
  waiters.expect_stopped();
  CHECK(gone.expired());
}

TEST_CASE_FIXTURE(virtual_context, "D9 destroyed: in on_error and in on_stop") {
  for (const bool early : {true, false}) {
    CAPTURE(early);
    trace happened;
    token callback;
    const auto gone = callback.watch();
    std::unique_ptr<int_timer> t;
    async_timer::timer_options options;
    options.on_error = [&, callback] {
      if (early) t.reset();
      ++*callback.held;
      happened("on_error");
    };
    options.on_stop = [&, callback](async_timer::timer_ref timer) {
      if (!early) t.reset();
      ++*callback.held;
      happened("on_stop:" + std::to_string(timer.hit_count()));
    };
    callback = {};
    t = std::make_unique<int_timer>(
        io, 1s, []() -> int { throw std::runtime_error("x"); }, std::move(options));
    t->start();
    t->join(happened.handler("join"));
    CHECK(out_of_work());
    CHECK(happened.text() == "on_error on_stop:0 join:x");
    CHECK(t == nullptr);
    CHECK(gone.expired());
  }
}

TEST_CASE_FIXTURE(virtual_context, "D9 destroyed: in a completion handler of its own") {
  trace happened;
  auto t = std::make_unique<int_timer>(io, 1s, answer, noting(happened));
  t->start();
  t->join([&](std::exception_ptr, int) {
    t.reset();
    happened("destroyed");
  });
  t->join(happened.handler("second"));
  t->next(happened.handler("next"));
  CHECK(out_of_work());
  CHECK(happened.text() == "destroyed second next on_stop(n)");
}

TEST_CASE_FIXTURE(virtual_context, "D9 destroyed: by the destructor of what its target captured") {
  // Two timers that own each other in a row: the end of one run destroys the next timer.
  trace happened;
  auto inner = std::make_shared<int_timer>(io, 1s, answer, noting(happened));
  inner->start();
  {
    int_timer outer{io, 1s, [inner] { return 1; }, noting(happened)};
    inner.reset();
    outer.start();
    clock.run_until_idle();
  }
  CHECK(out_of_work());
  CHECK(happened.text() == "on_stop(n) on_stop(n)");
}

// --- what was captured

TEST_CASE_FIXTURE(virtual_context,
                  "D9 captured: is gone when cancel of a destroyed timer completes") {
  token target;
  token callback;
  const auto target_gone = target.watch();
  const auto callback_gone = callback.watch();
  async_timer::timer_options options;
  options.on_stop = [callback] {};
  callback = {};
  auto t = std::make_unique<int_timer>(
      io, 1s, [target] { return 1; }, std::move(options));
  target = {};
  t->start();
  clock.run_until_idle();
  const auto ref = t->ref();
  t.reset();
  bool all_gone = false;
  ref.cancel(
      [&](std::exception_ptr) { all_gone = target_gone.expired() && callback_gone.expired(); });
  CHECK_FALSE(target_gone.expired());
  CHECK(out_of_work());
  CHECK(all_gone);
}

TEST_CASE_FIXTURE(virtual_context, "D9 captured: a reference doesn't keep it") {
  token target;
  token value;
  const auto target_gone = target.watch();
  std::optional<async_timer::timer_ref> ref;
  {
    int_timer t{io, 1s, [target] { return 1; }};
    target = {};
    ref = t.ref();
  }
  CHECK(target_gone.expired());
}

TEST_CASE_FIXTURE(virtual_context,
                  "D9 captured: the last value goes with it, whoever refers to it") {
  std::weak_ptr<int> last;
  auto t = std::make_optional<async_timer::timer<std::shared_ptr<int>>>(io, 1s, [&] {
    auto value = std::make_shared<int>(1);
    last = value;
    return value;
  });
  t->start();
  clock.run_until_idle();
  const auto ref = t->ref();
  const auto feed = t->subscribe();
  SUBCASE("of a run") {}
  SUBCASE("after a run") {
    t->request_stop();
    clock.run_until_idle();
    CHECK_FALSE(last.expired());
  }
  t.reset();
  clock.run_until_idle();
  CHECK(ref.hit_count() == 1);
  CHECK(feed.closed());
  CHECK(last.expired());
}

TEST_CASE_FIXTURE(virtual_context,
                  "D9 captured: handlers die with their operation, not with the timer") {
  int_timer t{io, 1s, answer};
  t.start();
  token handler;
  const auto gone = handler.watch();
  t.join([handler](std::exception_ptr, int) {});
  handler = {};
  CHECK_FALSE(gone.expired());
  clock.run_until_idle();
  CHECK(gone.expired());
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "D9 captured: a target that throws in its copy makes no timer") {
  struct throwing {
    throwing() = default;
    throwing(const throwing&) { throw std::runtime_error("copy"); }
    int operator()() { return 1; }
  };
  const throwing target;
  CHECK_THROWS_WITH(int_timer(io, 1s, target), "copy");
  CHECK(out_of_work());
}

// --- references

TEST_CASE_FIXTURE(virtual_context, "D9 timer_ref: is safe to use after the timer was destroyed") {
  trace happened;
  auto t = std::make_unique<int_timer>(io, 1s, answer, noting(happened));
  const auto ref = t->ref();
  const auto same = t->ref();
  t->start();
  clock.advance(2s);
  const auto last_tick = t->last_tick_at();
  t.reset();
  CHECK_FALSE(ref.is_running());
  CHECK(out_of_work());
  auto copy = ref;
  CHECK(copy == same);
  CHECK(ref.name() == "n");
  CHECK(ref.hit_count() == 3);
  CHECK(ref.delay() == 1s);
  CHECK(ref.last_tick_at() == last_tick);
  CHECK(ref.failure_count() == 0);
  CHECK(ref.last_failure() == nullptr);
  CHECK(to_string(ref).find("\"n\"") != std::string::npos);
  CHECK(to_string(ref).find("stopped") != std::string::npos);
  copy.set_delay(5s);
  CHECK(ref.delay() == 5s);
  copy.request_stop();
  no_value cancelled;
  ref.cancel(into(cancelled));
  CHECK(out_of_work());
  CHECK(cancelled.completions == 1);
  CHECK(happened.text() == "on_stop(n)");
}

TEST_CASE_FIXTURE(virtual_context, "D9 timer_ref: kept by a callback it can outlive everything") {
  std::optional<async_timer::timer_ref> kept;
  {
    async_timer::timer_options options;
    options.on_stop = [&](async_timer::timer_ref timer) { kept = timer; };
    int_timer t{io, 1s, answer, options};
    t.start();
  }
  CHECK(out_of_work());
  REQUIRE(kept.has_value());
  CHECK(kept->hit_count() == 0);
}

TEST_CASE_FIXTURE(virtual_context, "D9 timer_ref: one that was moved from still refers") {
  int_timer t{io, 1s, answer, {.name = "n"}};
  auto ref = t.ref();
  const auto taken = std::move(ref);
  CHECK(ref == taken);  // NOLINT(bugprone-use-after-move)
  CHECK(ref.name() == "n");
  CHECK_FALSE(ref.is_running());
  ref.request_stop();
  CHECK(out_of_work());
}

// --- the handle is moved

TEST_CASE_FIXTURE(virtual_context, "D9 moved: a running timer doesn't notice") {
  trace happened;
  int_timer first{io, 1s, answer, noting(happened)};
  first.start();
  clock.advance(1s);
  outcome<int> joined;
  first.join(into(joined));
  int_timer second(std::move(first));
  CHECK(second.is_running());
  CHECK_FALSE(first.is_running());
  first.request_stop();
  clock.advance(1s);
  CHECK(second.hit_count() == 3);
  CHECK(joined.completions == 1);
  CHECK(happened.text() == "");
  { const int_timer moved_from(std::move(first)); }
  CHECK(second.is_running());
  second.request_stop();
  CHECK(out_of_work());
  CHECK(happened.text() == "on_stop(n)");
}

TEST_CASE_FIXTURE(virtual_context, "D9 moved: in its own target and while that is suspended") {
  turnstile work{io};
  std::unique_ptr<int_timer> t;
  std::unique_ptr<int_timer> elsewhere;
  t = std::make_unique<int_timer>(io, 1s, [&]() -> net::awaitable<int> {
    if (!elsewhere) elsewhere = std::make_unique<int_timer>(std::move(*t));
    auto held = work.wait();
    co_await std::move(held);
    co_return 1;
  });
  t->start();
  clock.run_until_idle();
  REQUIRE(elsewhere);
  t = std::make_unique<int_timer>(std::move(*elsewhere));
  elsewhere = nullptr;
  CHECK(t->is_running());
  work.open();
  clock.run_until_idle();
  CHECK(t->hit_count() == 1);
  t->request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "D9 assigned over: a running timer stops, as if destroyed") {
  trace happened;
  int_timer t{io, 1s, answer, noting(happened)};
  t.start();
  clock.run_until_idle();
  SUBCASE("D9 by a temporary") {
    t = int_timer{io, 2s, [] { return 1; }};
  }
  SUBCASE("D9 by a named timer, which is still in scope") {
    int_timer other{io, 2s, [] { return 1; }};
    t = std::move(other);
    CHECK(out_of_work());
    CHECK(happened.text() == "on_stop(n)");
  }
  CHECK(out_of_work());
  CHECK(happened.text() == "on_stop(n)");
  CHECK(t.delay() == 2s);
  CHECK(t.name() == "");
  t.start();
  clock.run_until_idle();
  CHECK(t.last_result() == 1);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "D9 moved: timers live in a growing vector") {
  std::vector<int_timer> timers;
  for (int i = 0; i < 50; ++i) {
    timers.emplace_back(io, 1s, [i] { return i; });
    timers.back().start();
    clock.run_until_idle();
  }
  clock.advance(1s);
  for (int i = 0; i < 50; ++i) {
    CHECK(timers[static_cast<std::size_t>(i)].hit_count() == 2);
    CHECK(timers[static_cast<std::size_t>(i)].last_result() == i);
  }
  timers.erase(timers.begin(), timers.begin() + 25);
  clock.advance(1s);
  CHECK(timers.front().hit_count() == 3);
  timers.clear();
  CHECK(out_of_work());
}

// --- executors

TEST_CASE_FIXTURE(virtual_context, "D9 strand: a timer lives and dies on one") {
  trace happened;
  auto strand = net::make_strand(io);
  int on_strand = 0;
  {
    int_timer t{strand, 1s, [&] { return on_strand += strand.running_in_this_thread() ? 1 : 0; },
                noting(happened)};
    t.start();
    clock.advance(2s);
    CHECK(on_strand == 3);
    t.join(happened.handler("join"));
  }
  CHECK(out_of_work());
  CHECK(happened.text() == "on_stop(n) join:stopped");
}

TEST_CASE_FIXTURE(virtual_context, "D9 strand: destroyed with its tick posted to the strand") {
  trace happened;
  auto strand = net::make_strand(io);
  auto t = std::make_unique<int_timer>(strand, 1s, answer, noting(happened));
  t->start();
  // One handler a time: the turn has run, the tick waits on the strand.
  io.poll_one();
  t.reset();
  CHECK(out_of_work());
  CHECK(happened.text() == "on_stop(n)");
}

TEST_CASE_FIXTURE(virtual_context, "D9 stopped context: nothing is lost when it goes on") {
  trace happened;
  auto options = noting(happened);
  int_timer t{io, 1s,
              [&] {
                io.stop();
                return 1;
              },
              options};
  int_timer async{io, 1s, [&]() -> net::awaitable<int> {
                    io.stop();
                    co_return 2;
                  }};
  t.start();
  async.start();
  for (int second = 0; second < 5; ++second) {
    // Each stop() lets go of this call; the next one goes on.
    for (int i = 0; i < 10; ++i) clock.run_until_idle();
    CHECK(t.hit_count() == second + 1);
    CHECK(async.hit_count() == second + 1);
    clock.advance(1s);
  }
  io.stop();
  outcome<int> joined;
  t.join(into(joined));
  no_value cancelled;
  t.cancel(into(cancelled));
  async.request_stop();
  CHECK_FALSE(t.is_running());
  CHECK(out_of_work());
  CHECK(joined.completions == 1);
  CHECK(cancelled.completions == 1);
  CHECK(happened.text() == "on_stop(n)");
  io.stop();
  t.start();
  CHECK(t.is_running());
  for (int i = 0; i < 10; ++i) clock.run_until_idle();
  t.request_stop();
  for (int i = 0; i < 10; ++i) clock.run_until_idle();
  CHECK(happened.text() == "on_stop(n) on_stop(n)");
}

TEST_CASE_FIXTURE(virtual_context,
                  "D9 children: one that outlives tick, timer and target is safe") {
  turnstile go{io};
  trace happened;
  token target;
  const auto gone = target.watch();
  auto child = [&]() -> net::awaitable<void> {
    auto held = go.wait();
    co_await std::move(held);
    happened("child");
    auto executor = co_await net::this_coro::executor;
    co_await net::post(executor, net::use_awaitable);
    happened("posted");
  };
  {
    int_timer t{io, 1s,
                [&, target]() -> net::awaitable<int> {
                  auto executor = co_await net::this_coro::executor;
                  net::co_spawn(executor, child, net::detached);
                  co_return 1;
                },
                noting(happened)};
    target = {};
    t.start();
    clock.advance(3s);
    REQUIRE(go.waiting() == 4);
  }
  clock.run_until_idle();
  CHECK(happened.text() == "on_stop(n)");
  CHECK(gone.expired());
  CHECK(go.waiting() == 4);
  go.open();
  CHECK(out_of_work());
  CHECK(happened.text() == "on_stop(n) child child child child posted posted posted posted");
}

TEST_CASE_FIXTURE(virtual_context, "D9 kept: a steady_timer made in a target serves later ticks") {
  std::optional<net::steady_timer> kept;
  int waits = 0;
  auto t = std::make_unique<int_timer>(io, 1s, [&]() -> net::awaitable<int> {
    if (!kept) kept.emplace(co_await net::this_coro::executor);
    kept->expires_after(0s);
    co_await kept->async_wait(net::use_awaitable);
    co_return ++waits;
  });
  t->start();
  clock.run_until_idle();
  for (int second = 1; second < 5; ++second) {
    clock.advance(1s);
    // The steady_timer is due by the real clock, which this asks again.
    for (int i = 0; i < 1000 && t->hit_count() <= second; ++i) clock.run_until_idle();
  }
  CHECK(t->hit_count() == waits);
  CHECK(waits == 5);
  t.reset();
  CHECK(out_of_work());
  kept->expires_after(0s);
  bool still_works = false;
  kept->async_wait([&](async_timer::error_code error) { still_works = !error; });
  io.restart();
  io.run();
  CHECK(still_works);
}

TEST_CASE_FIXTURE(virtual_context, "D23 kept: a target's executor is no longer its inside later") {
  turnstile work{io};
  std::optional<net::any_io_executor> kept;
  bool holds = false;
  int_timer t{io, 1s, [&]() -> net::awaitable<int> {
                if (!kept) kept = co_await net::this_coro::executor;
                if (holds) {
                  auto held = work.wait();
                  co_await std::move(held);
                }
                co_return 8;
              }};
  t.start();
  clock.run_until_idle();
  REQUIRE(kept);
  holds = true;
  clock.advance(1s);
  REQUIRE(work.waiting() == 1);  // the second tick is in flight
  outcome<int> joined;
  t.join(net::bind_executor(*kept, into(joined)));
  clock.run_until_idle();
  CHECK_FALSE(joined.done());
  work.open();
  clock.run_until_idle();
  CHECK(joined.value == 8);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "D9 kept: a timer made in a target outlives it, on its own") {
  trace happened;
  std::unique_ptr<int_timer> inner;
  std::unique_ptr<int_timer> outer;
  outer = std::make_unique<int_timer>(io, 1s, [&]() -> net::awaitable<int> {
    if (!inner) {
      auto executor = co_await net::this_coro::executor;
      auto inner_target = [&]() -> net::awaitable<int> {
        if (!outer) co_return 2;
        auto joined = outer->join();  // not from inside of outer's target
        co_return co_await std::move(joined);
      };
      inner = std::make_unique<int_timer>(executor, 1s, inner_target);
      inner->start();
    }
    co_return 1;
  });
  outer->start();
  clock.advance(5s);
  CHECK(inner->failure_count() == 0);
  CHECK(inner->last_result() == 1);
  outer->cancel(happened.handler("cancel"));
  clock.run_until_idle();
  CHECK(happened.text() == "cancel");
  outer.reset();
  inner->request_stop();
  CHECK(out_of_work());
}

// --- the context is destroyed

namespace {

/// Is a context in virtual time that a test can destroy.
struct mortal_context {
  std::optional<net::io_context> io{std::in_place, 1};
  std::optional<async_timer::virtual_clock> clock{std::in_place, *io};
  log_recorder log;
  trace happened;

  /// Begins anew, with other services of the context made before the timers'.
  void begin_with_the_reactor() {
    clock.reset();
    io.emplace(1);
    { const net::steady_timer first(*io); }
    { const auto strand = net::make_strand(*io); }
    clock.emplace(*io);
  }
  void destroy() {
    clock.reset();
    io.reset();
  }
};

/// Counts how many handlers hold it: what is destroyed unrun doesn't any more.
struct unrun {
  token held;
  int calls = 0;
  auto handler() {
    return [this, copy = held](std::exception_ptr, auto&&...) { ++calls; };
  }
  /// Tells whether all handlers are gone, and none was called.
  [[nodiscard]] bool all_destroyed() const { return calls == 0 && held.held.use_count() == 1; }
  [[nodiscard]] long alive() const { return held.held.use_count() - 1; }
};

void wait_in_every_way(int_timer& t, unrun& handlers) {
  t.join(handlers.handler());
  t.next(handlers.handler());
  t.wait({.hits = 1000}, handlers.handler());
  t.wait({.hits = 1000, .timeout = 1000h}, handlers.handler());
  t.wait({.timeout = 1000h}, handlers.handler());
  t.wait(handlers.handler());
}

}  // namespace

TEST_CASE_FIXTURE(mortal_context,
                  "D9b context destroyed: under a sleeping timer; handlers die unrun, no on_stop") {
  unrun handlers;
  int_timer t{*io, 1h, answer, noting(happened)};
  t.start();
  clock->advance(1h);
  wait_in_every_way(t, handlers);
  REQUIRE(handlers.alive() == 6);
  SUBCASE("D9b running") { CHECK(t.is_running()); }
  SUBCASE("D9b with a stop requested") {
    t.cancel(handlers.handler());
    CHECK(handlers.alive() == 7);
  }
  SUBCASE("D9b triggered") { t.trigger(handlers.handler()); }
  SUBCASE("D9b with a deadline that is due") {
    t.wait({.hits = 9, .timeout = 1ns}, handlers.handler());
  }
  destroy();
  CHECK(handlers.all_destroyed());
  CHECK_FALSE(t.is_running());
  CHECK(t.hit_count() == 2);
  CHECK(happened.text() == "");
  CHECK(log.records().empty());
}

TEST_CASE_FIXTURE(mortal_context, "D9b context destroyed: before the first tick of a timer") {
  unrun handlers;
  int_timer t{*io, 1s, answer, noting(happened)};
  t.start();
  wait_in_every_way(t, handlers);
  destroy();
  CHECK(handlers.all_destroyed());
  CHECK(t.hit_count() == 0);
  CHECK(happened.text() == "");
}

TEST_CASE_FIXTURE(mortal_context, "D9b context destroyed: with completions posted, not yet run") {
  unrun handlers;
  int_timer t{*io, 1s, answer, noting(happened)};
  t.join(handlers.handler());
  t.cancel(handlers.handler());
  t.next(handlers.handler());
  CHECK(handlers.alive() == 3);
  destroy();
  CHECK(handlers.all_destroyed());
}

TEST_CASE_FIXTURE(mortal_context,
                  "D9b context destroyed: under a suspended target, whose frame is destroyed") {
  unrun handlers;
  token local;
  const auto frame_gone = local.watch();
  auto executor = net::any_io_executor(io->get_executor());
  SUBCASE("D9b at an object of a service younger than the timer's") {}
  SUBCASE("D9b at an object of a service older than the timer's") {
    begin_with_the_reactor();
    executor = io->get_executor();
  }
  SUBCASE("D9b on a strand") { executor = net::make_strand(*io); }
  int_timer t{executor, 1s,
              [&]() -> net::awaitable<int> {
                const auto in_frame = std::exchange(local, token{nullptr});
                net::steady_timer sleep(co_await net::this_coro::executor,
                                        std::chrono::steady_clock::time_point::max());
                co_await sleep.async_wait(net::use_awaitable);
                co_return 1;
              },
              noting(happened)};
  executor = {};
  t.start();
  clock->run_until_idle();
  wait_in_every_way(t, handlers);
  t.trigger(handlers.handler());
  SUBCASE("D9b with a stop requested") { t.cancel(handlers.handler()); }
  SUBCASE("D9b running") {}
  REQUIRE_FALSE(frame_gone.expired());
  destroy();
  CHECK(frame_gone.expired());
  CHECK(handlers.all_destroyed());
  CHECK_FALSE(t.is_running());
  CHECK(t.failure_count() == 0);
  CHECK(happened.text() == "");
  CHECK(log.records().empty());
}

TEST_CASE_FIXTURE(mortal_context,
                  "D9b context destroyed: under a target that waits at a channel of its own") {
  // The channels' service is younger than the timers', so it is shut down first.
  unrun handlers;
  bool waits = false;
  int_timer t{*io, 1s,
              [&]() -> net::awaitable<int> {
                net::experimental::channel<void(async_timer::error_code, int)> empty(
                    co_await net::this_coro::executor, 1);
                waits = true;
                co_await empty.async_receive(net::use_awaitable);
                co_return 1;
              },
              noting(happened)};
  t.start();
  clock->run_until_idle();
  REQUIRE(waits);
  wait_in_every_way(t, handlers);
  destroy();
  CHECK(handlers.all_destroyed());
  CHECK_FALSE(t.is_running());
  CHECK(t.failure_count() == 0);
  CHECK(happened.text() == "");
  CHECK(log.records().empty());
}

TEST_CASE_FIXTURE(mortal_context,
                  "D9b context destroyed: under a target that waits for another timer") {
  unrun handlers;
  int_timer other{*io, 1h, answer, noting(happened)};
  int_timer t{*io, 1s,
              [&]() -> net::awaitable<int> {
                auto joined = other.join();
                co_return co_await std::move(joined);
              },
              noting(happened)};
  other.start();
  clock->run_until_idle();
  t.start();
  clock->run_until_idle();
  wait_in_every_way(t, handlers);
  SUBCASE("D9b handles live") {}
  SUBCASE("D9b the other's handle is gone") { int_timer(std::move(other)); }
  destroy();
  CHECK(handlers.all_destroyed());
  CHECK_FALSE(t.is_running());
  CHECK(t.failure_count() == 0);
  CHECK(happened.text() == "");
  CHECK(log.records().empty());
}

TEST_CASE("D9b context destroyed: after any number of handlers, with all kinds of timers") {
  for (const bool on_strand : {false, true}) {
    for (const bool reactor_first : {false, true}) {
      for (const int handles_gone : {0, 1}) {
        for (int steps = 0; steps < 40; ++steps) {
          CAPTURE(on_strand);
          CAPTURE(reactor_first);
          CAPTURE(handles_gone);
          CAPTURE(steps);
          mortal_context context;
          if (reactor_first) context.begin_with_the_reactor();
          auto& io = *context.io;
          unrun handlers;
          auto executor = net::any_io_executor(io.get_executor());
          if (on_strand) executor = net::make_strand(io);
          const auto options = noting(context.happened);
          std::vector<int_timer> timers;
          timers.emplace_back(executor, 0s, answer, options);
          timers.emplace_back(
              executor, 0s, []() -> net::awaitable<int> { co_return 1; }, options);
          timers.emplace_back(
              executor, 0s,
              []() -> net::awaitable<int> {
                for (;;) co_await net::post(net::use_awaitable);
              },
              options);
          timers.emplace_back(
              executor, 0s,
              []() -> net::awaitable<int> {
                net::co_spawn(
                    co_await net::this_coro::executor,
                    []() -> net::awaitable<void> { co_await net::post(net::use_awaitable); },
                    net::detached);
                co_return 1;
              },
              options);
          for (auto& t : timers) {
            t.start();
            t.wait({.hits = 1000, .timeout = 1h}, handlers.handler());
            t.wait(handlers.handler());
          }
          executor = {};
          for (int i = 0; i < steps; ++i) io.poll_one();
          CHECK(context.happened.text() == "");
          if (handles_gone == 1) timers.clear();
          context.destroy();
          for (const auto& t : timers) CHECK_FALSE(t.is_running());
          for (const auto& t : timers) CHECK(t.failure_count() == 0);
          CHECK(context.happened.text() == "");
          CHECK(context.log.records().empty());
          CHECK(handlers.all_destroyed());
        }
      }
    }
  }
}

TEST_CASE("D9b context destroyed: after any number of handlers of a stop that is under way") {
  for (const bool on_strand : {false, true}) {
    for (int steps = 0; steps < 30; ++steps) {
      CAPTURE(on_strand);
      CAPTURE(steps);
      mortal_context context;
      auto& io = *context.io;
      unrun handlers;
      trace& happened = context.happened;
      auto executor = net::any_io_executor(io.get_executor());
      if (on_strand) executor = net::make_strand(io);
      async_timer::timer_options options;
      options.on_stop = [&] { happened("on_stop"); };
      options.on_error = [&] { happened("on_error"); };
      int_timer t{executor, 1h,
                  []() -> net::awaitable<int> {
                    net::steady_timer sleep(co_await net::this_coro::executor,
                                            std::chrono::steady_clock::time_point::max());
                    co_await sleep.async_wait(net::use_awaitable);
                    co_return 1;
                  },
                  options};
      executor = {};
      t.start();
      context.clock->run_until_idle();
      t.wait({.timeout = 1h}, handlers.handler());
      t.cancel(handlers.handler());
      io.restart();
      for (int i = 0; i < steps; ++i) io.poll_one();
      const auto before = happened.text();
      CHECK((before == "" || before == "on_stop"));
      context.destroy();
      CHECK(happened.text() == before);
      CHECK(handlers.alive() == 0);
      CHECK(handlers.calls <= 2);
      CHECK_FALSE(t.is_running());
      CHECK(t.failure_count() == 0);
    }
  }
}

TEST_CASE_FIXTURE(mortal_context,
                  "D9b context destroyed: with coroutines that own the timers they wait for") {
  trace& note = happened;
  auto plain = [&]() -> net::awaitable<void> {
    int_timer t{co_await net::this_coro::executor, 1h, answer, noting(note)};
    t.start();
    for (;;) {
      auto joined = t.join();
      co_await std::move(joined);
    }
  };
  auto stuck = [&]() -> net::awaitable<void> {
    int_timer t{co_await net::this_coro::executor, 1h,
                []() -> net::awaitable<int> {
                  net::steady_timer sleep(co_await net::this_coro::executor,
                                          std::chrono::steady_clock::time_point::max());
                  co_await sleep.async_wait(net::use_awaitable);
                  co_return 1;
                },
                noting(note)};
    t.start();
    auto ended = t.wait();
    co_await std::move(ended);
  };
  auto stopping = [&]() -> net::awaitable<void> {
    turnstile never{*io};
    int_timer t{co_await net::this_coro::executor, 1h,
                [&]() -> net::awaitable<int> {
                  auto held = never.wait_uninterruptibly();
                  co_await std::move(held);
                  co_return 1;
                },
                noting(note)};
    t.start();
    co_await net::post(net::use_awaitable);
    while (never.waiting() == 0) co_await net::post(net::use_awaitable);
    auto stop = t.cancel();
    co_await std::move(stop);
  };
  auto in_scope = [&]() -> net::awaitable<void> {
    int_timer t{co_await net::this_coro::executor, 1h, answer, noting(note)};
    auto body = [&]() -> net::awaitable<void> {
      auto ended = t.wait();
      co_await std::move(ended);
    };
    auto scope = async_timer::scoped(t, body);
    co_await std::move(scope);
  };
  bool reactor_first = false;
  SUBCASE("D9b scheduler first") {}
  SUBCASE("D9b reactor first") { reactor_first = true; }
  if (reactor_first) begin_with_the_reactor();
  net::co_spawn(*io, plain, net::detached);
  net::co_spawn(*io, stuck, net::detached);
  net::co_spawn(*io, stopping, net::detached);
  net::co_spawn(*io, in_scope, net::detached);
  clock->run_until_idle();
  CHECK(note.text() == "");
  destroy();
  CHECK(note.text() == "");
  CHECK(log.records().empty());
}

TEST_CASE_FIXTURE(mortal_context,
                  "D9b context destroyed: with orphans of targets and idle runners") {
  token in_child;
  const auto child_gone = in_child.watch();
  int_timer t{*io, 1s,
              [&]() -> net::awaitable<int> {
                auto child = [](token) -> net::awaitable<void> {
                  net::steady_timer sleep(co_await net::this_coro::executor,
                                          std::chrono::steady_clock::time_point::max());
                  co_await sleep.async_wait(net::use_awaitable);
                };
                auto spawned = child(in_child);
                net::co_spawn(co_await net::this_coro::executor, std::move(spawned), net::detached);
                co_return 1;
              },
              noting(happened)};
  t.start();
  clock->advance(3s);
  CHECK(t.hit_count() == 4);
  SUBCASE("D9b running") {}
  SUBCASE("D9b stopped before") {
    t.request_stop();
    clock->run_until_idle();
    CHECK(happened.text() == "on_stop(n)");
  }
  const auto before = happened.text();
  destroy();
  in_child = {};
  CHECK(child_gone.expired());
  CHECK(happened.text() == before);
}

// --- the handle outlives its context

TEST_CASE_FIXTURE(mortal_context,
                  "7.3, 25.5 outliving: reads work, start() says the context is gone") {
  auto executor = net::any_io_executor(io->get_executor());
  SUBCASE("7.3 on the context") {}
  SUBCASE("7.3 on a strand") { executor = net::make_strand(*io); }
  int_timer t{executor, 1s, answer, noting(happened)};
  async_timer::timer<std::string> text{executor, 1s,
                                       []() -> net::awaitable<std::string> { co_return "text"; }};
  executor = {};
  t.start();
  text.start();
  clock->advance(2s);
  const auto last_tick = t.last_tick_at();
  const auto ref = t.ref();
  destroy();
  CHECK_FALSE(t.is_running());
  CHECK(t.hit_count() == 3);
  CHECK(t.last_result() == 42);
  CHECK(t.last_tick_at() == last_tick);
  CHECK(t.name() == "n");
  CHECK(t.delay() == 1s);
  CHECK(t.failure_count() == 0);
  CHECK(t.snapshot().hit_count == 3);
  CHECK(to_string(t).find("stopped") != std::string::npos);
  CHECK(ref.hit_count() == 3);
  CHECK(text.last_result() == "text");
  CHECK_FALSE(t.get_executor());
  t.set_delay(9s);
  CHECK(t.delay() == 9s);
  t.request_stop();
  for (int attempt = 0; attempt < 2; ++attempt) {
    CHECK_THROWS_AS(t.start(), async_timer::threadsafe_dispatch_error);
    CHECK_FALSE(t.is_running());
  }
  CHECK_THROWS_AS(text.start(), async_timer::threadsafe_dispatch_error);
  int_timer moved(std::move(t));
  CHECK(moved.hit_count() == 3);
  CHECK(happened.text() == "");
}

TEST_CASE_FIXTURE(mortal_context, "7.3 outliving: a timer never started says so, too") {
  int_timer t{*io, 1s, answer};
  destroy();
  CHECK_THROWS_AS(t.start(), async_timer::threadsafe_dispatch_error);
  CHECK_FALSE(t.is_running());
  CHECK(t.hit_count() == 0);
}

TEST_CASE_FIXTURE(mortal_context,
                  "7.3, D4 outliving: operations complete on another context, or refuse") {
  int_timer t{*io, 1s, answer};
  t.start();
  clock->run_until_idle();
  destroy();
  net::io_context other;
  trace noted;
  const auto on_other = [&](const std::string& name) {
    return net::bind_executor(other.get_executor(), noted.handler(name));
  };
  t.join(on_other("join"));
  t.trigger(on_other("trigger"));
  t.next(on_other("next"));
  t.wait({.hits = 1}, on_other("counted"));
  t.wait({.timeout = 1h}, on_other("idle"));
  t.cancel(on_other("cancel"));
  t.ref().cancel(on_other("ref"));
  CHECK(noted.text() == "");
  other.run();
  CHECK(noted.text() ==
        "join:not_running trigger:not_running next counted:not_running idle cancel ref");
  CHECK_THROWS_AS(t.join([](std::exception_ptr, int) {}), async_timer::threadsafe_dispatch_error);
  CHECK_THROWS_AS(t.cancel([](std::exception_ptr) {}), async_timer::threadsafe_dispatch_error);
}

TEST_CASE("D9b outliving: a timer waited for from another context than its own") {
  net::io_context there;
  unrun handlers;
  std::optional<int_timer> t;
  {
    net::io_context here;
    async_timer::virtual_clock clock{here};
    t.emplace(here, 1h, answer);
    t->start();
    clock.run_until_idle();
    t->join(net::bind_executor(there.get_executor(), handlers.handler()));
    t->wait({.timeout = 1h}, net::bind_executor(there.get_executor(), handlers.handler()));
    CHECK(handlers.alive() == 2);
  }
  CHECK(handlers.all_destroyed());
  CHECK(there.run() == 0);
}

TEST_CASE("D9b outliving: the waiter's context goes first, the timer ticks on") {
  net::io_context here{1};
  async_timer::virtual_clock clock{here};
  int_timer t{here, 1s, answer};
  t.start();
  clock.run_until_idle();
  unrun handlers;
  {
    net::io_context there;
    t.join(net::bind_executor(there.get_executor(), handlers.handler()));
    clock.advance(1s);  // posts the completion there, where nobody runs it
    CHECK(handlers.alive() == 1);
  }
  CHECK(handlers.all_destroyed());
  clock.advance(1s);
  CHECK(t.hit_count() == 3);
  t.request_stop();
  clock.run_until_idle();
  CHECK(here.stopped());
}
