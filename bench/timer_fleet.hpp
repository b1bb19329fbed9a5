// This library as a contestant: public API, defaults. What differs between programs is a flavour,
// which derives from plain_flavour and hides what it wants otherwise.
#ifndef ASYNC_TIMER_BENCH_TIMER_FLEET_HPP
#define ASYNC_TIMER_BENCH_TIMER_FLEET_HPP

#include <algorithm>
#include <array>
#include <async_timer/async_timer.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "frame.hpp"

namespace bench {

namespace net = async_timer::net;

/// A plain callable as target, one context, one thread.
struct plain_flavour {
  static constexpr std::size_t contexts = 1;
  static constexpr std::size_t threads_each = 1;
  static constexpr int concurrency_hint = 1;

  /// Gives the target of timer i.
  template <class Ticker>
  static auto target(Ticker& ticker, std::uint64_t i) {
    return [&ticker, i] { ticker.tick(i); };
  }
  static std::string name(std::uint64_t) { return {}; }
  /// Adds to a timer what it is to have beside its target.
  template <class Timer>
  void equip(Timer&) {}
  void clear() {}
};

/// Is what the targets of a fleet need: its contexts, and the work of a tick.
template <class Flavour>
class fleet_ticker {
 public:
  static constexpr std::size_t contexts = Flavour::contexts;
  static constexpr bool shared_context = Flavour::threads_each > 1;
  static_assert(contexts * Flavour::threads_each <= load::most_workers);

  explicit fleet_ticker(load& work) : work_(work) {
    for (auto& each : contexts_) {
      each = std::make_unique<net::io_context>(Flavour::concurrency_hint);
    }
  }

  [[nodiscard]] net::io_context& context(std::size_t i) { return *contexts_[i % contexts]; }

  /// Is what a target does.
  void tick(std::uint64_t timer) {
    const std::size_t by = shared_context ? worker() : timer % contexts;
    if (work_.tick(timer, by)) [[unlikely]] {
      for (auto& each : contexts_) each->stop();
    }
  }
  /// Runs the contexts on as many threads as there are to be, until a tick says stop.
  void run() {
    std::vector<std::thread> others;
    for (std::size_t i = 1; i < contexts * Flavour::threads_each; ++i) {
      others.emplace_back([this, i] {
        worker() = i;
        context(i).run();
      });
    }
    context(0).run();
    for (auto& each : others) each.join();
  }
  void run_what_is_ready() {
    for (auto& each : contexts_) {
      each->restart();
      each->poll();
      each->restart();
    }
  }

 private:
  static std::size_t& worker() {
    static thread_local std::size_t index = 0;
    return index;
  }

  load& work_;
  std::array<std::unique_ptr<net::io_context>, contexts> contexts_;
};

template <class Flavour>
class timer_fleet final : public contestant_base {
  using ticker = fleet_ticker<Flavour>;
  using target_type =
      decltype(Flavour::target(std::declval<ticker&>(), std::declval<std::uint64_t>()));
  using timer_type = async_timer::timer<async_timer::target_value_t<target_type>>;

 public:
  explicit timer_fleet(load& work) : work_(work), ticker_(work) {
    work_.skips = work_.reanchors = true;
    for (std::size_t i = 0; i < ticker::contexts; ++i) {
      // The first timer of a context sets up the scheduler, which would shift all first due times.
      async_timer::timer<void> first(ticker_.context(i), work_.period, [] {}, {.start = true});
      first.request_stop();
    }
    ticker_.run_what_is_ready();
  }

  void set_up() override {
    timers_.reserve(work_.timers);
    std::array<net::any_io_executor, ticker::contexts> executors;
    for (std::size_t i = 0; i < executors.size(); ++i) {
      executors[i] = ticker_.context(i).get_executor();
    }
    for (std::uint64_t i = 0; i < work_.timers; ++i) {
      timers_.emplace_back(executors[i % executors.size()], work_.period,
                           Flavour::target(ticker_, i),
                           async_timer::timer_options{.mode = async_timer::mode::fixed_rate,
                                                      .initial_delay = work_.until_first_due(i),
                                                      .name = Flavour::name(i)});
      flavour_.equip(timers_.back());
      timers_.back().start();
    }
  }
  void run() override { ticker_.run(); }
  void tear_down() override {
    for (auto& timer : timers_) timer.request_stop();
    ticker_.run_what_is_ready();
    flavour_.clear();
    timers_.clear();
  }

 private:
  load& work_;
  ticker ticker_;
  Flavour flavour_;
  std::vector<timer_type> timers_;
};

/// Is the main function of a contestant of this library.
template <class Flavour>
int fleet_main(int argc, char** argv, const char* name) {
  return main_of<timer_fleet<Flavour>>(argc, argv, name);
}

}  // namespace bench

#endif  // ASYNC_TIMER_BENCH_TIMER_FLEET_HPP
