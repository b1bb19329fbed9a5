// Executes one scenario again and again, until something is wrong.
#ifndef ASYNC_TIMER_TESTS_INTERLEAVINGS_EXPLORER_EXPLORATION_HPP
#define ASYNC_TIMER_TESTS_INTERLEAVINGS_EXPLORER_EXPLORATION_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "interleavings/explorer/explorer.hpp"
#include "interleavings/explorer/last_words.hpp"
#include "interleavings/explorer/stage.hpp"
#include "interleavings/explorer/strategy.hpp"

namespace interleaving {

class exploration {
 public:
  exploration(std::string_view name, const bounds& most, const scenario& what)
      : name_(name), most_(most), scenario_(what) {}

  /// Goes through all interleavings within the bounds.
  void go_through();
  /// Goes through one, so that it is known how long an execution is.
  void go_through_one();
  /// Explores at random, with so many seeds from this one on; after one of the above.
  void at_random(std::uint64_t seed, std::size_t times);
  void replay(std::string_view text);

  [[nodiscard]] const findings& found() const { return found_; }

 private:
  [[nodiscard]] bool is_good() const { return found_.failure.empty(); }
  void once_at_random(std::uint64_t seed);
  void run(strategy& by, const std::string& how);
  [[nodiscard]] std::string report(const std::string& what) const;
  void fail(const std::string& what);
  [[noreturn]] void die(const std::string& what) const;

  const std::string name_;
  const bounds most_;
  const scenario& scenario_;
  findings found_;
  std::string how_;
  std::size_t runs_ = 0;
  std::size_t longest_ = 1;  ///< steps of an execution
  stage stage_{[this](const std::string& what) { die(what); }};
  const last_words on_crash_{[this] { return report("the program crashed"); }};
};

}  // namespace interleaving

#endif  // ASYNC_TIMER_TESTS_INTERLEAVINGS_EXPLORER_EXPLORATION_HPP
