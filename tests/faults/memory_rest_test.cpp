// Every allocation fails in turn: scoped use, every(), mock timers, the virtual clock, the blocking
// forms, callbacks, and what is read.
#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <utility>

#include "support/stage.hpp"

using namespace test;
using async_timer::timer;

namespace {

struct body_failed {};

/// Is what became of a scope.
struct scope_record {
  bool entered = false;  ///< the body was asked for, whether or not it had memory to begin
  int bodies = 0;
  bool ended = false;  ///< it did, unless the completion that it waited for could not be posted
  bool body_was_told = false;  ///< the error was that of the body
};

net::awaitable<void> failing_body(int& ran) {
  ++ran;
  throw body_failed();
  co_return;
}
net::awaitable<void> short_body(int& ran) {
  ++ran;
  co_return;
}
/// Fails no allocation but its own: at both ends of a coroutine those of Asio come out of run().
template <class Timer>
net::awaitable<void> use_scoped(Timer& t, bool fails, scope_record& seen,
                                std::optional<spared_memory>& spared, counted_capture,
                                const std::function<void()>& meanwhile) {
  struct spare_again {
    std::optional<spared_memory>& spared;
    ~spare_again() { spared.emplace(); }
  };
  spared.reset();
  const spare_again at_end{spared};
  auto body = [&] {
    seen.entered = true;
    if (meanwhile) meanwhile();
    return fails ? failing_body(seen.bodies) : short_body(seen.bodies);
  };
  try {
    auto scope = async_timer::scoped(t, body);
    co_await std::move(scope);
  } catch (const body_failed&) {
    seen.body_was_told = true;
  } catch (...) {
    seen.ended = true;
    throw;
  }
  seen.ended = true;
}

template <class Timer>
scope_record enter_and_leave(stage& on, Timer& t, bool fails,
                             const std::function<void()>& meanwhile = {}) {
  scope_record seen;
  std::optional<spared_memory> spared(std::in_place);
  on.begin("scoped", [&](auto handler) {
    net::co_spawn(on.io, use_scoped(t, fails, seen, spared, on.capture(), meanwhile),
                  std::move(handler));
  });
  on.pass(1s);
  CHECK(spared.has_value());  // the coroutine is over
  spared.reset();
  return seen;
}

/// Leaves no timer running, and tells the error of a body that failed, whatever else did.
template <class Timer>
scope_record play_scope(stage& on, Timer& t, bool fails) {
  const scope_record seen = enter_and_leave(on, t, fails);
  CHECK(seen.bodies <= 1);
  if (seen.ended) CHECK(seen.body_was_told == (fails && seen.bodies == 1));
  CHECK_FALSE(t.is_running());
  return seen;
}

}  // namespace

TEST_CASE("no memory: scoped") {
  for (const bool fails : {true, false}) {
    fail_each(
        [fails](stage& on) {
          const auto t =
              on.make([&] { return timer<int>(on.io, 1s, [c = on.capture()] { return 42; }); });
          if (!t) return;
          play_scope(on, *t, fails);
          on.calm();
          on.expect_works(*t);
        },
        spared_for_asio::some);
  }
}

TEST_CASE("no memory: scoped, of a timer that the body moves away") {
  for (const bool replaces : {true, false}) {
    fail_each(
        [replaces](stage& on) {
          std::optional<timer<int>> t;
          std::optional<timer<int>> other;
          std::optional<timer<int>> moved;
          std::function<void()> moves;
          {
            const spared_memory ours;
            moves = [&] {
              moved.emplace(std::move(*t));
              if (replaces) *t = std::move(*other);
            };
            t.emplace(on.io, 1s, [c = on.capture()] { return 42; });
            other.emplace(on.io, 1s, [c = on.capture()] { return 43; });
            other->start();
            on.settle();
          }
          enter_and_leave(on, *t, false, moves);
          if (moved) {
            CHECK_FALSE(moved->is_running());
            CHECK((!replaces || !t->is_running()));
          }
          on.calm();
        },
        spared_for_asio::some);
  }
}

TEST_CASE("no memory: scoped, of a group") {
  for (const bool fails : {true, false}) {
    fail_each(
        [fails](stage& on) {
          std::unique_ptr<async_timer::timer_group> group;
          {
            const spared_memory ours;
            group = std::make_unique<async_timer::timer_group>(on.io);
            group->add(timer<int>(on.io, 1s, [c = on.capture()] { return 42; }));
            group->add(timer<int>(on.io, 1s, [c = on.capture()] { return 43; })).start();
            on.settle();
          }
          const scope_record seen = play_scope(on, *group, fails);
          on.calm();
          // Where it could not be entered the one that ran before runs on.
          bool may_run = false;
          for (const auto& each : *group) {
            if (!may_run) CHECK_FALSE(each.is_running());
            may_run = !seen.entered;
          }
        },
        spared_for_asio::some);
  }
}

