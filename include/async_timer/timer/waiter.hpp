// The operations that wait for a timer: what each waits for, and how its outcome reaches a handler.
#ifndef ASYNC_TIMER_TIMER_WAITER_HPP
#define ASYNC_TIMER_TIMER_WAITER_HPP

#include <async_timer/base/ref_ptr.hpp>
#include <async_timer/delivery/value.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/net/errors.hpp>
#include <async_timer/net/operation.hpp>
#include <async_timer/timer/core.hpp>
#include <async_timer/timer/deadline.hpp>
#include <chrono>
#include <cstdint>
#include <exception>
#include <limits>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

enum class awaited : std::uint8_t {
  tick,         ///< join, trigger: the next tick's value
  tick_or_end,  ///< next: the next tick's value, or nothing if there is none
  count,        ///< wait for a count: the value of the tick that reached it
  end           ///< idle wait: the last value of this wait, when the run ends
};

/// Is a hit_count to reach, or a number of ticks from the beginning of the wait on.
struct tick_goal {
  std::int64_t count = 0;
  bool from_now = true;
};

/// Waits for a timer; linked in its list until somebody claims it.
class waiter : public operation {
 public:
  waiter(timer_core& timer, awaited what, tick_goal goal) noexcept
      : timer_(&timer), what_(what), goal_(goal), deadline_(*this) {}

  [[nodiscard]] awaited what() const noexcept { return what_; }
  /// Is the hit_count to reach, or, for an idle wait, the one at its beginning.
  [[nodiscard]] std::int64_t goal() const noexcept { return goal_.count; }
  /// Settles the goal; with the timer's lock held, so that no tick comes between this and the wait.
  void begin_at(std::int64_t hit_count) noexcept {
    if (goal_.from_now) {
      const auto most = std::numeric_limits<std::int64_t>::max();
      goal_.count = goal_.count > most - hit_count ? most : hit_count + goal_.count;
    }
  }

  void set_error(std::exception_ptr error) noexcept { error_ = std::move(error); }

  bool claim_to_cancel() noexcept override {
    if (!timer_->claim(*this, &cold_state::waiters)) {
      return false;
    }
    set_error(stop_outcome());
    return true;
  }

  /// Lets the wait expire; called with the timer's lock held. Throws when memory ends.
  void arm_deadline(scheduler& clock, std::chrono::nanoseconds timeout) {
    deadline_.arm(clock, timeout);
  }

 protected:
  ~waiter() override = default;

  /// Precedes the completion, so that nothing refers to the operation any more when its memory is
  /// freed and its handler called.
  bool may_complete() noexcept { return deadline_.let_go(); }

  struct expiry final : deadline {
    explicit expiry(waiter& bounded) noexcept : owner(&bounded) {}
    std::optional<rearm> on_due() noexcept override {
      if (arrive(owner->timer_->expire(*owner))) {
        owner->complete();
      }
      return std::nullopt;
    }
    void on_shutdown() noexcept override {
      if (arrive()) {
        owner->abandon();
      }
    }
    waiter* owner;
  };

  base::ref_ptr<timer_core> timer_;
  awaited what_;
  tick_goal goal_;
  std::exception_ptr error_;
  expiry deadline_;
};

/// Adds the value; `AsOptional` tells next and wait from join and trigger.
template <class T, bool AsOptional>
class value_waiter : public waiter {
  using value_type = tick_value_t<T>;

 public:
  using waiter::waiter;

  void set_value(const published<value_type>& value) noexcept { value_.emplace(value); }

 protected:
  ~value_waiter() override = default;

  struct outcome {
    std::exception_ptr error;
    std::optional<published<value_type>> value;

    template <class Handler>
    void operator()(Handler& handler) {
      std::optional<value_type> copy;
      if (value) {
        try {
          copy.emplace(value->get());
        } catch (...) {
          error = std::current_exception();  // for this receiver alone (settled question 6)
        }
        value.reset();
      }
      if constexpr (AsOptional) {
        std::move(handler)(std::move(error), std::move(copy));
      } else if constexpr (std::is_void_v<T>) {
        std::move(handler)(std::move(error));
      } else {
        // No copy on the way: it could throw, out of the handler's reach.
        if (copy) {
          std::move(handler)(std::move(error), std::move(*copy));
        } else {
          std::move(handler)(std::move(error), value_type{});
        }
      }
    }
  };
  outcome take() noexcept { return {std::move(error_), std::move(value_)}; }

 public:
  /// Gives the outcome to an operation without a handler.
  outcome take_outcome() noexcept { return take(); }

 private:
  std::optional<published<value_type>> value_;
};

/// Waits for the end of the clean-up; nothing but its own cancellation makes it fail.
class stop_waiter : public operation {
 public:
  explicit stop_waiter(timer_core& timer) noexcept : timer_(&timer) {}

  bool claim_to_cancel() noexcept override {
    if (!timer_->claim(*this, &cold_state::stop_waiters)) {
      return false;
    }
    set_error(stop_outcome());
    return true;
  }
  void set_error(std::exception_ptr error) noexcept { error_ = std::move(error); }

 protected:
  ~stop_waiter() override = default;

  bool may_complete() noexcept { return true; }

  struct outcome {
    std::exception_ptr error;
    template <class Handler>
    void operator()(Handler& handler) {
      std::move(handler)(std::move(error));
    }
  };
  outcome take() noexcept { return {std::move(error_)}; }

 public:
  outcome take_outcome() noexcept { return take(); }

 private:
  base::ref_ptr<timer_core> timer_;
  std::exception_ptr error_;
};

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_TIMER_WAITER_HPP
