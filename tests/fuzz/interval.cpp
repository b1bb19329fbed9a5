// Conversions to interval against 128-bit integers and, for floating values, long arithmetic.
#include <algorithm>
#include <array>
#include <async_timer/core/interval.hpp>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <ratio>
#include <string>

#include "fuzz/input.hpp"

namespace {

using async_timer::interval;
using fuzz::require;
using fuzz::wide;

constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min();

/// What it shows of itself is exact, so it can be read back.
void check_text(interval i) {
  const std::string text = to_string(i);
  require(!text.empty() && text.back() == 's', "seconds");
  std::string digits = text.substr(0, text.size() - 1);
  const auto point = digits.find('.');
  const std::size_t places = point == std::string::npos ? 0 : digits.size() - point - 1;
  require(places <= 9 && (places == 0 || digits.back() != '0'), "no superfluous digits");
  if (point != std::string::npos) digits.erase(point, 1);
  digits.append(9 - places, '0');
  wide value = 0;
  for (const char c : digits) {
    if (c != '-') value = value * 10 + (c - '0');
  }
  require((digits[0] == '-' ? -value : value) == i.nanoseconds().count(), "reads back");
}

template <class Rep, class Period>
void check_integral(fuzz::input in) {
  const auto value = in.number<Rep>();
  const interval got = std::chrono::duration<Rep, Period>(value);
  require(got.is_finite(), "integers are finite");
  require(got.is_negative() == (value < Rep{0}), "keeps the sign");
  wide exact = 0;
  if constexpr (std::ratio_greater_v<Period, std::ratio<9'223'372'037>>) {
    exact = value == 0 ? 0 : value < Rep{0} ? wide(least) : wide(most);
  } else {
    using factor = std::ratio_divide<Period, std::nano>;
    exact = static_cast<wide>(value) * factor::num / factor::den;  // truncates
    if (value < Rep{0} && exact == 0) exact = -1;
  }
  require(got.nanoseconds().count() == std::clamp<wide>(exact, least, most), "integral value");
  check_text(got);
}

template <class Rep, class Period>
void check_floating(fuzz::input in) {
  auto value = static_cast<Rep>(in.number<double>());
  if (in.byte() % 2 != 0) value = static_cast<Rep>(std::ldexp(in.magnitude(), in.byte() % 64 - 32));
  const interval got = std::chrono::duration<Rep, Period>(value);
  if (std::isnan(value)) {
    require(!got.is_finite() && got.nanoseconds().count() == 0, "NaN is remembered");
    return;
  }
  require(got.is_negative() == (value < 0), "keeps the sign");
  require(got.is_finite() == !std::isinf(value), "infinity is remembered");
  const auto exact = static_cast<long double>(value) * Period::num * 1'000'000'000 / Period::den;
  const auto count = got.nanoseconds().count();
  if (exact >= 0x1p63L || exact <= -0x1p63L) {
    require(count == (value < 0 ? least : most), "saturates");
  } else if (value < 0 && exact > -1) {
    require(count == -1 || (count == 0 && value == 0), "stays negative");
  } else {
    // Half for rounding, and what the last of the 64 bits may be worth on both sides.
    const long double allowed = 0.5L + std::abs(exact) * 0x1p-62L;
    require(std::abs(static_cast<long double>(count) - exact) <= allowed, "floating value");
  }
  if (got.is_finite()) check_text(got);
}

using check = void (*)(fuzz::input);
constexpr std::array<check, 20> checks{
    check_integral<std::int64_t, std::nano>,
    check_integral<std::int64_t, std::micro>,
    check_integral<std::int64_t, std::milli>,
    check_integral<std::int64_t, std::ratio<1>>,
    check_integral<std::int64_t, std::ratio<60>>,
    check_integral<std::int64_t, std::ratio<3600>>,
    check_integral<std::int64_t, std::pico>,
    check_integral<std::int64_t, std::atto>,
    check_integral<std::int64_t, std::ratio<1, 60>>,
    check_integral<std::int64_t, std::ratio<1, 3>>,
    check_integral<std::int64_t, std::ratio<1001, 30000>>,
    check_integral<std::int64_t, std::exa>,
    check_integral<std::uint64_t, std::nano>,
    check_integral<std::uint64_t, std::ratio<3600>>,
    check_integral<std::uint64_t, std::atto>,
    check_integral<std::int32_t, std::ratio<86400>>,
    check_integral<std::int8_t, std::exa>,
    check_floating<double, std::ratio<1>>,
    check_floating<double, std::nano>,
    check_floating<float, std::milli>,
};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::input in(data, size);
  const std::size_t which = in.byte() % checks.size();
  checks[which](in);
  return 0;
}
