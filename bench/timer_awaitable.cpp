// This library, a coroutine as target.
#include "timer_fleet.hpp"

namespace {

template <class Ticker>
bench::net::awaitable<void> tick(Ticker& ticker, std::uint64_t i) {
  ticker.tick(i);
  co_return;
}

struct awaitable_flavour : bench::plain_flavour {
  template <class Ticker>
  static auto target(Ticker& ticker, std::uint64_t i) {
    return [&ticker, i] { return tick(ticker, i); };
  }
};

}  // namespace

int main(int argc, char** argv) {
  return bench::fleet_main<awaitable_flavour>(argc, argv, "timer_awaitable");
}
