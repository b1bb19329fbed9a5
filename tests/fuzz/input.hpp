// What all fuzz targets share: numbers out of bytes, and a check that ends the process.
#ifndef ASYNC_TIMER_TESTS_FUZZ_INPUT_HPP
#define ASYNC_TIMER_TESTS_FUZZ_INPUT_HPP

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

/// Is called by the fuzzer, or by replay.cpp, with one input; returns 0.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace fuzz {

/// Is wide enough for all sums and products of 64-bit numbers.
__extension__ typedef __int128 wide;

inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "fuzz: does not hold: %s\n", what);
  std::abort();
}

/// Reads numbers from an input; zeros after its end.
class input {
 public:
  input(const std::uint8_t* data, std::size_t size) : at_(data), left_(size) {}

  [[nodiscard]] bool more() const { return left_ > 0; }

  std::uint8_t byte() {
    if (left_ == 0) return 0;
    --left_;
    return *at_++;
  }
  template <class Number>
  Number number() {
    std::uint8_t bytes[sizeof(Number)];
    for (auto& each : bytes) each = byte();
    Number result{};
    std::memcpy(&result, bytes, sizeof(Number));
    return result;
  }
  /// Is of any order of magnitude: mutations of few bytes reach small and large ones.
  std::int64_t magnitude() {
    const auto value = number<std::int64_t>();
    return value >> (byte() % 64);
  }

 private:
  const std::uint8_t* at_;
  std::size_t left_;
};

}  // namespace fuzz

#endif  // ASYNC_TIMER_TESTS_FUZZ_INPUT_HPP
