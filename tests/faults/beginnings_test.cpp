// What is made once in a process is made without memory, or another time. This file's tests are for
// a process that has not used the library before, as ctest runs them; in one that has, what they
// look at was made already, and they prove less.
#include <doctest/doctest.h>

#include <string>

#include "support/capture.hpp"
#include "support/fixture.hpp"
#include "support/memory.hpp"

using namespace test;

TEST_CASE("beginnings: the first record is written without memory") {
  std::string text;
  {
    const spared_memory ours;
    text = stderr_of([] {
      const failing_memory failing(1, 1'000);
      async_timer::base::log({async_timer::log_level::error,
                              "async_timer.timer",
                              "event",
                              "a message far too long for the place in a string",
                              {}});
    });
  }
  CHECK(text == "ERROR async_timer.timer: a message far too long for the place in a string\n");
}

TEST_CASE("beginnings: the first stop outcome may lack memory, and then another one is made") {
  std::exception_ptr first;
  {
    const failing_memory failing(1, 1'000);
    first = async_timer::detail::stop_outcome();
  }
  CHECK((kind_of(first) == "stopped" || kind_of(first) == "std::bad_alloc"));
  CHECK(kind_of(async_timer::detail::stop_outcome()) == "stopped");
}

TEST_CASE("beginnings: an error whose text lacks memory is a bad_alloc") {
  const failing_memory failing(1, 1'000);
  const auto error = async_timer::base::error_of<async_timer::timeout_error>(
      "a text that is far too long to be kept in place");
  failing_memory::stop();
  CHECK(kind_of(error) == "std::bad_alloc");
}
