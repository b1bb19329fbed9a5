// The smallest program, on the page about installing. On Boost only, as thirty_seconds.cpp.
#if defined(ASYNC_TIMER_USE_STANDALONE_ASIO)
int main() {}
#else
//[hello
#include <async_timer/async_timer.hpp>
#include <iostream>

using namespace std::chrono_literals;

int main() {
  boost::asio::io_context context;
  auto count_down = [n = 3]() mutable {
    if (n == 0) throw async_timer::end_of_ticks{};  // ends the run
    std::cout << n-- << std::endl;
  };
  async_timer::timer timer{context, 100ms, count_down};
  timer.start();
  context.run();  // returns when no timer runs any more
}
//]
#endif