TEST_CASE("no memory: scoped, of a group that can't be started, stops only whom it has started") {
  fail_each(
      [](stage& on) {
        std::unique_ptr<async_timer::timer_group> group;
        timer<int>* before = nullptr;
        timer<int>* started = nullptr;
        {
          const spared_memory ours;
          std::stop_source stopped;
          stopped.request_stop();
          group = std::make_unique<async_timer::timer_group>(on.io);
          before = &group->add(timer<int>(on.io, 1s, [] { return 1; }));
          started = &group->add(timer<int>(on.io, 1s, [] { return 2; }));
          async_timer::timer_options once;
          once.stop_on = async_timer::stop_when(stopped.get_token());
          auto& spent = group->add(timer<int>(
              on.io, 1s, [] { return 3; }, once));
          before->start();
          spent.start();
          on.settle();
        }
        const scope_record seen = enter_and_leave(on, *group, false);
        CHECK(seen.bodies == 0);
        CHECK(before->is_running());
        CHECK_FALSE(started->is_running());
        on.calm();
        before->request_stop();
        on.settle();
      },
      spared_for_asio::some);
}

TEST_CASE("no memory: every") {
  fail_each([](stage& on) {
    const auto t = on.make([&] {
      return async_timer::every(1s, {.name = long_text})([c = on.capture()] { return 42; });
    });
    if (!t) return;
    const auto feed = on.make([&] { return t->subscribe(); });
    on.begin_cancellable("join", [&](auto handler) {
      t->join(net::bind_executor(on.io.get_executor(), std::move(handler)));
    });
    const bool started = on.attempt([&] { t->start(on.io); });
    CHECK(t->is_running() == started);
    on.settle();
    if (started) on.expect_runs_or_was_heard(*t);
    on.pass(2s);
    on.calm();
    if (!started) t->start(on.io);
    on.expect_works(*t);
  });
}

TEST_CASE("no memory: every that goes to another context, or stays where it was") {
  fail_each([](stage& on) {
    std::unique_ptr<virtual_context> former;
    {
      const spared_memory ours;
      former = std::make_unique<virtual_context>();
    }
    // To sleep first takes a place in the wheel, so that a start may fail at its last step.
    const auto t = on.make([&] {
      return async_timer::every(1s, {.initial_delay = 1s})([c = on.capture()] { return 42; });
    });
    if (!t || !on.attempt([&] { t->start(former->io); })) return;
    t->request_stop();
    former->clock.run_until_idle();
    const net::any_io_executor before = t->get_executor();
    const bool moved = on.attempt([&] { t->start(on.io); });
    CHECK(t->is_running() == moved);
    CHECK((t->get_executor() == before) == !moved);
    on.settle();
    on.calm();
    if (!moved) {
      t->start();
      former->clock.advance(1s);
      CHECK(t->hit_count() == 1);
      t->request_stop();
      former->clock.run_until_idle();
      t->start(on.io);
    }
    on.expect_works(*t);
  });
}

TEST_CASE("no memory: a mock timer, by itself and with an initial delay") {
  for (const auto initial_delay : {0s, 1s}) {
    fail_each([initial_delay](stage& on) {
      const auto t = on.make([&] {
        return async_timer::mock_timer<int>(on.io, 1s, [c = on.capture()] { return 42; },
                                            {.initial_delay = initial_delay});
      });
      if (!t) return;
      const bool started = on.attempt([&] { t->start(); });
      on.pass(3s);
      if (started) on.expect_runs_or_was_heard(*t);
      on.calm();
      on.expect_works(*t);
      CHECK_FALSE(t->sleeps().empty());
    });
  }
}

TEST_CASE("no memory: the virtual clock, and a context's first timer") {
  fail_each(
      [](stage& on) {
        const auto io = on.make([] { return std::make_unique<net::io_context>(1); });
        if (!io) return;
        const auto clock =
            on.make([&] { return std::make_unique<async_timer::virtual_clock>(**io); });
        if (!clock) {
          // A timer can be made even so, now that there is memory.
          on.calm();
          CHECK_NOTHROW(timer<int>(**io, 1s, [] { return 42; }));
          return;
        }
        const auto t =
            on.make([&] { return timer<int>(**io, 1s, [c = on.capture()] { return 42; }); });
        if (!t) return;
        if (!on.attempt([&] { t->start(); })) return;
        (*clock)->advance(3s);
        CHECK((t->hit_count() == 4 || !t->is_running()));
        t->request_stop();
        (*clock)->run_until_idle();
        CHECK((*io)->stopped());
      },
      spared_for_asio::some);
}

