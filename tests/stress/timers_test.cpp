// Timers called from many threads at once, on contexts run by several, with the real clock.
// Nothing here asserts how long something takes; what must happen is waited for, with a bound that
// only a defect reaches.
#include <doctest/doctest.h>

#if defined(ASYNC_TIMER_USE_STANDALONE_ASIO)
#include <asio/executor_work_guard.hpp>
#include <asio/use_future.hpp>
#else
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/use_future.hpp>
#endif

#include <array>
#include <async_timer/async_timer.hpp>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <shared_mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

namespace net = async_timer::net;
using namespace std::chrono_literals;

constexpr auto too_long = 60s;  // under a sanitizer on a busy machine, still a defect

/// Is a flag that threads wait for.
class signal_flag {
 public:
  void set() {
    const std::scoped_lock lock(mutex_);
    set_ = true;
    changed_.notify_all();
  }
  /// Tells whether it was set in time.
  bool wait() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, too_long, [this] { return set_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool set_ = false;
};

template <class Future>
bool is_ready(Future& future) {
  return future.wait_for(too_long) == std::future_status::ready;
}

/// Is an io_context with threads that run it until it is out of work.
class running_context {
 public:
  explicit running_context(int threads) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { io.run(); });
  }
  ~running_context() { finish(); }
  running_context(const running_context&) = delete;
  running_context& operator=(const running_context&) = delete;

  /// Waits until all work is done.
  void finish() {
    guard_.reset();
    for (auto& each : threads_)
      if (each.joinable()) each.join();
  }

  net::io_context io;

 private:
  net::executor_work_guard<net::io_context::executor_type> guard_ = net::make_work_guard(io);
  std::vector<std::thread> threads_;
};

void in_parallel(int threads, const std::function<void(int)>& part) {
  std::vector<std::thread> running;
  for (int i = 0; i < threads; ++i) running.emplace_back([&part, i] { part(i); });
  for (auto& each : running) each.join();
}

/// Counts how often each of many operations has completed.
class ledger {
 public:
  explicit ledger(std::size_t most) : counts_(most) {}

  /// Makes a completion handler for a new operation.
  auto handler() {
    const auto index = next_.fetch_add(1);
    return [this, index](std::exception_ptr, auto&&...) { counts_.at(index).fetch_add(1); };
  }
  [[nodiscard]] std::size_t operations() const { return next_.load(); }
  [[nodiscard]] std::size_t completed_not_once() const {
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < operations(); ++i) wrong += counts_[i].load() == 1 ? 0 : 1;
    return wrong;
  }

 private:
  std::vector<std::atomic<int>> counts_;
  std::atomic<std::size_t> next_{0};
};

/// Is what the random test counts, besides completions.
struct totals {
  std::atomic<int> starts{0};
  std::atomic<int> ends{0};
  std::atomic<int> overlaps{0};
  std::atomic<int> ticks{0};
};

/// Notes two ticks of one timer at the same time.
class no_overlap {
 public:
  no_overlap(std::atomic<bool>& busy, totals& sums) : busy_(busy) {
    if (busy_.exchange(true)) ++sums.overlaps;
    ++sums.ticks;
  }
  ~no_overlap() { busy_ = false; }
  no_overlap(const no_overlap&) = delete;
  no_overlap& operator=(const no_overlap&) = delete;

 private:
  std::atomic<bool>& busy_;
};

/// Is where one timer of the random test lives; what moves or destroys it locks it exclusively.
struct slot {
  std::shared_mutex mutex;
  std::unique_ptr<async_timer::timer<int>> timer;
};

class random_play {
 public:
  random_play(net::any_io_executor executor, net::any_io_executor elsewhere, unsigned seed)
      : executor_(std::move(executor)), elsewhere_(std::move(elsewhere)), seed_(seed) {
    for (auto& each : slots_) {
      std::mt19937 dice(seed_);
      each.timer = make(dice);
    }
  }

