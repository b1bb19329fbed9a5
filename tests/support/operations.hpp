// All awaiting functions of a timer<int> in one list, and what a test of them needs.
#ifndef ASYNC_TIMER_TESTS_SUPPORT_OPERATIONS_HPP
#define ASYNC_TIMER_TESTS_SUPPORT_OPERATIONS_HPP

#include <async_timer/async_timer.hpp>
#include <chrono>
#include <exception>
#include <string>
#include <utility>

#include "support/fixture.hpp"

namespace test {

/// Holds coroutines until it is opened; their cancellation does not open it.
class gate {
 public:
  explicit gate(net::io_context& io) : timer_(io, std::chrono::steady_clock::time_point::max()) {}

  net::awaitable<void> pass() {
    while (!open_) {
      try {
        auto wait = timer_.async_wait(
            net::bind_cancellation_slot(net::cancellation_slot(), net::use_awaitable));
        co_await std::move(wait);
      } catch (const async_timer::system_error&) {
      }
    }
  }
  void open() {
    open_ = true;
    timer_.cancel();
  }
  void close() { open_ = false; }

 private:
  net::steady_timer timer_;
  bool open_ = false;
};

/// Is how an operation ended, whatever its value.
struct ending {
  int completions = 0;
  std::exception_ptr error;

  [[nodiscard]] bool done() const { return completions > 0; }
  [[nodiscard]] std::string kind() const { return kind_of(error); }
};
inline auto into(ending& end) {
  return [&end](std::exception_ptr error, const auto&...) {
    ++end.completions;
    end.error = std::move(error);
  };
}

/// Calls visit(name, initiate) for each operation that waits for a tick or for the end of a run;
/// initiate(timer, token) begins it.
template <class Visitor>
void for_each_wait(Visitor&& visit) {
  visit("join", [](auto& t, auto&& token) { return t.join(std::forward<decltype(token)>(token)); });
  visit("next", [](auto& t, auto&& token) { return t.next(std::forward<decltype(token)>(token)); });
  visit("counted wait", [](auto& t, auto&& token) {
    return t.wait({.hits = 1}, std::forward<decltype(token)>(token));
  });
  visit("counted wait with timeout", [](auto& t, auto&& token) {
    return t.wait({.hits = 1, .timeout = 1h}, std::forward<decltype(token)>(token));
  });
  visit("idle wait",
        [](auto& t, auto&& token) { return t.wait(std::forward<decltype(token)>(token)); });
  visit("idle wait with timeout", [](auto& t, auto&& token) {
    return t.wait({.timeout = 1h}, std::forward<decltype(token)>(token));
  });
  visit("trigger",
        [](auto& t, auto&& token) { return t.trigger(std::forward<decltype(token)>(token)); });
}

/// As for_each_wait, and cancel, too.
template <class Visitor>
void for_each_operation(Visitor&& visit) {
  for_each_wait(visit);
  visit("cancel",
        [](auto& t, auto&& token) { return t.cancel(std::forward<decltype(token)>(token)); });
}

/// Is a timer whose second tick is in flight until `hold` is opened, so that every operation on it
/// is pending; the n-th tick has the value n.
class busy_timer : public virtual_context {
 public:
  gate hold{io};
  int calls = 0;
  async_timer::timer<int> t{io, 1s, [this] { return tick(); }};

  busy_timer() {
    hold.open();
    t.start();
    clock.advance(0s);
    hold.close();
    clock.advance(1s);
  }

  /// Lets the tick in flight end, and stops.
  void finish() {
    hold.open();
    t.request_stop();
    clock.run_until_idle();
  }

 private:
  net::awaitable<int> tick() {
    const int mine = ++calls;
    auto wait = hold.pass();
    co_await std::move(wait);
    co_return mine;
  }
};

}  // namespace test

#endif  // ASYNC_TIMER_TESTS_SUPPORT_OPERATIONS_HPP
