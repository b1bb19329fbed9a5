// Contract section 18: stop signals; with 1.9, 1.11, 7.6 to 7.8, D27 and D28.
#include <doctest/doctest.h>

#include <functional>
#include <stdexcept>
#include <stop_token>

#include "support/fixture.hpp"

#if defined(ASYNC_TIMER_USE_STANDALONE_ASIO)
#include <asio/experimental/deferred.hpp>
#else
#include <boost/asio/deferred.hpp>
#endif

using namespace test;
using async_timer::stop_when;

namespace {

#if defined(ASYNC_TIMER_USE_STANDALONE_ASIO)
constexpr auto& deferred = net::experimental::deferred;
#else
constexpr auto& deferred = net::deferred;
#endif

/// Is an asynchronous operation whose end the test decides.
class hand_made {
 public:
  int begun = 0;
  int cancelled = 0;

  template <class Token>
  auto async_wait(Token&& token) {
    return net::async_initiate<Token, void(async_timer::error_code)>(
        [this](auto handler) {
          ++begun;
          auto slot = net::get_associated_cancellation_slot(handler);
          executor_ = net::get_associated_executor(handler);
          using handler_type = decltype(handler);
          pending_ = [shared = std::make_shared<handler_type>(std::move(handler))](auto error) {
            std::move (*shared)(error);
          };
          if (slot.is_connected()) {
            slot.assign([this](net::cancellation_type) {
              ++cancelled;
              complete(net::error::operation_aborted);
            });
          }
        },
        token);
  }
  void complete(async_timer::error_code error = {}) {
    net::post(executor_, [handler = std::exchange(pending_, nullptr), error] { handler(error); });
  }
  [[nodiscard]] bool pending() const { return pending_ != nullptr; }

  /// Gives the operation as stop_when takes it.
  [[nodiscard]] auto as_signal() {
    return [this](auto token) { return async_wait(std::move(token)); };
  }

 private:
  net::any_io_executor executor_;
  std::function<void(async_timer::error_code)> pending_;
};

/// Is a timer that does nothing: an idle wait on it, or a join, is an operation to wait for.
struct idle_timer : async_timer::timer<void> {
  explicit idle_timer(net::io_context& io) : timer(io, 1000s, [] {}, {.initial_delay = 1000s}) {
    start();
  }
};

template <class Start>
std::exception_ptr caught(Start&& start) {
  try {
    start();
    return nullptr;
  } catch (...) {
    return std::current_exception();
  }
}

}  // namespace