  void play(int threads, int moves) {
    const auto give_up = std::chrono::steady_clock::now() + too_long / 3;  // several in one program
    in_parallel(threads, [&](int thread) {
      std::mt19937 dice(seed_ + 1000U * static_cast<unsigned>(thread + 1));
      for (int i = 0; i < moves; ++i) {
        one_move(dice);
        if (i % 8 == 0) std::this_thread::yield();  // so that there are ticks in between
      }
      // On a busy machine all that may be over before the contexts' threads have had a turn.
      while (sums.ticks <= enough_ticks && std::chrono::steady_clock::now() < give_up) {
        one_move(dice);
        std::this_thread::sleep_for(1ms);
      }
    });
    for (auto& each : slots_) {
      if (each.timer) each.timer->cancel(operations.handler());
      each.timer.reset();
    }
  }

  static constexpr int enough_ticks = 100;

  ledger operations{1'000'000};  // more than they get by the time they give up
  totals sums;

 private:
  using timer = async_timer::timer<int>;

  static int draw(std::mt19937& dice, int most) {
    return std::uniform_int_distribution<int>(0, most)(dice);
  }

  std::unique_ptr<timer> make(std::mt19937& dice) {
    async_timer::timer_options options;
    options.on_stop = [this] { ++sums.ends; };
    options.on_error = [] {};
    options.initial_delay = std::chrono::microseconds(draw(dice, 300));
    if (draw(dice, 1) == 0) options.mode = async_timer::mode::fixed_rate;
    if (draw(dice, 3) == 0) options.jitter = 0.5;
    const auto delay = std::chrono::microseconds(draw(dice, 500));
    const auto on =
        draw(dice, 2) == 0 ? net::any_io_executor(net::make_strand(executor_)) : executor_;
    auto busy = std::make_shared<std::atomic<bool>>(false);
    switch (draw(dice, 4)) {
      case 0:
        return std::make_unique<timer>(
            on, delay,
            [this, busy, n = 0]() mutable {
              const no_overlap one(*busy, sums);
              if (++n % 50 == 0) throw std::runtime_error("failure");
              return n;
            },
            options);
      case 1:
        return std::make_unique<timer>(
            on, delay,
            [this, busy, n = 0]() mutable {
              const no_overlap one(*busy, sums);
              if (++n % 20 == 0) throw async_timer::end_of_ticks{};
              return n;
            },
            options);
      case 2:
        return std::make_unique<timer>(
            on, delay,
            [this, busy]() -> net::awaitable<int> {
              const no_overlap one(*busy, sums);
              co_return 1;
            },
            options);
      case 3:
        return std::make_unique<timer>(
            on, delay,
            [this, busy]() -> net::awaitable<int> {
              const no_overlap one(*busy, sums);
              net::steady_timer sleep(co_await net::this_coro::executor, 200us);
              co_await sleep.async_wait(net::use_awaitable);
              co_return 2;
            },
            options);
      default:
        return std::make_unique<timer>(
            on, delay,
            [this, busy]() -> net::awaitable<int> {
              const no_overlap one(*busy, sums);
              for (int i = 0; i < 3; ++i) co_await net::post(net::use_awaitable);
              co_return 3;
            },
            options);
    }
  }

  void start(timer& t) {
    try {
      t.start();
      ++sums.starts;
    } catch (const async_timer::timer_already_running_error&) {
    }
  }

  void wait_and_cancel_it(timer& t) {
    // As Asio asks for: the slot is used by one strand.
    const auto strand = net::make_strand(elsewhere_);
    const auto signal = std::make_shared<net::cancellation_signal>();
    auto counted = operations.handler();
    t.wait({.hits = 5, .timeout = 20ms},
           net::bind_executor(
               strand, net::bind_cancellation_slot(
                           signal->slot(), [counted, signal](std::exception_ptr error,
                                                             std::optional<int> value) mutable {
                             counted(std::move(error), value);
                           })));
    net::post(strand, [signal] { signal->emit(net::cancellation_type::terminal); });
  }

