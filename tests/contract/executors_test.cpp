// Contract sections 22 and 26: executors of every kind, and the allocators of handlers.
#include <doctest/doctest.h>

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "support/faulty_executor.hpp"
#include "support/fixture.hpp"

using namespace test;
using async_timer::timer;

namespace {

/// Makes strands, and strands over them, of every type that the library looks through.
template <class Executor>
std::vector<net::any_io_executor> nested(const Executor& own) {
  const auto any = [](const auto& executor) { return net::any_io_executor(executor); };
  const auto once = net::make_strand(own);
  const auto over_any = net::make_strand(any(own));
  return {any(own),
          any(once),
          any(over_any),
          any(net::make_strand(once)),
          any(net::make_strand(any(once))),
          any(net::make_strand(any(over_any))),
          any(net::make_strand(any(net::make_strand(any(net::make_strand(any(over_any))))))),
          any(net::make_strand(any(net::make_strand(once))))};
}

/// Tells how a blocking form is answered on a thread of the timer's context.
template <class Context, class Run>
std::string answered_on_own_thread(const net::any_io_executor& executor, Context& context,
                                   const Run& run) {
  std::string answer;
  timer t{executor, 1h, [] {}};
  t.start();
  net::post(context, [&] {
    answer = thrown_by([&] { t.cancel_threadsafe(0s); });
    t.request_stop();
  });
  run();
  return answer;
}

/// Counts what an allocator gave and got back, in bytes.
struct account {
  std::ptrdiff_t bytes = 0;
  int allocations = 0;
};
template <class T>
struct accounting {
  using value_type = T;
  account* to;

  explicit accounting(account& where) noexcept : to(&where) {}
  template <class U>
  accounting(const accounting<U>& other) noexcept : to(other.to) {}  // NOLINT
  T* allocate(std::size_t n) {
    to->bytes += static_cast<std::ptrdiff_t>(n * sizeof(T));
    ++to->allocations;
    return std::allocator<T>().allocate(n);
  }
  void deallocate(T* block, std::size_t n) noexcept {
    to->bytes -= static_cast<std::ptrdiff_t>(n * sizeof(T));
    std::allocator<T>().deallocate(block, n);
  }
  template <class U>
  friend bool operator==(const accounting& a, const accounting<U>& b) noexcept {
    return a.to == b.to;
  }
};
struct accounted_handler {
  using allocator_type = accounting<int>;
  account* to;
  int* calls;

  [[nodiscard]] allocator_type get_allocator() const noexcept { return allocator_type(*to); }
  void operator()(const std::exception_ptr&, int) const { ++*calls; }
};

}  // namespace

TEST_CASE("22.4, D34 guards: see through strands over strands, however they are nested") {
  net::io_context io;
  for (const auto& each : nested(io.get_executor())) {
    const auto run = [&io] {
      io.restart();
      io.poll();
    };
    CHECK(answered_on_own_thread(each, io, run) == "dispatch");
  }
  for (std::size_t i = 0; i < nested(io.get_executor()).size(); ++i) {
    net::thread_pool pool(1);
    const auto executor = nested(pool.get_executor())[i];
    CHECK(answered_on_own_thread(executor, pool, [&pool] { pool.wait(); }) == "dispatch");
  }
}

TEST_CASE_FIXTURE(virtual_context, "22.4, D34 guards: see through the executors of targets") {
  std::vector<std::string> answers;
  const auto ask_on = [&answers](const net::any_io_executor& executor) {
    timer t{executor, 1h, [] {}};
    async_timer::timer_group group{executor};
    t.start();
    group.start();
    answers.push_back(thrown_by([&] { t.cancel_threadsafe(0s); }));
    answers.push_back(thrown_by([&] { group.cancel_threadsafe(1ms); }));
  };
  std::optional<timer<void>> inner;
  timer outer{io, 1h, [&]() -> net::awaitable<void> {
                const net::any_io_executor here = co_await net::this_coro::executor;
                for (const auto& each : nested(here)) ask_on(each);
                inner.emplace(net::any_io_executor(net::make_strand(here)), 1h,
                              [&]() -> net::awaitable<void> {
                                const net::any_io_executor deeper =
                                    co_await net::this_coro::executor;
                                for (const auto& each : nested(deeper)) ask_on(each);
                              });
                inner->start();
              }};
  outer.start();
  clock.run_until_idle();
  CHECK(answers.size() == 4 * nested(io.get_executor()).size());
  for (const auto& each : answers) CHECK(each == "dispatch");
  outer.request_stop();
  inner->request_stop();
  CHECK(out_of_work());
}

