// A timer core with its target: calls it when the timer is due, directly or through a runner.
#ifndef ASYNC_TIMER_TIMER_TARGET_CORE_HPP
#define ASYNC_TIMER_TIMER_TARGET_CORE_HPP

#include <async_timer/base/errors.hpp>
#include <async_timer/base/ref_ptr.hpp>
#include <async_timer/delivery/runner.hpp>
#include <async_timer/delivery/target.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/net/errors.hpp>
#include <async_timer/timer/value_core.hpp>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

template <class Target>
class target_core : public value_core<target_value_t<Target>> {
 protected:
  using caller_type = target_caller<Target>;

 public:
  target_core(base::ref_ptr<lane> where, interval delay, Target&& target, timer_options&& options)
      : value_core<target_value_t<Target>>(std::move(where), delay, std::move(options)) {
    ::new (static_cast<void*>(&caller_)) caller_type(std::move(target));
  }

  /// Gives what `every` was applied to.
  [[nodiscard]] decltype(auto) function() noexcept
    requires requires(caller_type& caller) { caller.function(); }
  {
    return caller_.function();
  }

 protected:
  ~target_core() override {
    if (!this->has(timer_core::captures_gone)) {
      caller_.~caller_type();
    }
  }

  [[nodiscard]] caller_type& caller() noexcept { return caller_; }

 private:
  void end_target_run() noexcept final { caller_.reset(); }
  void destroy_target() noexcept final { caller_.~caller_type(); }

  // A union member, so that what the target captured can go before the block of counters does.
  union {
    caller_type caller_;
  };
};

/// Calls a target that answers at once.
template <class Target>
class plain_core final : public target_core<Target> {
 public:
  using target_core<Target>::target_core;

 private:
  std::optional<rearm> on_due() noexcept override {
    if (!this->begin_tick()) {
      return std::nullopt;
    }
    std::optional<published<tick_value_t<target_value_t<Target>>>> value;
    std::exception_ptr failure;
    {
      const base::inside_scope inside(this->identity());
      try {
        if (auto pulled = this->caller().pull()) {
          value.emplace(std::move(*pulled));
        }
      } catch (const end_of_ticks&) {
      } catch (...) {
        failure = std::current_exception();
      }
    }
    if (value) {
      return this->deliver(*value);
    }
    this->end_run(failure);
    return std::nullopt;
  }
};

/// Calls a target that answers through an awaitable, on a runner of the lane.
template <class Target>
class async_core final : public target_core<Target>, private async_job {
  using value_type = tick_value_t<target_value_t<Target>>;

 public:
  using target_core<Target>::target_core;

 private:
  std::optional<rearm> on_due() noexcept override {
    if (!this->begin_tick()) {
      return std::nullopt;
    }
    base::ref_ptr<runner> server;
    try {
      server = runner::acquire(*this->node_lane());
    } catch (...) {
      this->end_run(std::current_exception());
      return std::nullopt;
    }
    bool stopped_already = false;
    {
      const std::scoped_lock lock(this->lock_);
      runner_ = server;
      stopped_already = this->has(timer_core::interrupting);
    }
    if (stopped_already) {
      server->interrupt(server->serial());
    }
    server->launch(*this, this->identity());
    return std::nullopt;
  }

  net::awaitable<void> run_job() override {
    try {
      if constexpr (is_direct()) {
        auto work = invoke_inside();
        if constexpr (std::is_void_v<target_value_t<Target>>) {
          co_await std::move(work);
          value_.emplace(std::monostate{});
        } else {
          value_type result = co_await std::move(work);
          value_.emplace(std::move(result));
        }
      } else {
        auto work = pull_inside();
        if (auto pulled = co_await std::move(work)) {
          value_.emplace(std::move(*pulled));
        }
      }
    } catch (const end_of_ticks&) {
    } catch (...) {
      failure_ = std::current_exception();
    }
  }

  void job_finished() noexcept override {
    leave_runner();
    auto value = std::exchange(value_, std::nullopt);
    const auto failure = std::exchange(failure_, nullptr);
    if (value) {
      if (const auto next = this->deliver(*value)) {
        arm_again(*next);
      }
    } else {
      this->end_run(failure);
    }
  }

  void job_lost() noexcept override {
    leave_runner();
    if (this->my_scheduler().is_dead()) {
      this->abandon_run();
    } else {
      this->end_run(dropped_a_tick());
    }
  }

  void interrupt_target() noexcept override {
    base::ref_ptr<runner> server;
    std::uint64_t serial = 0;
    {
      const std::scoped_lock lock(this->lock_);
      if (this->current_phase() != timer_core::in_flight || !this->has(timer_core::interrupting) ||
          !runner_) {
        return;
      }
      server = runner_;
      serial = server->serial();
    }
    server->interrupt(serial);
  }

  void leave_runner() noexcept {
    base::ref_ptr<runner> server;
    const std::scoped_lock lock(this->lock_);
    std::swap(server, runner_);
  }

  /// Follows deliver(), with the lock held.
  void arm_again(const rearm& next) noexcept {
    std::exception_ptr failure;
    try {
      this->my_scheduler().arm(*this, next);
    } catch (...) {
      failure = std::current_exception();
    }
    this->after_rearm();
    if (failure) {
      this->end_run(failure);
    }
  }

  static consteval bool is_direct() {
    if constexpr (requires { target_core<Target>::caller_type::direct; }) {
      return target_core<Target>::caller_type::direct;
    } else {
      return false;
    }
  }
  auto invoke_inside() {
    const base::inside_scope inside(this->identity());
    return std::invoke(this->caller().function());
  }
  auto pull_inside() {
    const base::inside_scope inside(this->identity());
    return this->caller().pull_async(this->node_lane()->executor());
  }

  base::ref_ptr<runner> runner_;  ///< while a tick is in flight
  std::optional<published<value_type>> value_;
  std::exception_ptr failure_;
};

template <class Target>
using core_for =
    std::conditional_t<target_caller<Target>::async, async_core<Target>, plain_core<Target>>;

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_TIMER_TARGET_CORE_HPP
