// This library, a plain callable as target, on one context run by two threads.
#include "timer_fleet.hpp"

namespace {

struct threads_flavour : bench::plain_flavour {
  static constexpr std::size_t threads_each = 2;
  static constexpr int concurrency_hint = 2;
};

}  // namespace

int main(int argc, char** argv) {
  return bench::fleet_main<threads_flavour>(argc, argv, "timer_threads");
}
