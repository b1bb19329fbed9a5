// libev: periodic watchers on a 4-ary heap.
#include <ev.h>

#include <cstdint>
#include <vector>

#include "frame.hpp"

namespace {

class libev_loop final : public bench::contestant_base {
 public:
  explicit libev_loop(bench::load& work) : work_(work), loop_(ev_loop_new(EVFLAG_AUTO)) {
    work_.skips = true;
  }
  ~libev_loop() override { ev_loop_destroy(loop_); }

  void set_up() override {
    const double period = std::chrono::duration<double>(work_.period).count();
    timers_.resize(work_.timers);
    ev_now_update(loop_);
    const auto now = bench::clock::now();
    for (std::uint64_t i = 0; i < work_.timers; ++i) {
      const auto first = std::chrono::duration<double>(work_.first_due(i) - now);
      auto& each = timers_[i];
      each.owner = this;
      each.id = i;
      ev_timer_init(&each.watcher, on_due, std::max(first.count(), 0.0), period);
      ev_timer_start(loop_, &each.watcher);
    }
  }
  void run() override { ev_run(loop_, 0); }
  void tear_down() override {
    for (auto& each : timers_) ev_timer_stop(loop_, &each.watcher);
    timers_ = {};
  }

 private:
  struct timer {
    ev_timer watcher;  // first, so that a watcher's address is its timer's
    libev_loop* owner;
    std::uint64_t id;
  };

  static void on_due(struct ev_loop* loop, ev_timer* watcher, int) {
    auto& self = *reinterpret_cast<timer*>(watcher);
    if (self.owner->work_.tick(self.id)) ev_break(loop, EVBREAK_ALL);
  }

  bench::load& work_;
  struct ev_loop* loop_;
  std::vector<timer> timers_;
};

}  // namespace

int main(int argc, char** argv) { return bench::main_of<libev_loop>(argc, argv, "libev"); }
