// Threads for stress tests: a crew that is joined, and a context that one thread runs.
#ifndef ASYNC_TIMER_TESTS_SUPPORT_THREADS_HPP
#define ASYNC_TIMER_TESTS_SUPPORT_THREADS_HPP

#include <async_timer/async_timer.hpp>
#include <future>
#include <thread>
#include <utility>
#include <vector>

#include "support/fixture.hpp"

namespace test {

/// Runs functions on threads of their own, and waits for all at its end.
class thread_crew {
 public:
  thread_crew() = default;
  thread_crew(const thread_crew&) = delete;
  thread_crew& operator=(const thread_crew&) = delete;
  ~thread_crew() {
    for (auto& thread : threads_) thread.join();
  }
  template <class Function>
  void add(Function function) {
    threads_.emplace_back(std::move(function));
  }

 private:
  std::vector<std::thread> threads_;
};

/// Is a context with one thread that runs it until the end.
class event_loop {
 public:
  net::io_context io{1};

  event_loop() : work_(io.get_executor()), thread_([this] { io.run(); }) {}
  event_loop(const event_loop&) = delete;
  event_loop& operator=(const event_loop&) = delete;
  ~event_loop() {
    work_.reset();
    thread_.join();
  }

  /// Runs a function on the loop's thread and gives what it gives.
  template <class Function>
  auto on_loop(Function function) {
    std::packaged_task<decltype(function())()> task(std::move(function));
    auto result = task.get_future();
    net::post(io, [&task] { task(); });
    return result.get();
  }

 private:
  net::executor_work_guard<net::io_context::executor_type> work_;
  std::thread thread_;
};

}  // namespace test

#endif  // ASYNC_TIMER_TESTS_SUPPORT_THREADS_HPP
