// Contract sections 2, 7, 15: executors of a user's own, which the library can't look into. They
// run the ticks of their own timers, and nothing else. Virtual time would make the context's own
// executor known before them, so these tests use the real clock, and timers that are due at once.
#include <doctest/doctest.h>

#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "support/faulty_executor.hpp"
#include "support/fixture.hpp"
#include "support/telling_executor.hpp"

using namespace test;
using async_timer::timer;
using async_timer::timer_options;

namespace {

constexpr int every_one = 1'000'000;

net::any_io_executor over(net::io_context& io, faulty_executor::faults& faults) {
  return net::any_io_executor(faulty_executor(io, faults));
}
net::any_io_executor over(net::io_context& io, telling_executor::calls& calls) {
  return net::any_io_executor(telling_executor(io, calls));
}

void run_ready(net::io_context& io) {
  io.restart();
  io.poll();
}

/// Starts a timer, waits for its tick and stops it again; tells how that ended.
template <class Timer>
std::string tick_and_cancel(net::io_context& io, Timer& t) {
  // Shared, since an operation that hangs ends later.
  const auto result = std::make_shared<std::string>("no tick");
  t.start();
  const auto tick = [result](const std::exception_ptr& error, const std::optional<int>&) {
    *result = kind_of(error) + "no end";
  };
  t.wait({.hits = 1}, net::bind_executor(io.get_executor(), tick));
  run_ready(io);
  const auto end = [result](const std::exception_ptr& error) {
    if (*result == "no end") *result = kind_of(error);
  };
  t.cancel(net::bind_executor(io.get_executor(), end));
  run_ready(io);
  return *result;
}

}  // namespace

TEST_CASE("2.24, 7.2 executors: one that is gone with its timer is not asked for the next one's") {
  net::io_context io;
  {
    const auto faults = std::make_unique<faulty_executor::faults>();
    const timer<int> gone{over(io, *faults), 1h, answer};
  }
  timer<int> t{io, 1h, answer};
  CHECK(tick_and_cancel(io, t) == "");
  CHECK(io.stopped());
}

TEST_CASE("2.24, 7.2 executors: one that is gone after a run is not asked for the next one's") {
  net::io_context io;
  {
    const auto faults = std::make_unique<faulty_executor::faults>();
    timer<int> gone{over(io, *faults), 1h, answer};
    CHECK(tick_and_cancel(io, gone) == "");
  }
  faulty_executor::faults none;
  timer<int> other{over(io, none), 1h, answer};
  CHECK(tick_and_cancel(io, other) == "");
  timer<int> t{io, 1h, answer};
  CHECK(tick_and_cancel(io, t) == "");
  CHECK(io.stopped());
}

TEST_CASE("2.24, 13.2 executors: one that a feed's handler brought along is not asked for ticks") {
  net::io_context elsewhere;
  timer<int> source{elsewhere, 1h, answer};
  auto feed = source.subscribe();
  net::io_context io;
  int items = 0;
  {
    const auto faults = std::make_unique<faulty_executor::faults>();
    feed.next(net::bind_executor(over(io, *faults),
                                 [&](const std::exception_ptr&, std::optional<int>) { ++items; }));
    source.start();
    run_ready(elsewhere);
    run_ready(io);
    CHECK(items == 1);
  }
  faulty_executor::faults none;
  timer<int> other{over(io, none), 1h, answer};
  CHECK(tick_and_cancel(io, other) == "");
  timer<int> t{io, 1h, answer};
  CHECK(tick_and_cancel(io, t) == "");
  source.request_stop();
  run_ready(elsewhere);
}

