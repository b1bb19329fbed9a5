// The 30-second example of the README, around what stands for the user's own code.
// On Boost only: with standalone Asio there is nothing to alias, and the rest is in tour.cpp.
#if defined(ASYNC_TIMER_USE_STANDALONE_ASIO)
int main() {}
#else
#include <stdexcept>

//[thirty_seconds
#include <async_timer/async_timer.hpp>

namespace asio = boost::asio;
using namespace std::chrono_literals;

int load_price();                                                          // yours
asio::awaitable<void> accept_connections(async_timer::timer<int>& price);  // yours

asio::awaitable<void> serve() {
  auto executor = co_await asio::this_coro::executor;
  async_timer::timer price{executor, 5s, load_price};

  auto body = [&]() -> asio::awaitable<void> {
    co_await price.wait({.hit_count = 1});  // block start-up until the first success
    co_await accept_connections(price);     // answers from price.last_result()
  };
  co_await async_timer::scoped(price, body);  // start, run the body, always cancel and clean up
}

int main() {
  asio::io_context context;
  asio::co_spawn(context, serve(), [](std::exception_ptr failure) {
    if (failure) std::rethrow_exception(failure);
  });
  context.run();
}
//]

int load_price() { return 100; }

asio::awaitable<void> accept_connections(async_timer::timer<int>& price) {
  if (price.last_result() != 100) throw std::logic_error("the gate opened before the first value");
  co_return;
}
#endif
