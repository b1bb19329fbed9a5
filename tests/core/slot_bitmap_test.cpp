#include <doctest/doctest.h>

#include <async_timer/core/random.hpp>
#include <async_timer/core/slot_bitmap.hpp>
#include <cstddef>
#include <cstdint>
#include <set>

using async_timer::core::random_engine;
using async_timer::core::slot_bitmap;

namespace {

TEST_CASE("slot bitmap: agrees with a set, round the ring") {
  for (const std::size_t slots : {std::size_t{256}, std::size_t{4096}}) {
    random_engine random{slots};
    slot_bitmap bitmap;
    std::set<std::size_t> model;
    CHECK(bitmap.none());
    for (int i = 0; i < 50'000; ++i) {
      const std::size_t slot = random.next() % slots;
      // Sparse for a while, then denser.
      if (random.next() % 50'000 > static_cast<std::uint64_t>(i)) {
        bitmap.reset(slot);
        model.erase(slot);
      } else {
        bitmap.set(slot);
        model.insert(slot);
      }
      REQUIRE(bitmap.none() == model.empty());
      REQUIRE(bitmap.test(slot) == model.contains(slot));
      if (model.empty()) continue;
      const std::size_t from = random.next() % slots;
      auto expected = model.lower_bound(from);
      if (expected == model.end()) expected = model.begin();
      REQUIRE(bitmap.next(from) == *expected);
    }
  }
}

}  // namespace
