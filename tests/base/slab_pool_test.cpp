// The memory of timers: blocks of one size, by the million, from any thread.
#include <doctest/doctest.h>
#include <async_timer/base/slab_pool.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <set>
#include <thread>
#include <utility>
#include <vector>

namespace {

using async_timer::base::slab_pool;

constexpr std::size_t block = 96;

void fill(void* where, unsigned char with) { std::memset(where, with, block); }
bool holds(const void* where, unsigned char what) {
  const auto* bytes = static_cast<const unsigned char*>(where);
  for (std::size_t i = 0; i < block; ++i) {
    if (bytes[i] != what) return false;
  }
  return true;
}

TEST_CASE("slab pool: blocks are distinct and keep what is written, in any order of release") {
  static constinit slab_pool pool(block);
  std::mt19937 dice(7);
  std::vector<std::pair<void*, unsigned char>> held;
  for (unsigned round = 0; round < 40'000; ++round) {
    if (held.empty() || dice() % 5 < 3) {
      held.emplace_back(pool.allocate(), static_cast<unsigned char>(round));
      fill(held.back().first, held.back().second);
    } else {
      std::swap(held[dice() % held.size()], held.back());
      REQUIRE(holds(held.back().first, held.back().second));
      pool.deallocate(held.back().first);
      held.pop_back();
    }
  }
  for (const auto& [where, what] : held) {
    REQUIRE(holds(where, what));
    pool.deallocate(where);
  }
}

TEST_CASE("slab pool: what is released is used again before fresh memory") {
  static constinit slab_pool pool(block);
  std::vector<void*> first;
  for (int i = 0; i < 10'000; ++i) first.push_back(pool.allocate());
  const std::set<void*> known(first.begin(), first.end());
  CHECK(known.size() == first.size());
  // Every other one, so that no slab gets empty and goes back.
  for (std::size_t i = 0; i < first.size(); i += 2) pool.deallocate(first[i]);
  for (std::size_t i = 0; i < first.size(); i += 2) {
    first[i] = pool.allocate();
    REQUIRE(known.contains(first[i]));
  }
  for (void* each : first) pool.deallocate(each);
}

TEST_CASE("slab pool: blocks of a multiple of a cache line begin with one") {
  static constinit slab_pool pool(128);
  std::array<void*, 100> blocks{};
  for (void*& each : blocks) {
    each = pool.allocate();
    CHECK(reinterpret_cast<std::uintptr_t>(each) % 64 == 0);
  }
  for (void* each : blocks) pool.deallocate(each);
}

TEST_CASE("slab pool: threads may allocate, and release each other's blocks") {
  static constinit slab_pool pool(block);
  std::array<std::vector<void*>, 4> made;
  const auto in_parallel = [](auto work) {
    std::array<std::thread, 4> threads;
    for (std::size_t i = 0; i < threads.size(); ++i) threads[i] = std::thread([=] { work(i); });
    for (auto& each : threads) each.join();
  };
  in_parallel([&](std::size_t i) {
    for (int n = 0; n < 5'000; ++n) {
      made[i].push_back(pool.allocate());
      fill(made[i].back(), static_cast<unsigned char>(i));
    }
  });
  std::array<bool, 4> intact{};
  in_parallel([&](std::size_t i) {
    const std::size_t other = (i + 1) % made.size();
    intact[i] = true;
    for (void* each : made[other]) {
      intact[i] = intact[i] && holds(each, static_cast<unsigned char>(other));
      pool.deallocate(each);
    }
  });
  for (const bool each : intact) CHECK(each);
}

struct small : async_timer::base::from_slabs {
  std::array<std::byte, 40> payload{};
};
struct large : async_timer::base::from_slabs {
  std::array<std::byte, 5000> payload{};
};
struct alignas(128) over_aligned : async_timer::base::from_slabs {
  std::array<std::byte, 40> payload{};
};

TEST_CASE("slab pool: classes of any size and alignment can take their memory from slabs") {
  const auto* few = new small;
  const auto* big = new large;
  const auto* aligned = new over_aligned;
  CHECK(reinterpret_cast<std::uintptr_t>(few) % alignof(std::max_align_t) == 0);
  CHECK(reinterpret_cast<std::uintptr_t>(aligned) % 128 == 0);
  CHECK(big->payload.back() == std::byte{0});
  delete few;
  delete big;
  delete aligned;
}

}  // namespace
