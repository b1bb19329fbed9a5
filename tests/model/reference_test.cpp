// The model complains of what the contract rules out, and a failure gets small: what the random
// programs stand on.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "model/generator.hpp"
#include "model/reference.hpp"
#include "model/shrink.hpp"

namespace {

using namespace model;

/// Is a timer of a second that was started, with its target called once.
struct ticking {
  reference m;
  int timer = 0;

  ticking() {
    m.set_now(0);
    m.run_handlers(true);
    plan made;
    made.name = "t";
    made.delay = 1'000'000'000;
    made.has_on_stop = true;
    timer = m.make_timer(made);
    m.start(timer, 0);
    m.called(timer);
    m.answered(timer, {ending::value, 1});
    m.check_nothing_left();
    REQUIRE(m.complaint() == "");
  }
  [[nodiscard]] bool complains_of(const std::string& text) const {
    CAPTURE(m.complaint());
    return m.complaint().find(text) != std::string::npos;
  }
};

}  // namespace

TEST_CASE_FIXTURE(ticking, "model: a tick on time is right, one before it is not") {
  SUBCASE("on time") {
    m.move_to(1'000'000'000);
    m.called(timer);
    CHECK(m.complaint() == "");
  }
  SUBCASE("early") {
    m.move_to(999'999'999);
    m.called(timer);
    CHECK(complains_of("when it was not due"));
  }
  SUBCASE("not at all") {
    m.move_to(1'000'000'001);
    CHECK(complains_of("passed over a tick"));
  }
}

TEST_CASE_FIXTURE(ticking, "model: a target is never called in its own call, nor after a stop") {
  m.move_to(1'000'000'000);
  SUBCASE("in its own call") {
    m.called(timer);
    m.called(timer);
    CHECK(complains_of("while it is in flight"));
  }
  SUBCASE("after a stop") {
    m.request_stop(timer);
    m.called(timer);
    CHECK(complains_of("after a stop"));
  }
}

TEST_CASE_FIXTURE(ticking, "model: an operation completes once, in its turn, with its value") {
  const int first = m.begin(asked::join, timer, {}, -1);
  const int second = m.begin(asked::next, timer, {}, -1);
  m.move_to(1'000'000'000);
  SUBCASE("before the tick") {
    m.completed(first, {ending::value, 2});
    CHECK(complains_of("for no reason"));
  }
  m.called(timer);
  m.answered(timer, {ending::value, 2});
  SUBCASE("in its turn") {
    m.completed(first, {ending::value, 2});
    m.completed(second, {ending::value, 2});
    m.check_nothing_left();
    CHECK(m.complaint() == "");
    m.completed(second, {ending::value, 2});
    CHECK(complains_of("once more"));
  }
  SUBCASE("before another one's turn") {
    m.completed(second, {ending::value, 2});
    CHECK(complains_of("completes before join"));
  }
  SUBCASE("with another value") {
    m.completed(first, {ending::value, 1});
    CHECK(complains_of("not with value 2"));
  }
  SUBCASE("never") {
    m.check_nothing_left();
    CHECK(complains_of("its handler was not called"));
  }
}

TEST_CASE_FIXTURE(ticking, "model: a run that was stopped ends, with on_stop before all who wait") {
  const int op = m.begin_cancel(timer, -1);
  SUBCASE("in this order") {
    m.called_back(true, timer, 0);
    m.proceed();
    m.completed(op, {ending::value});
    m.check_nothing_left();
    CHECK(m.complaint() == "");
  }
  SUBCASE("the handler first") {
    m.completed(op, {ending::value});
    CHECK(complains_of("for no reason"));
  }
  SUBCASE("not at all") {
    m.check_nothing_left();
    CHECK(complains_of("the run has not ended"));
  }
}

TEST_CASE("shrink: what is left is what it takes to go wrong") {
  const auto has = [](const program& p, verb what, std::int64_t least) {
    return std::any_of(p.begin(), p.end(),
                       [&](const command& c) { return c.what == what && c.a >= least; });
  };
  const auto goes_wrong = [&](const program& p) {
    return has(p, verb::advance, 3'000'000) && has(p, verb::join, 0);
  };
  std::uint64_t seed = 1;
  while (!goes_wrong(make_program(seed))) ++seed;
  const auto small = shrink(make_program(seed), goes_wrong);
  CHECK(goes_wrong(small));
  CHECK(small.size() == 2);
  for (const auto& c : small) CHECK(c.when == moment::now);
}
