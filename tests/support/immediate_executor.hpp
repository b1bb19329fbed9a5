// An executor of a user that belongs to no context: it runs what it is given then and there.
#ifndef ASYNC_TIMER_TESTS_SUPPORT_IMMEDIATE_EXECUTOR_HPP
#define ASYNC_TIMER_TESTS_SUPPORT_IMMEDIATE_EXECUTOR_HPP

#include <utility>

#include "support/fixture.hpp"

namespace test {

class immediate_executor {
 public:
  // The names and forms from here on are those of Asio's executor and property protocol.
  immediate_executor require(net::execution::blocking_t::never_t) const noexcept { return *this; }
  template <class Function>
  void execute(Function&& function) const {
    std::forward<Function>(function)();
  }
  friend bool operator==(const immediate_executor&, const immediate_executor&) noexcept {
    return true;
  }
  friend bool operator!=(const immediate_executor&, const immediate_executor&) noexcept {
    return false;
  }
};

}  // namespace test

#endif  // ASYNC_TIMER_TESTS_SUPPORT_IMMEDIATE_EXECUTOR_HPP
