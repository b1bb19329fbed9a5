// One tick for many: join() callbacks and feeds of one timer, in virtual time. With one receiver
// most of the time is that of the virtual clock, which polls the context for each tick.
#include <benchmark/benchmark.h>

#include <async_timer/async_timer.hpp>
#include <async_timer/testing.hpp>
#include <chrono>
#include <cstdint>
#include <exception>
#include <vector>

namespace {

using namespace std::chrono_literals;
namespace net = async_timer::net;

void joins(benchmark::State& state) {
  net::io_context context{1};
  async_timer::virtual_clock clock{context};
  async_timer::timer source{context, 1s, [] { return 42; }};
  source.start();
  std::int64_t received = 0;
  for (auto _ : state) {
    for (std::int64_t i = 0; i < state.range(0); ++i) {
      source.join([&](std::exception_ptr, int value) { received += value == 42 ? 1 : 0; });
    }
    clock.advance(1s);
  }
  state.SetItemsProcessed(received);
  source.request_stop();
  clock.run_until_idle();
}
BENCHMARK(joins)->Arg(1)->Arg(100)->Arg(10'000);

/// Feeds that nobody reads, each of which keeps two values and sheds the rest.
void shedding_feeds(benchmark::State& state) {
  // A sink, for the default one asks the clock whether to print.
  const auto before = async_timer::set_log_sink([](const async_timer::log_record&) {});
  net::io_context context{1};
  async_timer::virtual_clock clock{context};
  async_timer::timer source{context, 1s, [] { return 42; }};
  std::vector<async_timer::subscription<int>> feeds;
  for (std::int64_t i = 0; i < state.range(0); ++i)
    feeds.push_back(source.subscribe({.maxsize = 2}));
  source.start();
  for (auto _ : state) clock.advance(1s);
  state.SetItemsProcessed(state.iterations() * state.range(0));
  source.request_stop();
  clock.run_until_idle();
  async_timer::set_log_sink(before);
}
BENCHMARK(shedding_feeds)->Arg(1)->Arg(100)->Arg(10'000);

}  // namespace
