// What a target is, decided at compile time from its type, and the type of value it ticks with.
#ifndef ASYNC_TIMER_DELIVERY_TARGET_SHAPE_HPP
#define ASYNC_TIMER_DELIVERY_TARGET_SHAPE_HPP

#include <async_timer/net/asio.hpp>
#include <concepts>
#include <functional>
#include <optional>
#include <ranges>
#include <string_view>
#include <type_traits>
#include <utility>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

template <class T>
struct awaitable_traits : std::false_type {};
template <class T, class Executor>
struct awaitable_traits<net::awaitable<T, Executor>> : std::true_type {
  using value_type = T;
  using executor_type = Executor;
};
template <class T>
concept awaitable_type = awaitable_traits<std::remove_cvref_t<T>>::value;

/// Is an `experimental::coro` that yields values and takes none; told by its form, since its
/// template parameters differ between versions, and so that only who uses one includes it.
template <class T>
concept coro_type = requires(std::remove_cvref_t<T>& coro) {
  typename std::remove_cvref_t<T>::promise_type;
  requires std::is_object_v<typename std::remove_cvref_t<T>::yield_type>;
  requires std::is_void_v<typename std::remove_cvref_t<T>::return_type>;
  requires std::is_void_v<typename std::remove_cvref_t<T>::input_type>;
  { coro.is_open() } -> std::convertible_to<bool>;
  coro.async_resume(net::use_awaitable);
};

template <class T>
struct optional_traits : std::false_type {};
template <class T>
struct optional_traits<std::optional<T>> : std::true_type {
  using value_type = T;
};

/// Has `next()` that gives an awaitable of an optional; nullopt is the end.
template <class T>
concept async_generator = requires(std::remove_cvref_t<T>& generator) {
  { generator.next() } -> awaitable_type;
  requires optional_traits<
      typename awaitable_traits<decltype(generator.next())>::value_type>::value;
};

template <class T>
concept range_object = std::ranges::input_range<std::remove_cvref_t<T>&> &&
                       !std::is_array_v<std::remove_reference_t<T>>;

/// A returned range is a generator if it makes its items as it goes, as views and single-pass
/// ranges do; a returned container or string is a value.
template <class T>
concept range_target =
    range_object<T> && !optional_traits<std::remove_cvref_t<T>>::value &&  // a view in C++26
    (std::ranges::view<std::remove_cvref_t<T>> ||
     !std::ranges::forward_range<std::remove_cvref_t<T>&>)&&!std::convertible_to<T,
                                                                                 std::string_view>;

enum class target_shape {
  plain,
  awaitable,
  range,
  coro,
  async_generator,
  returns_range,
  returns_coro,
  returns_async_generator,
  invalid
};

template <class Target>
consteval target_shape shape_of() {
  using target = std::remove_cvref_t<Target>;
  if constexpr (coro_type<target>) {
    return target_shape::coro;
  } else if constexpr (async_generator<target>) {
    return target_shape::async_generator;
  } else if constexpr (range_target<target>) {
    return target_shape::range;
  } else if constexpr (std::invocable<target&>) {
    using result = std::invoke_result_t<target&>;
    if constexpr (awaitable_type<result>) {
      return target_shape::awaitable;
    } else if constexpr (coro_type<result>) {
      return target_shape::returns_coro;
    } else if constexpr (async_generator<result>) {
      return target_shape::returns_async_generator;
    } else if constexpr (range_target<result>) {
      return target_shape::returns_range;
    } else {
      return target_shape::plain;
    }
  } else {
    return target_shape::invalid;
  }
}

template <class Target>
concept valid_target = shape_of<Target>() != target_shape::invalid;

/// Items that are awaitables are awaited (contract 2.11).
template <class Item>
struct item_value {
  using type = std::remove_cvref_t<Item>;
};
template <awaitable_type Item>
struct item_value<Item> {
  using type = typename awaitable_traits<std::remove_cvref_t<Item>>::value_type;
};

template <class Target, target_shape Shape = shape_of<Target>()>
struct target_value;
template <class Target>
struct target_value<Target, target_shape::plain> {
  using type = std::decay_t<std::invoke_result_t<Target&>>;
};
template <class Target>
struct target_value<Target, target_shape::awaitable> {
  using type = typename item_value<std::invoke_result_t<Target&>>::type;
};
template <class Target>
struct target_value<Target, target_shape::range> {
  // Not the reference: that may be a proxy, into the range.
  using type = typename item_value<std::ranges::range_value_t<Target>>::type;
};
template <class Target>
struct target_value<Target, target_shape::coro> {
  using type = typename Target::yield_type;
};
template <class Target>
struct target_value<Target, target_shape::async_generator> {
  using awaited = typename awaitable_traits<decltype(std::declval<Target&>().next())>::value_type;
  using type = typename optional_traits<awaited>::value_type;
};
template <class Target>
struct target_value<Target, target_shape::returns_range>
    : target_value<std::remove_cvref_t<std::invoke_result_t<Target&>>, target_shape::range> {};
template <class Target>
struct target_value<Target, target_shape::returns_coro>
    : target_value<std::remove_cvref_t<std::invoke_result_t<Target&>>, target_shape::coro> {};
template <class Target>
struct target_value<Target, target_shape::returns_async_generator>
    : target_value<std::remove_cvref_t<std::invoke_result_t<Target&>>,
                   target_shape::async_generator> {};

}  // namespace detail

/// Is the type of value that a target ticks with; void for a target that gives none.
template <detail::valid_target Target>
using target_value_t = typename detail::target_value<std::decay_t<Target>>::type;

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_DELIVERY_TARGET_SHAPE_HPP
