// Every allocation fails in turn: what could not be waited for, or begun, is not passed over in
// silence.
#include <doctest/doctest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "support/stage.hpp"
#include "support/turnstile.hpp"

using namespace test;
using async_timer::timer;
using async_timer::timer_group;

// Handlers with external linkage: by its name an allocation for their completion is known.
namespace test {

/// Counts its calls, and those without an error.
struct counting_handler {
  noting_handler to;
  int* calls;
  int* successes;

  void operator()(std::exception_ptr error) const {
    ++*calls;
    *successes += error ? 0 : 1;
    to(std::move(error));
  }
};

/// Checks that each member's line of a list has something to say.
struct checking_handler {
  noting_handler to;

  void operator()(std::exception_ptr error,
                  const std::vector<async_timer::group_result>& results) const {
    if (!error) {
      CHECK(results.size() == 2);
      for (const auto& each : results) {
        CHECK((each.outcome.error() || each.outcome.has_value()));
      }
    }
    to(std::move(error));
  }
};

}  // namespace test

namespace {

/// Makes a timer whose target waits at a turnstile, whatever is cancelled.
timer<void> held_timer(stage& on, turnstile& hold) {
  return {on.io, 1h, [&hold, c = on.capture()] { return hold.wait_uninterruptibly(); }};
}

}  // namespace

TEST_CASE("no memory: a member that a group can't wait for stands in the list with its error") {
  fail_each([](stage& on) {
    std::unique_ptr<timer_group> group;
    {
      const spared_memory ours;
      group = std::make_unique<timer_group>(on.io);
      group->add(timer<int>(on.io, 1s, [] { return 1; }));
      group->add(timer<int>(on.io, 1s, [] { return 2; }));
      group->start();
      on.settle();
    }
    on.begin("results", [&](auto handler) {
      group->wait({.hits = 1, .return_exceptions = true}, checking_handler{std::move(handler)});
    });
    on.pass(1s);
    on.calm();
  });
}

TEST_CASE("no memory: a group of which one member can't be started has started none") {
  fail_each([](stage& on) {
    std::unique_ptr<timer_group> group;
    {
      const spared_memory ours;
      group = std::make_unique<timer_group>(on.io);
      for (int i = 0; i < 4; ++i) group->add(timer<int>(on.io, 1s, [] { return 1; }));
    }
    const bool started = on.attempt([&] { group->start(); });
    {
      const spared_memory ours;
      for (const auto& each : *group) CHECK(each.is_running() == started);
    }
    on.calm();
  });
}

TEST_CASE("no memory: cancel_all that can't wait for a member logs that") {
  fail_each(
      [](stage& on) {
        std::optional<turnstile> hold;
        std::unique_ptr<timer_group> group;
        {
          const spared_memory ours;
          hold.emplace(on.io);
          group = std::make_unique<timer_group>(on.io);
          group->add(held_timer(on, *hold));
          group->start();
          on.settle();
        }
        int completions = 0;
        int successes = 0;
        on.begin("cancel_all", [&](auto handler) {
          group->cancel_all(counting_handler{std::move(handler), &completions, &successes});
        });
        on.settle();
        if (completions > 0 && hold->waiting() > 0) CHECK(on.records > 0);
        hold->open();
        on.calm();
      },
      spared_for_asio::some);
}

TEST_CASE("no memory: cancel that can't wait for the clean-up fails") {
  fail_each(
      [](stage& on) {
        std::optional<turnstile> hold;
        std::unique_ptr<timer<void>> t;
        {
          const spared_memory ours;
          hold.emplace(on.io);
          t = std::make_unique<timer<void>>(held_timer(on, *hold));
          t->start();
          on.settle();
        }
        int completions = 0;
        int successes = 0;
        on.begin("cancel", [&](auto handler) {
          t->cancel(counting_handler{std::move(handler), &completions, &successes});
        });
        on.settle();
        if (hold->waiting() > 0) CHECK(successes == 0);
        hold->open();
        on.calm();
      },
      spared_for_asio::some);
}

TEST_CASE("no memory: what goes wrong is told in fewer words") {
  fail_each([](stage& on) {
    std::unique_ptr<timer<void>> t;
    bool was_late = false;
    {
      const spared_memory ours;
      t = std::make_unique<timer<void>>(
          on.io, 1s,
          [&] {
            const spared_memory ours_again;
            if (!std::exchange(was_late, true)) on.clock.advance(2500ms);
          },
          async_timer::timer_options{.mode = async_timer::mode::fixed_rate,
                                     .name = long_text,
                                     .on_stop = [] { throw 42; }});
      t->start();
    }
    on.settle();
    t->request_stop();
    on.settle();
    on.calm();
    CHECK(t->hit_count() == 1);
    CHECK(on.records >= 2);  // that slots were missed, and that on_stop threw
  });
}

