// Boost.Asio and standalone Asio in one program.
#include <doctest/doctest.h>
#include <async_timer/base/errors.hpp>

#include "both/probe.hpp"

TEST_CASE("both backends live in one program as different types with different services") {
  const probe boost = probe_boost();
  const probe standalone = probe_standalone();
  CHECK(boost.ticks == 10);
  CHECK(standalone.ticks == 10);
  CHECK(*boost.timer_type != *standalone.timer_type);
  CHECK(boost.service_id != standalone.service_id);
}
