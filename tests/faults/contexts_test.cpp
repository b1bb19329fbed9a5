// A context that goes, stops, or loses its timers after each step of a scenario in turn: everything
// is let go, nothing is called afterwards, and nobody waits for ever.
#include <doctest/doctest.h>

#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "support/generators.hpp"
#include "support/stage.hpp"
#include "support/tokens.hpp"

using namespace test;
using async_timer::stop_when;
using async_timer::timer;
using async_timer::timer_group;

namespace {

net::awaitable<int> hop_twice(counted_capture) {
  auto executor = co_await net::this_coro::executor;
  for (int i = 0; i < 2; ++i) {
    auto hop = net::post(executor, net::use_awaitable);
    co_await std::move(hop);
  }
  co_return 1;
}

/// Is all kinds of timers on one context, busy with each other for some seconds of virtual time.
/// It is moved on handler by handler.
class world {
 public:
  world() {
    auto& c = *io;
    const auto strand = net::make_strand(c);
    plain.emplace(
        c, 1s, [this, held = capture()] { return used(1); }, options());
    text.emplace(
        strand, 1s, [this, held = capture()] { return used(std::string(64, 'x')); }, options());
    later.emplace(
        c, 1s, [this, held = capture()] { return used(hop_twice(held)); }, options());
    later_on_strand.emplace(
        strand, 1s, [this, held = capture()] { return used(hop_twice(held)); }, options());
    made.emplace(
        c, 1s,
        [this, held = capture()] { return used(count_up_alive(1, 3, live_token(captures))); },
        options());
    auto watched = options();
    watched.stop_on = stop_when(*made, asked.get_token(), [this, held = capture()](auto done) {
      never->async_wait(std::move(done));
    });
    stopped_by.emplace(
        c, 1s, [this, held = capture()] { return used(2); }, std::move(watched));
    group.emplace(c, async_timer::group_options{.name = "group"});
    group->add(timer<int>(
        c, 1s, [this, held = capture()] { return used(3); }, options()));
    group->add(timer<void>(
        strand, 1s, [this, held = capture()] { used(0); }, options()));
    auto script_options = options();
    script_options.name = "script";
    script.emplace(
        c, 500ms, [this, held = capture()] { play(used(++scene)); }, std::move(script_options));
    script->start();
  }
  world(const world&) = delete;
  world& operator=(const world&) = delete;

  /// Runs one handler, or lets virtual time pass to the next instant; false: the scenario is over.
  bool step() {
    if (io->stopped()) io->restart();
    if (io->poll_one() > 0) return true;
    const auto due = scheduler->next_due();
    if (!due || *due == async_timer::core::time_point::max()) return false;
    scheduler->set_virtual_now(*due);
    return true;
  }
  void go_on() {
    while (step()) {
    }
  }

  /// Destroys the context; from here on nothing may be called.
  void destroy_context() {
    over = true;
    never.reset();
    scheduler.reset();
    io.reset();
  }

  /// Destroys the handles, in the order of their making or the other way round.
  void drop_handles(bool backwards, std::size_t count = 100) {
    std::vector<std::function<void()>> drops{
        [this] { plain.reset(); }, [this] { feed.reset(); },
        [this] { text.reset(); },  [this] { text_feed.reset(); },
        [this] { later.reset(); }, [this] { later_on_strand.reset(); },
        [this] { made.reset(); },  [this] { stopped_by.reset(); },
        [this] { group.reset(); }, [this] { script.reset(); }};
    if (backwards) std::reverse(drops.begin(), drops.end());
    drops.resize(std::min(count, drops.size()));
    for (const auto& drop : drops) drop();
  }

  /// Asserts what must hold when all is over.
  ///
  /// @param all_called  each handler was to be called; else it may have been destroyed
  void expect_settled(bool all_called) const {
    CHECK(captures == 0);
    CHECK(calls_when_over == 0);
    for (const auto& op : operations) {
      INFO(op->name << ", scene " << scene);
      CHECK(op.use_count() == 1);
      CHECK(op->calls <= 1);
      if (all_called) CHECK(op->calls == 1);
    }
  }

