// Runs a timer of whatever backend this is compiled for.
#ifndef ASYNC_TIMER_TESTS_BOTH_USE_HPP
#define ASYNC_TIMER_TESTS_BOTH_USE_HPP

#include <async_timer/async_timer.hpp>
#include <async_timer/testing.hpp>
#include <chrono>

#include "both/probe.hpp"

namespace {

probe run_probe() {
  async_timer::net::io_context io;
  async_timer::virtual_clock clock(io);
  int ticks = 0;
  async_timer::timer t{io, std::chrono::seconds(1), [&] { ++ticks; }};
  t.start();
  clock.advance(std::chrono::seconds(9));
  t.request_stop();
  clock.run_until_idle();
  return {&typeid(t), &async_timer::detail::scheduler_service::id, ticks};
}

}  // namespace

#endif  // ASYNC_TIMER_TESTS_BOTH_USE_HPP
