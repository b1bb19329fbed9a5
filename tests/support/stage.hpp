// A scenario that is played again and again, each time with another allocation failing, and what
// must hold whichever it was.
#ifndef ASYNC_TIMER_TESTS_SUPPORT_STAGE_HPP
#define ASYNC_TIMER_TESTS_SUPPORT_STAGE_HPP

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <initializer_list>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/fixture.hpp"
#include "support/memory.hpp"

namespace test {

/// Is too long to be kept in place, so that each copy allocates.
inline const std::string long_text(64, 'x');

/// Is an operation that a scenario began.
struct begun {
  std::string name;
  int calls = 0;            ///< of its handler
  bool has_thrown = false;  ///< its initiation
  std::string kind;         ///< what the handler was called with, see kind_of()
};

/// Is a completion handler that knows how often it was called, and whether any copy of it lives.
class noting_handler {
 public:
  explicit noting_handler(std::shared_ptr<begun> to) noexcept : to_(std::move(to)) {}

  void operator()(std::exception_ptr error) const {
    const spared_memory ours;
    ++to_->calls;
    to_->kind = kind_of(error);
  }
  template <class Value>
  void operator()(std::exception_ptr error, const Value&) const {
    (*this)(std::move(error));
  }

 private:
  std::shared_ptr<begun> to_;
};

/// Counts its own copies, on any thread; for what targets, callbacks and handlers capture.
class counted_capture {
 public:
  explicit counted_capture(int& live) noexcept : live_(&live) {
    std::atomic_ref(*live_).fetch_add(1);
  }
  counted_capture(const counted_capture& other) noexcept : counted_capture(*other.live_) {}
  counted_capture& operator=(const counted_capture&) = delete;
  ~counted_capture() { std::atomic_ref(*live_).fetch_sub(1); }

 private:
  int* live_;
};

/// Is a context in virtual time, on which a scenario is played while allocations fail.
class stage : public virtual_context {
 public:
  stage() {
    async_timer::set_log_sink([this](const async_timer::log_record&) { ++records; });
  }
  stage(const stage&) = delete;
  stage& operator=(const stage&) = delete;
  ~stage() { async_timer::set_log_sink({}); }

  int captures = 0;   ///< that live; see capture()
  int records = 0;    ///< that were logged
  int callbacks = 0;  ///< for on_error and on_stop to count

  [[nodiscard]] counted_capture capture() { return counted_capture(captures); }

  /// Does something that may throw for want of memory; tells whether it did not.
  template <class Action>
  bool attempt(Action&& action) {
    try {
      action();
      return true;
    } catch (const std::bad_alloc&) {
      return false;
    }
  }
  /// Makes something; empty if that threw for want of memory.
  template <class Maker>
  auto make(Maker&& maker) {
    std::unique_ptr<decltype(maker())> made;
    attempt([&] { made = std::make_unique<decltype(maker())>(maker()); });
    return made;
  }

  /// Begins an operation: calls begin(handler).
  template <class Begin>
  void begin(const char* name, Begin&& begin_it) {
    begun* op = nullptr;
    {
      const spared_memory ours;
      op = operations_.emplace_back(std::make_shared<begun>()).get();
      op->name = name;
    }
    op->has_thrown = !attempt([&] { begin_it(noting_handler(operations_.back())); });
  }

  /// As begin(), with a cancellation slot bound to the handler; the signal lives on.
  template <class Begin>
  void begin_cancellable(const char* name, Begin&& begin_it) {
    net::cancellation_slot slot;
    {
      const spared_memory ours;
      slot = signals_.emplace_back(std::make_unique<net::cancellation_signal>())->slot();
    }
    begin(name, [&](auto&& handler) {
      begin_it(net::bind_cancellation_slot(slot, std::forward<decltype(handler)>(handler)));
    });
  }
  /// Emits the signals of all of them, also of those that have ended.
  void cancel_all() {
    for (const auto& each : signals_) each->emit(net::cancellation_type::terminal);
  }

  /// Lets run what is ready, and lets no time pass, so that nothing but itself can move it on.
  void settle() {
    catching([&] { clock.run_until_idle(); });
  }
  /// Lets time pass.
  void pass(async_timer::interval duration) {
    catching([&] { clock.advance(duration); });
  }
  /// Ends the failing, and lets everything settle.
  void calm() {
    failing_memory::stop();
    settle();
  }

  /// Asserts that a timer which was started, and asked no stop of, runs, or that its end was heard.
  template <class T>
  void expect_runs_or_was_heard(const async_timer::timer<T>& t) {
    CHECK((t.is_running() || records > 0 || callbacks > 0));
  }

