// Runs programs and says what became of them.
#ifndef ASYNC_TIMER_TESTS_MODEL_RUNNER_HPP
#define ASYNC_TIMER_TESTS_MODEL_RUNNER_HPP

#include <cstdint>
#include <functional>
#include <string>

#include "model/command.hpp"

namespace model {

struct verdict {
  std::string complaint;  ///< empty: the library did as the model
  std::uint64_t trace = 0;
  std::int64_t operations = 0;  ///< calls of the library, and steps of time
  std::int64_t ticks = 0;

  [[nodiscard]] bool is_well() const { return complaint.empty(); }
};

/// Runs a program in a world of its own.
verdict run(const program& commands);

/// Says how a program went wrong: what was seen, and the shortest program found that shows it.
std::string report(const program& commands, const std::string& origin);

struct sweep {
  std::int64_t programs = 0;
  std::int64_t operations = 0;
  std::int64_t ticks = 0;
  std::uint64_t first_seed = 0;
  std::uint64_t next_seed = 0;
  std::string failure;  ///< a report; empty if all went well
};

/// Runs the programs of one seed after the other until `enough` says so, or one goes wrong. Each
/// 64th is run twice, and must leave the same trace.
sweep run_seeds(std::uint64_t first, const std::function<bool(const sweep&)>& enough);

}  // namespace model

#endif  // ASYNC_TIMER_TESTS_MODEL_RUNNER_HPP
