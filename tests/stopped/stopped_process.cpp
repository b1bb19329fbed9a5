// Ticks on the real clock and says when, until SIGTERM; for stopped_process_test.py, which stops
// the whole process for a while.
#include <async_timer/async_timer.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <string>

#if defined(ASYNC_TIMER_USE_STANDALONE_ASIO)
#include <asio/signal_set.hpp>
#else
#include <boost/asio/signal_set.hpp>
#endif

namespace net = async_timer::net;
using namespace std::chrono_literals;

int main(int argc, char** argv) {
  const std::string argument = argc == 2 ? argv[1] : "";
  if (argument == "--help") {
    std::cout
        << "usage: stopped_process rate|delay\n"
           "Ticks every 100 ms, at a fixed rate or with a fixed delay, and prints at how many\n"
           "microseconds after the start. Ends at SIGTERM.\n";
    return 0;
  }
  if (argument != "rate" && argument != "delay") {
    std::cerr << std::filesystem::path(argv[0]).filename().string()
              << ": needs one argument: rate or delay\n";
    return 2;
  }
  net::io_context io{1};
  std::chrono::steady_clock::time_point begin;
  async_timer::timer t{
      io,
      100ms,
      [&] { std::cout << (std::chrono::steady_clock::now() - begin) / 1us << std::endl; },
      {.mode = argument == "rate" ? async_timer::mode::fixed_rate : async_timer::mode::fixed_delay,
       .name = "stopped"}};
  net::signal_set signals(io, SIGTERM, SIGINT);
  signals.async_wait([&](async_timer::error_code, int) { t.request_stop(); });
  begin = std::chrono::steady_clock::now();
  t.start();
  io.run();
}
