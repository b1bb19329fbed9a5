// What tests of groups share.
#ifndef ASYNC_TIMER_TESTS_SUPPORT_GROUPS_HPP
#define ASYNC_TIMER_TESTS_SUPPORT_GROUPS_HPP

#include <doctest/doctest.h>

#include <async_timer/async_timer.hpp>

#include "support/fixture.hpp"

namespace test {

/// Stops all members, and checks that this leaves the context nothing to wait for.
inline void end(virtual_context& context, async_timer::timer_group& group) {
  no_value ended;
  group.cancel_all(into(ended));
  context.clock.run_until_idle();
  CHECK(ended.completions == 1);
  CHECK(ended.kind() == "");
  CHECK(context.out_of_work());
}

}  // namespace test

#endif  // ASYNC_TIMER_TESTS_SUPPORT_GROUPS_HPP
