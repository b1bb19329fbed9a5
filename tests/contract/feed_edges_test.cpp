// Contract section 13 where user code runs in the middle of a delivery, or a value comes back late.
#include <doctest/doctest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "support/feeds.hpp"
#include "support/fixture.hpp"

using namespace test;
using ints = std::vector<int>;

namespace {

/// Is a value whose end is told; copies share it.
class telling_value {
 public:
  telling_value() = default;
  explicit telling_value(std::function<void()> at_end)
      : end_(new int(0), [at_end = std::move(at_end)](int* number) {
          delete number;
          at_end();
        }) {}

 private:
  std::shared_ptr<int> end_;
};

/// Is a timer of such values, one a second.
class telling_timer : public virtual_context {
 public:
  std::function<void()> at_end = [] {};
  async_timer::timer<telling_value> t{io, 1s,
                                      [this] { return telling_value([this] { at_end(); }); }};
};

}  // namespace

TEST_CASE_FIXTURE(telling_timer,
                  "13.7, D19 feed: a value dropped for a newer one may ask the feed") {
  const log_recorder log;
  auto feed = t.subscribe({.maxsize = 1});
  int ends = 0;
  at_end = [&] { ends += static_cast<int>(feed.qsize()); };
  t.start();
  clock.advance(3s);
  CHECK(feed.dropped_count() == 3);
  CHECK(ends > 0);  // and did not wait for itself
  at_end = [] {};
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(telling_timer, "13.24, D19 drop_oldest: a value that goes may ask the feed") {
  auto feed = t.subscribe();
  t.start();
  clock.advance(3s);
  REQUIRE(feed.qsize() == 4);
  std::vector<std::int64_t> left;
  at_end = [&] { left.push_back(feed.qsize()); };
  CHECK(feed.drop_oldest(3) == 3);
  CHECK(left == std::vector<std::int64_t>{3, 2, 1});
  at_end = [] {};
  t.request_stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(counting_timer, "13.17, 13.28 close: by a log sink in the middle of a delivery") {
  auto full = t.subscribe({.maxsize = 1});
  auto other = t.subscribe();
  start(1);
  async_timer::set_log_sink([&](const async_timer::log_record&) { other.close(); });
  tick(1);
  async_timer::set_log_sink({});
  CHECK(full.dropped_count() == 1);
  CHECK(other.closed());
  CHECK(other.qsize() == 1);  // what came before the close, and nothing after it
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(held_consumers, "13.29, 13.1 next: three values come back in their order") {
  auto feed = t.subscribe();
  one consumers[3];
  for (auto& each : consumers) take_there(feed, each);
  start(4);
  for (auto& each : consumers) cancel(each);
  run_there();
  for (const auto& each : consumers) CHECK(each.got->kind() == "stopped");
  CHECK(drain(*this, feed) == ints{1, 2, 3, 4});
  stop();
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(held_consumers,
                  "13.29, 13.8 next: a drop for what came back is told, else none") {
  const log_recorder log;
  auto roomy = t.subscribe({.maxsize = 3});
  auto full = t.subscribe({.maxsize = 1, .name = "full"});
  one a;
  one b;
  one c;
  take_there(roomy, a);
  take_there(full, b);
  start(2);  // 1 is handed over, 2 is buffered
  cancel(a);
  run_there();
  CHECK(log.records().empty());
  take_there(full, c);
  REQUIRE(b.got->value == 1);
  tick(1);
  cancel(c);
  run_there();
  CHECK(full.dropped_count() == 1);
  REQUIRE(log.records().size() == 1);
  CHECK(log.records()[0].field("subscription_name") == "full");
  CHECK(log.records()[0].field("dropped_count") == "1");
  stop();
  CHECK(out_of_work());
}