  /// Asserts that a timer serves as if nothing had happened, for a new run.
  template <class T>
  void expect_works(async_timer::timer<T>& t) {
    t.request_stop();
    pass(std::chrono::seconds(0));
    REQUIRE_FALSE(t.is_running());
    t.start();
    const auto before = t.hit_count();
    outcome<void*> cancelled;
    pass(2 * t.delay());
    CHECK(t.hit_count() > before);
    CHECK(t.is_running());
    t.cancel(into(cancelled));
    pass(std::chrono::seconds(0));
    CHECK(cancelled.completions == 1);
    CHECK(cancelled.kind() == "");
  }

  /// Asserts what must hold when all timers are gone.
  void expect_all_settled() {
    settle();
    CHECK(io.stopped());  // out of work, or it would hang
    CHECK(captures == 0);
    for (const auto& what : escaped_) {
      INFO("out of run(): " << what);
      CHECK(false);
    }
    int dropped = 0;
    for (const auto& op : operations_) {
      INFO(op->name << ", calls: " << op->calls << ", threw: " << op->has_thrown
                    << ", kind: " << op->kind);
      CHECK(op.use_count() == 1);  // no handler lives
      CHECK(op->calls <= (op->has_thrown ? 0 : 1));
      dropped += op->calls == 0 && !op->has_thrown ? 1 : 0;
    }
    CHECK(dropped <= failing_memory::outcome().in_completions);
  }

 private:
  /// Notes what comes out of the context.
  template <class Action>
  void catching(Action&& action) {
    try {
      action();
    } catch (...) {
      const spared_memory ours;
      escaped_.push_back(kind_of(std::current_exception()));
    }
  }

  std::vector<std::unique_ptr<net::cancellation_signal>> signals_;
  std::vector<std::shared_ptr<begun>> operations_;
  std::vector<std::string> escaped_;
};

/// Names the library's functions around the allocation that failed.
inline std::string where_it_failed() {
  std::string text;
  for (const auto& name : failing_memory::failed_at()) {
    const auto end = name.find('(');
    if (name.find("async_timer::") < end)
      text += "\n    " + name.substr(0, std::min(end, std::size_t{120}));
  }
  return text;
}

/// Plays a scenario once with allocations failing; returns how many blocks it left.
template <class Scenario>
std::int64_t play_failing(Scenario& scenario, std::int64_t first, std::int64_t count) {
  const auto before = memory_in_use();
  int captures = 0;
  {
    stage on;
    {
      const failing_memory failing(first, count);
      scenario(on);
      failing_memory::stop();
      on.expect_all_settled();
    }
    captures = on.captures;
  }
  const auto after = memory_in_use();
  CHECK(captures == 0);
  const auto blocks = after.blocks - before.blocks;
  return blocks != 0 || after == before ? blocks : 1;
}

/// Tells whether a scenario has allocations that Asio can't let fail, see memory.cpp. Only what
/// stands on a strand or a coroutine may have some.
enum class spared_for_asio { none, some };

/// Plays a scenario with each of its allocations failing in turn, one and several in a row, until
/// it comes through without a failure.
template <class Scenario>
void fail_each(Scenario scenario, spared_for_asio allowed = spared_for_asio::none) {
  play_failing(scenario, 0, 0);  // what is made once in a process
  std::string summary;
  std::int64_t all_spared = 0;
  for (const std::int64_t count : {1, 3, 50}) {
    std::int64_t spared = 0;
    for (std::int64_t first = 1;; ++first) {
      REQUIRE(first < 10'000);
      INFO("allocation " << first << " of " << count << " that fail, in:" << where_it_failed());
      auto left = play_failing(scenario, first, count);
      const auto outcome = failing_memory::outcome();
      // Something may be made once in a process on this way alone.
      if (left != 0) left = play_failing(scenario, first, count);
      CHECK(left == 0);
      spared += outcome.spared_for_asio;
      if (outcome.failures == 0 && outcome.spared_for_asio == 0) {
        all_spared += spared;
        summary += std::to_string(first - 1) + " allocations, " + std::to_string(count) +
                   " failing (" + std::to_string(spared) + " spared for Asio); ";
        break;
      }
    }
  }
  CHECK((all_spared > 0) == (allowed == spared_for_asio::some));
  if (std::getenv("ASYNC_TIMER_FAULTS_SUMMARY") != nullptr) MESSAGE(summary);
}

}  // namespace test

#endif  // ASYNC_TIMER_TESTS_SUPPORT_STAGE_HPP
