// The frame of every contestant: the same load, the same measures, one line of JSON.
//
// Load: N timers of one period, first due at phases spread over the period in an order unrelated to
// memory; a tick counts one, and a subset of the timers also measures its lateness against the
// ideal schedule. Cost is the CPU time of the whole process in the measured window over the ticks
// in it. Contestants in other languages (peers/) do the same, spelled again.
#ifndef ASYNC_TIMER_BENCH_FRAME_HPP
#define ASYNC_TIMER_BENCH_FRAME_HPP

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>
#include <vector>

#include "measure.hpp"

namespace bench {

/// Spreads numbers evenly over 64 bits (splitmix64's finisher).
inline std::uint64_t mixed(std::uint64_t z) {
  z += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

/// Is what the timers do, and what is learned from it.
class load {
 public:
  static constexpr std::size_t most_workers = 2;

  std::uint64_t timers = 0;
  nanoseconds period{};
  clock::time_point begin;  ///< of the first period
  bool skips = false;       ///< the contestant leaves out missed slots instead of catching up
  bool drifts = false;      ///< it counts each period from the last tick: so does its lateness
  bool reanchors = false;   ///< a first tick that is late by a whole period begins another grid

  [[nodiscard]] nanoseconds phase(std::uint64_t timer) const {
    const double share = static_cast<double>(mixed(timer) >> 11) * 0x1p-53;
    return nanoseconds(static_cast<std::int64_t>(share * static_cast<double>(period.count())));
  }
  [[nodiscard]] clock::time_point first_due(std::uint64_t timer) const {
    return begin + phase(timer);
  }
  /// Is how long to wait from now for the first tick; 0 if the set-up took longer than that.
  [[nodiscard]] nanoseconds until_first_due(std::uint64_t timer) {
    const auto now = clock::now();
    const auto due = first_due(timer);
    if (due > now) return due - now;
    if ((timer & sample_mask_) == 0) sampled_[timer >> shift_].due = now;
    return nanoseconds(0);
  }

  /// Is the work of one tick; true if the contestant should stop.
  ///
  /// @param by  which of the contestant's threads this is: each has counters of its own
  bool tick(std::uint64_t timer, std::size_t by = 0) {
    auto& self = workers_[by];
    self.ticks.store(self.ticks.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    if ((timer & sample_mask_) == 0) [[unlikely]]
      sample(timer, self);
    return stop_.load(std::memory_order_relaxed);
  }

 private:
  friend int run_load(int argc, char** argv, const char* contestant,
                      std::unique_ptr<class contestant_base> (*make)(load&));

  // A contestant may have looked at its clock so much earlier than its target did.
  static constexpr std::chrono::microseconds slack{2};

  struct sampled {
    clock::time_point due;
    bool has_ticked = false;
  };
  struct alignas(64) worker {
    std::atomic<std::uint64_t> ticks{0};
    std::vector<std::int64_t> late;
  };

  void prepare() {
    shift_ = timers <= 100 ? 0 : timers <= 10'000 ? 4 : 7;
    sample_mask_ = (std::uint64_t{1} << shift_) - 1;
    sampled_.assign((timers >> shift_) + 1, {});
    for (std::uint64_t i = 0; i < timers; i += sample_mask_ + 1) {
      sampled_[i >> shift_].due = first_due(i);
    }
    for (auto& each : workers_) each.late.reserve(std::size_t{1} << 20);
  }
  void sample(std::uint64_t timer, worker& by) {
    auto& [due, has_ticked] = sampled_[timer >> shift_];
    const auto now = clock::now();
    auto late = now - due;
    if (drifts) {
      due = now;
    } else if (skips && late >= period) {
      // Slots that are left out are no lateness, but lost ticks.
      due += late / period * period;
      late %= period;
      if (reanchors && !has_ticked) {
        due = now - slack;
      } else if (late < slack) {
        due -= period;  // its next slot may be this very one
      }
    }
    due += period;
    has_ticked = true;
    if (recording_.load(std::memory_order_relaxed) && by.late.size() < by.late.capacity()) {
      by.late.push_back(late.count());
    }
  }
  [[nodiscard]] std::uint64_t ticks() const {
    std::uint64_t sum = 0;
    for (const auto& each : workers_) sum += each.ticks.load(std::memory_order_relaxed);
    return sum;
  }
  [[nodiscard]] std::vector<std::int64_t> sorted_lateness() const {
    std::vector<std::int64_t> all;
    for (const auto& each : workers_) all.insert(all.end(), each.late.begin(), each.late.end());
    std::sort(all.begin(), all.end());
    return all;
  }

  std::array<worker, most_workers> workers_;
  alignas(64) std::atomic<bool> stop_{false};
  std::atomic<bool> recording_{false};
  std::uint64_t sample_mask_ = 0;
  int shift_ = 0;
  std::vector<sampled> sampled_;
};

class contestant_base {
 public:
  virtual ~contestant_base() = default;
  virtual void set_up() = 0;     ///< makes and starts all timers
  virtual void run() = 0;        ///< until a tick returned true
  virtual void tear_down() = 0;  ///< cancels and frees all timers
};

inline int run_load(int argc, char** argv, const char* contestant,
                    std::unique_ptr<contestant_base> (*make)(load&)) {
  if (argc != 5) {
    return usage_of(argc, argv,
                    "<timers> <period_ns> <warm_up_s> <measured_s>\n"
                    "Runs that load and prints its cost as one line of JSON.");
  }
  static load work;
  work.timers = std::strtoull(argv[1], nullptr, 10);
  work.period = nanoseconds(std::strtoll(argv[2], nullptr, 10));
  const std::chrono::duration<double> warm_up(std::strtod(argv[3], nullptr));
  const std::chrono::duration<double> measured(std::strtod(argv[4], nullptr));

  auto engine = make(work);
  // Far enough ahead that most set-ups are done by then.
  work.begin = clock::now() + std::chrono::milliseconds(1) + nanoseconds(work.timers * 1000);
  work.prepare();
  const auto memory = resident_bytes();
  const auto before = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
  engine->set_up();
  const auto after = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
  const auto memory_set_up = resident_bytes();

  usage from;
  usage to;
  std::uint64_t ticks_from = 0;
  std::uint64_t ticks_to = 0;
  double seconds = 0;
  std::thread control([&] {
    std::this_thread::sleep_until(std::max(clock::now(), work.begin) +
                                  std::chrono::duration_cast<nanoseconds>(warm_up));
    // Once around: the first ticks of all fault their memory in. Not for ever: not all get around.
    for (int i = 0; i < 400 && work.ticks() < work.timers; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    work.recording_ = true;
    const auto t0 = clock::now();
    from = usage::now();
    ticks_from = work.ticks();
    std::this_thread::sleep_until(t0 + std::chrono::duration_cast<nanoseconds>(measured));
    to = usage::now();
    ticks_to = work.ticks();
    seconds = std::chrono::duration<double>(clock::now() - t0).count();
    work.recording_ = false;
    work.stop_ = true;
  });
  engine->run();
  control.join();
  const auto memory_end = resident_bytes();
  const auto down_from = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
  engine->tear_down();
  const auto down_to = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);

  const auto late = work.sorted_lateness();
  const auto early = std::lower_bound(late.begin(), late.end(), std::int64_t{0}) - late.begin();
  const auto n = static_cast<double>(work.timers);
  const auto ticks = static_cast<double>(ticks_to - ticks_from);
  const double offered = n * seconds * 1e9 / static_cast<double>(work.period.count());
  std::printf(
      "{\"contestant\": \"%s\", \"timers\": %.0f, \"period_ns\": %.0f, \"ticks\": %.0f, "
      "\"delivered\": %.4f, \"ticks_per_s\": %.0f, \"cpu_ns_per_tick\": %.1f, "
      "\"bytes_per_timer\": %.1f, \"bytes_per_timer_at_end\": %.1f, \"late_p50_us\": %.1f, "
      "\"late_p99_us\": %.1f, \"late_max_us\": %.1f, \"early_share\": %.6f, \"set_up_ns\": %.1f, "
      "\"tear_down_ns\": %.1f, \"sleeps_per_s\": %.0f}\n",
      contestant, n, static_cast<double>(work.period.count()), ticks, ticks / offered,
      ticks / seconds, static_cast<double>(to.cpu_ns - from.cpu_ns) / ticks,
      static_cast<double>(memory_set_up - memory) / n, static_cast<double>(memory_end - memory) / n,
      quantile_us(late, 0.5), quantile_us(late, 0.99), quantile_us(late, 1),
      late.empty() ? 0 : static_cast<double>(early) / static_cast<double>(late.size()),
      static_cast<double>(after - before) / n, static_cast<double>(down_to - down_from) / n,
      static_cast<double>(to.sleeps - from.sleeps) / seconds);
  return 0;
}

/// Is the main function of a contestant.
template <class Contestant>
int main_of(int argc, char** argv, const char* name) {
  return run_load(argc, argv, name, [](load& work) -> std::unique_ptr<contestant_base> {
    return std::make_unique<Contestant>(work);
  });
}

}  // namespace bench

#endif  // ASYNC_TIMER_BENCH_FRAME_HPP