TEST_CASE_FIXTURE(virtual_context, "1.9 stop_on: construction needs no running executor") {
  hand_made signal;
  int made = 0;
  const async_timer::timer t{
      io, 1s, [] {}, {.stop_on = stop_when(signal.as_signal(), [&]() -> net::awaitable<void> {
                        ++made;
                        co_return;
                      })}};
  const auto later = async_timer::every(1s, {.stop_on = stop_when(signal.as_signal())})([] {});
  clock.advance(10s);
  CHECK(signal.begun == 0);
  CHECK(made == 0);
  CHECK_FALSE(t.is_running());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "1.11 stop_on: an empty set counts as none") {
  int count = 0;
  async_timer::timer t{io, 1s, [&] { ++count; }, {.stop_on = stop_when()}};
  t.start();
  clock.advance(0s);
  CHECK(count == 1);
  t.request_stop();
  clock.run_until_idle();
  t.start();
  clock.advance(0s);
  CHECK(count == 2);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "5.3 stop_on: a signal during the initial delay: no tick, on_stop") {
  hand_made signal;
  int stops = 0;
  async_timer::timer t{
      io,
      1s,
      [] {},
      {.initial_delay = 5s, .on_stop = [&] { ++stops; }, .stop_on = stop_when(signal.as_signal())}};
  t.start();
  clock.advance(4s);
  signal.complete();
  clock.advance(10s);
  CHECK(t.hit_count() == 0);
  CHECK(stops == 1);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "7.4 stop_on: a run ended by another's signal may begin again") {
  idle_timer first{io};
  async_timer::timer follower{io, 1s, [] {}, {.stop_on = stop_when(first)}};
  follower.start();
  clock.advance(1s);
  first.request_stop();
  clock.run_until_idle();
  CHECK_FALSE(follower.is_running());
  CHECK(kind_of(caught([&] { follower.start(); })) == "restart");
  first.start();  // what was only waited for is not concerned
  CHECK(first.is_running());
  first.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "8.2 stop_on: not running as soon as a signal has finished") {
  std::stop_source source;
  bool running_in_on_stop = true;
  async_timer::timer t{
      io,
      1s,
      [] {},
      {.on_stop = [&](async_timer::timer_ref timer) { running_in_on_stop = timer.is_running(); },
       .stop_on = stop_when(source.get_token())}};
  t.start();
  clock.advance(0s);
  CHECK(t.is_running());
  source.request_stop();
  CHECK_FALSE(t.is_running());
  clock.run_until_idle();
  CHECK_FALSE(running_in_on_stop);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "16.6 stop_on: on_stop is called once, at the very end") {
  hand_made signal;
  std::string order;
  async_timer::timer t{
      io,
      1s,
      [&] { order += 't'; },
      {.on_stop = [&] { order += 's'; }, .stop_on = stop_when(signal.as_signal())}};
  t.start();
  clock.advance(1s);
  signal.complete();
  clock.advance(5s);
  CHECK(order == "tts");
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "16.12 stop_on: on_error is not called for a stop signal") {
  log_recorder log;
  hand_made signal;
  int errors = 0;
  async_timer::timer t{
      io, 1s, [] {}, {.on_error = [&] { ++errors; }, .stop_on = stop_when(signal.as_signal())}};
  t.start();
  clock.advance(1s);
  signal.complete(net::error::eof);
  clock.run_until_idle();
  CHECK(errors == 0);
  CHECK(t.failure_count() == 0);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "7.6 stop_on: makes a timer that runs only once") {
  hand_made signal;
  int count = 0;
  async_timer::timer t{io, 1s, [&] { ++count; }, {.stop_on = stop_when(signal.as_signal())}};
  t.start();
  clock.advance(0s);
  SUBCASE("stopped by its signal") { signal.complete(); }
  SUBCASE("stopped otherwise") { t.request_stop(); }
  clock.run_until_idle();
  CHECK_FALSE(t.is_running());
  const auto error = caught([&] { t.start(); });
  CHECK(kind_of(error) == "restart");
  CHECK(message_of(error).find("stop_on") != std::string::npos);
  CHECK(message_of(error).find("build a new timer") != std::string::npos);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "7.7 stop_on: already-running is checked before restart") {
  hand_made signal;
  async_timer::timer t{io, 1s, [] {}, {.stop_on = stop_when(signal.as_signal())}};
  t.start();
  CHECK(kind_of(caught([&] { t.start(); })) == "already_running");
  clock.advance(0s);
  CHECK(kind_of(caught([&] { t.start(); })) == "already_running");
  signal.complete();
  clock.run_until_idle();
  CHECK(kind_of(caught([&] { t.start(); })) == "restart");
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "7.8 stop_on: a refused start changes nothing") {
  hand_made signal;
  int stops = 0;
  async_timer::timer t{
      io,
      1s,
      []() -> int { throw std::runtime_error("broken"); },
      {.on_error = [] {}, .on_stop = [&] { ++stops; }, .stop_on = stop_when(signal.as_signal())}};
  t.start();
  clock.advance(0s);
  CHECK(stops == 1);
  CHECK(kind_of(caught([&] { t.start(); })) == "restart");
  clock.advance(10s);
  CHECK_FALSE(t.is_running());
  CHECK(stops == 1);
  CHECK(signal.begun == 1);
  outcome<int> joined;
  t.join(into(joined));
  clock.run_until_idle();
  CHECK(joined.kind() == "broken");  // the failure of the last run is not forgotten
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "7.8 stop_on: a start without executor leaves the one run") {
  hand_made signal;
  int count = 0;
  auto t = async_timer::every(1s, {.stop_on = stop_when(signal.as_signal())})([&] { ++count; });
  CHECK(kind_of(caught([&] { t.start(); })) == "dispatch");
  t.start(io);
  clock.advance(0s);
  CHECK(count == 1);
  signal.complete();
  clock.run_until_idle();
  CHECK_FALSE(t.is_running());
  CHECK(kind_of(caught([&] { t.start(io); })) == "restart");
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "18.1 stop_on: any one signal that finishes ends the run") {
  log_recorder log;
  hand_made never;
  hand_made signal;
  idle_timer other{io};
  std::stop_source source;
  async_timer::stop_signals signals;
  std::function<void()> fire = [] {};
  SUBCASE("an operation with a value") {
    signals = stop_when(never.as_signal(), signal.as_signal());
    fire = [&] { signal.complete(); };
  }
  SUBCASE("an operation that fails") {
    signals = stop_when(signal.as_signal(), never.as_signal());
    fire = [&] { signal.complete(net::error::eof); };
  }
  SUBCASE("an operation that is cancelled") {
    signals = stop_when(never.as_signal(), signal.as_signal());
    fire = [&] { signal.complete(net::error::operation_aborted); };
  }
  SUBCASE("a stop_token") {
    signals = stop_when(never.as_signal(), source.get_token());
    fire = [&] { source.request_stop(); };
  }
  SUBCASE("the end of another timer") {
    signals = stop_when(never.as_signal(), other);
    fire = [&] { other.request_stop(); };
  }
  SUBCASE("a deferred operation") {
    signals = stop_when(never.as_signal(), other.wait(deferred));
    fire = [&] { other.request_stop(); };
  }
  SUBCASE("an awaitable") {
    signals = stop_when(never.as_signal(), signal.async_wait(net::use_awaitable));
    fire = [&] { signal.complete(); };
  }
  SUBCASE("a callable that returns an awaitable") {
    signals = stop_when(
        [&]() -> net::awaitable<int> {
          auto wait = other.wait(net::use_awaitable);
          co_await std::move(wait);
          co_return 1;
        },
        never.as_signal());
    fire = [&] { other.request_stop(); };
  }
  int count = 0;
  int stops = 0;
  async_timer::timer t{io, 1s, [&] { ++count; }, {.on_stop = [&] { ++stops; }, .stop_on = signals}};
  t.start();
  clock.advance(2s);
  CHECK(count == 3);
  CHECK(t.is_running());
  fire();
  clock.run_until_idle();
  CHECK_FALSE(t.is_running());
  CHECK(stops == 1);
  CHECK_FALSE(never.pending());
  clock.advance(10s);
  CHECK(count == 3);
  other.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "18.2 stop_on: a tick in flight is completed and counted") {
  idle_timer gate{io};
  hand_made signal;
  int stops = 0;
  async_timer::timer t{io,
                       1s,
                       [&]() -> net::awaitable<int> {
                         auto wait = gate.trigger(net::use_awaitable);
                         auto slow = gate.wait(net::use_awaitable);
                         co_await std::move(wait);
                         co_await std::move(slow);
                         co_return 42;
                       },
                       {.on_stop = [&] { ++stops; }, .stop_on = stop_when(signal.as_signal())}};
  outcome<int> joined;
  t.start();
  t.join(into(joined));
  auto feed = t.subscribe();
  clock.advance(0s);
  signal.complete();
  clock.advance(5s);
  CHECK_FALSE(t.is_running());
  CHECK(stops == 0);
  CHECK_FALSE(joined.done());
  no_value cancelled;
  SUBCASE("graceful") {
    gate.request_stop();
    clock.run_until_idle();
    CHECK(joined.value == 42);
    CHECK(feed.qsize() == 1);
    CHECK(t.hit_count() == 1);
  }
  SUBCASE("cancel() still interrupts it") {
    t.cancel(into(cancelled));
    clock.run_until_idle();
    CHECK(cancelled.completions == 1);
    CHECK(joined.kind() == "stopped");
    CHECK(t.hit_count() == 0);
  }
  SUBCASE("request_stop() still interrupts it") {
    t.request_stop();
    clock.run_until_idle();
    CHECK(joined.kind() == "stopped");
    CHECK(t.hit_count() == 0);
  }
  CHECK(stops == 1);
  clock.advance(10s);
  CHECK(t.hit_count() <= 1);
  gate.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "18.2 stop_on: a plain tick in flight is counted, too") {
  std::stop_source source;
  async_timer::timer t{
      io, 1s, [&] { return source.request_stop(); }, {.stop_on = stop_when(source.get_token())}};
  outcome<bool> joined;
  t.start();
  t.join(into(joined));
  clock.advance(10s);
  CHECK(joined.value == true);
  CHECK(t.hit_count() == 1);
  CHECK_FALSE(t.is_running());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "18.3 stop_on: a sleeping timer ends at once") {
  hand_made signal;
  int stops = 0;
  auto initial_delay = 0s;
  SUBCASE("between ticks") {}
  SUBCASE("in the initial delay") { initial_delay = 100s; }
  async_timer::timer t{io,
                       10s,
                       [] {},
                       {.initial_delay = initial_delay,
                        .on_stop = [&] { ++stops; },
                        .stop_on = stop_when(signal.as_signal())}};
  t.start();
  clock.advance(3s);
  CHECK(stops == 0);
  signal.complete();
  clock.run_until_idle();
  CHECK(stops == 1);
  CHECK(elapsed() == 3s);
  CHECK(t.hit_count() == (initial_delay == 0s ? 1 : 0));
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "18.3 stop_on: the first tick comes when it would without") {
  hand_made signal;
  int count = 0;
  async_timer::timer t{io,
                       10s,
                       [&] { ++count; },
                       {.mode = async_timer::mode::fixed_rate,
                        .initial_delay = 2s,
                        .stop_on = stop_when(signal.as_signal())}};
  t.start();
  clock.advance(1999ms);
  CHECK(count == 0);
  clock.advance(1ms);
  CHECK(count == 1);
  clock.advance(9999ms);
  CHECK(count == 1);
  clock.advance(1ms);
  CHECK(count == 2);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "18.4 stop_on: a failing signal is logged, and stops") {
  log_recorder log;
  hand_made signal;
  hand_made gate;
  async_timer::stop_signals signals;
  std::function<void()> fire = [&] { gate.complete(); };
  std::string type;
  std::string text;
  SUBCASE("an awaitable that throws") {
    signals = stop_when([&]() -> net::awaitable<void> {
      auto wait = gate.async_wait(net::use_awaitable);
      co_await std::move(wait);
      throw std::runtime_error("disk on fire");
    });
    type = "std::runtime_error";
    text = "disk on fire";
  }
  SUBCASE("an operation with an error") {
    signals = stop_when(gate.as_signal());
    fire = [&] { gate.complete(net::error::connection_reset); };
    type = "system_error";
    text = async_timer::error_code(net::error::connection_reset).message();
  }
  SUBCASE("one that can't be begun") {
    signals = stop_when([](auto&&) { throw std::logic_error("no such thing"); });
    fire = [] {};
    type = "std::logic_error";
    text = "no such thing";
  }
  int errors = 0;
  int stops = 0;
  async_timer::timer t{io,
                       1s,
                       [] {},
                       {.name = "db",
                        .on_error = [&] { ++errors; },
                        .on_stop = [&] { ++stops; },
                        .stop_on = signals}};
  t.start();
  clock.run_until_idle();
  no_value joined;
  if (t.is_running()) {
    t.join(into(joined));
  }
  fire();
  clock.run_until_idle();
  CHECK(stops == 1);
  CHECK(errors == 0);
  CHECK(joined.kind() == (joined.done() ? "stopped" : ""));
  CHECK(t.failure_count() == 0);
  REQUIRE(log.records().size() == 1);
  const auto& record = log.records().front();
  CHECK(record.level == async_timer::log_level::warning);
  CHECK(record.logger == "async_timer.pacemaker");
  CHECK(record.event == "async_timer.cancel_aws_raised");
  CHECK(record.field("timer_name") == "db");
  CHECK(record.field("exception_type").find(type) != std::string::npos);
  CHECK(record.message.find(text) != std::string::npos);
  CHECK(record.message.find("treated as stop") != std::string::npos);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "18.4 stop_on: a clean or a cancelled signal logs nothing") {
  log_recorder log;
  hand_made clean;
  hand_made cancelled;
  async_timer::timer one{io, 1s, [] {}, {.stop_on = stop_when(clean.as_signal())}};
  async_timer::timer two{io, 1s, [] {}, {.stop_on = stop_when([&]() -> net::awaitable<void> {
                                           auto wait = cancelled.async_wait(net::use_awaitable);
                                           co_await std::move(wait);
                                         })}};
  one.start();
  two.start();
  clock.advance(1s);
  clean.complete();
  cancelled.complete(net::error::operation_aborted);
  clock.run_until_idle();
  CHECK_FALSE(one.is_running());
  CHECK_FALSE(two.is_running());
  CHECK(log.records().empty());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "18.5 stop_on: the other signals are cancelled") {
  hand_made first;
  hand_made second;
  hand_made third;
  idle_timer other{io};
  std::stop_source source;
  bool unwound = false;
  async_timer::timer t{io,
                       1s,
                       [] {},
                       {.stop_on = stop_when(first.as_signal(), second.as_signal(), other,
                                             source.get_token(), [&]() -> net::awaitable<void> {
                                               auto wait = third.async_wait(net::use_awaitable);
                                               try {
                                                 co_await std::move(wait);
                                               } catch (...) {
                                                 unwound = true;
                                                 throw;
                                               }
                                             })}};
  t.start();
  clock.advance(1s);
  REQUIRE(second.begun == 1);
  REQUIRE(third.begun == 1);
  SUBCASE("when one of them fires") {
    first.complete();
    clock.run_until_idle();
    CHECK(first.cancelled == 0);
  }
  SUBCASE("when the timer is cancelled") {
    t.request_stop();
    clock.run_until_idle();
    CHECK(first.cancelled == 1);
  }
  CHECK(second.cancelled == 1);
  CHECK(third.cancelled == 1);
  CHECK(unwound);
  CHECK(other.is_running());
  CHECK_FALSE(source.stop_requested());
  other.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "18.5 stop_on: ... while a tick is still in flight") {
  hand_made first;
  hand_made second;
  hand_made gate;
  async_timer::timer t{io,
                       1s,
                       [&]() -> net::awaitable<void> {
                         auto wait = gate.async_wait(net::use_awaitable);
                         co_await std::move(wait);
                       },
                       {.stop_on = stop_when(first.as_signal(), second.as_signal())}};
  t.start();
  clock.advance(0s);
  first.complete();
  clock.run_until_idle();
  CHECK(second.cancelled == 1);
  CHECK(gate.cancelled == 0);
  gate.complete();
  clock.run_until_idle();
  CHECK(t.hit_count() == 1);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "18.6 stop_on: armed at start(), not at construction") {
  hand_made signal;
  async_timer::timer t{io, 1s, [] {}, {.stop_on = stop_when(signal.as_signal())}};
  clock.advance(5s);
  CHECK(signal.begun == 0);
  t.start();
  CHECK(signal.begun == 0);  // not on the calling thread
  clock.run_until_idle();
  CHECK(signal.begun == 1);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "18.7 stop_on: a signal finished by the start: no tick") {
  hand_made never;
  std::stop_source source;
  source.request_stop();
  const async_timer::timer ended{io, 1s, [] {}};
  net::steady_timer past{io, net::steady_timer::time_point::min()};
  async_timer::stop_signals signals;
  SUBCASE("a stop_token") { signals = stop_when(never.as_signal(), source.get_token()); }
  SUBCASE("a timer that is over") { signals = stop_when(ended, never.as_signal()); }
  SUBCASE("an awaitable that ends at once") {
    signals = stop_when(never.as_signal(), []() -> net::awaitable<void> { co_return; });
  }
  SUBCASE("an awaitable with some hops") {
    signals = stop_when(never.as_signal(), [&]() -> net::awaitable<void> {
      for (int i = 0; i < 3; ++i) {
        auto hop = net::post(io, net::use_awaitable);
        co_await std::move(hop);
      }
    });
  }
  SUBCASE("an operation on an object that is ready") {
    signals = stop_when([&](auto token) { return past.async_wait(std::move(token)); });
  }
  SUBCASE("an operation that ends within its initiation") {
    signals = stop_when([](auto handler) { handler(); }, never.as_signal());
  }
  for (const bool trigger : {false, true}) {
    CAPTURE(trigger);
    int count = 0;
    int stops = 0;
    async_timer::timer t{
        io, 1s, [&] { ++count; }, {.on_stop = [&] { ++stops; }, .stop_on = signals}};
    no_value fired;
    t.start();
    CHECK(t.is_running());
    if (trigger) t.trigger(into(fired));
    clock.advance(10s);
    CHECK(fired.kind() == (trigger ? "stopped" : ""));
    CHECK(count == 0);
    CHECK(stops == 1);
    CHECK_FALSE(never.pending());
    CHECK(out_of_work());
  }
}

