// Cancellation slots: settled question 3, and the per-operation cancellation of every operation.
#include <doctest/doctest.h>

#include <array>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/fixture.hpp"
#include "support/operations.hpp"
#include "support/tokens.hpp"

using namespace test;

namespace {

constexpr std::array effective_types{
    net::cancellation_type::terminal,
    net::cancellation_type::partial,
    net::cancellation_type::total,
    net::cancellation_type::all,
};

template <class Handler>
auto with_slot(net::cancellation_signal& signal, Handler handler) {
  return net::bind_cancellation_slot(signal.slot(), std::move(handler));
}

}  // namespace

TEST_CASE("9.7, 10.8, 11.4, 14.9, D11 slot: terminal, partial and total end a pending operation") {
  for_each_operation([](const std::string& name, auto initiate) {
    CAPTURE(name);
    for (const auto type : effective_types) {
      busy_timer own;
      net::cancellation_signal signal;
      ending cancelled;
      ending other;
      initiate(own.t, with_slot(signal, into(cancelled)));
      initiate(own.t, into(other));
      own.clock.run_until_idle();
      REQUIRE_FALSE(cancelled.done());
      signal.emit(type);
      CHECK_FALSE(cancelled.done());  // not inline
      own.clock.run_until_idle();
      CHECK(cancelled.completions == 1);
      CHECK(cancelled.kind() == "stopped");
      CHECK_FALSE(other.done());
      own.finish();
      CHECK(cancelled.completions == 1);
      CHECK(other.completions == 1);
      CHECK(other.kind() == "");
      CHECK(own.t.hit_count() == 2);
      CHECK(own.out_of_work());
    }
  });
}

TEST_CASE("9.7, D11 slot: none is ignored, and a later emit still works") {
  for_each_operation([](const std::string& name, auto initiate) {
    CAPTURE(name);
    busy_timer own;
    net::cancellation_signal signal;
    ending end;
    initiate(own.t, with_slot(signal, into(end)));
    signal.emit(net::cancellation_type::none);
    own.clock.run_until_idle();
    CHECK_FALSE(end.done());
    CHECK(signal.slot().has_handler());
    signal.emit(net::cancellation_type::total);
    signal.emit(net::cancellation_type::terminal);  // a second one has nothing left to do
    own.clock.run_until_idle();
    CHECK(end.completions == 1);
    CHECK(end.kind() == "stopped");
    own.finish();
    CHECK(end.completions == 1);
    CHECK(own.out_of_work());
  });
}

TEST_CASE("9.7 slot: is empty when the handler is called, however the operation ended") {
  enum class cause { tick, cancellation, at_once };
  for_each_operation([](const std::string& name, auto initiate) {
    CAPTURE(name);
    for (const auto how : {cause::tick, cause::cancellation, cause::at_once}) {
      busy_timer own;
      net::cancellation_signal signal;
      int completions = 0;
      if (how == cause::at_once) own.finish();
      initiate(own.t, with_slot(signal, [&](std::exception_ptr, const auto&...) {
                 ++completions;
                 CHECK_FALSE(signal.slot().has_handler());
               }));
      CHECK(signal.slot().has_handler());
      if (how == cause::cancellation) signal.emit(net::cancellation_type::terminal);
      own.finish();
      CHECK(completions == 1);
      signal.emit(net::cancellation_type::terminal);  // reaches nobody
      own.clock.run_until_idle();
      CHECK(completions == 1);
      CHECK(own.out_of_work());
    }
  });
}

