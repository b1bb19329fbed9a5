// When the next tick is due: the arithmetic alone.
#include <benchmark/benchmark.h>

#include <async_timer/core/pacemaker.hpp>
#include <chrono>

namespace {

using namespace std::chrono_literals;
namespace core = async_timer::core;
using async_timer::mode;

void next(benchmark::State& state, mode how, double jitter, core::nanoseconds late) {
  core::pacemaker pace;
  core::time_point now = pace.start(core::time_point(1s), 0ns);
  pace.emit(how, now, 1ms, core::emission::first);
  for (auto _ : state) {
    const core::step step = pace.next(how, now, 1ms, jitter, 0.5);
    benchmark::DoNotOptimize(step);
    now = step.due + late;
    pace.emit(how, now, 1ms, core::emission::scheduled);
  }
}
BENCHMARK_CAPTURE(next, fixed_delay, mode::fixed_delay, 0.0, 1us);
BENCHMARK_CAPTURE(next, fixed_delay_jitter, mode::fixed_delay, 0.1, 1us);
BENCHMARK_CAPTURE(next, fixed_rate, mode::fixed_rate, 0.0, 1us);
BENCHMARK_CAPTURE(next, fixed_rate_jitter, mode::fixed_rate, 0.1, 1us);
BENCHMARK_CAPTURE(next, fixed_rate_skips_an_hour, mode::fixed_rate, 0.0, 1h);

}  // namespace
