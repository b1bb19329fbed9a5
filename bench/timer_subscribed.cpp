// This library, a plain callable as target and one subscriber for each timer, who never reads: the
// feed keeps the last two values and sheds the older ones.
#include "timer_fleet.hpp"

namespace {

struct subscribed_flavour : bench::plain_flavour {
  template <class Ticker>
  static auto target(Ticker& ticker, std::uint64_t i) {
    return [&ticker, i] {
      ticker.tick(i);
      return 1;
    };
  }
  void equip(async_timer::timer<int>& timer) { feeds.push_back(timer.subscribe({.maxsize = 2})); }
  void clear() { feeds.clear(); }

  std::vector<async_timer::subscription<int>> feeds;
};

}  // namespace

int main(int argc, char** argv) {
  return bench::fleet_main<subscribed_flavour>(argc, argv, "timer_subscribed");
}
