// Timers on a thread pool, controlled by threads that know nothing of Asio: the blocking forms,
// what they return, and what they throw.
#include <async_timer/async_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <exception>
#include <optional>
#include <string_view>
#include <thread>

#include "support/command_line.hpp"
#include "support/output.hpp"
#include "support/run_until_stopped.hpp"

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using support::say;

constexpr std::string_view help_text =
    "Timers on a thread pool, triggered and cancelled by plain threads.\n"
    "\n"
    "  --pause TIME   the time between two calls of a thread, such as 500ms, 2s, 1m [200ms]\n"
    "  --work TIME    how long the slow target takes [500ms]\n"
    "  --patience TIME\n"
    "                 how long a cancellation is waited for [5s]\n"
    "  --for TIME     end by itself after this time\n";

struct options {
  support::duration pause = 200ms;
  support::duration work = 500ms;
  support::duration patience = 5s;
  std::optional<support::duration> run_for;
};

/// Is what a thread of the application does all day: have a value made now, and use it.
//[trigger
void keep_triggering(async_timer::timer<int>& timer, async_timer::interval patience,
                     support::duration pause) {
  for (;;) {
    try {
      const int value = timer.trigger_threadsafe(patience);
      say(timer.name(), ": got ", value);
    } catch (const async_timer::timeout_error& error) {
      say(timer.name(), ": ", error.what());  // the tick may still come; a next call takes it
    } catch (const async_timer::timer_not_running_error& error) {
      say(timer.name(), ": ", error.what());
      return;
    } catch (...) {
      if (!async_timer::is_stopped(std::current_exception())) throw;
      say(timer.name(), ": stopped while this thread waited");
      return;
    }
    std::this_thread::sleep_for(pause);
  }
}
//]

void run(const options& given) {
  // Signals have a context of their own, and are caught from the beginning.
  asio::io_context signals;
  support::end_watch watch(signals, given.run_for, [] {});

  //[timers
  asio::thread_pool pool{4};
  // Only triggered: their own schedule is an hour away.
  async_timer::timer_options quick_options{.initial_delay = 1h, .name = "quick"};
  async_timer::timer_options slow_options{.initial_delay = 1h, .name = "slow"};
  auto count = [n = 0]() mutable { return ++n; };
  auto count_slowly = [n = 0, work = given.work]() mutable {
    std::this_thread::sleep_for(work);  // one thread of the pool; the others serve the rest
    return ++n;
  };
  async_timer::timer quick{pool, 1h, count, quick_options};
  async_timer::timer slow{pool, 1h, count_slowly, slow_options};
  //]

  //[misuse
  const auto refused = [&](std::string_view where) {
    try {
      quick.trigger_threadsafe(1s);
    } catch (const async_timer::threadsafe_dispatch_error& error) {
      say(where, ": ", error.what());
    }
  };
  refused("before start()");
  quick.start();
  slow.start();
  // A thread of the pool would wait for itself, so it is refused instead.
  asio::post(pool, asio::use_future([&] { refused("on the pool"); })).get();
  //]

  std::thread patient([&] { keep_triggering(quick, 5s, given.pause); });
  std::thread impatient([&] { keep_triggering(slow, given.work / 2, given.pause); });

  signals.run();  // this thread waits for the end

  //[cancel
  const auto cancel = [&](async_timer::timer<int>& timer) {
    try {
      timer.cancel_threadsafe(given.patience);  // returns when nothing is left of the run
    } catch (const async_timer::timeout_error& error) {
      say(timer.name(), ": ", error.what());  // it goes on by itself: no tick comes any more
    }
  };
  cancel(quick);
  cancel(slow);
  // Who waits for a tick was told, and who asks now is told, too; so the threads end.
  patient.join();
  impatient.join();
  pool.join();
  //]
  say("quick ticked ", quick.hit_count(), " times, slow ", slow.hit_count());
}

}  // namespace

int main(int argc, char** argv) {
  options given;
  return support::run_program(argc, argv, help_text,
                              {{"--pause", &given.pause},
                               {"--work", &given.work},
                               {"--patience", &given.patience},
                               {"--for", &given.run_for}},
                              [&] { run(given); });
}
