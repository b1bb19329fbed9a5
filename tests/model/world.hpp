// The world in which a program runs: the library in virtual time, and the model beside it.
// Each call is made to both, each event of the library is told to the model; what can be read is
// compared.
#ifndef ASYNC_TIMER_TESTS_MODEL_WORLD_HPP
#define ASYNC_TIMER_TESTS_MODEL_WORLD_HPP

#include <array>
#include <async_timer/async_timer.hpp>
#include <async_timer/testing.hpp>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "model/any_timer.hpp"
#include "model/command.hpp"
#include "model/reference.hpp"

namespace model {

/// Is a stop signal that the program fires; its handler, type-erased.
class held_signal {
 public:
  held_signal() = default;
  held_signal(const held_signal&) = delete;
  held_signal& operator=(const held_signal&) = delete;
  virtual ~held_signal() = default;
  virtual void finish(std::exception_ptr error) = 0;
};

class world final : public host {
 public:
  explicit world(std::uint64_t seed);
  world(const world&) = delete;
  world& operator=(const world&) = delete;
  ~world() override;

  /// Runs a program to its end, or until something is wrong.
  void run(const program& commands);

  [[nodiscard]] const std::string& complaint() const { return model_.complaint(); }
  [[nodiscard]] std::uint64_t trace() const { return trace_; }
  [[nodiscard]] std::int64_t operations() const { return operations_; }
  [[nodiscard]] std::int64_t ticks() const { return total_calls_; }

  // --- host
  answer called(int timer, bool inside) override;
  void answers(int timer, answer& chosen) override;
  std::optional<answer> cancelled(int timer, reaction how) override;
  void hold(int timer, gate* held) override { info(timer).held = held; }
  void cancels_itself(int timer) override { model_.poll_cancel(timer); }
  async_timer::timer_ref ref(int timer) override { return *info(timer).ref; }
  live_token token_of(int timer) override { return live_token(info(timer).alive); }
  void slept(int timer, std::chrono::nanoseconds duration) override;
  void completed(int op, const std::exception_ptr& error, const outcome& seen) override;
  outcome list_of(int op, const std::vector<async_timer::group_result>& results) override;

  // --- called by callbacks, the log and stop signals
  void called_back(bool on_stop, int timer, const async_timer::timer_ref& ref,
                   const std::exception_ptr& error);
  void logged(const async_timer::log_record& told);
  void signal_began(int timer, std::unique_ptr<held_signal> signal);
  void signal_finished(int timer, const std::exception_ptr& error);
  void cancel_signal(int timer);

 private:
  /// Is what the world knows of a timer that was made, whatever became of its handle.
  struct timer_info {
    int place = 0;
    shape kind = shape::plain_int;
    int alive = 0;  ///< copies of the target
    std::int64_t calls = 0;
    nanos instant = 0;
    int calls_at_instant = 0;
    std::deque<answer> behaviour;
    gate* held = nullptr;
    std::optional<async_timer::timer_ref> ref;
    std::stop_source stop;
    std::unique_ptr<held_signal> signal;
    std::optional<std::exception_ptr> fired;  ///< the signal finished before it was begun
    int group = -1;
    bool has_executor = true;
  };
  struct timer_place {
    int id = -1;
    std::unique_ptr<any_timer> handle;
  };
  struct feed_place {
    int id = -1;
    std::unique_ptr<any_feed> handle;
  };
  struct group_place {
    int id = -1;
    std::optional<async_timer::timer_group> handle;
  };
  struct pending {
    int op;
    std::unique_ptr<net::cancellation_signal> signal;
  };

  void carry_out(const command& c, int inside);
  void carry_out_on_timer(const command& c, int inside);
  void carry_out_wait(const command& c, int inside);
  void carry_out_on_feed(const command& c);
  void carry_out_on_group(const command& c, int inside);
  void carry_out_in_time(const command& c);
  void at_moment(moment when, int timer, int inside);
  /// Tells of what the model can't know yet.
  [[nodiscard]] bool has_ended_unseen(int feed) const;

  void make(const command& c);
  plan plan_of(const command& c, int id);
  async_timer::timer_options options_of(const command& c, int id, bool starts);
  async_timer::stop_signals signals_of(int id, int source);
  void drop(timer_place& place);
  void drop(group_place& place);
  void assign(timer_place& to, const command& c);
  void fire(int timer, const command& c);
  void subscribe(const command& c);
  void emit(const command& c);
  void open(timer_info& t, const command& c);
  void poll(const command& c);
  void add(group_place& g, timer_place& t);
  void group_wait(const command& c, group_place& g, int inside);
  void finish(int how);
  void stop_all();
  void drop_all();
  void end_context_first();
  void end_context();

  /// Calls a function and gives the kind of what it throws, "" for nothing.
  template <class Function>
  std::string error_of(Function&& function);
  /// Calls the library, which must not call back.
  template <class Function>
  void quietly(Function&& function);
  void expect(const std::string& seen, const std::string& wanted, const char* what);
  op_handler handler(int op, bool with_slot);
  [[nodiscard]] bool may_begin(const timer_place& place);
  void event(std::int64_t kind, std::int64_t a, std::int64_t b = 0);
  void compare();
  void compare_at_rest();
  [[nodiscard]] nanos now() const { return clock_->now().time_since_epoch().count(); }
  [[nodiscard]] net::any_io_executor executor(int lane);
  [[nodiscard]] timer_info& info(int id) { return timers_[static_cast<std::size_t>(id)]; }
  [[nodiscard]] bool is_well() const { return model_.complaint().empty(); }
  answer choose(timer_info& t, int id);
  outcome outcome_of(const std::exception_ptr& error);
  std::int64_t outcome_code(int timer);

  reference model_;
  std::optional<net::io_context> io_;
  std::optional<async_timer::virtual_clock> clock_;
  std::optional<net::strand<net::io_context::executor_type>> strand_;

  std::deque<timer_info> timers_;
  std::array<timer_place, timer_places> places_;
  std::array<feed_place, feed_places> feeds_;
  std::array<group_place, group_places> groups_;
  std::vector<pending> signals_;  ///< of operations with a cancellation slot
  std::map<std::pair<int, moment>, std::deque<command>> hosted_;

  int live_handlers_ = 0;
  int calls_in_library_ = 0;
  bool in_handlers_ = false;
  std::int64_t total_calls_ = 0;
  std::int64_t failures_ = 0;
  std::exception_ptr known_stop_;
  std::uint64_t trace_ = 1469598103934665603u;
  std::int64_t operations_ = 0;
};

}  // namespace model

#endif  // ASYNC_TIMER_TESTS_MODEL_WORLD_HPP
