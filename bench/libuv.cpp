// libuv: repeating timers of a millisecond's resolution on a binary heap, re-armed from the time of
// the last tick.
#include <uv.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <vector>

#include "frame.hpp"

namespace {

class libuv_loop final : public bench::contestant_base {
 public:
  explicit libuv_loop(bench::load& work) : work_(work) {
    work_.drifts = true;
    uv_loop_init(&loop_);
  }
  ~libuv_loop() override { uv_loop_close(&loop_); }

  void set_up() override {
    timers_.resize(work_.timers);
    uv_update_time(&loop_);
    const auto now = bench::clock::now();
    const auto period = std::max<std::int64_t>(in_ms(work_.period), 1);
    for (std::uint64_t i = 0; i < work_.timers; ++i) {
      const auto first = in_ms(work_.first_due(i) - now);
      auto& each = timers_[i];
      each.owner = this;
      each.id = i;
      uv_timer_init(&loop_, &each.handle);
      uv_timer_start(&each.handle, on_due,
                     static_cast<std::uint64_t>(std::max<std::int64_t>(first, 0)),
                     static_cast<std::uint64_t>(period));
    }
  }
  void run() override { uv_run(&loop_, UV_RUN_DEFAULT); }
  void tear_down() override {
    for (auto& each : timers_) uv_close(reinterpret_cast<uv_handle_t*>(&each.handle), nullptr);
    uv_run(&loop_, UV_RUN_NOWAIT);
    timers_ = {};
  }

 private:
  struct timer {
    uv_timer_t handle;  // first, so that a handle's address is its timer's
    libuv_loop* owner;
    std::uint64_t id;
  };

  static std::int64_t in_ms(bench::nanoseconds time) {
    return std::chrono::round<std::chrono::milliseconds>(time).count();
  }
  static void on_due(uv_timer_t* handle) {
    auto& self = *reinterpret_cast<timer*>(handle);
    if (self.owner->work_.tick(self.id)) uv_stop(&self.owner->loop_);
  }

  bench::load& work_;
  uv_loop_t loop_{};
  std::vector<timer> timers_;
};

}  // namespace

int main(int argc, char** argv) { return bench::main_of<libuv_loop>(argc, argv, "libuv"); }
