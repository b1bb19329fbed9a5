// Contract section 15: cancel and stop of timers whose target is an awaitable.
#include <doctest/doctest.h>

#if defined(ASYNC_TIMER_USE_STANDALONE_ASIO)
#include <asio/experimental/awaitable_operators.hpp>
#else
#include <boost/asio/experimental/awaitable_operators.hpp>
#endif
#include <stdexcept>

#include "support/fixture.hpp"
#include "support/trace.hpp"
#include "support/turnstile.hpp"

using namespace test;

namespace {

constexpr auto enable_terminal = [] { return net::enable_terminal_cancellation(); };

/// Is a virtual context with two gates for a target to wait at, and a record of what happened.
class target_context : public virtual_context {
 public:
  turnstile work{io};
  turnstile clean_up{io};
  trace happened;
  async_timer::timer<int>* self = nullptr;

  async_timer::timer_options noting() {
    async_timer::timer_options options;
    options.on_error = [this](async_timer::timer_ref, std::exception_ptr error) {
      happened("on_error:" + kind_of(error));
    };
    options.on_stop = [this] { happened("on_stop"); };
    return options;
  }

  /// Makes a target that waits at a turnstile for ever, and notes how it ends.
  auto waiting_target() {
    return [this]() -> net::awaitable<int> {
      try {
        auto held = work.wait();
        co_await std::move(held);
      } catch (...) {
        happened("target:" + kind_of(std::current_exception()));
        throw;
      }
      co_return 1;
    };
  }

  /// Makes a target that answers its cancellation with a clean-up which awaits.
  auto cleaning_target() {
    return [this]() -> net::awaitable<int> {
      std::exception_ptr cause;
      try {
        auto held = work.wait();
        co_await std::move(held);
        co_return 1;
      } catch (...) {
        cause = std::current_exception();
      }
      happened("unwinding");
      co_await net::this_coro::reset_cancellation_state(enable_terminal());
      auto rest = clean_up.wait();
      co_await std::move(rest);
      happened("cleaned");
      std::rethrow_exception(cause);
    };
  }
};

}  // namespace

TEST_CASE_FIXTURE(target_context,
                  "15.4, 15.1 awaitable target: is cancelled where it waits; no tick, no failure") {
  async_timer::timer t{io, 1s, waiting_target(), noting()};
  t.start();
  t.join(happened.handler("join"));
  clock.run_until_idle();
  REQUIRE(work.waiting() == 1);
  t.cancel(happened.handler("cancel"));
  CHECK_FALSE(t.is_running());
  CHECK(happened.text() == "");
  CHECK(out_of_work());
  CHECK(happened.text() == "target:stopped on_stop join:stopped cancel");
  CHECK(work.waiting() == 0);
  CHECK(t.hit_count() == 0);
  CHECK(t.last_result() == std::nullopt);
  CHECK(t.failure_count() == 0);
}

TEST_CASE_FIXTURE(target_context, "15.4 awaitable target: what it holds is gone before on_stop") {
  std::weak_ptr<int> held;
  bool gone = false;
  async_timer::timer_options options;
  options.on_stop = [&] { gone = held.expired(); };
  async_timer::timer t{io, 1s,
                       [&]() -> net::awaitable<void> {
                         const auto local = std::make_shared<int>(1);
                         held = local;
                         auto wait = work.wait();
                         co_await std::move(wait);
                       },
                       options};
  t.start();
  clock.run_until_idle();
  REQUIRE_FALSE(held.expired());
  t.request_stop();
  CHECK(out_of_work());
  CHECK(gone);
}

TEST_CASE_FIXTURE(target_context,
                  "15.4, 15.10, D3b awaitable target: cancel waits for a clean-up that awaits") {
  async_timer::timer t{io, 1s, cleaning_target(), noting()};
  t.start();
  clock.run_until_idle();
  t.cancel(happened.handler("first"));
  clock.run_until_idle();
  CHECK(happened.text() == "unwinding");
  t.cancel(happened.handler("second"));
  clock.advance(1h);
  CHECK(happened.text() == "unwinding");
  CHECK(clean_up.waiting() == 1);
  clean_up.open();
  CHECK(out_of_work());
  CHECK(happened.text() == "unwinding cleaned on_stop first second");
  CHECK(t.hit_count() == 0);
}

