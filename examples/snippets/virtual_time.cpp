// How to test periodic code without waiting.
#include <async_timer/async_timer.hpp>
#include <async_timer/testing.hpp>
#include <chrono>

#include "check.hpp"

namespace {

namespace asio = async_timer::net;
using namespace std::chrono_literals;

void advance() {
  //[advance
  asio::io_context context;
  async_timer::virtual_clock clock{context};  // before the context's first timer

  int calls = 0;
  async_timer::timer hourly{context, 1h, [&] { ++calls; }};
  hourly.start();
  clock.advance(24h);   // runs what becomes due, on this thread, and doesn't wait
  expect(calls == 25);  // at 0 h, 1 h, ... 24 h
  //]
}

}  // namespace

int main() { advance(); }
