// The library does as the model does, in programs of all of its calls.
// ASYNC_TIMER_MODEL_SEED gives the seed of the first program, and the programs go on from there.
#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>

#include "model/generator.hpp"
#include "model/runner.hpp"

namespace {

std::uint64_t first_seed() {
  const char* const text = std::getenv("ASYNC_TIMER_MODEL_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : 1;
}

}  // namespace

TEST_CASE("random programs: the library does as the model") {
  const auto done = model::run_seeds(first_seed(), [](const model::sweep& so_far) {
    return so_far.operations >= ASYNC_TIMER_MODEL_OPERATIONS;
  });
  MESSAGE(done.operations << " operations, " << done.ticks << " ticks, seeds " << done.first_seed
                          << ".." << done.next_seed - 1);
  CHECK_MESSAGE(done.failure.empty(), done.failure);
}

TEST_CASE("random programs: the same seed leaves the same trace, another one another trace") {
  for (std::uint64_t seed = first_seed(); seed < first_seed() + 200; ++seed) {
    CAPTURE(seed);
    const auto once = model::run(model::make_program(seed));
    const auto twice = model::run(model::make_program(seed));
    const auto other = model::run(model::make_program(seed + 1));
    CHECK(once.trace == twice.trace);
    CHECK(once.trace != other.trace);
    CHECK(once.operations == twice.operations);
  }
}
