// Contract clause 9.8: the memory of an operation is its handler's, and back before that is called.
#include <doctest/doctest.h>

#include <cstddef>
#include <exception>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

#include "support/arena.hpp"
#include "support/fixture.hpp"
#include "support/groups.hpp"
#include "support/immediate_executor.hpp"
#include "support/operations.hpp"
#include "support/tokens.hpp"

using namespace test;

TEST_CASE(
    "9.8 memory comes from the handler's allocator and is back before the handler is called") {
  for_each_operation([](const std::string& name, auto initiate) {
    CAPTURE(name);
    busy_timer own;
    arena memory;
    int completions = 0;
    const auto check = [&](std::exception_ptr, const auto&...) {
      ++completions;
      CHECK(memory.live == 0);
    };
    const auto begin = [&](auto handler) {
      memory.allocations = 0;
      initiate(own.t, std::move(handler));
      CHECK(memory.allocations > 0);
      CHECK(memory.live > 0);
    };
    const net::any_io_executor any = own.io.get_executor();
    net::cancellation_signal signal;

    begin(arena_handler{&memory, own.io.get_executor(), check});
    own.finish();
    CHECK(completions == 1);
    begin(arena_handler{&memory, any, check});  // answered at once
    own.clock.run_until_idle();
    CHECK(completions == 2);

    own.hold.close();
    own.t.start();
    own.clock.run_until_idle();
    begin(net::bind_cancellation_slot(signal.slot(), arena_handler{&memory, any, check}));
    signal.emit(net::cancellation_type::terminal);
    own.clock.run_until_idle();
    CHECK(completions == 3);

    begin(net::bind_cancellation_slot(signal.slot(),
                                      arena_handler{&memory, own.io.get_executor(), check}));
    own.finish();
    CHECK(completions == 4);
    CHECK(memory.live == 0);
    CHECK(own.out_of_work());
  });
}

TEST_CASE_FIXTURE(virtual_context,
                  "9.8, 10.14 a wait that times out gives its memory back first, too") {
  async_timer::timer<int> t{io, 1h, [] { return 1; }};
  t.start();
  clock.advance(0s);
  arena memory;
  int completions = 0;
  const auto check = [&](std::exception_ptr, const auto&...) {
    ++completions;
    CHECK(memory.live == 0);
  };
  t.wait({.hits = 1, .timeout = 1s}, arena_handler{&memory, io.get_executor(), check});
  clock.advance(1s);
  t.wait({.timeout = 1s}, arena_handler{&memory, io.get_executor(), check});
  clock.advance(1s);
  CHECK(completions == 2);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "9.8, 10.10 memory is back even if the deadline is due with the tick") {
  // Between the tick and the deadline, which are due at once, a target runs the handlers that are
  // ready, as another thread would.
  net::io_context elsewhere;
  async_timer::timer<int> t{io, 1s, [] { return 1; }};
  async_timer::timer<void> other_thread{io, 1s, [&] {
                                          elsewhere.restart();
                                          elsewhere.poll();
                                        }};
  t.start();
  other_thread.start();
  clock.advance(0s);
  arena memory;
  int completions = 0;
  const auto check = [&](std::exception_ptr error, const auto&) {
    ++completions;
    CHECK_FALSE(error);
    CHECK(memory.live == 0);
  };
  t.wait({.hits = 1, .timeout = 1s}, arena_handler{&memory, elsewhere.get_executor(), check});
  clock.advance(1s);
  elsewhere.restart();
  elsewhere.poll();
  CHECK(completions == 1);
  CHECK(memory.live == 0);
  t.request_stop();
  other_thread.request_stop();
  CHECK(out_of_work());
}

