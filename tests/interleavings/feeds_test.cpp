// Feeds: filled by ticks, read, cancelled, closed, destroyed and ended by different threads.
#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "interleavings/world.hpp"
#include "support/tokens.hpp"

using namespace test;

namespace {

using int_feed = async_timer::subscription<int>;

/// Reads a feed until its end.
class reader {
 public:
  explicit reader(int_feed& feed) : feed_(feed) {}
  void begin() {
    feed_.next([this](std::exception_ptr, std::optional<int> value) {
      if (!value) {
        ++ends;
        return;
      }
      values.push_back(*value);
      begin();
    });
  }

  std::vector<int> values;
  int ends = 0;

 private:
  int_feed& feed_;
};

/// Checks that values follow each other without a gap.
void expect_no_gap(execution& run, const std::vector<int>& values) {
  for (std::size_t i = 1; i < values.size(); ++i) {
    run.expect(values[i] == values[i - 1] + 1, "a value is lost, or comes twice");
  }
}

/// Gives first, first + 1, ... last.
std::vector<int> from_to(int first, int last) {
  std::vector<int> all(static_cast<std::size_t>(std::max(0, last - first + 1)));
  std::iota(all.begin(), all.end(), first);
  return all;
}

}  // namespace

TEST_CASE("13.1, 13.2, 13.17, 13.22 subscribe meets ticks, close, and the end of another feed") {
  explore("subscribe meets ticks and close", [](execution& run) {
    one_timer one(run);
    one.start_sleeping();
    auto other = std::make_optional(one.t->subscribe());
    auto late = std::optional<int_feed>();
    run.together([&] { one.w.serve_for(2); },
                 [&] {
                   late.emplace(one.t->subscribe());
                   late->close();
                 },
                 [&] { other.reset(); });
    reader reads(*late);
    reads.begin();
    one.w.clock.run_until_idle();
    expect_no_gap(run, reads.values);
    run.expect_equal(reads.ends, 1, "ends");
    run.expect(late->closed(), "it is not closed");
    one.end(run);
  });
}

TEST_CASE(
    "13.1, 13.2, 13.10 subscribe meets ticks and the end: every tick from then on, then the end") {
  explore("subscribe meets ticks and the end", [](execution& run) {
    one_timer one(run);
    one.start_sleeping();
    std::optional<int_feed> feed;
    run.together([&] { one.w.serve_for(1); }, [&] { feed.emplace(one.t->subscribe()); },
                 [&] { one.t->request_stop(); });
    const int last = one.told.ticks;
    const bool of_next_run = !feed->closed();
    reader reads(*feed);
    reads.begin();
    if (of_next_run) {
      one.told.start(*one.t);
      one.w.clock.run_until_idle();
      run.expect(reads.values == from_to(last + 1, last + 1), "not the first tick of the next run");
    } else {
      one.w.clock.run_until_idle();
      expect_no_gap(run, reads.values);
      run.expect(reads.values.empty() || reads.values.back() == last, "the last value is lost");
      run.expect_equal(reads.ends, 1, "ends");
    }
    one.end(run);
    run.expect_equal(reads.ends, 1, "ends");
  });
}

TEST_CASE("13.29, 13.10 next meets a value, its own cancellation and the end: no value is lost") {
  explore_long(
      "next of a feed meets a value, cancellation and the end", {}, one_preemption,
      [](execution& run) {
        one_timer one(run, 2);
        one.start_sleeping();
        auto feed = one.t->subscribe();
        const auto strand = net::make_strand(one.w.io);
        net::cancellation_signal signal;
        feed.next(net::bind_cancellation_slot(
            signal.slot(), net::bind_executor(strand, one.done.handler("next"))));
        run.together([&] { one.w.serve_for(1); }, [&] { one.w.serve(); },
                     [&] {
                       net::post(strand, [&] { signal.emit(net::cancellation_type::terminal); });
                       one.t->request_stop();
                     });
        const auto& first = one.done["next"];
        run.expect(first.text() == "stopped" || first.text() == "2" || first.text().empty(),
                   "the outcome of next is " + first.text());
        reader reads(feed);
        reads.begin();
        one.w.clock.run_until_idle();
        const auto got = static_cast<int>(reads.values.size()) + (first.value ? 1 : 0);
        run.expect_equal(got, one.told.ticks - 1, "values read");
        run.expect_equal(reads.ends, 1, "ends");
        one.end(run);
      });
}

TEST_CASE("13.16, D18 two consumers on two threads: each value to one of them, the end to both") {
  explore("two consumers", [](execution& run) {
    one_timer one(run, 2);
    one.start_sleeping();
    auto feed = one.t->subscribe();
    reader first(feed);
    reader second(feed);
    run.together(
        [&] {
          first.begin();
          one.w.serve_for(2);
        },
        [&] {
          second.begin();
          one.w.serve();
        });
    one.t->request_stop();
    one.w.clock.run_until_idle();
    auto all = first.values;
    all.insert(all.end(), second.values.begin(), second.values.end());
    std::sort(all.begin(), all.end());
    run.expect(all == from_to(2, one.told.ticks), "a value is lost, or comes twice");
    run.expect_equal(first.ends + second.ends, 2, "ends");
    one.end(run);
  });
}

TEST_CASE("13.7, 13.8, 13.24 drop_oldest and next meet ticks of a full feed: the sums agree") {
  explore("drop_oldest meets ticks of a full feed", [](execution& run) {
    one_timer one(run);
    one.start_sleeping();
    auto feed = one.t->subscribe({.maxsize = 1});
    std::int64_t dropped = 0;
    run.together([&] { one.w.serve_for(2); }, [&] { dropped = feed.drop_oldest(); },
                 [&] { feed.next(one.done.handler("next")); });
    const std::int64_t consumed = one.done["next"].value ? 1 : 0;
    run.expect_equal(consumed + feed.dropped_count() + feed.qsize(), std::int64_t{2}, "values");
    run.expect(feed.dropped_count() >= dropped, "dropped_count is too low");
    run.expect(feed.qsize() <= 1, "the feed is too long");
    one.end(run);
  });
}

TEST_CASE("13.23, 13.22, D9 the end of the timer's handle meets next and the end of the feed's") {
  explore("the end of the timer meets next", [](execution& run) {
    one_timer one(run);
    one.start_sleeping();
    auto feed = std::make_optional(one.t->subscribe());
    auto other = std::make_optional(one.t->subscribe());
    run.together([&] { one.w.serve_for(1); }, [&] { one.t.reset(); },
                 [&] {
                   feed->next(one.done.handler("next"));
                   other.reset();
                 });
    const auto text = one.done["next"].text();
    run.expect(text.empty() || text == "2", "the outcome of next is " + text);
    feed.reset();
    one.end(run);
  });
}

TEST_CASE("13.17, 13.20, 13.29 close meets a value on its way to next") {
  explore("close meets a value on its way", [](execution& run) {
    one_timer one(run);
    one.start_sleeping();
    auto feed = one.t->subscribe();
    feed.next(one.done.handler("next"));
    run.together([&] { one.w.serve_for(1); }, [&] { feed.close(); },
                 [&] { feed.next(one.done.handler("second next")); });
    const auto first = one.done["next"].text();
    run.expect(first.empty() || first == "2", "the outcome of next is " + first);
    run.expect(one.done["second next"].text().empty(), "the second one got a value");
    one.end(run);
  });
}