TEST_CASE("2.24, 15.1 executors: one that drops or refuses all holds up its own timers only") {
  const log_recorder log;
  net::io_context io;
  faulty_executor::faults faults;
  faulty_executor::faults none;
  timer<int> lost{over(io, faults), 1h, answer};
  timer<int> first{io, 1h, answer};
  timer<int> second{over(io, none), 1h, answer};
  for (int* const fault : {&faults.drops, &faults.throws}) {
    *fault = every_one;
    lost.start();
    run_ready(io);
    CHECK(tick_and_cancel(io, second) == "");
    CHECK(tick_and_cancel(io, first) == "");
    CHECK_FALSE(lost.is_running());
    CHECK(kind_of(lost.last_failure()).find("dropped a tick") != std::string::npos);
    *fault = 0;
    CHECK(tick_and_cancel(io, lost) == "");
  }
}

TEST_CASE(
    "2.24, 15.1 executors: where there is no other one that drops a tick fails that run alone") {
  const log_recorder log;
  net::io_context io;
  faulty_executor::faults faults;
  faulty_executor::faults none;
  timer<int> lost{over(io, faults), 1h, answer};
  timer<int> other{over(io, none), 1h, answer};
  for (const int drops : {1, every_one}) {
    faults.drops = drops;
    lost.start();
    run_ready(io);
    CHECK_FALSE(lost.is_running());
    CHECK(tick_and_cancel(io, other) == "");
    faults.drops = 0;
    CHECK(tick_and_cancel(io, lost) == "");
  }
  CHECK(io.stopped());
}

TEST_CASE("2.24 executors: a busy strand over one of a user's delays no other timer") {
  net::io_context io;
  faulty_executor::faults none;
  const auto strand = net::make_strand(faulty_executor(io, none));
  timer<int> first{strand, 1h, answer};
  timer<int> by_another{over(io, none), 1h, answer};
  timer<int> by_the_context{io, 1h, answer};
  std::string meanwhile = "not run";
  net::post(strand, [&] {
    meanwhile = tick_and_cancel(io, by_another) + tick_and_cancel(io, by_the_context);
  });
  run_ready(io);
  CHECK(meanwhile == "");
}

TEST_CASE(
    "2.24, 26.5 executors: one that uses the library when it is given a function doesn't hang") {
  net::io_context io;
  telling_executor::calls calls;
  timer<int> t{over(io, calls), 1h, answer};
  timer<int> other{over(io, calls), 1h, answer};
  int executed = 0;
  calls.at_execute = [&] {
    if (++executed > 10) return;
    other.request_stop();
    t.trigger([](const std::exception_ptr&, int) {});
    static_cast<void>(t.is_running());
  };
  t.start();
  other.start();
  run_ready(io);
  t.trigger([](const std::exception_ptr&, int) {});
  run_ready(io);
  CHECK(executed > 10);
  CHECK(t.hit_count() > 3);
  calls.at_execute = [] {};
  other.request_stop();
  t.request_stop();
  run_ready(io);
  CHECK(io.stopped());
}

TEST_CASE("2.24, 26.5 executors: one that uses the library at the end of a run doesn't hang") {
  net::io_context io;
  telling_executor::calls calls;
  timer<int> t{over(io, calls), 1h, []() -> net::awaitable<int> { co_return 1; }};
  t.start();
  run_ready(io);
  CHECK(t.hit_count() == 1);
  // The runner that waits for the next tick is unwound, through the executor, with the run.
  int executed = 0;
  calls.at_execute = [&] {
    ++executed;
    static_cast<void>(t.name());
  };
  t.request_stop();
  run_ready(io);
  CHECK(executed > 0);
  CHECK_FALSE(t.is_running());
  CHECK(io.stopped());
  calls.at_execute = [] {};
}

TEST_CASE(
    "2.24, 3.4 executors: with those of a user alone timers tick on, and others get their turn") {
  net::io_context io;
  faulty_executor::faults none;
  timer<int>* self = nullptr;
  int between = 0;
  timer<int> t{over(io, none), 0s, [&] {
                 net::post(io, [&] { ++between; });
                 if (self->hit_count() == 9) self->request_stop();
                 return 1;
               }};
  self = &t;
  t.start();
  CHECK_FALSE(io.stopped());
  io.run();
  CHECK(t.hit_count() == 10);
  CHECK(between == 10);
  CHECK_FALSE(t.is_running());
}

