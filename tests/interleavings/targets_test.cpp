// Targets that take time: suspended ones, their interruption, slow ones, and the lanes they run on.
#include <doctest/doctest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "interleavings/world.hpp"
#include "support/tokens.hpp"

using namespace test;

namespace {

/// Lets one or two threads run the context while another one stops a timer.
template <class Serves, class Stops>
void together(execution& run, int threads, const Serves& serves, const Stops& stops) {
  if (threads == 1) {
    run.together(serves, stops);
  } else {
    run.together(serves, serves, stops);
  }
}

/// Is a timer whose target suspends, on a context that several actors may run.
struct suspending {
  suspending(execution& run, int threads, bool on_strand) : w(run, threads) {
    auto executor = net::any_io_executor(w.io.get_executor());
    if (on_strand) executor = net::make_strand(w.io);
    t.emplace(executor, 1s, told.suspending_target(), told.options());
  }
  void end(execution& run) {
    if (t) t->cancel(done.handler("last cancel"));
    w.finish();
    if (t) run.expect_equal(t->hit_count(), std::int64_t{told.ticks}, "hit_count");
    t.reset();
    done.expect_each_once(run);
    told.expect_all_over(run);
  }

  story told;
  book done;
  world w;
  std::optional<async_timer::timer<int>> t;
};

void interrupt_meets_target(execution& run, int threads, bool on_strand) {
  suspending one(run, threads, on_strand);
  one.told.start(*one.t);
  one.t->join(one.done.handler("join"));
  const auto serves = [&] { one.w.serve(); };
  const auto stops = [&] {
    one.t->cancel(one.done.handler("cancel", [&] {
      run.expect_equal(one.told.stops, 1, "on_stop calls at the end of cancel");
    }));
  };
  together(run, threads, serves, stops);
  const auto joined = one.done["join"].text();
  run.expect(joined == (one.told.ticks == 1 ? "1" : "stopped"), "the outcome of join is " + joined);
  run.expect_equal(one.told.failures, 0, "failures");
  one.end(run);
}

}  // namespace

TEST_CASE("15.4, 15.5 cancel meets a suspending target, wherever that is") {
  explore("cancel meets a suspending target",
          [](execution& run) { interrupt_meets_target(run, 1, false); });
}

TEST_CASE("15.4, 15.5, 26.5 cancel meets a suspending target on two threads") {
  explore("cancel meets a suspending target on two threads", one_preemption,
          [](execution& run) { interrupt_meets_target(run, 2, false); });
}

TEST_CASE("15.4, 15.5, 26.5 cancel meets a suspending target on a strand of two threads") {
  explore("cancel meets a suspending target on a strand", one_preemption,
          [](execution& run) { interrupt_meets_target(run, 2, true); });
}

TEST_CASE(
    "D9, 2.24 the end of the handle meets a suspending target and the next one on its runner") {
  explore("the end of the handle meets suspending targets", one_preemption, [](execution& run) {
    suspending one(run, 2, false);
    story other_told;
    {
      async_timer::timer<int> other{one.w.io, 1s, other_told.suspending_target(),
                                    other_told.options()};
      one.told.start(*one.t);
      other_told.start(other);
      run.together([&] { one.w.serve_for(1); }, [&] { one.w.serve(); }, [&] { one.t.reset(); });
      run.expect(other_told.ticks > 0, "the other one did not tick");
      other.cancel(one.done.handler("cancel"));
      one.w.clock.run_until_idle();
    }
    one.end(run);
    other_told.expect_all_over(run);
  });
}

namespace {

/// Stops a timer whose target waits for a tick that never comes.
void stop_meets_endless_target(execution& run, int threads) {
  book done;
  story told;
  {
    world w(run, threads);
    async_timer::timer<int> never{w.io, 1h, [] { return 0; }};
    never.start();
    w.clock.run_until_idle();
    const auto waits = [&never, c = told.captured]() -> net::awaitable<int> {
      auto tick = never.join(net::use_awaitable);
      co_return co_await std::move(tick);
    };
    async_timer::timer<int> t{w.io, 1s, waits, told.options()};
    told.start(t);
    const auto serves = [&] { w.serve(); };
    const auto stops = [&] { t.cancel(done.handler("cancel")); };
    together(run, threads, serves, stops);
    w.clock.run_until_idle();
    run.expect_equal(told.stops, 1, "on_stop calls after the stop");
    run.expect_equal(t.hit_count(), std::int64_t{0}, "hit_count");
    never.cancel(done.handler("last cancel"));
    w.finish();
  }
  done.expect_each_once(run);
  told.expect_all_over(run);
}

}  // namespace

