// Contract section 16: on_error and on_stop.
#include <doctest/doctest.h>

#include <functional>
#include <stdexcept>

#include "support/fixture.hpp"
#include "support/trace.hpp"
#include "support/turnstile.hpp"

using namespace test;

namespace {

/// Throws from the n-th call on.
struct failing_from {
  int first;
  int calls = 0;
  int operator()() {
    if (++calls >= first) throw std::runtime_error("broken");
    return calls;
  }
};

/// Says how a run of a timer comes to its end, for what is the same for every cause.
struct cause {
  std::string name;
  std::function<int()> target;
  bool stop_it;
};
std::vector<cause> all_causes() {
  return {{"request_stop", answer, true},
          {"exhaustion", []() -> int { throw async_timer::end_of_ticks{}; }, false},
          {"failure", failing_from{1}, false}};
}

}  // namespace

TEST_CASE_FIXTURE(virtual_context,
                  "16.1, D24 on_error: is called once, on the executor, with timer and failure") {
  int calls = 0;
  std::string seen;
  std::exception_ptr failure;
  bool right_timer = false;
  bool in_executor = false;
  async_timer::timer<int>* self = nullptr;
  async_timer::timer_options options;
  options.name = "shaky";
  options.on_error = [&](const async_timer::timer_ref& timer, std::exception_ptr error) {
    ++calls;
    failure = error;
    seen = timer.name() + ":" + kind_of(error);
    right_timer = timer == self->ref();
    in_executor = io.get_executor().running_in_this_thread();
  };
  async_timer::timer t{io, 1s, failing_from{3}, options};
  self = &t;
  t.start();
  clock.advance(10s);
  CHECK(out_of_work());
  CHECK(calls == 1);
  CHECK(seen == "shaky:broken");
  CHECK(right_timer);
  CHECK(in_executor);
  CHECK(failure == t.last_failure());
}

TEST_CASE_FIXTURE(virtual_context, "16.1 on_error: is called once for each failed run") {
  int calls = 0;
  async_timer::timer_options options;
  options.on_error = [&] { ++calls; };
  async_timer::timer t{io, 1s, failing_from{1}, options};
  for (int run = 1; run <= 3; ++run) {
    t.start();
    CHECK(out_of_work());
    CHECK(calls == run);
    CHECK(t.failure_count() == run);
  }
}

TEST_CASE_FIXTURE(virtual_context, "16.1 on_error, on_stop: may leave out their arguments") {
  trace happened;
  async_timer::timer_options options;
  SUBCASE("16.1 none") {
    options.on_error = [&] { happened("error"); };
    options.on_stop = [&] { happened("stop"); };
  }
  SUBCASE("16.1 the timer alone") {
    options.on_error = [&](async_timer::timer_ref) { happened("error"); };
    options.on_stop = [&](async_timer::timer_ref) { happened("stop"); };
  }
  SUBCASE("16.1 the failure alone") {
    options.on_error = [&](const std::exception_ptr& error) {
      happened(error ? "error" : "nothing");
    };
    options.on_stop = [&] { happened("stop"); };
  }
  SUBCASE("16.1 move-only, and called without being const") {
    auto owned = std::make_unique<int>(0);
    options.on_error = [&, owned = std::move(owned)]() mutable {
      ++*owned;
      happened("error");
    };
    options.on_stop = [&] { happened("stop"); };
  }
  async_timer::timer t{io, 1s, failing_from{1}, options};
  t.start();
  CHECK(out_of_work());
  CHECK(happened.text() == "error stop");
}

TEST_CASE_FIXTURE(virtual_context,
                  "16.2, 16.10 failure: on_error, on_stop, then waiters resume, then cancel's") {
  // The waiters have their outcome before the callbacks (a claimed one can't be cancelled any
  // more), and resume after them.
  trace happened;
  net::cancellation_signal signal;
  async_timer::timer<int>* self = nullptr;
  async_timer::timer_options options;
  options.on_error = [&](async_timer::timer_ref timer, std::exception_ptr error) {
    happened("on_error:" + kind_of(error));
    signal.emit(net::cancellation_type::terminal);
    CHECK(timer.last_failure() == error);
    CHECK(timer.failure_count() == 1);
    CHECK_FALSE(timer.is_running());
  };
  options.on_stop = [&] { happened("on_stop"); };
  async_timer::timer t{io, 1s, failing_from{2}, options};
  self = &t;
  t.start();
  clock.run_until_idle();
  t.join(net::bind_cancellation_slot(signal.slot(), happened.handler("join")));
  t.next(happened.handler("next"));
  t.wait(happened.handler("wait"));
  t.wait({.hits = 2}, happened.handler("counted"));
  clock.advance(1s);
  CHECK(out_of_work());
  CHECK(happened.text() ==
        "on_error:broken on_stop join:broken next:broken wait:broken counted:broken");
  CHECK(self->hit_count() == 1);
}

