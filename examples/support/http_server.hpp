// A small HTTP server on Boost.Beast: a coroutine for each connection, all on one thread.
// It knows nothing of timers, caches or databases.
#ifndef SUPPORT_HTTP_SERVER_HPP
#define SUPPORT_HTTP_SERVER_HPP

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace support {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

struct answer {
  http::status status = http::status::ok;
  std::string content_type = "text/plain";
  std::string body{};
};

class http_server {
 public:
  /// Answers a GET of a path.
  using handler = std::function<answer(std::string_view path)>;

  /// Takes the port, but doesn't listen yet: until then a client is refused, not kept waiting.
  http_server(const asio::any_io_executor& executor, std::uint16_t port, handler respond)
      : acceptor_(executor), respond_(std::move(respond)) {
    const asio::ip::tcp::endpoint endpoint(asio::ip::address_v4::loopback(), port);
    boost::system::error_code error;
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    check(error, port);
  }

  [[nodiscard]] std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

  void listen() {
    boost::system::error_code error;
    acceptor_.listen(asio::socket_base::max_listen_connections, error);
    check(error, port());
  }

  /// Serves until it is cancelled, then closes all connections, so that nothing is left for the
  /// context to wait for. The server must live until the context's run() has returned.
  asio::awaitable<void> accept() {
    const closer at_the_end(*this);
    const auto executor = acceptor_.get_executor();
    for (;;) {
      auto [error, socket] = co_await acceptor_.async_accept(no_throw);
      if (error == asio::error::operation_aborted) {
        co_return;
      }
      if (error) {  // out of file descriptors, mostly: the next try would fail as well
        asio::steady_timer pause(executor, std::chrono::milliseconds(100));
        co_await pause.async_wait(asio::use_awaitable);
        continue;
      }
      const auto place = open_.emplace(open_.end(), std::move(socket));
      asio::co_spawn(executor, converse(*place),
                     [this, place](const std::exception_ptr&) { open_.erase(place); });
    }
  }

 private:
  struct closer {
    explicit closer(http_server& closes) : server(closes) {}
    closer(const closer&) = delete;
    closer& operator=(const closer&) = delete;
    ~closer() {
      for (auto& stream : server.open_) {
        stream.close();
      }
    }
    http_server& server;
  };

  static constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);
  static constexpr auto patience = std::chrono::seconds(30);

  static void check(const boost::system::error_code& error, std::uint16_t port) {
    if (error) {
      throw std::runtime_error("cannot listen on 127.0.0.1:" + std::to_string(port) + ": " +
                               error.message());
    }
  }

  asio::awaitable<void> converse(beast::tcp_stream& stream) {
    beast::flat_buffer buffer;
    for (bool go_on = true; go_on;) {
      http::request<http::string_body> request;
      stream.expires_after(patience);
      auto [read_error, read_size] = co_await http::async_read(stream, buffer, request, no_throw);
      if (read_error) {
        break;
      }
      const auto response = respond_to(request);
      auto [write_error, written] = co_await http::async_write(stream, response, no_throw);
      go_on = !write_error && response.keep_alive();
    }
    boost::system::error_code ignored;
    stream.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  }

  http::response<http::string_body> respond_to(const http::request<http::string_body>& request) {
    const bool head = request.method() == http::verb::head;
    answer given{http::status::method_not_allowed, "text/plain", "only GET and HEAD\n"};
    if (head || request.method() == http::verb::get) {
      const std::string_view target(request.target().data(), request.target().size());
      given = respond_(target.substr(0, target.find('?')));
    }
    http::response<http::string_body> response(given.status, request.version());
    response.keep_alive(request.keep_alive());
    response.set(http::field::content_type, given.content_type);
    response.set(http::field::cache_control, "no-store");
    if (given.status == http::status::method_not_allowed) {
      response.set(http::field::allow, "GET, HEAD");
    }
    response.body() = std::move(given.body);
    response.prepare_payload();
    if (head) {
      response.body().clear();  // the length stays, as HEAD asks for
    }
    return response;
  }

  asio::ip::tcp::acceptor acceptor_;
  handler respond_;
  std::list<beast::tcp_stream> open_;
};

}  // namespace support

#endif  // SUPPORT_HTTP_SERVER_HPP