TEST_CASE_FIXTURE(target_context,
                  "15.4 awaitable target: more stops don't cancel the clean-up a second time") {
  async_timer::timer t{io, 1s, cleaning_target(), noting()};
  t.start();
  clock.run_until_idle();
  for (int i = 0; i < 3; ++i) {
    t.request_stop();
    t.ref().request_stop();
    t.cancel([](std::exception_ptr) {});
    clock.run_until_idle();
  }
  CHECK(happened.text() == "unwinding");
  clean_up.open();
  CHECK(out_of_work());
  CHECK(happened.text() == "unwinding cleaned on_stop");
}

TEST_CASE_FIXTURE(target_context, "15.5 awaitable target: swallowing the cancellation is a tick") {
  async_timer::timer t{io, 1s,
                       [&]() -> net::awaitable<int> {
                         try {
                           auto held = work.wait();
                           co_await std::move(held);
                         } catch (const async_timer::system_error&) {
                         }
                         co_return 5;
                       },
                       noting()};
  t.start();
  outcome<int> joined;
  t.join(into(joined));
  clock.run_until_idle();
  t.cancel(happened.handler("cancel"));
  CHECK(out_of_work());
  CHECK(happened.text() == "on_stop cancel");
  CHECK(t.hit_count() == 1);
  CHECK(t.last_result() == 5);
  CHECK(joined.completions == 1);
  CHECK(joined.value == 5);
  CHECK(joined.kind() == "");
}

TEST_CASE_FIXTURE(target_context,
                  "15.16 awaitable target: an uninterruptible wait delays cancel without bound") {
  async_timer::timer t{io, 1s,
                       [&]() -> net::awaitable<int> {
                         auto held = work.wait_uninterruptibly();
                         co_await std::move(held);
                         co_return 3;
                       },
                       noting()};
  t.start();
  clock.run_until_idle();
  t.cancel(happened.handler("cancel"));
  clock.advance(24h);
  CHECK(happened.text() == "");
  CHECK(work.waiting() == 1);
  work.open();
  CHECK(out_of_work());
  CHECK(happened.text() == "on_stop cancel");
  CHECK(t.last_result() == 3);
}

TEST_CASE_FIXTURE(target_context,
                  "15.11, D11 cancel: the caller's own cancellation aborts only the waiting") {
  async_timer::timer t{io, 1s, cleaning_target(), noting()};
  t.start();
  clock.run_until_idle();
  net::cancellation_signal signal;
  no_value impatient;
  t.cancel(net::bind_cancellation_slot(signal.slot(), into(impatient)));
  t.cancel(happened.handler("patient"));
  clock.run_until_idle();
  signal.emit(net::cancellation_type::partial);
  clock.run_until_idle();
  CHECK(impatient.completions == 1);
  CHECK(impatient.kind() == "stopped");
  CHECK(happened.text() == "unwinding");
  clean_up.open();
  CHECK(out_of_work());
  CHECK(happened.text() == "unwinding cleaned on_stop patient");
  CHECK(impatient.completions == 1);
}

TEST_CASE_FIXTURE(target_context, "15.7 awaitable target: its own cancel doesn't wait for itself") {
  async_timer::timer t{io, 1s,
                       [&]() -> net::awaitable<int> {
                         auto stop = self->cancel();
                         co_await net::this_coro::throw_if_cancelled(false);
                         co_await std::move(stop);
                         happened("cancel");
                         CHECK_FALSE(self->is_running());
                         co_return 9;
                       },
                       noting()};
  self = &t;
  t.start();
  CHECK(out_of_work());
  CHECK(happened.text() == "cancel on_stop");
  CHECK(t.hit_count() == 1);
  CHECK(t.last_result() == 9);
}

TEST_CASE_FIXTURE(target_context,
                  "15.7 awaitable target: after its own cancel the next suspension is cut") {
  no_value cancelled;
  async_timer::timer t{io, 1s,
                       [&]() -> net::awaitable<int> {
                         self->cancel(into(cancelled));
                         try {
                           auto held = work.wait();
                           co_await std::move(held);
                         } catch (...) {
                           happened("target:" + kind_of(std::current_exception()));
                           throw;
                         }
                         co_return 1;
                       },
                       noting()};
  self = &t;
  t.start();
  CHECK(out_of_work());
  CHECK(t.hit_count() == 0);
  CHECK(t.failure_count() == 0);
  CHECK(happened.text() == "target:stopped on_stop");
  CHECK(cancelled.completions == 1);
  CHECK(cancelled.kind() == "");
}

