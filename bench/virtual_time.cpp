// How long a million ticks take in virtual time, of one timer and of a thousand.
#include <async_timer/async_timer.hpp>
#include <async_timer/testing.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "measure.hpp"

namespace {

namespace net = async_timer::net;
using namespace std::chrono_literals;

constexpr std::int64_t all_ticks = 1'000'000;

/// Gives seconds of CPU time; -1 if the number of ticks is not as it should be.
double seconds_for(std::int64_t timers) {
  net::io_context context{1};
  async_timer::virtual_clock clock{context};
  std::int64_t ticks = 0;
  std::vector<async_timer::timer<void>> fleet;
  for (std::int64_t i = 0; i < timers; ++i) {
    // Each at an instant of its own.
    fleet.emplace_back(
        context, 1s, [&ticks] { ++ticks; },
        async_timer::timer_options{
            .mode = async_timer::mode::fixed_rate, .initial_delay = 1us * (i + 1), .start = true});
  }
  const auto before = bench::cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
  clock.advance(1s * (all_ticks / timers));
  const auto after = bench::cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
  for (auto& timer : fleet) timer.request_stop();
  clock.run_until_idle();
  return ticks == all_ticks ? static_cast<double>(after - before) / 1e9 : -1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 1) {
    return bench::usage_of(argc, argv,
                           "(no arguments)\n"
                           "Runs 1,000,000 ticks in virtual time, twice; prints a line of JSON.");
  }
  const double one = seconds_for(1);
  const double thousand = seconds_for(1000);
  if (one < 0 || thousand < 0) {
    std::fprintf(stderr, "virtual_time: not 1,000,000 ticks\n");
    return 1;
  }
  std::printf("{\"one_timer_s\": %.4f, \"thousand_timers_s\": %.4f}\n", one, thousand);
}
