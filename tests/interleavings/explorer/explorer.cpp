#include "interleavings/explorer/explorer.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "interleavings/explorer/exploration.hpp"
#include "interleavings/explorer/soak.hpp"

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

void print(std::string_view name, const bounds& most, const findings& found) {
  std::printf("%.*s: %zu interleavings, %s with at most %d preemptions, and %zu at random\n",
              static_cast<int>(name.size()), name.data(), found.interleavings,
              found.all ? "all" : "not all", most.preemptions, found.random);
  std::fflush(stdout);
}

soak soaking;
bool has_replayed = false;

/// Does what needs all scenarios to be known, when all test cases have named theirs.
struct at_the_end : doctest::IReporter {
  explicit at_the_end(const doctest::ContextOptions&) {}
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats&) override {
    const auto seconds = number_from_environment("ASYNC_TIMER_SOAK_SECONDS").value_or(0);
    if (!soaking.empty()) soaking.run(first_seed(), std::chrono::seconds(seconds));
    if (from_environment("ASYNC_TIMER_REPLAY") && !has_replayed) {
      std::printf("nothing was replayed: no scenario is named so\n");
    }
  }
  void test_case_start(const doctest::TestCaseData&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};

DOCTEST_REGISTER_LISTENER("at_the_end", 1, at_the_end);

}  // namespace

findings find(std::string_view name, const bounds& most, const scenario& what) {
  exploration one(name, most, what);
  one.go_through();
  one.at_random(first_seed(), most.random);
  return one.found();
}

void explore(std::string_view name, const bounds& most, const scenario& what) {
  if (from_environment("ASYNC_TIMER_SOAK_SECONDS")) {
    soaking.add(name, most, what);
    return;
  }
  if (const auto wanted = from_environment("ASYNC_TIMER_REPLAY")) {
    const std::string mine = std::string(name) + ": ";
    if (!wanted->starts_with(mine)) return;
    has_replayed = true;
    exploration one(name, most, what);
    one.replay(std::string_view(*wanted).substr(mine.size()));
    CHECK_MESSAGE(one.found().failure.empty(), one.found().failure);
    return;
  }
  const auto found = find(name, most, what);
  CHECK_MESSAGE(found.failure.empty(), found.failure);
  if (found.failure.empty()) print(name, most, found);
}

}  // namespace interleaving