TEST_CASE("9.8, D9 a context that goes away destroys handlers unrun and gives memory back") {
  for_each_operation([](const std::string& name, auto initiate) {
    CAPTURE(name);
    arena memory;
    int completions = 0;
    auto token = std::make_shared<int>();
    const auto note = [&completions, token](std::exception_ptr, const auto&...) { ++completions; };
    {
      busy_timer own;
      initiate(own.t, arena_handler{&memory, own.io.get_executor(), note});
      initiate(own.t, note);
      CHECK(token.use_count() == 4);
    }
    CHECK(completions == 0);
    CHECK(token.use_count() == 2);  // ours, and the one in `note`
    CHECK(memory.live == 0);
  });
}

// An executor that runs a completion then and there is as one whose thread is faster than the one
// that completes.

TEST_CASE("9.8 memory is back before the handler is called, however fast its executor is") {
  for_each_operation([](const std::string& name, auto initiate) {
    CAPTURE(name);
    busy_timer own;
    arena memory;
    int completions = 0;
    arena_handler handler{&memory, immediate_executor(), [&](std::exception_ptr, const auto&...) {
                            ++completions;
                            CHECK(memory.live == 0);
                          }};
    initiate(own.t, handler);
    own.finish();
    CHECK(completions == 1);
    CHECK(own.out_of_work());
  });
}

namespace {

/// Calls visit(name, initiate) for each operation of a group.
template <class Visitor>
void for_each_group_operation(Visitor&& visit) {
  visit("counted wait",
        [](auto& group, auto handler) { group.wait({.hits = 1}, std::move(handler)); });
  visit("idle wait", [](auto& group, auto handler) { group.wait(std::move(handler)); });
  visit("wait with timeout",
        [](auto& group, auto handler) { group.wait({.timeout = 1ms}, std::move(handler)); });
  visit("trigger", [](auto& group, auto handler) { group.trigger(std::move(handler)); });
  visit("cancel_all", [](auto& group, auto handler) { group.cancel_all(std::move(handler)); });
}

}  // namespace

TEST_CASE("9.8, 20.12 group: memory is back before the handler is called, however fast it is") {
  for_each_group_operation([](const std::string& name, auto initiate) {
    for (const bool one_fails : {false, true}) {
      for (const bool by_signal : {false, true}) {
        CAPTURE(name);
        CAPTURE(one_fails);
        CAPTURE(by_signal);
        virtual_context own;
        async_timer::timer_group group{own.io};
        group.add(async_timer::timer{own.io, 1s, [] { return 1; }});
        async_timer::timer_options quiet;
        quiet.on_error = [](async_timer::timer_ref, const std::exception_ptr&) {};
        const auto may_fail = [one_fails] {
          if (one_fails) throw std::runtime_error("broke");
        };
        group.add(async_timer::timer{own.io, 1s, may_fail, quiet});
        group.start();
        arena memory;
        int completions = 0;
        net::cancellation_signal signal;
        initiate(group, net::bind_cancellation_slot(
                            signal.slot(), arena_handler{&memory, immediate_executor(),
                                                         [&](std::exception_ptr, const auto&...) {
                                                           ++completions;
                                                           CHECK(memory.live == 0);
                                                         }}));
        CHECK(memory.allocations > 0);
        if (by_signal) signal.emit(net::cancellation_type::terminal);
        own.clock.advance(2s);
        for (auto member : group) member.request_stop();
        own.clock.run_until_idle();
        CHECK(completions == 1);
        CHECK(memory.live == 0);
        end(own, group);
      }
    }
  });
}

namespace {

/// Is what becomes of an operation.
enum class fate {
  runs,          ///< its handler is called
  is_cancelled,  ///< by its slot, and its handler is called
  is_pending,    ///< when the context goes
  is_posted      ///< to another context, which goes before it runs
};

/// Has a busy timer, a feed of it, and a group.
struct pending_things : busy_timer {
  async_timer::subscription<int> feed{t.subscribe()};
  async_timer::timer_group group{io};

