// libevent: persistent timeout events on a binary heap.
#include <event2/event.h>
#include <event2/event_struct.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <vector>

#include "frame.hpp"

namespace {

class libevent_loop final : public bench::contestant_base {
 public:
  explicit libevent_loop(bench::load& work) : work_(work), base_(event_base_new()) {
    work_.skips = true;
  }
  ~libevent_loop() override { event_base_free(base_); }

  void set_up() override {
    timers_.resize(work_.timers);
    const timeval period = as_timeval(work_.period);
    for (std::uint64_t i = 0; i < work_.timers; ++i) {
      auto& each = timers_[i];
      each.owner = this;
      each.id = i;
      // The first tick by a single shot at its phase, which then makes the event a periodic one.
      event_assign(&each.handle, base_, -1, EV_TIMEOUT, on_first, &each);
      const timeval first = as_timeval(std::max<bench::nanoseconds>(
          work_.first_due(i) - bench::clock::now(), bench::nanoseconds(0)));
      event_add(&each.handle, &first);
    }
    period_ = period;
  }
  void run() override { event_base_loop(base_, 0); }
  void tear_down() override {
    for (auto& each : timers_) event_del(&each.handle);
    timers_ = {};
  }

 private:
  struct timer {
    event handle;
    libevent_loop* owner;
    std::uint64_t id;
  };

  static timeval as_timeval(bench::nanoseconds time) {
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(time).count();
    return {us / 1'000'000, us % 1'000'000};
  }
  static void on_first(evutil_socket_t, short, void* argument) {
    auto& self = *static_cast<timer*>(argument);
    event_assign(&self.handle, self.owner->base_, -1, EV_PERSIST, on_due, &self);
    event_add(&self.handle, &self.owner->period_);
    on_due(-1, 0, argument);
  }
  static void on_due(evutil_socket_t, short, void* argument) {
    auto& self = *static_cast<timer*>(argument);
    if (self.owner->work_.tick(self.id)) event_base_loopbreak(self.owner->base_);
  }

  bench::load& work_;
  event_base* base_;
  timeval period_{};
  std::vector<timer> timers_;
};

}  // namespace

int main(int argc, char** argv) { return bench::main_of<libevent_loop>(argc, argv, "libevent"); }
