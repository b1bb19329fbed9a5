// Do a million timers let others have their turn? A TCP echo on the very context that the timers
// tick on, over loopback; what is measured is the round trip as its client sees it.
//
// The client waits for each answer before it asks again, after a random pause: it asks less often
// where answers are slow, so a slow contestant looks better than it is.
#include <sched.h>

#include <algorithm>
#include <array>
#include <async_timer/async_timer.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

#include "asio_backend.hpp"
#include "frame.hpp"

namespace {

namespace net = bench::net;
using tcp = net::ip::tcp;
using namespace std::chrono_literals;

void pin_to_cpu(unsigned cpu) {
  if (std::thread::hardware_concurrency() < 2) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  sched_setaffinity(0, sizeof set, &set);
}

net::awaitable<void> serve(tcp::acceptor& acceptor) {
  tcp::socket peer = co_await acceptor.async_accept(net::use_awaitable);
  peer.set_option(tcp::no_delay(true));
  std::array<char, 1024> data{};
  for (;;) {
    const std::size_t n = co_await peer.async_read_some(net::buffer(data), net::use_awaitable);
    co_await net::async_write(peer, net::buffer(data, n), net::use_awaitable);
  }
}

/// Asks again and again; gives the sorted round trips in nanoseconds.
std::vector<std::int64_t> round_trips(const tcp::endpoint& where, bench::nanoseconds measured) {
  net::io_context context;
  tcp::socket server(context);
  server.connect(where);
  server.set_option(tcp::no_delay(true));
  std::vector<std::int64_t> all;
  std::array<char, 64> data{};
  const auto end = bench::clock::now() + measured;
  for (std::uint64_t i = 0; bench::clock::now() < end; ++i) {
    std::this_thread::sleep_for(bench::nanoseconds(bench::mixed(i) % 2'000'000));
    const auto asked = bench::clock::now();
    net::write(server, net::buffer(data));
    net::read(server, net::buffer(data));
    all.push_back((bench::clock::now() - asked).count());
  }
  std::sort(all.begin(), all.end());
  return all;
}

struct schedule {
  std::uint64_t timers;
  bench::nanoseconds period;
  bench::clock::time_point begin;

  [[nodiscard]] bench::nanoseconds phase(std::uint64_t i) const {
    return bench::nanoseconds(
        static_cast<std::int64_t>(bench::mixed(i) % static_cast<std::uint64_t>(period.count())));
  }
};

class our_timers {
 public:
  our_timers(net::io_context& context, const schedule& when, std::uint64_t& ticks) {
    timers_.reserve(when.timers);
    for (std::uint64_t i = 0; i < when.timers; ++i) {
      const auto wait = when.begin + when.phase(i) - bench::clock::now();
      timers_.emplace_back(
          context, when.period, [&ticks] { ++ticks; },
          async_timer::timer_options{.mode = async_timer::mode::fixed_rate,
                                     .initial_delay = std::max<bench::nanoseconds>(wait, 0ns),
                                     .start = true});
    }
  }

 private:
  std::vector<async_timer::timer<void>> timers_;
};

class asio_timers {
 public:
  asio_timers(net::io_context& context, const schedule& when, std::uint64_t& ticks) {
    loops_.reserve(when.timers);
    for (std::uint64_t i = 0; i < when.timers; ++i) {
      loops_.push_back(std::make_unique<loop>(
          loop{net::steady_timer(context, when.begin + when.phase(i)), when.period, &ticks}));
      wait(*loops_.back());
    }
  }

 private:
  struct loop {
    net::steady_timer timer;
    bench::nanoseconds period;
    std::uint64_t* ticks;
  };
  static void wait(loop& self) {
    self.timer.async_wait([&self](const bench::error_code& error) {
      if (error) return;
      ++*self.ticks;
      self.timer.expires_at(self.timer.expiry() + self.period);
      wait(self);
    });
  }
  std::vector<std::unique_ptr<loop>> loops_;
};

struct no_timers {
  no_timers(net::io_context&, const schedule&, std::uint64_t&) {}
};

template <class Timers>
void measure(const char* name, schedule when, bench::nanoseconds measured) {
  net::io_context context{2};  // the other thread stops it
  std::uint64_t ticks = 0;
  when.begin = bench::clock::now() + 1ms + bench::nanoseconds(when.timers * 1000);
  const Timers timers(context, when, ticks);
  tcp::acceptor acceptor(context, {net::ip::address_v4::loopback(), 0});
  net::co_spawn(context, serve(acceptor), [](std::exception_ptr) {});
  std::vector<std::int64_t> trips;
  std::thread client([&] {
    pin_to_cpu(0);
    std::this_thread::sleep_until(when.begin + 500ms);
    trips = round_trips(acceptor.local_endpoint(), measured);
    context.stop();
  });
  pin_to_cpu(1);
  const auto from = bench::clock::now();
  const auto cpu_from = bench::cpu_ns(CLOCK_THREAD_CPUTIME_ID);
  context.run();
  const auto cpu_to = bench::cpu_ns(CLOCK_THREAD_CPUTIME_ID);
  const std::chrono::duration<double> took = bench::clock::now() - from;
  client.join();
  std::printf(
      "{\"with\": \"%s\", \"timers\": %llu, \"requests\": %zu, \"p50_us\": %.1f, "
      "\"p99_us\": %.1f, \"max_us\": %.1f, \"ticks_per_s\": %.0f, \"core_share\": %.3f}\n",
      name, static_cast<unsigned long long>(when.timers), trips.size(),
      bench::quantile_us(trips, 0.5), bench::quantile_us(trips, 0.99), bench::quantile_us(trips, 1),
      static_cast<double>(ticks) / took.count(),
      static_cast<double>(cpu_to - cpu_from) / 1e9 / took.count());
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view with = argc == 5 ? argv[1] : "";
  if (with != "idle" && with != "timers" && with != "asio") {
    return bench::usage_of(argc, argv,
                           "<idle|timers|asio> <timers> <period_ns> <measured_s>\n"
                           "Measures a TCP echo beside timers of nobody, of this library, or of a "
                           "steady_timer loop each; prints a line of JSON.");
  }
  schedule when{std::strtoull(argv[2], nullptr, 10),
                bench::nanoseconds(std::strtoll(argv[3], nullptr, 10)),
                {}};
  const auto measured = std::chrono::duration_cast<bench::nanoseconds>(
      std::chrono::duration<double>(std::strtod(argv[4], nullptr)));
  if (with == "timers") {
    measure<our_timers>(argv[1], when, measured);
  } else if (with == "asio") {
    measure<asio_timers>(argv[1], when, measured);
  } else {
    when.timers = 0;
    measure<no_timers>(argv[1], when, measured);
  }
}
