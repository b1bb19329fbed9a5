// A component that backs off, and its test, which doesn't wait.
#include <algorithm>
#include <async_timer/async_timer.hpp>
#include <async_timer/testing.hpp>
#include <chrono>
#include <vector>

#include "check.hpp"

namespace {

namespace asio = async_timer::net;
using namespace std::chrono_literals;

//[component
/// Polls; doubles the pause while nothing is there, up to a minute. Takes any timer of its type.
class poller {
 public:
  explicit poller(async_timer::timer<bool>& timer) : timer_(timer) {}

  /// Is the target of the timer.
  bool poll(bool found) {
    pause_ = found ? 1s : std::min<std::chrono::seconds>(pause_ * 2, 60s);
    timer_.set_delay(pause_);
    return found;
  }

 private:
  async_timer::timer<bool>& timer_;
  std::chrono::seconds pause_{1};
};
//]

void backs_off() {
  //[mock
  asio::io_context context;
  int polls = 0;
  std::vector<bool> answers{false, false, false, true, false};
  poller* under_test = nullptr;

  async_timer::mock_timer timer{context, 1s, [&] {
                                  const bool found = answers.at(polls++);
                                  return under_test->poll(found);
                                }};
  poller component{timer};
  under_test = &component;
  timer.on_sleep([&](auto) {
    if (polls == 5) timer.request_stop();
  });

  timer.start();
  context.run();  // returns at once: nobody sleeps

  using sleeps = std::vector<std::chrono::nanoseconds>;
  expect(timer.sleeps() == sleeps{2s, 4s, 8s, 1s, 2s});
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
  backs_off();
  reports_every_hour();
  in_virtual_time();
}
