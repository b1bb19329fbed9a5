// What the snippets are run with: they are programs that check what their comments say.
#ifndef SNIPPETS_CHECK_HPP
#define SNIPPETS_CHECK_HPP

#include <async_timer/async_timer.hpp>
#include <async_timer/testing.hpp>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <source_location>
#include <utility>

// Not assert(), which a release build leaves out.
inline void expect(bool holds, std::source_location where = std::source_location::current()) {
  if (!holds) {
    std::fprintf(stderr, "%s:%u: what the sample says does not hold\n", where.file_name(),
                 static_cast<unsigned>(where.line()));
    std::exit(1);
  }
}

/// Runs a coroutine, and all that it leaves behind, in virtual time.
template <class Coroutine>
void run_in_virtual_time(Coroutine coroutine) {
  async_timer::net::io_context context;
  async_timer::virtual_clock clock{context};
  bool done = false;
  async_timer::net::co_spawn(context, std::move(coroutine), [&](std::exception_ptr failure) {
    done = true;
    if (failure) {
      std::rethrow_exception(failure);
    }
  });
  while (clock.advance_to_next()) {
  }
  expect(done);
}

#endif  // SNIPPETS_CHECK_HPP
