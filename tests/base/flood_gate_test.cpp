// What keeps the default log sink from flooding (question 15): time is an argument.
#include <doctest/doctest.h>

#include <async_timer/base/flood_gate.hpp>
#include <cstdint>
#include <memory>
#include <optional>

using async_timer::base::event_tag;
using async_timer::base::flood_gate;

namespace {

// Keys that don't share a place.
constexpr std::uint64_t skip = 1;
constexpr std::uint64_t fail = 2;
constexpr std::int64_t noon = 1'700'000'000;

}  // namespace

TEST_CASE("flood_gate: one line in a second, the next one tells how many were held back") {
  flood_gate gate;
  CHECK(gate.pass(skip, noon) == 0);
  for (int i = 0; i < 41; ++i) CHECK(gate.pass(skip, noon) == std::nullopt);
  CHECK(gate.pass(skip, noon + 1) == 41);
  CHECK(gate.pass(skip, noon + 1) == std::nullopt);
  CHECK(gate.pass(skip, noon + 3600) == 1);
  CHECK(gate.pass(skip, noon + 3601) == 0);
}

TEST_CASE("flood_gate: events don't hold each other back") {
  flood_gate gate;
  CHECK(gate.pass(skip, noon) == 0);
  CHECK(gate.pass(fail, noon) == 0);
  CHECK(gate.pass(skip, noon) == std::nullopt);
  CHECK(gate.pass(fail, noon) == std::nullopt);
  CHECK(gate.pass(fail, noon) == std::nullopt);
  CHECK(gate.pass(skip, noon + 1) == 1);
  CHECK(gate.pass(fail, noon + 1) == 2);
}

TEST_CASE("flood_gate: a clock that is set back holds nothing back") {
  flood_gate gate;
  CHECK(gate.pass(skip, noon) == 0);
  CHECK(gate.pass(skip, noon - 100) == 0);
  CHECK(gate.pass(skip, noon - 100) == std::nullopt);
  CHECK(gate.pass(skip, noon) == 1);
}

TEST_CASE("flood_gate: however many events there are, the first line of each comes through") {
  const auto gate = std::make_unique<flood_gate>();
  for (std::uint64_t key = 1; key <= 10'000; ++key) {
    CHECK(gate->pass(key, noon).has_value());
  }
}

TEST_CASE("flood_gate: a key is of the event and the timer") {
  CHECK(flood_gate::key_of(event_tag("skip"), "a") == flood_gate::key_of(event_tag("skip"), "a"));
  CHECK(flood_gate::key_of(event_tag("skip"), "a") != flood_gate::key_of(event_tag("skip"), "b"));
  CHECK(flood_gate::key_of(event_tag("skip"), "a") != flood_gate::key_of(event_tag("fail"), "a"));
  CHECK(flood_gate::key_of(event_tag("skip"), "a") != flood_gate::key_of(event_tag("a"), "skip"));
  CHECK(flood_gate::key_of(event_tag("ab"), "c") != flood_gate::key_of(event_tag("a"), "bc"));
}
