// Contract section 13: what becomes of a feed's values on their way, and who is told.
#include <doctest/doctest.h>

#include <algorithm>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "support/capture.hpp"
#include "support/feeds.hpp"
#include "support/fixture.hpp"
#include "support/immediate_executor.hpp"
#include "support/telling_executor.hpp"

using namespace test;
using async_timer::timer;

TEST_CASE_FIXTURE(counting_timer,
                  "13.1 feeds: a handler on an executor of no context waits as any other") {
  auto feed = t.subscribe();
  const auto got = std::make_shared<taken<int>>();
  feed.next(net::bind_executor(immediate_executor(), into(got)));
  CHECK_FALSE(got->done());
  start(1);
  CHECK(got->value == 1);
  CHECK(got->kind() == "");
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "13.1 feeds: a handler's executor may use the feed when asked") {
  auto feed = t.subscribe();
  telling_executor::calls to;
  const auto got = std::make_shared<taken<int>>();
  net::cancellation_signal signal;
  int queries = 0;
  const auto take_by = [&](auto what) {
    to.at_query = [&, what] {
      CHECK(feed.qsize() == 0);
      if (queries++ == 0) what();
    };
    feed.next(net::bind_cancellation_slot(signal.slot(),
                                          net::bind_executor(telling_executor(io, to), into(got))));
    clock.run_until_idle();
    CHECK(queries > 0);
  };
  SUBCASE("it looks") {
    take_by([] {});
    CHECK_FALSE(got->done());
    start(1);
    CHECK(got->value == 1);
  }
  SUBCASE("it closes the feed, which the wait sees") {
    take_by([&] { feed.close(); });
    CHECK(got->ended());
  }
  SUBCASE("it cancels the wait") {
    take_by([&] { signal.emit(net::cancellation_type::total); });
    CHECK(got->completions == 1);
    CHECK(got->kind() == "stopped");
  }
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(held_consumers,
                  "13.29, 13.7 feeds: a value that a cancelled wait gives to another is no drop") {
  const log_recorder log;
  auto feed = t.subscribe({.maxsize = 1});
  one first;
  one second;
  take_there(feed, first);
  take_there(feed, second);
  start(1);
  cancel(first);
  run_there();
  run_there();
  CHECK(first.got->kind() == "stopped");
  CHECK(second.got->value == 1);
  CHECK(feed.dropped_count() == 0);
  CHECK(log.records().empty());
  stop();
}

TEST_CASE_FIXTURE(virtual_context, "13.7 feeds: a dropped value is freed with no lock held") {
  struct asking {
    std::function<void()> at_end;
    ~asking() {
      if (at_end) at_end();
    }
  };
  using value = std::shared_ptr<asking>;
  async_timer::subscription<value>* asked = nullptr;
  int freed = 0;
  timer t{io, 1s, [&] {
            return value(new asking{[&] {
              ++freed;
              if (asked != nullptr) CHECK(asked->qsize() == 2);
            }});
          }};
  auto feed = t.subscribe({.maxsize = 2});
  asked = &feed;
  async_timer::set_log_sink([](const async_timer::log_record&) {});
  t.start();
  clock.advance(3s);
  async_timer::set_log_sink({});
  CHECK(freed == 2);
  asked = nullptr;
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context,
                  "13.1 feeds: once another tick has come, the handler is the last to keep its "
                  "value") {
  timer t{io, 1h, [] { return std::make_shared<int>(1); }};
  auto feed = t.subscribe();
  long owners = 0;
  feed.next([&](std::exception_ptr, std::optional<std::shared_ptr<int>> value) {
    clock.advance(1h);
    owners = value->use_count();
  });
  t.start();
  clock.run_until_idle();
  CHECK(owners == 1);
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE("13.7, 24.2 feeds: the default sink writes one line a second of a feed's drops") {
  const auto text = stderr_within_a_second([](const std::string& name) {
    counting_timer one;
    auto feed = one.t.subscribe({.maxsize = 1, .name = name});
    one.start(5);
    CHECK(feed.dropped_count() == 4);
    one.stop();
  });
  CHECK(std::ranges::count(text, '\n') == 1);
}