TEST_CASE("no memory: the blocking forms") {
  fail_each([](stage& on) {
    const auto t = on.make(
        [&] { return timer<std::string>(on.io, 1h, [c = on.capture()] { return long_text; }); });
    if (!t || !on.attempt([&] { t->start(); })) return;
    on.settle();
    if (!t->is_running()) return;
    // Nobody runs the context: they can but give up, or fail for want of memory.
    std::string ended;
    {
      const spared_memory ours;
      ended.reserve(64);
    }
    const auto call = [&](auto&& blocking) {
      try {
        blocking();
        ended += "returned ";
      } catch (const std::bad_alloc&) {
        ended += "bad_alloc ";
      } catch (const async_timer::timeout_error&) {
        ended += "timeout ";
      }
    };
    call([&] { static_cast<void>(t->trigger_threadsafe(0s)); });
    call([&] { t->cancel_threadsafe(0s); });
    CHECK((ended == "timeout timeout " || ended == "bad_alloc timeout " ||
           ended == "timeout bad_alloc " || ended == "bad_alloc bad_alloc "));
    on.settle();
    on.calm();
    on.expect_works(*t);
  });
}

TEST_CASE("no memory: the blocking cancel of a group stops its members, whatever it throws") {
  for (const bool on_large_executor : {false, true}) {
    fail_each(
        [on_large_executor](stage& on) {
          std::unique_ptr<async_timer::timer_group> group;
          std::optional<async_timer::timer_ref> member;
          {
            const spared_memory ours;
            // To ask a strand over any_io_executor for its untracked form takes memory.
            net::any_io_executor where = on.io.get_executor();
            if (on_large_executor) where = net::make_strand(where);
            group = std::make_unique<async_timer::timer_group>(where);
            member = group->add(timer<int>(where, 1h, [c = on.capture()] { return 42; })).ref();
            group->start();
            on.settle();
          }
          try {
            group->cancel_threadsafe(0s);
          } catch (const std::bad_alloc&) {
          } catch (const async_timer::timeout_error&) {  // nobody runs the context
          }
          CHECK_FALSE(member->is_running());
          on.settle();
          on.calm();
        },
        on_large_executor ? spared_for_asio::some : spared_for_asio::none);
  }
}

TEST_CASE("no memory: callbacks that are called, and that throw") {
  for (const bool throws : {false, true}) {
    fail_each([throws](stage& on) {
      bool fails = false;
      int stops = 0;
      const auto t = on.make([&] {
        async_timer::timer_options options;
        options.name = long_text;
        options.on_error = [&on, throws, c = on.capture()](async_timer::timer_ref timer,
                                                           const std::exception_ptr&) {
          ++on.callbacks;
          static_cast<void>(timer.name());
          if (throws) throw std::runtime_error(long_text);
        };
        options.on_stop = [&stops, throws, c = on.capture()] {
          ++stops;
          if (throws) throw std::runtime_error(long_text);
        };
        return timer<int>(
            on.io, 1s,
            [&fails, c = on.capture()] {
              if (fails) throw std::runtime_error(long_text);
              return 42;
            },
            std::move(options));
      });
      if (!t || !on.attempt([&] { t->start(); })) return;
      on.pass(1s);
      fails = true;
      on.pass(2s);
      CHECK_FALSE(t->is_running());
      CHECK(on.callbacks == 1);
      CHECK(stops == 1);
      CHECK(t->failure_count() == 1);
      fails = false;
      on.calm();
      on.expect_works(*t);
    });
  }
}

TEST_CASE("no memory: what is read is read or throws, and changes nothing") {
  fail_each([](stage& on) {
    const auto t = on.make([&] {
      return timer<std::string>(on.io, 1s, [c = on.capture()] { return long_text; },
                                {.name = long_text});
    });
    if (!t || !on.attempt([&] { t->start(); })) return;
    on.settle();
    if (!t->is_running()) return;
    bool right = true;
    on.attempt([&] { right = right && t->name() == long_text; });
    on.attempt([&] { right = right && t->last_result() == long_text; });
    on.attempt([&] { right = right && t->snapshot().last_result == long_text; });
    on.attempt([&] { right = right && to_string(*t).size() > long_text.size(); });
    CHECK(right);
    CHECK(t->last_tick_at().has_value());
    CHECK(t->hit_count() == 1);
    on.calm();
    on.expect_works(*t);
  });
}

TEST_CASE("no memory: the log sink is replaced, or is not") {
  fail_each([](stage& on) {
    int heard = 0;
    const bool set = on.attempt([&] {
      async_timer::set_log_sink(
          [&heard, text = long_text](const async_timer::log_record&) { ++heard; });
    });
    failing_memory::stop();
    async_timer::base::log({async_timer::log_level::warning, "a", "b", "c", {}});
    // The former sink is handed back as a copy, so it may throw when the new one is set.
    CHECK(heard + on.records == 1);
    if (set) CHECK(heard == 1);
    async_timer::set_log_sink({});
  });
}
