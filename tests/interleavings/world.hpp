// What scenarios of interleavings stand on: a context in virtual time, run by threads of the
// scenario, and a book of all operations.
#ifndef ASYNC_TIMER_TESTS_INTERLEAVINGS_WORLD_HPP
#define ASYNC_TIMER_TESTS_INTERLEAVINGS_WORLD_HPP

#include <async_timer/async_timer.hpp>
#include <async_timer/testing.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "interleavings/explorer/explorer.hpp"
#include "support/fixture.hpp"

namespace test {

using interleaving::execution;
using interleaving::explore;
using interleaving::stage;

/// Is for scenarios of many steps, where two preemptions are too many to go through.
inline constexpr interleaving::bounds one_preemption{.preemptions = 1, .random = 1500};

/// Explores a scenario that has too many interleavings of two preemptions to go through: as many of
/// them as the bounds allow, and then all of one.
inline void explore_long(const std::string& name, const interleaving::bounds& two,
                         const interleaving::bounds& one, const interleaving::scenario& what) {
  explore(name, two, what);
  explore(name + ", one preemption", one, what);
}

/// Is how one operation ended.
struct entry {
  std::string name;
  int completions = 0;
  int dropped = 0;  ///< its handler was destroyed unrun
  std::exception_ptr error;
  std::optional<int> value;
  std::function<void()> then;

  [[nodiscard]] std::string kind() const { return kind_of(error); }
  /// Is "" for an outcome without error and value, the value, or the kind of error.
  [[nodiscard]] std::string text() const {
    if (error) return kind();
    return value ? std::to_string(*value) : "";
  }
  [[nodiscard]] bool ended() const { return completions > 0; }
};

/// Notes all operations, and what must hold for each: it completes once.
class book {
 public:
  /// Makes a completion handler of any signature; move-only, and it tells if it is destroyed unrun.
  auto handler(const std::string& name, std::function<void()> then = {}) {
    auto& mine = entries_.emplace_back();
    mine.name = name;
    mine.then = std::move(then);
    return note(mine);
  }
  [[nodiscard]] const entry& operator[](const std::string& name) const {
    for (const auto& each : entries_)
      if (each.name == name) return each;
    throw std::logic_error("no operation " + name);
  }

  /// Says which operations were completed never or several times.
  void expect_each_once(execution& run) const {
    for (const auto& each : entries_) {
      run.expect_equal(each.completions, 1, "completions of " + each.name);
      run.expect_equal(each.dropped, 0, "dropped handlers of " + each.name);
    }
  }
  /// As above, for operations whose context may go away: a dropped handler is an end, too.
  void expect_each_ended_once(execution& run) const {
    for (const auto& each : entries_) {
      run.expect_equal(each.completions + each.dropped, 1, "ends of " + each.name);
    }
  }

 private:
  class note {
   public:
    explicit note(entry& of) : of_(&of) {}
    note(note&& other) noexcept : of_(std::exchange(other.of_, nullptr)) {}
    note& operator=(note&&) = delete;
    ~note() {
      if (of_ != nullptr) ++of_->dropped;
    }
    void operator()(std::exception_ptr error) { done(std::move(error), std::nullopt); }
    void operator()(std::exception_ptr error, int value) {
      const bool failed = error != nullptr;
      done(std::move(error), failed ? std::nullopt : std::optional(value));
    }
    void operator()(std::exception_ptr error, std::optional<int> value) {
      done(std::move(error), value);
    }
    template <class Other>
    void operator()(std::exception_ptr error, const Other&) {
      done(std::move(error), std::nullopt);
    }

   private:
    void done(std::exception_ptr error, std::optional<int> value) {
      entry& mine = *std::exchange(of_, nullptr);
      ++mine.completions;
      mine.error = std::move(error);
      mine.value = value;
      if (mine.then) mine.then();
    }
    entry* of_;
  };

  std::deque<entry> entries_;
};

/// Is what the callbacks and the target of a timer<int> were told; outlives the timer.
struct story {
  int ticks = 0;   ///< the n-th tick has the value n
  int starts = 0;  ///< to be counted by who starts
  int stops = 0;
  int failures = 0;
  std::shared_ptr<int> captured = std::make_shared<int>(0);

