// The beginning and the end of runs, asked for by several threads.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "interleavings/world.hpp"

using namespace test;

TEST_CASE("26.5, 15.13, 16.6, D9b start meets cancel") {
  explore("start meets cancel", [](execution& run) {
    one_timer one(run);
    run.together([&] { one.w.serve(); }, [&] { one.told.start(*one.t); },
                 [&] { one.t->cancel(one.done.handler("cancel")); });
    one.end(run);
  });
}

TEST_CASE(
    "26.5, D9 start, and the end of the handle, meet the first tick and a stop by reference") {
  explore("start, and the end of the handle, meet a stop", [](execution& run) {
    one_timer one(run);
    auto reference = one.t->ref();
    run.together([&] { one.w.serve(); },
                 [&] {
                   one.told.start(*one.t);
                   one.t->wait(one.done.handler("wait"));
                   one.t.reset();
                 },
                 [&] { reference.request_stop(); });
    one.end(run);
  });
}

TEST_CASE("7.9, 16.6, D3 request_stop meets the end of the run and the next start") {
  explore("request_stop meets start again", [](execution& run) {
    one_timer one(run);
    one.start_sleeping();
    run.together([&] { one.w.serve(); }, [&] { one.t->request_stop(); },
                 [&] {
                   one.told.start(*one.t);
                   one.told.start(*one.t);
                 });
    one.end(run);
  });
}

TEST_CASE("7.9, 15.1, D3 whom cancel resumes may start again, whoever stops meanwhile") {
  explore("start after cancel meets a stop", [](execution& run) {
    one_timer one(run);
    one.start_sleeping();
    run.together([&] { one.w.serve(); },
                 [&] {
                   one.t->cancel(one.done.handler("cancel", [&] {
                     run.expect_equal(one.told.stops, 1, "on_stop calls at the end of cancel");
                     run.expect(one.told.start(*one.t), "no start after cancel");
                   }));
                 },
                 [&] { one.t->request_stop(); });
    one.end(run);
  });
}

TEST_CASE("15.1, 15.10, D3b cancel meets cancel: both complete after the clean-up") {
  explore("cancel meets cancel", [](execution& run) {
    one_timer one(run);
    one.start_sleeping();
    const auto after_clean_up = [&] {
      run.expect_equal(one.told.stops, 1, "on_stop calls at the end of cancel");
    };
    run.together([&] { one.w.serve(); },
                 [&] { one.t->cancel(one.done.handler("cancel", after_clean_up)); },
                 [&] { one.t->cancel(one.done.handler("other cancel", after_clean_up)); });
    one.end(run);
  });
}

// The coroutine's frame holds the initiation, and with it the reference that cancel() goes by.
TEST_CASE("15.1, D9 whom cancel resumes destroys the timer, while cancel is at its end yet") {
  explore("cancel meets the timer's destructor", [](execution& run) {
    one_timer one(run, 2);
    one.start_sleeping();
    const auto end = [&one]() -> net::awaitable<void> {
      auto stop = one.t->cancel(net::use_awaitable);
      co_await std::move(stop);
      one.t.reset();
    };
    net::co_spawn(one.w.io, end, [](const std::exception_ptr&) {});
    run.together([&] { one.w.serve(); }, [&] { one.w.serve(); });
    run.expect(!one.t, "cancel has not completed");
    one.end(run);
  });
}

TEST_CASE("15.7, 15.8 cancel from the target and from on_stop meets cancel from outside") {
  explore("cancel from inside meets cancel from outside", [](execution& run) {
    story told;
    book done;
    {
      world w(run);
      auto options = told.options();
      options.on_stop = [&](async_timer::timer_ref timer) {
        ++told.stops;
        timer.cancel(net::bind_executor(w.io, done.handler("cancel from on_stop")));
      };
      std::optional<async_timer::timer_ref> self;
      const auto target = [&] {
        self->cancel(net::bind_executor(w.io, done.handler("cancel from the target")));
        return ++told.ticks;
      };
      async_timer::timer<int> t{w.io, 1s, target, std::move(options)};
      self = t.ref();
      run.together([&] { w.serve(); },
                   [&] {
                     told.start(t);
                     t.cancel(done.handler("cancel"));
                   });
      w.finish();
      run.expect(!t.is_running(), "it runs after cancel");
    }
    done.expect_each_once(run);
    run.expect_equal(told.stops, 1, "on_stop calls");
  });
}

TEST_CASE("16.6, 17.1 a failure meets cancel: one end of the run") {
  explore("a failure meets cancel", [](execution& run) {
    story told;
    book done;
    {
      world w(run);
      const auto fails = [&]() -> int { throw std::runtime_error("failed"); };
      async_timer::timer<int> t{w.io, 1s, fails, told.options()};
      run.together([&] { w.serve(); },
                   [&] {
                     told.start(t);
                     t.join(done.handler("join"));
                     t.cancel(done.handler("cancel"));
                   });
      w.finish();
      const auto joined = done["join"].kind();
      const bool failed = t.failure_count() == 1;
      run.expect_equal(told.failures, failed ? 1 : 0, "on_error calls");
      run.expect(joined == (failed ? "failed" : "stopped"), "the outcome of join is " + joined);
      run.expect_equal(t.hit_count(), std::int64_t{0}, "hit_count");
    }
    done.expect_each_once(run);
    told.expect_all_over(run);
  });
}

