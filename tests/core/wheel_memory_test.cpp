// What the timing wheel needs: how much work a call does, and how much memory stays in use.
#include <doctest/doctest.h>

#include <async_timer/core/timing_wheel.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <memory_resource>
#include <new>
#include <vector>

using namespace std::chrono_literals;
using namespace async_timer::core;

namespace {

constexpr nanoseconds one_tick{262'144};  // the width of a slot of level 0
constexpr std::size_t in_chunk = 14;      // entries in one

// The beginning of a slot on every level.
constexpr time_point from_zero(nanoseconds since_start) { return time_point{} + since_start; }

struct pooled_item : wheel_node {
  std::size_t id = 0;
};

std::unique_ptr<pooled_item[]> make_pooled_items(std::size_t n) {
  auto items = std::make_unique<pooled_item[]>(n);
  for (std::size_t i = 0; i < n; ++i) items[i].id = i;
  return items;
}

const auto ignore = [](wheel_node&, time_point) noexcept {};

// Counts what it gave; the k-th request from now on fails.
class failing_memory final : public std::pmr::memory_resource {
 public:
  int fail_at = 0;
  std::size_t bytes = 0;

 private:
  void* do_allocate(std::size_t size, std::size_t alignment) override {
    if (fail_at > 0 && --fail_at == 0) throw std::bad_alloc{};
    bytes += size;
    return std::pmr::new_delete_resource()->allocate(size, alignment);
  }
  void do_deallocate(void* p, std::size_t size, std::size_t alignment) override {
    bytes -= size;
    std::pmr::new_delete_resource()->deallocate(p, size, alignment);
  }
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }
};

TEST_CASE("wheel: with room for one node a call delivers one, until none is due") {
  timing_wheel wheel{from_zero(0s)};
  auto items = make_pooled_items(3);
  for (std::size_t i = 0; i < 3; ++i) wheel.insert(items[i], from_zero(1ms));
  std::vector<std::size_t> got;
  const auto take = [&](wheel_node& node, time_point) noexcept {
    got.push_back(static_cast<pooled_item&>(node).id);
  };
  CHECK(wheel.collect(from_zero(1ms), 1, take));
  CHECK(got == std::vector<std::size_t>{0});
  CHECK(wheel.collect(from_zero(1ms), 1, take));
  CHECK_FALSE(wheel.collect(from_zero(1ms), 1, take));
  CHECK(got == std::vector<std::size_t>{0, 1, 2});
}

TEST_CASE("wheel: a call with room for none tells whether a node is due") {
  timing_wheel wheel{from_zero(0s)};
  auto items = make_pooled_items(2);
  wheel.insert(items[0], from_zero(1ms));
  wheel.insert(items[1], from_zero(1ms + 10us));  // in the same slot
  CHECK_FALSE(wheel.collect(from_zero(1ms - 1ns), 0, ignore));
  CHECK(wheel.collect(from_zero(1ms), 0, ignore));
  CHECK_FALSE(wheel.collect(from_zero(1ms), 10, ignore));
  CHECK_FALSE(wheel.collect(from_zero(1ms), 0, ignore));  // the other one is not due yet
  CHECK(wheel.collect(from_zero(1ms + 10us), 0, ignore));
}

TEST_CASE("D25 wheel: goes on to the end of time") {
  timing_wheel wheel{from_zero(0s)};
  auto items = make_pooled_items(1);
  wheel.insert(items[0], from_zero(1ms));
  CHECK_FALSE(wheel.collect(time_point::max(), 10, ignore));
  CHECK(wheel.empty());
}

TEST_CASE("wheel: after an idle hour and catch_up near dues get narrow slots of their own") {
  timing_wheel wheel{from_zero(0s)};
  auto items = make_pooled_items(2);
  wheel.catch_up(from_zero(1h));
  wheel.insert(items[0], from_zero(1h + 10ms));
  wheel.insert(items[1], from_zero(1h + 20ms));
  CHECK(wheel.chunk_count() == 2);
}

// 196 nodes in one slot of level 1, each in another one of level 0 once they have come down: then
// each has a chunk of its own, and before that fourteen share one.
struct wide_slot {
  static constexpr std::size_t count = 14 * in_chunk;
  timing_wheel wheel{from_zero(0s)};
  std::unique_ptr<pooled_item[]> items = make_pooled_items(count + 20);
  time_point begin = from_zero(4096 * one_tick);   // out of the reach of level 0 by one tick
  time_point reached = from_zero(256 * one_tick);  // here all of it is within reach

