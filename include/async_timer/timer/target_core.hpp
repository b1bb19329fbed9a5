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
#include <typeinfo>
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
  [[nodiscard]] const std::type_info& target_type() const noexcept final { return typeid(Target); }
  void end_target_run() noexcept final { caller_.reset(); }
  void destroy_target() noexcept final {
    caller_.~caller_type();
    this->forget_value();
  }

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
    if (enter_runner(*server)) {
      server->interrupt(server->serial());
    }
    runner::launch(std::move(server), *this, this->identity());
    return std::nullopt;
  }
  served_work* served() noexcept override { return static_cast<async_job*>(this); }

  void begin_on(runner& free) noexcept override {
    if (this->begin_tick()) {
      free.accept(*this, this->identity(), enter_runner(free));
    }
  }

  net::awaitable<void> run_job() override {
    if constexpr (answers_void()) {
      return invoke_inside();
    } else {
      return keep_value();
    }
  }
  net::awaitable<void> keep_value() {
    if constexpr (is_direct()) {
      auto work = invoke_inside();
      value_type result = co_await std::move(work);
      value_.emplace(std::move(result));
    } else {
      auto work = pull_inside();
      if (auto pulled = co_await std::move(work)) {
        value_.emplace(std::move(*pulled));
      }
    }
  }

  void job_finished(bool completed, const std::exception_ptr& failure) noexcept override {
    std::optional<published<value_type>> value;
    if constexpr (!answers_void()) {
      value = std::exchange(value_, std::nullopt);
    } else if (completed) {
      value.emplace(std::monostate{});
    }
    if (value) {
      const auto now = this->tick_time();
      this->lock_.lock();
      runner_ = nullptr;
      if (const auto next = this->deliver_locked(*value, now)) {
        arm_again(*next);
      }
    } else {
      leave_runner();
      this->end_run(failure);
    }
  }

  void job_lost() noexcept override {
    if constexpr (!answers_void()) {
      value_.reset();  // or a later tick that fails would find it
    }
    leave_runner();
    this->my_scheduler().lost(*this);
  }

  void interrupt_target() noexcept override {
    base::ref_ptr<runner> server;
    std::uint64_t serial = 0;
    {
      const std::scoped_lock lock(this->lock_);
      if (!this->has(timer_core::interrupting) || runner_ == nullptr) {
        return;
      }
      server = base::ref_ptr<runner>(runner_);
      serial = server->serial();
    }
    server->interrupt(serial);
  }

  /// Tells whether the target is to be stopped already.
  bool enter_runner(runner& server) noexcept {
    const std::scoped_lock lock(this->lock_);
    runner_ = &server;
    return this->has(timer_core::interrupting);
  }
  void leave_runner() noexcept {
    const std::scoped_lock lock(this->lock_);
    runner_ = nullptr;
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

  /// The target's coroutine can be awaited as it is, and with its end all is said.
  static consteval bool answers_void() {
    return is_direct() && std::is_void_v<target_value_t<Target>>;
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

  runner* runner_ = nullptr;  ///< while a tick is in flight, which keeps it alive; guarded
  struct nothing {};
  [[no_unique_address]] std::conditional_t<answers_void(), nothing,
                                           std::optional<published<value_type>>>
      value_;
};

template <class Target>
using core_for =
    std::conditional_t<target_caller<Target>::async, async_core<Target>, plain_core<Target>>;

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_TIMER_TARGET_CORE_HPP
