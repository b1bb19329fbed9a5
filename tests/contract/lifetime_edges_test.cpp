// Decisions D8 and D9: what goes when, where a context or a handle goes first.
#include <doctest/doctest.h>

#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "support/fixture.hpp"
#include "support/generators.hpp"
#include "support/immediate_executor.hpp"
#include "support/sleeping_context.hpp"
#include "support/times.hpp"

using namespace test;
using async_timer::mode;
using async_timer::timer;

namespace {

/// Is a completion token that gives what begins the operation, to be called with a handler later.
struct begun_later {};

/// Is an executor that can't be asked to count work.
struct workless_executor {
  net::io_context* io;

  // The names and forms from here on are those of Asio's executor and property protocol.
  net::execution_context& query(net::execution::context_t) const noexcept { return *io; }
  net::execution::blocking_t query(net::execution::blocking_t) const noexcept {
    return net::execution::blocking_t(net::execution::blocking.never);
  }
  workless_executor require(net::execution::blocking_t::never_t) const noexcept { return *this; }
  workless_executor require(net::execution::outstanding_work_t::tracked_t) const {
    throw std::runtime_error("no work");
  }
  template <class Function>
  void execute(Function&& function) const {
    net::post(*io, std::forward<Function>(function));
  }
  friend bool operator==(const workless_executor& a, const workless_executor& b) noexcept {
    return a.io == b.io;
  }
  friend bool operator!=(const workless_executor& a, const workless_executor& b) noexcept {
    return !(a == b);
  }
};

/// Is a handler that is the last to hold what begins its operation, as a coroutine may be.
template <class Initiation>
struct owning_handler {
  using executor_type = workless_executor;

  std::shared_ptr<const Initiation> initiation;
  net::io_context* io;
  [[nodiscard]] executor_type get_executor() const noexcept { return {io}; }
  void operator()(const std::exception_ptr&) const {}
};

/// Begins an operation that can't be begun, and with which all that began it goes.
template <class Initiation>
void begin_in_vain(net::io_context& io, std::shared_ptr<const Initiation> initiation) {
  const Initiation& begin = *initiation;
  begin(owning_handler<Initiation>{std::move(initiation), &io});
}

}  // namespace

template <class Signature>
class async_timer::net::async_result<begun_later, Signature> {
 public:
  template <class Initiation>
  static auto initiate(Initiation&& initiation, begun_later) {
    return std::make_shared<const std::decay_t<Initiation>>(std::forward<Initiation>(initiation));
  }
};

TEST_CASE_FIXTURE(virtual_context,
                  "15.1, D9 cancel: what target and callbacks captured is gone when it completes") {
  const auto captured = std::make_shared<int>();
  std::optional<timer<void>> t;
  t.emplace(
      io, 1h, [captured] {},
      async_timer::timer_options{.on_error = [captured] {}, .on_stop = [captured] {}});
  t->start();
  clock.run_until_idle();
  long owners = 0;
  t->cancel(net::bind_executor(immediate_executor(), [&](std::exception_ptr error) {
    CHECK_FALSE(error);
    owners = captured.use_count();
  }));
  const auto ref = t->ref();
  t.reset();
  CHECK(captured.use_count() > 1);
  clock.run_until_idle();
  CHECK(owners == 1);
  CHECK_FALSE(ref.is_running());
}

TEST_CASE("D9 context destroyed: frees the captures of a timer whose handle went before") {
  const auto captured = std::make_shared<int>();
  auto io = std::make_unique<net::io_context>();
  std::optional<timer<void>> t;
  t.emplace(
      *io, 1h, [captured] {},
      async_timer::timer_options{.on_error = [captured] {}, .on_stop = [captured] {}});
  t->start();
  io->poll();
  const auto ref = t->ref();
  t.reset();
  CHECK(captured.use_count() > 1);
  io.reset();
  CHECK(captured.use_count() == 1);
  CHECK(ref.hit_count() == 1);
}

TEST_CASE("D8, D9 context destroyed: destroys the generator of the run, the timer lives on") {
  const auto captured = std::make_shared<int>();
  const auto numbers = [](std::shared_ptr<int>) -> generator<int> {
    for (int n = 1;; ++n) co_yield int{n};
  };
  auto io = std::make_unique<net::io_context>();
  timer t{*io, 1h, [captured, numbers] { return numbers(captured); }};
  const auto idle = captured.use_count();
  t.start();
  io->poll();
  REQUIRE(t.last_result() == 1);
  CHECK(captured.use_count() == idle + 1);
  io.reset();
  CHECK(captured.use_count() == idle);
  CHECK(t.last_result() == 1);
}

