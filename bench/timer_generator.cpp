// This library, a generator as target: an endless range of int.
#include <ranges>

#include "timer_fleet.hpp"

namespace {

struct generator_flavour : bench::plain_flavour {
  template <class Ticker>
  static auto target(Ticker& ticker, std::uint64_t i) {
    return std::views::iota(0) | std::views::transform([&ticker, i](int item) {
             ticker.tick(i);
             return item;
           });
  }
};

}  // namespace

int main(int argc, char** argv) {
  return bench::fleet_main<generator_flavour>(argc, argv, "timer_generator");
}
