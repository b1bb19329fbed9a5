// This library, a plain callable as target, and one of ten thousand names for each timer.
#include "timer_fleet.hpp"

namespace {

struct named_flavour : bench::plain_flavour {
  static std::string name(std::uint64_t i) { return "sensor " + std::to_string(i % 10'000); }
};

}  // namespace

int main(int argc, char** argv) {
  return bench::fleet_main<named_flavour>(argc, argv, "timer_named");
}
