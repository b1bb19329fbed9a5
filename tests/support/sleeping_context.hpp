// For targets that take time, in virtual time: a steady_timer would wait for the real clock.
#ifndef ASYNC_TIMER_TESTS_SUPPORT_SLEEPING_CONTEXT_HPP
#define ASYNC_TIMER_TESTS_SUPPORT_SLEEPING_CONTEXT_HPP

#include <async_timer/async_timer.hpp>
#include <chrono>
#include <utility>

#include "support/fixture.hpp"

namespace test {

/// Is virtual_context, and a helper timer that never ticks, for coroutines that take time.
class sleeping_context : public virtual_context {
 public:
  sleeping_context() { helper_.start(); }

  /// Lets a coroutine take virtual time; ends with operation_aborted if that is cancelled.
  net::awaitable<void> pause(async_timer::interval duration) {
    auto wait = helper_.wait({.timeout = duration});
    co_await std::move(wait);
  }

  /// As the base's, without the helper.
  [[nodiscard]] bool out_of_work() {
    helper_.request_stop();
    return virtual_context::out_of_work();
  }

 private:
  async_timer::timer<void> helper_{io, 1h, [] {}, {.initial_delay = std::chrono::hours(24 * 365)}};
};

}  // namespace test

#endif  // ASYNC_TIMER_TESTS_SUPPORT_SLEEPING_CONTEXT_HPP
