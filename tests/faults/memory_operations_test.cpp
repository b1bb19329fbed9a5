// Every allocation fails in turn: the operations of a timer, by themselves and cancelled by their
// slots. Whatever failed, a handler is called once, or its initiation threw.
#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "support/operations.hpp"
#include "support/stage.hpp"

using namespace test;
using async_timer::timer;

namespace {

using int_timer = timer<int>;

/// Calls scenario(stage, timer) for a timer that ticks each second and rests now.
template <class Scenario>
void with_running_timer(Scenario scenario) {
  fail_each([scenario](stage& on) {
    const auto t = [&on] {
      const spared_memory ours;
      auto made = std::make_unique<int_timer>(on.io, 1s, [c = on.capture()] { return 42; });
      made->start();
      on.pass(100ms);
      return made;
    }();
    scenario(on, *t);
    on.calm();
    on.expect_works(*t);
  });
}

}  // namespace

TEST_CASE("no memory: each operation, until the next tick and until the end") {
  for_each_operation([](const std::string& name, auto initiate) {
    CAPTURE(name);
    with_running_timer([initiate](stage& on, int_timer& t) {
      on.begin("one", [&](auto handler) { initiate(t, std::move(handler)); });
      on.begin("another", [&](auto handler) { initiate(t, std::move(handler)); });
      on.pass(2s);
      t.request_stop();
      on.pass(0s);
    });
  });
}

TEST_CASE("no memory: each operation, with a slot, which is emitted to later") {
  for_each_operation([](const std::string& name, auto initiate) {
    CAPTURE(name);
    with_running_timer([initiate](stage& on, int_timer& t) {
      on.begin_cancellable("one", [&](auto handler) { initiate(t, std::move(handler)); });
      on.settle();
      on.begin_cancellable("another", [&](auto handler) { initiate(t, std::move(handler)); });
      on.cancel_all();
      on.pass(2s);
      on.cancel_all();
    });
  });
}

TEST_CASE("no memory: each operation, on a timer that is not running") {
  for_each_operation([](const std::string& name, auto initiate) {
    CAPTURE(name);
    fail_each([initiate](stage& on) {
      const auto t = on.make([&] {
        return int_timer(on.io, 1s, [c = on.capture()] { return 42; }, {.name = "a name"});
      });
      if (!t) return;
      on.begin_cancellable("one", [&](auto handler) { initiate(*t, std::move(handler)); });
      on.settle();
      on.calm();
      on.expect_works(*t);
    });
  });
}

TEST_CASE("no memory: the target fails while all wait") {
  fail_each([](stage& on) {
    bool fails = false;
    const auto t = on.make([&] {
      return int_timer(on.io, 1s, [&fails, c = on.capture()] {
        if (fails) throw std::runtime_error("a failure whose text is too long to be kept in place");
        return 42;
      });
    });
    if (!t || !on.attempt([&] { t->start(); })) return;
    on.pass(100ms);
    if (!t->is_running()) return;
    for_each_operation([&](const char* name, auto initiate) {
      if (std::string_view(name) == "cancel") return;
      on.begin_cancellable(name, [&](auto handler) { initiate(*t, std::move(handler)); });
    });
    fails = true;
    on.pass(2s);
    CHECK_FALSE(t->is_running());
    on.expect_runs_or_was_heard(*t);
    fails = false;
    on.calm();
    on.expect_works(*t);
  });
}

TEST_CASE("no memory: a bounded wait whose time is over") {
  with_running_timer([](stage& on, int_timer& t) {
    on.begin_cancellable("counted", [&](auto handler) {
      t.wait({.hits = 1, .timeout = 200ms}, std::move(handler));
    });
    on.begin_cancellable("idle",
                         [&](auto handler) { t.wait({.timeout = 200ms}, std::move(handler)); });
    on.begin("at once", [&](auto handler) { t.wait({.timeout = 0s}, std::move(handler)); });
    on.pass(500ms);
    CHECK(t.is_running());
  });
}

// Such a strand is larger than what any_io_executor keeps in place, so that even to ask for its
// owner takes memory.
TEST_CASE("no memory: all operations on an executor that can't be passed on without") {
  fail_each(
      [](stage& on) {
        std::optional<net::strand<net::any_io_executor>> strand;
        std::unique_ptr<int_timer> t;
        std::unique_ptr<async_timer::subscription<int>> feed;
        std::unique_ptr<async_timer::timer_group> group;
        {
          const spared_memory ours;
          strand.emplace(net::make_strand(net::any_io_executor(on.io.get_executor())));
          t = std::make_unique<int_timer>(on.io, 1s, [c = on.capture()] { return 42; });
          feed = std::make_unique<async_timer::subscription<int>>(t->subscribe());
          group = std::make_unique<async_timer::timer_group>(on.io);
          group->add(int_timer(on.io, 1s, [c = on.capture()] { return 42; }));
          group->start();
        }
        const auto begin = [&](const char* name, auto initiate) {
          on.begin_cancellable(name, [&](auto handler) {
            initiate(net::bind_executor(*strand, std::move(handler)));
          });
        };
        begin("feed", [&](auto handler) { feed->next(std::move(handler)); });
        begin("group", [&](auto handler) { group->wait({.hits = 1}, std::move(handler)); });
        if (on.attempt([&] { t->start(); })) {
          for_each_operation([&](const char* name, auto initiate) {
            begin(name, [&](auto handler) { initiate(*t, std::move(handler)); });
          });
        }
        begin("cancel_all", [&](auto handler) { group->cancel_all(std::move(handler)); });
        on.settle();
        on.calm();
        t->request_stop();
        feed.reset();
        group.reset();
      },
      spared_for_asio::some);
}

TEST_CASE("no memory: the timer is destroyed while all wait") {
  fail_each([](stage& on) {
    auto t = on.make([&] { return int_timer(on.io, 1s, [c = on.capture()] { return 42; }); });
    if (!t || !on.attempt([&] { t->start(); })) return;
    on.pass(100ms);
    for_each_operation([&](const char* name, auto initiate) {
      on.begin_cancellable(name, [&](auto handler) { initiate(*t, std::move(handler)); });
    });
    t.reset();
    on.settle();
  });
}

TEST_CASE("no memory: the context is destroyed while all wait") {
  fail_each(
      [](stage& on) {
        // Another one than the stage's, which goes while allocations fail.
        auto context = [] {
          const spared_memory ours;
          return std::make_unique<virtual_context>();
        }();
        const auto t = on.make([&] {
          return timer<std::string>(net::make_strand(context->io), 1s,
                                    [c = on.capture()] { return std::string(64, 'x'); });
        });
        if (!t || !on.attempt([&] { t->start(); })) return;
        context->clock.run_until_idle();
        int dropped = 0;
        for_each_operation([&](const char* name, auto initiate) {
          if (std::string_view(name) == "cancel") return;
          static_cast<void>(name);
          on.attempt([&] { initiate(*t, [c = on.capture()](auto&&...) { FAIL("was called"); }); });
          ++dropped;
        });
        context.reset();
        CHECK(on.captures == 1);  // the target's own
        CHECK_FALSE(t->is_running());
      },
      spared_for_asio::some);
}
