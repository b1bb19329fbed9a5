// This library, a plain callable as target.
#include "timer_fleet.hpp"

namespace {

struct plain_target {
  template <class Fleet>
  auto operator()(Fleet& fleet, std::uint64_t i) const {
    return [&fleet, i] { fleet.tick(i); };
  }
};

}  // namespace

int main(int argc, char** argv) {
  return bench::main_of<bench::timer_fleet<plain_target>>(argc, argv, "timer_plain");
}
