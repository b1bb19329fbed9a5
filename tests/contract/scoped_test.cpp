// Contract 7.10 and 7.11: scoped use.
#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/fixture.hpp"
#include "support/sleeping_context.hpp"
#include "support/times.hpp"

using namespace test;

namespace {

using events = std::vector<std::string>;

/// Is a context with a target whose clean-up, when it is cancelled, takes some seconds.
class scope_context : public sleeping_context {
 public:
  events log;

  /// Ticks once, and then is in flight for ever.
  [[nodiscard]] auto target(std::chrono::seconds takes = 3s) {
    return [this, takes]() -> net::awaitable<int> {
      if (++calls_ == 1) co_return 1;
      log.push_back("in flight");
      try {
        auto work = pause(1h);
        co_await std::move(work);
      } catch (...) {
      }
      co_await net::this_coro::reset_cancellation_state();
      auto clean_up = pause(takes);
      co_await std::move(clean_up);
      log.push_back("cleaned up");
      throw async_timer::end_of_ticks{};
    };
  }
  [[nodiscard]] async_timer::timer_options options() {
    return {.on_stop = [this] { log.push_back("on_stop"); }};
  }
  /// Runs a coroutine and notes how it ended: "left" or the kind of its error.
  template <class Coroutine>
  void run(Coroutine coroutine) {
    net::co_spawn(io, std::move(coroutine), [this](std::exception_ptr error) {
      log.push_back(error ? kind_of(error) : "left");
    });
  }
  /// As run(), with a way to cancel.
  template <class Coroutine>
  void run(Coroutine coroutine, net::cancellation_signal& signal) {
    net::co_spawn(io, std::move(coroutine),
                  net::bind_cancellation_slot(signal.slot(), [this](std::exception_ptr error) {
                    log.push_back(error ? kind_of(error) : "left");
                  }));
  }

 private:
  int calls_ = 0;
};

std::string free_body_trace;
net::awaitable<int> free_body() {
  free_body_trace += "ran";
  co_return 11;
}

}  // namespace

