// An HTTP server whose cache a timer refreshes from a database: the 30-second example of the
// README, grown up. It accepts connections only after the first successful refresh, reports in
// /healthz when refreshes keep failing, recovers by itself, and shuts down cleanly.
//
// What knows nothing of timers is elsewhere: cache_warmup/database.hpp, and what all examples share
// in support/.
#include <async_timer/async_timer.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <chrono>
#include <cstdint>
#include <exception>
#include <iomanip>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

#include "cache_warmup/database.hpp"
#include "support/command_line.hpp"
#include "support/http_server.hpp"
#include "support/keep_running.hpp"
#include "support/output.hpp"
#include "support/run_until_stopped.hpp"

namespace {

using namespace cache_warmup;
using namespace support;
using namespace asio::experimental::awaitable_operators;

constexpr std::string_view help_text =
    "Serves the rows of an SQLite database over HTTP, from a cache that a timer refreshes.\n"
    "\n"
    "GET /         the cached rows and their age, as JSON\n"
    "GET /healthz  200 while the refreshes succeed, else 503\n"
    "\n"
    "  --db FILE      the database; made with sample data if there is none [cache_warmup.db]\n"
    "                 :memory: keeps it in memory\n"
    "  --port N       the port on 127.0.0.1; 0 takes a free one [8080]\n"
    "  --delay TIME   the time between two refreshes, such as 500ms, 2s, 1m [5s]\n"
    "  --for TIME     end by itself after this time\n";

struct options {
  std::string database = "cache_warmup.db";
  std::uint16_t port = 8080;
  support::duration delay = std::chrono::seconds(5);
  std::optional<support::duration> run_for;
};

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

  //[run
  asio::awaitable<void> run() {
    // The body has a name because g++ before 14 destroys closures beside co_await twice.
    auto body = [this]() -> asio::awaitable<void> {
      // The gate: the first success. A first failure is thrown here and ends the program, since a
      // database that was never readable is a mistake to be seen at once.
      co_await cache_.wait({.hit_count = 1});
      server_.listen();
      say("serving on http://127.0.0.1:", server_.port(), "/");
      co_await (server_.accept() && keep_running(cache_));
    };
    co_await async_timer::scoped(cache_, body);
  }
  //]

 private:
  using products = std::shared_ptr<const product_list>;

  // In a row. One failure may be a writer's lock; two mean that the refreshes keep failing.
  static constexpr int tolerated_failures = 1;

  //[refresh
  /// Is the target. SQLite blocks, which is fine for a short query; a long one would be posted to a
  /// thread pool, and the target be a coroutine that awaits it.
  products refresh() {
    auto loaded = std::make_shared<const product_list>(database_.load_products());
    failures_in_a_row_ = 0;
    say("tick ", cache_.hit_count() + 1, ": ", loaded->count, " rows");
    return loaded;
  }
  //]

  void report(const std::exception_ptr& failure) {
    ++failures_in_a_row_;
    say("tick failed (", failures_in_a_row_, " in a row): ", what(failure));
  }

  answer respond(std::string_view path) {
    if (path == "/") return rows();
    if (path == "/healthz") return health();
    return {http::status::not_found, "text/plain", "there are / and /healthz\n"};
  }

  //[rows
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
  //]

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

}  // namespace

int main(int argc, char** argv) {
  options given;
  return support::run_program(argc, argv, help_text,
                              {{"--db", &given.database},
                               {"--port", &given.port},
                               {"--delay", &given.delay},
                               {"--for", &given.run_for}},
                              [&] {
                                asio::io_context context(1);
                                application app(context.get_executor(), given);
                                support::run_until_stopped(context, app.run(), given.run_for);
                              });
}
