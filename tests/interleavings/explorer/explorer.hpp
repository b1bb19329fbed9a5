// Explores the interleavings of a test's threads, in the spirit of CHESS, loom and PCT: runs a
// scenario again and again, each time with other switches between its threads. What it switches at
// are the points of base/schedule_point.hpp, so Asio's own steps are never torn apart.
//
// The environment says what else to do:
//   ASYNC_TIMER_REPLAY="<scenario>: <trace>"  repeats one interleaving, as a failure prints it
//   ASYNC_TIMER_SOAK_SECONDS=<n>              explores all scenarios in turn, at random, for so
//   long ASYNC_TIMER_SEED=<n>                      begins the random ones with another seed
#ifndef ASYNC_TIMER_TESTS_INTERLEAVINGS_EXPLORER_EXPLORER_HPP
#define ASYNC_TIMER_TESTS_INTERLEAVINGS_EXPLORER_EXPLORER_HPP

#include <array>
#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "interleavings/explorer/stage.hpp"

namespace interleaving {

/// Says how much to explore.
struct bounds {
  int preemptions = 2;                 ///< all interleavings with so many at most
  std::size_t interleavings = 20'000;  ///< but no more than this
  std::size_t random = 200;            ///< and then so many at random
  std::size_t steps = 20'000;          ///< more is no end
};

/// Is one execution of a scenario.
class execution {
 public:
  explicit execution(stage& on) : stage_(on) {}

  /// Runs functions as threads, interleaved, until all have returned.
  template <class... Bodies>
  void together(Bodies&&... bodies) {
    static_assert(sizeof...(Bodies) <= most_actors);
    const std::array<std::function<void()>, sizeof...(Bodies)> all{
        guarded(std::forward<Bodies>(bodies))...};
    stage_.run(all);
  }

  /// States what must hold in every interleaving.
  void expect(bool holds, std::string_view what) {
    if (!holds && complaint_.empty()) complaint_ = what;
  }
  /// As above, and says what it was instead.
  template <class T>
  void expect_equal(const T& is, const T& expected, std::string_view what);

  [[nodiscard]] const std::string& complaint() const { return complaint_; }

 private:
  template <class Body>
  std::function<void()> guarded(Body&& body) {
    return [this, body = std::forward<Body>(body)] {
      try {
        body();
      } catch (const std::exception& error) {
        expect(false, std::string("a thread threw ") + error.what());
      }
    };
  }

  stage& stage_;
  std::string complaint_;
};

using scenario = std::function<void(execution&)>;

/// Is what an exploration has found.
struct findings {
  std::string failure;  ///< what was wrong and how to see it again; empty: nothing was
  std::size_t interleavings = 0;
  bool all = false;  ///< those within the bound of preemptions
  std::size_t random = 0;
};

/// Explores a scenario up to the first bad interleaving. A deadlock, or no end, ends the program.
findings find(std::string_view name, const bounds& most, const scenario& what);

/// Does what the environment asks for: mostly find(), and prints how far it came. Fails the doctest
/// test at the first bad interleaving.
///
/// @param name  unique
/// @param what  makes its world, lets threads meet with together(), and checks the outcome
void explore(std::string_view name, const bounds& most, const scenario& what);
inline void explore(std::string_view name, const scenario& what) { explore(name, {}, what); }

/// Is a point of the test's own: the running thread may be preempted here.
inline void step() { stage::point(false); }

inline std::string text_of(const std::string& text) { return text; }
inline std::string text_of(bool yes) { return yes ? "true" : "false"; }
template <class T>
  requires(!std::same_as<T, bool> && requires(T number) { std::to_string(number); })
std::string text_of(T number) {
  return std::to_string(number);
}

template <class T>
void execution::expect_equal(const T& is, const T& expected, std::string_view what) {
  if (!(is == expected)) {
    expect(false, std::string(what) + " is " + text_of(is) + ", not " + text_of(expected));
  }
}

}  // namespace interleaving

#endif  // ASYNC_TIMER_TESTS_INTERLEAVINGS_EXPLORER_EXPLORER_HPP
