// When an example ends: on SIGINT, on SIGTERM, or when its time is over.
#ifndef SUPPORT_RUN_UNTIL_STOPPED_HPP
#define SUPPORT_RUN_UNTIL_STOPPED_HPP

#include <async_timer/async_timer.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <csignal>
#include <exception>
#include <functional>
#include <optional>
#include <utility>

#include "output.hpp"

namespace support {

/// Calls back, once, when the program is to end. Until then it is work of the context.
class end_watch {
 public:
  end_watch(boost::asio::io_context& context, std::optional<std::chrono::nanoseconds> run_for,
            std::function<void()> ended)
      : signals_(context, SIGINT, SIGTERM), time_(context), ended_(std::move(ended)) {
    signals_.async_wait([this](boost::system::error_code error, int number) {
      if (!error) end(number == SIGINT ? "SIGINT" : "SIGTERM");
    });
    if (run_for) {
      time_.expires_after(*run_for);
      time_.async_wait([this](boost::system::error_code error) {
        if (!error) end("time is over");
      });
    }
  }

  void cancel() {
    signals_.cancel();
    time_.cancel();
  }

 private:
  void end(const char* reason) {
    if (const auto ended = std::exchange(ended_, nullptr)) {
      say(reason, ", shutting down");
      signals_.clear();  // a second signal ends the program the hard way
      cancel();
      ended();
    }
  }

  boost::asio::signal_set signals_;
  boost::asio::steady_timer time_;
  std::function<void()> ended_;
};

/// Runs the program, and cancels it when it is to end; throws what it throws, if not for that.
inline void run_until_stopped(boost::asio::io_context& context,
                              boost::asio::awaitable<void> program,
                              std::optional<std::chrono::nanoseconds> run_for) {
  namespace asio = boost::asio;
  asio::cancellation_signal stop;
  end_watch watch(context, run_for, [&] { stop.emit(asio::cancellation_type::terminal); });
  std::exception_ptr outcome;
  // With the program gone and the rest cancelled, the context runs out of work by itself.
  const auto ended = [&](std::exception_ptr error) {
    outcome = std::move(error);
    watch.cancel();
  };
  asio::co_spawn(context, std::move(program), asio::bind_cancellation_slot(stop.slot(), ended));
  context.run();
  if (outcome && !async_timer::is_stopped(outcome)) {
    std::rethrow_exception(outcome);
  }
}

}  // namespace support

#endif  // SUPPORT_RUN_UNTIL_STOPPED_HPP
