// One source, three consumers of different speed: each has a feed of its own, so the slow ones hold
// up nobody, and a bounded feed drops what is oldest instead of growing.
#include <async_timer/async_timer.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "support/command_line.hpp"
#include "support/output.hpp"
#include "support/run_until_stopped.hpp"

namespace {

namespace asio = boost::asio;
using namespace asio::experimental::awaitable_operators;
using support::say;

constexpr std::string_view help_text =
    "One source of numbers, and consumers of different speed with feeds of their own.\n"
    "\n"
    "  --period TIME  the time between two numbers, such as 100ms, 2s, 1m [100ms]\n"
    "  --slow TIME    how long a slow consumer takes for one [350ms]\n"
    "  --buffer N     how many numbers are kept for a slow consumer [4]\n"
    "  --for TIME     end by itself after this time\n";

struct options {
  support::duration period = std::chrono::milliseconds(100);
  support::duration slow = std::chrono::milliseconds(350);
  int buffer = 4;
  std::optional<support::duration> run_for;
};

using feed = async_timer::subscription<int>;

/// Consumes all that the feed has for it, one after the other.
//[consume
asio::awaitable<void> consume(std::string_view name, feed& numbers, support::duration takes) {
  asio::steady_timer work(co_await asio::this_coro::executor);
  std::int64_t received = 0;
  for (;;) {
    const auto number = co_await numbers.next();
    if (!number) break;  // the source has stopped, and what was left is consumed
    ++received;
    say(name, " got ", *number, ", ", numbers.qsize(), " behind, ", numbers.dropped_count(),
        " dropped");
    work.expires_after(takes);
    co_await work.async_wait(asio::use_awaitable);
  }
  say(name, " ends: ", received, " received, ", numbers.dropped_count(), " dropped");
}
//]

//[shed_load
/// Wants what is new: when it is behind it drops the backlog itself.
asio::awaitable<void> consume_newest(std::string_view name, feed& numbers,
                                     support::duration takes) {
  asio::steady_timer work(co_await asio::this_coro::executor);
  std::int64_t received = 0;
  for (;;) {
    if (numbers.qsize() > 1) numbers.drop_oldest(numbers.qsize() - 1);
    const auto number = co_await numbers.next();
    if (!number) break;
    ++received;
    say(name, " got ", *number, ", ", numbers.dropped_count(), " dropped");
    work.expires_after(takes);
    co_await work.async_wait(asio::use_awaitable);
  }
  say(name, " ends: ", received, " received, ", numbers.dropped_count(), " dropped");
}
//]

//[run
asio::awaitable<void> run(const options& given, std::stop_token stop) {
  const auto executor = co_await asio::this_coro::executor;
  async_timer::timer_options ticking{.mode = async_timer::mode::fixed_rate,
                                     .name = "source",
                                     .stop_on = async_timer::stop_when(stop)};
  auto count = [number = 0]() mutable { return ++number; };
  async_timer::timer source{executor, given.period, count, ticking};

  // Subscribed before the start, so that nobody misses the first number.
  auto all = source.subscribe({.name = "journal"});                            // unbounded
  auto some = source.subscribe({.maxsize = given.buffer, .name = "archive"});  // drop oldest
  auto newest = source.subscribe({.maxsize = given.buffer, .name = "dashboard"});

  auto body = [&]() -> asio::awaitable<void> {
    co_await (consume("journal", all, given.period / 10) && consume("archive", some, given.slow) &&
              consume_newest("dashboard", newest, given.slow));
  };
  co_await async_timer::scoped(source, body);
  say("source ends: ", source.hit_count(), " numbers");
}
//]

}  // namespace

int main(int argc, char** argv) {
  options given;
  return support::run_program(
      argc, argv, help_text,
      {{"--period", &given.period},
       {"--slow", &given.slow},
       {"--buffer", &given.buffer},
       {"--for", &given.run_for}},
      [&] {
        asio::io_context context(1);
        // Not cancelled but stopped: the source ends, the consumers drain their feeds and end.
        std::stop_source stop;
        support::end_watch watch(context, given.run_for, [&] { stop.request_stop(); });
        asio::co_spawn(context, run(given, stop.get_token()), [&](std::exception_ptr failure) {
          watch.cancel();
          if (failure) std::rethrow_exception(failure);
        });
        context.run();
      });
}
