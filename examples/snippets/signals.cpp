// How a program ends on SIGTERM: no handler of signal(), which may call next to nothing.
#include <async_timer/async_timer.hpp>
#include <chrono>
#include <csignal>

#if defined(ASYNC_TIMER_USE_STANDALONE_ASIO)
#include <asio/signal_set.hpp>
#else
#include <boost/asio/signal_set.hpp>
#endif

#include "check.hpp"

namespace {

namespace asio = async_timer::net;
using namespace std::chrono_literals;

//[signals
asio::awaitable<void> serve_until_told(int& ticks) {
  const auto executor = co_await asio::this_coro::executor;
  asio::signal_set signals(executor, SIGINT, SIGTERM);
  async_timer::timer sampler{executor, 1h, [&] { ++ticks; }};

  sampler.start();
  co_await signals.async_wait(asio::use_awaitable);
  co_await sampler.cancel();  // on the context, where a tick in flight can be waited for
}
//]

}  // namespace

int main() {
  asio::io_context context;
  int ticks = 0;
  bool ended = false;
  asio::co_spawn(context, serve_until_told(ticks), [&](std::exception_ptr failure) {
    expect(!failure);
    ended = true;
  });
  while (ticks == 0) context.run_one();
  std::raise(SIGTERM);
  context.run();
  expect(ended);
}