  void one_move(std::mt19937& dice) {
    slot& at = slots_[static_cast<std::size_t>(draw(dice, static_cast<int>(slots_.size()) - 1))];
    const int what = draw(dice, 20);
    if (what < 3) {
      replace(at, what, dice);
      return;
    }
    const std::shared_lock lock(at.mutex);
    if (!at.timer) return;
    timer& t = *at.timer;
    switch (what) {
      case 3:
      case 4:
      case 5:
      case 6:
        start(t);
        break;
      case 7:
        t.join(operations.handler());
        break;
      case 8:
        t.join(net::bind_executor(elsewhere_, operations.handler()));
        break;
      case 9:
        t.next(operations.handler());
        break;
      case 10:
        t.wait({.hits = 2, .timeout = 300us}, operations.handler());
        break;
      case 11:
        t.wait({.timeout = 100us}, operations.handler());
        break;
      case 12:
      case 13:
        t.trigger(operations.handler());
        break;
      case 14:
        t.cancel(operations.handler());
        break;
      case 15:
        t.ref().cancel(net::bind_executor(elsewhere_, operations.handler()));
        break;
      case 16:
        t.request_stop();
        break;
      case 17:
        t.set_delay(std::chrono::microseconds(draw(dice, 500)));
        break;
      case 18:
      case 19:
        wait_and_cancel_it(t);
        break;
      default:
        static_cast<void>(t.snapshot());
        static_cast<void>(to_string(t));
    }
  }

  void replace(slot& at, int how, std::mt19937& dice) {
    auto fresh = make(dice);
    start(*fresh);
    const std::unique_lock lock(at.mutex);
    switch (how) {
      case 0:
        at.timer = std::move(fresh);
        break;
      case 1:
        at.timer = at.timer ? std::make_unique<timer>(std::move(*at.timer)) : nullptr;
        break;
      default:
        at.timer.reset();
    }
  }

  net::any_io_executor executor_;
  net::any_io_executor elsewhere_;
  unsigned seed_;
  std::array<slot, 12> slots_;
};

/// Keeps what falls behind, as it does here, from filling the terminal.
class silence {
 public:
  silence() {
    async_timer::set_log_sink([](const async_timer::log_record&) {});
  }
  ~silence() { async_timer::set_log_sink({}); }
  silence(const silence&) = delete;
  silence& operator=(const silence&) = delete;
};

void expect_exactly_once(const random_play& play) {
  CHECK(play.operations.operations() > 1000);
  CHECK(play.operations.completed_not_once() == 0);
  CHECK(play.sums.starts.load() > 100);
  CHECK(play.sums.ends.load() == play.sums.starts.load());
  CHECK(play.sums.overlaps.load() == 0);
  CHECK(play.sums.ticks.load() > random_play::enough_ticks);
}

}  // namespace

TEST_CASE("3.2 smoke: a timer ticks by the real clock, and never early") {
  net::io_context io;
  std::vector<std::chrono::steady_clock::time_point> ticks;
  async_timer::timer t{io, 5ms, [&] { ticks.push_back(std::chrono::steady_clock::now()); }};
  const auto begin = std::chrono::steady_clock::now();
  t.start();
  t.wait({.hits = 4}, [&](std::exception_ptr error, std::optional<std::monostate>) {
    CHECK_FALSE(error);
    t.request_stop();
  });
  io.run();
  CHECK(t.hit_count() == 4);
  REQUIRE(ticks.size() == 4);
  CHECK(ticks[0] >= begin);
  for (std::size_t i = 1; i < ticks.size(); ++i) CHECK(ticks[i] - ticks[i - 1] >= 5ms);
}

