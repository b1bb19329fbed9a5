// A component that polls and backs off, and its tests, which don't wait: they look at how long it
// would have slept. Framework-free, so that it can be read at once; in doctest `expect` is CHECK.
#include <algorithm>
#include <async_timer/async_timer.hpp>
#include <async_timer/testing.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "support/command_line.hpp"
#include "support/output.hpp"

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using support::say;

constexpr std::string_view help_text =
    "Tests a component that polls and backs off, in no time.\n"
    "\n"
    "  --limit TIME   the longest pause of the component, such as 500ms, 2s, 1m [1m]\n";

//[component
/// Asks a source at each tick; doubles the pause while it has nothing, up to a limit. It takes any
/// timer, and so can't tell that one notes its sleeps in place of sleeping.
class poller {
 public:
  poller(async_timer::timer<bool>& timer, std::chrono::nanoseconds limit)
      : timer_(timer), first_(timer.delay()), limit_(limit) {}

  /// Says how the source answered, and passes it on.
  bool answered(bool found) {
    timer_.set_delay(found ? first_ : std::min(2 * timer_.delay(), limit_));
    return found;
  }

 private:
  async_timer::timer<bool>& timer_;
  std::chrono::nanoseconds first_;
  std::chrono::nanoseconds limit_;
};
//]

void expect(bool holds, std::string_view what) {
  if (!holds) throw std::runtime_error("does not hold: " + std::string(what));
  say("ok: ", what);
}

//[harness
using sleeps = std::vector<std::chrono::nanoseconds>;

/// Runs the component against a source that answers as given, and returns how long it slept.
sleeps slept_between(const std::vector<bool>& answers, std::chrono::nanoseconds limit) {
  asio::io_context context;
  poller* component = nullptr;
  std::size_t asked = 0;
  auto ask = [&] { return component->answered(answers.at(asked++)); };
  async_timer::mock_timer timer{context, 1s, ask};
  poller under_test{timer, limit};
  component = &under_test;
  timer.on_sleep([&](std::chrono::nanoseconds) {
    if (asked == answers.size()) timer.request_stop();
  });
  timer.start();
  context.run();  // returns at once: nobody sleeps
  return timer.sleeps();
}
//]

void run(std::chrono::nanoseconds limit) {
  const auto begin = std::chrono::steady_clock::now();
  //[tests
  expect(slept_between({true, true}, limit) == sleeps{1s, 1s}, "polls steadily while it finds");
  expect(slept_between({false, false, false}, limit) == sleeps{2s, 4s, 8s}, "backs off");
  expect(slept_between({false, false, true}, limit) == sleeps{2s, 4s, 1s}, "comes back at once");
  const auto long_silence = slept_between(std::vector<bool>(100, false), limit);
  expect(long_silence.back() == limit, "never pauses for longer than the limit");
  //]
  const auto slept = std::chrono::duration_cast<std::chrono::minutes>(limit * 100);
  const auto took = std::chrono::steady_clock::now() - begin;
  say("about ", slept.count(), " minutes of sleep in ",
      std::chrono::duration_cast<std::chrono::milliseconds>(took).count(), " ms");
}

}  // namespace

int main(int argc, char** argv) {
  support::duration limit = 1min;
  return support::run_program(argc, argv, help_text, {{"--limit", &limit}}, [&] {
    if (limit < 8s) throw support::usage_error("--limit must be at least 8s");
    run(limit);
  });
}
