// Contract section 2 and 3: many timers that are due at one instant. Coroutines are served one
// after the other there, which must not show.
#include <doctest/doctest.h>

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/fixture.hpp"
#include "support/trace.hpp"
#include "support/turnstile.hpp"

using namespace test;
using async_timer::timer;

namespace {

/// Is a context whose timers tick once a minute, all at the same instants. It has served a
/// coroutine before, since the first of all takes a way of its own.
class one_instant : public virtual_context {
 public:
  using void_timer = timer<void>;

  one_instant() {
    earlier_->start();
    clock.run_until_idle();
  }
  ~one_instant() { timers.clear(); }

  trace happened;
  std::deque<std::unique_ptr<void_timer>> timers;

  /// Notes its name.
  auto function(const std::string& name) {
    return [this, name] { happened(name); };
  }
  auto coroutine(const std::string& name) {
    return [this, name]() -> net::awaitable<void> {
      happened(name);
      co_return;
    };
  }
  /// Notes its name, and again when it goes on.
  auto suspending(const std::string& name, turnstile& at) {
    return [this, name, &at]() -> net::awaitable<void> {
      happened(name);
      auto held = at.wait();
      co_await std::move(held);
      happened(name + "'");
    };
  }

  template <class Target>
  void_timer& add(Target target, async_timer::timer_options options = {}) {
    timers.push_back(std::make_unique<void_timer>(io, 1min, std::move(target), std::move(options)));
    return *timers.back();
  }
  void start_all() {
    for (const auto& each : timers) each->start();
  }
  async_timer::timer_options telling_errors(const std::string& name) {
    async_timer::timer_options made;
    made.on_error = [this, name](async_timer::timer_ref, const std::exception_ptr& error) {
      happened(name + ":" + kind_of(error));
    };
    return made;
  }

 private:
  std::unique_ptr<void_timer> earlier_ =
      std::make_unique<void_timer>(io, 24h, []() -> net::awaitable<void> { co_return; });
};

}  // namespace

TEST_CASE_FIXTURE(one_instant, "2.24 same instant: ticks come in the order of their starts") {
  add(coroutine("a"));
  add(function("b"));
  add(coroutine("c"));
  add(coroutine("d"));
  add(function("e"));
  add(coroutine("f"));
  start_all();
  clock.run_until_idle();
  CHECK(happened.text() == "a b c d e f");
  clock.advance(1min);
  CHECK(happened.text() == "a b c d e f a b c d e f");
  for (const auto& each : timers) CHECK(each->hit_count() == 2);
}

TEST_CASE_FIXTURE(one_instant, "2.24 same instant: values of coroutines are those of their ticks") {
  std::deque<timer<int>> counters;
  for (int i = 0; i < 5; ++i) {
    counters.emplace_back(io, 1min,
                          [i, n = 0]() mutable -> net::awaitable<int> { co_return 100 * i + ++n; });
  }
  for (auto& each : counters) each.start();
  clock.advance(2min);
  for (int i = 0; i < 5; ++i)
    CHECK(counters[static_cast<std::size_t>(i)].last_result() == 100 * i + 3);
}

TEST_CASE_FIXTURE(one_instant, "2.24 same instant: a coroutine that waits holds up no other one") {
  turnstile gate{io};
  add(coroutine("a"));
  add(suspending("b", gate));
  add(coroutine("c"));
  add(suspending("d", gate));
  add(coroutine("e"));
  start_all();
  clock.advance(1min);
  CHECK(happened.text() == "a b c d e a c e");
  gate.open();
  clock.run_until_idle();
  CHECK(happened.text() == "a b c d e a c e b' d'");
  clock.advance(1min);
  CHECK(happened.text() == "a b c d e a c e b' d' a c e b b' d d'");
}

TEST_CASE_FIXTURE(one_instant, "3.9, 15.4 same instant: a coroutine stops the next one") {
  void_timer* next = nullptr;
  add([this, &next]() -> net::awaitable<void> {
    happened("a");
    next->request_stop();
    co_return;
  });
  next = &add(coroutine("b"));
  add(coroutine("c"));
  start_all();
  clock.advance(1min);
  CHECK(happened.text() == "a c a c");
  CHECK_FALSE(next->is_running());
  CHECK(next->hit_count() == 0);
}

TEST_CASE_FIXTURE(one_instant, "D9 same instant: a coroutine destroys the next timer") {
  add([this]() -> net::awaitable<void> {
    happened("a");
    timers[1].reset();
    co_return;
  });
  add(coroutine("b"));
  add(coroutine("c"));
  start_all();
  clock.run_until_idle();
  CHECK(happened.text() == "a c");
}

