// What a test asks of texts.
#ifndef ASYNC_TIMER_TESTS_SUPPORT_TEXT_HPP
#define ASYNC_TIMER_TESTS_SUPPORT_TEXT_HPP

#include <string_view>

namespace test {

inline bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace test

#endif  // ASYNC_TIMER_TESTS_SUPPORT_TEXT_HPP
