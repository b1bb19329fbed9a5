// How often the heap is asked for memory in steady state, per tick. All of malloc is counted, which
// is what operator new and Asio's own aligned allocations come down to.
//
// An awaitable target has a coroutine frame, which is the caller's and not the timer's. It is told
// by its size: no other block of the program is as large as the frame of `target` here, yet it is
// small enough for Asio to recycle it.
#include <async_timer/async_timer.hpp>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "asio_backend.hpp"
#include "measure.hpp"

namespace {

constexpr std::size_t frame_at_least = 600;
constexpr std::size_t frame_at_most = 1000;

std::atomic<std::uint64_t> allocations{0};
std::atomic<std::uint64_t> of_frames{0};

void count(std::size_t size) noexcept {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (size >= frame_at_least && size <= frame_at_most) {
    of_frames.fetch_add(1, std::memory_order_relaxed);
  }
}

}  // namespace

extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t n, std::size_t size);
void* __libc_realloc(void* old, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) noexcept {
  count(size);
  return __libc_malloc(size);
}
void* calloc(std::size_t n, std::size_t size) noexcept {
  count(n * size);
  return __libc_calloc(n, size);
}
void* realloc(void* old, std::size_t size) noexcept {
  count(size);
  return __libc_realloc(old, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  count(size);
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** to, std::size_t alignment, std::size_t size) noexcept {
  count(size);
  *to = __libc_memalign(alignment, size);
  return *to == nullptr ? 12 : 0;  // ENOMEM
}
}

namespace {

namespace net = bench::net;
using namespace std::chrono_literals;

constexpr int timers = 1000;
constexpr auto period = 10ms;

std::atomic<std::uint64_t> ticks{0};

struct counted {
  std::uint64_t ticks = 0;
  std::uint64_t allocations = 0;
  std::uint64_t of_frames = 0;

  [[nodiscard]] double per_tick() const { return per_tick(allocations); }
  [[nodiscard]] double per_tick(std::uint64_t number) const {
    return static_cast<double>(number) / static_cast<double>(ticks);
  }
};

/// Runs a context for a while to warm up, then counts for a while. Another thread reads the
/// counters, so that nothing but what is counted uses the memory that Asio recycles.
counted count_while(net::io_context& context, std::chrono::duration<double> measured) {
  const auto now = [] { return counted{ticks.load(), allocations.load(), of_frames.load()}; };
  counted before;
  counted after;
  std::thread control([&] {
    std::this_thread::sleep_for(300ms);
    before = now();
    std::this_thread::sleep_for(measured);
    after = now();
    context.stop();
  });
  context.run();
  control.join();
  return {after.ticks - before.ticks, after.allocations - before.allocations,
          after.of_frames - before.of_frames};
}

template <class MakeTarget>
counted with_timers(std::chrono::duration<double> measured, MakeTarget make_target) {
  net::io_context context{1};
  using timer = async_timer::timer<async_timer::target_value_t<decltype(make_target())>>;
  std::vector<timer> fleet;
  for (int i = 0; i < timers; ++i) {
    fleet.emplace_back(
        context, period, make_target(),
        async_timer::timer_options{.initial_delay = period * i / timers, .start = true});
  }
  return count_while(context, measured);
}

net::awaitable<void> target() {
  [[maybe_unused]] volatile char makes_the_frame_large[frame_at_least];
  makes_the_frame_large[0] = 1;
  ++ticks;
  co_return;
}

/// Lets one coroutine await the same target again and again, as a hand-written loop would.
counted hand_written(std::chrono::duration<double> measured) {
  net::io_context context{1};
  const auto loop = [](net::any_io_executor executor) -> net::awaitable<void> {
    net::steady_timer pause(executor);
    for (;;) {
      for (int i = 0; i < 100; ++i) co_await target();
      pause.expires_after(1ms);
      co_await pause.async_wait(net::use_awaitable);
    }
  };
  net::co_spawn(context, loop(context.get_executor()), net::detached);
  return count_while(context, measured);
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc == 2 ? std::strtod(argv[1], nullptr) : 0;
  if (!(seconds > 0)) {
    return bench::usage_of(argc, argv,
                           "<measured_s>\n"
                           "Counts heap allocations per tick of 1,000 timers at 10 ms, in steady "
                           "state; prints a line of JSON.");
  }
  const std::chrono::duration<double> measured(seconds);
  const auto plain_void = with_timers(measured, [] { return [] { ++ticks; }; });
  const auto plain_int =
      with_timers(measured, [] { return [] { return static_cast<int>(++ticks & 0xffff); }; });
  const auto awaitable = with_timers(measured, [] { return [] { return target(); }; });
  const auto by_hand = hand_written(measured);
  std::printf(
      "{\"plain_void\": %.6f, \"plain_int\": %.6f, \"awaitable\": %.6f, "
      "\"awaitable_beyond_frame\": %.6f, \"hand_written_loop\": %.6f, \"ticks\": %.0f}\n",
      plain_void.per_tick(), plain_int.per_tick(), awaitable.per_tick(),
      awaitable.per_tick(awaitable.allocations - awaitable.of_frames), by_hand.per_tick(),
      static_cast<double>(plain_void.ticks + plain_int.ticks + awaitable.ticks));
}