TEST_CASE_FIXTURE(virtual_context,
                  "18.7 stop_on: triggers and stops before the signals are armed") {
  hand_made signal;
  int count = 0;
  int stops = 0;
  async_timer::timer t{io,
                       1s,
                       [&] { return ++count; },
                       {.initial_delay = 50s,
                        .on_stop = [&] { ++stops; },
                        .stop_on = stop_when(signal.as_signal())}};
  t.start();
  SUBCASE("a trigger brings the first tick forward") {
    outcome<int> fired;
    t.trigger(into(fired));
    clock.run_until_idle();
    CHECK(fired.value == 1);
    clock.advance(1s);
    CHECK(count == 2);
    t.request_stop();
  }
  SUBCASE("a stop leaves nothing armed") {
    t.request_stop();
    clock.run_until_idle();
    CHECK(stops == 1);
    CHECK_FALSE(signal.pending());
  }
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "18.8 stop_on: cleared by the stop, not armed again") {
  hand_made signal;
  auto kept = std::make_shared<int>(1);
  const std::weak_ptr<int> alive = kept;
  async_timer::timer t{io, 1s, [] {}, {.stop_on = stop_when([&signal, kept](auto token) {
                                         return signal.async_wait(std::move(token));
                                       })}};
  kept.reset();
  t.start();
  clock.advance(1s);
  CHECK_FALSE(alive.expired());
  signal.complete();
  clock.run_until_idle();
  CHECK(alive.expired());
  CHECK(kind_of(caught([&] { t.start(); })) == "restart");
  clock.run_until_idle();
  CHECK(signal.begun == 1);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "18.9 stop_on: released when the run ends by itself") {
  hand_made signal;
  bool fails = false;
  SUBCASE("exhausted") {}
  SUBCASE("failed") { fails = true; }
  async_timer::timer t{io,
                       1s,
                       [&] {
                         if (fails) throw std::runtime_error("broken");
                         throw async_timer::end_of_ticks{};
                       },
                       {.on_error = [] {}, .stop_on = stop_when(signal.as_signal())}};
  t.start();
  clock.advance(0s);
  CHECK_FALSE(t.is_running());
  CHECK(signal.cancelled == 1);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "18.10 stop_on: each signal is begun once") {
  hand_made signal;
  hand_made awaited;
  int made = 0;
  async_timer::timer t{
      io, 1s, [] {}, {.stop_on = stop_when(signal.as_signal(), [&]() -> net::awaitable<void> {
                        ++made;
                        auto wait = awaited.async_wait(net::use_awaitable);
                        co_await std::move(wait);
                      })}};
  t.start();
  clock.advance(5s);
  CHECK(t.hit_count() == 6);
  CHECK(signal.begun == 1);
  CHECK(made == 1);
  t.request_stop();
  CHECK(out_of_work());
  CHECK(signal.begun == 1);
  CHECK(made == 1);
}

