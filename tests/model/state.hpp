// The plain data of the reference model.
#ifndef ASYNC_TIMER_TESTS_MODEL_STATE_HPP
#define ASYNC_TIMER_TESTS_MODEL_STATE_HPP

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "model/cadence.hpp"
#include "model/outcome.hpp"

namespace model {

enum class asked : unsigned char {
  join,
  next,
  count,
  idle,
  trigger,
  cancel,
  feed_next,
  group_wait,
  group_trigger,
  group_cancel,
  end_signal  ///< the end of one timer, as a stop signal of another
};

/// Is how far an operation is. Who claims it decides how it ends; posted, its handler may be
/// called.
enum class progress : unsigned char { waiting, claimed, posted, done };

struct operation {
  asked what = asked::join;
  int number = -1;
  int timer = -1;
  int feed = -1;
  int watcher = -1;  ///< whose stop signal it is
  int lane = 0;
  std::int64_t goal = 0;
  nanos deadline = never;

  progress at = progress::waiting;
  outcome result{};
  std::vector<outcome> also_right{};  ///< where two causes meet at one instant
  bool anywhen = false;               ///< its place among the completions is not known
  std::uint64_t serial = 0;           ///< of its completion

  std::int64_t value_serial = 0;  ///< feeds: where the value goes if it is not taken
  bool is_cancelled = false;      ///< feeds: after the value was handed over

  int whole = -1;  ///< the group's operation that it is a part of
  std::size_t place = 0;
  std::vector<int> parts{};
  std::size_t missing = 0;
  std::optional<outcome> error{};
  bool keeps_errors = false;

  /// Tells whether a value was handed over that is to go back, since nobody takes it any more.
  [[nodiscard]] bool gives_back() const {
    return what == asked::feed_next && is_cancelled && result.how == ending::value;
  }
};

/// Is what a timer was made with.
struct plan {
  std::string name;
  nanos delay = 0;
  nanos initial_delay = 0;
  double jitter = 0;
  bool fixed_rate = false;
  bool is_async = false;
  bool is_generator = false;  ///< an object, which once ended is dead for good
  bool notes_sleeps = false;  ///< a mock timer
  bool has_on_error = false;
  bool on_error_throws = false;
  bool has_on_stop = false;  ///< without it nobody sees the moment at which a run ends
  bool on_stop_throws = false;
  int lane = 0;
  bool has_signals = false;
  int signal_source = -1;  ///< the timer whose end is one of them
};

enum class phase : unsigned char { stopped, sleeping, in_flight, settling, ending };

/// Is how far the stop signals of a run are.
enum class watch : unsigned char { none, not_armed, armed, released };

struct timer_state {
  plan made;
  nanos delay = 0;
  phase at = phase::stopped;
  bool ever_started = false;
  bool handle_gone = false;
  bool stop_requested = false;
  bool interrupting = false;
  bool late_call = false;  ///< the stop came when the tick was due: it may be in flight already
  bool must_react = false;
  bool triggered = false;  ///< while it is neither asleep nor in flight
  bool generator_dead = false;
  bool sleep_noted = false;  ///< of the initial delay
  watch signals = watch::none;
  bool token_fired = false;
  cadence due;

  std::int64_t hit_count = 0;
  std::int64_t last_code = 0;
  nanos last_tick_at = 0;
  std::int64_t failure_count = 0;
  std::int64_t last_failure = 0;
  nanos last_failure_at = 0;
  std::int64_t sticky_failure = 0;
  bool is_held_back = false;  ///< its end waits until its stop signals have been let go
  std::int64_t held_failure = 0;
  std::vector<outcome> lasts_of_instant;  ///< the last value before this instant, and those of it

  std::vector<int> waiters;
  std::vector<int> claimed;
  std::vector<int> stop_waiters;
  std::vector<int> feeds;
  std::vector<int> ended_feeds;  ///< whose consumers are to hear of it at the end of the run

  std::uint64_t completions_at_last_call = 0;
  std::uint64_t completions_at_call_before = 0;

  [[nodiscard]] bool is_running() const {
    return at != phase::stopped && at != phase::ending && !stop_requested;
  }
};

struct feed_state {
  struct entry {
    std::int64_t serial;
    std::int64_t code;
  };
  int timer = -1;
  std::string name;
  std::int64_t maxsize = 0;
  std::deque<entry> values;
  std::vector<int> waiters;
  std::int64_t next_serial = 0;
  std::int64_t dropped = 0;
  std::int64_t failure = 0;  ///< still to be told
  bool ended = false;
  bool told = false;  ///< consumers know of the end
};

struct group_state {
  std::vector<int> members;
  bool active = false;
};

/// Is what happens with no other code in between, but for callbacks and the log.
enum class act : unsigned char {
  fill,       ///< a feed with the value of a tick
  plan_next,  ///< when is the next tick?
  tell_skip,  ///< the log, of missed slots
  tell_sleep,
  arm,
  end_feeds,
  tell_log,
  call_on_error,
  call_on_stop,
  tell_feeds,
  finish,
  complete,
  stop_gracefully
};
struct step {
  act what = act::finish;
  int timer = -1;
  int subject = -1;  ///< a feed, an operation
  std::int64_t code = 0;
  record told{};
  bool need_not_come = false;
};

}  // namespace model

#endif  // ASYNC_TIMER_TESTS_MODEL_STATE_HPP