TEST_CASE("9.7 slot: an emit between the outcome and the handler changes nothing") {
  for_each_operation([](const std::string& name, auto initiate) {
    CAPTURE(name);
    busy_timer own;
    net::io_context elsewhere;
    net::cancellation_signal signal;
    ending end;
    ending at_once;
    initiate(own.t, with_slot(signal, net::bind_executor(elsewhere, into(end))));
    own.finish();
    elsewhere.restart();
    signal.emit(net::cancellation_type::terminal);  // claimed, posted, not yet run
    own.clock.run_until_idle();
    CHECK_FALSE(end.done());
    elsewhere.poll();
    CHECK(end.completions == 1);
    CHECK(end.kind() == "");

    initiate(own.t, with_slot(signal, net::bind_executor(elsewhere, into(at_once))));
    signal.emit(net::cancellation_type::terminal);  // was answered at once
    elsewhere.restart();
    elsewhere.poll();
    CHECK(at_once.completions == 1);
    CHECK(at_once.kind() != "stopped");
    CHECK(own.out_of_work());
  });
}

TEST_CASE("9.4, D11 slot: an emit from on_stop or on_error comes too late for those claimed") {
  for_each_operation([](const std::string& name, auto initiate) {
    CAPTURE(name);
    for (const bool fails : {false, true}) {
      if (name == "cancel" && fails) continue;
      virtual_context own;
      std::array<net::cancellation_signal, 3> signals;
      std::array<ending, 3> ends;
      const auto emit_all = [&] {
        for (auto& signal : signals) signal.emit(net::cancellation_type::terminal);
      };
      int count = 0;
      const auto target = [&] {
        if (++count == 2) throw std::runtime_error("no answer");
        return count;
      };
      async_timer::timer_options options;
      (fails ? static_cast<void>(options.on_error = emit_all)
             : static_cast<void>(options.on_stop = emit_all));
      async_timer::timer<int> t{own.io, 1h, target, std::move(options)};
      t.start();
      own.clock.advance(0s);
      for (std::size_t i = 0; i < ends.size(); ++i)
        initiate(t, with_slot(signals[i], into(ends[i])));
      if (fails) {
        own.clock.advance(1h);
      } else {
        t.request_stop();
        own.clock.run_until_idle();
      }
      for (const auto& end : ends) {
        CHECK(end.completions == 1);
        if (fails) CHECK(end.kind() == "no answer");
      }
      CHECK(own.out_of_work());
    }
  });
}

