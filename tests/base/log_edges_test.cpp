// The default log sink: what it holds back in a second it counts, and tells with the next line.
#include <doctest/doctest.h>

#include <async_timer/base/log.hpp>
#include <cstdint>
#include <string>

#include "support/capture.hpp"

using async_timer::log_level;
using async_timer::base::event_tag;
using async_timer::base::flood_gate;
using async_timer::base::log_hub;

namespace {

constexpr std::int64_t evening = 1'700'000'000;

std::string suffix(int more) { return " (" + std::to_string(more) + " more like it held back)"; }

/// Gives what the default sink prints of an event in a second.
std::string printed(std::uint64_t key, std::int64_t second) {
  return test::stderr_of([&] {
    auto& hub = log_hub::instance();
    if (!hub.holds_back(key, second)) hub.write({log_level::warning, "l", "e", "m", {}});
  });
}

}  // namespace

TEST_CASE("log: a line of the default sink tells how many like it were held back") {
  async_timer::set_log_sink({});
  const auto key = flood_gate::key_of(event_tag("counted"), "a timer of this test");
  CHECK(printed(key, evening) == "WARNING l: m\n");
  for (int i = 0; i < 41; ++i) CHECK(printed(key, evening) == "");
  CHECK(printed(key, evening + 1) == "WARNING l: m" + suffix(41) + '\n');
  CHECK(printed(key, evening + 1) == "");
  CHECK(printed(key, evening + 2) == "WARNING l: m" + suffix(1) + '\n');
  CHECK(printed(key, evening + 3) == "WARNING l: m\n");
}

TEST_CASE("log: events in turns are counted each for itself") {
  async_timer::set_log_sink({});
  constexpr std::uint64_t one = 1001;  // they don't share a place
  constexpr std::uint64_t other = 1002;
  CHECK(printed(one, evening) == "WARNING l: m\n");
  CHECK(printed(other, evening) == "WARNING l: m\n");
  CHECK(printed(one, evening) == "");
  CHECK(printed(one, evening) == "");
  CHECK(printed(other, evening) == "");
  CHECK(printed(one, evening + 1) == "WARNING l: m" + suffix(2) + '\n');
  CHECK(printed(other, evening + 1) == "WARNING l: m" + suffix(1) + '\n');
}

TEST_CASE("log: what nobody asked to hold back is printed without a count") {
  async_timer::set_log_sink({});
  const auto key = flood_gate::key_of(event_tag("held"), "another timer of this test");
  CHECK(printed(key, evening) == "WARNING l: m\n");
  CHECK(printed(1003, evening) == "WARNING l: m\n");
  CHECK(printed(key, evening) == "");
  CHECK(test::stderr_of([] {
          async_timer::base::log({log_level::error, "l", "e", "m", {}});
        }) == "ERROR l: m\n");
}
