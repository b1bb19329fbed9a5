#include "interleavings/explorer/exploration.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace interleaving {

void exploration::go_through() {
  depth_first by(most_.preemptions);
  const auto how = "with at most " + std::to_string(most_.preemptions) + " preemptions";
  do {
    ++found_.interleavings;
    run(by, how);
    if (by.went_astray()) fail("the scenario is not the same each time");
    found_.all = !by.advance();
  } while (is_good() && !found_.all && found_.interleavings < most_.interleavings);
}

void exploration::go_through_one() {
  ++found_.interleavings;
  depth_first by(0);
  run(by, "without preemptions");
}

void exploration::once_at_random(std::uint64_t seed) {
  ++found_.random;
  const auto how = "at random, seed " + std::to_string(seed);
  if (seed % 3 == 0) {
    random_walk by(seed, 2 + seed / 3 % 12);
    run(by, how);
  } else {
    random_priorities by(seed, 2 + seed / 3 % 4, longest_);
    run(by, how);
  }
}

void exploration::at_random(std::uint64_t seed, std::size_t times) {
  for (; is_good() && times > 0; --times) once_at_random(seed++);
}

void exploration::replay(std::string_view text) {
  repetition again(trace_of(text));
  run(again, "a replay");
  if (!again.fits()) fail("the trace is not one of this scenario");
}

void exploration::run(strategy& by, const std::string& how) {
  ++runs_;
  how_ = how;
  stage_.begin(by, most_.steps);
  execution once(stage_);
  scenario_(once);
  longest_ = std::max(longest_, stage_.steps().size());
  if (!once.complaint().empty()) fail(once.complaint());
}

std::string exploration::report(const std::string& what) const {
  return name_ + ": " + what + "\n  in interleaving " + std::to_string(runs_) + ", " + how_ +
         "; again with\n  ASYNC_TIMER_REPLAY='" + name_ + ": " + to_text(stage_.steps()) + "'";
}

void exploration::fail(const std::string& what) {
  if (is_good()) found_.failure = report(what);
}

/// Ends the program: threads that can't go on can't be joined, either.
void exploration::die(const std::string& what) const {
  std::printf("%s\n", report(what).c_str());
  std::fflush(stdout);
  std::_Exit(1);
}

}  // namespace interleaving
