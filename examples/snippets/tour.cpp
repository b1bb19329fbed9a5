// A tour of what a timer can do: the samples of the README and of the headers. Each is run.
#include <async_timer/async_timer.hpp>
#include <chrono>
#include <exception>
#include <future>
#include <iostream>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "check.hpp"
#if defined(ASYNC_TIMER_USE_STANDALONE_ASIO)
#include <asio/use_future.hpp>
#else
#include <boost/asio/use_future.hpp>
#endif

namespace {

namespace asio = async_timer::net;  // boost::asio, or ::asio with standalone Asio
using namespace std::chrono_literals;

int reads = 0;
int read_sensor() { return ++reads; }

int refreshed = 0;
void refresh() { ++refreshed; }

//[by_hand
asio::awaitable<void> refresh_loop() {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  for (;;) {
    refresh();
    timer.expires_after(5s);
    co_await timer.async_wait(asio::use_awaitable);
  }
}
//]

void by_hand() {
  asio::io_context context;
  asio::co_spawn(context, refresh_loop(), [](std::exception_ptr) {});
  context.poll();
  expect(refreshed == 1);
}

asio::awaitable<void> construct_and_join() {
  const auto executor = co_await asio::this_coro::executor;
  //[construct
  async_timer::timer answer{executor, 12s, [] { return 42; }};  // timer<int>, not yet running
  answer.start();  // the first tick comes at once, the next 12 s after it has finished
  //]
  //[join
  int value = co_await answer.join();  // 42: the value of the next tick
  co_await answer.cancel();            // returns when nothing is left to clean up
  //]
  expect(value == 42 && !answer.is_running());
}

//[scoped
asio::awaitable<void> collect(asio::any_io_executor executor) {
  async_timer::timer sensor{executor, 1s, read_sensor};
  auto body = [&]() -> asio::awaitable<void> {
    co_await sensor.wait({.hits = 10});
    std::cout << "ten readings, the last was " << *sensor.last_result() << '\n';
  };
  // Starts the timer, runs the body, and always cancels the timer and waits for its clean-up, also
  // when the body throws or is cancelled.
  co_await async_timer::scoped(sensor, body);
}
//]

asio::awaitable<void> scoped() {
  reads = 0;
  co_await collect(co_await asio::this_coro::executor);
  expect(reads == 10);
}

asio::awaitable<void> wait_first() {
  const auto executor = co_await asio::this_coro::executor;
  async_timer::timer sensor{executor, 1s, read_sensor, {.initial_delay = 1min, .start = true}};
  bool gave_up = false;
  //[wait_first
  try {
    co_await sensor.wait({.hit_count = 1, .timeout = 10s});  // the first success, or ten seconds
  } catch (const async_timer::timeout_error&) {
    gave_up = true;  // the timer runs on
  }
  auto third = co_await sensor.wait({.hits = 3});  // three more ticks: the value of the last
  //]
  expect(gave_up && third && sensor.hit_count() == 3);
  co_await sensor.cancel();
}

asio::awaitable<void> next_loop() {
  const auto executor = co_await asio::this_coro::executor;
  std::vector<int> seen;
  const auto use = [&](int value) { seen.push_back(value); };
  //[next_loop
  auto count_down = [n = 3]() mutable {
    if (n == 0) throw async_timer::end_of_ticks{};
    return n--;
  };
  async_timer::timer countdown{executor, 1s, count_down};
  countdown.start();
  while (auto value = co_await countdown.next()) {
    use(*value);  // 3, 2, 1: the loop ends when the timer does
  }
  //]
  expect(seen == std::vector{3, 2, 1});
}

asio::awaitable<void> subscribe() {
  const auto executor = co_await asio::this_coro::executor;
  std::vector<int> seen;
  const auto use = [&](int value) { seen.push_back(value); };
  async_timer::timer sensor{executor, 1s, std::views::iota(1, 6)};
  //[subscribe
  auto feed = sensor.subscribe({.maxsize = 3});  // if it is full, the oldest is dropped and logged
  sensor.start();
  while (auto value = co_await feed.next()) {
    use(*value);  // every tick in order, however slow this is, up to maxsize behind
    if (feed.qsize() > 1) feed.drop_oldest(feed.qsize() - 1);  // or shed load: keep the newest
  }
  //]
  expect(seen == std::vector{1, 2, 3, 4, 5} && feed.dropped_count() == 0 && feed.closed());
}

asio::awaitable<void> trigger() {
  const auto executor = co_await asio::this_coro::executor;
  async_timer::timer cache{executor, 1h, read_sensor, {.start = true}};
  co_await cache.wait({.hit_count = 1});
  //[trigger
  int fresh = co_await cache.trigger();  // fires now; the schedule goes on from there
  //]
  expect(fresh == reads);
  //[last_result
  std::optional<int> last = cache.last_result();  // never waits; empty before the first tick
  auto now = cache.snapshot();                    // value, time and count of one moment
  //]
  expect(last == fresh && now.last_result == fresh && now.hit_count == 2);
  //[set_delay
  cache.set_delay(10s);  // from any thread; the next sleep uses it
  //]
  expect(cache.delay() == 10s);
  co_await cache.cancel();
}

asio::awaitable<void> schedule() {
  const auto executor = co_await asio::this_coro::executor;
  //[schedule
  async_timer::timer_options options{.mode = async_timer::mode::fixed_rate,  // a grid: no drift
                                     .initial_delay = 3s,  // before the first tick of each run
                                     .jitter = 0.1,        // up to 100 ms ahead of the grid
                                     .name = "sensor"};    // in to_string() and the logs
  async_timer::timer sample{executor, 1s, read_sensor, options};
  //]
  sample.start();
  co_await sample.wait({.hits = 3});
  co_await sample.cancel();
  expect(sample.name() == "sensor");
}

asio::awaitable<int> fetch() {
  const auto executor = co_await asio::this_coro::executor;
  co_await asio::post(executor, asio::use_awaitable);
  co_return 7;
}

//[async_generator
struct pages {  // an asynchronous generator: anything with next() -> awaitable<optional<T>>
  int page = 0;
  asio::awaitable<std::optional<int>> next() {
    if (page == 3) co_return std::nullopt;
    co_return ++page;
  }
};
//]

template <class T>
asio::awaitable<T> first_tick(async_timer::timer<T>& timer) {
  timer.start();
  const auto value = co_await timer.join();
  co_await timer.cancel();
  co_return value;
}

asio::awaitable<void> targets() {
  const auto executor = co_await asio::this_coro::executor;
  //[targets
  auto load_text = [] { return std::make_shared<const std::string>("dear to copy, so shared"); };
  async_timer::timer plain{executor, 1s, [] { return 42; }};
  async_timer::timer heavy{executor, 1s, load_text};
  async_timer::timer coroutine{executor, 1s, fetch};  // awaitable<int> fetch(): a timer<int>
  async_timer::timer numbers{executor, 1s, std::views::iota(1, 4)};  // 1, 2, 3, then the run ends
  async_timer::timer afresh{executor, 1s, [] { return std::views::iota(1, 4); }};  // in each run
  async_timer::timer paged{executor, 1s, pages{}};
  //]
  expect(co_await first_tick(plain) == 42);
  expect(co_await first_tick(coroutine) == 7);
  expect(co_await first_tick(numbers) == 1);
  expect(co_await first_tick(numbers) == 2);  // goes on, where the factory begins anew
  expect(co_await first_tick(afresh) == 1);
  expect(co_await first_tick(afresh) == 1);
  expect(co_await first_tick(paged) == 1);
  expect(*co_await first_tick(heavy) == "dear to copy, so shared");
}

std::string what(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    return error.what();
  }
}

