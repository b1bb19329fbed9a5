// The one timer of Asio that drives a context: it is armed for what is due first, whoever asked for
// it, and let go with the last that waits. On the real clock, which is all that it knows. Where it
// forgets something run() does not return.
#include <doctest/doctest.h>

#include <exception>
#include <optional>
#include <utility>

#include "support/fixture.hpp"

using namespace test;
using async_timer::timer;

TEST_CASE("3.1 driver: a first tick that lies ahead comes where nothing else wakes the context") {
  net::io_context io;
  timer<void>* self = nullptr;
  timer<void> t{io, 1h, [&] { self->request_stop(); }, {.initial_delay = 300us}};
  self = &t;
  t.start();
  io.run();
  CHECK(t.hit_count() == 1);
}

TEST_CASE("10.14 driver: a deadline that is armed from outside comes while the timer sleeps") {
  net::io_context io;
  timer<int> t{io, 1h, answer, {.initial_delay = 1h}};
  t.start();
  io.poll();
  outcome<std::optional<int>> waited;
  t.wait({.hits = 1, .timeout = 300us}, [&](std::exception_ptr error, std::optional<int> value) {
    into(waited)(std::move(error), value);
    t.request_stop();
  });
  io.run();
  CHECK(waited.kind() == "timeout");
}

TEST_CASE("10.11 driver: the last deadline that is dropped is no work for the context any more") {
  net::io_context io;
  timer<int> t{io, 1h, answer};
  outcome<std::optional<int>> waited;
  t.start();
  t.wait({.hits = 5, .timeout = 1h}, into(waited));
  t.wait({.hits = 1}, [&](std::exception_ptr, std::optional<int>) { t.request_stop(); });
  io.run();  // else returns in an hour
  CHECK(waited.kind() == "stopped");
}
