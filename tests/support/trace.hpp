// What happened, in order, as one line of text.
#ifndef ASYNC_TIMER_TESTS_SUPPORT_TRACE_HPP
#define ASYNC_TIMER_TESTS_SUPPORT_TRACE_HPP

#include <exception>
#include <string>

#include "support/fixture.hpp"

namespace test {

class trace {
 public:
  void operator()(const std::string& event) { text_ += (text_.empty() ? "" : " ") + event; }

  /// Makes a completion handler, for any signature, that notes "name" or "name:kind of error".
  auto handler(const std::string& name) {
    return [this, name](std::exception_ptr error, auto&&...) {
      (*this)(error ? name + ":" + kind_of(error) : name);
    };
  }

  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace test

#endif  // ASYNC_TIMER_TESTS_SUPPORT_TRACE_HPP
