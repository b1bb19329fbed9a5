// Lists of instants, which a failed assertion shows in seconds.
#ifndef ASYNC_TIMER_TESTS_SUPPORT_TIMES_HPP
#define ASYNC_TIMER_TESTS_SUPPORT_TIMES_HPP

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

namespace test {

/// Is when something happened, counted from the beginning of a test.
using times = std::vector<std::chrono::nanoseconds>;

/// Gives the distances between neighbours.
inline times gaps(const times& at) {
  times result;
  for (std::size_t i = 1; i < at.size(); ++i) result.push_back(at[i] - at[i - 1]);
  return result;
}

inline double in_seconds(std::chrono::nanoseconds d) {
  return std::chrono::duration<double>(d).count();
}

}  // namespace test

template <>
struct doctest::StringMaker<test::times> {
  static doctest::String convert(const test::times& at) {
    std::string text;
    for (const auto& each : at)
      text += (text.empty() ? "" : ", ") + std::to_string(test::in_seconds(each));
    return ("{" + text + "}").c_str();
  }
};

#endif  // ASYNC_TIMER_TESTS_SUPPORT_TIMES_HPP