  bool over = false;  ///< from here on nothing may be called
  int captures = 0;
  int calls_when_over = 0;
  std::unique_ptr<net::io_context> io = std::make_unique<net::io_context>(1);
  std::shared_ptr<async_timer::detail::scheduler> scheduler = make_scheduler();

 private:
  std::shared_ptr<async_timer::detail::scheduler> make_scheduler() {
    const async_timer::virtual_clock clock(*io);
    return async_timer::detail::scheduler_service::of(io->get_executor());
  }
  counted_capture capture() { return counted_capture(captures); }
  template <class T>
  T used(T value) {
    calls_when_over += over ? 1 : 0;
    return value;
  }
  async_timer::timer_options options() {
    async_timer::timer_options result;
    result.on_error = [this, held = capture()] { used(0); };
    result.on_stop = [this, held = capture()] { used(0); };
    return result;
  }
  auto begin(std::string name) {
    operations.push_back(std::make_shared<begun>());
    operations.back()->name = std::move(name);
    return [this, handler = noting_handler(operations.back()), held = capture()](auto&&... with) {
      used(0);
      handler(std::forward<decltype(with)>(with)...);
    };
  }

  /// Is what the timers do to each other, scene by scene.
  void play(int at) {
    if (at == 1) {
      plain->start();
      text->start();
      later->start();
      feed.emplace(plain->subscribe({.maxsize = 10}));
      text_feed.emplace(text->subscribe_shared());
      group->start();
    } else if (at == 2) {
      later_on_strand->start();
      made->start();
      stopped_by->start();
      plain->join(begin("join"));
      plain->next(begin("next"));
      later->wait({.hits = 3}, begin("hits"));
      text->wait({.hits = 100, .timeout = 700ms}, begin("timeout"));
      feed->next(begin("feed"));
      text_feed->next(begin("text feed"));
      group->wait({.hits = 2, .timeout = 10s}, begin("group hits"));
    } else if (at == 3) {
      plain->trigger(begin("trigger"));
      later->trigger(begin("trigger later"));
      group->trigger(begin("group trigger"));
      made->wait(begin("end of made"));
    } else if (at == 5) {
      later_on_strand->cancel(begin("cancel on strand"));
      plain->cancel(begin("cancel plain"));
      later->cancel(begin("cancel later"));
      feed->next(begin("feed again"));
      feed->next(begin("feed's end"));
    } else if (at == 6) {
      plain->start();
      text_feed->close();
      group->wait(begin("group's end"));
    } else if (at == 7) {
      text->cancel(begin("cancel text"));
      group->cancel_all(begin("cancel_all"));
    } else if (at == 10) {
      plain->request_stop();
      stopped_by->request_stop();
      made->request_stop();
      script->cancel(begin("cancel script"));
    }
  }

  std::vector<std::shared_ptr<begun>> operations;
  std::stop_source asked;
  std::optional<net::steady_timer> never{std::in_place, *io,
                                         std::chrono::steady_clock::time_point::max()};