TEST_CASE_FIXTURE(virtual_context, "18.11 stop_on: several firing together are one stop") {
  log_recorder log;
  hand_made first;
  hand_made second;
  std::stop_source source;
  int stops = 0;
  async_timer::timer t{
      io,
      1s,
      [] {},
      {.on_stop = [&] { ++stops; },
       .stop_on = stop_when(first.as_signal(), second.as_signal(), source.get_token())}};
  t.start();
  clock.advance(1s);
  first.complete();
  second.complete();
  source.request_stop();
  t.request_stop();
  clock.advance(5s);
  CHECK(stops == 1);
  CHECK(t.hit_count() == 2);
  CHECK(log.records().empty());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "18.12 stop_on: an idle wait ends with the last value, or empty") {
  hand_made signal;
  int count = 0;
  async_timer::timer t{io, 1s, [&] { return ++count; }, {.stop_on = stop_when(signal.as_signal())}};
  outcome<std::optional<int>> early;
  outcome<std::optional<int>> late;
  t.start();
  t.wait(into(early));
  clock.advance(2s);
  t.wait(into(late));
  signal.complete();
  clock.run_until_idle();
  CHECK(early.kind() == "");
  REQUIRE(early.value.has_value());
  CHECK(*early.value == 3);
  CHECK(late.kind() == "");
  REQUIRE(late.value.has_value());
  CHECK_FALSE(late.value->has_value());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "D27 stop_on: only own operations are cancelled, at every end") {
  hand_made users;
  hand_made own;
  idle_timer other{io};
  no_value users_wait;
  // What the user waits for by himself, beside the timer.
  int users_outcomes = 0;
  users.async_wait([&](async_timer::error_code) { ++users_outcomes; });
  outcome<std::optional<std::monostate>> other_ended;
  other.wait(into(other_ended));
  {
    async_timer::timer t{io, 1s, [] {}, {.stop_on = stop_when(own.as_signal(), other)}};
    t.start();
    clock.advance(1s);
    CHECK(own.pending());
  }  // the handle goes: the run ends
  clock.run_until_idle();
  CHECK(own.cancelled == 1);
  CHECK(users.pending());
  CHECK(other.is_running());
  CHECK_FALSE(other_ended.done());
  other.request_stop();
  clock.run_until_idle();
  CHECK(other_ended.completions == 1);
  CHECK(users_outcomes == 0);
  CHECK(out_of_work());
}

