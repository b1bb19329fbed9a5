// A thousand timers in virtual time, whose consumers come and go, hour by hour; for the test of
// growth and for the profile of the heap.
#ifndef ASYNC_TIMER_TESTS_GROWTH_BUSY_DAY_HPP
#define ASYNC_TIMER_TESTS_GROWTH_BUSY_DAY_HPP

#include <async_timer/async_timer.hpp>
#include <async_timer/testing.hpp>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace test {

class busy_day {
 public:
  busy_day() {
    for (std::size_t i = 0; i < timers_.capacity(); ++i) {
      const auto delay = std::chrono::minutes(7) + std::chrono::seconds(i);
      timers_.emplace_back(io_, delay, [] { return std::string(40, 'x'); });
      timers_.back().start();
    }
  }

  /// Lets an hour pass, with consumers that begin to wait, subscribe, leave; and one timer
  /// restarts.
  void pass_an_hour() {
    constexpr auto ignore = [](auto&&...) {};
    for (std::size_t n = 0; n < feeds_.size(); ++n) {
      at(hour_ * 50 + n).next(ignore);
      at(hour_ * 31 + n).wait({.hits = 2, .timeout = std::chrono::minutes(10)}, ignore);
      at(hour_ * 17 + n).trigger(ignore);
      feeds_[n].emplace(at(hour_ * 7 + n).subscribe({.maxsize = 5}));
      feeds_[n]->next(ignore);
    }
    auto& restarted = at(hour_ * 13);
    restarted.cancel(ignore);
    clock_.advance(std::chrono::minutes(30));
    restarted.start();
    clock_.advance(std::chrono::minutes(30));
    ++hour_;
  }

  [[nodiscard]] std::int64_t ticks() const {
    std::int64_t sum = 0;
    for (const auto& t : timers_) sum += t.hit_count();
    return sum;
  }

 private:
  using timer = async_timer::timer<std::string>;

  timer& at(std::size_t n) { return timers_[n % timers_.size()]; }
  static std::vector<timer> room_for(std::size_t count) {
    std::vector<timer> timers;
    timers.reserve(count);
    return timers;
  }

  async_timer::net::io_context io_{1};
  async_timer::virtual_clock clock_{io_};
  std::vector<timer> timers_ = room_for(1'000);
  std::vector<std::optional<async_timer::subscription<std::string>>> feeds_{50};
  std::size_t hour_ = 0;
};

}  // namespace test

#endif  // ASYNC_TIMER_TESTS_GROWTH_BUSY_DAY_HPP
