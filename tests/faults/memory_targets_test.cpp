// Every allocation fails in turn: timers of each target shape, from their construction to the next
// run after it.
#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <utility>

#include "support/generators.hpp"
#include "support/stage.hpp"
#include "support/tokens.hpp"

using namespace test;
using async_timer::timer;

namespace {

/// Makes a timer, starts it and lets it tick; then it must serve for another run.
template <class Maker>
void live(Maker make, spared_for_asio allowed = spared_for_asio::none) {
  const auto scenario = [make](stage& on) {
    const auto t = on.make([&] { return make(on); });
    if (!t) return;
    const bool started = on.attempt([&] { t->start(); });
    CHECK(t->is_running() == started);
    on.settle();
    // A first tick that nobody asks for again comes by itself.
    CHECK((!t->is_running() || t->hit_count() == 1));
    on.pass(3s);
    if (started) on.expect_runs_or_was_heard(*t);
    on.calm();
    on.expect_works(*t);
  };
  fail_each(scenario, allowed);
}

net::awaitable<void> hop() {
  auto executor = co_await net::this_coro::executor;
  auto hopping = net::post(executor, net::use_awaitable);
  co_await std::move(hopping);
}
net::awaitable<int> answer_later(counted_capture) {
  auto hopping = hop();
  co_await std::move(hopping);
  co_return 42;
}
/// Ends when it is cancelled, and needs no memory for that.
net::awaitable<int> wait_for_ever(counted_capture) {
  auto executor = co_await net::this_coro::executor;
  net::steady_timer never(executor, std::chrono::steady_clock::time_point::max());
  auto wait = never.async_wait(compat::as_tuple(net::use_awaitable));
  co_await std::move(wait);
  co_return 42;
}
net::awaitable<std::string> text_at_once(counted_capture) { co_return long_text; }

}  // namespace

TEST_CASE("no memory: a plain target of int") {
  live([](stage& on) { return timer<int>(on.io, 1s, [c = on.capture()] { return 42; }); });
}

TEST_CASE("no memory: a plain target without a value") {
  live([](stage& on) { return timer<void>(on.io, 1s, [c = on.capture()] {}); });
}

TEST_CASE("no memory: a plain target of std::string") {
  live([](stage& on) {
    return timer<std::string>(on.io, 1s, [c = on.capture()] { return long_text; });
  });
}

TEST_CASE("no memory: all options, on a grid") {
  live([](stage& on) {
    async_timer::timer_options options{.mode = async_timer::mode::fixed_rate, .jitter = 0.5};
    options.name = long_text;
    options.on_error = [&on, c = on.capture()] { ++on.callbacks; };
    options.on_stop = [&on, c = on.capture()] { ++on.callbacks; };
    return timer<int>(
        on.io, 1s, [c = on.capture()] { return 42; }, std::move(options));
  });
}

TEST_CASE("no memory: a target that answers after a while") {
  live(
      [](stage& on) {
        return timer<int>(on.io, 1s, [c = on.capture()] { return answer_later(c); });
      },
      spared_for_asio::some);
}

TEST_CASE("no memory: an awaitable target that answers at once") {
  live(
      [](stage& on) {
        return timer<std::string>(on.io, 1s, [c = on.capture()] { return text_at_once(c); });
      },
      spared_for_asio::some);
}

TEST_CASE("no memory: an awaitable target on a strand") {
  live(
      [](stage& on) {
        return timer<int>(net::make_strand(on.io), 1s,
                          [c = on.capture()] { return answer_later(c); });
      },
      spared_for_asio::some);
}

TEST_CASE("no memory: a plain target on a strand") {
  live(
      [](stage& on) {
        return timer<int>(net::make_strand(on.io), 1s, [c = on.capture()] { return 42; });
      },
      spared_for_asio::some);
}

TEST_CASE("no memory: a callable that makes a generator") {
  live([](stage& on) {
    return timer<int>(on.io, 1s, [c = on.capture()] { return count_up(1, 1'000); });
  });
}

TEST_CASE("no memory: a callable that makes an asynchronous generator") {
  live(
      [](stage& on) {
        return timer<int>(on.io, 1s, [c = on.capture()] { return async_counter(1, 1'000); });
      },
      spared_for_asio::some);
}

TEST_CASE("no memory: a callable that makes a coro") {
  live(
      [](stage& on) {
        const auto executor = net::any_io_executor(on.io.get_executor());
        return timer<int>(on.io, 1s,
                          [c = on.capture(), executor] { return coro_up(executor, 1, 1'000); });
      },
      spared_for_asio::some);
}

TEST_CASE("no memory: the stop of a target that waits for ever") {
  const auto scenario = [](stage& on) {
    const auto t = [&on] {
      const spared_memory ours;
      auto made =
          std::make_unique<timer<int>>(on.io, 1s, [c = on.capture()] { return wait_for_ever(c); });
      made->start();
      on.settle();
      return made;
    }();
    on.begin_cancellable("cancel", [&](auto handler) { t->cancel(std::move(handler)); });
    on.settle();
    t->request_stop();  // if that could not be begun
    on.settle();
    CHECK_FALSE(t->is_running());
    on.calm();
  };
  fail_each(scenario, spared_for_asio::some);
}