TEST_CASE_FIXTURE(one_instant, "D9 same instant: a coroutine destroys its own timer, and others") {
  add(coroutine("a"));
  add([this]() -> net::awaitable<void> {
    const auto told = &happened;
    for (auto& each : timers) each.reset();
    (*told)("b");
    co_return;
  });
  add(coroutine("c"));
  start_all();
  clock.run_until_idle();
  CHECK(happened.text() == "a b");
}

TEST_CASE_FIXTURE(one_instant,
                  "2.15, 17.1, 17.4 same instant: one that fails or ends leaves the others") {
  add(coroutine("a"));
  auto& failing = add(
      []() -> net::awaitable<void> {
        throw std::runtime_error("no luck");
        co_return;
      },
      telling_errors("b"));
  auto& refusing = add([]() -> net::awaitable<void> { throw std::runtime_error("no coroutine"); },
                       telling_errors("c"));
  auto& ending = add(
      []() -> net::awaitable<void> {
        throw async_timer::end_of_ticks{};
        co_return;
      },
      telling_errors("d"));
  add(coroutine("e"));
  start_all();
  clock.advance(1min);
  CHECK(happened.text() == "a b:no luck c:no coroutine e a e");
  for (const auto* each : {&failing, &refusing, &ending}) {
    CHECK_FALSE(each->is_running());
    CHECK(each->hit_count() == 0);
  }
  CHECK(ending.failure_count() == 0);
}

TEST_CASE_FIXTURE(one_instant,
                  "15.4 same instant: what a coroutine says of cancellation ends with its tick") {
  turnstile gate{io};
  add([]() -> net::awaitable<void> {
    co_await net::this_coro::reset_cancellation_state(net::disable_cancellation());
    co_await net::this_coro::throw_if_cancelled(false);
  });
  auto& next = add(suspending("b", gate));
  start_all();
  clock.run_until_idle();
  REQUIRE(gate.waiting() == 1);
  next.cancel(happened.handler("cancel"));
  clock.run_until_idle();
  CHECK(happened.text() == "b cancel");
  CHECK(gate.waiting() == 0);
}

TEST_CASE_FIXTURE(one_instant,
                  "15.7, D23 same instant: each coroutine is inside of its own timer") {
  const auto asks = [this](const std::string& name, std::size_t self, std::size_t other) {
    return [this, name, self, other]() -> net::awaitable<void> {
      auto executor = co_await net::this_coro::executor;
      timers[self]->join(net::bind_executor(executor, happened.handler(name + " joins itself")));
      timers[other]->join(net::bind_executor(executor, happened.handler(name + " joins another")));
    };
  };
  add(asks("a", 0, 1));
  add(asks("b", 1, 0));
  start_all();
  clock.run_until_idle();
  CHECK(happened.text() == "a joins itself:self_wait a joins another b joins itself:self_wait");
}

TEST_CASE_FIXTURE(one_instant,
                  "15.7 same instant: a child that outlives its tick is inside of no other timer") {
  turnstile child_may{io};
  turnstile target_may{io};
  add([&]() -> net::awaitable<void> {
    auto child = [&]() -> net::awaitable<void> {
      auto held = child_may.wait();
      co_await std::move(held);
      auto executor = co_await net::this_coro::executor;
      timers[1]->join(net::bind_executor(executor, happened.handler("the child joins")));
    };
    auto executor = co_await net::this_coro::executor;
    net::co_spawn(executor, child, net::detached);
  });
  add(suspending("b", target_may));
  start_all();
  clock.run_until_idle();
  REQUIRE(target_may.waiting() == 1);
  child_may.open();
  clock.run_until_idle();
  CHECK(happened.text() == "b");
  target_may.open();
  clock.run_until_idle();
  CHECK(happened.text() == "b b' the child joins");
}

TEST_CASE_FIXTURE(one_instant, "2.24 same instant: a target that runs its context's handlers") {
  add(coroutine("a"));
  add([this] {
    happened("b(");
    while (io.poll_one() > 0) {
    }
    happened(")");
  });
  add(coroutine("c"));
  add(coroutine("d"));
  start_all();
  clock.run_until_idle();
  CHECK(happened.text() == "a b( c d )");
  clock.advance(1min);
  CHECK(happened.text() == "a b( c d ) a c d b( )");  // its tick ended last
}

