// Every allocation fails in turn: stop signals of each kind. A run that its signals could not stop
// does not go on, and when it is over they are let go.
#include <doctest/doctest.h>

#include <memory>
#include <stop_token>
#include <utility>

#include "support/stage.hpp"

using namespace test;
using async_timer::stop_when;
using async_timer::timer;

namespace {

net::awaitable<void> pass(std::shared_ptr<net::steady_timer> at, counted_capture) {
  auto wait = at->async_wait(net::use_awaitable);
  co_await std::move(wait);
}

/// Makes a timer with the signals, lets it tick, and asks it to stop, or finishes a signal.
template <class MakeSignals, class Finish>
void live(MakeSignals make_signals, Finish finish) {
  const auto scenario = [=](stage& on) {
    const auto t = on.make([&] {
      async_timer::timer_options options;
      options.stop_on = make_signals(on);
      return timer<int>(
          on.io, 1s, [c = on.capture()] { return 42; }, std::move(options));
    });
    if (!t) return;
    const bool started = on.attempt([&] { t->start(); });
    CHECK((started || !t->is_running()));
    on.settle();
    if (started) {
      CHECK((t->hit_count() == 1 || !t->is_running()));
      on.expect_runs_or_was_heard(*t);
    }
    finish(on, *t);
    on.settle();
    CHECK_FALSE(t->is_running());
    on.calm();
  };
  fail_each(scenario, spared_for_asio::some);
}

struct stop {
  void operator()(stage&, timer<int>& t) const { t.request_stop(); }
};

}  // namespace

TEST_CASE("no memory: a stop_token") {
  const auto source = std::make_shared<std::stop_source>();
  live([source](stage&) { return stop_when(source->get_token()); }, stop());
}

TEST_CASE("no memory: a stop_token that asks for the stop") {
  const auto source = std::make_shared<std::stop_source>();
  live(
      [source](stage&) {
        *source = std::stop_source();
        return stop_when(source->get_token());
      },
      [source](stage&, timer<int>&) { source->request_stop(); });
}

TEST_CASE("no memory: the end of another timer") {
  for (const bool the_other_one : {true, false}) {
    const auto scenario = [the_other_one](stage& on) {
      const auto other = [&on] {
        const spared_memory ours;
        auto made = std::make_unique<timer<void>>(on.io, 1h, [c = on.capture()] {});
        made->start();
        on.settle();
        return made;
      }();
      const auto t = on.make([&] {
        return timer<int>(on.io, 1s, [c = on.capture()] { return 42; },
                          {.stop_on = stop_when(*other)});
      });
      if (!t) return;
      const bool started = on.attempt([&] { t->start(); });
      on.settle();
      if (started) on.expect_runs_or_was_heard(*t);
      if (the_other_one) {
        other->request_stop();
      } else {
        t->request_stop();
      }
      on.settle();
      CHECK_FALSE(t->is_running());
      on.calm();
      other->request_stop();
    };
    fail_each(scenario, spared_for_asio::some);
  }
}

TEST_CASE("no memory: an operation that goes on until it is cancelled") {
  live(
      [](stage& on) {
        auto never = std::make_shared<net::steady_timer>(
            on.io, std::chrono::steady_clock::time_point::max());
        return stop_when(
            [never, c = on.capture()](auto done) { never->async_wait(std::move(done)); });
      },
      stop());
}

TEST_CASE("no memory: an operation that finishes") {
  const auto at = std::make_shared<std::weak_ptr<net::steady_timer>>();
  live(
      [at](stage& on) {
        auto never = std::make_shared<net::steady_timer>(
            on.io, std::chrono::steady_clock::time_point::max());
        *at = never;
        return stop_when(
            [never, c = on.capture()](auto done) { never->async_wait(std::move(done)); });
      },
      [at](stage&, timer<int>& t) {
        if (const auto never = at->lock()) never->cancel();
        if (t.hit_count() == 0) t.request_stop();  // not armed
      });
}

TEST_CASE("no memory: a callable that makes an awaitable") {
  live(
      [](stage& on) {
        auto never = std::make_shared<net::steady_timer>(
            on.io, std::chrono::steady_clock::time_point::max());
        return stop_when([never, c = on.capture()] { return pass(never, c); });
      },
      [](stage&, timer<int>& t) {
        failing_memory::stop();  // Asio can't end a coroutine without memory: it comes out of run()
        t.request_stop();
      });
}

TEST_CASE("no memory: signals that could not be let go of yet go with the timer's context") {
  net::io_context there;
  const auto never =
      std::make_shared<net::steady_timer>(there, net::steady_timer::time_point::max());
  const auto captured = std::make_shared<int>();
  {
    stage on;
    async_timer::timer_options options;
    options.stop_on =
        stop_when([never, captured](auto done) { never->async_wait(std::move(done)); });
    timer<int> t{on.io, 1s, answer, std::move(options)};
    t.start();
    on.settle();
    REQUIRE(t.hit_count() == 1);
    {
      const failing_memory failing(1, 1'000);
      t.request_stop();
      for (int step = 0; step < 4; ++step) on.io.poll_one();
    }
    CHECK_FALSE(t.is_running());
    CHECK(captured.use_count() > 1);
  }
  CHECK(captured.use_count() == 1);
}
