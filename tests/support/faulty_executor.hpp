// An executor of a user, over an io_context, that does what executors should not.
#ifndef ASYNC_TIMER_TESTS_SUPPORT_FAULTY_EXECUTOR_HPP
#define ASYNC_TIMER_TESTS_SUPPORT_FAULTY_EXECUTOR_HPP

#include <functional>
#include <memory>
#include <new>
#include <stdexcept>
#include <utility>
#include <vector>

#include "support/fixture.hpp"

namespace test {

class faulty_executor {
 public:
  /// Counts down; the next function given meets the first of them that is not zero.
  struct faults {
    int spares = 0;            ///< takes the function as it should
    int throws = 0;            ///< refuses the function
    int exhausts = 0;          ///< refuses it for want of memory
    int drops = 0;             ///< destroys it and says nothing
    int keeps_and_throws = 0;  ///< refuses it, but keeps it in `kept`
    std::vector<std::function<void()>> kept;
  };

  faulty_executor(net::io_context& io, faults& what) noexcept : io_(&io), faults_(&what) {}

  // The names and forms from here on are those of Asio's executor and property protocol.
  net::execution_context& query(net::execution::context_t) const noexcept { return *io_; }
  net::execution::blocking_t query(net::execution::blocking_t) const noexcept {
    return net::execution::blocking_t(net::execution::blocking.never);
  }
  faulty_executor require(net::execution::blocking_t::never_t) const noexcept { return *this; }

  template <class Function>
  void execute(Function&& function) const {
    auto given = std::make_shared<std::decay_t<Function>>(std::forward<Function>(function));
    if (!meets(faults_->spares)) {
      if (meets(faults_->throws)) throw std::runtime_error("refused");
      if (meets(faults_->exhausts)) throw std::bad_alloc();
      if (meets(faults_->drops)) return;
      if (meets(faults_->keeps_and_throws)) {
        faults_->kept.push_back([given] { std::move (*given)(); });
        given.reset();
        throw std::runtime_error("refused");
      }
    }
    net::post(io_->get_executor(), [given] {
      const auto own = given;
      std::move (*own)();
    });
  }

  friend bool operator==(const faulty_executor& a, const faulty_executor& b) noexcept {
    return a.io_ == b.io_ && a.faults_ == b.faults_;
  }
  friend bool operator!=(const faulty_executor& a, const faulty_executor& b) noexcept {
    return !(a == b);
  }

 private:
  static bool meets(int& count) { return count > 0 && count-- > 0; }

  net::io_context* io_;
  faults* faults_;
};

}  // namespace test

#endif  // ASYNC_TIMER_TESTS_SUPPORT_FAULTY_EXECUTOR_HPP
