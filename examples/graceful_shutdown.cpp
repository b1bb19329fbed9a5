// A worker that is told to end: what is in flight is completed, within a deadline; nothing new is
// begun; what the deadline meets is cancelled, and cleans up.
#include <async_timer/async_timer.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/signal_set.hpp>
#include <chrono>
#include <csignal>
#include <exception>
#include <optional>
#include <stop_token>
#include <string_view>
#include <variant>

#include "support/command_line.hpp"
#include "support/output.hpp"

namespace {

namespace asio = boost::asio;
using namespace asio::experimental::awaitable_operators;
using namespace std::chrono_literals;
using support::say;

constexpr std::string_view help_text =
    "Works on orders until it is told to end, and completes the one in flight first.\n"
    "\n"
    "  --work TIME    how long an order takes, such as 500ms, 2s, 1m [1s]\n"
    "  --drain TIME   how long the work in flight may take to complete at the end [5s]\n"
    "  --for TIME     end by itself after this time\n";

struct options {
  support::duration work = 1s;
  support::duration drain = 5s;
  std::optional<support::duration> run_for;
};

//[order
/// Is the target: one order, with something to wait for in its middle.
asio::awaitable<int> work_on_order(int number, support::duration takes) {
  asio::steady_timer work(co_await asio::this_coro::executor, takes);
  say("order ", number, " begun");
  try {
    co_await work.async_wait(asio::use_awaitable);
  } catch (const boost::system::system_error&) {  // operation_aborted: cancelled where it waits
    say("order ", number, " cut off, put back");
    throw;
  }
  say("order ", number, " done");
  co_return number;
}
//]

/// Completes when the program is to end.
asio::awaitable<void> told_to_end(asio::signal_set& signals,
                                  std::optional<support::duration> run_for) {
  const auto wait_for_signal = [&signals]() -> asio::awaitable<void> {
    const int number = co_await signals.async_wait(asio::use_awaitable);
    say(number == SIGINT ? "SIGINT" : "SIGTERM", " received");
  };
  if (!run_for) {
    co_await wait_for_signal();
    co_return;
  }
  asio::steady_timer time(co_await asio::this_coro::executor, *run_for);
  const auto ended = co_await (time.async_wait(asio::use_awaitable) || wait_for_signal());
  if (ended.index() == 0) say("time is over");
}

//[run
asio::awaitable<void> run(const options& given) {
  const auto executor = co_await asio::this_coro::executor;
  std::stop_source shutdown;
  async_timer::timer_group workers{executor, {.name = "workers"}};

  // stop_on ends a run gracefully: a tick in flight goes on to its end and counts.
  async_timer::timer_options orders_options{
      .name = "orders", .stop_on = async_timer::stop_when(shutdown.get_token())};
  auto next_order = [&given, number = 0]() mutable { return work_on_order(++number, given.work); };
  auto& orders = workers.add(async_timer::timer{executor, 100ms, next_order, orders_options});

  async_timer::timer_options report_options{
      .name = "report", .stop_on = async_timer::stop_when(shutdown.get_token())};
  auto report = [&orders] { say("report: ", orders.hit_count(), " orders done"); };
  workers.add(async_timer::timer{executor, 500ms, report, report_options});

  asio::signal_set signals(executor, SIGINT, SIGTERM);
  auto end_and_deadline = [&]() -> asio::awaitable<void> {
    co_await told_to_end(signals, given.run_for);
    say("shutting down, ", orders.hit_count(), " orders done");
    shutdown.request_stop();
    asio::steady_timer deadline(executor, given.drain);
    co_await (deadline.async_wait(asio::use_awaitable) || told_to_end(signals, {}));
  };
  auto body = [&]() -> asio::awaitable<void> {
    // For the end of all runs. This wait is begun before the stop is requested: one that comes
    // afterwards finds timers that count as stopped, and has nothing to wait for.
    const auto first = co_await (workers.wait({.return_exceptions = true}) || end_and_deadline());
    say(first.index() == 0 ? "drained" : "no time left to drain");
  };
  // Whatever is still running by then is cancelled with cancel_all(), and waited for.
  co_await async_timer::scoped(workers, body);
  say("ended, ", orders.hit_count(), " orders done");
}
//]

}  // namespace

int main(int argc, char** argv) {
  options given;
  return support::run_program(
      argc, argv, help_text,
      {{"--work", &given.work}, {"--drain", &given.drain}, {"--for", &given.run_for}}, [&] {
        asio::io_context context(1);
        asio::co_spawn(context, run(given), [](std::exception_ptr failure) {
          if (failure) std::rethrow_exception(failure);
        });
        context.run();
      });
}
