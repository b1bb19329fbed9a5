// An HTTP server whose cache a timer refreshes from a database: the 30-second example of the
// README, grown up. It accepts connections only after the first successful refresh, reports in
// /healthz when refreshes keep failing, recovers by itself, and shuts down cleanly.
//
// The parts that know nothing of timers are in cache_warmup/: options, database, http_server.
#include <async_timer/async_timer.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/signal_set.hpp>
#include <chrono>
#include <csignal>
#include <exception>
#include <iomanip>
#include <iostream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

#include "cache_warmup/database.hpp"
#include "cache_warmup/http_server.hpp"
#include "cache_warmup/options.hpp"

namespace {

using namespace cache_warmup;
using namespace asio::experimental::awaitable_operators;

std::string what(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    return error.what();
  }
}

std::string seconds_since(std::chrono::steady_clock::time_point begin) {
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  std::ostringstream text;
  text << std::fixed << std::setprecision(3) << elapsed.count();
  return text.str();
}

/// Is the application. One thread runs all of it, so nothing here needs a lock.
class application {
 public:
  application(const asio::any_io_executor& executor, const options& given)
      : server_(executor, given.port, [this](std::string_view path) { return respond(path); }),
        database_(given.database),
        // The timer keeps the last value, so it is the cache. A value that is dear to copy is best
        // given as shared_ptr<const X>.
        cache_(executor, given.delay, [this] { return refresh(); },
               {.name = "products",
                .on_error = [this](async_timer::timer_ref, const std::exception_ptr& failure) {
                  report(failure);
                }}) {}

  asio::awaitable<void> run() {
    // The body has a name because g++ before 14 destroys closures beside co_await twice.
    auto body = [this]() -> asio::awaitable<void> {
      // The gate: the first success. A first failure is thrown here and ends the program, since a
      // database that was never readable is a mistake to be seen at once.
      co_await cache_.wait({.hit_count = 1});
      server_.listen();
      std::cout << "serving on http://127.0.0.1:" << server_.port() << "/" << std::endl;
      co_await (server_.accept() && keep_refreshing());
    };
    co_await async_timer::scoped(cache_, body);
  }

  void close_connections() { server_.close(); }

 private:
  using products = std::shared_ptr<const product_list>;

  // In a row. One failure may be a writer's lock; two mean that the refreshes keep failing.
  static constexpr int tolerated_failures = 1;

  /// Is the target. SQLite blocks, which is fine for a short query; a long one would be posted to a
  /// thread pool, and the target be a coroutine that awaits it.
  products refresh() {
    auto loaded = std::make_shared<const product_list>(database_.load_products());
    failures_in_a_row_ = 0;
    std::cout << "tick " << cache_.hit_count() + 1 << ": " << loaded->count << " rows" << std::endl;
    return loaded;
  }

  void report(const std::exception_ptr& failure) {
    ++failures_in_a_row_;
    std::cout << "tick failed (" << failures_in_a_row_ << " in a row): " << what(failure)
              << std::endl;
  }

  /// Starts the timer again after a failure, which by default ends its run; the cache keeps its
  /// last value meanwhile.
  asio::awaitable<void> keep_refreshing() {
    asio::steady_timer pause(cache_.get_executor());
    for (;;) {
      auto [failure, last] = co_await cache_.wait(asio::as_tuple(asio::use_awaitable));
      if (!failure || async_timer::is_stopped(failure)) {
        co_return;
      }
      pause.expires_after(cache_.delay());
      co_await pause.async_wait(asio::use_awaitable);
      cache_.start();
    }
  }

  answer respond(std::string_view path) {
    if (path == "/") return rows();
    if (path == "/healthz") return health();
    return {http::status::not_found, "text/plain", "there are / and /healthz\n"};
  }

  answer rows() const {
    // A snapshot, because value and time must be of the same tick.
    const auto now = cache_.snapshot();
    if (!now.last_result) {
      return {http::status::service_unavailable, "text/plain", "no rows yet\n"};
    }
    std::ostringstream json;
    json << "{\"tick\": " << now.hit_count
         << ", \"age_seconds\": " << seconds_since(*now.last_tick_at)
         << ", \"rows\": " << (*now.last_result)->json << "}\n";
    return {http::status::ok, "application/json", json.str()};
  }

  /// Derives the health from the timer at the moment of the question. Before the first success it
  /// is 503; as the server listens only after that, a client meets it as a refused connection
  /// instead, and either way a probe says "not ready". Afterwards it is 503 from the second failure
  /// in a row until a refresh succeeds again.
  answer health() const {
    if (cache_.hit_count() == 0) {
      return {http::status::service_unavailable, "text/plain", "warming up\n"};
    }
    if (failures_in_a_row_ > tolerated_failures) {
      return {http::status::service_unavailable, "text/plain",
              "refreshes keep failing: " + what(cache_.last_failure()) + "\n"};
    }
    return {http::status::ok, "text/plain", "ok\n"};
  }

  http_server server_;
  database database_;
  async_timer::timer<products> cache_;
  int failures_in_a_row_ = 0;
};

/// Runs the application until it fails, a signal arrives, or its time is over.
void run(const options& given) {
  asio::io_context context(1);
  application app(context.get_executor(), given);

  asio::cancellation_signal stop;
  asio::signal_set signals(context, SIGINT, SIGTERM);
  asio::steady_timer end(context);
  const auto request_stop = [&](const char* reason) {
    std::cout << reason << ", shutting down" << std::endl;
    signals.clear();  // a second signal ends the program the hard way
    end.cancel();
    stop.emit(asio::cancellation_type::terminal);
  };
  signals.async_wait([&](boost::system::error_code error, int number) {
    if (!error) request_stop(number == SIGINT ? "SIGINT" : "SIGTERM");
  });
  if (given.run_for) {
    end.expires_after(*given.run_for);
    end.async_wait([&](boost::system::error_code error) {
      if (!error) request_stop("time is over");
    });
  }

  // With the application gone and the rest cancelled, the context runs out of work by itself.
  std::exception_ptr outcome;
  const auto ended = [&](std::exception_ptr error) {
    outcome = std::move(error);
    app.close_connections();
    signals.cancel();
    end.cancel();
  };
  asio::co_spawn(context, app.run(), asio::bind_cancellation_slot(stop.slot(), ended));
  context.run();
  if (outcome && !async_timer::is_stopped(outcome)) {
    std::rethrow_exception(outcome);
  }
  std::cout << "bye" << std::endl;
}

int complain(const std::exception& error, int code) {
  std::cerr << "cache_warmup: " << error.what() << '\n';
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const auto given = parse_options({argv + 1, argv + argc});
    if (given.help) {
      std::cout << help_text;
      return 0;
    }
    run(given);
    return 0;
  } catch (const usage_error& error) {
    return complain(error, 2);
  } catch (const std::exception& error) {
    return complain(error, 1);
  }
}
