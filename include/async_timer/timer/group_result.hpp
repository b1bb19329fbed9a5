// What a user says about a group and its operations, and what those give back.
#ifndef ASYNC_TIMER_TIMER_GROUP_RESULT_HPP
#define ASYNC_TIMER_TIMER_GROUP_RESULT_HPP

#include <async_timer/core/interval.hpp>
#include <async_timer/delivery/value.hpp>
#include <async_timer/net/asio.hpp>
#include <async_timer/timer/timer_ref.hpp>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <utility>

ASYNC_TIMER_BEGIN_NAMESPACE

/// Says what a group is called.
struct group_options {
  /// Shows up in logs and to_string().
  std::string name{};
};

/// Says what a group's wait is for; with neither count it is for the end of every member's run.
///
/// Trivially destructible, because g++ 12 destroys temporaries beside `co_await` twice.
struct group_wait_options {
  /// Waits until each member's hit_count() is at least this; wins over `hits`; < 0 means 0.
  std::optional<std::int64_t> hit_count{};
  /// Waits for so many more ticks of each member, one in flight included; < 0 means 0.
  std::optional<std::int64_t> hits{};
  /// Bounds the whole wait; <= 0 is over at once. Left out: no bound.
  std::optional<interval> timeout{};
  /// True: a member's error stands in its place of the list. False: the first one ends the wait.
  bool return_exceptions = false;
};
static_assert(std::is_trivially_destructible_v<group_wait_options>);

/// Says how a group's trigger waits for its ticks.
struct group_trigger_options {
  /// Bounds the wait for the ticks; <= 0 is over at once, the targets tick nevertheless. Left out:
  /// no bound.
  std::optional<interval> timeout{};
  /// True: a member's error stands in its place of the list. False: the first one ends the wait.
  bool return_exceptions = false;
};
static_assert(std::is_trivially_destructible_v<group_trigger_options>);

/// Is what one member contributes: a value, nothing, or an error.
///
/// @par Thread safety
///   As a `std::shared_ptr`; the value itself is shared and const.
class group_outcome {
 public:
  /// Returns the member's error; null if there is none.
  [[nodiscard]] const std::exception_ptr& error() const noexcept { return error_; }
  /// Tells whether there is a value; without one and without an error the outcome is empty.
  [[nodiscard]] bool has_value() const noexcept { return value_ != nullptr; }

  /// Returns a copy of the value; empty if there is none.
  ///
  /// @tparam T  the value type of the member; void gives `std::monostate`
  /// @throws the member's error; std::logic_error if T is not the member's type, value or not
  template <class T>
  [[nodiscard]] std::optional<tick_value_t<T>> as() const {
    using value_type = tick_value_t<T>;
    if (*type_ != typeid(value_type)) {
      throw std::logic_error(std::string("async_timer: group_outcome::as<T>() asks for type ") +
                             typeid(value_type).name() + ", but the member's values are of type " +
                             type_->name());
    }
    if (error_) {
      std::rethrow_exception(error_);
    }
    if (!value_) {
      return std::nullopt;
    }
    return *static_cast<const value_type*>(value_.get());
  }

  /// Makes an outcome; for the group itself.
  explicit group_outcome(const std::type_info& type, std::exception_ptr error = nullptr,
                         std::shared_ptr<const void> value = nullptr) noexcept
      : type_(&type), error_(std::move(error)), value_(std::move(value)) {}

  void set_error(std::exception_ptr error) noexcept { error_ = std::move(error); }
  void set_value(std::shared_ptr<const void> value) noexcept { value_ = std::move(value); }

 private:
  const std::type_info* type_;
  std::exception_ptr error_;
  std::shared_ptr<const void> value_;
};

/// Is one line of what a group's wait or trigger gives, in the order of the members.
struct group_result {
  timer_ref timer;
  group_outcome outcome;
};

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_TIMER_GROUP_RESULT_HPP
