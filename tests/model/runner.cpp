#include "model/runner.hpp"

#include "model/generator.hpp"
#include "model/seed_on_crash.hpp"
#include "model/shrink.hpp"
#include "model/world.hpp"

namespace model {

verdict run(const program& commands) {
  world w(1);
  w.run(commands);
  return {w.complaint(), w.trace(), w.operations(), w.ticks()};
}

std::string report(const program& commands, const std::string& origin) {
  const auto seen = run(commands).complaint;
  const auto small = shrink(commands, [](const program& p) { return !run(p).is_well(); });
  return origin + ": " + seen + "\nshrunk from " + std::to_string(commands.size()) + " to " +
         std::to_string(small.size()) + " commands: " + run(small).complaint +
         "\nmodel::program program" + to_string(small) + ";";
}

sweep run_seeds(std::uint64_t first, const std::function<bool(const sweep&)>& enough) {
  constexpr std::int64_t twice = 64;
  sweep done;
  done.first_seed = done.next_seed = first;
  while (!enough(done)) {
    const auto seed = done.next_seed++;
    const seed_on_crash guard(seed);
    const auto commands = make_program(seed);
    const auto origin = "seed " + std::to_string(seed);
    const auto once = run(commands);
    ++done.programs;
    done.operations += once.operations;
    done.ticks += once.ticks;
    if (!once.is_well()) {
      done.failure = report(commands, origin);
    } else if (done.programs % twice == 0 && run(commands).trace != once.trace) {
      done.failure = origin + ": the same program leaves another trace\nmodel::program program" +
                     to_string(commands) + ";";
    }
    if (!done.failure.empty()) return done;
  }
  return done;
}

}  // namespace model
