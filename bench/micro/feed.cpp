// A feed and its consumer: values that wait in the buffer, values that the consumer waits for.
// Each tick includes the virtual clock, which polls the context.
#include <benchmark/benchmark.h>

#include <async_timer/async_timer.hpp>
#include <async_timer/core/ring_buffer.hpp>
#include <async_timer/testing.hpp>
#include <chrono>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>

namespace {

using namespace std::chrono_literals;
namespace net = async_timer::net;

void ring(benchmark::State& state) {
  async_timer::core::ring_buffer<std::int64_t> buffer;
  for (std::int64_t i = 0; i < state.range(0); ++i) buffer.push_back(i);
  for (auto _ : state) {
    buffer.push_back(buffer.front());
    buffer.pop_front();
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(ring)->Arg(1)->Arg(1000);

/// The consumer is there first: each value is handed over.
template <class Make>
void waiting(benchmark::State& state, Make make) {
  net::io_context context{1};
  async_timer::virtual_clock clock{context};
  async_timer::timer source{context, 1s, make};
  auto feed = source.subscribe();
  source.start();
  std::int64_t received = 0;
  for (auto _ : state) {
    feed.next([&](std::exception_ptr, const auto& value) { received += value ? 1 : 0; });
    clock.advance(1s);
  }
  state.SetItemsProcessed(received);
  source.request_stop();
  clock.run_until_idle();
}
BENCHMARK_CAPTURE(waiting, int, [] { return 42; });
BENCHMARK_CAPTURE(waiting, string, [] { return std::string(100, 'x'); });

/// The consumer comes late: values come out of the buffer, in a batch.
void buffered(benchmark::State& state) {
  net::io_context context{1};
  async_timer::virtual_clock clock{context};
  async_timer::timer source{context, 1s, [] { return 42; }};
  auto feed = source.subscribe();
  source.start();
  std::int64_t received = 0;
  for (auto _ : state) {
    clock.advance(1s * state.range(0));
    while (feed.qsize() > 0) {
      feed.next([&](std::exception_ptr, const auto& value) { received += value ? 1 : 0; });
    }
    clock.run_until_idle();
  }
  state.SetItemsProcessed(received);
  source.request_stop();
  clock.run_until_idle();
}
BENCHMARK(buffered)->Arg(100);

}  // namespace
