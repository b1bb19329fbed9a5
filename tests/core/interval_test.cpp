#include <doctest/doctest.h>

#include <async_timer/core/interval.hpp>
#include <async_timer/core/time.hpp>
#include <chrono>
#include <cstdint>
#include <limits>
#include <ratio>
#include <type_traits>

using namespace std::chrono_literals;
using async_timer::interval;
using std::chrono::duration;
using std::chrono::nanoseconds;

namespace {

constexpr auto int_max = std::numeric_limits<std::int64_t>::max();
constexpr auto int_min = std::numeric_limits<std::int64_t>::min();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

nanoseconds ns(interval i) { return i.nanoseconds(); }

static_assert(std::is_trivially_destructible_v<interval>);
static_assert(std::is_trivially_copyable_v<interval>);
static_assert(std::is_convertible_v<std::chrono::hours, interval>);
static_assert(std::is_convertible_v<duration<float, std::milli>, interval>);
static_assert(!std::is_convertible_v<int, interval>);
static_assert(interval{250ms}.nanoseconds() == 250'000'000ns, "usable in constant expressions");

TEST_CASE("1.1 interval: is zero by default, finite and not negative") {
  CHECK(ns(interval{}) == 0ns);
  CHECK(interval{}.is_finite());
  CHECK_FALSE(interval{}.is_negative());
}

TEST_CASE("1.1 interval: takes integer durations of every period exactly") {
  CHECK(ns(7ns) == 7ns);
  CHECK(ns(3us) == 3'000ns);
  CHECK(ns(2h) == 7'200'000'000'000ns);
  CHECK(ns(-5s) == -5'000'000'000ns);
  CHECK(ns(duration<int, std::ratio<1, 60>>{30}) == 500'000'000ns);
  CHECK(ns(duration<int, std::ratio<1, 3>>{1}) == 333'333'333ns);
  CHECK(ns(duration<std::uint64_t, std::atto>{std::numeric_limits<std::uint64_t>::max()}) ==
        18'446'744'073ns);
  CHECK(ns(duration<unsigned char>{200}) == 200s);
}

TEST_CASE("D25 interval: integer durations saturate") {
  CHECK(ns(std::chrono::hours::max()) == nanoseconds::max());
  CHECK(ns(std::chrono::hours::min()) == nanoseconds::min());
  CHECK(ns(nanoseconds::max()) == nanoseconds::max());
  CHECK(ns(nanoseconds::min()) == nanoseconds::min());
  CHECK(ns(duration<std::int64_t>{int_max / 1'000'000'000}) == 9'223'372'036s);
  CHECK(ns(duration<std::int64_t>{int_max / 1'000'000'000 + 1}) == nanoseconds::max());
  CHECK(ns(duration<std::uint64_t, std::nano>{std::numeric_limits<std::uint64_t>::max()}) ==
        nanoseconds::max());
  CHECK(ns(duration<std::uint64_t>{std::numeric_limits<std::uint64_t>::max()}) ==
        nanoseconds::max());
  CHECK(ns(duration<int, std::exa>{1}) == nanoseconds::max());
  CHECK(ns(duration<int, std::exa>{-1}) == nanoseconds::min());
  CHECK(ns(duration<int, std::exa>{0}) == 0ns);
  CHECK(ns(duration<std::int64_t, std::pico>{int_min}) == -9'223'372'036'854'775ns);
  CHECK(ns(duration<std::int64_t, std::pico>{int_max}) == 9'223'372'036'854'775ns);
}

TEST_CASE("D25 interval: saturates at the last nanosecond and not before") {
  CHECK(ns(nanoseconds{int_max - 1}) == nanoseconds{int_max - 1});
  CHECK(ns(nanoseconds{-int_max}) == nanoseconds{-int_max});
  CHECK(ns(nanoseconds{-int_max + 1}) == nanoseconds{-int_max + 1});
  // One and a half nanoseconds: the sum of the parts would be 2^64.
  using odd = duration<std::uint64_t, std::ratio<3, 2'000'000'000>>;
  CHECK(ns(odd{std::numeric_limits<std::uint64_t>::max() / 3 * 2 + 1}) == nanoseconds::max());
  // Two thirds of a nanosecond: three times the count would be too much.
  using two_thirds = duration<std::int64_t, std::ratio<2, 3'000'000'000>>;
  CHECK(ns(two_thirds{int_max / 2 + 1}) == nanoseconds{int_max / 3});
}

TEST_CASE("D25 interval: floating durations are rounded and saturate") {
  CHECK(ns(duration<double>{0.25}) == 250ms);
  CHECK(ns(duration<double>{0.29}) == 290ms);
  CHECK(ns(duration<float, std::milli>{1.5f}) == 1'500us);
  CHECK(ns(duration<double, std::nano>{-2.0}) == -2ns);
  CHECK(ns(duration<double>{1e300}) == nanoseconds::max());
  CHECK(ns(duration<double>{-1e300}) == nanoseconds::min());
  CHECK(ns(duration<double, std::nano>{0x1p63}) == nanoseconds::max());
  CHECK(interval{duration<double>{1e300}}.is_finite());
  CHECK(ns(duration<float, std::exa>{1.0f}) == nanoseconds::max());
}

TEST_CASE("D25 interval: the largest floating value is out of range and still finite") {
  CHECK(interval{duration<double>{std::numeric_limits<double>::max()}}.is_finite());
  CHECK(interval{duration<double>{std::numeric_limits<double>::lowest()}}.is_finite());
  CHECK(interval{duration<float>{std::numeric_limits<float>::max()}}.is_finite());
  CHECK(interval{duration<float>{std::numeric_limits<float>::lowest()}}.is_finite());
}

TEST_CASE("1.2, D25 interval: the smallest negative duration is still negative") {
  CHECK(interval{duration<int, std::pico>{-1}}.is_negative());
  CHECK(interval{duration<double, std::nano>{-1e-9}}.is_negative());
  CHECK_FALSE(interval{duration<double>{-0.0}}.is_negative());
  CHECK_FALSE(interval{duration<int, std::pico>{1}}.is_negative());
  CHECK(ns(duration<int, std::pico>{-1}) == -1ns);
  CHECK(ns(duration<double, std::nano>{-1e-9}) == -1ns);
  CHECK(ns(duration<int, std::pico>{1}) == 0ns);
}

TEST_CASE("D25 interval: NaN and infinity are remembered") {
  CHECK_FALSE(interval{duration<double>{not_a_number}}.is_finite());
  CHECK_FALSE(interval{duration<double>{infinity}}.is_finite());
  CHECK_FALSE(interval{duration<double>{-infinity}}.is_finite());
  CHECK(interval{duration<double>{-infinity}}.is_negative());
  CHECK_FALSE(interval{duration<double>{not_a_number}}.is_negative());
  CHECK(ns(duration<double>{not_a_number}) == 0ns);
  CHECK(ns(duration<double>{infinity}) == nanoseconds::max());
}

TEST_CASE("interval: equality compares value and kind") {
  CHECK(interval{1s} == interval{1000ms});
  CHECK(interval{1s} != interval{1001ms});
  CHECK(interval{duration<double>{infinity}} != interval{nanoseconds::max()});
  CHECK(interval{duration<double>{not_a_number}} == interval{duration<double>{not_a_number}});
  CHECK(interval{duration<double>{not_a_number}} != interval{});
}

TEST_CASE("1.2 interval: shows itself in seconds") {
  const struct {
    interval value;
    const char* text;
  } table[] = {
      {0s, "0s"},
      {250ms, "0.25s"},
      {-1s, "-1s"},
      {-1500ms, "-1.5s"},
      {1ns, "0.000000001s"},
      {10'020'030ns, "0.01002003s"},
      {100min, "6000s"},
      {nanoseconds::max(), "9223372036.854775807s"},
      {nanoseconds::min(), "-9223372036.854775808s"},
      {duration<double>{not_a_number}, "nan"},
      {duration<double>{infinity}, "inf"},
      {duration<double>{-infinity}, "-inf"},
  };
  for (const auto& row : table) CHECK(to_string(row.value) == row.text);
}

TEST_CASE("D25 time: sums and differences saturate") {
  using namespace async_timer::core;
  constexpr time_point t{100ns};
  static_assert(saturating_add(t, 5ns) == time_point{105ns});
  static_assert(saturating_sub(t, 5ns) == time_point{95ns});
  static_assert(saturating_difference(time_point{7ns}, time_point{9ns}) == -2ns);
  CHECK(saturating_add(t, nanoseconds::max()) == time_point::max());
  CHECK(saturating_add(time_point::min(), nanoseconds::min()) == time_point::min());
  CHECK(saturating_add(time_point::min(), nanoseconds::max()) == time_point{-1ns});
  CHECK(saturating_sub(t, nanoseconds::min()) == time_point::max());
  CHECK(saturating_sub(time_point{-2ns}, nanoseconds::max()) == time_point::min());
  CHECK(saturating_difference(time_point::max(), time_point::min()) == nanoseconds::max());
  CHECK(saturating_difference(time_point::min(), time_point::max()) == nanoseconds::min());
  CHECK(saturating_difference(time_point::min(), time_point::min()) == 0ns);
  CHECK(saturating_sub(t, -3ns) == time_point{103ns});
}

}  // namespace