  wide_slot() {
    for (std::size_t i = 0; i < count; ++i)
      wheel.insert(items[i], begin + static_cast<std::int64_t>(i) * one_tick);
  }
  static std::size_t chunks_after(std::size_t came_down) {
    return came_down + count / in_chunk - came_down / in_chunk;
  }
};

TEST_CASE_FIXTURE(wide_slot, "wheel: a call brings down 64 nodes that are not due yet") {
  CHECK_FALSE(wheel.collect(reached - one_tick, 10, ignore));
  CHECK(wheel.chunk_count() == chunks_after(0));
  for (const std::size_t came_down : {64u, 128u, 192u, 196u}) {
    CHECK_FALSE(wheel.collect(reached, 10, ignore));
    CHECK(wheel.chunk_count() == chunks_after(came_down));
  }
}

TEST_CASE_FIXTURE(wide_slot, "wheel: and two more for each node that it delivers") {
  for (std::size_t i = count; i < count + 20; ++i) wheel.insert(items[i], reached);
  CHECK_FALSE(wheel.collect(reached, 30, ignore));
  CHECK(wheel.size() == count);
  CHECK(wheel.chunk_count() == chunks_after(64 + 2 * 20));
}

TEST_CASE_FIXTURE(wide_slot,
                  "wheel: a chunk that came down in part goes when the rest is removed") {
  wheel.collect(reached, 0, ignore);
  for (std::size_t i = 64; i < 70; ++i) wheel.remove(items[i]);  // of the fifth chunk
  CHECK(wheel.chunk_count() == chunks_after(70) - 6);
}

TEST_CASE("wheel: to clear the way a call brings down 64 nodes and two for each it may deliver") {
  constexpr std::size_t count = 10'000;
  constexpr std::size_t limit = 100;
  timing_wheel wheel{from_zero(0s)};
  auto items = make_pooled_items(count);
  for (std::size_t i = 0; i < count; ++i) wheel.insert(items[i], from_zero(10s));
  std::size_t calls = 0;
  while (wheel.size() == count) {
    REQUIRE(wheel.collect(from_zero(10s), limit, ignore));
    ++calls;
  }
  CHECK(calls == count / (64 + 2 * limit) + 1);
  CHECK(wheel.size() == count - limit);
}

TEST_CASE("wheel: what waits above stays in order, wherever the clock stops on its way") {
  constexpr std::size_t count = 100;
  // A slot of level 1 comes into the reach of level 0 when it is 4096 slots of that away, one of
  // level 2 into that of level 1 at 256 of those.
  for (const std::int64_t distance : {4096, 256 * 256}) {
    CAPTURE(distance);
    const time_point due = from_zero(2 * distance * one_tick - 1ns);
    timing_wheel wheel{from_zero(0s)};
    auto items = make_pooled_items(count);
    for (std::size_t i = 0; i < count; ++i) wheel.insert(items[i], due);
    for (time_point t = from_zero(0s); t < due;) {
      REQUIRE_FALSE(wheel.collect(t, 0, ignore));
      const nanoseconds until_reached = due - distance * one_tick - t;
      t += std::chrono::abs(until_reached) < 300 * one_tick ? one_tick : 50 * one_tick;
    }
    std::size_t next = 0;
    wheel.collect(due, count, [&](wheel_node& node, time_point) noexcept {
      CHECK(static_cast<pooled_item&>(node).id == next);
      ++next;
    });
    CHECK(next == count);
  }
}

TEST_CASE("wheel: the place of a node removed at once is free again at once") {
  timing_wheel wheel{from_zero(0s)};
  auto items = make_pooled_items(6);
  for (std::size_t i = 0; i < 5; ++i) wheel.insert(items[i], from_zero(1s));
  for (int i = 0; i < 30; ++i) {
    wheel.insert(items[5], from_zero(1s));
    CHECK(wheel.chunk_count() == 1);
    wheel.remove(items[5]);
  }
}

TEST_CASE("wheel: two neighbouring chunks become one as soon as one has room for both") {
  for (const bool earlier_is_sparse : {false, true}) {
    CAPTURE(earlier_is_sparse);
    timing_wheel wheel{from_zero(0s)};
    auto items = make_pooled_items(2 * in_chunk);
    for (std::size_t i = 0; i < 2 * in_chunk; ++i) wheel.insert(items[i], from_zero(1s));
    REQUIRE(wheel.chunk_count() == 2);
    const std::size_t sparse = earlier_is_sparse ? 0 : in_chunk;
    const std::size_t other = in_chunk - sparse;
    for (std::size_t i = 0; i < 3; ++i) wheel.remove(items[other + i]);
    for (std::size_t i = 0; i < in_chunk - 4; ++i) wheel.remove(items[sparse + i]);
    CHECK(wheel.chunk_count() == 2);  // 4 and 11
    wheel.remove(items[sparse + in_chunk - 4]);
    CHECK(wheel.chunk_count() == 1);  // 3 and 11
    CHECK_FALSE(wheel.collect(from_zero(1s), 20, ignore));
    CHECK(wheel.empty());
  }
}

TEST_CASE("wheel: gives back all but the first slab when it is empty, and that at its end") {
  failing_memory memory;
  {
    timing_wheel wheel{from_zero(0s), &memory};
    auto items = make_pooled_items(17);
    for (std::size_t i = 0; i < 17; ++i)
      wheel.insert(items[i], from_zero(static_cast<std::int64_t>(i + 1) * one_tick));
    CHECK(wheel.slab_count() == 2);  // the first one has 16 chunks
    for (std::size_t i = 0; i < 17; ++i) wheel.remove(items[i]);
    CHECK(wheel.slab_count() == 1);
    for (std::size_t i = 0; i < 17; ++i)
      wheel.insert(items[i], from_zero(static_cast<std::int64_t>(i + 1) * one_tick));
    CHECK_FALSE(wheel.collect(from_zero(1s), 20, ignore));
    CHECK(memory.bytes > 4096);
  }
  CHECK(memory.bytes == 0);
}

TEST_CASE("wheel: whatever request for memory fails, nothing is taken or lost") {
  for (int fail_at = 1; fail_at <= 3; ++fail_at) {
    CAPTURE(fail_at);
    failing_memory memory;
    {
      timing_wheel wheel{from_zero(0s), &memory};
      auto items = make_pooled_items(1);
      memory.fail_at = fail_at;  // of the slots, of the list of slabs, of the first slab
      CHECK_THROWS_AS(wheel.insert(items[0], from_zero(1ms)), std::bad_alloc);
      CHECK(wheel.slab_count() == 0);
      CHECK_FALSE(items[0].armed());
      wheel.insert(items[0], from_zero(1ms));
      CHECK_FALSE(wheel.collect(from_zero(1ms), 1, ignore));
    }
    CHECK(memory.bytes == 0);
  }
}

}  // namespace
