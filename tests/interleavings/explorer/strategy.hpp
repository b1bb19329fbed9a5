// Who goes on at each point: all ways in turn, one at random, or those of a failure again.
#ifndef ASYNC_TIMER_TESTS_INTERLEAVINGS_EXPLORER_STRATEGY_HPP
#define ASYNC_TIMER_TESTS_INTERLEAVINGS_EXPLORER_STRATEGY_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace interleaving {

/// Is a thread of a test, by its number.
using actor = std::uint8_t;
inline constexpr std::size_t most_actors = 4;

/// Is those who may go on; the running one comes first if it may.
struct choice {
  std::array<actor, most_actors> who{};
  std::size_t count = 0;
  bool preempts = false;       ///< the first one could go on, so that any other is a preemption
  bool after_release = false;  ///< a point that matters only where something is not guarded

  void add(actor a) { who[count++] = a; }
  [[nodiscard]] bool has(actor a) const;
};

/// Is who ran from each point to the next one.
using trace = std::vector<actor>;
/// Writes a trace as "0x14 1 0x3": first 14 steps of the first actor, and so on.
std::string to_text(const trace& steps);
/// Reads it again; throws std::invalid_argument.
trace trace_of(std::string_view text);

class strategy {
 public:
  strategy() = default;
  strategy(const strategy&) = delete;
  strategy& operator=(const strategy&) = delete;
  virtual ~strategy() = default;

  /// Begins another execution.
  virtual void begin() = 0;
  /// Picks one of several, or the only one.
  virtual actor pick(const choice& among) = 0;
};

/// Goes through all interleavings with so many preemptions at most, the first one without any
/// (Musuvathi and Qadeer, "Iterative context bounding", 2007). It passes over the points after a
/// release, which add nothing as long as all that is shared is guarded.
class depth_first final : public strategy {
 public:
  explicit depth_first(int most_preemptions) : bound_(most_preemptions) {}

  void begin() override;
  actor pick(const choice& among) override;
  /// Goes to the next interleaving; false if there is none.
  bool advance();
  /// Tells whether an execution did not repeat what was known of it, so that all is worthless.
  [[nodiscard]] bool went_astray() const { return went_astray_ || at_ < path_.size(); }

 private:
  struct fork {
    choice among;
    std::size_t taken = 0;
  };
  const int bound_;
  std::vector<fork> path_;
  std::size_t at_ = 0;
  int preemptions_ = 0;
  bool went_astray_ = false;
};

/// Is the same again for the same seed.
class random_strategy : public strategy {
 public:
  explicit random_strategy(std::uint64_t seed) : dice_(seed) {}

 protected:
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(dice_() % n); }

 private:
  std::mt19937_64 dice_;
};

/// Preempts one step in `rate`, whoever is next.
class random_walk final : public random_strategy {
 public:
  random_walk(std::uint64_t seed, std::size_t rate) : random_strategy(seed), rate_(rate) {}
  void begin() override {}
  actor pick(const choice& among) override;

 private:
  const std::size_t rate_;
};

/// Runs the actor of the highest priority; these are random, and change at `depth - 1` random steps
/// (Burckhardt et al., "A randomized scheduler with probabilistic guarantees of finding bugs",
/// 2010): finds what needs `depth` ordered steps with a known probability.
class random_priorities final : public random_strategy {
 public:
  /// @param steps  about how many an execution has
  random_priorities(std::uint64_t seed, std::size_t depth, std::size_t steps);
  void begin() override {}
  actor pick(const choice& among) override;

 private:
  std::array<std::size_t, most_actors> priority_{};
  std::vector<std::size_t> changes_;
  std::size_t step_ = 0;
  std::size_t lowest_;
  actor running_ = 0;
};

/// Repeats a trace, and after its end lets the running one go on.
class repetition final : public strategy {
 public:
  explicit repetition(trace steps) : steps_(std::move(steps)) {}
  void begin() override { at_ = 0; }
  actor pick(const choice& among) override;
  /// Tells whether the trace is one of this scenario.
  [[nodiscard]] bool fits() const { return fits_; }

 private:
  const trace steps_;
  std::size_t at_ = 0;
  bool fits_ = true;
};

}  // namespace interleaving

#endif  // ASYNC_TIMER_TESTS_INTERLEAVINGS_EXPLORER_STRATEGY_HPP