TEST_CASE_FIXTURE(virtual_context, "9.7 slot: one signal serves one operation after the other") {
  int count = 0;
  async_timer::timer<int> t{io, 1s, [&] { return ++count; }};
  t.start();
  net::cancellation_signal signal;
  std::vector<int> values;
  std::exception_ptr last;
  std::function<void(std::exception_ptr, int)> again = [&](std::exception_ptr error, int value) {
    last = error;
    if (error) return;
    values.push_back(value);
    t.join(with_slot(signal, again));  // the slot must be free by now
  };
  t.join(with_slot(signal, again));
  clock.advance(3500ms);
  CHECK(values == std::vector{1, 2, 3, 4});
  signal.emit(net::cancellation_type::total);
  clock.advance(5s);
  CHECK(values.size() == 4);
  CHECK(kind_of(last) == "stopped");
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "9.7 slot: any number of any operations, cancelled in any order") {
  async_timer::timer<int> t{io, 1h, [] { return 1; }};
  t.start();
  clock.advance(0s);
  std::vector<std::unique_ptr<net::cancellation_signal>> signals;
  std::vector<std::unique_ptr<ending>> ends;
  for (int round = 0; round < 10; ++round) {
    for_each_wait([&](const std::string& name, auto initiate) {
      if (name == "trigger") return;
      signals.push_back(std::make_unique<net::cancellation_signal>());
      ends.push_back(std::make_unique<ending>());
      initiate(t, with_slot(*signals.back(), into(*ends.back())));
    });
  }
  for (std::size_t i = 0; i < signals.size(); i += 3)
    signals[i]->emit(net::cancellation_type::terminal);
  for (std::size_t i = signals.size(); i-- > 0;)
    if (i % 3 == 1) signals[i]->emit(net::cancellation_type::partial);
  clock.run_until_idle();
  for (std::size_t i = 0; i < ends.size(); ++i) {
    CHECK(ends[i]->completions == (i % 3 == 2 ? 0 : 1));
    CHECK(ends[i]->kind() == (i % 3 == 2 ? "" : "stopped"));
  }
  t.request_stop();
  clock.run_until_idle();
  for (const auto& end : ends) CHECK(end->completions == 1);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(busy_timer,
                  "14.9, D12d slot: a cancelled trigger takes nothing from tick or others") {
  hold.open();
  clock.run_until_idle();  // sleeps now, until one second from here
  hold.close();
  REQUIRE(t.hit_count() == 2);
  net::cancellation_signal signal;
  ending first;
  ending second;
  t.trigger(with_slot(signal, into(first)));
  t.trigger(into(second));
  signal.emit(net::cancellation_type::terminal);
  clock.run_until_idle();
  CHECK(first.kind() == "stopped");
  CHECK(calls == 3);
  CHECK_FALSE(second.done());
  finish();
  CHECK(first.completions == 1);
  CHECK(second.completions == 1);
  CHECK(second.kind() == "");
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "14.9, D12d slot: a trigger cancelled before the tick is honoured") {
  std::vector<std::chrono::nanoseconds> at;
  async_timer::timer<void> t{
      io, 200ms, [&] { at.push_back(elapsed()); }, {.mode = async_timer::mode::fixed_rate}};
  t.start();
  clock.advance(50ms);
  net::cancellation_signal signal;
  ending triggered;
  t.trigger(with_slot(signal, into(triggered)));
  signal.emit(net::cancellation_type::terminal);
  clock.advance(400ms);
  CHECK(triggered.completions == 1);
  CHECK(triggered.kind() == "stopped");
  CHECK(at == std::vector<std::chrono::nanoseconds>{0ms, 50ms, 250ms, 450ms});
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(busy_timer,
                  "15.11, D11 slot: the cancellation of a cancel() leaves the stop alone") {
  net::cancellation_signal signal;
  ending abandoned;
  ending other;
  t.cancel(with_slot(signal, into(abandoned)));
  t.cancel(into(other));
  signal.emit(net::cancellation_type::terminal);
  clock.run_until_idle();
  CHECK(abandoned.completions == 1);
  CHECK(abandoned.kind() == "stopped");
  CHECK_FALSE(t.is_running());
  CHECK_FALSE(other.done());
  CHECK_THROWS_AS(t.start(), async_timer::timer_already_running_error);
  hold.open();
  clock.run_until_idle();
  CHECK(other.completions == 1);
  CHECK(other.kind() == "");
  CHECK(out_of_work());
}

TEST_CASE("10.11 slot: a cancelled wait leaves neither handler nor deadline behind") {
  for_each_wait([](const std::string& name, auto initiate) {
    CAPTURE(name);
    virtual_context own;
    async_timer::timer<int> t{own.io, 10h, [] { return 1; }};
    t.start();
    own.clock.advance(0s);
    auto token = std::make_shared<int>();
    net::cancellation_signal signal;
    int completions = 0;
    initiate(t, with_slot(signal, [&completions, token](std::exception_ptr, const auto&...) {
               ++completions;
             }));
    CHECK(token.use_count() == 2);
    signal.emit(net::cancellation_type::terminal);
    own.clock.run_until_idle();
    CHECK(completions == 1);
    CHECK(token.use_count() == 1);
    t.request_stop();
    own.clock.run_until_idle();
    CHECK_FALSE(own.clock.advance_to_next());
    CHECK(own.out_of_work());
  });
}

TEST_CASE("9.7, D9 slot: an emit after the timer was destroyed") {
  for_each_operation([](const std::string& name, auto initiate) {
    CAPTURE(name);
    for (const bool before_handlers : {false, true}) {
      virtual_context own;
      net::cancellation_signal signal;
      ending end;
      {
        async_timer::timer<int> t{own.io, 1h, [] { return 1; }};
        t.start();
        own.clock.advance(0s);
        initiate(t, with_slot(signal, into(end)));
      }
      if (before_handlers) signal.emit(net::cancellation_type::terminal);
      own.clock.run_until_idle();
      signal.emit(net::cancellation_type::terminal);
      CHECK(end.completions == 1);
      CHECK(own.out_of_work());
      CHECK(end.completions == 1);
    }
  });
}

TEST_CASE("9.7, D9 slot: the context is destroyed under a pending operation, then emit") {
  for_each_operation([](const std::string& name, auto initiate) {
    CAPTURE(name);
    net::cancellation_signal signal;
    std::optional<async_timer::timer<int>> outlives;
    ending end;
    auto token = std::make_shared<int>();
    const auto note = [&end, token](std::exception_ptr error, const auto&...) {
      into(end)(std::move(error));
    };
    {
      busy_timer own;
      initiate(own.t, with_slot(signal, note));
      outlives = std::move(own.t);
    }
    CHECK(end.completions == 0);
    CHECK(token.use_count() == 2);  // ours, and the one in `note`
    signal.emit(net::cancellation_type::terminal);
    CHECK(end.completions == 0);
  });
}

TEST_CASE("9.7 slot: the signal may die as soon as the operation has ended") {
  for_each_operation([](const std::string& name, auto initiate) {
    CAPTURE(name);
    busy_timer own;
    ending end;
    auto signal = std::make_unique<net::cancellation_signal>();
    initiate(own.t, with_slot(*signal, into(end)));
    signal->emit(net::cancellation_type::terminal);
    own.clock.run_until_idle();
    signal.reset();
    CHECK(end.completions == 1);
    own.finish();
    CHECK(end.completions == 1);
    CHECK(own.out_of_work());
  });
}

TEST_CASE("9.7 slot: a default-made slot is no slot") {
  for_each_operation([](const std::string& name, auto initiate) {
    CAPTURE(name);
    busy_timer own;
    ending end;
    initiate(own.t, net::bind_cancellation_slot(net::cancellation_slot(), into(end)));
    own.finish();
    CHECK(end.completions == 1);
    CHECK(end.kind() == "");
    CHECK(own.out_of_work());
  });
}

TEST_CASE("9.7, 10.8, 11.4, D11 slot: a cancelled coroutine gets operation_aborted from each") {
  for_each_operation([](const std::string& name, auto initiate) {
    CAPTURE(name);
    busy_timer own;
    net::cancellation_signal signal;
    ending ended;
    const auto body = [&]() -> net::awaitable<void> {
      auto wait = initiate(own.t, net::use_awaitable);
      co_await std::move(wait);
    };
    net::co_spawn(own.io, body, with_slot(signal, into(ended)));
    own.clock.run_until_idle();
    REQUIRE_FALSE(ended.done());
    signal.emit(net::cancellation_type::terminal);
    own.clock.run_until_idle();
    CHECK(ended.completions == 1);
    CHECK(ended.kind() == "stopped");
    CHECK(own.t.is_running() == (name != "cancel"));
    own.finish();
    CHECK(own.out_of_work());
  });
}

TEST_CASE_FIXTURE(virtual_context,
                  "9.7 slot: an emit from the target of the very tick is in time") {
  net::cancellation_signal signal;
  ending joined;
  async_timer::timer<int> t{io, 1s, [&] {
                              signal.emit(net::cancellation_type::terminal);
                              return 1;
                            }};
  t.start();
  t.join(with_slot(signal, into(joined)));
  clock.advance(0s);
  CHECK(joined.completions == 1);
  CHECK(joined.kind() == "stopped");
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "9.7 slot: a handler of the tick cancels another of the same tick") {
  net::cancellation_signal signal;
  outcome<int> first;
  outcome<int> second;
  async_timer::timer<int> t{io, 1s, [] { return 1; }};
  t.start();
  t.join([&](std::exception_ptr error, int value) {
    into(first)(std::move(error), value);
    signal.emit(net::cancellation_type::terminal);
  });
  t.join(with_slot(signal, into(second)));
  clock.advance(0s);
  CHECK(first.completions == 1);
  CHECK(second.completions == 1);
  CHECK(second.kind() == "");  // the value was delivered before
  CHECK(second.value == 1);
  t.request_stop();
  CHECK(out_of_work());
}
