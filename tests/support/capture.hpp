// What a piece of code writes to stderr.
#ifndef ASYNC_TIMER_TESTS_SUPPORT_CAPTURE_HPP
#define ASYNC_TIMER_TESTS_SUPPORT_CAPTURE_HPP

#include <doctest/doctest.h>

#include <unistd.h>
#include <cstdio>
#include <ctime>
#include <string>

namespace test {

/// Gives what an action writes to stderr.
template <class Action>
std::string stderr_of(Action&& action) {
  std::fflush(stderr);
  std::FILE* const file = std::tmpfile();
  REQUIRE(file != nullptr);
  const int before = dup(STDERR_FILENO);
  REQUIRE(before >= 0);
  dup2(fileno(file), STDERR_FILENO);
  action();
  std::fflush(stderr);
  dup2(before, STDERR_FILENO);
  close(before);
  std::string text;
  std::rewind(file);
  for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) {
    text.push_back(static_cast<char>(c));
  }
  std::fclose(file);
  return text;
}

/// Gives what an action writes that has begun and ended within one second of the wall clock, by
/// which the default log sink holds lines back. While it has not, the action is called again, with
/// another name, since the lines of the former one may still be held back.
template <class Action>
std::string stderr_within_a_second(Action&& action) {
  for (int attempt = 0;; ++attempt) {
    const auto begin = std::time(nullptr);
    auto text = stderr_of([&] { action("attempt" + std::to_string(attempt)); });
    if (std::time(nullptr) == begin) return text;
  }
}

}  // namespace test

#endif  // ASYNC_TIMER_TESTS_SUPPORT_CAPTURE_HPP