TEST_CASE_FIXTURE(virtual_context,
                  "16.10 failure: callers of cancel resume last, after waiters and callbacks") {
  trace happened;
  turnstile work{io};
  async_timer::timer_options options;
  options.on_error = [&] { happened("on_error"); };
  options.on_stop = [&] { happened("on_stop"); };
  async_timer::timer t{io, 1s,
                       [&]() -> net::awaitable<int> {
                         auto held = work.wait_uninterruptibly();
                         co_await std::move(held);
                         throw std::runtime_error("broken");
                       },
                       options};
  t.start();
  clock.run_until_idle();
  t.join(happened.handler("join"));
  t.cancel(happened.handler("cancel"));
  clock.run_until_idle();
  CHECK(happened.text() == "");
  work.open();
  CHECK(out_of_work());
  CHECK(happened.text() == "on_error on_stop join:broken cancel");
}

TEST_CASE_FIXTURE(virtual_context, "16.3 default on_error: logs exactly one error") {
  const log_recorder log;
  async_timer::timer_options options;
  std::string logger = "async_timer.timer";
  std::string name;
  SUBCASE("16.3 without a name") {}
  SUBCASE("16.3 with a name") {
    name = options.name = "answer";
    logger += ".answer";
  }
  async_timer::timer t{io, 1s, failing_from{3}, options};
  t.start();
  clock.advance(10s);
  CHECK(out_of_work());
  REQUIRE(log.records().size() == 1);
  const auto& record = log.records().front();
  CHECK(record.level == async_timer::log_level::error);
  CHECK(record.logger == logger);
  CHECK(record.event == "async_timer.target_exception");
  CHECK(record.message.find("unexpected exception in the timer loop") != std::string::npos);
  CHECK(record.message.find("broken") != std::string::npos);
  CHECK(record.field("timer_name") == name);
  CHECK(record.field("target").find("failing_from") != std::string::npos);
  CHECK(record.field("hit_count") == "2");
}

TEST_CASE_FIXTURE(virtual_context, "16.3 default on_error: logs what is no std::exception, too") {
  const log_recorder log;
  async_timer::timer t{io, 1s, []() -> int { throw 5; }};
  t.start();
  CHECK(out_of_work());
  CHECK(log.records().size() == 1);
  CHECK(kind_of(t.last_failure()) == "unknown");
}

TEST_CASE_FIXTURE(virtual_context, "16.4 on_error: a given one replaces the log") {
  const log_recorder log;
  int calls = 0;
  async_timer::timer_options options;
  options.on_error = [&] { ++calls; };
  async_timer::timer t{io, 1s, failing_from{1}, options};
  t.start();
  CHECK(out_of_work());
  CHECK(calls == 1);
  CHECK(log.records().empty());
}

TEST_CASE_FIXTURE(virtual_context,
                  "16.5, D24 on_error: what it throws is logged and changes nothing of the end") {
  const log_recorder log;
  trace happened;
  async_timer::timer_options options;
  options.name = "x";
  options.on_error = [] { throw std::runtime_error("from on_error"); };
  options.on_stop = [&] { happened("on_stop"); };
  async_timer::timer t{io, 1s, failing_from{1}, options};
  t.start();
  t.join(happened.handler("join"));
  CHECK(out_of_work());  // nothing came out of the context's run
  CHECK(happened.text() == "on_stop join:broken");
  REQUIRE(log.records().size() == 1);
  CHECK(log.records().front().level == async_timer::log_level::error);
  CHECK(log.records().front().logger == "async_timer.timer.x");
  CHECK(log.records().front().field("callback") == "on_error");
  CHECK(log.records().front().field("exception") == "from on_error");
  CHECK(kind_of(t.last_failure()) == "broken");
  CHECK_NOTHROW(t.start());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "16.6, D5 on_stop: once for every cause, at the very end") {
  const log_recorder log;
  for (const auto& why : all_causes()) {
    CAPTURE(why.name);
    int stops = 0;
    bool running = true;
    bool start_refused = false;
    async_timer::timer<int>* self = nullptr;
    async_timer::timer_options options;
    options.on_stop = [&](async_timer::timer_ref timer) {
      ++stops;
      running = self->is_running() || timer.is_running() || self->snapshot().is_running;
      try {
        self->start();
      } catch (const async_timer::timer_already_running_error&) {
        start_refused = true;
      }
    };
    async_timer::timer t{io, 1s, why.target, options};
    self = &t;
    t.start();
    clock.run_until_idle();
    if (why.stop_it) t.request_stop();
    CHECK(out_of_work());
    CHECK(stops == 1);
    CHECK_FALSE(running);
    CHECK(start_refused);
    CHECK_FALSE(t.is_running());
    clock.advance(1min);
    CHECK(stops == 1);
  }
}

