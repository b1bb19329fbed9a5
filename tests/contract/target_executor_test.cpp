// Decision D23: the executor that an asynchronous target runs on, as a user meets it.
#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "support/fixture.hpp"
#include "support/turnstile.hpp"

using namespace test;
using async_timer::timer;
using async_timer::base::ref_ptr;
using async_timer::detail::executor_tag;
using async_timer::detail::tagged_executor;

TEST_CASE_FIXTURE(virtual_context, "D23 target's executor: has the properties that Asio asks for") {
  namespace execution = net::execution;
  const auto tag = ref_ptr<executor_tag>::adopt(new executor_tag(io.get_executor()));
  const auto other = ref_ptr<executor_tag>::adopt(new executor_tag(io.get_executor()));
  const tagged_executor plain(tag);
  CHECK(plain == tagged_executor(tag));
  CHECK_FALSE(plain != tagged_executor(tag));
  CHECK(plain != tagged_executor(other));
  CHECK(&net::query(plain, execution::context) == &io);

  const auto never = net::require(plain, execution::blocking.never);
  CHECK(never != plain);
  CHECK(net::query(plain, execution::blocking) == execution::blocking.possibly);
  CHECK(net::query(never, execution::blocking) == execution::blocking.never);
  CHECK(net::require(never, execution::blocking.possibly) == plain);

  CHECK(net::require(plain, execution::outstanding_work.tracked) == plain);  // not yet
  tag->begin_tracking();
  std::optional<tagged_executor> tracked(net::require(plain, execution::outstanding_work.tracked));
  CHECK(*tracked != plain);
  CHECK(net::query(plain, execution::outstanding_work) == execution::outstanding_work.untracked);
  CHECK(net::query(*tracked, execution::outstanding_work) == execution::outstanding_work.tracked);
  CHECK(net::require(*tracked, execution::outstanding_work.untracked) == plain);
  CHECK_FALSE(out_of_work());

  tagged_executor assigned(other);
  assigned = net::require(*tracked, execution::blocking.never);
  CHECK(assigned == net::require(*tracked, execution::blocking.never));
  CHECK(assigned != *tracked);
  tracked.reset();
  CHECK_FALSE(out_of_work());
  assigned = plain;
  CHECK(assigned == plain);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "D23 inside the target: a timer that a target makes is not inside of it") {
  turnstile hold{io};
  std::optional<timer<int>> inner;
  timer outer{io, 1h, [&]() -> net::awaitable<int> {
                const net::any_io_executor here = co_await net::this_coro::executor;
                inner.emplace(here, 1h, answer);
                auto wait = hold.wait();
                co_await std::move(wait);
                co_return 1;
              }};
  outer.start();
  clock.run_until_idle();
  REQUIRE(inner);
  CHECK(inner->get_executor() == net::any_io_executor(io.get_executor()));
  outcome<int> joined;
  outer.join(net::bind_executor(inner->get_executor(), into(joined)));
  clock.run_until_idle();
  CHECK_FALSE(joined.done());
  hold.open();
  clock.run_until_idle();
  CHECK(joined.value == 1);
  CHECK(joined.kind() == "");
  outer.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "2.1, D23 target's executor: a target that ends in a pool of threads, and all "
                  "that follows is where it belongs") {
  net::thread_pool pool(1);
  const auto here = std::this_thread::get_id();
  const auto is_here = [here] { return std::this_thread::get_id() == here; };
  int strays = 0;
  int stops = 0;
  int errors = 0;
  async_timer::timer_options options;
  options.on_error = [&](const async_timer::timer_ref&, const std::exception_ptr&) {
    ++errors;
    strays += is_here() ? 0 : 1;
  };
  options.on_stop = [&](const async_timer::timer_ref&) {
    ++stops;
    strays += is_here() ? 0 : 1;
  };
  int calls = 0;
  timer t{io, 1s,
          [&]() -> net::awaitable<int> {
            const int call = ++calls;
            auto hop = net::post(net::bind_executor(pool.get_executor(), net::use_awaitable));
            co_await std::move(hop);
            strays += is_here() ? 1 : 0;
            if (call == 3) throw std::runtime_error("no such luck");
            co_return call;
          },
          options};
  // The pool's part is done when the context has its handler back: run() waits for that.
  const auto run_until = [&](int call) {
    const auto guard = net::make_work_guard(io);
    while (t.hit_count() + t.failure_count() < call) io.run_one();
  };
  t.start();
  for (int call = 1; call <= 3; ++call) {
    clock.advance(call == 1 ? 0s : 1s);
    io.restart();
    run_until(call);
  }
  clock.run_until_idle();
  CHECK(t.hit_count() == 2);
  CHECK(errors == 1);
  CHECK(stops == 1);
  CHECK(strays == 0);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "2.24, D23 target's executor: a target that goes on inside another one's call "
                  "brings no third one there") {
  std::function<void()> go_on;
  std::string order;
  timer first{io, 1h, [&]() -> net::awaitable<void> {
                auto wait = net::async_initiate<const net::use_awaitable_t<>&, void()>(
                    [&go_on](auto handler) {
                      const auto executor = net::get_associated_executor(handler);
                      const auto kept = std::make_shared<decltype(handler)>(std::move(handler));
                      go_on = [executor, kept] {
                        net::dispatch(executor, [kept] { std::move (*kept)(); });
                      };
                    },
                    net::use_awaitable);
                co_await std::move(wait);
                order += '1';
              }};
  timer second{io, 1h, [&]() -> net::awaitable<void> {
                 order += '(';
                 if (const auto resume = std::exchange(go_on, nullptr)) resume();
                 order += ')';
                 co_return;
               }};
  timer third{io, 1h, [&]() -> net::awaitable<void> {
                order += '3';
                co_return;
              }};
  second.start();
  third.start();
  clock.run_until_idle();
  first.start();
  clock.run_until_idle();
  REQUIRE(go_on);
  clock.advance(1h);
  CHECK(order == "()3(1)3");
  first.request_stop();
  second.request_stop();
  third.request_stop();
  CHECK(out_of_work());
}