 public:
  int scene = 0;
  std::optional<timer<int>> plain;
  std::optional<timer<std::string>> text;
  std::optional<timer<int>> later;
  std::optional<timer<int>> later_on_strand;
  std::optional<timer<int>> made;
  std::optional<timer<int>> stopped_by;
  std::optional<timer_group> group;
  std::optional<timer<void>> script;
  std::optional<async_timer::subscription<int>> feed;
  std::optional<async_timer::shared_subscription<std::string>> text_feed;
};

/// Calls ending(world) after each number of steps in turn, until the scenario is over before.
template <class Ending>
void after_each_step(Ending ending) {
  const log_recorder log;
  for (int steps = 0;; ++steps) {
    CAPTURE(steps);
    REQUIRE(steps < 2'000);
    auto on = std::make_unique<world>();
    bool goes_on = true;
    for (int i = 0; i < steps && goes_on; ++i) goes_on = on->step();
    ending(std::move(on));
    if (!goes_on) {
      CHECK(steps > 100);  // there was a scenario
      break;
    }
  }
  for (const auto& record : log.records()) {
    INFO(record.message);
    CHECK(record.event == "async_timer.group_cancel_failure");  // cancel_all() without its context
  }
}

}  // namespace

TEST_CASE("contexts: the scenario by itself comes to its end, and all its handlers are called") {
  world on;
  on.go_on();
  CHECK(on.scene == 10);
  on.drop_handles(false);
  on.go_on();
  on.expect_settled(true);
}

TEST_CASE("contexts: the context is destroyed first, after each step") {
  after_each_step([](std::unique_ptr<world> on) {
    on->destroy_context();
    CHECK_FALSE(on->plain->is_running());
    CHECK_FALSE(on->group->is_running());
    CHECK_THROWS_AS(on->text->start(), async_timer::threadsafe_dispatch_error);
    on->drop_handles(false);
    on->expect_settled(false);
  });
}

TEST_CASE("contexts: the context is destroyed between its timers, after each step") {
  for (const bool backwards : {false, true}) {
    after_each_step([backwards](std::unique_ptr<world> on) {
      on->drop_handles(backwards, 5);
      on->destroy_context();
      on->drop_handles(!backwards);
      on->expect_settled(false);
    });
  }
}

TEST_CASE("contexts: all timers are destroyed, after each step, and then the context") {
  after_each_step([](std::unique_ptr<world> on) {
    on->drop_handles(true);
    on->destroy_context();
    on->expect_settled(false);
  });
}

TEST_CASE("contexts: all timers are destroyed, after each step, and the context runs out of work") {
  for (const bool backwards : {false, true}) {
    after_each_step([backwards](std::unique_ptr<world> on) {
      on->drop_handles(backwards);
      on->go_on();
      CHECK(on->io->stopped());
      on->expect_settled(true);
    });
  }
}

TEST_CASE("contexts: the context is stopped after each step, and goes on later") {
  after_each_step([](std::unique_ptr<world> on) {
    on->io->stop();
    CHECK(on->io->poll() == 0);
    on->go_on();
    CHECK(on->scene == 10);
    on->drop_handles(false);
    on->go_on();
    on->expect_settled(true);
  });
}

TEST_CASE("contexts: the context is stopped after each step, and never goes on") {
  after_each_step([](std::unique_ptr<world> on) {
    on->io->stop();
    on->over = true;
    on->drop_handles(false);
    on->destroy_context();
    on->expect_settled(false);
  });
}

TEST_CASE("contexts: a thread pool is stopped and joined while timers run on it") {
  for (int round = 0; round < 10; ++round) {
    int captures = 0;
    std::atomic<bool> over = false;
    std::atomic<int> calls_when_over = 0;
    const auto use = [&] { calls_when_over += over ? 1 : 0; };
    {
      auto pool = std::make_unique<net::thread_pool>(2);
      std::vector<timer<int>> timers;
      std::vector<std::future<std::optional<int>>> ticked;
      for (int i = 0; i < 20; ++i) {
        timers.emplace_back(*pool, 100us, [&, held = counted_capture(captures)] {
          use();
          return 1;
        });
        timers.emplace_back(net::make_strand(*pool), 100us,
                            [&, held = counted_capture(captures)]() -> net::awaitable<int> {
                              use();
                              return hop_twice(held);
                            });
      }
      for (auto& t : timers) {
        t.start();
        ticked.push_back(t.wait({.hits = 1 + round}, net::use_future));
      }
      for (auto& each : ticked) each.get();
      pool->stop();
      pool->join();
      over = true;
      for (const auto& t : timers) CHECK(t.is_running());
      if (round % 2 == 0) timers.clear();
      pool.reset();
      for (const auto& t : timers) CHECK_FALSE(t.is_running());
    }
    CHECK(calls_when_over == 0);
    CHECK(captures == 0);
  }
}
