// A program for the model and the library: a list of commands, each a few small numbers, so that it
// can be made from a seed or from any bytes, shrunk, printed, and pasted as a test.
#ifndef ASYNC_TIMER_TESTS_MODEL_COMMAND_HPP
#define ASYNC_TIMER_TESTS_MODEL_COMMAND_HPP

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/outcome.hpp"

namespace model {

inline constexpr int timer_places = 4;
inline constexpr int feed_places = 4;
inline constexpr int group_places = 2;

/// What a command whose place is empty is to do, it leaves undone.
enum class verb : unsigned char {
  make,       ///< timer `who`: a = shape, b = delay, c = initial delay, d = flags
  start,      ///< a = lane, for those that take an executor
  stop,       ///< request_stop
  cancel,     ///< here and below: a != 0 with a cancellation slot
  set_delay,  ///< a = delay
  drop,       ///< destroys the handle
  renew,      ///< moves the handle away and back
  assign,     ///< a = the place that is moved into `who`
  join,
  next,
  wait,  ///< a = hit_count, b = hits, c = timeout, each may be `absent`; d != 0 with a slot
  trigger,
  emit,       ///< cancels the a-th youngest operation with a slot
  behave,     ///< the next b calls of the target do a, and c if they are cancelled
  open,       ///< the suspended target goes on and does a
  token,      ///< the stop_token of `who`
  signal,     ///< another stop signal of `who`; a != 0: it fails
  subscribe,  ///< feed place a, b = maxsize, c != 0 subscribe_shared
  take,       ///< feed `who`: next()
  drop_oldest,
  close,
  drop_feed,
  renew_feed,
  make_group,  ///< group `who`
  add,         ///< a = the timer's place
  start_group,
  group_wait,  ///< as wait; d = 1: return_exceptions
  group_trigger,
  cancel_all,
  drop_group,
  renew_group,
  advance,       ///< a = nanoseconds
  advance_next,  ///< to the next instant
  drain,         ///< all that is ready
  poll_cancel,   ///< cancel_threadsafe(0)
  poll_trigger,
  finish  ///< how the program ends, see ending_kinds
};
inline constexpr std::array<std::string_view, 37> verb_names{
    "make",        "start",       "stop",         "cancel",        "set_delay",   "drop",
    "renew",       "assign",      "join",         "next",          "wait",        "trigger",
    "emit",        "behave",      "open",         "token",         "signal",      "subscribe",
    "take",        "drop_oldest", "close",        "drop_feed",     "renew_feed",  "make_group",
    "add",         "start_group", "group_wait",   "group_trigger", "cancel_all",  "drop_group",
    "renew_group", "advance",     "advance_next", "drain",         "poll_cancel", "poll_trigger",
    "finish"};

/// When a command is carried out: at once, or by the next event of that kind of the timer `host`.
enum class moment : unsigned char { now, call, on_error, on_stop, completion, log, sleep };
inline constexpr std::array<std::string_view, 7> moment_names{
    "now", "call", "on_error", "on_stop", "completion", "log", "sleep"};

/// Targets that answer at once take `suspend` for `value`; the last one is for coroutines only.
enum class reply : unsigned char { value, fail, abort, end, suspend, cancel_self };
/// What a suspended target does when it is cancelled.
enum class reaction : unsigned char { abort, value, fail, end, shield };

enum class shape : unsigned char {
  plain_int,
  plain_void,
  plain_text,
  awaitable_int,
  awaitable_void,
  awaitable_text,
  range_int,            ///< a generator object
  makes_range_text,     ///< a function that returns one
  async_generator_int,  ///< an object with next() -> awaitable<optional<int>>
  makes_async_generator_int,
  mock_int,  ///< a mock_timer, with a plain target
  every_int  ///< made by every(), with a plain target
};
inline constexpr int shape_count = 12;

namespace flag {  // of `make`
inline constexpr std::int64_t fixed_rate = 1;
inline constexpr std::int64_t jitter = 2;  ///< two bits: 0, 0.1, 0.5, 1
inline constexpr std::int64_t on_error = 8;
inline constexpr std::int64_t on_error_throws = 16;
inline constexpr std::int64_t no_on_stop = 32;
inline constexpr std::int64_t on_stop_throws = 64;
inline constexpr std::int64_t on_strand = 128;
inline constexpr std::int64_t signals = 256;
inline constexpr std::int64_t source = 512;  ///< three bits: the place, counted from 1, of the
                                             ///< timer whose end is a signal, too
inline constexpr std::int64_t start = 4096;
}  // namespace flag

/// What stands for a number that is left out, and for durations that are none.
inline constexpr std::int64_t absent = -99;
inline constexpr std::int64_t not_a_number = -2;
inline constexpr std::int64_t infinite = -3;
inline constexpr std::int64_t minus_infinite = -4;
inline constexpr std::int64_t longest = -5;

/// How a program ends: by stopping all, by dropping all handles, or with the context, which is
/// destroyed before the handles or after them.
inline constexpr int finish_stop = 0;
inline constexpr int finish_drop = 1;
inline constexpr int finish_context = 2;
inline constexpr int finish_handles_then_context = 3;

struct command {
  verb what = verb::drain;
  int who = 0;
  std::int64_t a = 0;
  std::int64_t b = 0;
  std::int64_t c = 0;
  std::int64_t d = 0;
  moment when = moment::now;
  int host = 0;

  friend bool operator==(const command&, const command&) = default;
};
using program = std::vector<command>;

/// Gives the C++ text of a command, of a program.
std::string to_string(const command& c);
std::string to_string(const program& p);

}  // namespace model

#endif  // ASYNC_TIMER_TESTS_MODEL_COMMAND_HPP
