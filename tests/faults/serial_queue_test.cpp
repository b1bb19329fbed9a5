// The queue below asynchronous targets: one function at a time, in order, and none is lost unheard,
// whatever the executor below does.
#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/faulty_executor.hpp"
#include "support/memory.hpp"
#include "support/trace.hpp"

using namespace test;
using async_timer::base::ref_ptr;
using async_timer::detail::serial_queue;

namespace {

constexpr bool may_be_now = false;
constexpr bool later = true;

ref_ptr<serial_queue> queue_on(const net::any_io_executor& below) {
  return ref_ptr<serial_queue>::adopt(new serial_queue(below));
}
ref_ptr<serial_queue> queue_on(net::io_context& io) { return queue_on(io.get_executor()); }

/// Notes its run, or that it was destroyed unrun.
auto noting(trace& happened, std::string name) {
  struct note {
    trace* to;
    std::string name;
    note(trace& where, std::string what) : to(&where), name(std::move(what)) {}
    note(note&& other) noexcept : to(std::exchange(other.to, nullptr)), name(other.name) {}
    ~note() {
      if (to != nullptr) (*to)("-" + name);
    }
    void operator()() { (*std::exchange(to, nullptr))(name); }
  };
  return note(happened, std::move(name));
}

}  // namespace

TEST_CASE("serial queue: runs functions in order, never in the call that brings them") {
  net::io_context io;
  const auto queue = queue_on(io);
  trace happened;
  queue->execute(noting(happened, "a"), later);
  queue->execute(noting(happened, "b"), may_be_now);  // not in the context's thread
  CHECK(happened.text() == "");
  io.run();
  CHECK(happened.text() == "a b");
}

TEST_CASE("serial queue: a function that may be now runs at once where the context runs") {
  net::io_context io;
  const auto queue = queue_on(io);
  trace happened;
  net::post(io, [&] {
    queue->execute(noting(happened, "at once"), may_be_now);
    happened("|");
    queue->execute(noting(happened, "waits"), later);
    queue->execute(noting(happened, "behind it"), may_be_now);
    happened("|");
  });
  io.run();
  CHECK(happened.text() == "at once | | waits behind it");
}

TEST_CASE("serial queue: from inside, one that may be now is nested, one that may not comes later") {
  net::io_context io;
  const auto queue = queue_on(io);
  trace happened;
  queue->execute(
      [&] {
        queue->execute(noting(happened, "later"), later);
        queue->execute(noting(happened, "nested"), may_be_now);
        happened("end");
      },
      later);
  io.run();
  CHECK(happened.text() == "nested end later");
}

TEST_CASE("serial queue: a function that throws leaves the others their turn") {
  net::io_context io;
  const auto queue = queue_on(io);
  trace happened;
  queue->execute([] { throw std::runtime_error("a"); }, later);
  queue->execute(noting(happened, "b"), later);
  net::post(io, [&] { queue->execute([] { throw std::runtime_error("c"); }, may_be_now); });
  net::post(io, [&] { queue->execute(noting(happened, "d"), may_be_now); });
  CHECK_THROWS_WITH(io.run(), "a");
  CHECK_THROWS_WITH(io.run(), "c");
  io.run();
  CHECK(happened.text() == "b d");
}

TEST_CASE("serial queue: an executor that throws destroys the function concerned, and no other") {
  net::io_context io;
  faulty_executor::faults faults;
  const auto queue = queue_on(faulty_executor(io, faults));
  trace happened;
  queue->execute(noting(happened, "a"), later);
  faults.throws = 1;
  CHECK_THROWS_WITH(queue->execute(noting(happened, "b"), later), "refused");
  queue->execute(noting(happened, "c"), later);
  faults.throws = 1;
  CHECK_THROWS_WITH(queue->execute(noting(happened, "d"), may_be_now), "refused");
  io.run();
  CHECK(happened.text() == "-b -d a c");
}

TEST_CASE("serial queue: an executor that drops destroys the function concerned, and no other") {
  net::io_context io;
  faulty_executor::faults faults;
  const auto queue = queue_on(faulty_executor(io, faults));
  trace happened;
  queue->execute(noting(happened, "a"), later);
  faults.drops = 1;
  queue->execute(noting(happened, "b"), later);
  queue->execute(noting(happened, "c"), later);
  io.run();
  CHECK(happened.text() == "-b a c");
}

TEST_CASE("serial queue: an executor that throws, and keeps what it was given, as a strand does") {
  net::io_context io;
  faulty_executor::faults faults;
  const auto queue = queue_on(faulty_executor(io, faults));
  trace happened;
  faults.keeps_and_throws = 1;
  CHECK_THROWS_WITH(queue->execute(noting(happened, "a"), later), "refused");
  CHECK(happened.text() == "-a");
  queue->execute(noting(happened, "b"), later);
  SUBCASE("and lets it go later") {
    faults.kept.clear();
    io.run();
    CHECK(happened.text() == "-a -b");  // it may have been anybody's turn
  }
  SUBCASE("and runs it later") {
    for (auto& each : faults.kept) each();
    CHECK(happened.text() == "-a b");
    io.run();
    CHECK(happened.text() == "-a b");
  }
}

TEST_CASE("serial queue: a context that is destroyed destroys what waits, in order") {
  auto io = std::make_unique<net::io_context>();
  trace happened;
  {
    const auto queue = queue_on(*io);
    queue->execute(noting(happened, "a"), later);
    queue->execute(noting(happened, "b"), later);
  }
  CHECK(happened.text() == "");
  io.reset();
  CHECK(happened.text() == "-a -b");
}

TEST_CASE("serial queue: each allocation may fail, and then that function was destroyed") {
  for (int failing = 1; failing <= 3; ++failing) {
    net::io_context io;
    const auto queue = queue_on(io);
    trace happened;
    queue->execute(noting(happened, "a"), later);
    {
      const failing_memory memory(failing);
      auto b = [&] {
        const spared_memory ours;
        return noting(happened, "b");
      }();
      CHECK_THROWS_AS(queue->execute(std::move(b), later), std::bad_alloc);
    }
    queue->execute(noting(happened, "c"), later);
    CHECK(happened.text() == "-b");
    io.run();
    CHECK(happened.text() == "-b a c");
  }
}
