// The end of an execution context, while other threads use what lives longer: handles, threads that
// wait, feeds. Posting to a context that is destroyed is nobody's right, so handlers wait already.
#include <doctest/doctest.h>

#include <async_timer/base/schedule_point.hpp>
#include <atomic>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include "interleavings/world.hpp"
#include "support/arena.hpp"
#include "support/telling_executor.hpp"
#include "support/tokens.hpp"

using namespace test;

namespace {

/// Is a timer that sleeps, in a context that is shut down while others use the timer.
struct doomed {
  explicit doomed(execution& run, bool suspends = false) : w(std::in_place, run) {
    if (suspends) {
      t.emplace(w->io, 1s, told.suspending_target(), told.options());
    } else {
      t.emplace(w->io, 1s, told.target(), told.options());
    }
    told.start(*t);
    w->clock.run_until_idle();
  }
  void shut_down() { w->io.shutdown(); }
  void end(execution& run) {
    w.reset();
    if (t) {
      run.expect(!t->is_running(), "it runs without a context");
      run.expect_equal(t->hit_count(), std::int64_t{told.ticks}, "hit_count");
    }
    t.reset();
    done.expect_each_ended_once(run);
    run.expect(told.stops <= 1, "on_stop was called twice");
    run.expect(told.is_released(), "what the timer captured is not released");
  }

  story told;
  book done;
  std::optional<world> w;
  std::optional<async_timer::timer<int>> t;
};

}  // namespace

TEST_CASE("22.8, D34b shutdown meets trigger_threadsafe: it returns") {
  explore("shutdown meets trigger_threadsafe", [](execution& run) {
    doomed one(run);
    std::string error;
    run.together([&] { one.shut_down(); },
                 [&] { error = thrown_by([&] { one.t->trigger_threadsafe(); }); });
    run.expect(error == "dispatch" || error == "not_running", "it threw " + error);
    one.end(run);
  });
}

TEST_CASE("22.8, D34b shutdown meets cancel_threadsafe: it returns") {
  explore("shutdown meets cancel_threadsafe", [](execution& run) {
    doomed one(run);
    std::string error;
    run.together([&] { one.shut_down(); },
                 [&] { error = thrown_by([&] { one.t->cancel_threadsafe(); }); });
    run.expect(error == "dispatch" || error.empty(), "it threw " + error);
    one.end(run);
  });
}

TEST_CASE("22.8, 22.6 shutdown meets the timeout of trigger_threadsafe and a stop") {
  explore("shutdown meets a timeout and a stop", [](execution& run) {
    doomed one(run);
    std::string error;
    run.together([&] { one.shut_down(); },
                 [&] { error = thrown_by([&] { one.t->trigger_threadsafe(1ns); }); },
                 [&] { one.t->request_stop(); });
    run.expect(error == "dispatch" || error == "not_running" || error == "timeout",
               "it threw " + error);
    one.end(run);
  });
}

TEST_CASE("D9, 26.5 shutdown meets the end of the handle, with all kinds of waiters") {
  explore("shutdown meets the end of the handle", [](execution& run) {
    doomed one(run);
    one.t->join(one.done.handler("join"));
    one.t->wait({.hits = 9, .timeout = 1h}, one.done.handler("wait"));
    one.t->cancel(one.done.handler("cancel"));
    run.together([&] { one.shut_down(); }, [&] { one.t.reset(); });
    one.end(run);
  });
}

TEST_CASE("13.23, 26.5 shutdown meets close, and the end of the timer, with a next of the feed") {
  explore("shutdown meets the end of a feed", [](execution& run) {
    doomed one(run);
    auto feed = std::make_optional(one.t->subscribe());
    feed->next(one.done.handler("next"));
    feed->next(one.done.handler("second next"));
    run.together([&] { one.shut_down(); }, [&] { feed.reset(); }, [&] { one.t.reset(); });
    one.end(run);
  });
}

namespace {

/// Is an executor of a user that runs what it is given then and there, in the name of a context: as
/// one whose thread is faster than the one that completes.
struct executor_at_once {
  net::io_context* io;

  // The names and forms from here on are those of Asio's executor and property protocol.
  net::execution_context& query(net::execution::context_t) const noexcept { return *io; }
  executor_at_once require(net::execution::blocking_t::never_t) const noexcept { return *this; }
  template <class Function>
  void execute(Function&& function) const {
    std::forward<Function>(function)();
  }
  friend bool operator==(const executor_at_once&, const executor_at_once&) = default;
};

void expect_memory_was_back(execution& run) {
  run.expect(mortal_arena::living.empty(), "a handler is still there");
  run.expect_equal(std::exchange(mortal_arena::late, 0), 0, "blocks that came back late");
}

}  // namespace

TEST_CASE("9.8, D9 shutdown of a consumer's context meets the tick that it waits for") {
  explore("shutdown of a consumer's context meets a tick", [](execution& run) {
    int completions = 0;
    {
      world first(run);
      world second(run);
      async_timer::timer<int> t{second.io, 1s, [] { return 1; }, {.initial_delay = 1s}};
      auto feed = t.subscribe();
      t.start();
      second.clock.run_until_idle();
      feed.next(owning_handler{executor_at_once{&first.io}, &completions});
      run.together([&] { first.io.shutdown(); }, [&] { second.clock.advance(1s); });
      t.request_stop();
      second.clock.run_until_idle();
    }
    run.expect(completions <= 1, "it was completed twice");
    expect_memory_was_back(run);
  });
}

