#include "interleavings/explorer/soak.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "interleavings/explorer/exploration.hpp"

namespace interleaving {

namespace {

using clock = std::chrono::steady_clock;
constexpr auto report_each = std::chrono::seconds(10);
constexpr std::size_t seeds_in_a_round = 25;

volatile std::sig_atomic_t was_told_to_end = 0;

[[noreturn]] void fail(const std::string& failure) {
  std::printf("%s\n", failure.c_str());
  std::fflush(stdout);
  std::_Exit(1);
}

}  // namespace

void soak::run(std::uint64_t first_seed, std::chrono::seconds how_long) {
  std::signal(SIGTERM, [](int) { was_told_to_end = 1; });
  std::signal(SIGINT, [](int) { was_told_to_end = 1; });
  const auto end = clock::now() + how_long;
  next_report_ = clock::now() + report_each;
  first_seed_ = next_seed_ = first_seed;
  // Whole rounds only, so that each scenario has seen the same seeds.
  while (was_told_to_end == 0 && clock::now() < end) {
    for (const auto& each : scenarios_) explore(each);
    next_seed_ += seeds_in_a_round;
  }
  report("done");
}

void soak::explore(const known& each) {
  exploration one(each.name, each.most, each.what);
  one.go_through_one();
  one.at_random(next_seed_, seeds_in_a_round);
  if (!one.found().failure.empty()) fail(one.found().failure);
  interleavings_ += one.found().random;
  if (clock::now() >= next_report_) {
    next_report_ += report_each;
    report("so far");
  }
}

/// The seeds are those that all scenarios have seen.
void soak::report(const char* when) const {
  std::printf("interleavings: %s: %zu scenarios, %zu interleavings, seeds ", when,
              scenarios_.size(), interleavings_);
  if (next_seed_ == first_seed_) {
    std::printf("none yet\n");
  } else {
    std::printf("%llu..%llu\n", static_cast<unsigned long long>(first_seed_),
                static_cast<unsigned long long>(next_seed_ - 1));
  }
  std::fflush(stdout);
}

}  // namespace interleaving