TEST_CASE_FIXTURE(target_context,
                  "15.7 awaitable target: one that stops itself and returns at once has ticked") {
  async_timer::timer t{io, 1s,
                       [&]() -> net::awaitable<int> {
                         self->request_stop();
                         co_return 4;
                       },
                       noting()};
  self = &t;
  t.start();
  outcome<int> joined;
  t.join(into(joined));
  CHECK(out_of_work());
  CHECK(joined.value == 4);
  CHECK(t.hit_count() == 1);
  CHECK(happened.text() == "on_stop");
}

TEST_CASE_FIXTURE(target_context,
                  "15.7 awaitable target: cancel from a nested awaitable doesn't wait either") {
  auto nested = [this]() -> net::awaitable<void> {
    co_await net::this_coro::throw_if_cancelled(false);
    auto stop = self->ref().cancel();
    co_await std::move(stop);
    happened("nested");
  };
  async_timer::timer t{io, 1s,
                       [&]() -> net::awaitable<int> {
                         auto inner = nested();
                         co_await std::move(inner);
                         co_return 1;
                       },
                       noting()};
  self = &t;
  t.start();
  CHECK(out_of_work());
  CHECK(happened.text() == "nested on_stop");
  CHECK(t.hit_count() == 1);
}

TEST_CASE_FIXTURE(target_context,
                  "15.7 awaitable target: cancel from a child that it spawned doesn't wait") {
  turnstile child_done{io};
  auto child = [&]() -> net::awaitable<void> {
    auto stop = self->cancel();
    co_await std::move(stop);
    happened("child");
    child_done.open();
  };
  async_timer::timer t{io, 1s,
                       [&]() -> net::awaitable<int> {
                         auto executor = co_await net::this_coro::executor;
                         net::co_spawn(executor, child, net::detached);
                         // Would wait for ever if the child waited for the target's end.
                         auto held = child_done.wait_uninterruptibly();
                         co_await std::move(held);
                         co_return 1;
                       },
                       noting()};
  self = &t;
  t.start();
  CHECK(out_of_work());
  CHECK(happened.text() == "child on_stop");
  CHECK(t.hit_count() == 1);
}

TEST_CASE_FIXTURE(target_context,
                  "15.7 awaitable target: a coroutine beside it does wait for the clean-up") {
  async_timer::timer t{io, 1s, cleaning_target(), noting()};
  t.start();
  clock.run_until_idle();
  spawn([&]() -> net::awaitable<void> {
    auto stop = t.cancel();
    co_await std::move(stop);
    happened("beside");
  });
  CHECK(happened.text() == "unwinding");
  clean_up.open();
  CHECK(out_of_work());
  CHECK(happened.text() == "unwinding cleaned on_stop beside");
}

TEST_CASE_FIXTURE(target_context,
                  "15.7 awaitable target: a child that outlives it is outside and may wait") {
  turnstile child_start{io};
  auto child = [&]() -> net::awaitable<void> {
    auto held = child_start.wait();
    co_await std::move(held);
    auto joined = self->join();
    const int value = co_await std::move(joined);
    happened("joined:" + std::to_string(value));
    auto stop = self->cancel();
    co_await std::move(stop);
    happened("child");
  };
  int ticks = 0;
  async_timer::timer t{io, 1s,
                       [&]() -> net::awaitable<int> {
                         if (++ticks == 1) {
                           auto executor = co_await net::this_coro::executor;
                           net::co_spawn(executor, child, net::detached);
                         }
                         co_return ticks;
                       },
                       noting()};
  self = &t;
  t.start();
  clock.advance(1s);
  REQUIRE(ticks == 2);
  child_start.open();
  clock.run_until_idle();
  clock.advance(1s);
  CHECK(out_of_work());
  CHECK(happened.text() == "joined:3 on_stop child");
}

TEST_CASE_FIXTURE(target_context,
                  "15.17, D7b awaitable target: an error in answer to the stop is a failure") {
  async_timer::timer t{io, 1s,
                       [&]() -> net::awaitable<int> {
                         try {
                           auto held = work.wait();
                           co_await std::move(held);
                         } catch (const async_timer::system_error&) {
                           throw std::runtime_error("clean-up");
                         }
                         co_return 1;
                       },
                       noting()};
  t.start();
  t.join(happened.handler("join"));
  t.next(happened.handler("next"));
  t.wait(happened.handler("wait"));
  clock.run_until_idle();
  t.cancel(happened.handler("cancel"));
  CHECK(out_of_work());
  CHECK(happened.text() ==
        "on_error:clean-up on_stop join:clean-up next:clean-up wait:clean-up cancel");
  CHECK(t.failure_count() == 1);
  CHECK(t.hit_count() == 0);
}

