// A connection to Redis by hiredis, with blocking calls. It knows nothing of timers.
#ifndef REDIS_HEARTBEAT_REDIS_HPP
#define REDIS_HEARTBEAT_REDIS_HPP

#include <hiredis/hiredis.h>
#include <sys/time.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace redis_heartbeat {

struct redis_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct address {
  std::string host = "127.0.0.1";
  std::uint16_t port = 6379;
  std::string socket{};  // goes before host and port
};

inline std::string to_string(const address& where) {
  return where.socket.empty() ? where.host + ":" + std::to_string(where.port) : where.socket;
}

class redis {
 public:
  /// @param patience  bounds each connecting, reading and writing
  redis(address server, std::chrono::nanoseconds patience)
      : server_(std::move(server)), patience_(patience) {}

  [[nodiscard]] bool connected() const { return connection_ != nullptr; }

  /// Sends one command and waits for its answer, connecting first if need be; throws redis_error.
  void command(const std::vector<std::string>& words) {
    if (!connection_) {
      connect();
    }
    std::vector<const char*> texts;
    std::vector<std::size_t> sizes;
    for (const auto& word : words) {
      texts.push_back(word.data());
      sizes.push_back(word.size());
    }
    const std::unique_ptr<redisReply, closer> reply(static_cast<redisReply*>(redisCommandArgv(
        connection_.get(), static_cast<int>(words.size()), texts.data(), sizes.data())));
    if (!reply) {
      // Nothing can be sent on it any more.
      const std::string reason = connection_->errstr;
      connection_.reset();
      fail(reason);
    }
    if (reply->type == REDIS_REPLY_ERROR) {
      fail(reply->str);
    }
  }

 private:
  struct closer {
    void operator()(redisContext* context) const { redisFree(context); }
    void operator()(redisReply* reply) const { freeReplyObject(reply); }
  };

  void connect() {
    const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(patience_).count();
    const timeval bound{.tv_sec = static_cast<time_t>(micros / 1'000'000),
                        .tv_usec = static_cast<suseconds_t>(micros % 1'000'000)};
    std::unique_ptr<redisContext, closer> made(
        server_.socket.empty() ? redisConnectWithTimeout(server_.host.c_str(), server_.port, bound)
                               : redisConnectUnixWithTimeout(server_.socket.c_str(), bound));
    if (!made) {
      fail("out of memory");
    }
    if (made->err != 0) {
      fail(made->errstr);
    }
    redisSetTimeout(made.get(), bound);
    connection_ = std::move(made);
  }

  [[noreturn]] void fail(const std::string& reason) const {
    throw redis_error("redis at " + to_string(server_) + ": " + reason);
  }

  address server_;
  std::chrono::nanoseconds patience_;
  std::unique_ptr<redisContext, closer> connection_;
};

}  // namespace redis_heartbeat

#endif  // REDIS_HEARTBEAT_REDIS_HPP
