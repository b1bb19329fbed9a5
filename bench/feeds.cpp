// What it saves to share the values of a feed: eight consumers of values of 64 KiB, each of which
// gets a copy of its own, or the one value behind a shared_ptr. CPU time, in virtual time.
#include <async_timer/async_timer.hpp>
#include <async_timer/testing.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

#include "measure.hpp"

namespace {

namespace net = async_timer::net;
using namespace std::chrono_literals;
using heavy = std::vector<std::byte>;

constexpr int consumers = 8;
constexpr int ticks = 2000;

/// Gives the CPU time of one value for one consumer, in nanoseconds.
template <class Subscribe>
double ns_per_value(Subscribe subscribe) {
  net::io_context context{1};
  async_timer::virtual_clock clock{context};
  async_timer::timer source{context, 1s, [] { return heavy(64 * 1024); }};
  using feed_type = decltype(subscribe(source));
  std::vector<feed_type> feeds;
  for (int i = 0; i < consumers; ++i) feeds.push_back(subscribe(source));
  std::int64_t received = 0;
  source.start();
  const auto before = bench::cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
  for (int tick = 0; tick < ticks; ++tick) {
    for (auto& feed : feeds) {
      feed.next([&](const std::exception_ptr&, const auto& value) { received += value ? 1 : 0; });
    }
    clock.advance(1s);
  }
  const auto after = bench::cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
  source.request_stop();
  clock.run_until_idle();
  return static_cast<double>(after - before) / static_cast<double>(received);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 1) {
    return bench::usage_of(
        argc, argv,
        "(no arguments)\n"
        "Compares feeds that copy with feeds that share; prints a line of JSON.");
  }
  const double copied = ns_per_value([](auto& source) { return source.subscribe({}); });
  const double shared = ns_per_value([](auto& source) { return source.subscribe_shared({}); });
  std::printf("{\"copied_ns_per_value\": %.0f, \"shared_ns_per_value\": %.0f, \"ratio\": %.3f}\n",
              copied, shared, shared / copied);
}