TEST_CASE_FIXTURE(target_context,
                  "15.4, 16.12 awaitable target: one that waits for several at once is cancelled") {
  using namespace net::experimental::awaitable_operators;
  const log_recorder log;
  turnstile third{io};
  bool any = false;
  SUBCASE("for all of them") {}
  SUBCASE("for any of them") { any = true; }
  async_timer::timer<int> t{io, 1s,
                            [&, any]() -> net::awaitable<int> {
                              if (any) {
                                auto either = ((work.wait() || clean_up.wait()) || third.wait());
                                co_await std::move(either);
                              } else {
                                auto all = ((work.wait() && clean_up.wait()) && third.wait());
                                co_await std::move(all);
                              }
                              co_return 1;
                            },
                            noting()};
  t.start();
  t.join(happened.handler("join"));
  clock.run_until_idle();
  t.cancel(happened.handler("cancel"));
  CHECK(out_of_work());
  CHECK(happened.text() == "on_stop join:stopped cancel");
  CHECK(t.failure_count() == 0);
  CHECK(log.records().empty());
}

TEST_CASE_FIXTURE(target_context, "D7 awaitable target: a cancellation raised alone is a failure") {
  async_timer::timer t{io, 1s,
                       []() -> net::awaitable<int> {
                         throw async_timer::system_error(net::error::operation_aborted);
                         co_return 1;
                       },
                       noting()};
  t.start();
  t.join(happened.handler("join"));
  CHECK(out_of_work());
  CHECK(happened.text() == "on_error:stopped on_stop join:stopped");
  CHECK(t.failure_count() == 1);
}

TEST_CASE_FIXTURE(target_context,
                  "D3, 7.9 awaitable target: start() is refused until the clean-up is over") {
  async_timer::timer t{io, 1s, cleaning_target(), noting()};
  t.start();
  clock.run_until_idle();
  outcome<int> old_waiter;
  t.join(into(old_waiter));
  t.cancel(happened.handler("cancel"));
  clock.run_until_idle();
  REQUIRE(clean_up.waiting() == 1);
  CHECK_FALSE(t.is_running());
  CHECK_THROWS_AS(t.start(), async_timer::timer_already_running_error);
  outcome<int> late;
  t.join(into(late));
  clock.run_until_idle();
  CHECK(late.completions == 1);
  CHECK(late.kind() == "not_running");
  clean_up.open();
  CHECK(out_of_work());
  CHECK(happened.text() == "unwinding cleaned on_stop cancel");
  CHECK(old_waiter.completions == 1);
  CHECK(old_waiter.kind() == "stopped");

  work.open();
  t.start();
  outcome<int> joined;
  t.join(into(joined));
  clock.advance(2s);
  CHECK(joined.value == 1);
  CHECK(t.is_running());
  CHECK(t.hit_count() == 3);
  t.request_stop();
  CHECK(out_of_work());
  CHECK(happened.text() == "unwinding cleaned on_stop cancel on_stop");
}

TEST_CASE_FIXTURE(target_context,
                  "15.13, D9b awaitable target: a stop right after start() doesn't call it") {
  int calls = 0;
  async_timer::timer t{io, 1s,
                       [&]() -> net::awaitable<int> {
                         ++calls;
                         co_return 1;
                       },
                       noting()};
  t.start();
  t.cancel(happened.handler("cancel"));
  CHECK(out_of_work());
  CHECK(calls == 0);
  CHECK(happened.text() == "on_stop cancel");
}

TEST_CASE_FIXTURE(target_context,
                  "15.3 awaitable target: a stop between ticks doesn't reach another timer's") {
  async_timer::timer first{io, 1h, []() -> net::awaitable<int> { co_return 1; }, noting()};
  first.start();
  clock.run_until_idle();
  async_timer::timer second{io, 1s, waiting_target(), noting()};
  second.start();
  clock.run_until_idle();
  REQUIRE(work.waiting() == 1);
  first.cancel(happened.handler("first"));
  clock.run_until_idle();
  CHECK(happened.text() == "on_stop first");
  CHECK(work.waiting() == 1);
  second.cancel(happened.handler("second"));
  CHECK(out_of_work());
  CHECK(happened.text() == "on_stop first target:stopped on_stop second");
}

