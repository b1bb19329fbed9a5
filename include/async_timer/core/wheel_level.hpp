// One level of the timing wheel: a ring of slots of equal width, each a FIFO of entries.
// Knows: the slots, which of them are occupied, and a lower bound of the due times in each.
// Must not know: the other levels, and where the cursor is unless it is passed in.
#ifndef ASYNC_TIMER_CORE_WHEEL_LEVEL_HPP
#define ASYNC_TIMER_CORE_WHEEL_LEVEL_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory_resource>
#include <vector>

#include <async_timer/core/slot_bitmap.hpp>
#include <async_timer/core/wheel_chunks.hpp>

namespace async_timer::core {

struct wheel_slot {
  static constexpr std::int64_t nothing_due = std::numeric_limits<std::int64_t>::max();

  wheel_chunk* tail = nullptr;  // its `next` is the head: the chunks form a ring

  // No later than the earliest due time in the slot. Removals do not raise it.
  std::int64_t min_due = nothing_due;

  [[nodiscard]] wheel_chunk* head() const noexcept { return tail->next; }
};

class wheel_level {
 public:
  using tick_type = std::int64_t;

  // Slots are 2^shift ticks wide and there are 2^slot_bits of them.
  wheel_level(std::uint8_t number, unsigned shift, unsigned slot_bits,
              std::pmr::memory_resource* memory) noexcept
      : slots_{memory}, shift_{shift}, mask_{(std::size_t{1} << slot_bits) - 1}, number_{number} {}

  [[nodiscard]] bool empty() const noexcept { return occupied_.none(); }
  [[nodiscard]] tick_type width() const noexcept { return tick_type{1} << shift_; }

  // Whether the ring, seen from the cursor, has a slot for the tick, which is not before it.
  [[nodiscard]] bool covers(tick_type tick, tick_type cursor) const noexcept {
    return (tick >> shift_) - (cursor >> shift_) <= static_cast<tick_type>(mask_);
  }

  [[nodiscard]] bool occupied(tick_type tick) const noexcept {
    return occupied_.test(index_of(tick));
  }
  [[nodiscard]] wheel_slot& slot_of(tick_type tick) noexcept { return slots_[index_of(tick)]; }
  [[nodiscard]] const wheel_slot& slot_of(tick_type tick) const noexcept {
    return slots_[index_of(tick)];
  }

  // The tick at which the slot begins that this one belongs to.
  [[nodiscard]] tick_type start_of(tick_type tick) const noexcept { return tick & -width(); }

  // The start of the first occupied slot at or after the cursor's. The level must not be empty.
  [[nodiscard]] tick_type first(tick_type cursor) const noexcept {
    const std::size_t at = index_of(cursor);
    const std::size_t distance = (occupied_.next(at) - at) & mask_;
    return start_of(cursor) + static_cast<tick_type>(distance << shift_);
  }

  // If it throws nothing has changed.
  void append(chunk_pool& pool, wheel_node& node, std::int64_t due, tick_type tick) {
    if (slots_.empty()) slots_.resize(mask_ + 1);
    const std::size_t index = index_of(tick);
    wheel_slot& slot = slots_[index];
    if (slot.tail == nullptr || slot.tail->full()) add_chunk(slot, index, *pool.acquire());
    slot.tail->append(node, due);
    slot.min_due = std::min(slot.min_due, due);
  }

  void erase(chunk_pool& pool, wheel_entry& entry) noexcept {
    wheel_chunk& chunk = wheel_chunk::of(&entry);
    chunk.erase(entry);
    if (chunk.live < sparse) tidy(pool, chunk);
  }

  // The chunk must have no live entry.
  void drop(chunk_pool& pool, wheel_chunk& chunk) noexcept {
    wheel_slot& slot = slots_[chunk.slot];
    if (chunk.next == &chunk) {
      slot = {};
      occupied_.reset(chunk.slot);
    } else {
      chunk.prev->next = chunk.next;
      chunk.next->prev = chunk.prev;
      if (slot.tail == &chunk) slot.tail = chunk.prev;
    }
    pool.release(&chunk);
  }

 private:
  // A chunk with fewer entries is folded into a neighbour that has room, or else the memory for
  // many short-lived timers among a few long-lived ones would be as good as leaked.
  static constexpr unsigned sparse = 4;

  [[nodiscard]] std::size_t index_of(tick_type tick) const noexcept {
    return static_cast<std::size_t>(tick >> shift_) & mask_;
  }

  void add_chunk(wheel_slot& slot, std::size_t index, wheel_chunk& chunk) noexcept {
    chunk.level = number_;
    chunk.slot = static_cast<std::uint16_t>(index);
    if (slot.tail == nullptr) {
      chunk.next = chunk.prev = &chunk;
      occupied_.set(index);
    } else {
      chunk.prev = slot.tail;
      chunk.next = slot.tail->next;
      chunk.prev->next = chunk.next->prev = &chunk;
    }
    slot.tail = &chunk;
  }

  void tidy(chunk_pool& pool, wheel_chunk& chunk) noexcept {
    if (chunk.live == 0) return drop(pool, chunk);
    const wheel_slot& slot = slots_[chunk.slot];
    if (&chunk != slot.head() && chunk.prev->live + chunk.live <= wheel_chunk::capacity)
      merge(pool, *chunk.prev, chunk);
    else if (&chunk != slot.tail && chunk.live + chunk.next->live <= wheel_chunk::capacity)
      merge(pool, chunk, *chunk.next);
  }

  void merge(chunk_pool& pool, wheel_chunk& earlier, wheel_chunk& later) noexcept {
    prefetch_nodes(later);
    earlier.absorb(later);
    drop(pool, later);
  }

  std::pmr::vector<wheel_slot> slots_;  // allocated on first use
  slot_bitmap occupied_;
  unsigned shift_;
  std::size_t mask_;
  std::uint8_t number_;
};

}  // namespace async_timer::core

#endif  // ASYNC_TIMER_CORE_WHEEL_LEVEL_HPP