  /// Makes the options that tell it; with a copy of `captured`.
  [[nodiscard]] async_timer::timer_options options() {
    async_timer::timer_options made;
    made.on_stop = [this, c = captured] { ++stops; };
    made.on_error = [this, c = captured](async_timer::timer_ref, std::exception_ptr) {
      ++failures;
    };
    return made;
  }
  /// Makes the target.
  [[nodiscard]] auto target() {
    return [this, c = captured] { return ++ticks; };
  }
  /// Makes a target that suspends once, and is a tick if it is not interrupted there.
  [[nodiscard]] auto suspending_target() {
    return [this, c = captured]() -> net::awaitable<int> {
      auto hop = net::post(net::use_awaitable);
      co_await std::move(hop);
      co_return ++ticks;
    };
  }
  /// Starts a timer, unless it runs.
  template <class Timer>
  bool start(Timer& t) {
    try {
      t.start();
      ++starts;
      return true;
    } catch (const async_timer::timer_already_running_error&) {
      return false;
    }
  }
  [[nodiscard]] bool is_released() const { return captured.use_count() == 1; }

  void expect_all_over(execution& run) const {
    run.expect_equal(stops, starts, "on_stop calls");
    run.expect(is_released(), "what the timer captured is not released");
  }
};

/// Is a context in virtual time that actors run.
class world {
 public:
  /// @param threads  how many actors run it
  explicit world(execution& run, int threads = 1) : io(threads), run_(run) {
    static const auto quiet = async_timer::set_log_sink([](const async_timer::log_record&) {});
  }

  /// Is the body of an actor that runs the context until nobody has anything for it any more.
  void serve() {
    do {
      poll();
    } while (stage::rest());
  }
  /// As above, and lets a second pass so many times before, whatever others are at.
  void serve_for(int seconds) {
    for (; seconds > 0; --seconds) {
      poll();
      jump(1s);
    }
    serve();
  }
  /// Moves time in one step; unlike the clock's own advance() whoever else runs the context.
  void jump(std::chrono::nanoseconds by) { scheduler_->set_virtual_now(clock.now() + by); }
  /// Runs what is ready.
  void poll() {
    while (stage::poll([this] { return io.poll_one(); }) != 0) {
    }
  }
  /// Lets the rest run, and checks that nothing is pending then.
  void finish() {
    work_.reset();
    clock.run_until_idle();
    run_.expect(io.stopped(), "the context has work left");
  }

  /// Is a context that may be shut down while others use it: its memory stays.
  class context : public net::io_context {
   public:
    using net::execution_context::shutdown;
    using net::io_context::io_context;
  };
  context io;
  async_timer::virtual_clock clock{io};

 private:
  execution& run_;
  std::shared_ptr<async_timer::detail::scheduler> scheduler_ =
      async_timer::detail::scheduler_service::of(io.get_executor());
  std::optional<net::executor_work_guard<net::io_context::executor_type>> work_{io.get_executor()};
};

/// Is a world with one timer: its n-th tick has the value n, one a second.
struct one_timer {
  explicit one_timer(execution& run, int threads = 1) : w(run, threads), t(make({})) {}
  one_timer(execution& run, async_timer::mode mode, int threads = 1)
      : w(run, threads), t(make(mode)) {}

  /// Starts, and lets the first tick pass.
  void start_sleeping() {
    told.start(t.value());
    w.clock.run_until_idle();
  }
  /// Stops, and checks that all is over.
  void end(execution& run) {
    if (t) t->cancel(done.handler("last cancel"));
    w.finish();
    if (t) {
      run.expect(!t->is_running(), "it runs after cancel");
      run.expect_equal(t->hit_count(), std::int64_t{told.ticks}, "hit_count");
    }
    t.reset();
    done.expect_each_once(run);
    told.expect_all_over(run);
  }

  story told;
  book done;
  world w;
  std::optional<async_timer::timer<int>> t;

 private:
  async_timer::timer<int> make(async_timer::mode mode) {
    auto options = told.options();
    options.mode = mode;
    return {w.io, 1s, told.target(), std::move(options)};
  }
};

}  // namespace test

#endif  // ASYNC_TIMER_TESTS_INTERLEAVINGS_WORLD_HPP
