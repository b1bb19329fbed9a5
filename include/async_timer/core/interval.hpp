// The type of every duration parameter: any std::chrono duration, as saturated nanoseconds.
// Knows: conversion without overflow; NaN and infinity are remembered, for whoever validates the
// argument to reject. Must not know: which values a parameter allows.
// Trivially destructible, because g++ 12 destroys temporaries beside co_await twice.
#ifndef ASYNC_TIMER_CORE_INTERVAL_HPP
#define ASYNC_TIMER_CORE_INTERVAL_HPP

#include <chrono>
#include <concepts>
#include <cstdint>
#include <limits>
#include <ratio>
#include <string>
#include <type_traits>

namespace async_timer {

/// Is what every duration parameter takes: any `std::chrono` duration, as saturated nanoseconds.
class interval {
 public:
  /// Makes a duration of zero.
  constexpr interval() noexcept = default;

  /// Converts a duration; what is beyond the range of nanoseconds becomes the end of it.
  ///
  /// Integers are truncated to nanoseconds and floating values rounded, but a negative duration
  /// stays negative however small: otherwise a check for "< 0" could be passed with -1 ps.
  template <class Rep, class Period>
    requires std::integral<Rep> || std::floating_point<Rep>
  constexpr interval(std::chrono::duration<Rep, Period> d) noexcept {
    if constexpr (std::floating_point<Rep>)
      set_floating<Period>(d.count());
    else
      set_integral<Period>(d.count());
  }

  /// Tells whether it came from a number: neither infinity nor NaN.
  [[nodiscard]] constexpr bool is_finite() const noexcept { return kind_ == kind::finite; }

  /// Tells whether it is < 0; false for NaN.
  [[nodiscard]] constexpr bool is_negative() const noexcept { return count_ < 0; }

  /// Returns the duration: infinities are the ends of the range, NaN is zero.
  [[nodiscard]] constexpr std::chrono::nanoseconds nanoseconds() const noexcept {
    return std::chrono::nanoseconds{count_};
  }

  /// Compares what is stored, so one NaN equals another.
  friend constexpr bool operator==(interval, interval) noexcept = default;

  /// Gives the seconds without superfluous digits: "0.25s", "-1s"; "nan", "inf", "-inf".
  friend std::string to_string(interval i) {
    if (i.kind_ == kind::nan) return "nan";
    if (i.kind_ == kind::infinite) return i.is_negative() ? "-inf" : "inf";
    const std::uint64_t magnitude = i.is_negative() ? 0 - static_cast<std::uint64_t>(i.count_)
                                                    : static_cast<std::uint64_t>(i.count_);
    std::string text = i.is_negative() ? "-" : "";
    text += std::to_string(magnitude / per_second);
    if (const std::uint64_t rest = magnitude % per_second; rest != 0) {
      const std::string digits = std::to_string(rest + per_second);  // leading 1 keeps the zeros
      text += '.';
      text.append(digits, 1, digits.find_last_not_of('0'));
    }
    return text += 's';
  }

 private:
  enum class kind : unsigned char { finite, infinite, nan };

  static constexpr std::uint64_t per_second = 1'000'000'000;
  static constexpr std::int64_t max = std::numeric_limits<std::int64_t>::max();
  static constexpr std::int64_t min = std::numeric_limits<std::int64_t>::min();

  // A count of 1 of such a period is out of range already. Answered without computing the factor,
  // which does not compile for the larger ones.
  template <class Period>
  static constexpr bool beyond_range = std::ratio_greater_v<Period, std::ratio<9'223'372'036>>;

  constexpr void set_magnitude(bool negative, std::uint64_t magnitude) noexcept {
    constexpr auto limit = static_cast<std::uint64_t>(max);
    if (magnitude > limit)
      count_ = negative ? min : max;
    else
      count_ =
          negative ? -static_cast<std::int64_t>(magnitude) : static_cast<std::int64_t>(magnitude);
  }

  template <class Period, class Rep>
  constexpr void set_integral(Rep value) noexcept {
    static_assert(sizeof(Rep) <= sizeof(std::uint64_t),
                  "async_timer: the count of this duration is too wide: use 64 bits, or double");
    const bool negative = value < Rep{0};
    const auto wide = static_cast<std::uint64_t>(value);
    const std::uint64_t magnitude = negative ? 0 - wide : wide;
    if constexpr (beyond_range<Period>) {
      if (magnitude != 0) count_ = negative ? min : max;
    } else {
      using factor = std::ratio_divide<Period, std::nano>;
      constexpr auto num = static_cast<std::uint64_t>(factor::num);
      constexpr auto den = static_cast<std::uint64_t>(factor::den);
      static_assert(num <= std::numeric_limits<std::int64_t>::max() / den,
                    "async_timer: the period of this duration is too odd to convert exactly");
      constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
      std::uint64_t whole = most;
      if (magnitude / den < most / num) whole = magnitude / den * num + magnitude % den * num / den;
      if (negative && magnitude != 0 && whole == 0) whole = 1;
      set_magnitude(negative, whole);
    }
  }

  template <class Period, class Rep>
  constexpr void set_floating(Rep value) noexcept {
    constexpr long double factor = static_cast<long double>(Period::num) * per_second / Period::den;
    if (value != value) {
      kind_ = kind::nan;
      return;
    }
    if (value > std::numeric_limits<Rep>::max() || value < std::numeric_limits<Rep>::lowest())
      kind_ = kind::infinite;
    const bool negative = value < 0;
    const long double exact = static_cast<long double>(negative ? -value : value) * factor;
    if (!(exact < 0x1p63L)) {
      count_ = negative ? min : max;
      return;
    }
    auto magnitude = static_cast<std::uint64_t>(exact + 0.5L);
    if (negative && magnitude == 0) magnitude = 1;
    set_magnitude(negative, magnitude);
  }

  std::int64_t count_ = 0;
  kind kind_ = kind::finite;
};

static_assert(std::is_trivially_copyable_v<interval> && std::is_trivially_destructible_v<interval>);

}  // namespace async_timer

#endif  // ASYNC_TIMER_CORE_INTERVAL_HPP
