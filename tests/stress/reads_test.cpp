// Contract section 26: a timer read and driven by many threads at once.
#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/fixture.hpp"
#include "support/threads.hpp"
#include "support/tokens.hpp"

using namespace test;

namespace {

/// Gives what a future was promised, or fails the test instead of hanging.
template <class T>
T get(std::future<T> future) {
  if (future.wait_for(30s) != std::future_status::ready) {
    throw std::runtime_error("the operation was never completed");
  }
  return future.get();
}

/// Is kept in place, and shows a torn read.
struct block {
  std::array<std::int64_t, 8> words{};
  explicit block(std::int64_t n) { words.fill(n); }
  block() = default;
  [[nodiscard]] std::int64_t number() const {
    for (const auto word : words)
      if (word != words[0]) return -1;
    return words[0];
  }
};
static_assert(std::is_trivially_copyable_v<block> && sizeof(block) == 64);

/// Is published by reference, and shows a torn or a dead read.
struct text {
  std::string digits;
  explicit text(std::int64_t n) : digits(std::to_string(n) + "/" + std::string(40, 'x')) {}
  text() = default;
  [[nodiscard]] std::int64_t number() const {
    if (!digits.ends_with("/" + std::string(40, 'x'))) return -1;
    return std::stoll(digits);
  }
};

/// Reads everything until told to stop; gives the number of readings that were wrong.
template <class T>
int count_wrong_reads(const async_timer::timer<T>& t, const std::atomic<bool>& over) {
  int wrong = 0;
  const auto expect = [&](bool right) { wrong += right ? 0 : 1; };
  std::int64_t hits = 0;
  std::optional<std::chrono::steady_clock::time_point> at;
  while (!over) {
    const auto hits_now = t.hit_count();
    expect(hits_now >= hits);
    hits = hits_now;
    const auto at_now = t.last_tick_at();
    expect(at_now >= at && (hits == 0 || at_now.has_value()));
    at = at_now;
    // Tick n sets the value n before the count says n.
    const auto last = t.last_result();
    expect(last.has_value() || hits == 0);
    expect(!last || last->number() >= hits);
    const auto shot = t.snapshot();
    expect(shot.hit_count >= hits);
    expect(shot.last_result.has_value() == (shot.hit_count > 0));
    expect(!shot.last_result || shot.last_result->number() == shot.hit_count);
    expect(shot.last_tick_at.has_value() == (shot.hit_count > 0));
    expect(!at || shot.last_tick_at >= at);
    expect(t.name() == "busy");
    const auto delay = t.delay();
    expect(delay == 0s || delay == 1us);
    expect(!t.last_failure() && t.failure_count() == 0 && !t.last_failure_at());
    static_cast<void>(t.is_running());
  }
  return wrong;
}

template <class T>
void read_while_it_ticks() {
  net::thread_pool pool(2);
  std::atomic<bool> over{false};
  std::atomic<int> wrong{0};
  std::int64_t n = 0;
  async_timer::timer<T> t{pool.get_executor(), 0s, [&] { return T(++n); }, {.name = "busy"}};
  {
    thread_crew readers;
    for (int i = 0; i < 2; ++i) readers.add([&] { wrong += count_wrong_reads(t, over); });
    readers.add([&] {
      while (!over) {
        t.set_delay(1us);
        std::this_thread::yield();
        t.set_delay(0s);
      }
    });
    t.start();
    try {
      get(t.wait({.hit_count = 3000}, net::use_future));
      get(t.cancel(net::use_future));  // readers go on through the end, and a restart
      t.start();
      get(t.wait({.hits = 3000}, net::use_future));
      get(t.cancel(net::use_future));
    } catch (...) {
      over = true;
      throw;
    }
    over = true;
  }
  CHECK(wrong == 0);
  CHECK(t.hit_count() == n);
  CHECK(t.last_result()->number() == n);
}

}  // namespace

TEST_CASE("26.1, 26.2, 26.6, D36 reads from other threads are whole, ordered, and never go back") {
  SUBCASE("kept in place") { read_while_it_ticks<block>(); }
  SUBCASE("published by reference") { read_while_it_ticks<text>(); }
}

TEST_CASE("26.6 of many timers with fixed_rate on many threads no tick is before the last one") {
  // Each thread may reuse its own reading of the clock, so a timer has to go from one to another
  // within a microsecond to show it.
  constexpr std::size_t timers = 8;
  constexpr int ticks = 50'000;
  net::thread_pool pool(4);
  std::atomic<int> wrong{0};
  std::vector<std::unique_ptr<async_timer::timer<void>>> all(timers);
  for (auto& each : all) {
    each = std::make_unique<async_timer::timer<void>>(
        pool.get_executor(), 0s,
        [&wrong, &each, n = 0,
         last = std::optional<std::chrono::steady_clock::time_point>()]() mutable {
          const auto at = each->last_tick_at();
          wrong += at < last ? 1 : 0;
          last = at;
          if (++n == ticks) throw async_timer::end_of_ticks{};
        },
        async_timer::timer_options{.mode = async_timer::mode::fixed_rate});
  }
  for (const auto& each : all) each->start();
  for (const auto& each : all) get(each->wait(net::use_future));
  pool.join();
  CHECK(wrong.load() == 0);
}

