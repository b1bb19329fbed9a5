// Comes before every file of a mutation build: which mutant is on, and which were reached.
#ifndef ASYNC_TIMER_MUTATION_HPP
#define ASYNC_TIMER_MUTATION_HPP

#include <cstdlib>

namespace mutation {

inline constexpr int most = 16384;
inline unsigned char reached[most];
inline const int chosen = [] {
  const char* number = std::getenv("MUTANT");
  return number != nullptr ? std::atoi(number) : 0;
}();

// Constant expressions see the original.
constexpr bool on(int number) noexcept {
  if (__builtin_is_constant_evaluated()) return false;
  __atomic_store_n(&reached[number], static_cast<unsigned char>(1), __ATOMIC_RELAXED);
  return number == chosen;
}

}  // namespace mutation

#endif  // ASYNC_TIMER_MUTATION_HPP
