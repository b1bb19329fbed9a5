// The hand-written loop on steady_timer, a coroutine for each timer.
#include <cstdint>
#include <optional>

#include "asio_backend.hpp"
#include "frame.hpp"

namespace {

namespace net = bench::net;

class asio_awaitable final : public bench::contestant_base {
 public:
  explicit asio_awaitable(bench::load& work) : work_(work) { context_.emplace(1); }

  void set_up() override {
    for (std::uint64_t i = 0; i < work_.timers; ++i) {
      net::co_spawn(*context_, loop(i), net::detached);
    }
    // Each loop as far as its first wait; no further, for those that are due already.
    for (std::uint64_t i = 0; i < work_.timers; ++i) context_->poll_one();
    context_->restart();
  }
  void run() override { context_->run(); }
  void tear_down() override { context_.reset(); }

 private:
  net::awaitable<void> tick(std::uint64_t i) {
    if (work_.tick(i)) context_->stop();
    co_return;
  }
  net::awaitable<void> loop(std::uint64_t i) {
    net::steady_timer timer(co_await net::this_coro::executor);
    timer.expires_at(work_.first_due(i));
    for (;;) {
      co_await timer.async_wait(net::use_awaitable);
      co_await tick(i);
      timer.expires_at(timer.expiry() + work_.period);
    }
  }

  bench::load& work_;
  std::optional<net::io_context> context_;
};

}  // namespace

int main(int argc, char** argv) {
  return bench::main_of<asio_awaitable>(argc, argv, "asio_awaitable");
}
