// Every allocation fails in turn, on the real clock: the one timer of Asio that drives a context
// can't be armed then, and yet no tick is lost. It takes some milliseconds, as the clock is real.
#include <doctest/doctest.h>

#include <memory>
#include <new>

#include "support/fixture.hpp"
#include "support/memory.hpp"

using namespace test;
using async_timer::timer;

TEST_CASE("real clock: whichever allocation fails, the ticks go on or the run ends with a word") {
  for (const std::int64_t count : {1, 20}) {
    for (std::int64_t first = 1;; ++first) {
      CAPTURE(first);
      CAPTURE(count);
      int errors = 0;
      net::io_context io;
      timer<int> t{io, 500us, [] { return 1; }, {.on_error = [&] { ++errors; }}};
      timer<int> slow{io, 1h, [] { return 1; }};
      timer<int>* const both[] = {&t, &slow};
      const auto done = [&](const std::exception_ptr&, const std::optional<int>&) {
        for (auto* each : both) each->request_stop();
      };
      t.wait({.hits = 3}, [](auto&&...) {});  // not running: so that nothing is left to be made
      t.start();
      t.wait({.hits = 3}, done);
      bool failed = false;
      try {
        const failing_memory failing(first, count);
        slow.start();
        io.run();
        failed = failing_memory::outcome().failures > 0;
      } catch (const std::bad_alloc&) {
        failed = true;  // start() of the second timer
        io.restart();
        io.run();
      }
      // Either the wait was fulfilled, or the run ended and was heard; run() returned in any case,
      // unless the handler was dropped for want of memory.
      if (t.is_running()) {
        done(nullptr, {});
        io.restart();
        io.run();
      }
      CHECK((t.hit_count() >= 3 || errors == 1));
      if (!failed) break;
    }
  }
}
