// Every allocation fails in turn: groups.
#include <doctest/doctest.h>

#include <string>
#include <utility>

#include "support/stage.hpp"

using namespace test;
using async_timer::timer;
using async_timer::timer_group;

namespace {

auto texts(stage& on) {
  return timer<std::string>(on.io, 1s, [c = on.capture()] { return long_text; },
                            {.name = long_text});
}
auto numbers(stage& on) {
  return timer<int>(on.io, 1s, [c = on.capture()] { return 42; });
}

/// Makes a group of two that runs and rests.
std::unique_ptr<timer_group> running(stage& on) {
  const spared_memory ours;
  auto group = std::make_unique<timer_group>(on.io, async_timer::group_options{.name = long_text});
  group->add(texts(on));
  group->add(numbers(on));
  group->start();
  on.pass(100ms);
  return group;
}

/// Asserts that the group serves as if nothing had happened.
void expect_works(stage& on, timer_group& group) {
  on.calm();
  outcome<void*> cancelled;
  group.cancel_all(into(cancelled));
  on.pass(0s);
  CHECK(cancelled.completions == 1);
  REQUIRE_FALSE(group.is_running());
  group.start();
  CHECK(group.is_running());
  outcome<std::vector<async_timer::group_result>> ticked;
  group.wait({.hits = 2}, into(ticked));
  on.pass(3s);
  CHECK(ticked.completions == 1);
  CHECK(ticked.kind() == "");
}

}  // namespace

TEST_CASE("no memory: a group that is made, filled, started and filled on") {
  fail_each([](stage& on) {
    auto group = on.make([&] { return timer_group(on.io, {.name = long_text}); });
    if (!group) return;
    auto first = on.make([&] { return texts(on); });
    auto second = on.make([&] { return numbers(on); });
    auto third = on.make([&] { return numbers(on); });
    std::size_t members = 0;
    // A timer that could not be added is where it was.
    const auto add = [&](auto& t) {
      if (!t) return;
      const auto name = t->ref();
      if (on.attempt([&] { group->add(std::move(*t)); })) {
        ++members;
      } else {
        CHECK(t->ref() == name);
      }
    };
    add(first);
    add(second);
    const bool started = on.attempt([&] { group->start(); });
    CHECK(group->is_running() == started);
    on.settle();
    add(third);
    CHECK(group->size() == members);
    on.pass(2s);
    expect_works(on, *group);
  });
}

TEST_CASE("no memory: a group's wait, to its end and cancelled by its slot") {
  fail_each([](stage& on) {
    const auto group = running(on);
    on.begin_cancellable("hits",
                         [&](auto handler) { group->wait({.hits = 2}, std::move(handler)); });
    on.begin("results", [&](auto handler) {
      group->wait({.hits = 1, .timeout = 10s, .return_exceptions = true}, std::move(handler));
    });
    on.begin_cancellable("end", [&](auto handler) { group->wait(std::move(handler)); });
    on.pass(1s);
    on.cancel_all();
    on.pass(2s);
    expect_works(on, *group);
  });
}

TEST_CASE("no memory: a group's wait whose time is over") {
  fail_each([](stage& on) {
    const auto group = running(on);
    on.begin_cancellable("later", [&](auto handler) {
      group->wait({.hits = 5, .timeout = 200ms}, std::move(handler));
    });
    on.begin("at once",
             [&](auto handler) { group->wait({.hits = 5, .timeout = 0s}, std::move(handler)); });
    on.pass(300ms);
    CHECK(group->is_running());
    expect_works(on, *group);
  });
}

TEST_CASE("no memory: a group's trigger") {
  fail_each([](stage& on) {
    const auto group = running(on);
    on.begin_cancellable("all", [&](auto handler) { group->trigger(std::move(handler)); });
    on.begin("bounded", [&](auto handler) {
      group->trigger({.timeout = 10s, .return_exceptions = true}, std::move(handler));
    });
    on.settle();
    on.pass(1s);
    expect_works(on, *group);
  });
}

TEST_CASE("no memory: cancel_all stops all, whatever becomes of the wait for it") {
  fail_each([](stage& on) {
    const auto group = running(on);
    bool asked = false;
    on.begin_cancellable("cancel_all", [&](auto handler) {
      asked = true;
      group->cancel_all(std::move(handler));
    });
    on.settle();
    if (asked) {
      const spared_memory ours;
      for (const auto& member : *group) CHECK_FALSE(member.is_running());
      CHECK_FALSE(group->add(numbers(on)).is_running());  // as the group is not active any more
    }
    expect_works(on, *group);
  });
}

TEST_CASE("no memory: a group that is destroyed while all wait") {
  fail_each([](stage& on) {
    auto group = running(on);
    on.begin_cancellable("wait", [&](auto handler) { group->wait(std::move(handler)); });
    on.begin_cancellable("hits", [&](auto handler) {
      group->wait({.hits = 5, .timeout = 10s}, std::move(handler));
    });
    on.begin_cancellable("trigger", [&](auto handler) { group->trigger(std::move(handler)); });
    group.reset();
    on.settle();
    on.calm();
  });
}