TEST_CASE("26.5, 2.24, D9b any thread: random calls on an io_context with 4 threads") {
  const silence quiet;
  for (const unsigned seed : {1U, 2U}) {
    CAPTURE(seed);
    running_context context(4);
    running_context other(1);
    random_play play(context.io.get_executor(), other.io.get_executor(), seed);
    play.play(6, 4000);
    context.finish();
    other.finish();
    expect_exactly_once(play);
  }
}

TEST_CASE("26.5, 2.24, D9b any thread: random calls on a thread_pool") {
  const silence quiet;
  for (const unsigned seed : {3U, 4U}) {
    CAPTURE(seed);
    net::thread_pool pool(4);
    net::thread_pool other(2);
    random_play play(pool.get_executor(), other.get_executor(), seed);
    play.play(8, 3000);
    pool.join();
    other.join();
    expect_exactly_once(play);
  }
}

TEST_CASE("26.5, D9 any thread: timers die while they tick, and leave nothing behind") {
  const auto held = std::make_shared<int>(0);
  std::atomic<int> ends{0};
  constexpr int threads = 4;
  constexpr int rounds = 400;
  {
    net::thread_pool pool(3);
    in_parallel(threads, [&](int thread) {
      std::mt19937 dice(static_cast<unsigned>(thread));
      for (int i = 0; i < rounds; ++i) {
        async_timer::timer_options options;
        options.on_stop = [&ends, held] { ++ends; };
        options.start = true;
        if (dice() % 2 == 0) {
          async_timer::timer t{pool, 0s, [held] { return *held; }, options};
          if (dice() % 2 == 0) std::this_thread::yield();
        } else {
          async_timer::timer t{pool, 0s,
                               [held]() -> net::awaitable<int> {
                                 co_await net::post(net::use_awaitable);
                                 co_return *held;
                               },
                               options};
          if (dice() % 2 == 0) std::this_thread::yield();
        }
      }
    });
    pool.join();
  }
  CHECK(ends.load() == threads * rounds);
  CHECK(held.use_count() == 1);
}

