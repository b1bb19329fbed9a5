// The frame of every contestant: the same load, the same measures, one line of JSON.
//
// Load: N timers of one period, first due at phases spread over the period in an order unrelated to
// memory; a tick counts one, and a subset of the timers also measures its lateness against the
// ideal schedule. Cost is the CPU time of the whole process in the measured window over the ticks
// in it.
#ifndef ASYNC_TIMER_BENCH_FRAME_HPP
#define ASYNC_TIMER_BENCH_FRAME_HPP

#include <fcntl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace bench {

using clock = std::chrono::steady_clock;
using nanoseconds = std::chrono::nanoseconds;

inline std::int64_t cpu_ns(clockid_t which) {
  timespec t{};
  clock_gettime(which, &t);
  return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

struct usage {
  std::int64_t cpu_ns = 0;
  long sleeps = 0;

  static usage now() {
    rusage r{};
    getrusage(RUSAGE_SELF, &r);
    const auto ns = [](const timeval& t) {
      return std::int64_t{t.tv_sec} * 1'000'000'000 + std::int64_t{t.tv_usec} * 1000;
    };
    return {ns(r.ru_utime) + ns(r.ru_stime), r.ru_nvcsw};
  }
};

inline std::int64_t resident_bytes() {
  long all = 0;
  long resident = 0;
  if (std::FILE* f = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(f, "%ld %ld", &all, &resident) != 2) resident = 0;
    std::fclose(f);
  }
  return std::int64_t{resident} * sysconf(_SC_PAGESIZE);
}

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
  std::uint64_t timers = 0;
  nanoseconds period{};
  clock::time_point begin;  ///< of the first period
  bool skips = false;       ///< the contestant leaves out missed slots instead of catching up

  [[nodiscard]] nanoseconds phase(std::uint64_t timer) const {
    const double share = static_cast<double>(mixed(timer) >> 11) * 0x1p-53;
    return nanoseconds(static_cast<std::int64_t>(share * static_cast<double>(period.count())));
  }
  [[nodiscard]] clock::time_point first_due(std::uint64_t timer) const {
    return begin + phase(timer);
  }

  /// Is the work of one tick; true if the contestant should stop.
  bool tick(std::uint64_t timer) {
    ticks_.store(ticks_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    if ((timer & sample_mask_) == 0) [[unlikely]]
      sample(timer);
    return stop_.load(std::memory_order_relaxed);
  }

 private:
  friend int run_load(int argc, char** argv, const char* contestant,
                      std::unique_ptr<class contestant_base> (*make)(load&));

  void prepare() {
    shift_ = timers <= 100 ? 0 : timers <= 10'000 ? 4 : 7;
    sample_mask_ = (std::uint64_t{1} << shift_) - 1;
    due_.assign((timers >> shift_) + 1, {});
    for (std::uint64_t i = 0; i < timers; i += sample_mask_ + 1) due_[i >> shift_] = first_due(i);
    late_.reserve(std::size_t{1} << 20);
  }
  void sample(std::uint64_t timer) {
    auto& due = due_[timer >> shift_];
    auto late = clock::now() - due;
    if (skips && late >= period) {  // slots that are left out are no lateness, but lost ticks
      due += late / period * period;
      late %= period;
    }
    due += period;
    if (recording_.load(std::memory_order_relaxed) && late_.size() < late_.capacity()) {
      late_.push_back(late.count());
    }
  }
  [[nodiscard]] double late_us(double quantile) const {
    if (late_.empty()) return -1;
    const auto at = static_cast<std::size_t>(quantile * static_cast<double>(late_.size()));
    return static_cast<double>(late_[std::min(at, late_.size() - 1)]) / 1000.0;
  }

  alignas(64) std::atomic<std::uint64_t> ticks_{0};
  std::atomic<bool> stop_{false};
  std::atomic<bool> recording_{false};
  std::uint64_t sample_mask_ = 0;
  int shift_ = 0;
  std::vector<clock::time_point> due_;
  std::vector<std::int64_t> late_;
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
    std::fprintf(stderr, "usage: %s <timers> <period_ns> <warm_up_s> <measured_s>\n", argv[0]);
    return argc == 2 && std::strcmp(argv[1], "--help") == 0 ? 0 : 2;
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
    work.recording_ = true;
    const auto t0 = clock::now();
    from = usage::now();
    ticks_from = work.ticks_;
    std::this_thread::sleep_until(t0 + std::chrono::duration_cast<nanoseconds>(measured));
    to = usage::now();
    ticks_to = work.ticks_;
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

  std::sort(work.late_.begin(), work.late_.end());
  const auto n = static_cast<double>(work.timers);
  const auto ticks = static_cast<double>(ticks_to - ticks_from);
  const double offered = n * seconds * 1e9 / static_cast<double>(work.period.count());
  std::printf(
      "{\"contestant\": \"%s\", \"timers\": %.0f, \"period_ns\": %.0f, \"ticks\": %.0f, "
      "\"delivered\": %.4f, \"cpu_ns_per_tick\": %.1f, \"bytes_per_timer\": %.1f, "
      "\"bytes_per_timer_at_end\": %.1f, \"late_p50_us\": %.1f, \"late_p99_us\": %.1f, "
      "\"late_max_us\": %.1f, \"set_up_ns\": %.1f, \"tear_down_ns\": %.1f, "
      "\"sleeps_per_s\": %.0f}\n",
      contestant, n, static_cast<double>(work.period.count()), ticks, ticks / offered,
      static_cast<double>(to.cpu_ns - from.cpu_ns) / ticks,
      static_cast<double>(memory_set_up - memory) / n, static_cast<double>(memory_end - memory) / n,
      work.late_us(0.5), work.late_us(0.99), work.late_us(1),
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
