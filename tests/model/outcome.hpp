// The words that the model and the world have in common: times, outcomes, log records.
#ifndef ASYNC_TIMER_TESTS_MODEL_OUTCOME_HPP
#define ASYNC_TIMER_TESTS_MODEL_OUTCOME_HPP

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace model {

/// Is an instant of virtual time, or a duration, in nanoseconds.
using nanos = std::int64_t;
inline constexpr nanos never = std::numeric_limits<nanos>::max();

/// Is wide enough for all sums and products of times.
__extension__ typedef __int128 wide;

/// Adds, and stops at the ends of time.
inline nanos later(nanos at, nanos by) {
  const auto sum = static_cast<wide>(at) + by;
  if (sum > never) return never;
  if (sum < std::numeric_limits<nanos>::min()) return std::numeric_limits<nanos>::min();
  return static_cast<nanos>(sum);
}

/// Is how an operation ended.
enum class ending : unsigned char {
  value,  ///< also "nothing" where there is nothing to tell but success
  empty,
  stopped,
  not_running,
  timeout,
  self_wait,
  failure,
  list,  ///< a group's
  odd    ///< what must never come
};

struct outcome {
  ending how = ending::empty;
  std::int64_t code = 0;        ///< which value, or which failure
  std::vector<outcome> list{};  ///< one for each member of a group
};
inline bool operator==(const outcome& a, const outcome& b) {
  return a.how == b.how && a.code == b.code && a.list == b.list;
}

inline bool is_error(const outcome& o) {
  return o.how != ending::value && o.how != ending::empty && o.how != ending::list;
}

/// Is the failure of a target that raises the cancellation by itself; others are positive.
inline constexpr std::int64_t aborted = -1;
/// Is what who waits sees of a failure.
inline outcome failed_with(std::int64_t failure) {
  return failure == aborted ? outcome{ending::stopped} : outcome{ending::failure, failure};
}

inline std::string to_string(const outcome& o) {
  static const char* const names[] = {"value",     "empty",   "stopped", "not_running", "timeout",
                                      "self_wait", "failure", "list",    "odd"};
  std::string text = names[static_cast<int>(o.how)];
  if (o.how == ending::value || o.how == ending::failure) text += " " + std::to_string(o.code);
  if (o.how == ending::list) {
    text += "[";
    for (const auto& each : o.list) text += (text.back() == '[' ? "" : ", ") + to_string(each);
    text += "]";
  }
  return text;
}

/// Is what the log is told: the event's tag, the name of the timer or feed, and what else matters.
struct record {
  std::string event;
  std::string name;
  std::string detail;
  friend bool operator==(const record&, const record&) = default;
};
inline std::string to_string(const record& r) {
  return r.event + " of '" + r.name + "' (" + r.detail + ")";
}

}  // namespace model

#endif  // ASYNC_TIMER_TESTS_MODEL_OUTCOME_HPP
