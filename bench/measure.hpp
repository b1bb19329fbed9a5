// What the programs measure with: CPU time, memory, quantiles; and their common manners.
#ifndef ASYNC_TIMER_BENCH_MEASURE_HPP
#define ASYNC_TIMER_BENCH_MEASURE_HPP

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
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

/// Is a quantile of sorted nanoseconds, in microseconds; -1 if there are none.
inline double quantile_us(const std::vector<std::int64_t>& sorted, double quantile) {
  if (sorted.empty()) return -1;
  const auto at = static_cast<std::size_t>(quantile * static_cast<double>(sorted.size()));
  return static_cast<double>(sorted[std::min(at, sorted.size() - 1)]) / 1000.0;
}

/// Prints how to call a program; gives its exit code: 0 if that was asked for, 2 after a mistake.
inline int usage_of(int argc, char** argv, const char* text) {
  const bool asked = argc == 2 && std::strcmp(argv[1], "--help") == 0;
  std::fprintf(asked ? stdout : stderr, "usage: %s %s\n", argv[0], text);
  return asked ? 0 : 2;
}

}  // namespace bench

#endif  // ASYNC_TIMER_BENCH_MEASURE_HPP