TEST_CASE_FIXTURE(one_instant, "2.24 same instant: a coroutine that runs its context's handlers") {
  add(coroutine("a"));
  add([this]() -> net::awaitable<void> {
    happened("b(");
    while (io.poll_one() > 0) {
    }
    happened(")");
    co_return;
  });
  add(coroutine("c"));
  add(coroutine("d"));
  start_all();
  clock.run_until_idle();
  CHECK(happened.text() == "a b( c d )");
}

TEST_CASE_FIXTURE(one_instant, "2.24 same instant: executors of one context are served apart") {
  const auto strand = net::make_strand(io);
  const auto noting = [&](const std::string& name) {
    return [this, name, strand]() -> net::awaitable<void> {
      happened(name + (strand.running_in_this_thread() ? "!" : ""));
      co_return;
    };
  };
  add(noting("a"));
  timers.push_back(std::make_unique<void_timer>(strand, 1min, noting("b")));
  add(noting("c"));
  timers.push_back(std::make_unique<void_timer>(strand, 1min, noting("d")));
  start_all();
  clock.run_until_idle();
  CHECK(happened.text() == "a c b! d!");
}

namespace {

/// Lets coroutines wait until it is set; they go on in set(), at once or by a dispatch.
class event {
 public:
  explicit event(bool dispatches) : dispatches_(dispatches) {}

  net::awaitable<void> wait(net::any_io_executor executor) {
    auto token = net::bind_executor(executor, net::use_awaitable);
    return net::async_initiate<decltype(token), void()>(
        [this](auto handler) {
          const auto kept = std::make_shared<decltype(handler)>(std::move(handler));
          waiting_.push_back([this, kept] {
            auto go_on = [kept] { std::move (*kept)(); };
            if (dispatches_) {
              net::dispatch(net::get_associated_executor(*kept), std::move(go_on));
            } else {
              go_on();
            }
          });
        },
        token);
  }
  void set() {
    for (const auto& each : std::exchange(waiting_, {})) each();
  }

 private:
  bool dispatches_;
  std::vector<std::function<void()>> waiting_;
};

}  // namespace

TEST_CASE_FIXTURE(one_instant,
                  "15.7 same instant: one that is resumed inside of a target draws no others in") {
  for (const bool dispatches : {true, false}) {
    CAPTURE(dispatches);
    event gate(dispatches);
    happened = {};
    add([&]() -> net::awaitable<void> {
      happened("a");
      auto wait = gate.wait(io.get_executor());
      co_await std::move(wait);
      happened("a'");
    });
    start_all();
    clock.run_until_idle();
    auto& setter = add([&] {
      happened("b(");
      gate.set();
      happened(")");
    });
    add([&]() -> net::awaitable<void> {
      happened("c");
      auto executor = co_await net::this_coro::executor;
      setter.join(net::bind_executor(executor, happened.handler("joined")));
    });
    timers[1]->start();
    timers[2]->start();
    clock.run_until_idle();
    CHECK(happened.text() == "a b( a' ) c");
    setter.trigger(happened.handler("triggered"));
    clock.run_until_idle();
    CHECK(happened.text() == "a b( a' ) c b( ) joined triggered");
    timers.clear();
    clock.run_until_idle();
  }
}

TEST_CASE_FIXTURE(one_instant, "3.4 same instant: what is gone of a turn is no room for delay 0") {
  timer<void>* self = nullptr;
  timer<void> t{io,
                0s,
                [&]() -> net::awaitable<void> {
                  happened("tick");
                  if (self->hit_count() == 3) self->request_stop();
                  co_return;
                },
                {.initial_delay = 1min}};
  self = &t;
  t.start();
  // Their deadlines are due when it ticks, and go as it does.
  for (int i = 0; i < 5; ++i) t.wait({.hits = 1, .timeout = 1min}, happened.handler("."));
  clock.advance(1min);
  CHECK(happened.text() == "tick tick . . . . . tick tick");  // the second turn was posted first
}

TEST_CASE_FIXTURE(virtual_context,
                  "3.4 same instant: coroutines with delay 0 leave others a turn") {
  int ticks = 0;
  int turns = 0;
  std::deque<timer<void>> timers;
  for (int i = 0; i < 3; ++i) {
    timers.emplace_back(io, 0s, [&]() -> net::awaitable<void> {
      ++ticks;
      co_return;
    });
  }
  for (auto& each : timers) each.start();
  struct other {
    net::io_context& io;
    int& turns;
    void operator()() const {
      if (++turns < 100) net::post(io, *this);
    }
  };
  net::post(io, other{io, turns});
  while (turns < 100) io.poll_one();
  CHECK(ticks >= 3 * 98);
  CHECK(ticks <= 3 * 102);
  timers.clear();
}
