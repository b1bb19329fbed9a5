// Makes stop signals of what users have: a stop_token, another timer, any asynchronous operation,
// an awaitable.
#ifndef ASYNC_TIMER_TIMER_STOP_WHEN_HPP
#define ASYNC_TIMER_TIMER_STOP_WHEN_HPP

#include <async_timer/base/errors.hpp>
#include <async_timer/base/ref_ptr.hpp>
#include <async_timer/base/schedule_point.hpp>
#include <async_timer/delivery/target.hpp>
#include <async_timer/delivery/target_shape.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/timer/core.hpp>
#include <async_timer/timer/stop_operation.hpp>
#include <async_timer/timer/stop_signals.hpp>
#include <async_timer/timer/stop_watch.hpp>
#include <async_timer/timer/timer_ref.hpp>
#include <async_timer/timer/waiter.hpp>
#include <atomic>
#include <concepts>
#include <cstdint>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

// --- a std::stop_token

class stop_token_signal final : public stop_signal {
 public:
  explicit stop_token_signal(std::stop_token token) noexcept : token_(std::move(token)) {}

  void arm(stop_watch& watch) const override {
    auto armed = base::ref_ptr<registration>::adopt(new registration);
    watch.keep(armed);
    // May call back at once. The callback is deregistered when the watch lets go of it.
    armed->callback.emplace(token_, teller{base::ref_ptr<stop_watch>(&watch)});
  }

 private:
  struct teller {
    base::ref_ptr<stop_watch> watch;
    void operator()() const noexcept { watch->finished(nullptr); }
  };
  struct registration final : armed_signal {
    std::optional<std::stop_callback<teller>> callback;
  };

  std::stop_token token_;
};

// --- the end of another timer

/// Is an idle wait without handler and executor, so that it may be ended from anywhere.
class timer_end_waiter final : public waiter {
 public:
  timer_end_waiter(timer_core& timer, stop_watch& watch) noexcept
      : waiter(timer, awaited::end,
               {.count = std::numeric_limits<std::int64_t>::max(), .from_now = false}),  // no value
        watch_(&watch) {}

  void complete() noexcept override {
    watch_->finished(error_);
    release();
  }
  /// The timer has ended with its context; the one that waits may have another.
  void abandon() noexcept override {
    watch_->finished(nullptr);
    release();
  }

 private:
  base::ref_ptr<stop_watch> watch_;
};

class timer_end_signal final : public stop_signal {
 public:
  explicit timer_end_signal(const timer_ref& timer) noexcept : timer_(timer.core_) {}

  void arm(stop_watch& watch) const override {
    auto op = base::ref_ptr<timer_end_waiter>::adopt(new timer_end_waiter(*timer_, watch));
    watch.keep(base::ref_ptr<armed_wait>::adopt(new armed_wait(op)));
    timer_->enroll(std::move(op), nullptr, std::nullopt, false);
  }

 private:
  struct armed_wait final : armed_signal {
    explicit armed_wait(base::ref_ptr<timer_end_waiter> waits) noexcept : op(std::move(waits)) {}
    void cancel() noexcept override { op->cancel(); }
    void abandon() noexcept override { op->cancel(); }
    base::ref_ptr<timer_end_waiter> op;
  };

  base::ref_ptr<timer_core> timer_;
};

// --- an asynchronous operation

/// Gives a new copy each time; what can't be copied is moved out, once.
template <class T>
class supply {
 public:
  template <class Given>
  explicit supply(Given&& given) : kept_(std::forward<Given>(given)) {}

  [[nodiscard]] T take() const {
    if constexpr (std::is_copy_constructible_v<T>) {
      return kept_;
    } else {
      if (taken_.exchange(true, std::memory_order_acq_rel)) {
        throw timer_error(
            "the stop signal can't be copied and has served another timer already: give stop_when "
            "a callable that makes it");
      }
      return std::move(kept_);
    }
  }

 private:
  mutable T kept_;
  mutable base::atomic<bool> taken_{false};
};

template <class Derived>
class operation_signal : public stop_signal {
 public:
  void arm(stop_watch& watch) const override {
    auto op = base::ref_ptr<armed_operation>::adopt(new armed_operation(watch));
    watch.keep(op);
    static_cast<const Derived&>(*this).initiate(
        stop_signal_handler(std::move(op), watch.executor()), watch.plain_executor());
  }
};

