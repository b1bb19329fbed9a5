#include "interleavings/explorer/soak.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "interleavings/explorer/exploration.hpp"

namespace interleaving {

namespace {

using clock = std::chrono::steady_clock;
constexpr auto slice = std::chrono::milliseconds(500);
constexpr auto report_each = std::chrono::seconds(10);

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
  begin_ = clock::now();
  first_seed_ = next_seed_ = first_seed;
  auto next_report = begin_ + report_each;
  const auto goes_on = [&] { return was_told_to_end == 0 && clock::now() < begin_ + how_long; };
  while (goes_on()) {
    const auto seed = next_seed_;  // each scenario begins with the same one
    for (auto each = scenarios_.begin(); each != scenarios_.end() && goes_on(); ++each) {
      exploration one(each->name, each->most, each->what);
      next_seed_ = std::max(next_seed_, one.at_random(seed, clock::now() + slice));
      interleavings_ += one.found().random;
      if (!one.found().failure.empty()) fail(one.found().failure);
      if (clock::now() >= next_report) {
        next_report += report_each;
        report("soaking");
      }
    }
  }
  report("soaked, nothing found");
}

void soak::report(const char* what) const {
  const auto passed = std::chrono::duration_cast<std::chrono::seconds>(clock::now() - begin_);
  std::printf("%s: %lld s, %zu scenarios, %zu interleavings, seeds %llu to %llu\n", what,
              static_cast<long long>(passed.count()), scenarios_.size(), interleavings_,
              static_cast<unsigned long long>(first_seed_),
              static_cast<unsigned long long>(std::max(first_seed_ + 1, next_seed_) - 1));
  std::fflush(stdout);
}

}  // namespace interleaving