TEST_CASE_FIXTURE(scope_context,
                  "7.10 scoped: entering starts, leaving cancels and waits for the clean-up") {
  async_timer::timer t{io, 1s, target(), options()};
  run([&]() -> net::awaitable<void> {
    co_await async_timer::scoped(t, [&]() -> net::awaitable<void> {
      log.push_back(t.is_running() ? "body, running" : "body, stopped");
      auto work = pause(2s);
      co_await std::move(work);
      log.push_back("body ends");
    });
    log.push_back(t.is_running() ? "after, running" : "after, stopped");
  });
  clock.advance(2s);
  CHECK(log == events{"body, running", "in flight", "body ends"});
  CHECK_FALSE(t.is_running());
  clock.advance(3s - 1ns);
  CHECK(log.size() == 3);
  clock.advance(1ns);
  CHECK(log == events{"body, running", "in flight", "body ends", "cleaned up", "on_stop",
                      "after, stopped", "left"});
  CHECK(t.hit_count() == 1);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(scope_context, "7.10 scoped: what the body throws comes out after the clean-up") {
  async_timer::timer t{io, 1s, target(), options()};
  run([&]() -> net::awaitable<void> {
    co_await async_timer::scoped(t, [&]() -> net::awaitable<void> {
      auto work = pause(2s);
      co_await std::move(work);
      throw std::runtime_error("body broke");
    });
    log.push_back("not reached");
  });
  clock.advance(4s);
  CHECK(log == events{"in flight"});
  CHECK_FALSE(t.is_running());
  clock.advance(1s);
  CHECK(log == events{"in flight", "cleaned up", "on_stop", "body broke"});
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(scope_context,
                  "7.10 scoped: a body that throws before it is a coroutine ends the scope, too") {
  async_timer::timer t{io, 1s, target(), options()};
  run([&]() -> net::awaitable<void> {
    co_await async_timer::scoped(
        t, [&]() -> net::awaitable<void> { throw std::runtime_error("no coroutine"); });
  });
  CHECK(out_of_work());
  CHECK(log == events{"on_stop", "no coroutine"});
  CHECK_FALSE(t.is_running());
}

TEST_CASE_FIXTURE(scope_context, "7.10 scoped: gives the body's result, a move-only one, too") {
  async_timer::timer t{io, 1s, [] { return 5; }, options()};
  run([&]() -> net::awaitable<void> {
    const int joined = co_await async_timer::scoped(
        t, [&]() -> net::awaitable<int> { co_return co_await t.join(); });
    log.push_back(std::to_string(joined));
    const auto owned = co_await async_timer::scoped(
        t, []() -> net::awaitable<std::unique_ptr<int>> { co_return std::make_unique<int>(7); });
    log.push_back(std::to_string(*owned));
  });
  CHECK(out_of_work());
  CHECK(log == events{"on_stop", "5", "on_stop", "7", "left"});
}

TEST_CASE_FIXTURE(scope_context,
                  "7.10 scoped: a timer that has ended by itself, or was stopped in the body, is "
                  "left in peace") {
  const log_recorder warnings;
  std::string how;
  async_timer::timer t{io, 1s,
                       [&] {
                         if (how == "end") throw async_timer::end_of_ticks{};
                         if (how == "failure") throw std::runtime_error("broken");
                       },
                       options()};
  SUBCASE("end of ticks") { how = "end"; }
  SUBCASE("failure") { how = "failure"; }
  SUBCASE("stopped in the body") { how = "stop"; }
  run([&]() -> net::awaitable<void> {
    co_await async_timer::scoped(t, [&]() -> net::awaitable<void> {
      auto work = pause(3s);
      co_await std::move(work);
      if (how == "stop") co_await t.cancel();
      log.push_back(t.is_running() ? "running" : "stopped");
    });
  });
  clock.advance(3s);
  CHECK(log == events{"on_stop", "stopped", "left"});
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(scope_context,
                  "7.10 scoped: a timer may have been started anew in the body; it is stopped at "
                  "the end, too") {
  async_timer::timer t{io, 1s, [] {}, options()};
  run([&]() -> net::awaitable<void> {
    co_await async_timer::scoped(t, [&]() -> net::awaitable<void> {
      co_await t.cancel();
      t.start();
      log.push_back("restarted");
    });
    log.push_back(t.is_running() ? "running" : "stopped");
  });
  CHECK(out_of_work());
  CHECK(log == events{"on_stop", "restarted", "on_stop", "stopped", "left"});
}

TEST_CASE_FIXTURE(scope_context, "7.10 scoped: does nothing until it is awaited") {
  async_timer::timer t{io, 1s, [] {}, options()};
  {
    const auto body = [&]() -> net::awaitable<void> {
      log.push_back("body");
      co_return;
    };
    auto lazy = async_timer::scoped(t, body);
    clock.advance(5s);
    CHECK_FALSE(t.is_running());
  }
  CHECK(log.empty());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(scope_context,
                  "7.10 scoped: one in another; the inner timer is cleaned up first") {
  async_timer::timer outer{io, 1s, [] {}, {.on_stop = [&] { log.push_back("outer stops"); }}};
  async_timer::timer inner{io, 1s, [] {}, {.on_stop = [&] { log.push_back("inner stops"); }}};
  run([&]() -> net::awaitable<void> {
    co_await async_timer::scoped(outer, [&]() -> net::awaitable<void> {
      co_await async_timer::scoped(inner, [&]() -> net::awaitable<void> {
        auto work = pause(1500ms);
        co_await std::move(work);
      });
      log.push_back(outer.is_running() && !inner.is_running() ? "between" : "wrong");
    });
  });
  clock.advance(2s);
  CHECK(log == events{"inner stops", "between", "outer stops", "left"});
  CHECK(outer.hit_count() == 2);
  CHECK(inner.hit_count() == 2);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(scope_context,
                  "7.10 scoped: to cancel the caller reaches the body, and the clean-up is still "
                  "waited for") {
  async_timer::timer t{io, 1s, target(), options()};
  net::cancellation_signal signal;
  run(
      [&]() -> net::awaitable<void> {
        co_await async_timer::scoped(t, [&]() -> net::awaitable<void> {
          try {
            auto work = pause(1h);
            co_await std::move(work);
          } catch (...) {
            log.push_back("body: " + kind_of(std::current_exception()));
            throw;
          }
        });
      },
      signal);
  clock.advance(2s);
  signal.emit(net::cancellation_type::terminal);
  clock.advance(2s);
  CHECK(log == events{"in flight", "body: stopped"});
  CHECK_FALSE(t.is_running());
  clock.advance(1s);
  CHECK(log == events{"in flight", "body: stopped", "cleaned up", "on_stop", "stopped"});
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(scope_context,
                  "7.10 scoped: to cancel the caller during the clean-up doesn't cut it short") {
  async_timer::timer t{io, 1s, target(), options()};
  net::cancellation_signal signal;
  run(
      [&]() -> net::awaitable<void> {
        co_await async_timer::scoped(t, [&]() -> net::awaitable<void> {
          auto work = pause(2s);
          co_await std::move(work);
        });
        log.push_back(t.is_running() ? "running" : "after the scope");
        auto more = pause(1s);
        co_await std::move(more);
        log.push_back("not reached");
      },
      signal);
  clock.advance(3s);
  signal.emit(net::cancellation_type::terminal);
  clock.advance(1s);
  CHECK(log == events{"in flight"});
  clock.advance(1s);
  CHECK(log == events{"in flight", "cleaned up", "on_stop", "after the scope", "stopped"});
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(scope_context,
                  "7.10 scoped: what the caller had said about cancellation holds again after the "
                  "scope") {
  async_timer::timer t{io, 1s, [] {}, options()};
  std::vector<bool> throws;
  run([&]() -> net::awaitable<void> {
    for (const bool wanted : {true, false}) {
      co_await net::this_coro::throw_if_cancelled(wanted);
      co_await async_timer::scoped(t, []() -> net::awaitable<void> { co_return; });
      const bool found = co_await net::this_coro::throw_if_cancelled();
      throws.push_back(found);
    }
  });
  CHECK(out_of_work());
  CHECK(throws == std::vector<bool>{true, false});
}

TEST_CASE_FIXTURE(scope_context,
                  "7.11 scoped: on a running timer it fails, without the body, and the timer runs "
                  "on") {
  int count = 0;
  async_timer::timer t{io, 1s, [&] { ++count; }, options()};
  t.start();
  clock.advance(500ms);
  run([&]() -> net::awaitable<void> {
    co_await async_timer::scoped(t, [&]() -> net::awaitable<void> {
      log.push_back("body");
      co_return;
    });
  });
  clock.run_until_idle();
  CHECK(log == events{"already_running"});
  CHECK(t.is_running());
  clock.advance(2s);
  CHECK(count == 3);
  t.request_stop();
  CHECK(out_of_work());
  CHECK(log == events{"already_running", "on_stop"});
}

TEST_CASE_FIXTURE(scope_context, "7.11 scoped: a timer's scope can't be entered in itself") {
  async_timer::timer t{io, 1s, [] {}, options()};
  run([&]() -> net::awaitable<void> {
    co_await async_timer::scoped(t, [&]() -> net::awaitable<void> {
      try {
        co_await async_timer::scoped(t, []() -> net::awaitable<void> { co_return; });
      } catch (...) {
        log.push_back(kind_of(std::current_exception()));
      }
      log.push_back(t.is_running() ? "running" : "stopped");
    });
  });
  CHECK(out_of_work());
  CHECK(log == events{"already_running", "running", "on_stop", "left"});
}

TEST_CASE_FIXTURE(scope_context,
                  "7.10 scoped: bodies of all kinds (settled question 1): a named closure with "
                  "captures that need a destructor, a function, one that can't be copied") {
  async_timer::timer t{io, 1s, [] {}};
  const auto counted = std::make_shared<int>(0);
  free_body_trace.clear();
  run([&]() -> net::awaitable<void> {
    auto copied = [counted]() -> net::awaitable<int> { co_return ++*counted; };
    const int first = co_await async_timer::scoped(t, copied);
    const int second = co_await async_timer::scoped(t, copied);
    const int third = co_await async_timer::scoped(t, free_body);
    auto move_only = [held = std::make_unique<int>(21)]() -> net::awaitable<int> {
      co_return (*held)++;
    };
    const int fourth = co_await async_timer::scoped(t, move_only);
    const int fifth = co_await async_timer::scoped(t, move_only);
    log = {std::to_string(first), std::to_string(second), std::to_string(third),
           std::to_string(fourth), std::to_string(fifth)};
  });
  CHECK(out_of_work());
  CHECK(log == events{"1", "2", "11", "21", "22", "left"});
  CHECK(free_body_trace == "ran");
  CHECK(counted.use_count() == 1);
  CHECK_FALSE(t.is_running());
}

TEST_CASE_FIXTURE(scope_context, "7.10, D9 scoped: a timer that the body moves away stops there") {
  async_timer::timer t{io, 1s, [] {}, options()};
  std::optional<async_timer::timer<void>> moved;
  async_timer::timer other{io, 1s, [] {}, {.on_stop = [this] { log.push_back("other on_stop"); }}};
  bool replaces = false;
  SUBCASE("and is waited for") {}
  SUBCASE("and so does the one that takes its place") { replaces = true; }
  run([&]() -> net::awaitable<void> {
    const auto body = [&]() -> net::awaitable<int> {
      moved.emplace(std::move(t));
      if (replaces) {
        t = std::move(other);
        t.start();
      }
      co_return 3;
    };
    const int result = co_await async_timer::scoped(t, body);
    CHECK_FALSE(moved->is_running());
    if (replaces) CHECK_FALSE(t.is_running());
    log.push_back(std::to_string(result));
  });
  CHECK(out_of_work());
  const auto expected =
      replaces ? events{"on_stop", "other on_stop", "3", "left"} : events{"on_stop", "3", "left"};
  CHECK(log == expected);
}

TEST_CASE_FIXTURE(scope_context,
                  "7.10, D9 scoped: one that took the place of another is stopped at once, and "
                  "waited for, though that takes its time") {
  async_timer::timer t{io, 1s, target(), options()};
  async_timer::timer other{
      io, 1s, target(6s), {.on_stop = [this] { log.push_back("other on_stop"); }}};
  std::optional<async_timer::timer<int>> moved;
  const auto enter = [&]() -> net::awaitable<void> {
    const auto body = [&]() -> net::awaitable<void> {
      co_await t.wait({.hits = 1});
      moved.emplace(std::move(t));
      t = std::move(other);
      t.start();
      auto flight = pause(5s);
      co_await std::move(flight);
    };
    co_await async_timer::scoped(t, body);
  };
  run(enter);
  clock.advance(7s);
  CHECK_FALSE(moved->is_running());
  CHECK_FALSE(t.is_running());
  CHECK(log == events{"in flight", "in flight"});
  clock.advance(4s);
  CHECK(log == events{"in flight", "in flight", "cleaned up", "on_stop", "cleaned up",
                      "other on_stop", "left"});
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(scope_context,
                  "7.10, 20.4 scoped: a group that the body moves away stops there, and the one "
                  "that takes its place, too") {
  const auto named = [this](const std::string& name) {
    return async_timer::timer_options{.on_stop = [this, name] { log.push_back(name); }};
  };
  async_timer::timer_group group{io};
  group.add(async_timer::timer{io, 1s, [] {}, named("entered")});
  std::optional<async_timer::timer_group> moved;
  bool replaces = false;
  SUBCASE("moved away alone") {}
  SUBCASE("with another in its place") { replaces = true; }
  const auto enter = [&]() -> net::awaitable<void> {
    const auto body = [&]() -> net::awaitable<int> {
      moved.emplace(std::move(group));
      if (replaces) {
        group = async_timer::timer_group{io};
        group.add(async_timer::timer{io, 1s, [] {}, named("other")});
        group.start();
      }
      co_return 3;
    };
    const int result = co_await async_timer::scoped(group, body);
    CHECK_FALSE(moved->is_running());
    if (replaces) CHECK_FALSE(group.is_running());
    log.push_back(std::to_string(result));
  };
  run(enter);
  CHECK(out_of_work());
  CHECK(log ==
        (replaces ? events{"entered", "other", "3", "left"} : events{"entered", "3", "left"}));
}

TEST_CASE_FIXTURE(scope_context,
                  "7.10, 20.4 scoped: a group that took the place of another is stopped at once") {
  async_timer::timer_group group{io};
  group.add(async_timer::timer{io, 1s, target(), options()});
  std::optional<async_timer::timer_group> moved;
  const auto enter = [&]() -> net::awaitable<void> {
    const auto body = [&]() -> net::awaitable<void> {
      auto flight = pause(2s);
      co_await std::move(flight);
      moved.emplace(std::move(group));
      group = async_timer::timer_group{io};
      group.add(async_timer::timer{io, 1h, [] {}});
      group.start();
    };
    co_await async_timer::scoped(group, body);
  };
  run(enter);
  clock.advance(2s);
  CHECK(log == events{"in flight"});
  CHECK_FALSE(group.is_running());
  clock.advance(3s);
  CHECK(log == events{"in flight", "cleaned up", "on_stop", "left"});
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(scope_context,
                  "7.10, 20.4 scoped: a group that the body has destroyed is waited for") {
  async_timer::timer_group group{io};
  group.add(async_timer::timer{io, 1s, target(), options()});
  bool replaces = false;
  SUBCASE("with another in its place") { replaces = true; }
  SUBCASE("with none") {}
  const auto enter = [&]() -> net::awaitable<void> {
    const auto body = [&]() -> net::awaitable<void> {
      auto flight = pause(2s);
      co_await std::move(flight);
      async_timer::timer_group gone{std::move(group)};
      if (replaces) gone = async_timer::timer_group{io};
    };
    co_await async_timer::scoped(group, body);
  };
  run(enter);
  clock.advance(2s);
  CHECK(log == events{"in flight"});
  clock.advance(3s);
  CHECK(log == events{"in flight", "cleaned up", "on_stop", "left"});
  CHECK(out_of_work());
}

namespace {

/// Is a group of a user's own that uses names of the library's.
class own_group : public async_timer::timer_group {
 public:
  using async_timer::timer_group::timer_group;

 private:
  [[maybe_unused]] int state_ = 0;
};

}  // namespace

TEST_CASE_FIXTURE(scope_context, "7.10, 20.4 scoped: a group of a user's own") {
  own_group group{io};
  group.add(async_timer::timer{io, 1s, [] {}, options()});
  const auto enter = [&]() -> net::awaitable<void> {
    const auto body = [&]() -> net::awaitable<bool> { co_return group.is_running(); };
    const bool was_running = co_await async_timer::scoped(group, body);
    CHECK(was_running);
    CHECK_FALSE(group.is_running());
  };
  run(enter);
  CHECK(out_of_work());
  CHECK(log == events{"on_stop", "left"});
}

TEST_CASE("7.10, D9 scoped: one that is dropped with its context leaves nothing behind") {
  const auto captured = std::make_shared<int>(0);
  int stops = 0;
  {
    net::io_context io{1};
    async_timer::virtual_clock clock{io};
    async_timer::timer t{io, 1s, [captured] { ++*captured; }, {.on_stop = [&] { ++stops; }}};
    const auto body = [&t]() -> net::awaitable<void> { co_await t.wait(); };
    net::co_spawn(
        io, [&]() -> net::awaitable<void> { co_await async_timer::scoped(t, body); },
        [](std::exception_ptr) {});
    clock.advance(2s);
    CHECK(*captured == 3);
  }
  CHECK(captured.use_count() == 1);
  CHECK(stops == 0);
}