asio::awaitable<void> callbacks() {
  const auto executor = co_await asio::this_coro::executor;
  std::string log;
  const auto note = [&](const std::string& name, std::string_view what) {
    log += name + ' ' + std::string(what) + '\n';
  };
  const auto load = []() -> int { throw std::runtime_error("no connection"); };
  //[callbacks
  async_timer::timer_options options{.name = "rows"};
  // Once, when the target fails. Without it the failure is logged.
  options.on_error = [&](async_timer::timer_ref timer, std::exception_ptr failure) {
    note(timer.name(), what(failure));
  };
  // Once, at the very end of every run.
  options.on_stop = [&](async_timer::timer_ref timer) { note(timer.name(), "stopped"); };
  async_timer::timer rows{executor, 1s, load, options};
  //]
  rows.start();
  co_await rows.cancel();
  expect(log == "rows stopped\n");
  rows.start();
  try {
    co_await rows.join();
  } catch (const std::runtime_error&) {
    log += "thrown\n";
  }
  expect(log == "rows stopped\nrows no connection\nrows stopped\nthrown\n");
}

//[restart
template <class T>
asio::awaitable<void> keep_running(async_timer::timer<T>& timer, async_timer::interval pause) {
  asio::steady_timer rest(timer.get_executor());
  for (;;) {
    try {
      co_await timer.wait();  // for the end of the run
      co_return;              // it was stopped
    } catch (const std::exception& failure) {
      if (async_timer::is_stopped(std::current_exception())) throw;  // this coroutine was cancelled
      std::cout << timer.name() << ": " << failure.what() << ", starting again\n";
    }
    rest.expires_after(pause.nanoseconds());
    co_await rest.async_wait(asio::use_awaitable);
    timer.start();
  }
}
//]

