// Says which seed was running when the process crashes, where no program can be shrunk any more.
#ifndef ASYNC_TIMER_TESTS_MODEL_SEED_ON_CRASH_HPP
#define ASYNC_TIMER_TESTS_MODEL_SEED_ON_CRASH_HPP

#include <cstdint>

namespace model {

class seed_on_crash {
 public:
  explicit seed_on_crash(std::uint64_t seed);
  seed_on_crash(const seed_on_crash&) = delete;
  seed_on_crash& operator=(const seed_on_crash&) = delete;
  ~seed_on_crash();
};

}  // namespace model

#endif  // ASYNC_TIMER_TESTS_MODEL_SEED_ON_CRASH_HPP
