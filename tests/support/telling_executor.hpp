// An executor of a user, over an io_context, that tells the test when it is asked for its context,
// before and after it has posted a function that it is given, and at the end of its last copy.
#ifndef ASYNC_TIMER_TESTS_SUPPORT_TELLING_EXECUTOR_HPP
#define ASYNC_TIMER_TESTS_SUPPORT_TELLING_EXECUTOR_HPP

#include <functional>
#include <memory>
#include <utility>

#include "support/fixture.hpp"

namespace test {

class telling_executor {
 public:
  struct calls {
    std::function<void()> at_query = [] {};
    std::function<void()> at_execute = [] {};
    std::function<void()> at_executed = [] {};
    std::shared_ptr<const void> kept = nullptr;  ///< by each executor made now, and by its copies
  };

  telling_executor(net::io_context& io, calls& to) noexcept : io_(&io), to_(&to), kept_(to.kept) {}

  // The names and forms from here on are those of Asio's executor and property protocol.
  net::execution_context& query(net::execution::context_t) const noexcept {
    to_->at_query();
    return *io_;
  }
  net::execution::blocking_t query(net::execution::blocking_t) const noexcept {
    return net::execution::blocking_t(net::execution::blocking.never);
  }
  telling_executor require(net::execution::blocking_t::never_t) const noexcept { return *this; }

  template <class Function>
  void execute(Function&& function) const {
    to_->at_execute();
    net::post(io_->get_executor(), std::forward<Function>(function));
    to_->at_executed();
  }

  friend bool operator==(const telling_executor& a, const telling_executor& b) noexcept {
    return a.io_ == b.io_ && a.to_ == b.to_;
  }
  friend bool operator!=(const telling_executor& a, const telling_executor& b) noexcept {
    return !(a == b);
  }

 private:
  net::io_context* io_;
  calls* to_;
  std::shared_ptr<const void> kept_;
};

}  // namespace test

#endif  // ASYNC_TIMER_TESTS_SUPPORT_TELLING_EXECUTOR_HPP
