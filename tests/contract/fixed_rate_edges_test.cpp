// Contract sections 4 and 24: fixed_rate where ticks come late, and who is told.
#include <doctest/doctest.h>

#include <algorithm>
#include <stop_token>
#include <string>

#include "support/capture.hpp"
#include "support/fixture.hpp"
#include "support/sleeping_context.hpp"
#include "support/text.hpp"
#include "support/times.hpp"

using namespace test;
using async_timer::mode;
using async_timer::timer;

namespace {

/// Is a context on whose one thread a target keeps all others waiting: time goes on, nobody runs.
class busy_context : public virtual_context {
 public:
  times at;
  std::chrono::nanoseconds busy_for = 300ms;
  timer<void> blocker{io, 24h, [this] {
                        async_timer::detail::scheduler_service::of(io.get_executor())
                            ->set_virtual_now(clock.now() + busy_for);
                      }};

  [[nodiscard]] auto noting() {
    return [this] { at.push_back(elapsed()); };
  }
};

}  // namespace

TEST_CASE_FIXTURE(busy_context,
                  "4.1, 4.2 fixed_rate: a first tick that comes late leaves the grid where it was "
                  "due, triggered meanwhile or not") {
  timer t{io, 1s, noting(), {.mode = mode::fixed_rate}};
  blocker.start();
  t.start();
  outcome<void*> triggered;
  SUBCASE("as it is") {}
  SUBCASE("a trigger finds it on its way") { t.trigger(into(triggered)); }
  clock.advance(2500ms);
  CHECK(at == times{300ms, 1s, 2s});
  CHECK(triggered.kind() == "");
  blocker.request_stop();
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(busy_context,
                  "4.2, 21.8 fixed_rate: a mock whose tick comes late, by more than its delay, "
                  "stays on its grid, too") {
  busy_for = 1300ms;
  async_timer::mock_timer t{io, 1s, noting(), {.mode = mode::fixed_rate}};
  t.start();
  clock.advance(900ms);
  blocker.start();
  clock.advance(3500ms);
  CHECK(at == times{0s, 2200ms, 3s, 4s});
  blocker.request_stop();
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(sleeping_context,
                  "4.5, 18.2 fixed_rate: a run that ends with a late tick warns of no slots") {
  const log_recorder log;
  std::stop_source source;
  timer t{io,
          1s,
          [&]() -> net::awaitable<void> {
            auto work = pause(5s);
            co_await std::move(work);
          },
          {.mode = mode::fixed_rate, .stop_on = async_timer::stop_when(source.get_token())}};
  t.start();
  clock.advance(1s);
  source.request_stop();
  clock.advance(10s);
  CHECK_FALSE(t.is_running());
  CHECK(t.hit_count() == 1);
  CHECK(log.records().empty());
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(sleeping_context,
                  "4.5, 14.2 fixed_rate: a trigger by who is told of missed slots is the next "
                  "tick, at once") {
  std::chrono::nanoseconds takes{2500ms};
  times at;
  timer t{io,
          1s,
          [&]() -> net::awaitable<int> {
            at.push_back(elapsed());
            auto work = pause(takes);
            takes = 0ns;
            co_await std::move(work);
            co_return static_cast<int>(at.size());
          },
          {.mode = mode::fixed_rate}};
  outcome<int> triggered;
  async_timer::set_log_sink([&](const async_timer::log_record& record) {
    CHECK(record.event == "async_timer.fixed_rate_skip");
    t.trigger(into(triggered));
  });
  t.start();
  clock.advance(2500ms);
  async_timer::set_log_sink({});
  CHECK(at == times{0s, 2500ms});
  CHECK(triggered.completions == 1);
  CHECK(triggered.value == 2);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(sleeping_context,
                  "4.5, 18.1, 18.2 fixed_rate: a stop signal given by who is told of missed slots "
                  "ends the run after that tick") {
  std::stop_source source;
  int stops = 0;
  timer t{io,
          1s,
          [&]() -> net::awaitable<void> {
            auto work = pause(2500ms);
            co_await std::move(work);
          },
          {.mode = mode::fixed_rate,
           .on_stop = [&] { ++stops; },
           .stop_on = async_timer::stop_when(source.get_token())}};
  async_timer::set_log_sink([&](const async_timer::log_record&) { source.request_stop(); });
  t.start();
  clock.advance(10s);
  async_timer::set_log_sink({});
  CHECK(source.stop_requested());
  CHECK(stops == 1);
  CHECK(t.hit_count() == 1);
  CHECK_FALSE(t.is_running());
  CHECK(out_of_work());
}

TEST_CASE("4.5, 24.2 fixed_rate: timers that fall behind don't hold back each other's warning") {
  const auto text = stderr_within_a_second([](const std::string& attempt) {
    sleeping_context context;
    const auto make = [&](const char* name) {
      return timer{context.io,
                   1s,
                   [&context]() -> net::awaitable<void> {
                     auto work = context.pause(2500ms);
                     co_await std::move(work);
                   },
                   {.mode = mode::fixed_rate, .name = name + attempt}};
    };
    auto first = make("first");
    auto second = make("second");
    first.start();
    second.start();
    context.clock.advance(6s);
    first.request_stop();
    second.request_stop();
    CHECK(context.out_of_work());
  });
  CHECK(std::ranges::count(text, '\n') == 2);
  CHECK(contains(text, "fixed_rate fell behind"));
}
