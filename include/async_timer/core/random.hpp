// The source of jitter: eight bytes of state in each timer, so that no timer waits for another's
// lock and a seeded test repeats. splitmix64 (Steele, Lea, Flood 2014); not for secrets.
// Knows: its state. Must not know: where seeds come from.
#ifndef ASYNC_TIMER_CORE_RANDOM_HPP
#define ASYNC_TIMER_CORE_RANDOM_HPP

#include <cstdint>

namespace async_timer::core {

class random_engine {
 public:
  explicit constexpr random_engine(std::uint64_t seed) noexcept : state_{seed} {}

  constexpr std::uint64_t next() noexcept {
    state_ += 0x9e3779b97f4a7c15u;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  // Uniform in [0, 1): the 53 bits that a double holds exactly.
  constexpr double next_unit() noexcept { return static_cast<double>(next() >> 11) * 0x1p-53; }

 private:
  std::uint64_t state_;
};

}  // namespace async_timer::core

#endif  // ASYNC_TIMER_CORE_RANDOM_HPP