TEST_CASE("13.23, D9 context destroyed: feeds end for consumers on another context") {
  net::io_context there;
  auto io = std::make_unique<net::io_context>();
  timer t{*io, 1h, answer};
  auto feed = t.subscribe();
  t.start();
  io->poll();
  outcome<std::optional<int>> buffered;
  outcome<std::optional<int>> waiting;
  feed.next(net::bind_executor(there.get_executor(), into(buffered)));
  feed.next(net::bind_executor(there.get_executor(), into(waiting)));
  there.poll();
  REQUIRE(buffered.value.value() == 42);
  CHECK_FALSE(waiting.done());
  io.reset();
  there.restart();
  there.run();
  CHECK(waiting.done());
  CHECK(waiting.kind() == "");
  CHECK_FALSE(waiting.value.value().has_value());
  CHECK(feed.closed());
}

TEST_CASE("9.3, D9 context destroyed: who waits from within that is refused") {
  net::io_context there;
  auto io = std::make_unique<net::io_context>();
  std::optional<timer<int>> t;
  outcome<int> joined;
  const auto asks = [&](void*) { t->join(net::bind_executor(there.get_executor(), into(joined))); };
  const auto numbers = [](std::shared_ptr<void>) -> generator<int> {
    for (int n = 1;; ++n) co_yield int{n};
  };
  t.emplace(*io, 1h, [&] { return numbers({static_cast<void*>(nullptr), asks}); });
  t->start();
  io->poll();
  REQUIRE(t->is_running());
  io.reset();
  there.run();
  CHECK(joined.completions == 1);
  CHECK(joined.kind() == "not_running");
}

TEST_CASE_FIXTURE(sleeping_context,
                  "19.5, D9 every: keeps its mode and its past over the end of a context") {
  times at;
  std::chrono::nanoseconds takes{0};
  auto t = async_timer::every(1s, {.mode = mode::fixed_rate})([&]() -> net::awaitable<void> {
    at.push_back(elapsed());
    if (takes > 0s) {
      auto work = pause(takes);
      co_await std::move(work);
    }
  });
  {
    net::io_context other;
    t.start(other);
    other.poll();
  }
  REQUIRE(t.hit_count() == 1);
  REQUIRE_FALSE(t.is_running());
  CHECK(thrown_by([&] { t.cancel_threadsafe(); }) == "dispatch");
  try {
    t.cancel_threadsafe();
  } catch (const async_timer::threadsafe_dispatch_error& error) {
    CHECK(std::string(error.what()).find("closed") != std::string::npos);
  }
  at.clear();
  takes = 300ms;
  t.start(io);
  clock.advance(2500ms);
  CHECK(at == times{0s, 1s, 2s});
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(
    virtual_context,
    "19.5, 15.1, D9 every: a stop on the next context reaches nothing of a target that "
    "was suspended when the last one went") {
  int stops = 0;
  auto t = async_timer::every(1s, {.on_stop = [&] { ++stops; }})([]() -> net::awaitable<void> {
    net::steady_timer never{co_await net::this_coro::executor,
                            net::steady_timer::time_point::max()};
    auto wait = never.async_wait(net::use_awaitable);
    co_await std::move(wait);
  });
  {
    net::io_context other;
    t.start(other);
    other.poll();
  }
  REQUIRE_FALSE(t.is_running());
  t.start(io);
  t.request_stop();
  CHECK(out_of_work());
  CHECK(stops == 1);
  CHECK(t.hit_count() == 0);
}

TEST_CASE_FIXTURE(virtual_context,
                  "15.1, 20.7, D9 lifetime: a cancellation that can't be begun, with which all "
                  "that began it goes, leaves a timer as it was and stops a group") {
  timer<int> t{io, 1s, answer};
  async_timer::timer_group group{io};
  group.add(timer<int>{io, 1s, answer});
  t.start();
  group.start();
  clock.run_until_idle();
  CHECK(thrown_by([&] { begin_in_vain(io, t.cancel(begun_later())); }) == "no work");
  CHECK(t.is_running());
  CHECK(thrown_by([&] { begin_in_vain(io, group.cancel_all(begun_later())); }) == "no work");
  CHECK_FALSE(group.is_running());
  t.request_stop();
  CHECK(out_of_work());
}
