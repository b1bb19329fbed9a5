// Stop signals that fire while the run begins, ticks, is cancelled, or ends.
#include <doctest/doctest.h>

#include <optional>
#include <stop_token>
#include <utility>

#include "interleavings/world.hpp"
#include "support/tokens.hpp"

using namespace test;

namespace {

/// Is an operation that the test completes or that is cancelled, as a signal.
class hand_made {
 public:
  template <class Token>
  auto operator()(Token&& token) {
    return net::async_initiate<Token, void(async_timer::error_code)>(
        [this](auto handler) { timer_.async_wait(std::move(handler)); }, token);
  }
  explicit hand_made(net::io_context& io)
      : timer_(io, std::chrono::steady_clock::time_point::max()) {}
  /// Completes it, on the context.
  void fire() { timer_.cancel(); }

 private:
  net::steady_timer timer_;
};

}  // namespace

TEST_CASE("18.1, 18.3, 16.6 a stop_token fires on a thread of its own while cancel ends the run") {
  explore("a stop_token meets cancel", [](execution& run) {
    std::stop_source source;
    story told;
    book done;
    {
      world w(run);
      auto options = told.options();
      options.stop_on = async_timer::stop_when(source.get_token());
      async_timer::timer<int> t{w.io, 1s, told.target(), std::move(options)};
      told.start(t);
      w.clock.run_until_idle();
      run.together([&] { w.serve(); }, [&] { source.request_stop(); },
                   [&] { t.cancel(done.handler("cancel")); });
      w.finish();
      run.expect(!t.is_running(), "it runs after both");
    }
    done.expect_each_once(run);
    told.expect_all_over(run);
  });
}

TEST_CASE("18.1, 18.7, D28 a stop_token fires while the run begins") {
  explore("a stop_token meets start", [](execution& run) {
    std::stop_source source;
    story told;
    book done;
    {
      world w(run);
      auto options = told.options();
      options.stop_on = async_timer::stop_when(source.get_token());
      async_timer::timer<int> t{w.io, 1s, told.target(), std::move(options)};
      run.together(
          [&] {
            told.start(t);
            w.serve();
          },
          [&] {
            source.request_stop();
            t.wait(done.handler("wait"));
          });
      w.finish();
      run.expect(!t.is_running(), "it runs after the signal");
      run.expect(told.ticks <= 1, "it ticked after the signal");
    }
    done.expect_each_once(run);
    told.expect_all_over(run);
  });
}

TEST_CASE("18.1, 18.11 the end of another timer meets a tick and cancel, on two threads") {
  explore("the end of another timer meets cancel", one_preemption, [](execution& run) {
    story told;
    story other_told;
    book done;
    {
      world w(run, 2);
      async_timer::timer<int> other{w.io, 1s, other_told.target(), other_told.options()};
      other_told.start(other);
      auto options = told.options();
      options.stop_on = async_timer::stop_when(other);
      async_timer::timer<int> t{w.io, 1s, told.target(), std::move(options)};
      told.start(t);
      w.clock.run_until_idle();
      run.together([&] { w.serve_for(1); }, [&] { w.serve(); },
                   [&] {
                     other.request_stop();
                     t.cancel(done.handler("cancel"));
                   });
      w.finish();
      run.expect(!t.is_running(), "it runs after both");
    }
    done.expect_each_once(run);
    told.expect_all_over(run);
    other_told.expect_all_over(run);
  });
}

TEST_CASE("18.1, D27 the end of another context's timer meets the end of this run and context") {
  explore("the end of a timer elsewhere meets the end of the context", one_preemption,
          [](execution& run) {
            story told;
            story other_told;
            book done;
            world there(run);
            async_timer::timer<int> other{there.io, 1s, other_told.target(), other_told.options()};
            other_told.start(other);
            std::optional<world> here(std::in_place, run);
            auto options = told.options();
            options.stop_on = async_timer::stop_when(other);
            async_timer::timer<int> t{here->io, 1s, told.target(), std::move(options)};
            told.start(t);
            here->clock.run_until_idle();
            there.clock.run_until_idle();
            other.request_stop();
            bool is_over = false;
            t.cancel(done.handler("cancel", [&] { is_over = true; }));
            run.together([&] { there.serve(); },
                         [&] {
                           do {
                             here->poll();
                           } while (!is_over && stage::rest());
                           here.reset();
                         });
            there.finish();
            run.expect(is_over, "cancel did not complete");
            run.expect(!t.is_running(), "it runs after cancel");
            done.expect_each_once(run);
            run.expect_equal(told.stops, 1, "on_stop calls");
          });
}

TEST_CASE("18.1, 18.5, D27 an operation completes while cancel lets go of it, on two threads") {
  explore("an operation as a signal meets cancel", one_preemption, [](execution& run) {
    story told;
    book done;
    {
      world w(run, 2);
      hand_made signal(w.io);
      auto options = told.options();
      options.stop_on =
          async_timer::stop_when([&signal](auto handler) { signal(std::move(handler)); });
      async_timer::timer<int> t{w.io, 1s, told.target(), std::move(options)};
      told.start(t);
      w.clock.run_until_idle();
      run.together(
          [&] {
            signal.fire();
            w.serve();
          },
          [&] { w.serve(); }, [&] { t.cancel(done.handler("cancel")); });
      w.finish();
      run.expect(!t.is_running(), "it runs after both");
    }
    done.expect_each_once(run);
    told.expect_all_over(run);
  });
}

TEST_CASE("18.1, 18.9, 16.6 a stop_token fires while the target ends the run by itself") {
  explore("a stop_token meets the end of the target", [](execution& run) {
    std::stop_source source;
    story told;
    book done;
    {
      world w(run);
      auto options = told.options();
      options.stop_on = async_timer::stop_when(source.get_token());
      const auto ends_soon = [&] {
        if (told.ticks == 1) throw async_timer::end_of_ticks{};
        return ++told.ticks;
      };
      async_timer::timer<int> t{w.io, 1s, ends_soon, std::move(options)};
      told.start(t);
      w.clock.run_until_idle();
      t.wait(done.handler("wait"));
      run.together([&] { w.serve_for(1); }, [&] { source.request_stop(); });
      w.finish();
      run.expect(!t.is_running(), "it runs after its end");
      run.expect_equal(told.failures, 0, "failures");
    }
    done.expect_each_once(run);
    told.expect_all_over(run);
  });
}

TEST_CASE("18.1, D9 a stop_token fires while the handle ends") {
  explore("a stop_token meets the end of the handle", [](execution& run) {
    std::stop_source source;
    story told;
    book done;
    {
      world w(run);
      auto options = told.options();
      options.stop_on = async_timer::stop_when(source.get_token());
      auto t =
          std::make_optional<async_timer::timer<int>>(w.io, 1s, told.target(), std::move(options));
      told.start(*t);
      w.clock.run_until_idle();
      run.together([&] { w.serve(); }, [&] { source.request_stop(); }, [&] { t.reset(); });
      w.finish();
    }
    told.expect_all_over(run);
  });
}
