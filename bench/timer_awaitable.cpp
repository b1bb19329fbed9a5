// This library, a coroutine as target.
#include "timer_fleet.hpp"

template <class Fleet>
bench::net::awaitable<void> tick(Fleet& fleet, std::uint64_t i) {
  fleet.tick(i);
  co_return;
}

struct awaitable_target {
  template <class Fleet>
  auto operator()(Fleet& fleet, std::uint64_t i) const {
    return [&fleet, i] { return tick(fleet, i); };
  }
};

int main(int argc, char** argv) {
  return bench::main_of<bench::timer_fleet<awaitable_target>>(argc, argv, "timer_awaitable");
}
