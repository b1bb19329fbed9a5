// What it costs to find the next slot after a stall: the grid of a timer with a delay of 1 us,
// after a second and after an hour during which nothing ran.
#include <algorithm>
#include <async_timer/core/pacemaker.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "measure.hpp"

namespace {

namespace core = async_timer::core;
using namespace std::chrono_literals;

/// Gives the shortest of some batches, in nanoseconds for one call.
double ns_per_call(bench::nanoseconds stall, std::int64_t& skipped) {
  constexpr int batches = 200;
  constexpr int calls = 10'000;
  std::vector<double> batch(batches);
  for (auto& each : batch) {
    const auto before = bench::cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < calls; ++i) {
      core::pacemaker pace;
      // Not the same numbers each time, so that nothing is computed ahead of the loop.
      const auto begin = pace.start(core::time_point(bench::nanoseconds(i)), 0ns);
      pace.emit(async_timer::mode::fixed_rate, begin, 1us, core::emission::first);
      skipped += pace.next(async_timer::mode::fixed_rate, begin + stall + bench::nanoseconds(i % 7),
                           1us, 0, 0)
                     .skipped;
    }
    const auto after = bench::cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
    each = static_cast<double>(after - before) / calls;
  }
  return *std::min_element(batch.begin(), batch.end());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 1) {
    return bench::usage_of(
        argc, argv,
        "(no arguments)\n"
        "Times the search for the next slot after a stall; prints a line of JSON.");
  }
  std::int64_t after_second = 0;
  std::int64_t after_hour = 0;
  const double second = ns_per_call(1s, after_second);
  const double hour = ns_per_call(1h, after_hour);
  if (after_hour / after_second != 3600) {
    std::fprintf(stderr, "stall: %lld slots skipped in an hour, %lld in a second\n",
                 static_cast<long long>(after_hour), static_cast<long long>(after_second));
    return 1;
  }
  std::printf("{\"ns_after_1_s\": %.2f, \"ns_after_1_h\": %.2f, \"ratio\": %.3f}\n", second, hour,
              hour / second);
}
