// The explorer itself: that it sees every order, and what goes wrong in only one of them.
#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>
#include <array>
#include <async_timer/base/schedule_point.hpp>
#include <async_timer/base/word_lock.hpp>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <vector>

#include "interleavings/explorer/explorer.hpp"

using namespace interleaving;
using async_timer::base::word_lock;
using shared_int = async_timer::base::atomic<int>;
constexpr auto acquire = std::memory_order_acquire;
constexpr auto release = std::memory_order_release;

namespace {

constexpr bounds only_all{.preemptions = 10, .random = 0};

/// Gives what a scenario that ends its program says before that.
std::string dying_words(const scenario& what, const std::string& replay = "") {
  std::array<int, 2> ends{};
  REQUIRE(pipe(ends.data()) == 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    unsetenv("ASYNC_TIMER_SOAK_SECONDS");
    unsetenv("ASYNC_TIMER_REPLAY");
    if (!replay.empty()) setenv("ASYNC_TIMER_REPLAY", replay.c_str(), 1);
    explore("doomed", only_all, what);
    std::_Exit(0);
  }
  close(ends[1]);
  std::string text;
  std::array<char, 256> part{};
  for (ssize_t n = 0; (n = read(ends[0], part.data(), part.size())) > 0;) {
    text.append(part.data(), static_cast<std::size_t>(n));
  }
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  return status == 0 ? "" : text;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string replay_of(const std::string& report) {
  const auto from = report.find("REPLAY='") + 8;
  return report.substr(from, report.find('\'', from) - from);
}

/// Runs two threads that write down who is where, and gives all the orders.
std::set<std::string> orders(int preemptions) {
  std::set<std::string> seen;
  std::size_t executions = 0;
  const auto found = find("orders", {.preemptions = preemptions, .random = 0}, [&](execution& run) {
    std::string order;
    const auto writes = [&](char first, char second) {
      return [&order, first, second] {
        order += first;
        step();
        order += second;
      };
    };
    run.together(writes('a', 'b'), writes('x', 'y'));
    seen.insert(order);
    ++executions;
  });
  CHECK(found.all);
  CHECK(found.interleavings == executions);
  CHECK(seen.size() == executions);
  return seen;
}

/// Adds one without a guard.
void increment(shared_int& to) { to.store(to.load(acquire) + 1, release); }

void lose_an_update(execution& run) {
  shared_int n{0};
  run.together([&] { increment(n); }, [&] { increment(n); });
  run.expect_equal(n.load(acquire), 2, "the sum");
}

void deadlock(execution& run) {
  word_lock first;
  word_lock second;
  const auto both = [](word_lock& a, word_lock& b) {
    const std::scoped_lock lock_a(a);
    const std::scoped_lock lock_b(b);
  };
  run.together([&] { both(first, second); }, [&] { both(second, first); });
}

}  // namespace

TEST_CASE("explorer: sees each order once, within the bound of preemptions") {
  CHECK(orders(0) == std::set<std::string>{"abxy", "xyab"});
  CHECK(orders(1) == std::set<std::string>{"abxy", "xyab", "axyb", "xaby"});
  CHECK(orders(2) == std::set<std::string>{"abxy", "xyab", "axyb", "xaby", "axby", "xayb"});
  CHECK(orders(10) == orders(2));
}

TEST_CASE("explorer: finds a lost update, and shows it again") {
  const auto found = find("sum", {}, lose_an_update);
  CHECK(has(found.failure, "sum: the sum is 1, not 2"));
  CHECK(find("sum", {.preemptions = 0, .random = 0}, lose_an_update).failure.empty());
  const auto replay = replay_of(found.failure);
  repetition again(trace_of(replay.substr(std::string("sum: ").size())));
  stage on([](const std::string& what) { throw std::logic_error(what); });
  on.begin(again, 100);
  execution run(on);
  lose_an_update(run);
  CHECK(again.fits());
  CHECK(run.complaint() == "the sum is 1, not 2");
}

TEST_CASE("explorer: a correct program has no bad interleaving") {
  const auto found = find("sum", {.preemptions = 10}, [](execution& run) {
    word_lock lock;
    int n = 0;
    const auto increments = [&] {
      const std::scoped_lock guard(lock);
      n = n + 1;
    };
    run.together(increments, increments, increments);
    run.expect_equal(n, 3, "the sum");
  });
  CHECK(found.failure.empty());
  CHECK(found.all);
  CHECK(found.random == bounds{}.random);
}

TEST_CASE(
    "explorer: random walks and random priorities find it, too; the same seed, the same way") {
  const auto steps_with = [](strategy& by, std::string& complaint) {
    stage on([](const std::string& what) { throw std::logic_error(what); });
    on.begin(by, 100);
    execution run(on);
    lose_an_update(run);
    complaint = run.complaint();
    return on.steps();
  };
  std::array<int, 2> bad{};
  std::set<trace> seen;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    std::array<std::string, 4> complaints;
    random_walk walk(seed, 3);
    random_walk same_walk(seed, 3);
    random_priorities priorities(seed, 2, 8);
    random_priorities same_priorities(seed, 2, 8);
    const auto walked = steps_with(walk, complaints[0]);
    CHECK(walked == steps_with(same_walk, complaints[1]));
    CHECK(steps_with(priorities, complaints[2]) == steps_with(same_priorities, complaints[3]));
    bad[0] += complaints[0].empty() ? 0 : 1;
    bad[1] += complaints[2].empty() ? 0 : 1;
    seen.insert(walked);
  }
  CHECK(bad[0] > 0);
  CHECK(bad[1] > 0);
  CHECK(seen.size() > 3);
}

