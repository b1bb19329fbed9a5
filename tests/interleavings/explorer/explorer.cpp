#include "interleavings/explorer/explorer.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include "interleavings/explorer/last_words.hpp"

namespace interleaving {

namespace {

std::optional<std::string> from_environment(const char* name) {
  const char* const text = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return text == nullptr ? std::nullopt : std::optional<std::string>(text);
}

std::optional<std::uint64_t> number_from_environment(const char* name) {
  const auto text = from_environment(name);
  return text ? std::optional(std::strtoull(text->c_str(), nullptr, 10)) : std::nullopt;
}

std::uint64_t first_seed() { return number_from_environment("ASYNC_TIMER_SEED").value_or(1); }

/// Executes one scenario again and again, until something is wrong.
class exploration {
 public:
  exploration(std::string_view name, const bounds& most, const scenario& what)
      : name_(name), most_(most), scenario_(what) {}

  [[nodiscard]] const findings& found() const { return found_; }

  void go_through() {
    depth_first by(most_.preemptions);
    const auto how = "with at most " + std::to_string(most_.preemptions) + " preemptions";
    do {
      ++found_.interleavings;
      run(by, how);
      if (by.went_astray()) fail("the scenario is not the same each time");
      found_.all = !by.advance();
    } while (is_good() && !found_.all && found_.interleavings < most_.interleavings);
  }

  void at_random(std::uint64_t seed) {
    ++found_.random;
    const auto how = "at random, seed " + std::to_string(seed);
    if (seed % 3 == 0) {
      random_walk by(seed, 2 + seed / 3 % 12);
      run(by, how);
    } else {
      random_priorities by(seed, 2 + seed / 3 % 4, longest_);
      run(by, how);
    }
  }
  void at_random() {
    const auto first = first_seed();
    while (is_good() && found_.random < most_.random) at_random(first + found_.random);
  }
  void soak(std::chrono::steady_clock::duration how_long) {
    const auto end = std::chrono::steady_clock::now() + how_long;
    const auto first = first_seed();
    depth_first once(0);  // so that it is known how long an execution is
    run(once, "without preemptions");
    while (is_good() && std::chrono::steady_clock::now() < end) at_random(first + found_.random);
  }

  void replay(std::string_view text) {
    repetition again(trace_of(text));
    run(again, "a replay");
    if (!again.fits()) fail("the trace is not one of this scenario");
  }

 private:
  [[nodiscard]] bool is_good() const { return found_.failure.empty(); }

  void run(strategy& by, const std::string& how) {
    ++runs_;
    how_ = how;
    stage_.begin(by, most_.steps);
    execution once(stage_);
    scenario_(once);
    longest_ = std::max(longest_, stage_.steps().size());
    if (!once.complaint().empty()) fail(once.complaint());
  }

  [[nodiscard]] std::string report(const std::string& what) const {
    return name_ + ": " + what + "\n  in interleaving " + std::to_string(runs_) + ", " + how_ +
           "; again with\n  ASYNC_TIMER_REPLAY='" + name_ + ": " + to_text(stage_.steps()) + "'";
  }
  void fail(const std::string& what) {
    if (is_good()) found_.failure = report(what);
  }
  /// Threads that can't go on can't be joined, either.
  [[noreturn]] void die(const std::string& what) {
    std::printf("%s\n", report(what).c_str());
    std::fflush(stdout);
    std::_Exit(1);
  }

  const std::string name_;
  const bounds most_;
  const scenario& scenario_;
  findings found_;
  std::string how_;
  std::size_t runs_ = 0;
  std::size_t longest_ = 1;
  stage stage_{[this](const std::string& what) { die(what); }};
  const last_words on_crash_{[this] { return report("the program crashed"); }};
};

void print(std::string_view name, const bounds& most, const findings& found) {
  std::printf("%.*s: ", static_cast<int>(name.size()), name.data());
  if (found.interleavings > 0) {
    std::printf("%zu interleavings, %s with at most %d preemptions, and ", found.interleavings,
                found.all ? "all" : "not all", most.preemptions);
  }
  std::printf("%zu at random\n", found.random);
  std::fflush(stdout);
}

}  // namespace

findings find(std::string_view name, const bounds& most, const scenario& what) {
  exploration one(name, most, what);
  one.go_through();
  one.at_random();
  return one.found();
}

void explore(std::string_view name, const bounds& most, const scenario& what) {
  findings found;
  if (const auto wanted = from_environment("ASYNC_TIMER_REPLAY")) {
    const std::string mine = std::string(name) + ": ";
    if (!wanted->starts_with(mine)) return;
    exploration one(name, most, what);
    one.replay(std::string_view(*wanted).substr(mine.size()));
    found = one.found();
  } else if (const auto seconds = number_from_environment("ASYNC_TIMER_SOAK_SECONDS")) {
    exploration one(name, most, what);
    one.soak(std::chrono::seconds(*seconds));
    found = one.found();
  } else {
    found = find(name, most, what);
  }
  CHECK_MESSAGE(found.failure.empty(), found.failure);
  if (found.failure.empty()) print(name, most, found);
}

}  // namespace interleaving