TEST_CASE_FIXTURE(virtual_context,
                  "D5, 16.11 on_error: is_running() is false and start() is refused there") {
  bool running = true;
  bool start_refused = false;
  async_timer::timer<int>* self = nullptr;
  async_timer::timer_options options;
  options.on_error = [&] {
    running = self->is_running();
    try {
      self->start();
    } catch (const async_timer::timer_already_running_error&) {
      start_refused = true;
    }
  };
  async_timer::timer t{io, 1s, failing_from{1}, options};
  self = &t;
  t.start();
  CHECK(out_of_work());
  CHECK_FALSE(running);
  CHECK(start_refused);
}

TEST_CASE_FIXTURE(
    virtual_context,
    "8.2, D5 who resumes at the end of a run sees it stopped and may start the next") {
  int restarts = 0;
  const log_recorder log;
  for (const auto& why : all_causes()) {
    CAPTURE(why.name);
    async_timer::timer t{io, 1h, why.target};
    t.start();
    bool running = true;
    t.wait([&](std::exception_ptr, std::optional<int>) {
      running = t.is_running();
      t.start();
      ++restarts;
    });
    if (why.stop_it) t.request_stop();
    clock.run_until_idle();
    CHECK_FALSE(running);
    t.request_stop();
    CHECK(out_of_work());
  }
  CHECK(restarts == 3);
}

TEST_CASE_FIXTURE(virtual_context,
                  "16.7 on_stop: sees that the outcome of waiters is settled, and its timer") {
  net::cancellation_signal signal;
  outcome<std::optional<int>> ended;
  std::string seen;
  async_timer::timer_options options;
  options.name = "n";
  options.on_stop = [&](async_timer::timer_ref timer) {
    seen = timer.name() + ":" + std::to_string(timer.hit_count());
    signal.emit(net::cancellation_type::terminal);
  };
  async_timer::timer t{io, 1s, answer, options};
  t.start();
  clock.advance(1s);
  t.next(net::bind_cancellation_slot(signal.slot(), into(ended)));
  t.request_stop();
  CHECK(out_of_work());
  CHECK(seen == "n:2");
  CHECK(ended.completions == 1);
  CHECK(ended.kind() == "");
}

TEST_CASE_FIXTURE(virtual_context,
                  "16.8, D24 on_stop: what it throws is logged and changes nothing") {
  const log_recorder log;
  trace happened;
  async_timer::timer_options options;
  options.on_stop = []() -> void { throw 17; };
  async_timer::timer t{io, 1s, answer, options};
  t.start();
  t.join(happened.handler("join"));
  t.cancel(happened.handler("cancel"));
  CHECK(out_of_work());
  CHECK(happened.text() == "join:stopped cancel");
  CHECK_FALSE(t.is_running());
  REQUIRE(log.records().size() == 1);
  CHECK(log.records().front().level == async_timer::log_level::error);
  CHECK(log.records().front().field("callback") == "on_stop");
  CHECK_NOTHROW(t.start());
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "24.4, D24 log sink: what it throws in a failure doesn't break the end") {
  const log_recorder restores_the_default;
  async_timer::set_log_sink(
      [](const async_timer::log_record&) { throw std::runtime_error("sink"); });
  trace happened;
  async_timer::timer_options options;
  options.on_stop = [&] { happened("on_stop"); };
  async_timer::timer t{io, 1s, failing_from{1}, options};
  t.start();
  t.join(happened.handler("join"));
  CHECK(out_of_work());
  CHECK(happened.text() == "on_stop join:broken");
}

TEST_CASE_FIXTURE(virtual_context, "16.9 default on_stop: does nothing") {
  const log_recorder log;
  async_timer::timer t{io, 1s, answer};
  t.start();
  clock.advance(1s);
  t.request_stop();
  CHECK(out_of_work());
  CHECK(log.records().empty());
  CHECK(t.hit_count() == 2);
}

TEST_CASE_FIXTURE(virtual_context, "16.11 callbacks: may read everything and call everything") {
  int reads = 0;
  trace happened;
  async_timer::timer<int>* self = nullptr;
  const auto read_all = [&] {
    CHECK(self->hit_count() == 2);
    CHECK(self->last_result() == 2);
    CHECK(self->last_tick_at().has_value());
    CHECK(self->name() == "r");
    CHECK(self->delay() == 1s);
    CHECK(self->failure_count() == 1);
    CHECK(self->last_failure() != nullptr);
    CHECK(self->last_failure_at().has_value());
    CHECK(self->snapshot().failure_count == 1);
    CHECK(to_string(*self).find("stopped") != std::string::npos);
    self->set_delay(1s);
    self->request_stop();
    self->join(happened.handler("join"));
    self->next(happened.handler("next"));
    self->trigger(happened.handler("trigger"));
    self->wait({.hit_count = 1}, happened.handler("met"));
    ++reads;
  };
  async_timer::timer_options options;
  options.name = "r";
  options.on_error = read_all;
  options.on_stop = read_all;
  async_timer::timer t{io, 1s, failing_from{3}, options};
  self = &t;
  t.start();
  clock.advance(10s);
  CHECK(out_of_work());
  CHECK(reads == 2);
  const std::string once = "join:broken next:broken trigger:not_running met";
  CHECK(happened.text() == once + " " + once);
}

