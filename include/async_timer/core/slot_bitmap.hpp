// Which slots of a ring of at most 4096 are occupied, and the next such one in a few instructions.
// Knows: bits. Must not know: what a slot holds.
#ifndef ASYNC_TIMER_CORE_SLOT_BITMAP_HPP
#define ASYNC_TIMER_CORE_SLOT_BITMAP_HPP

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace async_timer::core {

class slot_bitmap {
 public:
  [[nodiscard]] bool none() const noexcept { return summary_ == 0; }

  [[nodiscard]] bool test(std::size_t slot) const noexcept {
    return (words_[slot / 64] >> (slot % 64) & 1) != 0;
  }

  void set(std::size_t slot) noexcept {
    words_[slot / 64] |= std::uint64_t{1} << (slot % 64);
    summary_ |= std::uint64_t{1} << (slot / 64);
  }

  void reset(std::size_t slot) noexcept {
    words_[slot / 64] &= ~(std::uint64_t{1} << (slot % 64));
    if (words_[slot / 64] == 0) summary_ &= ~(std::uint64_t{1} << (slot / 64));
  }

  // The first occupied slot met by going round the ring from `from`, itself included.
  // There must be one.
  [[nodiscard]] std::size_t next(std::size_t from) const noexcept {
    const std::size_t word = from / 64;
    const std::uint64_t rest = words_[word] >> (from % 64);
    if (rest != 0) return from + static_cast<std::size_t>(std::countr_zero(rest));
    // The search comes back to this word last, for the slots below `from`.
    const std::uint64_t ahead = std::rotr(summary_, static_cast<int>(word) + 1);
    const std::size_t found =
        (word + 1 + static_cast<std::size_t>(std::countr_zero(ahead))) % words_.size();
    return found * 64 + static_cast<std::size_t>(std::countr_zero(words_[found]));
  }

 private:
  std::uint64_t summary_ = 0;  // bit w: words_[w] is not zero
  std::array<std::uint64_t, 64> words_{};
};

}  // namespace async_timer::core

#endif  // ASYNC_TIMER_CORE_SLOT_BITMAP_HPP
