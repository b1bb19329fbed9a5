// Takes one value from a timer; exit code 0 when it is the right one.
#include <async_timer/async_timer.hpp>

#include <chrono>
#include <exception>

int main() {
  namespace net = async_timer::net;
  using namespace std::chrono_literals;

  net::io_context context;
  async_timer::timer answer{context.get_executor(), 1ms, [] { return 42; }};
  int value = 0;
  answer.start();
  answer.join([&](std::exception_ptr error, int result) {
    if (!error) value = result;
    answer.request_stop();
  });
  context.run();
  return value == 42 ? 0 : 1;
}