TEST_CASE("explorer: a trace as text, and back") {
  CHECK(to_text({0, 0, 0, 1, 2, 2}) == "0x3 1 2x2");
  CHECK(trace_of("0x3 1 2x2") == trace{0, 0, 0, 1, 2, 2});
  CHECK(trace_of("").empty());
  CHECK_THROWS_AS(trace_of("0x"), std::invalid_argument);
  CHECK_THROWS_AS(trace_of("x"), std::invalid_argument);
}

TEST_CASE("explorer: finds a deadlock, and shows it again") {
  const auto words = dying_words(deadlock);
  CHECK(has(words, "doomed: nobody can go on: 0 waits for a lock, 1 waits for a lock"));
  const auto again = dying_words(deadlock, replay_of(words));
  CHECK(has(again, "nobody can go on"));
  CHECK(has(again, "a replay"));
}

TEST_CASE("explorer: a trace that is none of the scenario's") {
  const auto none = [](execution& run) { run.together([] {}, [] {}); };
  CHECK(dying_words(none, "doomed: 3x2").empty());
  repetition foreign(trace_of("3x2"));
  stage on([](const std::string& what) { throw std::logic_error(what); });
  on.begin(foreign, 100);
  execution run(on);
  none(run);
  CHECK_FALSE(foreign.fits());
}

TEST_CASE("explorer: finds that there is no end") {
  const auto words = dying_words([](execution& run) {
    shared_int told{0};
    run.together([&] {
      while (told.load(acquire) == 0) {
      }
    });
  });
  CHECK(has(words, "no end after 20000 steps"));
}

TEST_CASE("explorer: a crash says where it was") {
  const auto words = dying_words([](execution& run) {
    shared_int n{0};
    run.together([&] { increment(n); }, [&] { increment(n); });
    if (n.load(acquire) == 1) std::abort();
  });
  CHECK(has(words, "doomed: the program crashed"));
  CHECK(has(words, "REPLAY='doomed: 0"));
}

TEST_CASE("explorer: an exception of a thread is a failure") {
  const auto found = find("throws", {}, [](execution& run) {
    run.together([] {}, [] { throw std::runtime_error("in vain"); });
  });
  CHECK(has(found.failure, "throws: a thread threw in vain"));
}

TEST_CASE("explorer: no point is reached while somebody else's mutex is held") {
  const auto words = dying_words([](execution& run) {
    std::mutex mutex;
    run.together([&] {
      const std::scoped_lock lock(mutex);
      step();
    });
  });
  CHECK(has(words, "a schedule point is reached while a mutex of Asio or the test is held"));
}

TEST_CASE("explorer: a scenario that is not the same each time is worthless") {
  int n = 0;
  const auto found = find("chance", {}, [&](execution& run) {
    ++n;
    run.together(
        [&] {
          if (n == 1) step();
        },
        [&] {
          if (n == 1) step();
        });
  });
  CHECK(has(found.failure, "the scenario is not the same each time"));
}

