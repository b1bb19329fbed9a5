// This library, a plain callable as target.
#include "timer_fleet.hpp"

int main(int argc, char** argv) {
  return bench::fleet_main<bench::plain_flavour>(argc, argv, "timer_plain");
}