TEST_CASE("no memory: a timer that is to start at once is started, or leaves nothing") {
  fail_each([](stage& on) {
    const auto t = on.make([&] {
      async_timer::timer_options options;
      options.name = long_text;
      options.initial_delay = 1s;  // which takes memory to wait for
      options.start = true;
      return timer<int>(
          on.io, 1s, [c = on.capture()] { return 42; }, std::move(options));
    });
    CHECK((!t || t->is_running()));
    on.pass(1s);
    on.calm();
  });
}

TEST_CASE("no memory: a start that failed may be tried again") {
  fail_each([](stage& on) {
    std::optional<timer<int>> t;
    {
      const spared_memory ours;
      async_timer::timer_options options;
      options.initial_delay = 1s;  // which takes memory to wait for
      t.emplace(
          on.io, 1s, [] { return 1; }, options);
    }
    if (!on.attempt([&] { t->start(); })) {
      const spared_memory ours;
      t->start();
    }
    CHECK(t->is_running());
    on.calm();
    on.pass(1s);
    CHECK(t->hit_count() == 1);
  });
}

TEST_CASE_FIXTURE(virtual_context,
                  "trigger_threadsafe: one whose time has passed leaves nothing behind") {
  timer<int> t(io, 1h, [] { return 42; });
  t.start();
  clock.run_until_idle();
  const auto poll = [&t] { CHECK(thrown_by([&] { t.trigger_threadsafe(0s); }) == "timeout"); };
  poll();
  const auto before = memory_in_use();
  for (int i = 0; i < 3; ++i) poll();
  CHECK(memory_in_use().blocks == before.blocks);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE("reserved memory: is lent to one at a time, and to who fits in") {
  using async_timer::detail::reserved_memory;
  const auto make = [] {
    return async_timer::base::ref_ptr<reserved_memory>::adopt(new reserved_memory);
  };
  const auto memory = make();
  const auto before = memory_in_use().blocks;
  void* const first = memory->lend(192);
  CHECK(memory_in_use().blocks == before);
  void* const second = memory->lend(16);
  CHECK(second != first);
  CHECK(memory_in_use().blocks == before + 1);
  memory->take_back(second);
  memory->take_back(first);
  CHECK(memory->lend(192) == first);
  memory->take_back(first);
  void* const larger = memory->lend(193);
  CHECK(larger != first);
  memory->take_back(larger);
  CHECK(memory->lend(1) == first);
  memory->take_back(first);
  CHECK(memory_in_use().blocks == before);
  async_timer::detail::reserved_allocator<int> ints(memory);
  int* const many = ints.allocate(100);
  CHECK(memory_in_use().blocks == before + 1);
  ints.deallocate(many, 100);
  CHECK(ints == async_timer::detail::reserved_allocator<char>(ints));
  const auto other = make();
  CHECK_FALSE(ints == async_timer::detail::reserved_allocator<char>(other));
}

TEST_CASE("a timer whose end was a stop signal keeps nothing of those it was a signal for") {
  // Asio keeps a mutex for each of the first 193 strands of a context, or nearly so: no equality.
  constexpr int many = 200;
  const auto grows = [](const auto& play) {
    for (int i = 0; i < many; ++i) play();
    const auto before = memory_in_use();
    for (int i = 0; i < many; ++i) play();
    return memory_in_use().blocks - before.blocks >= many;
  };
  net::io_context io;
  timer<void> other{io, 1h, [] {}};
  other.start();
  io.poll();
  const auto signal = [&other] {
    async_timer::timer_options options;
    options.stop_on = async_timer::stop_when(other);
    return options;
  };
  SUBCASE("the run is over") {
    const auto play = [&] {
      timer<void> t(
          io, 1h, [] {}, signal());
      t.start();
      io.poll();
      t.request_stop();
      io.poll();
    };
    CHECK_FALSE(grows(play));
  }
  SUBCASE("the context is gone") {
    const auto play = [&] {
      net::io_context there;
      timer<void> t(
          there, 1h, [] {}, signal());
      t.start();
      there.poll();
    };
    CHECK_FALSE(grows(play));
  }
  SUBCASE("the context of the signal is gone") {
    const auto play = [&] {
      net::io_context there;
      timer<void> another(there, 1h, [] {});
      another.start();
      there.poll();
      async_timer::timer_options options;
      options.stop_on = async_timer::stop_when(another);
      timer<void> t(
          io, 1h, [] {}, std::move(options));
      t.start();
      io.poll();
      // `there` goes before the other two; what waited in it is not told, and stops by itself.
      return t;
    };
    const auto play_and_end = [&] {
      auto t = play();
      t.request_stop();
      io.poll();
    };
    CHECK_FALSE(grows(play_and_end));
  }
}