  pending_things() {
    group.add(async_timer::timer{io, 1h, [] { return 1; }, {.initial_delay = 1h}});
    group.start();
    clock.run_until_idle();
  }
  void finish() {
    busy_timer::finish();
    for (auto member : group) member.request_stop();
    clock.run_until_idle();
  }
};

/// Calls visit(name, initiate) for each operation of a timer, a feed or a group;
/// initiate(things, token) begins it.
template <class Visitor>
void for_every_operation(Visitor&& visit) {
  for_each_operation([&](const std::string& name, auto initiate) {
    visit(name, [initiate](auto& things, auto token) { initiate(things.t, std::move(token)); });
  });
  for_each_group_operation([&](const std::string& name, auto initiate) {
    visit("group's " + name,
          [initiate](auto& things, auto token) { initiate(things.group, std::move(token)); });
  });
  visit("feed's next", [](auto& things, auto token) { things.feed.next(std::move(token)); });
}

template <class Initiate>
int meet(fate what, bool has_slot, const Initiate& initiate) {
  int completions = 0;
  net::cancellation_signal signal;  // outlasts the contexts
  net::io_context elsewhere;
  pending_things own;
  const net::any_io_executor executor =
      what == fate::is_posted ? elsewhere.get_executor() : own.io.get_executor();
  owning_handler handler{executor, &completions};
  if (has_slot || what == fate::is_cancelled) {
    initiate(own, net::bind_cancellation_slot(signal.slot(), std::move(handler)));
  } else {
    initiate(own, std::move(handler));
  }
  if (what == fate::is_cancelled) signal.emit(net::cancellation_type::terminal);
  if (what != fate::is_pending) own.finish();
  return completions;
}

}  // namespace

TEST_CASE("9.8, D9 a handler that owns its memory goes when that is back, whatever becomes of it") {
  mortal_arena::late = 0;
  for_every_operation([](const std::string& name, auto initiate) {
    for (const auto what : {fate::runs, fate::is_cancelled, fate::is_pending, fate::is_posted}) {
      for (const bool has_slot : {false, true}) {
        CAPTURE(name);
        CAPTURE(static_cast<int>(what));
        CAPTURE(has_slot);
        const bool is_called = what == fate::runs || what == fate::is_cancelled;
        CHECK(meet(what, has_slot, initiate) == (is_called ? 1 : 0));
        CHECK(mortal_arena::living.empty());
        CHECK(std::exchange(mortal_arena::late, 0) == 0);
      }
    }
  });
}

TEST_CASE("9.8 a handler that owns its memory gets that back from an operation that can't begin") {
  mortal_arena::late = 0;
  for_each_operation([](const std::string& name, auto initiate) {
    CAPTURE(name);
    int completions = 0;
    auto t = async_timer::every(1s)([] { return 1; });  // has no executor
    CHECK(thrown_by([&] {
            initiate(t, owning_handler{net::any_io_executor(), &completions});
          }) == "dispatch");
    CHECK(mortal_arena::living.empty());
    CHECK(std::exchange(mortal_arena::late, 0) == 0);
    CHECK(completions == 0);
  });
}

namespace {

/// Is a handler whose move may fail, as that of a closure with a constant capture.
class handler_that_may_stay {
 public:
  explicit handler_that_may_stay(const bool& stays) : stays_(&stays) {}
  handler_that_may_stay(const handler_that_may_stay& other) : stays_(other.stays_) {
    if (*stays_) throw std::bad_alloc();
  }
  handler_that_may_stay& operator=(const handler_that_may_stay&) = delete;
  void operator()(std::exception_ptr, int) const {}

 private:
  const bool* stays_;
  std::shared_ptr<int> held_ = std::make_shared<int>();
};

}  // namespace

TEST_CASE("9.8, D9 a handler that can't be moved is destroyed where it is") {
  bool stays = false;
  {
    virtual_context own;
    async_timer::timer t{own.io, 1h, [] { return 1; }, {.initial_delay = 1h}};
    t.start();
    t.join(net::bind_executor(own.io.get_executor(), handler_that_may_stay(stays)));
    stays = true;
  }
  CHECK(stays);  // and the process is still there
}