TEST_CASE("D27 stop_on: a context destroyed with signals pending calls nobody and keeps nothing") {
  int stops = 0;
  auto kept = std::make_shared<int>(1);
  const std::weak_ptr<int> alive = kept;
  std::stop_source source;
  auto elsewhere = std::make_unique<virtual_context>();
  idle_timer outside{elsewhere->io};
  {
    std::optional<async_timer::timer<void>> t;
    std::optional<idle_timer> other;
    {
      virtual_context context;
      other.emplace(context.io);
      net::steady_timer far{context.io, net::steady_timer::time_point::max()};
      bool armed_too = true;
      SUBCASE("armed") {}
      SUBCASE("not yet armed") { armed_too = false; }
      t.emplace(
          context.io, async_timer::interval(1s), [] {},
          async_timer::timer_options{
              .on_stop = [&] { ++stops; },
              .stop_on = stop_when(
                  source.get_token(), *other, outside,
                  [&far, kept](auto token) { return far.async_wait(std::move(token)); },
                  [&other, kept]() -> net::awaitable<void> {
                    auto wait = other->wait(net::use_awaitable);
                    co_await std::move(wait);
                  })});
      t->start();
      if (armed_too) context.clock.advance(1s);
    }
    kept.reset();
    CHECK_FALSE(t->is_running());
    source.request_stop();
    outside.request_stop();
    elsewhere->clock.run_until_idle();
  }
  CHECK(alive.expired());
  CHECK(stops == 0);
}

