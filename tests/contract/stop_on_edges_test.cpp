// Contract section 18: stop signals of unusual kinds, and what is left of them.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <system_error>
#include <utility>

#include "support/capture.hpp"
#include "support/fixture.hpp"
#include "support/text.hpp"

using namespace test;
using async_timer::stop_when;
using async_timer::timer;

namespace {

/// Is what an operation of a user keeps of a handler: it may call it, and still have it after that.
struct kept_handler {
  std::function<void()> call;
  net::cancellation_slot slot;
  int cancelled = 0;

  [[nodiscard]] auto as_signal() {
    return [this](auto handler) {
      slot = net::get_associated_cancellation_slot(handler);
      slot.assign([this](net::cancellation_type) { ++cancelled; });
      call = [handler] { handler(); };
    };
  }
};

/// Runs a timer that an operation stops at once with an error; gives the warnings.
template <class Error>
std::string warnings_of(Error error) {
  virtual_context context;
  const log_recorder log;
  timer t{context.io, 1s, answer, {.stop_on = stop_when([error](auto done) { done(error); })}};
  t.start();
  CHECK(context.out_of_work());
  CHECK(t.hit_count() == 0);
  std::string text;
  for (const auto& each : log.records()) {
    CHECK(each.event == "async_timer.cancel_aws_raised");
    text += each.message + '\n';
  }
  return text;
}

}  // namespace

TEST_CASE_FIXTURE(virtual_context,
                  "18.5 stop_on: the operation that has dropped its handler is not cancelled") {
  int cancelled = 0;
  const auto drops = [&](auto handler) {
    net::get_associated_cancellation_slot(handler).assign(
        [&](net::cancellation_type) { ++cancelled; });
  };
  timer t{io, 1s, answer, {.stop_on = stop_when(drops)}};
  t.start();
  clock.run_until_idle();
  REQUIRE(t.hit_count() == 1);
  t.request_stop();
  CHECK(out_of_work());
  CHECK_FALSE(t.is_running());
  CHECK(cancelled == 0);
}

TEST_CASE_FIXTURE(virtual_context,
                  "18.5 stop_on: the operation that has finished is not cancelled") {
  kept_handler first;
  kept_handler second;
  timer t{io, 1s, answer, {.stop_on = stop_when(first.as_signal(), second.as_signal())}};
  t.start();
  clock.run_until_idle();
  REQUIRE(t.hit_count() == 1);
  first.call();
  first.call();
  clock.run_until_idle();
  CHECK_FALSE(t.is_running());
  CHECK(first.cancelled == 0);
  CHECK(second.cancelled == 1);
  first.slot.clear();
  second.slot.clear();
}

TEST_CASE("18.4 stop_on: an operation may end with a std::error_code") {
  CHECK(warnings_of(std::error_code()) == "");
  const auto text = warnings_of(std::make_error_code(std::errc::timed_out));
  CHECK(std::ranges::count(text, '\n') == 1);
  CHECK(contains(text, "system_error ("));
  CHECK(contains(text, std::make_error_code(std::errc::timed_out).message()));
#if !defined(ASYNC_TIMER_USE_STANDALONE_ASIO)
  CHECK(warnings_of(std::make_error_code(std::errc::operation_canceled)) == "");
#endif
}

TEST_CASE_FIXTURE(virtual_context,
                  "18.9 stop_on: a signal that is slow to end is work of the context until then") {
  net::io_context there;
  net::steady_timer never{there, net::steady_timer::time_point::max()};
  bool ended = false;
  const auto slow = [&]() -> net::awaitable<void> {
    auto wait =
        never.async_wait(net::bind_cancellation_slot(net::cancellation_slot(), net::use_awaitable));
    try {
      co_await std::move(wait);
    } catch (const async_timer::system_error&) {
    }
    ended = true;
  };
  timer t{io, 1s, answer, {.stop_on = stop_when(slow)}};
  t.start();
  clock.run_until_idle();
  t.request_stop();
  clock.run_until_idle();
  CHECK_FALSE(t.is_running());
  CHECK_FALSE(out_of_work());
  never.cancel();
  there.run();
  clock.run_until_idle();
  CHECK(ended);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "18.1 stop_on: to wait for a timer's end makes it no tick") {
  timer other{io, 1h, answer};
  other.start();
  clock.run_until_idle();
  timer t{io, 1h, answer, {.stop_on = stop_when(other)}};
  t.start();
  clock.run_until_idle();
  CHECK(t.hit_count() == 1);
  CHECK(other.hit_count() == 1);
  other.request_stop();
  CHECK(out_of_work());
  CHECK_FALSE(t.is_running());
}

TEST_CASE_FIXTURE(virtual_context, "16.3, 16.9 callbacks: an empty std::function is as none") {
  const log_recorder log;
  timer t{io,
          1s,
          []() -> int { throw std::runtime_error("broken"); },
          {.on_error = std::function<void(async_timer::timer_ref, std::exception_ptr)>(),
           .on_stop = std::function<void()>()}};
  t.start();
  CHECK(out_of_work());
  REQUIRE(log.records().size() == 1);
  CHECK(log.records()[0].event == "async_timer.target_exception");
}

TEST_CASE("24.2 default sink: writes one line a second of failing callbacks, signals and groups") {
  const auto lines = [](auto action) {
    const auto text = stderr_within_a_second(action);
    return std::ranges::count(text, '\n');
  };
  CHECK(lines([](const std::string& name) {
          virtual_context context;
          timer t{context.io, 1s, answer, {.name = name, .on_stop = [] { throw 42; }}};
          for (int i = 0; i < 3; ++i) {
            t.start();
            t.request_stop();
            context.clock.run_until_idle();
          }
        }) == 1);
  CHECK(lines([](const std::string& name) {
          virtual_context context;
          for (int i = 0; i < 3; ++i) {
            timer t{context.io, 1s, answer, {.name = name, .stop_on = stop_when([](auto done) {
                                                             done(async_timer::error_code(
                                                                 net::error::access_denied));
                                                           })}};
            t.start();
            context.clock.run_until_idle();
          }
        }) == 1);
  CHECK(lines([](const std::string& name) {
          virtual_context context;
          for (int i = 0; i < 3; ++i) {
            auto elsewhere = std::make_unique<net::io_context>();
            async_timer::timer_group group{context.io};
            group.add(timer{*elsewhere, 1s, answer, {.name = name}});
            group.start();
            group.cancel_all([](std::exception_ptr) {});
            elsewhere.reset();
            context.clock.run_until_idle();
          }
        }) == 1);
}
