// Timers that note their sleeps in place of sleeping.
#include <async_timer/async_timer.hpp>
#include <async_timer/testing.hpp>
#include <chrono>
#include <vector>

#include "check.hpp"

namespace {

namespace asio = async_timer::net;
using namespace std::chrono_literals;

void in_place_of_a_timer() {
  //[mock
  asio::io_context context;
  int ticks = 0;
  async_timer::mock_timer timer{context, 5s, [&] { ++ticks; }, {.initial_delay = 30s}};
  timer.on_sleep([&](std::chrono::nanoseconds) {
    if (ticks == 2) timer.request_stop();
  });
  timer.start();
  context.run();  // returns at once

  using sleeps = std::vector<std::chrono::nanoseconds>;
  expect(timer.sleeps() == sleeps{30s, 5s, 5s});
  //]
}

//[every
auto hourly_report = async_timer::every(1h)([] { return 42; });

void reports_every_hour() {
  asio::io_context context;
  auto record = async_timer::mock_sleeps(hourly_report);  // before its first start
  record.on_sleep([&](std::chrono::nanoseconds sleep) {
    expect(sleep == 1h);
    if (hourly_report.hit_count() == 24) hourly_report.request_stop();
  });
  hourly_report.start(context);
  context.run();
  expect(record.sleeps().size() == 24);
}
//]

void in_virtual_time() {
  //[both
  asio::io_context context;
  async_timer::virtual_clock clock{context};
  async_timer::mock_timer timer{context, 10s, [] {}, {.initial_delay = 3s}};
  timer.start();
  clock.advance(25s);  // ticks at 3 s, 13 s, 23 s
  expect(timer.hit_count() == 3);
  expect(timer.sleeps().front() == 3s);
  //]
}

}  // namespace

int main() {
  in_place_of_a_timer();
  reports_every_hour();
  in_virtual_time();
}
