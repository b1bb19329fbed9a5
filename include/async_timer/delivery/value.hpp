// How the value of a tick is kept and handed out.
// Cheap values (void, trivially copyable) are kept in place: no allocation. Others are published
// once as shared_ptr<const T>, and each receiver copies outside the timer's lock.
#ifndef ASYNC_TIMER_DELIVERY_VALUE_HPP
#define ASYNC_TIMER_DELIVERY_VALUE_HPP

#include <async_timer/net/asio.hpp>
#include <concepts>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

ASYNC_TIMER_BEGIN_NAMESPACE

/// Is what `next`, `wait` and `last_result` give for a tick: T, or `std::monostate` for void.
template <class T>
using tick_value_t = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

namespace detail {

template <class T>
concept tick_value =
    std::is_void_v<T> || (std::copy_constructible<T> && std::default_initializable<T> &&
                          std::is_object_v<T> && !std::is_const_v<T>);

template <class T>
concept kept_in_place = std::is_trivially_copyable_v<T> && std::copyable<T> && sizeof(T) <= 64;

/// Is one published value, cheap to copy; empty when default-made.
template <class V>
class published {
 public:
  published() = default;
  explicit published(V&& value) : value_(std::make_shared<const V>(std::move(value))) {}
  [[nodiscard]] V get() const { return *value_; }
  [[nodiscard]] std::shared_ptr<const V> share() const noexcept { return value_; }

 private:
  std::shared_ptr<const V> value_;
};

template <kept_in_place V>
class published<V> {
 public:
  published() = default;
  explicit published(V&& value) noexcept : value_(value) {}
  [[nodiscard]] V get() const noexcept { return value_; }
  [[nodiscard]] std::shared_ptr<const V> share() const { return std::make_shared<const V>(value_); }

 private:
  V value_{};
};

template <>
class published<std::monostate> {
 public:
  published() = default;
  explicit published(std::monostate) noexcept {}
  [[nodiscard]] static std::monostate get() noexcept { return {}; }
  [[nodiscard]] static std::shared_ptr<const std::monostate> share() {
    return std::make_shared<const std::monostate>();
  }
};

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_DELIVERY_VALUE_HPP