TEST_CASE("9.5, 9.8 shutdown meets the slots of those who wait") {
  explore("shutdown meets a slot", [](execution& run) {
    int completions = 0;
    net::cancellation_signal joins;
    net::cancellation_signal waits;
    {
      world elsewhere(run);
      doomed one(run);
      const auto handler = [&] {
        return owning_handler{elsewhere.io.get_executor(), &completions};
      };
      one.t->join(net::bind_cancellation_slot(joins.slot(), handler()));
      one.t->wait({.timeout = 1h}, net::bind_cancellation_slot(waits.slot(), handler()));
      run.together([&] { one.shut_down(); },
                   [&] {
                     joins.emit(net::cancellation_type::terminal);
                     waits.emit(net::cancellation_type::terminal);
                   });
      elsewhere.clock.run_until_idle();
      one.end(run);
    }
    run.expect(completions <= 2, "one was completed twice");
    expect_memory_was_back(run);
  });
}

TEST_CASE("26.5 shutdown meets start: it fails, or its run goes with the context") {
  explore("shutdown meets start", [](execution& run) {
    doomed one(run);
    one.t->request_stop();
    one.w->clock.run_until_idle();
    std::string error;
    run.together([&] { one.shut_down(); }, [&] { error = thrown_by([&] { one.t->start(); }); },
                 [&] { static_cast<void>(one.t->is_running()); });
    run.expect(error == "dispatch" || error.empty(), "it threw " + error);
    one.end(run);
  });
}

TEST_CASE("26.5, 15.4 shutdown meets a stop of a target that is suspended") {
  explore("shutdown meets the stop of a suspended target", [](execution& run) {
    doomed one(run, true);
    one.w->clock.advance(1s);  // the target has been called again, and is through
    one.t->trigger(one.done.handler("trigger"));
    one.w->io.restart();
    one.w->io.poll_one();  // it is suspended, or about to be
    run.together([&] { one.shut_down(); }, [&] { one.t->request_stop(); });
    one.end(run);
  });
}

TEST_CASE("18.1, 26.5 shutdown meets a stop_token that fires") {
  explore("shutdown meets a stop_token", [](execution& run) {
    std::stop_source source;
    story told;
    std::optional<async_timer::timer<int>> t;
    {
      world w(run);
      auto options = told.options();
      options.stop_on = async_timer::stop_when(source.get_token());
      t.emplace(w.io, 1s, told.target(), std::move(options));
      told.start(*t);
      w.clock.run_until_idle();
      run.together([&] { w.io.shutdown(); }, [&] { source.request_stop(); });
    }
    run.expect(!t->is_running(), "it runs without a context");
    t.reset();
    run.expect(told.is_released(), "what the timer captured is not released");
  });
}

TEST_CASE("20.18, 22.8 shutdown meets cancel_threadsafe of a group: it returns") {
  explore("shutdown meets cancel_threadsafe of a group", [](execution& run) {
    story told;
    std::optional<async_timer::timer_group> group;
    std::string error;
    {
      world w(run);
      group.emplace(w.io);
      group->add(async_timer::timer<int>{w.io, 1s, told.target(), told.options()});
      group->start();
      w.clock.run_until_idle();
      run.together([&] { w.io.shutdown(); },
                   [&] { error = thrown_by([&] { group->cancel_threadsafe(); }); });
    }
    run.expect(error == "dispatch" || error.empty(), "it threw " + error);
    group.reset();
    run.expect(told.is_released(), "what the timer captured is not released");
  });
}

TEST_CASE("26.5 shutdown meets a start on another context: the next run is whole") {
  explore("shutdown meets a start elsewhere", [](execution& run) {
    std::optional<world> first(std::in_place, run);
    world second(run);
    auto t = async_timer::every(1s)([] { return 1; });
    std::optional<async_timer::subscription<int>> feed;
    t.start(first->io);
    first->clock.run_until_idle();
    run.together([&] { first->io.shutdown(); },
                 [&] {
                   const auto error = thrown_by([&] { t.start(second.io); });
                   if (error.empty()) feed.emplace(t.subscribe());
                 });
    first.reset();
    if (!feed) {
      t.start(second.io);
      feed.emplace(t.subscribe());
    }
    second.clock.run_until_idle();
    run.expect_equal(t.hit_count(), std::int64_t{2}, "hit_count");
    run.expect(!feed->closed(), "the feed of the next run was ended");
    run.expect_equal(feed->qsize(), std::int64_t{1}, "qsize");
    t.request_stop();
    second.clock.run_until_idle();
    run.expect(feed->closed(), "the feed has not ended");
  });
}

TEST_CASE("2.24, 26.5 shutdown meets the end of an executor's last timer: that goes first") {
  explore("shutdown meets the end of an executor", [](execution& run) {
    story told;
    {
      world w(run);
      async_timer::base::atomic<bool> has_gone{false};
      const auto goes = [&](const void*) { has_gone.store(true, std::memory_order_release); };
      telling_executor::calls calls{.kept = std::shared_ptr<const void>(&has_gone, goes)};
      auto t = std::make_optional<async_timer::timer<int>>(
          net::any_io_executor(telling_executor(w.io, calls)), 1s, told.target(), told.options());
      calls.kept = nullptr;
      // The scheduler keeps a few of the latest.
      for (int others = 0; others < 8; ++others) {
        async_timer::timer<int>{net::make_strand(w.io), 1s, answer};
      }
      bool went_first = false;
      run.together(
          [&] {
            w.io.shutdown();
            went_first = has_gone.load(std::memory_order_acquire);
          },
          [&] { t.reset(); });
      run.expect(went_first, "the executor has outlived its context");
    }
    run.expect(told.is_released(), "what the timer captured is not released");
  });
}