TEST_CASE("26.3 set_delay meets a tick: the sleep after it has the old delay or the new one") {
  explore("set_delay meets a tick", [](execution& run) {
    book done;
    world w(run);
    std::vector<std::chrono::nanoseconds> at;
    const auto begin = w.clock.now();
    async_timer::timer<void> t{w.io, 1s, [&] { at.push_back(w.clock.now() - begin); }};
    t.start();
    w.clock.run_until_idle();
    run.together([&] { w.serve_for(1); }, [&] { t.set_delay(2s); });
    w.clock.advance(10s);
    run.expect(at.size() > 3 && at[1] == 1s, "the sleep under way was changed");
    if (at.size() > 3) {
      run.expect(at[2] - at[1] == 1s || at[2] - at[1] == 2s, "a sleep with neither delay");
      run.expect(at[3] - at[2] == 2s, "a later sleep has not the new delay");
    }
    t.cancel(done.handler("cancel"));
    w.finish();
    done.expect_each_once(run);
  });
}

TEST_CASE("13.23, D9 the end of the handle meets a delivery") {
  explore("the end of the handle meets a delivery", [](execution& run) {
    story told;
    book done;
    {
      world w(run);
      const auto target = [&told, c = told.captured] {
        ++told.ticks;
        return c;
      };
      auto t = std::make_optional<async_timer::timer<std::shared_ptr<int>>>(w.io, 1s, target,
                                                                            told.options());
      auto feed = t->subscribe();
      ++told.starts;
      t->start();
      t->join(done.handler("join"));
      t->wait(done.handler("wait"));
      feed.next(done.handler("next of the feed"));
      run.together([&] { w.serve(); }, [&] { t.reset(); });
      w.finish();
      const bool ticked = told.ticks > 0;
      run.expect(done["join"].kind() == (ticked ? "" : "stopped"), "the outcome of join");
      run.expect(done["wait"].kind().empty(), "the outcome of wait");
      run.expect(feed.closed(), "the feed is not closed");
    }
    done.expect_each_once(run);
    told.expect_all_over(run);
  });
}

TEST_CASE("15.1, D9 cancel by a reference meets the end of a destroyed timer: all of it is gone") {
  explore("cancel by a reference meets a destroyed timer's end", [](execution& run) {
    one_timer one(run, 2);
    one.start_sleeping();
    auto reference = one.t->ref();
    run.together([&] { one.w.serve(); },
                 [&] {
                   one.t.reset();
                   reference.cancel(one.done.handler("cancel", [&] {
                     run.expect(one.told.is_released(),
                                "cancel completed before the captures went");
                   }));
                   one.w.serve();
                 });
    one.end(run);
  });
}

TEST_CASE("19.6, 7.1 every: of two starts on two threads one succeeds") {
  explore("two starts of a timer of every()", [](execution& run) {
    story told;
    book done;
    {
      world w(run);
      auto t = async_timer::every(1s, told.options())(told.target());
      const auto starts = [&] {
        try {
          t.start(w.io);
          ++told.starts;
        } catch (const async_timer::timer_already_running_error&) {
        }
      };
      run.together(starts, starts, [&] { w.serve(); });
      run.expect_equal(told.starts, 1, "starts");
      run.expect_equal(told.ticks, 1, "ticks");
      t.cancel(done.handler("cancel"));
      w.finish();
    }
    done.expect_each_once(run);
    told.expect_all_over(run);
  });
}

TEST_CASE("26.1, 26.2, 26.6, D36 a reader sees whole ticks that never go back") {
  explore("a reader meets ticks", [](execution& run) {
    one_timer one(run);
    one.start_sleeping();
    run.together([&] { one.w.serve_for(2); },
                 [&] {
                   std::int64_t before = 1;
                   auto tick_before = one.t->last_tick_at();
                   for (int i = 0; i < 3; ++i) {
                     const auto shot = one.t->snapshot();
                     run.expect(shot.hit_count >= before, "hit_count went back");
                     run.expect(shot.last_result == int(shot.hit_count), "a snapshot of two ticks");
                     run.expect(shot.last_tick_at >= tick_before, "last_tick_at went back");
                     before = one.t->hit_count();
                     run.expect(before >= shot.hit_count, "hit_count went back");
                     tick_before = one.t->last_tick_at();
                     run.expect(one.t->last_result() >= int(before), "last_result is too old");
                   }
                 });
    one.end(run);
  });
}
