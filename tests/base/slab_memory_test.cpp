// Slabs that are filled, emptied and given back, as the memory in use shows it.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <async_timer/base/slab_pool.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "support/memory.hpp"

using test::memory_in_use;

namespace {

constexpr std::int64_t slab = 262144;

template <std::size_t Bytes>
struct sized : async_timer::base::from_slabs {
  std::array<unsigned char, Bytes> bytes{};
};

/// Tells how many slabs are taken for so many objects that live at the same time.
template <class T>
std::int64_t slabs_for(int count) {
  const auto before = memory_in_use().bytes;
  std::vector<T*> held(static_cast<std::size_t>(count));
  const auto of_list = memory_in_use().bytes - before;
  for (T*& each : held) each = new T;
  const auto taken = memory_in_use().bytes - before - of_list;
  for (T* each : held) delete each;
  return taken / slab;
}

}  // namespace

TEST_CASE("slab pool: empty slabs go back, all but one, and the others serve on") {
  static constinit async_timer::base::slab_pool pool(96);
  constexpr int in_a_slab = (slab - 64) / 96;
  const auto before = memory_in_use().bytes;
  const auto slabs = [before] { return (memory_in_use().bytes - before) / slab; };
  std::vector<void*> held;
  held.reserve(3 * in_a_slab);
  const auto of_list = memory_in_use().bytes - before;
  REQUIRE(of_list < slab);
  for (int round = 0; round < 2; ++round) {
    for (int count = 1; count <= 3; ++count) {
      for (int i = 0; i < in_a_slab; ++i) held.push_back(pool.allocate());
      CHECK(slabs() == count);
    }
    // Whichever is emptied first, the middle one or one at an end.
    const auto first = held.begin() + (round == 0 ? 0 : in_a_slab);
    std::rotate(held.begin(), first, held.end());
    for (std::size_t i = 0; i < held.size(); ++i) {
      pool.deallocate(held[i]);
      if (i + 1 == 2 * in_a_slab) CHECK(slabs() == 2);
    }
    held.clear();
    CHECK(slabs() == 1);
    void* const again = pool.allocate();
    CHECK(slabs() == 1);
    pool.deallocate(again);
  }
}

TEST_CASE(
    "slab pool: objects of each size up to 256 bytes fill their slabs, larger ones use none") {
  CHECK(slabs_for<sized<64>>(4 * 4095) <= 4);
  CHECK(slabs_for<sized<64>>(4 * 4095) >= 3);  // one may have been there
  CHECK(slabs_for<sized<256>>(4 * 1023) <= 4);
  const auto blocks = [](const auto& make) {
    const auto before = memory_in_use().blocks;
    const auto kept = make();
    return memory_in_use().blocks - before;
  };
  const auto warm = std::make_unique<sized<256>>();
  CHECK(blocks([] { return std::make_unique<sized<256>>(); }) == 0);
  CHECK(blocks([] { return std::make_unique<sized<257>>(); }) == 1);
  const auto bytes = memory_in_use().bytes;
  for (int i = 0; i < 20'000; ++i) delete new sized<256>;
  CHECK(memory_in_use().bytes == bytes);
}

TEST_CASE("slab pool: an object that is a byte too long for a size has room enough") {
  std::vector<std::unique_ptr<sized<33>>> all(100);
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i] = std::make_unique<sized<33>>();
    all[i]->bytes.fill(static_cast<unsigned char>(i));
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (const auto each : all[i]->bytes) REQUIRE(each == i);
  }
}
