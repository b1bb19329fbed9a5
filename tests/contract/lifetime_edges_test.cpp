// Decisions D8 and D9: what goes when, where a context or a handle goes first.
#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "support/fixture.hpp"
#include "support/generators.hpp"
#include "support/immediate_executor.hpp"
#include "support/sleeping_context.hpp"
#include "support/times.hpp"

using namespace test;
using async_timer::mode;
using async_timer::timer;

TEST_CASE_FIXTURE(virtual_context,
                  "15.1, D9 cancel: what target and callbacks captured is gone when it completes") {
  const auto captured = std::make_shared<int>();
  std::optional<timer<void>> t;
  t.emplace(
      io, 1h, [captured] {},
      async_timer::timer_options{.on_error = [captured] {}, .on_stop = [captured] {}});
  t->start();
  clock.run_until_idle();
  long owners = 0;
  t->cancel(net::bind_executor(immediate_executor(), [&](std::exception_ptr error) {
    CHECK_FALSE(error);
    owners = captured.use_count();
  }));
  const auto ref = t->ref();
  t.reset();
  CHECK(captured.use_count() > 1);
  clock.run_until_idle();
  CHECK(owners == 1);
  CHECK_FALSE(ref.is_running());
}

TEST_CASE("D9 context destroyed: frees the captures of a timer whose handle went before") {
  const auto captured = std::make_shared<int>();
  auto io = std::make_unique<net::io_context>();
  std::optional<timer<void>> t;
  t.emplace(
      *io, 1h, [captured] {},
      async_timer::timer_options{.on_error = [captured] {}, .on_stop = [captured] {}});
  t->start();
  io->poll();
  const auto ref = t->ref();
  t.reset();
  CHECK(captured.use_count() > 1);
  io.reset();
  CHECK(captured.use_count() == 1);
  CHECK(ref.hit_count() == 1);
}

TEST_CASE("D8, D9 context destroyed: destroys the generator of the run, the timer lives on") {
  const auto captured = std::make_shared<int>();
  const auto numbers = [](std::shared_ptr<int>) -> generator<int> {
    for (int n = 1;; ++n) co_yield int{n};
  };
  auto io = std::make_unique<net::io_context>();
  timer t{*io, 1h, [captured, numbers] { return numbers(captured); }};
  const auto idle = captured.use_count();
  t.start();
  io->poll();
  REQUIRE(t.last_result() == 1);
  CHECK(captured.use_count() == idle + 1);
  io.reset();
  CHECK(captured.use_count() == idle);
  CHECK(t.last_result() == 1);
}

TEST_CASE_FIXTURE(sleeping_context,
                  "19.5, D9 every: keeps its mode and its past over the end of a context") {
  times at;
  std::chrono::nanoseconds takes{0};
  auto t = async_timer::every(1s, {.mode = mode::fixed_rate})([&]() -> net::awaitable<void> {
    at.push_back(elapsed());
    if (takes > 0s) {
      auto work = pause(takes);
      co_await std::move(work);
    }
  });
  {
    net::io_context other;
    t.start(other);
    other.poll();
  }
  REQUIRE(t.hit_count() == 1);
  REQUIRE_FALSE(t.is_running());
  CHECK(thrown_by([&] { t.cancel_threadsafe(); }) == "dispatch");
  try {
    t.cancel_threadsafe();
  } catch (const async_timer::threadsafe_dispatch_error& error) {
    CHECK(std::string(error.what()).find("closed") != std::string::npos);
  }
  at.clear();
  takes = 300ms;
  t.start(io);
  clock.advance(2500ms);
  CHECK(at == times{0s, 1s, 2s});
  t.request_stop();
  CHECK(out_of_work());
}
