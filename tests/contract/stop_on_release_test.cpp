// Contract 15.1, 18.5, D27: when a run is over, its stop signals have been let go.
#include <doctest/doctest.h>
#include <async_timer/async_timer.hpp>

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <utility>

#include "support/faulty_executor.hpp"
#include "support/fixture.hpp"
#include "support/telling_executor.hpp"
#include "support/text.hpp"

using namespace test;
using async_timer::stop_when;

namespace {

/// Is an operation that says in a log when it is cancelled, and ends only when the test says so.
class unwilling {
 public:
  explicit unwilling(std::string& log) : log_(&log) {}

  /// @param captured  goes with the signal
  [[nodiscard]] auto as_signal(std::shared_ptr<int> captured = nullptr) {
    return [this, captured = std::move(captured)](auto handler) {
      auto slot = net::get_associated_cancellation_slot(handler);
      slot.assign([this](net::cancellation_type) { *log_ += "cancelled "; });
      auto shared = std::make_shared<decltype(handler)>(std::move(handler));
      end_ = [shared] { std::move (*shared)(async_timer::error_code()); };
    };
  }
  void end() { std::exchange(end_, nullptr)(); }

 private:
  std::string* log_;
  std::function<void()> end_;
};

/// Is a timer that follows one of another context, and can lose its own.
struct two_contexts {
  virtual_context elsewhere;
  async_timer::timer<void> leader{
      elsewhere.io, 1s, [] { throw std::runtime_error("broken"); }, {.on_error = [] {}}};
  std::unique_ptr<virtual_context> here = std::make_unique<virtual_context>();
  int stops = 0;
  async_timer::timer<void> follower{
      here->io, 1s, [] {}, {.on_stop = [this] { ++stops; }, .stop_on = stop_when(leader)}};

  /// Stands for another thread that does this, and the context goes, while the follower is told.
  template <class Function>
  void while_told(Function elsewhere_meanwhile) {
    leader.start();
    follower.start();
    here->clock.advance(1s);
    REQUIRE(follower.is_running());
    const log_recorder restores_the_default;
    async_timer::set_log_sink([&](const async_timer::log_record&) {
      if (here) elsewhere_meanwhile();
    });
    elsewhere.clock.advance(0s);
    CHECK(here == nullptr);
    CHECK(elsewhere.out_of_work());
  }
};

}  // namespace

