// Lines on the standard output, from any thread.
#ifndef SUPPORT_OUTPUT_HPP
#define SUPPORT_OUTPUT_HPP

#include <exception>
#include <iostream>
#include <string>
#include <syncstream>

namespace support {

/// Prints one line, whole and at once, whoever else prints.
template <class... Parts>
void say(const Parts&... parts) {
  std::osyncstream line(std::cout);
  (line << ... << parts) << std::endl;
}

/// Returns the text of a failure.
inline std::string what(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    return error.what();
  }
}

}  // namespace support

#endif  // SUPPORT_OUTPUT_HPP
