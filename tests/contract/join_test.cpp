// Contract section 9: join.
#include <doctest/doctest.h>

#include "support/fixture.hpp"

using namespace test;

TEST_CASE_FIXTURE(virtual_context,
                  "9.1 join: gives the value of the next tick, never of a past one") {
  int count = 0;
  async_timer::timer t{io, 1s, [&] { return ++count; }};
  t.start();
  clock.advance(0s);
  REQUIRE(count == 1);
  outcome<int> joined;
  t.join(into(joined));
  clock.run_until_idle();
  CHECK_FALSE(joined.done());
  clock.advance(1s);
  CHECK(joined.completions == 1);
  CHECK(joined.kind() == "");
  CHECK(joined.value == 2);
  t.request_stop();
  CHECK(out_of_work());
}
