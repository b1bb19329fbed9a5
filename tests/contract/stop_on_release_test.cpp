// Contract 15.1, 18.5, D27: when a run is over, its stop signals have been let go.
#include <doctest/doctest.h>
#include <async_timer/async_timer.hpp>

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "support/faulty_executor.hpp"
#include "support/fixture.hpp"
#include "support/text.hpp"

using namespace test;
using async_timer::stop_when;

namespace {

/// Is an operation that says in a log when it is cancelled, and ends only when the test says so.
class unwilling {
 public:
  explicit unwilling(std::string& log) : log_(&log) {}

  [[nodiscard]] auto as_signal() {
    return [this](auto handler) {
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

TEST_CASE(
    "18.4, D27 stop_on: the context may go, its run being over, while a signal of another "
    "one is being told") {
  virtual_context elsewhere;
  async_timer::timer<void> other{
      elsewhere.io, 1s, [] { throw std::runtime_error("broken"); }, {.on_error = [] {}}};
  auto here = std::make_unique<virtual_context>();
  int stops = 0;
  async_timer::timer<void> t{
      here->io, 1s, [] {}, {.on_stop = [&] { ++stops; }, .stop_on = stop_when(other)}};
  other.start();
  t.start();
  here->clock.advance(1s);
  REQUIRE(t.is_running());
  const log_recorder restores_the_default;
  // Stands for another thread that ends the run and destroys the context at this very moment.
  async_timer::set_log_sink([&](const async_timer::log_record&) {
    if (here == nullptr) return;
    t.request_stop();
    here->clock.run_until_idle();
    CHECK(stops == 1);
    here.reset();
  });
  elsewhere.clock.advance(0s);
  CHECK(here == nullptr);
  CHECK(elsewhere.out_of_work());
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

TEST_CASE_FIXTURE(virtual_context,
                  "18.3, 18.5 stop_on: an executor that drops what lets go of the signals keeps no "
                  "run from its end") {
  std::string log;
  unwilling first(log);
  faulty_executor::faults faults;
  async_timer::timer<void> t{
      net::any_io_executor(faulty_executor(io, faults)),
      1s,
      [] {},
      {.on_stop = [&] { log += "on_stop "; }, .stop_on = stop_when(first.as_signal())}};
  t.start();
  clock.advance(1s);
  REQUIRE(t.is_running());
  SUBCASE("by a refusal") { faults.throws = 1; }
  SUBCASE("without a word") { faults.drops = 1; }
  bool ended = false;
  t.cancel(net::bind_executor(io, [&](const std::exception_ptr&) { ended = true; }));
  clock.run_until_idle();
  clock.advance(2s);
  CHECK(ended);
  first.end();
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