TEST_CASE("2.24 executors: a busy strand of the first timer's delays no other timer") {
  net::io_context io;
  // Another type than that of a strand over the context's executor.
  const auto strand =
      net::make_strand(net::require(io.get_executor(), net::execution::outstanding_work.tracked));
  timer first{strand, 1h, [] {}};
  int ticks = 0;
  int ticks_meanwhile = 0;
  timer second{io, 1h, [&] { ++ticks; }};
  net::post(strand, [&] {
    second.start();
    io.poll();
    ticks_meanwhile = ticks;
  });
  io.poll();
  CHECK(ticks_meanwhile == 1);
}

TEST_CASE("22.4, 22.6 guards: an executor of the user's own can't be asked, and is no reason") {
  net::io_context io;
  faulty_executor::faults none;
  timer t{net::any_io_executor(faulty_executor(io, none)), 1h, [] {}};
  t.start();
  CHECK(thrown_by([&] { t.cancel_threadsafe(0s); }) == "timeout");
  io.poll();
  CHECK_FALSE(t.is_running());
}

TEST_CASE_FIXTURE(virtual_context, "handlers: their allocator gets back what it gave") {
  account memory;
  int calls = 0;
  SUBCASE("completed") {
    timer t{io, 1h, answer};
    t.start();
    t.join(accounted_handler{&memory, &calls});
    CHECK(memory.allocations > 0);
    clock.run_until_idle();
    CHECK(calls == 1);
    t.request_stop();
  }
  SUBCASE("refused") {
    auto t = async_timer::every(1h)(answer);
    CHECK_THROWS_AS(t.join(accounted_handler{&memory, &calls}),
                    async_timer::threadsafe_dispatch_error);
    CHECK(memory.allocations == 1);
  }
  CHECK(memory.bytes == 0);
  CHECK(out_of_work());
}

#if !defined(BOOST_ASIO_NO_TS_EXECUTORS) && !defined(ASIO_NO_TS_EXECUTORS)
TEST_CASE_FIXTURE(virtual_context,
                  "9.8 handlers: on an io_context::strand they run there, and hold its work") {
  net::io_context other;
  net::io_context::strand strand{other};
  timer<int> t{io, 1s, answer};
  t.start();
  auto feed = t.subscribe();
  async_timer::timer_group group{io};
  int calls = 0;
  int strays = 0;
  const auto bound = [&] {
    return net::bind_executor(strand, [&](const std::exception_ptr&, const auto&...) {
      ++calls;
      strays += strand.running_in_this_thread() ? 0 : 1;
    });
  };
  t.join(bound());
  t.next(bound());
  t.wait({.hits = 1}, bound());
  t.trigger(bound());
  feed.next(bound());
  other.poll();
  CHECK_FALSE(other.stopped());
  CHECK(calls == 0);
  clock.run_until_idle();
  CHECK(calls == 0);
  other.run();
  CHECK(calls == 5);
  t.cancel(bound());
  group.wait(bound());
  clock.run_until_idle();
  other.restart();
  other.run();
  CHECK(calls == 7);
  CHECK(strays == 0);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "13.23, D9b handlers: on an io_context::strand they go with its context") {
  timer<int> t{io, 1s, answer};
  auto feed = t.subscribe();
  const auto held = std::make_shared<int>(0);
  {
    net::io_context other;
    net::io_context::strand strand{other};
    feed.next(net::bind_executor(strand,
                                 [held](const std::exception_ptr&, const std::optional<int>&) {}));
    CHECK(held.use_count() == 2);
  }
  CHECK(held.use_count() == 1);
  t.start();
  clock.run_until_idle();
  CHECK(t.hit_count() == 1);
  t.request_stop();
  CHECK(out_of_work());
}
#endif
