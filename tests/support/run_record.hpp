// Callbacks that count: what a run told on_error and on_stop.
#ifndef ASYNC_TIMER_TESTS_SUPPORT_RUN_RECORD_HPP
#define ASYNC_TIMER_TESTS_SUPPORT_RUN_RECORD_HPP

#include <async_timer/async_timer.hpp>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "support/fixture.hpp"

namespace test {

/// Collects what the callbacks of a timer are told; outlives the timer.
struct run_record {
  int stops = 0;
  std::vector<std::exception_ptr> failures;

  [[nodiscard]] std::string failure() const {
    return failures.empty() ? "" : kind_of(failures.back());
  }

  /// Makes options with both callbacks, for a timer whose other options are the defaults.
  [[nodiscard]] async_timer::timer_options options() {
    async_timer::timer_options made;
    made.on_error = [this](async_timer::timer_ref, std::exception_ptr failure) {
      failures.push_back(std::move(failure));
    };
    made.on_stop = [this] { ++stops; };
    return made;
  }
};

}  // namespace test

#endif  // ASYNC_TIMER_TESTS_SUPPORT_RUN_RECORD_HPP
