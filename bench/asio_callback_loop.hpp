// The hand-written loop on steady_timer, with callbacks; its context may be run by two threads.
#ifndef ASYNC_TIMER_BENCH_ASIO_CALLBACK_LOOP_HPP
#define ASYNC_TIMER_BENCH_ASIO_CALLBACK_LOOP_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "asio_backend.hpp"
#include "frame.hpp"

namespace bench {

template <std::size_t Threads>
class asio_callback_loop final : public contestant_base {
 public:
  explicit asio_callback_loop(load& work) : work_(work) {}

  void set_up() override {
    const net::any_io_executor executor = context_.get_executor();
    loops_.reserve(work_.timers);
    for (std::uint64_t i = 0; i < work_.timers; ++i) {
      loops_.push_back(std::make_unique<loop>(loop{net::steady_timer(executor), i, this}));
      loops_.back()->timer.expires_at(work_.first_due(i));
      wait(*loops_.back());
    }
  }
  void run() override {
    std::vector<std::thread> others;
    for (std::size_t i = 1; i < Threads; ++i) {
      others.emplace_back([this, i] {
        worker() = i;
        context_.run();
      });
    }
    context_.run();
    for (auto& each : others) each.join();
  }
  void tear_down() override {
    for (auto& each : loops_) each->timer.cancel();
    context_.restart();
    context_.poll();
    loops_.clear();
  }

 private:
  struct loop {
    net::steady_timer timer;
    std::uint64_t id;
    asio_callback_loop* owner;
  };

  static std::size_t& worker() {
    static thread_local std::size_t index = 0;
    return index;
  }
  static void wait(loop& self) {
    self.timer.async_wait([&self](const error_code& error) {
      if (error) return;
      const std::size_t by = Threads == 1 ? 0 : worker();
      if (self.owner->work_.tick(self.id, by)) self.owner->context_.stop();
      self.timer.expires_at(self.timer.expiry() + self.owner->work_.period);
      wait(self);
    });
  }

  load& work_;
  net::io_context context_{static_cast<int>(Threads)};
  std::vector<std::unique_ptr<loop>> loops_;
};

}  // namespace bench

#endif  // ASYNC_TIMER_BENCH_ASIO_CALLBACK_LOOP_HPP