TEST_CASE("15.1, 15.4 cancel ends a target that waits for ever, wherever it meets that") {
  explore("cancel meets an endless target",
          [](execution& run) { stop_meets_endless_target(run, 1); });
}

TEST_CASE("15.1, 15.4, 26.5 cancel ends a target that waits for ever on two threads") {
  explore("cancel meets an endless target on two threads", one_preemption,
          [](execution& run) { stop_meets_endless_target(run, 2); });
}

namespace {

/// Starts two timers that are due at once, with coroutines that don't suspend: one runner serves
/// both in one turn, unless something comes between.
void stop_meets_the_next_job(execution& run, int threads) {
  book done;
  story told;
  story next_told;
  {
    world w(run, threads);
    const auto quick = [](story& tells) {
      return [&tells, c = tells.captured]() -> net::awaitable<int> { co_return ++tells.ticks; };
    };
    async_timer::timer<int> first{w.io, 1s, quick(told), told.options()};
    async_timer::timer<int> next{w.io, 1s, quick(next_told), next_told.options()};
    told.start(first);
    next_told.start(next);
    next.join(done.handler("join"));
    const auto serves = [&] { w.serve(); };
    const auto stops = [&] {
      next.cancel(done.handler("cancel", [&] {
        run.expect_equal(next_told.stops, 1, "on_stop calls at the end of cancel");
      }));
    };
    together(run, threads, serves, stops);
    run.expect_equal(told.ticks, 1, "ticks of the first one");
    run.expect(next_told.ticks <= 1, "too many ticks");
    run.expect_equal(next.hit_count(), std::int64_t{next_told.ticks}, "hit_count");
    first.cancel(done.handler("last cancel"));
    w.finish();
  }
  done.expect_each_once(run);
  told.expect_all_over(run);
  next_told.expect_all_over(run);
}

}  // namespace

TEST_CASE("15.4 cancel meets the next coroutine of a turn") {
  explore("cancel meets the next coroutine of a turn",
          [](execution& run) { stop_meets_the_next_job(run, 1); });
}

TEST_CASE("15.4, 26.5 cancel meets the next coroutine of a turn on two threads") {
  explore("cancel meets the next coroutine of a turn on two threads", one_preemption,
          [](execution& run) { stop_meets_the_next_job(run, 2); });
}

TEST_CASE("26.5, 7.4 the last timer of a lane stops while another one starts there") {
  explore("the last timer of a lane meets a start", one_preemption, [](execution& run) {
    suspending one(run, 2, true);
    story other_told;
    {
      async_timer::timer<int> other{one.t->get_executor(), 1s, other_told.suspending_target(),
                                    other_told.options()};
      one.told.start(*one.t);
      run.together([&] { one.w.serve(); },
                   [&] {
                     one.t->request_stop();
                     one.w.serve();
                   },
                   [&] { other_told.start(other); });
      run.expect_equal(other_told.ticks, 1, "ticks of the other one");
      other.cancel(one.done.handler("cancel"));
      one.w.clock.run_until_idle();
    }
    one.end(run);
    other_told.expect_all_over(run);
  });
}

TEST_CASE("26.5 timers are made on two threads, on one strand: both find the same lane") {
  explore("two timers are made at once", [](execution& run) {
    book done;
    story told;
    story other_told;
    {
      world w(run, 2);
      const auto strand = net::any_io_executor(net::make_strand(w.io));
      const auto makes = [&](story& tells, std::optional<async_timer::timer<int>>& t) {
        t.emplace(strand, 1s, tells.target(), tells.options());
        tells.start(*t);
      };
      std::optional<async_timer::timer<int>> one;
      std::optional<async_timer::timer<int>> other;
      run.together([&] { makes(told, one); }, [&] { makes(other_told, other); },
                   [&] { w.serve(); });
      run.expect_equal(told.ticks + other_told.ticks, 2, "ticks");
      one->cancel(done.handler("cancel"));
      other->cancel(done.handler("other cancel"));
      w.finish();
    }
    done.expect_each_once(run);
    told.expect_all_over(run);
    other_told.expect_all_over(run);
  });
}

