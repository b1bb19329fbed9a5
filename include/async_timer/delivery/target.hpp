// Calls a target of any shape once a tick. A synchronous one answers at once, an asynchronous one
// through an awaitable; both answer nullopt when it is exhausted.
// It knows nothing of timers: whose turn it is, and what happens to the value, is decided above.
#ifndef ASYNC_TIMER_DELIVERY_TARGET_HPP
#define ASYNC_TIMER_DELIVERY_TARGET_HPP

#include <async_timer/base/errors.hpp>
#include <async_timer/delivery/target_shape.hpp>
#include <async_timer/delivery/value.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/net/executor.hpp>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <variant>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

/// Awaits an awaitable of any executor type from a coroutine on any_io_executor.
///
/// @param plain  the timer's own executor, where an awaitable of another type is spawned.
template <class T, class Executor>
net::awaitable<T> await_on(net::awaitable<T, Executor> work, const net::any_io_executor& plain) {
  if constexpr (std::is_same_v<Executor, net::any_io_executor>) {
    return work;
  } else {
    const auto* own = executor_target<Executor>(plain);
    if (own == nullptr) {
      throw timer_error(
          "the target returns an awaitable bound to an executor type that the timer does not have: "
          "give the timer an executor of that type, or return awaitable<T>");
    }
    return net::co_spawn(*own, std::move(work), net::use_awaitable);
  }
}

/// Calls a function and gives monostate for void.
template <class Function>
decltype(auto) invoke_as_value(Function& function) {
  if constexpr (std::is_void_v<std::invoke_result_t<Function&>>) {
    std::invoke(function);
    return std::monostate{};
  } else {
    return std::invoke(function);
  }
}

/// Awaits and gives monostate for void.
template <class T, class Executor>
net::awaitable<std::optional<tick_value_t<T>>> await_value(net::awaitable<T, Executor> work,
                                                           net::any_io_executor plain) {
  auto on_plain = await_on(std::move(work), plain);
  if constexpr (std::is_void_v<T>) {
    co_await std::move(on_plain);
    co_return std::monostate{};
  } else {
    co_return co_await std::move(on_plain);
  }
}

/// Steps through a range, which it holds in place so that the iterator survives moves.
template <class Range>
class range_cursor {
 public:
  explicit range_cursor(Range range) : state_(std::make_unique<state>(std::move(range))) {}

  using item = std::ranges::range_reference_t<Range>;
  static constexpr bool async = awaitable_type<item>;

  /// Moves to the next item; false at the end.
  bool advance() {
    auto& at = *state_;
    if (std::exchange(at.ended, true)) {
      return false;
    }
    // A generator that throws here is finished; stepping it again would be undefined.
    if (!at.iterator) {
      at.iterator.emplace(std::ranges::begin(at.range));
    } else {
      ++*at.iterator;
    }
    at.ended = *at.iterator == std::ranges::end(at.range);
    return !at.ended;
  }
  [[nodiscard]] decltype(auto) current() const { return **state_->iterator; }

 private:
  struct state {
    explicit state(Range&& source) : range(std::move(source)) {}
    Range range;
    std::optional<std::ranges::iterator_t<Range>> iterator;
    bool ended = false;
  };
  std::unique_ptr<state> state_;
};

/// Wraps the four generator forms: what is stepped, however it came to be.
template <class Generator, target_shape Shape = shape_of<Generator>()>
class stepper;

template <class Generator>
class stepper<Generator, target_shape::range> {
 public:
  static constexpr bool async = range_cursor<Generator>::async;
  using value = tick_value_t<target_value_t<Generator>>;

  explicit stepper(Generator generator) : cursor_(std::move(generator)) {}

  std::optional<value> pull()
    requires(!async)
  {
    return cursor_.advance() ? std::optional<value>(cursor_.current()) : std::nullopt;
  }
  net::awaitable<std::optional<value>> pull_async(net::any_io_executor plain)
    requires async
  {
    if (!cursor_.advance()) {
      co_return std::nullopt;
    }
    auto&& current = cursor_.current();
    auto item = await_value(std::move(current), std::move(plain));  // single pass: nobody else's
    co_return co_await std::move(item);
  }

 private:
  range_cursor<Generator> cursor_;
};

template <class Generator>
class stepper<Generator, target_shape::coro> {
 public:
  static constexpr bool async = true;
  using value = target_value_t<Generator>;

  explicit stepper(Generator generator) : generator_(std::move(generator)) {}