TEST_CASE_FIXTURE(
    virtual_context,
    "15.1, 18.5 stop_on: a coroutine that is a signal has unwound before the run ends") {
  std::string log;
  net::steady_timer never(io, net::steady_timer::time_point::max());
  const auto waits = [&]() -> net::awaitable<void> {
    auto wait = never.async_wait(net::use_awaitable);
    try {
      co_await std::move(wait);
    } catch (...) {
      log += "unwound ";
      throw;
    }
  };
  async_timer::timer<void> t{
      io, 1s, [] {}, {.on_stop = [&] { log += "on_stop "; }, .stop_on = stop_when(waits)}};
  t.start();
  clock.advance(1s);
  t.cancel([&](const std::exception_ptr&) { log += "cancel"; });
  t.cancel([&](const std::exception_ptr&) { log += "led"; });
  CHECK_FALSE(t.is_running());
  clock.run_until_idle();
  CHECK(log == "unwound on_stop cancelled");
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "15.1, 18.5 stop_on: an operation that doesn't mind being cancelled keeps no run "
                  "from its end") {
  std::string log;
  unwilling first(log);
  async_timer::timer<void> t{
      io,
      1s,
      [] {},
      {.on_stop = [&] { log += "on_stop "; }, .stop_on = stop_when(first.as_signal())}};
  t.start();
  clock.advance(1s);
  t.cancel([&](const std::exception_ptr&) { log += "done"; });
  clock.run_until_idle();
  CHECK(log == "cancelled on_stop done");
  first.end();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(
    virtual_context,
    "15.1, 18.5 stop_on: who waits for the end hears of it after the signals were let "
    "go, whatever ended the run") {
  const auto run = [this](auto second_tick) {
    std::string log;
    unwilling first(log);
    int ticks = 0;
    const auto target = [&] {
      if (++ticks == 2) second_tick();
    };
    async_timer::timer<void> t{
        io,
        1s,
        target,
        {.on_error = [&] { log += "on_error "; }, .stop_on = stop_when(first.as_signal())}};
    t.start();
    clock.run_until_idle();
    t.wait([&](const std::exception_ptr& failure, const auto&) { log += kind_of(failure) + "."; });
    clock.advance(1s);
    CHECK_FALSE(t.is_running());
    first.end();
    return log;
  };
  CHECK(run([] { throw std::runtime_error("broken"); }) == "cancelled on_error broken.");
  CHECK(run([] { throw async_timer::end_of_ticks{}; }) == "cancelled .");
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(two_contexts,
                  "18.4, D27 stop_on: the context may go while a signal of another one is told") {
  while_told([this] { here.reset(); });
  CHECK_FALSE(follower.is_running());
  CHECK(stops == 0);
}

TEST_CASE_FIXTURE(two_contexts,
                  "18.4, D27 stop_on: the context may go, its run being over, while a signal of "
                  "another one is told") {
  while_told([this] {
    follower.request_stop();
    here->clock.run_until_idle();
    CHECK(stops == 1);
    here.reset();
  });
}

TEST_CASE("15.1, D27 stop_on: the context may go while the signals are being let go") {
  std::string log;
  auto context = std::make_unique<virtual_context>();
  unwilling first(log);
  async_timer::timer<void> t{
      context->io,
      1s,
      [] {},
      {.on_stop = [&] { log += "on_stop "; }, .stop_on = stop_when(first.as_signal())}};
  t.start();
  context->clock.advance(1s);
  bool called = false;
  t.cancel([&](const std::exception_ptr&) { called = true; });
  // The run ends in the first handlers of these, and waits for its signals in the others.
  int handlers = 0;
  SUBCASE("at once") {}
  SUBCASE("after a handler") { handlers = 1; }
  SUBCASE("after two") { handlers = 2; }
  SUBCASE("after four") { handlers = 4; }
  while (handlers-- > 0) context->io.poll_one();
  first.end();
  context.reset();
  CHECK_FALSE(t.is_running());
  CHECK_FALSE(called);
  CHECK(log.find("on_stop") == std::string::npos);
}

TEST_CASE_FIXTURE(
    virtual_context,
    "18.3, 18.5 stop_on: an executor that refuses a step of the stop signals keeps no "
    "run from its end, and no signal from its release") {
  enum class refused { arming, release, release_of_others };
  const auto run = [this](auto fault, refused what) {
    const log_recorder log;
    faulty_executor::faults faults;
    std::string order;
    unwilling first(order);
    const std::stop_source never;
    auto kept = std::make_shared<int>(1);
    const std::weak_ptr<int> alive = kept;
    async_timer::timer<void> t{
        net::any_io_executor(faulty_executor(io, faults)),
        1s,
        [] {},
        {.on_stop = [&] { order += alive.expired() ? "on_stop " : "too early "; },
         .stop_on = stop_when(never.get_token(), first.as_signal(std::move(kept)))}};
    if (what == refused::arming) faults.*fault = 1;
    t.start();
    clock.advance(1s);
    CHECK(t.is_running() == (what != refused::arming));
    if (what != refused::arming) {
      faults.spares = 1;  // that is the tick which ends the run
      faults.*fault = 1;
    }
    if (what == refused::release) t.request_stop();
    if (what == refused::release_of_others) first.end();
    t.cancel(net::bind_executor(io, [&](const std::exception_ptr&) { order += "cancelled"; }));
    clock.run_until_idle();
    CHECK(faults.*fault == 0);
    CHECK(order == "on_stop cancelled");
    if (what == refused::release) first.end();
    CHECK(out_of_work());
  };
  for (const auto fault : {&faulty_executor::faults::throws, &faulty_executor::faults::exhausts}) {
    run(fault, refused::arming);
    run(fault, refused::release);
    run(fault, refused::release_of_others);
  }
}

TEST_CASE_FIXTURE(virtual_context,
                  "18.3, 18.5 stop_on: an executor that loses the tick which ends the run keeps no "
                  "run from its end") {
  const log_recorder log;
  std::string order;
  unwilling first(order);
  faulty_executor::faults faults;
  async_timer::timer<void> t{net::any_io_executor(faulty_executor(io, faults)),
                             1s,
                             [] {},
                             {.stop_on = stop_when(first.as_signal())}};
  t.start();
  clock.advance(1s);
  REQUIRE(t.is_running());
  SUBCASE("by a refusal") { faults.throws = 1; }
  SUBCASE("without a word") { faults.drops = 1; }
  bool ended = false;
  t.cancel(net::bind_executor(io, [&](const std::exception_ptr&) { ended = true; }));
  clock.run_until_idle();
  CHECK(ended);
  first.end();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "18.5 stop_on: a run that ends while its signals go waits for that") {
  faulty_executor::faults faults;
  std::string order;
  unwilling first(order);
  auto work = net::make_work_guard(io);
  // Stands for another thread that runs the context meanwhile.
  std::shared_ptr<int> kept(new int(1), [&](const int* captured) {
    clock.run_until_idle();
    order += "gone ";
    delete captured;
  });
  async_timer::timer<void> t{net::any_io_executor(faulty_executor(io, faults)),
                             1s,
                             [] {},
                             {.on_stop = [&] { order += "on_stop "; },
                              .stop_on = stop_when(first.as_signal(std::move(kept)))}};
  t.start();
  clock.advance(1s);
  SUBCASE("while they are let go") {}
  SUBCASE("while they can't be let go") {
    faults.spares = 1;  // that is the tick which ends the run
    faults.throws = 1;
  }
  first.end();
  t.cancel(net::bind_executor(io, [&](const std::exception_ptr&) { order += "cancelled"; }));
  clock.run_until_idle();
  CHECK(faults.throws == 0);
  CHECK(order == "gone on_stop cancelled");
  work.reset();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "18.5 stop_on: an executor that runs the context's handlers when it is given a "
                  "function lets the timer stop") {
  telling_executor::calls calls;
  std::stop_source source;
  int stops = 0;
  async_timer::timer<void> t{
      net::any_io_executor(telling_executor(io, calls)),
      1s,
      [] {},
      {.on_stop = [&] { ++stops; }, .stop_on = stop_when(source.get_token())}};
  t.start();
  clock.advance(1s);
  REQUIRE(t.is_running());
  auto work = net::make_work_guard(io);
  bool is_inside = false;
  calls.at_execute = [&] {
    if (std::exchange(is_inside, true)) return;
    io.poll();
    is_inside = false;
  };
  source.request_stop();
  clock.run_until_idle();
  CHECK_FALSE(t.is_running());
  CHECK(stops == 1);
  work.reset();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(
    virtual_context,
    "18.5 stop_on: a run that ends while its executor refuses to begin with its signals "
    "is over") {
  const log_recorder log;
  telling_executor::calls calls;
  std::string order;
  unwilling first(order);
  auto kept = std::make_shared<int>(1);
  const std::weak_ptr<int> alive = kept;
  async_timer::timer<void> t{
      net::any_io_executor(telling_executor(io, calls)),
      1s,
      [] {},
      {.on_stop = [&] { order += alive.expired() ? "on_stop " : "too early "; },
       .stop_on = stop_when(first.as_signal(std::move(kept)))}};
  auto work = net::make_work_guard(io);
  bool has_refused = false;
  calls.at_execute = [&] {
    if (std::exchange(has_refused, true)) return;
    // Stands for another thread that ends the run meanwhile.
    t.cancel(net::bind_executor(io, [&](const std::exception_ptr&) { order += "cancelled"; }));
    clock.run_until_idle();
    throw std::runtime_error("refused");
  };
  t.start();
  clock.run_until_idle();
  CHECK(order == "on_stop cancelled");
  work.reset();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "18.3 stop_on: an executor that finishes a signal when it is given a function "
                  "stops the timer, whichever that is") {
  int nth = 0;
  for (bool was_given = true; was_given; ++nth) {
    CAPTURE(nth);
    std::stop_source source;
    telling_executor::calls calls;
    int given = 0;
    calls.at_execute = [&] {
      if (given++ == nth) source.request_stop();
    };
    int stops = 0;
    async_timer::timer<void> t{
        net::any_io_executor(telling_executor(io, calls)),
        1s,
        [] {},
        {.on_stop = [&] { ++stops; }, .stop_on = stop_when(source.get_token())}};
    t.start();
    clock.advance(1s);
    was_given = source.stop_requested();
    CHECK(t.is_running() == !was_given);
    t.request_stop();
    clock.run_until_idle();
    was_given = source.stop_requested();
    CHECK(stops == 1);
  }
  CHECK(nth > 3);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(
    virtual_context,
    "15.7, 18.1 stop_on: a timer that starts while the target of another one runs the "
    "context may wait for that one") {
  const log_recorder log;
  std::optional<async_timer::timer<void>> second;
  async_timer::timer<void> first{io, 1h, [&] {
                                   if (second) clock.run_until_idle();
                                 }};
  first.start();
  clock.advance(1s);
  second.emplace(
      io, 1h, [] {}, async_timer::timer_options{.stop_on = stop_when(first)});
  first.trigger([](const auto&...) {});
  second->start();
  clock.advance(1s);
  CHECK(second->is_running());
  CHECK(second->hit_count() == 1);
  CHECK(log.records().empty());
  first.request_stop();
  clock.run_until_idle();
  CHECK_FALSE(second->is_running());
  CHECK(out_of_work());
}