TEST_CASE_FIXTURE(target_context,
                  "15.4 awaitable target: a cancelled one leaves no trace on the next run") {
  async_timer::timer t{io, 1s, waiting_target(), noting()};
  for (int run = 0; run < 3; ++run) {
    t.start();
    clock.run_until_idle();
    REQUIRE(work.waiting() == 1);
    t.request_stop();
    CHECK(out_of_work());
    CHECK(t.hit_count() == 0);
  }
  work.open();
  t.start();
  clock.advance(1s);
  CHECK(t.hit_count() == 2);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(
    target_context,
    "15.4 awaitable target: what one says about cancellation doesn't reach the next") {
  // Settled question 19: targets share runners, which start each job with a fresh state.
  async_timer::timer keeper{io, 1h, [] { return 0; }};
  keeper.start();
  async_timer::timer stubborn{
      io, 1h, []() -> net::awaitable<int> {
        co_await net::this_coro::reset_cancellation_state(net::disable_cancellation());
        co_await net::this_coro::throw_if_cancelled(false);
        co_return 1;
      }};
  stubborn.start();
  clock.run_until_idle();
  REQUIRE(stubborn.hit_count() == 1);
  bool throws = false;
  async_timer::timer t{io, 1s,
                       [&]() -> net::awaitable<int> {
                         throws = co_await net::this_coro::throw_if_cancelled();
                         auto held = work.wait();
                         co_await std::move(held);
                         co_return 1;
                       },
                       noting()};
  t.start();
  clock.run_until_idle();
  CHECK(throws);
  CHECK(work.waiting() == 1);
  t.cancel(happened.handler("cancel"));
  clock.run_until_idle();
  CHECK(happened.text() == "on_stop cancel");
  work.open();
  stubborn.request_stop();
  keeper.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(target_context,
                  "15.4 moved-in generator: cancelled in its own wait, the run ends cleanly") {
  struct generator {
    target_context* context;
    net::awaitable<std::optional<int>> next() {
      auto held = context->work.wait();
      co_await std::move(held);
      co_return 1;
    }
  };
  async_timer::timer t{io, 1s, generator{this}, noting()};
  t.start();
  clock.run_until_idle();
  REQUIRE(work.waiting() == 1);
  t.cancel(happened.handler("cancel"));
  CHECK(out_of_work());
  CHECK(happened.text() == "on_stop cancel");
  CHECK(t.hit_count() == 0);
  CHECK(work.waiting() == 0);
}

TEST_CASE_FIXTURE(target_context,
                  "15.15 awaitable target: a trigger in flight is stopped with it") {
  async_timer::timer t{io, 1s, waiting_target(), noting()};
  t.start();
  clock.run_until_idle();
  t.trigger(happened.handler("trigger"));
  t.wait({.hits = 1}, happened.handler("wait"));
  t.next(happened.handler("next"));
  clock.run_until_idle();
  t.request_stop();
  CHECK(out_of_work());
  CHECK(happened.text() == "target:stopped on_stop trigger:stopped wait:stopped next");
}

TEST_CASE_FIXTURE(target_context,
                  "15.4 awaitable target on a strand: is cancelled where it waits") {
  auto strand = net::make_strand(io);
  async_timer::timer t{strand, 1s, cleaning_target(), noting()};
  t.start();
  clock.run_until_idle();
  REQUIRE(work.waiting() == 1);
  t.cancel(happened.handler("cancel"));
  clock.run_until_idle();
  CHECK(happened.text() == "unwinding");
  clean_up.open();
  CHECK(out_of_work());
  CHECK(happened.text() == "unwinding cleaned on_stop cancel");
}

TEST_CASE_FIXTURE(target_context, "15.4, 7.10 scoped: leaving the scope waits for the clean-up") {
  turnstile leave{io};
  async_timer::timer t{io, 1s, cleaning_target(), noting()};
  auto body = [&]() -> net::awaitable<void> {
    auto held = leave.wait();
    co_await std::move(held);
    happened("body");
  };
  auto whole = [&]() -> net::awaitable<void> {
    auto scope = async_timer::scoped(t, body);
    co_await std::move(scope);
    happened("left");
  };
  spawn(whole);
  REQUIRE(work.waiting() == 1);
  leave.open();
  clock.run_until_idle();
  CHECK(happened.text() == "body unwinding");
  clean_up.open();
  CHECK(out_of_work());
  CHECK(happened.text() == "body unwinding cleaned on_stop left");
}
