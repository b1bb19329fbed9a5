// Words for tests of feeds: take one value, read on until the end, drain what is buffered.
#ifndef ASYNC_TIMER_TESTS_SUPPORT_FEEDS_HPP
#define ASYNC_TIMER_TESTS_SUPPORT_FEEDS_HPP

#include <async_timer/async_timer.hpp>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/fixture.hpp"

namespace test {

/// Is the outcome of one next().
template <class Item>
struct taken {
  int completions = 0;
  std::exception_ptr error;
  std::optional<Item> value;

  [[nodiscard]] bool done() const { return completions > 0; }
  [[nodiscard]] std::string kind() const { return kind_of(error); }
  /// Tells whether it was the end, and not a failure.
  [[nodiscard]] bool ended() const { return completions == 1 && !error && !value; }
};

/// Makes a handler of next() that stores what it gets.
template <class Item>
auto into(std::shared_ptr<taken<Item>> result) {
  return [result](std::exception_ptr error, std::optional<Item> value) {
    ++result->completions;
    result->error = std::move(error);
    result->value = std::move(value);
  };
}

/// Begins one next(); its outcome may come later, even after the test's end.
template <class T, class Item>
std::shared_ptr<taken<Item>> take(async_timer::subscription<T, Item>& feed) {
  auto result = std::make_shared<taken<Item>>();
  feed.next(into(result));
  return result;
}

/// Takes all values that are buffered now.
template <class T, class Item>
std::vector<Item> drain(virtual_context& context, async_timer::subscription<T, Item>& feed) {
  std::vector<Item> values;
  while (feed.qsize() > 0) {
    const auto one = take(feed);
    context.clock.run_until_idle();
    if (!one->value) throw std::logic_error("a buffered value was not given");
    values.push_back(std::move(*one->value));
  }
  return values;
}

/// Is what a consumer got that reads on until the end.
template <class Item>
struct reading {
  std::vector<Item> values;
  int ends = 0;  ///< with an error or without
  std::exception_ptr error;
};

template <class T, class Item>
void read_on(async_timer::subscription<T, Item>& feed, reading<Item>& got) {
  feed.next([&feed, &got](std::exception_ptr error, std::optional<Item> value) {
    if (error || !value) {
      ++got.ends;
      got.error = std::move(error);
      return;
    }
    got.values.push_back(std::move(*value));
    read_on(feed, got);
  });
}

/// Is a timer in virtual time whose n-th tick has the value n, one a second.
class counting_timer : public virtual_context {
 public:
  int n = 0;
  async_timer::timer<int> t{io, 1s, [this] { return ++n; }};

  /// Lets so many ticks pass, the timer is running and rests between two ticks.
  void tick(int count) { clock.advance(std::chrono::seconds(count)); }
  /// Starts, with so many ticks at least one.
  void start(int count) {
    t.start();
    tick(count - 1);
  }
  void stop() {
    t.request_stop();
    clock.run_until_idle();
  }
};

/// Is a counting timer whose feed is consumed on another context, so that a completion can be held
/// back between the hand-over of the value and the call of the handler.
class held_consumers : public counting_timer {
 public:
  net::io_context there{1};

  struct one {
    net::cancellation_signal signal;
    std::shared_ptr<taken<int>> got = std::make_shared<taken<int>>();
  };
  void take_there(async_timer::subscription<int>& feed, one& by) {
    feed.next(
        net::bind_cancellation_slot(by.signal.slot(), net::bind_executor(there, into(by.got))));
  }
  void run_there() {
    there.restart();
    there.poll();
  }
  static void cancel(one& by) { by.signal.emit(net::cancellation_type::total); }
};

}  // namespace test

#endif  // ASYNC_TIMER_TESTS_SUPPORT_FEEDS_HPP
