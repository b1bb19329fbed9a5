// The timing wheel alone: no clock, no lock, no timer.
#include <benchmark/benchmark.h>

#include <async_timer/core/random.hpp>
#include <async_timer/core/timing_wheel.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
namespace core = async_timer::core;

std::int64_t phase(std::size_t i, core::nanoseconds period) {
  const std::uint64_t mixed = core::random_engine(i).next();
  return static_cast<std::int64_t>(mixed % static_cast<std::uint64_t>(period.count()));
}

void fill(core::timing_wheel& wheel, std::vector<core::wheel_node>& nodes,
          core::nanoseconds period) {
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    wheel.insert(nodes[i], core::time_point(1s) + core::nanoseconds(phase(i, period)));
  }
}

/// Everything is due once a second and goes back for the next: a tick's part of the wheel.
void turn(benchmark::State& state) {
  constexpr core::nanoseconds period = 1s;
  core::timing_wheel wheel(core::time_point(1s));
  std::vector<core::wheel_node> nodes(static_cast<std::size_t>(state.range(0)));
  fill(wheel, nodes, period);
  core::time_point now(1s);
  std::vector<std::pair<core::wheel_node*, core::time_point>> due;
  due.reserve(256);
  std::int64_t delivered = 0;
  for (auto _ : state) {
    now += 1ms;
    for (bool more = true; more;) {
      due.clear();
      more = wheel.collect(now, 256, [&](core::wheel_node& node, core::time_point at) noexcept {
        due.emplace_back(&node, at);
      });
      for (const auto& [node, at] : due) wheel.insert(*node, at + period);
      delivered += static_cast<std::int64_t>(due.size());
    }
  }
  state.SetItemsProcessed(delivered);
  wheel.drain([](core::wheel_node&, core::time_point) noexcept {});
}
BENCHMARK(turn)->Arg(1'000)->Arg(100'000)->Arg(1'000'000);

/// Set-up and cancellation: nothing becomes due.
void insert_remove(benchmark::State& state) {
  core::timing_wheel wheel(core::time_point(1s));
  std::vector<core::wheel_node> nodes(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    fill(wheel, nodes, 10s);
    for (auto& node : nodes) wheel.remove(node);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(insert_remove)->Arg(1'000)->Arg(100'000);

/// The question that arms the driver.
void next_due(benchmark::State& state) {
  core::timing_wheel wheel(core::time_point(1s));
  std::vector<core::wheel_node> nodes(static_cast<std::size_t>(state.range(0)));
  core::wheel_node first;
  fill(wheel, nodes, 10s);
  for (auto _ : state) {
    wheel.insert(first, core::time_point(1s));
    wheel.remove(first);  // forgets the answer
    benchmark::DoNotOptimize(wheel.next_due());
  }
  wheel.drain([](core::wheel_node&, core::time_point) noexcept {});
}
BENCHMARK(next_due)->Arg(1'000)->Arg(100'000);

}  // namespace
