// What targets and handlers see of the world that runs a program.
#ifndef ASYNC_TIMER_TESTS_MODEL_HOST_HPP
#define ASYNC_TIMER_TESTS_MODEL_HOST_HPP

#include <async_timer/async_timer.hpp>
#include <chrono>
#include <cstdint>
#include <exception>
#include <optional>
#include <vector>

#include "model/command.hpp"
#include "model/outcome.hpp"

namespace model {

namespace net = async_timer::net;

/// Counts what lives: copies of a target, of a handler.
class live_token {
 public:
  explicit live_token(int& count) : count_(&count) { ++*count_; }
  live_token(const live_token& other) : live_token(*other.count_) {}
  live_token& operator=(const live_token&) = delete;
  ~live_token() { --*count_; }

 private:
  int* count_;
};

/// Is what a target does when it is called.
struct answer {
  reply what = reply::value;
  std::int64_t code = 0;
  reaction if_cancelled = reaction::abort;
};

/// Holds a suspended target; lives in its coroutine.
struct gate {
  explicit gate(const net::any_io_executor& executor)
      : timer(executor, std::chrono::steady_clock::time_point::max()) {}
  net::steady_timer timer;
  std::optional<answer> opened;
};

class host {
 public:
  host() = default;
  host(const host&) = delete;
  host& operator=(const host&) = delete;
  virtual ~host() = default;

  // --- for targets
  /// @param inside  whether the call is made in the target's own function, and not in its coroutine
  virtual answer called(int timer, bool inside) = 0;
  /// Decides what a target that was suspended answers after all.
  virtual void answers(int timer, answer& chosen) = 0;
  /// Gives what it does when it is cancelled; empty if it goes on waiting.
  virtual std::optional<answer> cancelled(int timer, reaction how) = 0;
  virtual void hold(int timer, gate* held) = 0;
  virtual void cancels_itself(int timer) = 0;
  virtual async_timer::timer_ref ref(int timer) = 0;
  virtual live_token token_of(int timer) = 0;
  virtual void slept(int timer, std::chrono::nanoseconds duration) = 0;

  // --- for handlers
  virtual void completed(int op, const std::exception_ptr& error, const outcome& seen) = 0;
  virtual outcome list_of(int op, const std::vector<async_timer::group_result>& results) = 0;
};

}  // namespace model

#endif  // ASYNC_TIMER_TESTS_MODEL_HOST_HPP
