// Every allocation fails in turn, on the real clock: the one timer of Asio that drives a context
// can't be armed then, and yet no tick is lost. It takes some milliseconds, as the clock is real.
#include <doctest/doctest.h>

#include <exception>
#include <new>
#include <optional>

#include "support/faulty_executor.hpp"
#include "support/fixture.hpp"
#include "support/memory.hpp"

using namespace test;
using async_timer::timer;

TEST_CASE("real clock: whichever allocation fails, the ticks go on or the run ends with a word") {
  for (const std::int64_t count : {1, 20}) {
    for (std::int64_t first = 1;; ++first) {
      CAPTURE(first);
      CAPTURE(count);
      int ticks = 0;
      int errors = 0;
      int calls = 0;
      net::io_context io;
      timer<int> slow{io, 1h, [] { return 1; }};
      timer<int>* self = nullptr;
      // A stop needs no memory, so what ends both is no handler, which may be dropped for want of
      // it.
      const auto end = [&] {
        self->request_stop();
        slow.request_stop();
      };
      timer<int> t{io,
                   500us,
                   [&] {
                     if (++ticks == 3) end();
                     return ticks;
                   },
                   {.on_error = [&] {
                     ++errors;
                     end();
                   }}};
      self = &t;
      t.start();
      t.wait({.hits = 3}, [&](const std::exception_ptr&, const std::optional<int>&) { ++calls; });
      bool failed = false;
      try {
        const failing_memory failing(first, count);
        slow.start();
        io.run();
      } catch (const std::bad_alloc&) {
        failed = true;  // the start of the second timer
        io.run();
      }
      failed = failed || failing_memory::outcome().failures > 0;
      // It ran out of work, or run() would not have returned.
      CHECK((ticks == 3 || errors == 1));
      CHECK_FALSE(t.is_running());
      CHECK_FALSE(slow.is_running());
      CHECK(calls <= 1);
      if (!failed) {
        CHECK(ticks == 3);
        CHECK(calls == 1);
        break;
      }
    }
  }
}

TEST_CASE(
    "real clock: it drives ticks and deadlines where there are only executors of a user's own") {
  net::io_context io;
  faulty_executor::faults none;
  const net::any_io_executor executor = faulty_executor(io, none);
  timer<int> slow{executor, 1h, [] { return 1; }, {.initial_delay = 1h}};
  timer<int>* self = nullptr;
  bool is_late = false;
  timer<int> t{executor, 300us, [&] {
                 if (self->hit_count() >= 2 && is_late) self->request_stop();
                 return 1;
               }};
  self = &t;
  slow.start();
  t.start();
  slow.wait({.hits = 1, .timeout = 1ms},
            [&](const std::exception_ptr& error, const std::optional<int>&) {
              CHECK(kind_of(error) == "timeout");
              is_late = true;
              slow.request_stop();
            });
  io.run();
  CHECK(is_late);
  CHECK(t.hit_count() >= 3);
}
