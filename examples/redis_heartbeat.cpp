// Says "I am alive" to others, by a key in Redis that expires when nobody renews it: after a crash
// within the time to live, after a clean end at once.
#include <hiredis/hiredis.h>
#include <unistd.h>

#include <async_timer/async_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include "redis_heartbeat/redis.hpp"
#include "support/command_line.hpp"
#include "support/keep_running.hpp"
#include "support/output.hpp"
#include "support/run_until_stopped.hpp"

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using support::say;

constexpr std::string_view help_text =
    "Keeps a key in Redis that says that this process is alive.\n"
    "\n"
    "  --host HOST    where the server is [127.0.0.1]\n"
    "  --port N       its port [6379]\n"
    "  --socket PATH  its unix socket, instead of host and port\n"
    "  --key KEY      the key; its value is the process id [heartbeat]\n"
    "  --delay TIME   the time between two beats, such as 500ms, 2s, 1m [1s]\n"
    "  --ttl TIME     how long the key lives without a beat; longer than the delay [3s]\n"
    "  --for TIME     end by itself after this time\n";

struct options {
  redis_heartbeat::address server;
  std::string key = "heartbeat";
  support::duration delay = 1s;
  support::duration ttl = 3s;
  std::optional<support::duration> run_for;
};

//[heartbeat
class heartbeat {
 public:
  explicit heartbeat(const options& given)
      : given_(given),
        // No call to the server takes longer than a beat.
        redis_(given.server, given.delay),
        // hiredis blocks, so the timer has a thread of its own; nobody else is held up.
        beats_(pool_, given.delay, [this] { beat(); },
               {.mode = async_timer::mode::fixed_rate,
                .name = "heartbeat",
                .on_error =
                    [](async_timer::timer_ref timer, std::exception_ptr failure) {
                      if (timer.hit_count() > 0) say("beat failed: ", support::what(failure));
                    },
                // The last thing of every run, on the pool as well; scoped() waits for it.
                .on_stop = [this](async_timer::timer_ref) { remove(); }}) {}

  asio::awaitable<void> run() {
    auto body = [this]() -> asio::awaitable<void> {
      co_await beats_.wait({.hit_count = 1});  // no server at the start is a mistake: throws
      co_await support::keep_running(beats_);  // one that is away later may come back
    };
    co_await async_timer::scoped(beats_, body);
  }

 private:
  void beat() {
    const auto ttl = std::chrono::ceil<std::chrono::milliseconds>(given_.ttl).count();
    redis_.command({"SET", given_.key, std::to_string(getpid()), "PX", std::to_string(ttl)});
    say("beat ", beats_.hit_count() + 1, ": ", given_.key, " lives for ", ttl, " ms");
  }

  void remove() {
    if (!redis_.connected()) return;  // the time to live does it
    redis_.command({"DEL", given_.key});
    say("key removed");
  }

  options given_;
  redis_heartbeat::redis redis_;
  asio::thread_pool pool_{1};
  async_timer::timer<void> beats_;
};
//]

void run(const options& given) {
  if (given.ttl <= given.delay) {
    throw support::usage_error("--ttl must be longer than --delay");
  }
  std::signal(SIGPIPE, SIG_IGN);  // a server that is gone is an error of write(), not our end
  asio::io_context context(1);
  heartbeat beats(given);
  support::run_until_stopped(context, beats.run(), given.run_for);
}

}  // namespace

int main(int argc, char** argv) {
  options given;
  return support::run_program(argc, argv, help_text,
                              {{"--host", &given.server.host},
                               {"--port", &given.server.port},
                               {"--socket", &given.server.socket},
                               {"--key", &given.key},
                               {"--delay", &given.delay},
                               {"--ttl", &given.ttl},
                               {"--for", &given.run_for}},
                              [&] { run(given); });
}
