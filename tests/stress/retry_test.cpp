// What is done in a turn of the context, because another thread asked for it: what that thread
// wrote before is seen, by the rules of the language, not by the kindness of a processor. It is the
// thread sanitizer that this test speaks to.
#include <doctest/doctest.h>

#include <async_timer/base/ref_ptr.hpp>
#include <async_timer/scheduler/retry.hpp>
#include <async_timer/scheduler/scheduler_service.hpp>
#include <atomic>
#include <thread>

#include "support/fixture.hpp"

using namespace test;
namespace detail = async_timer::detail;

namespace {

/// Copies what it finds in a plain variable.
class copying final : public detail::retry {
 public:
  copying(const int& from, int& to) noexcept : from_(&from), to_(&to) {}

 private:
  bool try_now() noexcept override {
    *to_ = *from_;
    return true;
  }

  const int* from_;
  int* to_;
};

}  // namespace

TEST_CASE("26.5 retry: an attempt sees what was written before others asked for it") {
  net::io_context io;
  auto& clock = detail::scheduler_service::near(net::any_io_executor(io.get_executor()));
  int written = 0;
  int seen = 0;
  const auto it = async_timer::base::ref_ptr<copying>::adopt(new copying(written, seen));
  REQUIRE(it->try_again(clock));
  std::atomic<bool> has_asked{false};
  std::thread other([&] {
    written = 1;
    static_cast<void>(it->try_again(clock));  // which is under way, and has not begun
    has_asked.store(true, std::memory_order_relaxed);
  });
  // Any stronger order, as that of a join, would show this thread what the other one wrote.
  while (!has_asked.load(std::memory_order_relaxed)) std::this_thread::yield();
  io.run();
  CHECK(seen == 1);
  other.join();
}