void restart() {
  asio::io_context context;
  int calls = 0;
  const auto target = [&] {
    if (++calls == 2) throw std::runtime_error("lost the connection");
    if (calls == 4) throw async_timer::end_of_ticks{};
  };
  async_timer::timer flaky{context, 1ms, target, {.name = "flaky", .on_error = [] {}}};
  flaky.start();
  bool done = false;
  asio::co_spawn(context, keep_running(flaky, 1ms),
                 [&](std::exception_ptr failure) { done = !failure; });
  context.run();
  expect(done && calls == 4 && flaky.failure_count() == 1);
}

asio::awaitable<void> cancellation() {
  const auto executor = co_await asio::this_coro::executor;
  async_timer::timer slow{executor, 1h, fetch, {.initial_delay = 1h, .start = true}};
  bool ended = false;
  //[cancel_operation
  asio::cancellation_signal give_up;
  auto on_tick = [&](std::exception_ptr failure, int) { ended = async_timer::is_stopped(failure); };
  slow.join(asio::bind_cancellation_slot(give_up.slot(), on_tick));
  give_up.emit(asio::cancellation_type::terminal);  // ends this wait; the timer runs on
  //]
  co_await asio::post(executor, asio::use_awaitable);
  co_await asio::post(executor, asio::use_awaitable);
  expect(ended && slow.is_running());
  //[cancel
  slow.request_stop();     // does not wait; from anywhere, the target and the callbacks included
  co_await slow.cancel();  // requests the stop and returns when the run has cleaned up
  //]
  expect(!slow.is_running());
}

void tokens() {
  asio::io_context context;
  async_timer::virtual_clock clock{context};
  async_timer::timer sensor{context, 1s, read_sensor, {.start = true}};
  int seen = 0;
  //[tokens
  sensor.join([&](std::exception_ptr failure, int value) {  // a callback
    if (!failure) seen = value;
  });
  std::future<int> pending = sensor.join(asio::use_future);  // a future (asio/use_future.hpp)
  //]
  clock.run_until_idle();
  expect(seen == reads && pending.get() == seen);
  sensor.request_stop();
  clock.run_until_idle();
}

void threads() {
  //[threads
  asio::thread_pool pool{4};
  async_timer::timer sensor{pool, 1h, read_sensor, {.start = true}};

  // On a thread that is not the pool's, such as this one:
  int fresh = sensor.trigger(asio::use_future).get();
  sensor.set_delay(1min);
  sensor.cancel(asio::use_future).get();
  pool.join();
  //]
  expect(fresh == reads && sensor.delay() == 1min);
}

//[every
// At namespace scope: the executor comes with start(), and may be another one for each run.
auto refresh_sensor = async_timer::every(1h, {.name = "sensor"})([] { return read_sensor(); });
//]

