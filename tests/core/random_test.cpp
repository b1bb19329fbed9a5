#include <doctest/doctest.h>

#include <array>
#include <async_timer/core/random.hpp>
#include <cstdint>

using async_timer::core::random_engine;

namespace {

// The figures are those of the authors' own program, splitmix64.c, for these seeds.
TEST_CASE("random: gives the numbers of splitmix64, so that a seed means the same everywhere") {
  const struct {
    std::uint64_t seed;
    std::array<std::uint64_t, 5> numbers;
  } table[] = {
      {0,
       {0xe220a8397b1dcdaf, 0x6e789e6aa1b965f4, 0x06c45d188009454f, 0xf88bb8a8724c81ec,
        0x1b39896a51a8749b}},
      {1234567,
       {6457827717110365317u, 3203168211198807973u, 9817491932198370423u, 4593380528125082431u,
        16408922859458223821u}},
  };
  for (const auto& row : table) {
    random_engine random{row.seed};
    for (const std::uint64_t number : row.numbers) CHECK(random.next() == number);
  }
}

TEST_CASE("random: a unit draw is the upper 53 bits of a number") {
  random_engine random{0};
  CHECK(random.next_unit() == static_cast<double>(0xe220a8397b1dcdafu >> 11) / 0x1p53);
  CHECK(random.next_unit() == static_cast<double>(0x6e789e6aa1b965f4u >> 11) / 0x1p53);
}

}  // namespace
