// Contract 8.4: is_running from any thread, while the timer starts, ticks and stops on others.
#include <doctest/doctest.h>
#include <async_timer/async_timer.hpp>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "support/tokens.hpp"

namespace net = async_timer::net;
using namespace std::chrono_literals;

TEST_CASE("8.4 is_running: may be read from any thread while others start and stop the timer") {
  net::thread_pool pool{2};
  async_timer::timer t{pool, 0s, [] {}};
  std::atomic<bool> done{false};
  std::atomic<int> false_after_start{0};
  std::atomic<int> true_after_stop{0};
  std::atomic<long> reads{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      do {
        (void)t.is_running();
        ++reads;
      } while (!done);
    });
  }
  // The thread that starts and stops must see its own doing at once.
  for (int i = 0; i < 500; ++i) {
    t.start();
    if (!t.is_running()) ++false_after_start;
    t.request_stop();
    if (t.is_running()) ++true_after_stop;
    t.cancel(net::use_future).get();
    if (t.is_running()) ++true_after_stop;
  }
  done = true;
  for (auto& each : readers) each.join();
  pool.join();
  CHECK(false_after_start == 0);
  CHECK(true_after_stop == 0);
  CHECK(reads > 0);
  CHECK_FALSE(t.is_running());
}
