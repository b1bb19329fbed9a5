// This library as timer_plain, on a context that doesn't know that just one thread runs it: what it
// costs to be safe for many threads when there is only one.
#include "timer_fleet.hpp"

namespace {

struct locking_flavour : bench::plain_flavour {
  static constexpr int concurrency_hint = 2;
};

}  // namespace

int main(int argc, char** argv) {
  return bench::fleet_main<locking_flavour>(argc, argv, "timer_locking");
}