  net::awaitable<std::optional<value>> pull_async(net::any_io_executor) {
    if (!generator_.is_open()) {
      co_return std::nullopt;
    }
    co_return co_await generator_.async_resume(net::use_awaitable);
  }

 private:
  Generator generator_;
};

template <class Generator>
class stepper<Generator, target_shape::async_generator> {
 public:
  static constexpr bool async = true;
  using value = target_value_t<Generator>;

  explicit stepper(Generator generator) : generator_(std::move(generator)) {}

  net::awaitable<std::optional<value>> pull_async(net::any_io_executor plain) {
    // What throws or is unwound here is over, as a coroutine is (contract D8).
    if (std::exchange(ended_, true)) {
      co_return std::nullopt;
    }
    auto item = await_on(generator_.next(), plain);
    auto next = co_await std::move(item);
    ended_ = !next.has_value();
    co_return next;
  }

 private:
  Generator generator_;
  bool ended_ = false;
};

/// Calls the target; reset() ends a run: what a factory made for it is destroyed (D8).
template <class Target, target_shape Shape = shape_of<Target>()>
class target_caller : public stepper<Target> {
 public:
  using stepper<Target>::stepper;
  void reset() noexcept {}
};

template <class Target>
class target_caller<Target, target_shape::plain> {
 public:
  static constexpr bool async = false;
  using value = tick_value_t<target_value_t<Target>>;

  explicit target_caller(Target target) : target_(std::move(target)) {}
  std::optional<value> pull() { return std::optional<value>(invoke_as_value(target_)); }
  void reset() noexcept {}

  [[nodiscard]] Target& function() noexcept { return target_; }

 private:
  [[no_unique_address]] Target target_;
};

template <class Target>
class target_caller<Target, target_shape::awaitable> {
 public:
  static constexpr bool async = true;
  using value = tick_value_t<target_value_t<Target>>;

  /// The awaitable is of the usual executor type, so that it can be awaited with no frame between.
  static constexpr bool direct =
      std::is_same_v<typename awaitable_traits<std::invoke_result_t<Target&>>::executor_type,
                     net::any_io_executor>;

  explicit target_caller(Target target) : target_(std::move(target)) {}
  net::awaitable<std::optional<value>> pull_async(net::any_io_executor plain) {
    return await_value(std::invoke(target_), std::move(plain));
  }
  void reset() noexcept {}

  [[nodiscard]] Target& function() noexcept { return target_; }

 private:
  [[no_unique_address]] Target target_;
};

/// Is a factory: called at the first tick of a run, then only what it made is stepped.
template <class Target>
class factory_caller {
  using made = stepper<std::remove_cvref_t<std::invoke_result_t<Target&>>>;

 public:
  static constexpr bool async = made::async;
  using value = typename made::value;

  explicit factory_caller(Target target) : target_(std::move(target)) {}

  std::optional<value> pull()
    requires(!async)
  {
    return current().pull();
  }
  net::awaitable<std::optional<value>> pull_async(net::any_io_executor plain)
    requires async
  {
    return current().pull_async(std::move(plain));
  }
  void reset() noexcept { made_.reset(); }

  [[nodiscard]] Target& function() noexcept { return target_; }

 private:
  made& current() {
    if (!made_) {
      made_ = std::make_unique<made>(std::invoke(target_));
    }
    return *made_;
  }
  [[no_unique_address]] Target target_;
  std::unique_ptr<made> made_;
};

template <class Target>
class target_caller<Target, target_shape::returns_range> : public factory_caller<Target> {
 public:
  using factory_caller<Target>::factory_caller;
};
template <class Target>
class target_caller<Target, target_shape::returns_coro> : public factory_caller<Target> {
 public:
  using factory_caller<Target>::factory_caller;
};
template <class Target>
class target_caller<Target, target_shape::returns_async_generator> : public factory_caller<Target> {
 public:
  using factory_caller<Target>::factory_caller;
};

/// Tells whether a target is an empty std::function, a null pointer, or the like (contract 1.10).
template <class Target>
bool is_empty_target(const Target& target) noexcept {
  // Neither a function given by its name nor a captureless closure, which converts to a pointer,
  // can be empty.
  if constexpr (!std::is_function_v<Target> && !std::is_empty_v<Target> &&
                requires { target == nullptr; }) {
    return target == nullptr;
  } else {
    return false;
  }
}

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_DELIVERY_TARGET_HPP