template <class Operation>
class initiated_signal final : public operation_signal<initiated_signal<Operation>> {
 public:
  template <class Given>
  explicit initiated_signal(Given&& given) : operation_(std::forward<Given>(given)) {}

  void initiate(stop_signal_handler handler, const net::any_io_executor&) const {
    std::invoke(operation_.take(), std::move(handler));
  }

 private:
  supply<Operation> operation_;
};

// --- an awaitable, or a callable that returns one

/// @param kept  what the awaitable refers to: the callable that it came from.
template <class T, class Executor>
net::awaitable<void> await_source(net::awaitable<T, Executor> source, net::any_io_executor plain,
                                  std::shared_ptr<void> kept) {
  auto work = await_on(std::move(source), plain);
  static_cast<void>(co_await std::move(work));
  kept.reset();
}

template <class Source>
class awaited_signal final : public operation_signal<awaited_signal<Source>> {
 public:
  template <class Given>
  explicit awaited_signal(Given&& given) : source_(std::forward<Given>(given)) {}

  void initiate(stop_signal_handler handler, const net::any_io_executor& plain) const {
    const auto executor = handler.get_executor();
    if constexpr (awaitable_type<Source>) {
      net::co_spawn(executor, await_source(source_.take(), plain, nullptr), std::move(handler));
    } else {
      auto made_by = std::make_shared<Source>(source_.take());
      auto source = std::invoke(*made_by);
      net::co_spawn(executor, await_source(std::move(source), plain, std::move(made_by)),
                    std::move(handler));
    }
  }

 private:
  supply<Source> source_;
};

// --- which of them

template <class T>
concept timer_like = requires(const std::remove_cvref_t<T>& timer) {
  { timer.ref() } -> std::same_as<timer_ref>;
};
template <class T>
concept awaitable_maker = requires(std::decay_t<T>& make) {
  { std::invoke(make) } -> awaitable_type;
};
template <class T>
concept initiable = std::invocable<std::decay_t<T>, stop_signal_handler>;

template <class Given>
std::unique_ptr<const stop_signal> make_stop_signal(Given&& given) {
  using kept = std::decay_t<Given>;
  if constexpr (std::same_as<kept, std::stop_token>) {
    return std::make_unique<stop_token_signal>(std::forward<Given>(given));
  } else if constexpr (std::same_as<kept, timer_ref>) {
    return std::make_unique<timer_end_signal>(given);
  } else if constexpr (timer_like<Given>) {
    static_assert(std::is_lvalue_reference_v<Given>,
                  "async_timer: stop_when takes a timer by reference: this one would be gone");
    return std::make_unique<timer_end_signal>(given.ref());
  } else if constexpr (awaitable_type<kept> || awaitable_maker<Given>) {
    return std::make_unique<awaited_signal<kept>>(std::forward<Given>(given));
  } else if constexpr (initiable<Given>) {
    return std::make_unique<initiated_signal<kept>>(std::forward<Given>(given));
  } else {
    static_assert(initiable<Given>,
                  "async_timer: stop_when takes a std::stop_token, another timer by reference, an "
                  "awaitable, a callable that returns one, or an asynchronous operation: a "
                  "callable that takes one completion token");
  }
}

}  // namespace detail

/// Makes the signals for timer_options::stop_on: the first one to finish, in whatever way, ends the
/// run gracefully: a tick in flight goes on to its end and counts.
///
/// They are begun by start(), and released at the end of the run: what the timer began is
/// cancelled, what it was given is left alone. One that has finished by then means no tick at all.
/// @param signals  each a `std::stop_token`; another timer, by reference, for its end; an
///   `awaitable`, or a callable that returns one; or an asynchronous operation, that is a callable
///   that takes a completion token, as `deferred` makes them. A failure is logged and stops, too.
/// @par Example
///   `.stop_on = stop_when(token, [&](auto done) { signals.async_wait(std::move(done)); })`
template <class... Signals>
[[nodiscard]] stop_signals stop_when(Signals&&... signals) {
  detail::stop_signal_list list;
  list.reserve(sizeof...(signals));
  (list.push_back(detail::make_stop_signal(std::forward<Signals>(signals))), ...);
  return stop_signals(std::move(list));
}

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_TIMER_STOP_WHEN_HPP