TEST_CASE_FIXTURE(virtual_context, "16.12 on_error: not called for exhaustion, nor for a stop") {
  const log_recorder log;
  int failures = 0;
  async_timer::timer_options options;
  options.on_error = [&] { ++failures; };
  for (const auto& why : all_causes()) {
    if (why.name == "failure") continue;
    CAPTURE(why.name);
    async_timer::timer t{io, 1s, why.target, options};
    t.start();
    clock.run_until_idle();
    if (why.stop_it) t.request_stop();
    CHECK(out_of_work());
    CHECK(failures == 0);
    CHECK(t.failure_count() == 0);
    CHECK(t.last_failure() == nullptr);
  }
  CHECK(log.records().empty());
}

TEST_CASE_FIXTURE(virtual_context,
                  "15.8 cancel: from on_error and on_stop it doesn't wait, on_stop comes once") {
  int stops = 0;
  no_value from_error;
  no_value from_stop;
  async_timer::timer_options options;
  options.on_error = [&](async_timer::timer_ref timer, std::exception_ptr) {
    timer.cancel(into(from_error));
    io.poll();
    CHECK(from_error.done());
    CHECK(stops == 0);
  };
  options.on_stop = [&](async_timer::timer_ref timer) {
    ++stops;
    timer.request_stop();
    timer.cancel(into(from_stop));
    io.poll();
    CHECK(from_stop.done());
  };
  async_timer::timer t{io, 1s, failing_from{1}, options};
  t.start();
  CHECK(out_of_work());
  CHECK(from_error.completions == 1);
  CHECK(from_error.kind() == "");
  CHECK(from_stop.completions == 1);
  CHECK(from_stop.kind() == "");
  CHECK(stops == 1);
}

TEST_CASE_FIXTURE(virtual_context, "15.9 cancel: in a task spawned by a callback it never hangs") {
  trace happened;
  async_timer::timer<int>* self = nullptr;
  // A named coroutine function: the callback's closure may be gone before the task runs.
  auto task = [&](std::string name) -> net::awaitable<void> {
    auto stop = self->cancel();
    co_await std::move(stop);
    happened(name);
  };
  async_timer::timer_options options;
  options.on_error = [&] { net::co_spawn(io, task("from_error"), net::detached); };
  options.on_stop = [&] {
    happened("on_stop");
    net::co_spawn(io, task("from_stop"), net::detached);
  };
  async_timer::timer t{io, 1s, failing_from{1}, options};
  self = &t;
  t.start();
  CHECK(out_of_work());
  CHECK(happened.text() == "on_stop from_error from_stop");
}

TEST_CASE_FIXTURE(
    virtual_context,
    "16.1, 15.8 awaitable target: callbacks are outside its suspension, cancel works") {
  trace happened;
  async_timer::timer_options options;
  options.on_error = [&](async_timer::timer_ref timer, std::exception_ptr error) {
    happened("on_error:" + kind_of(error));
    timer.cancel(happened.handler("cancel1"));
  };
  options.on_stop = [&](async_timer::timer_ref timer) {
    happened("on_stop");
    timer.cancel(happened.handler("cancel2"));
  };
  async_timer::timer t{io, 1s,
                       []() -> net::awaitable<int> {
                         throw std::runtime_error("broken");
                         co_return 1;
                       },
                       options};
  t.start();
  CHECK(out_of_work());
  CHECK(happened.text() == "on_error:broken on_stop cancel1 cancel2");
}

TEST_CASE_FIXTURE(virtual_context, "16.1 on a strand: callbacks run on the timer's executor") {
  auto strand = net::make_strand(io);
  int on_strand = 0;
  async_timer::timer_options options;
  options.on_error = [&] { on_strand += strand.running_in_this_thread() ? 1 : 0; };
  options.on_stop = [&] { on_strand += strand.running_in_this_thread() ? 1 : 0; };
  async_timer::timer t{strand, 1s, failing_from{1}, options};
  t.start();
  CHECK(out_of_work());
  CHECK(on_strand == 2);
  on_strand = 0;
  async_timer::timer stopped{strand, 1s, answer, options};
  stopped.start();
  clock.run_until_idle();
  stopped.request_stop();
  CHECK(on_strand == 0);
  CHECK(out_of_work());
  CHECK(on_strand == 1);
}