TEST_CASE("26.3 set_delay from another thread: the next sleep uses it") {
  net::thread_pool pool(1);
  async_timer::timer<int> t{pool.get_executor(), 1ms, [] { return 1; }};
  t.start();
  get(t.join(net::use_future));
  t.set_delay(1h);
  CHECK(t.delay() == 1h);
  // The sleep in progress may be one of the old ones; from the next tick on it is an hour.
  get(t.trigger(net::use_future));
  const auto asleep = t.hit_count();
  std::promise<std::string> outcome;  // not of the exception, whose end no sanitizer follows
  t.wait({.hits = 1, .timeout = 20ms},
         [&](std::exception_ptr error, const auto&) { outcome.set_value(kind_of(error)); });
  CHECK(get(outcome.get_future()) == "timeout");
  CHECK(t.hit_count() == asleep);
  t.set_delay(1us);
  get(t.trigger(net::use_future));
  get(t.wait({.hits = 100}, net::use_future));
  get(t.cancel(net::use_future));
}

TEST_CASE("26.5, 9.8 all operations may be called from any thread at once") {
  constexpr int rounds = 300;
  net::thread_pool pool(2);
  std::atomic<int> begun{0};
  std::atomic<int> ended{0};
  std::atomic<int> unexpected{0};
  {
    async_timer::timer<int> plain{pool.get_executor(), 20us, [] { return 1; }};
    async_timer::timer<int> on_strand{net::make_strand(pool), 20us,
                                      []() -> net::awaitable<int> { co_return 1; }};
    const auto handler = [&](auto&&...) {
      return [&](std::exception_ptr error, const auto&...) {
        ++ended;
        const auto kind = kind_of(error);
        if (!kind.empty() && kind != "stopped" && kind != "not_running" && kind != "timeout")
          ++unexpected;
      };
    };
    const auto drive = [&](auto& t, int salt) {
      for (int i = 0; i < rounds; ++i) {
        begun += 6;
        t.join(handler());
        t.next(handler());
        t.wait({.hits = 2, .timeout = 50us}, handler());
        t.wait({.timeout = 30us}, handler());
        t.trigger(handler());
        t.wait({.hit_count = t.hit_count() + 1}, handler());
        if ((i + salt) % 7 == 0) {
          ++begun;
          t.cancel(handler());
        }
        if ((i + salt) % 11 == 0) t.request_stop();
        try {
          if ((i + salt) % 3 == 0) t.start();
        } catch (const async_timer::timer_already_running_error&) {
        }
        std::this_thread::yield();
      }
    };
    {
      thread_crew threads;
      for (int i = 0; i < 2; ++i) {
        threads.add([&, i] { drive(plain, i); });
        threads.add([&, i] { drive(on_strand, i); });
      }
    }
  }
  pool.join();
  CHECK(ended == begun);
  CHECK(unexpected == 0);
}

TEST_CASE(
    "26.5, 9.7, 10.10 cancellation, tick and deadline race: each operation ends exactly once") {
  constexpr int rounds = 2000;
  net::thread_pool pool(2);
  net::io_context own(1);  // handlers and emits here, ticks and deadlines over there
  std::int64_t n = 0;
  async_timer::timer<std::int64_t> t{pool.get_executor(), 10us, [&] { return ++n; }};
  t.start();
  std::vector<std::unique_ptr<net::cancellation_signal>> signals;
  std::vector<int> completions(rounds, 0);
  int values = 0;
  int aborted = 0;
  int timeouts = 0;
  int others = 0;
  for (int i = 0; i < rounds; ++i) {
    signals.push_back(std::make_unique<net::cancellation_signal>());
    auto& signal = *signals.back();
    auto& completed = completions[static_cast<std::size_t>(i)];
    const auto note = [&](std::exception_ptr error, const auto&) {
      ++completed;
      const auto kind = kind_of(error);
      ++(kind.empty()        ? values
         : kind == "stopped" ? aborted
         : kind == "timeout" ? timeouts
                             : others);
    };
    auto bound = net::bind_cancellation_slot(signal.slot(), net::bind_executor(own, note));
    if (i % 2 == 0) {
      t.wait({.hits = 1, .timeout = 10us}, std::move(bound));
    } else {
      t.join(std::move(bound));
    }
    for (int spin = 0; spin < i % 64; ++spin) static_cast<void>(t.hit_count());
    net::post(own, [&signal] { signal.emit(net::cancellation_type::terminal); });
    own.restart();
    own.poll();
  }
  t.request_stop();
  own.restart();
  own.run();  // returns when no operation is pending
  pool.join();
  for (const auto each : completions) CHECK(each == 1);
  CHECK(values + aborted + timeouts == rounds);
  CHECK(others == 0);
}

TEST_CASE("26.7 what last_result gave stays as it was, whatever other threads do") {
  net::thread_pool pool(2);
  std::vector<std::optional<std::string>> kept;
  {
    std::int64_t n = 0;
    async_timer::timer<std::string> t{pool.get_executor(), 0s,
                                      [&] { return std::to_string(++n) + std::string(40, 'y'); }};
    t.start();
    while (kept.size() < 200) {
      kept.push_back(t.last_result());
      std::this_thread::yield();
    }
  }
  pool.join();
  for (const auto& each : kept) CHECK((!each || each->ends_with(std::string(40, 'y'))));
}