TEST_CASE(
    "16.1, D9b executors: what one of a user's has when its context goes is over without a word") {
  for (int steps = 0; steps < 6; ++steps) {
    CAPTURE(steps);
    int calls = 0;
    faulty_executor::faults none;
    const auto count = [&calls] { ++calls; };
    timer_options options;
    options.on_error = count;
    options.on_stop = count;
    auto io = std::make_unique<net::io_context>();
    timer<int> t{over(*io, none), 0s, answer, options};
    t.start();
    for (int i = 0; i < steps; ++i) io->poll_one();
    CHECK(t.is_running());
    io.reset();
    CHECK_FALSE(t.is_running());
    CHECK(calls == 0);
  }
}

namespace {

/// Is a timer whose executor is none of those that the scheduler remembers, and says when it goes.
class past_executor {
 public:
  enum class others { strands, unknown };

  explicit past_executor(
      std::function<void()> at_end = [] {}, others kind = others::strands)
      : kind_(kind) {
    calls.kept = std::shared_ptr<void>(this, [this, at_end = std::move(at_end)](void*) {
      has_gone = true;
      at_end();
    });
    t.emplace(over(*io, calls), 1h, answer);
    calls.kept = nullptr;
    for (int i = 0; i < 8; ++i) make_another();
  }
  void make_another() {
    if (kind_ == others::strands) {
      timer<int>{net::make_strand(*io), 1h, answer};
    } else {
      timer<int>{over(*io, faults_.emplace_back()), 1h, answer};
    }
  }

  bool has_gone = false;
  telling_executor::calls calls;
  std::unique_ptr<net::io_context> io = std::make_unique<net::io_context>();
  std::optional<timer<int>> t;

 private:
  const others kind_;
  std::deque<faulty_executor::faults> faults_;
};

}  // namespace

TEST_CASE("2.24, 26.5 executors: one of the past goes where its context is in use, or with that") {
  past_executor one;
  run_ready(*one.io);
  SUBCASE("after an end elsewhere") {
    one.t.reset();
    // This might be a thread that knows nothing of the context, which goes meanwhile.
    CHECK_FALSE(one.has_gone);
    SUBCASE("in a turn") {
      run_ready(*one.io);
      CHECK(one.io->stopped());
    }
    SUBCASE("when another timer comes with another one") { one.make_another(); }
    SUBCASE("with the context") { one.io.reset(); }
    CHECK(one.has_gone);
  }
  SUBCASE("at once on a thread of the context") {
    net::post(*one.io, [&] {
      one.t.reset();
      CHECK(one.has_gone);
    });
    run_ready(*one.io);
    CHECK(one.io->stopped());
  }
}

TEST_CASE("2.24, 26.5 executors: one of the past goes in a turn where no other than these came") {
  past_executor one([] {}, past_executor::others::unknown);
  net::post(*one.io, [&] {
    one.t.reset();
    CHECK_FALSE(one.has_gone);
  });
  run_ready(*one.io);
  CHECK(one.has_gone);
  CHECK(one.io->stopped());
}

TEST_CASE(
    "2.24, 26.5 executors: the end of one may use the library while its tick is given to it") {
  std::optional<timer<int>> other;
  past_executor one([&] { other.reset(); });
  other.emplace(*one.io, 1h, answer);
  other->start();
  run_ready(*one.io);
  one.t->start();
  // Stands for another thread that runs the context meanwhile.
  one.calls.at_executed = [&] {
    one.t.reset();
    one.io->poll();
  };
  run_ready(*one.io);
  CHECK(one.has_gone);
  CHECK_FALSE(other.has_value());
  run_ready(*one.io);
  CHECK(one.io->stopped());
}
