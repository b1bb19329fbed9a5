// The reference model: what the contract says a program of calls and events comes to, in one
// thread, as plain data. It knows nothing of the library.
// The world tells it every call when it is made, and every event (a target is called, a handler
// runs, a callback, a log record) when it is seen. It accepts or complains. So it needs no opinion
// on what the contract leaves open, such as which of two timers due at one instant comes first; but
// what an event is followed by, and that nothing is left over when nothing more happens, it knows.
#ifndef ASYNC_TIMER_TESTS_MODEL_REFERENCE_HPP
#define ASYNC_TIMER_TESTS_MODEL_REFERENCE_HPP

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "model/state.hpp"

namespace model {

struct wait_numbers {
  std::optional<std::int64_t> hit_count{};
  std::optional<std::int64_t> hits{};
  std::optional<nanos> timeout{};
  bool keeps_errors = false;  ///< groups: return_exceptions
};

class reference {
 public:
  /// Is empty while all is well, else what was wrong first.
  [[nodiscard]] const std::string& complaint() const { return complaint_; }
  void complain(const std::string& text);

  [[nodiscard]] const timer_state& timer(int id) const { return timers_[index(id)]; }
  [[nodiscard]] const feed_state& feed(int id) const { return feeds_[index(id)]; }
  [[nodiscard]] const group_state& group(int id) const { return groups_[index(id)]; }
  [[nodiscard]] const operation& op(int id) const { return ops_[index(id)]; }
  [[nodiscard]] bool group_is_running(int group) const;
  /// Tells whether a run may end with nobody seeing it, so that what is asked now has two answers.
  [[nodiscard]] bool may_end_unseen(int timer) const;
  [[nodiscard]] std::string describe(int op) const;

  // --- time
  void set_now(nanos now);  ///< the beginning
  /// Time has come to an instant: nothing may be left over at those before.
  void move_to(nanos now);
  /// No handler is left to run at this instant.
  void check_nothing_left();
  /// Handlers run from now on, or no longer.
  void run_handlers(bool running) { handlers_run_ = running; }
  /// The context goes away: nothing happens any more, but for a few words to the log.
  void end_context();
  void check_end_of_context();
  [[nodiscard]] bool is_over() const { return dead_; }
  void logged_at_the_end(const record& told);

  // --- calls; `inside` is the timer whose target or callback makes the call, or -1
  int make_timer(const plan& made);
  /// Gives the error, "" for none.
  std::string start(int timer, int lane);
  void set_delay(int timer, nanos delay);
  void request_stop(int timer);
  void drop_handle(int timer);
  void fire_token(int timer);
  /// Begin an operation and give its number.
  int begin(asked what, int timer, const wait_numbers& numbers, int inside);
  int begin_cancel(int timer, int inside);
  /// Begins what a blocking form waits for that gives up at once.
  void poll_cancel(int timer) { stop(timers_[index(timer)], true); }
  void poll_trigger(int timer) { trigger(timers_[index(timer)]); }
  void emit(int op);

  int subscribe(int timer, std::int64_t maxsize);
  int begin_feed_next(int feed, int lane);
  std::int64_t drop_oldest(int feed, std::int64_t n);
  void close(int feed);

  int make_group();
  std::string add(int group, int timer);
  std::string start_group(int group);
  int begin_group(asked what, int group, const wait_numbers& numbers, int inside);
  void drop_group(int group);

  // --- events
  void called(int timer);
  void answered(int timer, const outcome& answer);  ///< value, failure, or empty for the end
  void target_cancelled(int timer);
  void completed(int op, const outcome& seen);
  void ended_unseen(int timer);
  void signals_armed(int timer);
  void signal_finished(int timer, std::int64_t failure);
  /// These three happen in the middle of something, which goes on by proceed().
  void logged(const record& told);
  void called_back(bool on_stop, int timer, std::int64_t failure);
  void slept(int timer, nanos duration);
  void proceed();
  /// Gives the timer whose end told the log, for that is inside of it; else -1.
  [[nodiscard]] int log_inside() const { return log_inside_; }

 private:
  static std::size_t index(int id) { return static_cast<std::size_t>(id); }
  int id_of(const timer_state& t) const;

  // --- the way of a run
  void stop(timer_state& t, bool interrupting);
  void trigger(timer_state& t);
  void deliver(timer_state& t, std::int64_t code);
  void plan_next(timer_state& t);
  void arm(timer_state& t);
  /// @param failure  0: the run ends normally
  void begin_end(timer_state& t, std::int64_t failure);
  void go_on_ending(timer_state& t, std::int64_t failure);
  /// The first that is seen of an end that was held back: its signals have been let go.
  void resume_end(timer_state& t);
  void finish(timer_state& t);
  bool end_is_due(const timer_state& t) const;
  void release_signals(timer_state& t);
  void signal_done(timer_state& t, std::int64_t failure);

  // --- the agenda
  void put_first(std::vector<step> steps);
  void take(const step& next);
  [[nodiscard]] static bool waits_for_event(const step& s);
  /// Gives the step that an event is to match, or null; passes over those that need not come.
  step* awaited_step(act what, int timer);
  bool pass_over(const step& s);
  void pass_over_all_but(const record& told);
  bool nothing_awaited(const char* event);

  // --- operations
  int add_op(operation op);
  [[nodiscard]] std::optional<outcome> at_once(const operation& op, const timer_state& t,
                                               bool inside, std::optional<nanos> timeout) const;
  int begin_waiter(operation op, const wait_numbers& numbers, bool inside);
  int begin_stop_waiter(operation op, bool inside);
  void claim(operation& op, outcome result);
  void complete(int op);
  void post(int op);
  void add_timeout(operation& op) const;
  void withdraw(int op, outcome result);
  bool explain(int op, const outcome& seen);
  void leave_lane(int op);
  [[nodiscard]] outcome idle_value(const operation& op, const timer_state& t) const;

  // --- feeds
  bool hand_over(feed_state& f, std::int64_t serial, std::int64_t code);
  void push(feed_state& f, std::int64_t code);
  void keep_bound(feed_state& f);
  void end(feed_state& f, std::int64_t failure);
  void tell_end(feed_state& f);
  void end_feeds(timer_state& t, std::int64_t failure);
  void tell_feeds(timer_state& t);
  void close_feeds(timer_state& t);
  void settle(operation& op);
  void settle_for_log(const record& told);

  // --- groups
  void arrive(operation& part);
  void fail(int whole, const outcome& error);
  void count_down(int whole);
  std::string start_member(int timer);

  std::string complaint_;
  nanos now_ = 0;
  bool handlers_run_ = false;
  bool dead_ = false;
  int log_inside_ = -1;
  std::deque<timer_state> timers_;
  std::deque<feed_state> feeds_;
  std::deque<group_state> groups_;
  std::deque<operation> ops_;
  std::vector<step> agenda_;  ///< the next one is the last
  std::array<std::deque<int>, 2> lanes_;
  std::uint64_t completions_ = 0;
  std::vector<record> last_words_;
  std::vector<int> open_groups_;  ///< operations of groups that wait
};

}  // namespace model

#endif  // ASYNC_TIMER_TESTS_MODEL_REFERENCE_HPP