namespace {

/// Runs a slow timer and a quick one, due at once, on two threads.
///
/// @param target_of  makes a target of a function that ends one of their ticks
template <class TargetOf>
void slow_meets_quick(execution& run, TargetOf target_of) {
  book done;
  story told;
  story slow_told;
  {
    world w(run, 2);
    bool quick_ticked = false;
    const auto slow = [&] {
      // As slow as the other one needs: at each of its points this one may go on.
      for (int i = 0; i < 3 && !quick_ticked; ++i) interleaving::step();
      return ++slow_told.ticks;
    };
    const auto quick = [&] {
      quick_ticked = true;
      return ++told.ticks;
    };
    async_timer::timer<int> s{w.io, 1s, target_of(slow), slow_told.options()};
    async_timer::timer<int> q{w.io, 1s, target_of(quick), told.options()};
    slow_told.start(s);
    told.start(q);
    run.together([&] { w.serve(); }, [&] { w.serve(); }, [&] { s.cancel(done.handler("cancel")); });
    run.expect_equal(told.ticks, 1, "ticks of the quick one");
    q.cancel(done.handler("other cancel"));
    w.finish();
  }
  done.expect_each_once(run);
  told.expect_all_over(run);
  slow_told.expect_all_over(run);
}

}  // namespace

TEST_CASE("26.5, 14.2 a slow target delays no other timer of a context with two threads") {
  explore_long("a slow target on two threads", {}, one_preemption,
               [](execution& run) { slow_meets_quick(run, [](auto tick) { return tick; }); });
}

TEST_CASE("26.5 a slow coroutine delays no other timer of a context with two threads") {
  explore("a slow coroutine on two threads", one_preemption, [](execution& run) {
    slow_meets_quick(
        run, [](auto tick) { return [tick]() -> net::awaitable<int> { co_return tick(); }; });
  });
}

TEST_CASE("2.24, 15.4 a strand's timer meets a stop while its tick is on the way to the strand") {
  explore("a tick on its way to a strand meets a stop", [](execution& run) {
    book done;
    story told;
    {
      world w(run, 2);
      async_timer::timer<int> t{net::make_strand(w.io), 1s, told.target(), told.options()};
      told.start(t);
      run.together([&] { w.serve(); }, [&] { w.serve(); },
                   [&] { t.cancel(done.handler("cancel")); });
      w.finish();
      run.expect(told.ticks <= 1, "too many ticks");
    }
    done.expect_each_once(run);
    told.expect_all_over(run);
  });
}

TEST_CASE("D23, 26.5 children of a runner's first tick are work, whichever thread it runs on") {
  explore("a child of the first tick", one_preemption, [](execution& run) {
    book done;
    story told;
    {
      world w(run, 2);
      namespace execution_of = net::execution;
      bool is_work = false;
      const auto target = [&told, &is_work, c = told.captured]() -> net::awaitable<int> {
        const net::any_io_executor own = co_await net::this_coro::executor;
        const auto childs = net::prefer(own, execution_of::outstanding_work.tracked);
        is_work = net::query(childs, execution_of::outstanding_work) ==
                  execution_of::outstanding_work.tracked;
        co_return ++told.ticks;
      };
      async_timer::timer<int> t{w.io, 1s, target, told.options()};
      told.start(t);
      run.together([&] { w.serve(); }, [&] { w.serve(); });
      run.expect_equal(told.ticks, 1, "ticks");
      run.expect(is_work, "the target's executor can't stand for work");
      t.cancel(done.handler("cancel"));
      w.finish();
    }
    done.expect_each_once(run);
    told.expect_all_over(run);
  });
}