TEST_CASE("explorer: a condition variable blocks, and is woken") {
  const auto waits_with = [](bool looks_first) {
    return [looks_first](execution& run) {
      std::mutex mutex;
      std::condition_variable changed;
      bool told = false;
      run.together(
          [&] {
            std::unique_lock lock(mutex);
            if (!looks_first || !told) changed.wait(lock);
          },
          [&] {
            step();
            const std::scoped_lock lock(mutex);
            told = true;
            changed.notify_all();
          });
    };
  };
  CHECK(dying_words(waits_with(true)).empty());
  CHECK(has(dying_words(waits_with(false)), "0 waits for a condition variable"));
}

TEST_CASE("explorer: a bounded wait ends at any moment") {
  std::set<bool> outcomes;
  const auto found = find("bounded", only_all, [&](execution& run) {
    std::mutex mutex;
    std::condition_variable changed;
    bool told = false;
    run.together(
        [&] {
          std::unique_lock lock(mutex);
          outcomes.insert(
              changed.wait_for(lock, std::chrono::nanoseconds(1), [&] { return told; }));
        },
        [&] {
          const std::scoped_lock lock(mutex);
          told = true;
          changed.notify_all();
        });
  });
  CHECK(found.all);
  CHECK(outcomes == std::set<bool>{false, true});
}

TEST_CASE("explorer: the end of a stop_callback waits for the callback on another thread") {
  const auto found = find("stop_callback", only_all, [](execution& run) {
    std::stop_source source;
    bool is_there = true;
    const auto calls = [&] {
      step();
      run.expect(is_there, "called after its end");
    };
    std::optional<std::stop_callback<std::function<void()>>> callback;
    callback.emplace(source.get_token(), calls);
    run.together([&] { source.request_stop(); },
                 [&] {
                   callback.reset();
                   is_there = false;
                 });
  });
  CHECK(found.failure.empty());
  CHECK(found.interleavings > 2);
}

TEST_CASE("explorer: who rests goes on when something was posted, and at the end") {
  const auto found = find("rest", only_all, [](execution& run) {
    std::mutex mutex;
    std::vector<int> posted;
    int received = 0;
    const auto receive = [&]() -> std::size_t {
      const std::scoped_lock lock(mutex);
      if (posted.empty()) return 0;
      posted.pop_back();
      ++received;
      return 1;
    };
    const auto serves = [&] {
      do {
        while (stage::poll(receive) != 0) step();
      } while (stage::rest());
    };
    run.together(serves, serves, [&] {
      for (int i = 0; i < 2; ++i) {
        step();
        const std::scoped_lock lock(mutex);
        posted.push_back(i);
      }
    });
    run.expect_equal(received, 2, "what was received");
  });
  CHECK(found.failure.empty());
  CHECK(found.all);
}

TEST_CASE("word_lock: nobody waits for ever, however three threads meet") {
  // Three threads, of which two wait, are what a lost wake-up needs.
  explore("word_lock, three threads", {.preemptions = 3}, [](execution& run) {
    word_lock lock;
    int inside = 0;
    int times = 0;
    const auto visits = [&] {
      for (int i = 0; i < 2; ++i) {
        const std::scoped_lock guard(lock);
        run.expect_equal(++inside, 1, "those inside");
        step();
        --inside;
        ++times;
      }
    };
    run.together(visits, visits, visits);
    run.expect_equal(times, 6, "visits");
    run.expect(lock.try_lock(), "the lock is not free at the end");
  });
}

TEST_CASE("word_lock: try_lock never waits, and never lets two in") {
  explore("word_lock, try_lock", {.preemptions = 6}, [](execution& run) {
    word_lock lock;
    int inside = 0;
    const auto visits = [&] {
      if (lock.try_lock()) {
        run.expect_equal(++inside, 1, "those inside");
        step();
        --inside;
        lock.unlock();
      }
    };
    run.together(visits, visits, [&] {
      const std::scoped_lock guard(lock);
      run.expect_equal(++inside, 1, "those inside");
      --inside;
    });
  });
}