TEST_CASE("26.5, D3, D3b any thread: start and cancel of one timer; each run ends once") {
  // Starting threads go on until they have begun so many runs, the others cancel all the while.
  constexpr int runs = 300;
  running_context context(3);
  std::atomic<int> starts{0};
  std::atomic<int> ends{0};
  std::atomic<int> stuck{0};
  ledger operations(200'000);
  async_timer::timer_options options;
  options.on_stop = [&] { ++ends; };
  async_timer::timer t{context.io, 0s, [] { return 1; }, options};
  in_parallel(4, [&](int thread) {
    const auto give_up = std::chrono::steady_clock::now() + too_long;
    while (starts.load() < runs && std::chrono::steady_clock::now() < give_up) {
      if (thread % 2 == 0) {
        try {
          t.start();
          ++starts;
        } catch (const async_timer::timer_already_running_error&) {
          std::this_thread::yield();
        }
      } else {
        t.join(operations.handler());
        t.cancel(operations.handler());
        auto stopped = t.cancel(net::use_future);
        if (!is_ready(stopped)) {
          ++stuck;
          return;
        }
      }
    }
  });
  t.cancel(operations.handler());
  context.finish();
  CHECK(starts.load() >= runs);
  CHECK(ends.load() == starts.load());
  CHECK(stuck.load() == 0);
  CHECK(operations.operations() > static_cast<std::size_t>(runs));
  CHECK(operations.completed_not_once() == 0);
}

TEST_CASE("26.5 any thread: contexts die under running timers; every handler is destroyed") {
  const auto held = std::make_shared<int>(0);
  for (int round = 0; round < 40; ++round) {
    std::vector<std::unique_ptr<async_timer::timer<int>>> timers;
    std::atomic<int> ends{0};
    std::atomic<int> asleep{0};
    signal_flag all_asleep;
    {
      net::thread_pool pool(3);
      async_timer::timer_options options;
      options.on_stop = [&ends] { ++ends; };
      options.on_error = [&ends] { ++ends; };
      for (int i = 0; i < 4; ++i) {
        auto executor = net::any_io_executor(pool.get_executor());
        if (i % 2 == 0) executor = net::make_strand(executor);
        timers.push_back(std::make_unique<async_timer::timer<int>>(
            executor, 0s, [] { return 1; }, options));
        timers.push_back(std::make_unique<async_timer::timer<int>>(
            executor, 0s,
            []() -> net::awaitable<int> {
              co_await net::post(net::use_awaitable);
              co_return 1;
            },
            options));
        timers.push_back(std::make_unique<async_timer::timer<int>>(
            executor, 0s,
            [&]() -> net::awaitable<int> {
              net::steady_timer sleep(co_await net::this_coro::executor, 1h);
              if (++asleep == 4) all_asleep.set();
              co_await sleep.async_wait(net::use_awaitable);
              co_return 1;
            },
            options));
      }
      for (const auto& t : timers) {
        t->start();
        t->wait([held](std::exception_ptr, std::optional<int>) {});
        t->wait({.hits = 1'000'000'000, .timeout = 1h},
                [held](std::exception_ptr, std::optional<int>) {});
      }
      REQUIRE(all_asleep.wait());
      auto ticked = timers.front()->wait({.hits = 20}, net::use_future);
      REQUIRE(is_ready(ticked));
    }
    CHECK(ends.load() == 0);
    CHECK(held.use_count() == 1);
    for (const auto& t : timers) CHECK_FALSE(t->is_running());
    for (const auto& t : timers) CHECK(t->failure_count() == 0);
  }
}

TEST_CASE("26.1, 26.2, 26.6 readers: see whole values that never go back") {
  running_context context(2);
  std::int64_t count = 0;
  async_timer::timer number{context.io, 0s, [&] { return ++count; }};
  std::int64_t length = 0;
  async_timer::timer text{context.io, 0s, [&]() -> net::awaitable<std::string> {
                            co_return std::string(static_cast<std::size_t>(++length % 100), 'x');
                          }};
  number.start();
  text.start();
  std::atomic<int> wrong{0};
  in_parallel(4, [&](int) {
    std::int64_t last_count = 0;
    std::optional<std::chrono::steady_clock::time_point> last_at;
    for (int i = 0; i < 3000; ++i) {
      const auto shot = number.snapshot();
      wrong += shot.hit_count > 0 && shot.last_result != shot.hit_count ? 1 : 0;
      const auto now_count = number.hit_count();
      const auto now_at = number.last_tick_at();
      wrong += now_count < last_count || now_count < shot.hit_count || now_at < last_at ? 1 : 0;
      last_count = now_count;
      last_at = now_at;
      const auto words = text.snapshot();
      wrong += words.last_result &&
                       words.last_result->size() != static_cast<std::size_t>(words.hit_count % 100)
                   ? 1
                   : 0;
      number.set_delay(std::chrono::nanoseconds(i % 3));
      wrong += number.delay() > 2ns ? 1 : 0;
      wrong += number.is_running() ? 0 : 1;
      static_cast<void>(number.name());
      static_cast<void>(number.failure_count());
      static_cast<void>(number.last_failure());
    }
  });
  number.request_stop();
  text.request_stop();
  context.finish();
  CHECK(wrong.load() == 0);
  CHECK(number.last_result() == number.hit_count());
}

TEST_CASE("26.5 slow target: delays no other timer of a context with two threads") {
  // Far more timers than one batch, all due with the slow one, before and after it.
  constexpr int others = 700;
  const auto play = [](const net::any_io_executor& executor) {
    std::atomic<int> ticked{0};
    std::atomic<bool> slow_gave_up{false};
    signal_flag all_ticked;
    std::vector<std::unique_ptr<async_timer::timer<void>>> timers;
    const auto make_others = [&](int count) {
      for (int i = 0; i < count; ++i) {
        timers.push_back(
            std::make_unique<async_timer::timer<void>>(executor, 1ms, [&, own = 0]() mutable {
              if (++own == 3 && ++ticked == others) all_ticked.set();
            }));
      }
    };
    make_others(others / 2);
    timers.push_back(std::make_unique<async_timer::timer<void>>(
        executor, 1h, [&] { slow_gave_up = !all_ticked.wait(); }));
    make_others(others - others / 2);
    for (const auto& t : timers) t->start();
    CHECK(all_ticked.wait());
    for (const auto& t : timers) {
      auto stopped = t->cancel(net::use_future);
      CHECK(is_ready(stopped));
    }
    CHECK_FALSE(slow_gave_up.load());
  };
  SUBCASE("26.5 io_context") {
    running_context context(2);
    play(context.io.get_executor());
  }
  SUBCASE("26.5 thread_pool") {
    net::thread_pool pool(2);
    play(pool.get_executor());
    pool.join();
  }
}

TEST_CASE("15.6, 15.1 plain target: cancel from another thread waits until it has returned") {
  running_context context(2);
  signal_flag entered;
  signal_flag go_on;
  std::atomic<bool> returned{false};
  std::atomic<bool> gave_up{false};
  async_timer::timer t{context.io, 1h, [&] {
                         entered.set();
                         gave_up = !go_on.wait();
                         returned = true;
                         return 5;
                       }};
  t.start();
  REQUIRE(entered.wait());
  auto first = t.cancel(net::use_future);
  CHECK_FALSE(t.is_running());
  auto second = t.cancel(net::use_future);
  CHECK(first.wait_for(0s) == std::future_status::timeout);
  CHECK_FALSE(returned.load());
  go_on.set();
  REQUIRE(is_ready(first));
  CHECK(returned.load());
  REQUIRE(is_ready(second));
  CHECK_FALSE(gave_up.load());
  CHECK(t.hit_count() == 1);
}

TEST_CASE("D9 destructor: doesn't wait for a target that is busy on another thread") {
  net::thread_pool pool(2);
  signal_flag entered;
  signal_flag destroyed;
  std::atomic<bool> gave_up{false};
  const auto held = std::make_shared<int>(7);
  signal_flag ended;
  async_timer::timer_options options;
  options.on_stop = [&] { ended.set(); };
  {
    async_timer::timer t{pool, 1h,
                         [&, held] {
                           entered.set();
                           gave_up = !destroyed.wait();
                           return *held;
                         },
                         options};
    t.start();
    REQUIRE(entered.wait());
  }
  destroyed.set();
  CHECK(ended.wait());
  pool.join();
  CHECK_FALSE(gave_up.load());
  CHECK(held.use_count() == 1);
}

TEST_CASE("D9, 15.1 captured: is gone when cancel of a destroyed timer completes elsewhere") {
  running_context context(3);
  running_context other(1);
  std::atomic<int> too_early{0};
  for (int i = 0; i < 2000; ++i) {
    auto target = std::make_shared<int>(0);
    auto callback = std::make_shared<int>(0);
    const std::weak_ptr<int> target_gone = target;
    const std::weak_ptr<int> callback_gone = callback;
    async_timer::timer_options options;
    options.on_stop = [callback] {};
    callback.reset();
    auto t = std::make_unique<async_timer::timer<int>>(
        context.io, 1h, [target] { return *target; }, std::move(options));
    target.reset();
    t->start();
    const auto ref = t->ref();
    t.reset();
    std::promise<void> done;
    ref.cancel(net::bind_executor(other.io.get_executor(), [&](std::exception_ptr) {
      too_early += target_gone.expired() && callback_gone.expired() ? 0 : 1;
      done.set_value();
    }));
    auto completed = done.get_future();
    REQUIRE(is_ready(completed));
  }
  context.finish();
  CHECK(too_early.load() == 0);
}
