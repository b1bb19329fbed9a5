// Timers and feeds of the library behind one interface, whatever their value type, and the handler
// that tells the world what came.
#ifndef ASYNC_TIMER_TESTS_MODEL_ANY_TIMER_HPP
#define ASYNC_TIMER_TESTS_MODEL_ANY_TIMER_HPP

#include <async_timer/async_timer.hpp>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "model/command.hpp"
#include "model/host.hpp"
#include "model/state.hpp"

namespace model {

/// Makes the value of a code, too long to be kept in place where it is a string.
template <class T>
T value_of(std::int64_t code) {
  if constexpr (std::is_same_v<T, std::string>) {
    return "the value with the number " + std::to_string(code);
  } else {
    return static_cast<T>(code);
  }
}
inline std::int64_t code_of(std::int64_t value) { return value; }
inline std::int64_t code_of(std::monostate) { return 0; }
inline std::int64_t code_of(const std::string& value) {
  return value.empty() ? -1 : std::stoll(value.substr(value.rfind(' ')));
}
template <class T>
std::int64_t code_of(const std::shared_ptr<const T>& value) {
  return value ? code_of(*value) : -1;
}

/// Is thrown by targets, signals and callbacks.
struct failure : std::runtime_error {
  explicit failure(std::int64_t number)
      : std::runtime_error("failure " + std::to_string(number)), code(number) {}
  std::int64_t code;
};

struct op_handler {
  using cancellation_slot_type = net::cancellation_slot;

  host* owner;
  int op;
  net::cancellation_slot slot;
  live_token alive;

  [[nodiscard]] cancellation_slot_type get_cancellation_slot() const noexcept { return slot; }

  void operator()(std::exception_ptr error) const { tell(error, {ending::value}); }
  template <class V>
  void operator()(std::exception_ptr error, const V& value) const {
    tell(error, {ending::value, error ? 0 : code_of(value)});
  }
  template <class V>
  void operator()(std::exception_ptr error, const std::optional<V>& value) const {
    tell(error, value ? outcome{error ? ending::odd : ending::value, code_of(*value)} : outcome{});
  }
  void operator()(std::exception_ptr error,
                  const std::vector<async_timer::group_result>& results) const;

 private:
  void tell(const std::exception_ptr& error, const outcome& seen) const;
};

class any_feed {
 public:
  any_feed() = default;
  any_feed(const any_feed&) = delete;
  any_feed& operator=(const any_feed&) = delete;
  virtual ~any_feed() = default;
  virtual void next(op_handler handler) = 0;
  virtual std::int64_t drop_oldest(std::int64_t n) = 0;
  virtual void close() = 0;
  [[nodiscard]] virtual bool closed() const = 0;
  virtual void renew() = 0;
  /// Gives what differs from the model, empty if nothing does.
  [[nodiscard]] virtual std::string differs(const feed_state& f) const = 0;
};

class any_timer {
 public:
  any_timer() = default;
  any_timer(const any_timer&) = delete;
  any_timer& operator=(const any_timer&) = delete;
  virtual ~any_timer() = default;
  virtual void start(const net::any_io_executor& where) = 0;
  virtual void request_stop() = 0;
  virtual void set_delay(async_timer::interval delay) = 0;
  virtual void renew() = 0;
  /// Moves another one here; false, and nothing is done, if it is of another type.
  virtual bool assign(any_timer& other) = 0;
  virtual void add_to(async_timer::timer_group& group) = 0;
  virtual void join(op_handler handler) = 0;
  virtual void next(op_handler handler) = 0;
  virtual void wait(async_timer::wait_options options, op_handler handler) = 0;
  virtual void trigger(op_handler handler) = 0;
  virtual void cancel(op_handler handler) = 0;
  virtual void poll_cancel() = 0;
  virtual void poll_trigger() = 0;
  virtual std::unique_ptr<any_feed> subscribe(const async_timer::subscription_options& options,
                                              bool shared) = 0;
  [[nodiscard]] virtual async_timer::timer_ref ref() const = 0;
  [[nodiscard]] virtual std::string differs(const timer_state& t) const = 0;
};

/// Makes a timer of a shape, whose target asks the world what to do.
std::unique_ptr<any_timer> make_any_timer(shape kind, host& owner, int id,
                                          const net::any_io_executor& executor,
                                          async_timer::interval delay,
                                          async_timer::timer_options options);

/// Gives the value of a group's outcome for a timer of a shape.
std::optional<std::int64_t> code_of(shape kind, const async_timer::group_outcome& value);

[[nodiscard]] std::int64_t code_of_failure(const std::exception_ptr& error);

inline nanos count_of(std::chrono::steady_clock::time_point at) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count();
}

}  // namespace model

#endif  // ASYNC_TIMER_TESTS_MODEL_ANY_TIMER_HPP
