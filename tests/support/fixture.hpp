// What most contract tests stand on: a context in virtual time, and words to use it.
#ifndef ASYNC_TIMER_TESTS_SUPPORT_FIXTURE_HPP
#define ASYNC_TIMER_TESTS_SUPPORT_FIXTURE_HPP

#include <async_timer/async_timer.hpp>
#include <async_timer/testing.hpp>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace test {

namespace net = async_timer::net;
using namespace std::chrono_literals;

/// Tells what an exception_ptr holds: "" for none, "stopped", a timer_error's class, or what().
inline std::string kind_of(const std::exception_ptr& error) {
  if (!error) return "";
  if (async_timer::is_stopped(error)) return "stopped";
  try {
    std::rethrow_exception(error);
  } catch (const async_timer::timer_already_running_error&) {
    return "already_running";
  } catch (const async_timer::timer_not_running_error&) {
    return "not_running";
  } catch (const async_timer::timer_restart_error&) {
    return "restart";
  } catch (const async_timer::threadsafe_dispatch_error&) {
    return "dispatch";
  } catch (const async_timer::timeout_error&) {
    return "timeout";
  } catch (const async_timer::self_wait_error&) {
    return "self_wait";
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "unknown";
  }
}

/// Gives the text of the error that an exception_ptr holds, or "".
inline std::string message_of(const std::exception_ptr& error) {
  try {
    if (error) std::rethrow_exception(error);
    return "";
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "unknown";
  }
}

/// Gives the kind of what a call throws, or "".
template <class Call>
std::string thrown_by(Call&& call) {
  try {
    call();
    return "";
  } catch (...) {
    return kind_of(std::current_exception());
  }
}

/// Is a target.
inline constexpr auto answer = [] { return 42; };

/// Is the outcome of one operation, filled by the handler made with into().
template <class T>
struct outcome {
  int completions = 0;
  std::exception_ptr error;
  std::optional<T> value;

  [[nodiscard]] bool done() const { return completions > 0; }
  [[nodiscard]] std::string kind() const { return kind_of(error); }
};

/// Is a completion handler that stores what it gets; count completions with `completions`.
template <class T>
auto into(outcome<T>& result) {
  return [&result](std::exception_ptr error, T value) {
    ++result.completions;
    result.error = std::move(error);
    result.value = std::move(value);
  };
}
inline auto into(outcome<void*>& result) {
  return [&result](std::exception_ptr error) {
    ++result.completions;
    result.error = std::move(error);
  };
}
/// Is the outcome of an operation without a value.
using no_value = outcome<void*>;

/// Collects log records instead of printing them; brings the default sink back at its end.
class log_recorder {
 public:
  struct record {
    async_timer::log_level level;
    std::string logger;
    std::string event;
    std::string message;
    std::vector<std::pair<std::string, std::string>> fields;

    [[nodiscard]] std::string field(const std::string& key) const {
      for (const auto& [name, value] : fields)
        if (name == key) return value;
      return "<no field " + key + ">";
    }
  };

  log_recorder() {
    async_timer::set_log_sink([records = records_](const async_timer::log_record& r) {
      record copy{r.level, std::string(r.logger), std::string(r.event), std::string(r.message), {}};
      for (const auto& f : r.fields) copy.fields.emplace_back(std::string(f.key), f.value);
      records->push_back(std::move(copy));
    });
  }
  ~log_recorder() { async_timer::set_log_sink({}); }
  log_recorder(const log_recorder&) = delete;
  log_recorder& operator=(const log_recorder&) = delete;

  [[nodiscard]] const std::vector<record>& records() const { return *records_; }

 private:
  std::shared_ptr<std::vector<record>> records_ = std::make_shared<std::vector<record>>();
};

/// Is a single-threaded context whose timers live in virtual time; a doctest fixture.
class virtual_context {
 public:
  net::io_context io{1};
  async_timer::virtual_clock clock{io};

  /// Runs a coroutine from the beginning as far as it comes; fails the test if it throws.
  template <class Coroutine>
  void spawn(Coroutine&& coroutine) {
    net::co_spawn(io, std::forward<Coroutine>(coroutine), [](std::exception_ptr error) {
      if (error) std::rethrow_exception(error);
    });
    clock.run_until_idle();
  }

  /// Tells how far virtual time is from where it was at the beginning.
  [[nodiscard]] std::chrono::nanoseconds elapsed() const { return clock.now() - begin_; }

  /// Tells whether the context has nothing left to wait for: run() would return by itself.
  [[nodiscard]] bool out_of_work() {
    clock.run_until_idle();
    return io.stopped();
  }

 private:
  async_timer::virtual_clock::time_point begin_ = clock.now();
};

}  // namespace test

#endif  // ASYNC_TIMER_TESTS_SUPPORT_FIXTURE_HPP
