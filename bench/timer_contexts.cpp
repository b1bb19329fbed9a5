// This library, a plain callable as target, on two contexts with one thread each: no contention.
#include "timer_fleet.hpp"

namespace {

struct contexts_flavour : bench::plain_flavour {
  static constexpr std::size_t contexts = 2;
};

}  // namespace

int main(int argc, char** argv) {
  return bench::fleet_main<contexts_flavour>(argc, argv, "timer_contexts");
}
