// This library as a contestant: public API, defaults; only the target differs between programs.
#ifndef ASYNC_TIMER_BENCH_TIMER_FLEET_HPP
#define ASYNC_TIMER_BENCH_TIMER_FLEET_HPP

#include <async_timer/async_timer.hpp>
#include <cstdint>
#include <vector>

#include "frame.hpp"

namespace bench {

namespace net = async_timer::net;

/// @tparam MakeTarget  gives the target of timer i: `operator()(fleet&, i)`
template <class MakeTarget>
class timer_fleet final : public contestant_base {
 public:
  explicit timer_fleet(load& work) : work_(work) {
    work_.skips = true;
    // The first timer of a context sets up the scheduler, which would shift all first due times.
    async_timer::timer<void> first(context_, work_.period, [] {}, {.start = true});
    first.request_stop();
    context_.poll();
    context_.restart();
  }

  bool tick(std::uint64_t timer) {
    const bool stop = work_.tick(timer);
    if (stop) [[unlikely]]
      context_.stop();
    return stop;
  }

  void set_up() override {
    timers_.reserve(work_.timers);
    const net::any_io_executor executor = context_.get_executor();
    for (std::uint64_t i = 0; i < work_.timers; ++i) {
      timers_.emplace_back(
          executor, work_.period, MakeTarget{}(*this, i),
          async_timer::timer_options{.mode = async_timer::mode::fixed_rate,
                                     .initial_delay = work_.first_due(i) - clock::now()});
      timers_.back().start();
    }
  }
  void run() override { context_.run(); }
  void tear_down() override {
    for (auto& timer : timers_) timer.request_stop();
    context_.restart();
    context_.poll();
    timers_.clear();
  }

 private:
  load& work_;
  net::io_context context_{1};
  std::vector<async_timer::timer<void>> timers_;
};

}  // namespace bench

#endif  // ASYNC_TIMER_BENCH_TIMER_FLEET_HPP