TEST_CASE_FIXTURE(virtual_context, "18.1, D9b stop_on: another timer may end with its context") {
  auto there = std::make_unique<net::io_context>();
  idle_timer other{*there};
  int stops = 0;
  async_timer::timer_options options;
  options.on_stop = [&] { ++stops; };
  options.stop_on = stop_when(other);
  async_timer::timer t{io, 1s, [] {}, std::move(options)};
  t.start();
  clock.advance(2s);
  CHECK(t.hit_count() == 3);
  there.reset();
  CHECK_FALSE(t.is_running());
  CHECK(out_of_work());
  CHECK(stops == 1);
  CHECK(t.hit_count() == 3);
}

TEST_CASE("18.9, D27 stop_on: a context destroyed right after the run's end keeps no signal") {
  auto kept = std::make_shared<int>(0);
  const std::weak_ptr<int> alive = kept;
  std::stop_source source;
  virtual_context elsewhere;
  idle_timer other(elsewhere.io);
  {
    virtual_context context;
    net::steady_timer far{context.io, net::steady_timer::time_point::max()};
    async_timer::timer t{
        context.io,
        1s,
        [] {},
        {.on_stop = [&context] { context.io.stop(); },  // as a program does that is done
         .stop_on = stop_when(source.get_token(), other, [&far, kept](auto token) {
           return far.async_wait(std::move(token));
         })}};
    t.start();
    context.clock.advance(1s);
    t.request_stop();
    context.io.restart();
    context.io.run();
    CHECK_FALSE(t.is_running());
  }
  kept.reset();
  CHECK(alive.expired());
  source.request_stop();
  other.request_stop();
  CHECK(elsewhere.out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "D27 stop_on: copies of the options share the signals") {
  hand_made signal;
  log_recorder log;
  SUBCASE("what can be copied is begun for each timer") {
    int begun = 0;
    const async_timer::timer_options options{.stop_on = stop_when([&](auto) { ++begun; })};
    async_timer::timer one{io, 1s, [] {}, options};
    async_timer::timer two{io, 1s, [] {}, options};
    one.start();
    two.start();
    clock.advance(1s);
    CHECK(begun == 2);
    CHECK(two.is_running());
    one.request_stop();
    two.request_stop();
  }
  SUBCASE("what can't be serves the first one") {
    const async_timer::timer_options options{.stop_on =
                                                 stop_when(signal.async_wait(net::use_awaitable))};
    async_timer::timer one{io, 1s, [] {}, options};
    async_timer::timer two{io, 1s, [] {}, options};
    one.start();
    two.start();
    clock.advance(1s);
    CHECK(one.is_running());
    CHECK_FALSE(two.is_running());
    REQUIRE(log.records().size() == 1);
    CHECK(log.records().front().message.find("can't be copied") != std::string::npos);
    one.request_stop();
  }
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "D28 stop_on: an already finished signal gives zero ticks") {
  std::stop_source source;
  int count = 0;
  int stops = 0;
  const auto run = [&](async_timer::stop_signals signals, async_timer::mode mode) {
    count = 0;
    stops = 0;
    async_timer::timer t{
        io, 0s, [&] { ++count; }, {.mode = mode, .on_stop = [&] { ++stops; }, .stop_on = signals}};
    outcome<std::optional<std::monostate>> waited;
    t.start();
    t.wait(into(waited));
    clock.run_until_idle();
    CHECK(waited.completions == 1);
    CHECK(waited.kind() == "");
    CHECK(count == 0);
    CHECK(stops == 1);
  };
  source.request_stop();
  for (const auto mode : {async_timer::mode::fixed_delay, async_timer::mode::fixed_rate}) {
    run(stop_when(source.get_token()), mode);
    run(stop_when([]() -> net::awaitable<int> { co_return 1; }), mode);
  }
  CHECK(out_of_work());
}