void blocking() {
  //[blocking
  asio::thread_pool pool{2};
  refresh_sensor.start(pool);
  // On a thread that can't wait asynchronously, and is not the pool's:
  int fresh = refresh_sensor.trigger_threadsafe(10s);  // the tick's value, or timeout_error
  refresh_sensor.cancel_threadsafe(10s);               // returns after the clean-up
  int direct = refresh_sensor.func();                  // the undecorated function
  //]
  pool.join();
  expect(direct > fresh);
}

asio::awaitable<void> groups() {
  auto executor = co_await asio::this_coro::executor;
  //[group
  async_timer::timer_group caches{executor, {.name = "caches"}};
  auto& prices = caches.add(async_timer::timer{executor, 5s, read_sensor});
  caches.add(async_timer::timer{executor, 60s, [] { return std::string("pruned"); }});
  auto body = [&]() -> asio::awaitable<void> {
    co_await caches.wait({.hit_count = 1});  // until each has succeeded once
    co_await caches.trigger();               // fire all of them now
  };
  co_await async_timer::scoped(caches, body);  // all started, and all cancelled at the end
  //]
  expect(prices.hit_count() == 2 && !caches.is_running());

  //[group_results
  caches.start();  // without scoped()
  auto results = co_await caches.wait({.hits = 1, .timeout = 30s, .return_exceptions = true});
  for (const auto& [timer, outcome] : results) {  // in the order of add()
    if (outcome.error()) std::cout << timer.name() << ": " << what(outcome.error()) << '\n';
  }
  std::optional<int> price = results[0].outcome.as<int>();  // the value type of that member
  co_await caches.cancel_all();
  //]
  expect(price == read_sensor() - 1);
}

asio::awaitable<void> stop_signals() {
  const auto executor = co_await asio::this_coro::executor;
  //[stop_on
  std::stop_source shutdown;
  async_timer::timer_options options;
  options.stop_on = async_timer::stop_when(shutdown.get_token());  // also operations, other timers
  async_timer::timer sensor{executor, 1s, read_sensor, options};
  sensor.start();
  co_await sensor.wait({.hits = 2});
  shutdown.request_stop();  // a tick in flight is completed, then the run ends
  //]
  co_await sensor.wait();
  expect(sensor.hit_count() == 2);
}

asio::awaitable<void> logging() {
  const auto executor = co_await asio::this_coro::executor;
  std::string lines;
  auto& out = lines;
  //[logging
  async_timer::set_log_sink([&out](const async_timer::log_record& record) {
    out += std::string(record.logger) + ": " + std::string(record.message) + '\n';
  });
  //]
  const auto target = [] { throw std::runtime_error("no connection"); };
  async_timer::timer failing{executor, 1s, target, {.name = "db"}};
  failing.start();
  try {
    co_await failing.wait();
  } catch (const std::runtime_error&) {
  }
  async_timer::set_log_sink({});
  expect(lines.starts_with("async_timer.timer.db: "));
}

asio::awaitable<void> pitfall() {
  const std::string greeting = "hello";
  //[pitfall
  // Hoisted, and named: nothing with a destructor stands in one expression with a co_await.
  auto executor = co_await asio::this_coro::executor;
  async_timer::timer sensor{executor, 1s, read_sensor, {.name = "sensor"}};
  auto body = [&sensor, greeting]() -> asio::awaitable<void> {
    std::cout << greeting << ' ' << co_await sensor.join() << '\n';
  };
  co_await async_timer::scoped(sensor, body);
  //]
}

}  // namespace

int main() {
  run_in_virtual_time(construct_and_join);
  run_in_virtual_time(scoped);
  run_in_virtual_time(wait_first);
  run_in_virtual_time(next_loop);
  run_in_virtual_time(subscribe);
  run_in_virtual_time(trigger);
  run_in_virtual_time(schedule);
  run_in_virtual_time(targets);
  run_in_virtual_time(callbacks);
  run_in_virtual_time(cancellation);
  run_in_virtual_time(groups);
  run_in_virtual_time(stop_signals);
  run_in_virtual_time(logging);
  run_in_virtual_time(pitfall);
  by_hand();
  restart();
  tokens();
  threads();
  blocking();
}
