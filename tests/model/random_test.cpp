// The library does as the model does, in programs of all of its calls.
// ASYNC_TIMER_MODEL_SEED gives the seed of the first program, ASYNC_TIMER_MODEL_OPERATIONS how many
// operations to carry out.
#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>

#include "model/runner.hpp"

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool is_slow = true;
#elif defined(__has_feature)
constexpr bool is_slow = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
constexpr bool is_slow = false;
#endif

std::int64_t from_environment(const char* name, std::int64_t otherwise) {
  const char* const text = std::getenv(name);
  return text != nullptr ? std::strtoll(text, nullptr, 10) : otherwise;
}

TEST_CASE("random programs: the library does as the model") {
  const auto first = from_environment("ASYNC_TIMER_MODEL_SEED", 1);
  const auto operations =
      from_environment("ASYNC_TIMER_MODEL_OPERATIONS", is_slow ? 100'000 : 1'000'000);
  const auto done = model::run_seeds(
      static_cast<std::uint64_t>(first),
      [&](const model::sweep& so_far) { return so_far.operations >= operations; });
  MESSAGE(done.operations << " operations, " << done.programs << " programs, seeds "
                          << done.first_seed << ".." << done.next_seed - 1);
  CHECK_MESSAGE(done.failure.empty(), done.failure);
}

}  // namespace
