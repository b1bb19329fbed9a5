// Explores many scenarios in turn, at random, for as long as is wanted.
#ifndef ASYNC_TIMER_TESTS_INTERLEAVINGS_EXPLORER_SOAK_HPP
#define ASYNC_TIMER_TESTS_INTERLEAVINGS_EXPLORER_SOAK_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "interleavings/explorer/explorer.hpp"

namespace interleaving {

class soak {
 public:
  void add(std::string_view name, const bounds& most, const scenario& what) {
    scenarios_.push_back({std::string(name), most, what});
  }
  [[nodiscard]] bool empty() const { return scenarios_.empty(); }

  /// Prints how far it is each ten seconds, and at the end, which SIGTERM and SIGINT bring about,
  /// too. A bad interleaving ends the program.
  void run(std::uint64_t first_seed, std::chrono::seconds how_long);

 private:
  struct known {
    std::string name;
    bounds most;
    scenario what;
  };
  void explore(const known& each);
  void report(const char* when) const;

  std::vector<known> scenarios_;
  std::chrono::steady_clock::time_point next_report_;
  std::uint64_t first_seed_ = 0;
  std::uint64_t next_seed_ = 0;
  std::size_t interleavings_ = 0;
};

}  // namespace interleaving

#endif  // ASYNC_TIMER_TESTS_INTERLEAVINGS_EXPLORER_SOAK_HPP
