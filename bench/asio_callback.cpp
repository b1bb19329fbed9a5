// The hand-written loop on steady_timer, with callbacks.
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <memory>
#include <vector>

#include "frame.hpp"

namespace {

namespace net = boost::asio;

class asio_callback final : public bench::contestant_base {
 public:
  explicit asio_callback(bench::load& work) : work_(work) {}

  void set_up() override {
    const net::any_io_executor executor = context_.get_executor();
    loops_.reserve(work_.timers);
    for (std::uint64_t i = 0; i < work_.timers; ++i) {
      loops_.push_back(std::make_unique<loop>(loop{net::steady_timer(executor), i, this}));
      loops_.back()->timer.expires_at(work_.first_due(i));
      wait(*loops_.back());
    }
  }
  void run() override { context_.run(); }
  void tear_down() override {
    for (auto& each : loops_) each->timer.cancel();
    context_.restart();
    context_.poll();
    loops_.clear();
  }

 private:
  struct loop {
    net::steady_timer timer;
    std::uint64_t id;
    asio_callback* owner;
  };

  static void wait(loop& self) {
    self.timer.async_wait([&self](const boost::system::error_code& error) {
      if (error) return;
      if (self.owner->work_.tick(self.id)) self.owner->context_.stop();
      self.timer.expires_at(self.timer.expiry() + self.owner->work_.period);
      wait(self);
    });
  }

  bench::load& work_;
  net::io_context context_{1};
  std::vector<std::unique_ptr<loop>> loops_;
};

}  // namespace

int main(int argc, char** argv) {
  return bench::main_of<asio_callback>(argc, argv, "asio_callback");
}
