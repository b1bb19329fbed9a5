// A user's program, for the builds that users have: other compilers, standards, warnings,
// visibility. Exit code 0 if all it sees is right.
#include <async_timer/async_timer.hpp>
#include <async_timer/testing.hpp>
#include <chrono>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <utility>

#include "shared_timers.hpp"

namespace {

namespace net = async_timer::net;
using namespace std::chrono_literals;

int mistakes = 0;

void expect(bool truth, const char* what) {
  if (truth) return;
  ++mistakes;
  std::fprintf(stderr, "not so: %s\n", what);
}

net::awaitable<std::string> fetch() {
  net::steady_timer pause(co_await net::this_coro::executor, net::steady_timer::duration(1));
  co_await pause.async_wait(net::use_awaitable);
  co_return "text";
}

net::awaitable<void> look_around(net::any_io_executor executor) {
  async_timer::timer texts{executor, 10s, fetch, {.jitter = 0.5, .name = "texts"}};
  auto body = [&texts]() -> net::awaitable<void> {
    const auto text = co_await texts.join();
    expect(text == "text", "join gives the value");
    const auto again = co_await texts.trigger();
    expect(again == text && texts.hit_count() == 2, "trigger gives another one");
  };
  co_await async_timer::scoped(texts, body);
  expect(!texts.is_running(), "scoped stops the timer");
}

void use_coroutines() {
  net::io_context context;
  std::exception_ptr failure;
  net::co_spawn(context, look_around(context.get_executor()),
                [&](std::exception_ptr error) { failure = std::move(error); });
  context.run();
  expect(!failure, "the coroutine ends well");
}

void use_virtual_time() {
  net::io_context context;
  async_timer::virtual_clock clock{context};
  int calls = 0;
  int stops = 0;
  async_timer::timer_options options{.mode = async_timer::mode::fixed_rate, .initial_delay = 1s};
  options.on_stop = [&] { ++stops; };
  async_timer::timer counter{context, 1s, [&] { return ++calls; }, options};
  async_timer::timer_group group{context};
  auto feed = counter.subscribe({.maxsize = 2, .name = "newest"});
  auto& member = group.add(std::move(counter));
  group.start();
  std::optional<int> third;
  member.wait({.hit_count = 3, .timeout = 1min}, [&](std::exception_ptr error, auto value) {
    if (!error) third = value;
  });
  clock.advance(3s);
  expect(calls == 3 && third == 3, "three ticks in three seconds");
  expect(feed.qsize() == 2 && feed.dropped_count() == 1, "the feed keeps two values");
  group.cancel_all([](std::exception_ptr) {});
  clock.run_until_idle();
  expect(stops == 1 && !group.is_running(), "the group stops");

  shared_timer.start(context);
  clock.advance(1s);
  shared_timer.request_stop();
  clock.run_until_idle();
  expect(shared_timer.hit_count() == 2 && shared_timer.func() == 3, "the shared timer ticks");
}

void use_early_timers() {
  early_context().run_for(10ms);
  expect(ticks_of_other_file() == 1, "a timer started before main() ticks");
}

}  // namespace

int main() {
  use_coroutines();
  use_virtual_time();
  use_early_timers();
  return mistakes == 0 ? 0 : 1;
}
