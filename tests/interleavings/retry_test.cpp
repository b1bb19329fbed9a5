// What could not be done for want of memory and is tried again, while others ask for it and while
// its context goes away.
#include <doctest/doctest.h>

#include <async_timer/base/ref_ptr.hpp>
#include <async_timer/base/schedule_point.hpp>
#include <async_timer/scheduler/retry.hpp>
#include <async_timer/scheduler/scheduler_service.hpp>
#include <memory>
#include <optional>
#include <utility>

#include "interleavings/world.hpp"

using namespace test;
namespace detail = async_timer::detail;
namespace base = async_timer::base;

namespace {

/// Has something to be done that may be asked for again; the first attempts fail.
class chore final : public detail::retry {
 public:
  struct notes {
    base::atomic<int> asked{0};
    base::atomic<int> seen{0};  ///< the most that a successful attempt knew of
    int gave_up = 0;
    bool is_destroyed = false;
  };

  chore(notes& to, detail::scheduler& clock, int failures) noexcept
      : notes_(&to), clock_(&clock), failures_left_(failures) {}
  ~chore() override { notes_->is_destroyed = true; }

  void ask() noexcept {
    notes_->asked.fetch_add(1, std::memory_order_acq_rel);
    if (!try_again(*clock_)) give_up();
  }

 private:
  bool try_now() noexcept override {
    const int known = notes_->asked.load(std::memory_order_acquire);
    if (failures_left_.fetch_sub(1, std::memory_order_acq_rel) > 0) return false;
    // Two attempts may meet, when one was asked for during the other.
    int seen = notes_->seen.load(std::memory_order_acquire);
    while (seen < known && !notes_->seen.compare_exchange_weak(
                               seen, known, std::memory_order_acq_rel, std::memory_order_acquire)) {
    }
    return true;
  }
  void give_up() noexcept override { ++notes_->gave_up; }

  notes* notes_;
  detail::scheduler* clock_;
  base::atomic<int> failures_left_;
};

base::ref_ptr<chore> make_chore(chore::notes& to, world& w, int failures) {
  auto& clock = detail::scheduler_service::near(net::any_io_executor(w.io.get_executor()));
  return base::ref_ptr<chore>::adopt(new chore(to, clock, failures));
}

void expect_done(execution& run, chore::notes& told) {
  const int asked = told.asked.load(std::memory_order_acquire);
  run.expect_equal(told.seen.load(std::memory_order_acquire), asked, "what was done of the asked");
  run.expect(told.is_destroyed, "it is kept");
  run.expect_equal(told.gave_up, 0, "given up");
}

}  // namespace

TEST_CASE("retry: asked by two threads while it is tried, the last one is served") {
  for (const int failures : {0, 1}) {
    explore("retry is asked by two threads", [failures](execution& run) {
      chore::notes told;
      {
        world w(run);
        auto it = make_chore(told, w, failures);
        run.together([&] { it->ask(); }, [&] { it->ask(); }, [&] { w.serve(); });
        it = nullptr;
        w.finish();
      }
      expect_done(run, told);
    });
  }
}

TEST_CASE("retry: asked while two threads run the context") {
  explore("retry on two threads", [](execution& run) {
    chore::notes told;
    {
      world w(run, 2);
      auto it = make_chore(told, w, 1);
      it->ask();
      run.together([&] { it->ask(); }, [&] { w.serve(); }, [&] { w.serve(); });
      it = nullptr;
      w.finish();
    }
    expect_done(run, told);
  });
}

TEST_CASE("retry: its context is shut down while it is asked") {
  explore("retry meets shutdown", [](execution& run) {
    chore::notes told;
    {
      std::optional<world> w(std::in_place, run);
      auto it = make_chore(told, *w, 1'000'000);
      it->ask();
      run.together([&] { w->io.shutdown(); }, [&] { it->ask(); });
      run.expect(told.gave_up >= 1, "it does not know that the context is gone");
      w.reset();
      run.expect(!told.is_destroyed, "it is gone while somebody holds it");
    }
    run.expect(told.is_destroyed, "it is kept");
  });
}
