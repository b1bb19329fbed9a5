// An asynchronous operation as a stop signal: its handler, and the slot that cancels it.
#ifndef ASYNC_TIMER_TIMER_STOP_OPERATION_HPP
#define ASYNC_TIMER_TIMER_STOP_OPERATION_HPP

#include <async_timer/base/ref_ptr.hpp>
#include <async_timer/base/schedule_point.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/timer/stop_watch.hpp>
#include <atomic>
#include <concepts>
#include <exception>
#include <system_error>
#include <utility>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

/// Is an operation under way, with the signal that cancels it.
class armed_operation final : public armed_signal {
 public:
  explicit armed_operation(stop_watch& watch) noexcept : watch_(&watch) {}

  void cancel() noexcept override {
    // Only the list that is being cleared refers to it: the handler was dropped unrun, and what
    // the slot refers to may be gone, too.
    const bool dropped = use_count() == 1;
    if (!dropped && !has_finished_.load(std::memory_order_acquire)) {
      try {
        signal_.emit(net::cancellation_type::terminal);
      } catch (...) {
        // It can't be cancelled, so it stays until it finishes, and reaches nobody.
      }
    }
  }

  void finish(const std::exception_ptr& failure) noexcept {
    has_finished_.store(true, std::memory_order_release);
    watch_->finished(failure);
  }

  [[nodiscard]] net::cancellation_slot slot() noexcept { return signal_.slot(); }

 private:
  base::ref_ptr<stop_watch> watch_;
  net::cancellation_signal signal_;
  base::atomic<bool> has_finished_{false};
};

inline std::exception_ptr failure_from() noexcept { return nullptr; }

/// Reads the outcome of an operation off its first argument.
template <class First, class... Rest>
std::exception_ptr failure_from(const First& first, const Rest&...) noexcept {
  try {
    if constexpr (std::same_as<First, std::exception_ptr>) {
      return first;
    } else if constexpr (std::same_as<First, error_code>) {
      return first ? std::make_exception_ptr(system_error(first)) : nullptr;
    } else if constexpr (std::same_as<First, std::error_code>) {
      const bool failed = first && first != std::errc::operation_canceled;
      return failed ? std::make_exception_ptr(std::system_error(first)) : nullptr;
    } else {
      return nullptr;
    }
  } catch (...) {
    return std::current_exception();  // no memory for the text
  }
}

/// Is the completion handler of an operation: takes whatever that has to say.
class stop_signal_handler {
 public:
  using executor_type = net::any_io_executor;
  using cancellation_slot_type = net::cancellation_slot;

  stop_signal_handler(base::ref_ptr<armed_operation> op, executor_type executor) noexcept
      : op_(std::move(op)), executor_(std::move(executor)) {}

  [[nodiscard]] executor_type get_executor() const noexcept { return executor_; }
  [[nodiscard]] cancellation_slot_type get_cancellation_slot() const noexcept {
    return op_->slot();
  }

  template <class... Arguments>
  void operator()(Arguments&&... arguments) const {
    op_->finish(failure_from(arguments...));
  }

 private:
  base::ref_ptr<armed_operation> op_;
  executor_type executor_;
};

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_TIMER_STOP_OPERATION_HPP
