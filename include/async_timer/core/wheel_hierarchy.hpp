// The levels of the timing wheel and the way of an entry through them.
// Level 0 has 4096 slots of one tick (2^18 ns), 1.07 s in all. Each of the nine upper levels has
// 256 slots, of 2^8 ticks (67 ms) in level 1 and 16 times as much from level to level, so the last
// one reaches beyond what a time_point can hold. Neighbours overlap: level 0 spans 16 slots of
// level 1, and so on. An upper slot can thus come down, a few entries at a time, long before it is
// needed; moved as a whole when its time came, it would hold up everything else. Knows: where the
// cursor is. Must not know: what the time is, delivery.
#ifndef ASYNC_TIMER_CORE_WHEEL_HIERARCHY_HPP
#define ASYNC_TIMER_CORE_WHEEL_HIERARCHY_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory_resource>
#include <utility>

#include "async_timer/core/wheel_chunks.hpp"
#include "async_timer/core/wheel_level.hpp"

namespace async_timer::core {

class wheel_hierarchy {
 public:
  using tick_type = wheel_level::tick_type;

  static constexpr std::size_t level_count = 10;

  static tick_type tick_of(std::int64_t due) noexcept { return due >> tick_bits; }

  wheel_hierarchy(tick_type cursor, std::pmr::memory_resource* memory)
      : wheel_hierarchy{cursor, memory, std::make_index_sequence<level_count>{}} {}

  // All slots of level 0 before this tick are empty, and all slots of upper levels that began
  // before it. The slot at the cursor also takes what is overdue when it is inserted.
  [[nodiscard]] tick_type cursor() const noexcept { return cursor_; }

  [[nodiscard]] wheel_level& level(std::size_t n) noexcept { return levels_[n]; }
  [[nodiscard]] const wheel_level& level(std::size_t n) const noexcept { return levels_[n]; }
  [[nodiscard]] chunk_pool& pool() noexcept { return pool_; }
  [[nodiscard]] const chunk_pool& pool() const noexcept { return pool_; }

  // Puts a node into the lowest level that reaches its due time. If it throws nothing has changed.
  void place(wheel_node& node, std::int64_t due) {
    const tick_type tick = std::max(tick_of(due), cursor_);
    std::size_t n = 0;
    while (!levels_[n].covers(tick, cursor_)) ++n;
    levels_[n].append(pool_, node, due, tick);
    if (n != 0) barrier_ = std::min(barrier_, levels_[n].start_of(tick));
  }

  void erase(wheel_entry& entry) noexcept {
    levels_[wheel_chunk::of(&entry).level].erase(pool_, entry);
  }

  // Moves the cursor, whose slot must be empty, to the next tick at which there is something to do,
  // at most to `target`, which must be ahead.
  void advance(tick_type target) noexcept {
    tick_type stop = std::min(target, barrier_);
    if (!levels_[0].empty()) stop = std::min(stop, levels_[0].first(cursor_));
    cursor_ = stop;
  }

  // Brings down what has to be before anything at the cursor may be delivered. False if the budget,
  // a number of entries, was used up, or memory: then it has to be called again.
  bool clear_the_way(std::size_t& budget) noexcept {
    if (cursor_ < barrier_) return true;
    for (std::size_t n = level_count - 1; n != 0; --n) {
      if (levels_[n].empty()) continue;
      const tick_type start = levels_[n].first(cursor_);
      if (start <= cursor_ && !cascade(levels_[n], start, budget)) return false;
    }
    find_barrier();
    return true;
  }

  // Brings down upper slots that have come within reach of the level below, the most urgent first.
  void cascade_ahead(std::size_t budget) noexcept {
    if (barrier_ == never) return;
    for (std::size_t n = 1; n != level_count; ++n) {
      while (!levels_[n].empty()) {
        const tick_type start = levels_[n].first(cursor_);
        if (!levels_[n - 1].covers(start + levels_[n].width() - 1, cursor_)) break;
        if (!cascade(levels_[n], start, budget)) return;
      }
    }
    find_barrier();
  }

 private:
  static constexpr unsigned tick_bits = 18;
  static constexpr tick_type never = std::numeric_limits<tick_type>::max();

  static constexpr unsigned slot_bits(std::size_t level) noexcept { return level == 0 ? 12 : 8; }
  static constexpr unsigned shift(std::size_t level) noexcept {
    return level == 0 ? 0 : 4 + 4 * static_cast<unsigned>(level);
  }

  template <std::size_t... N>
  wheel_hierarchy(tick_type cursor, std::pmr::memory_resource* memory, std::index_sequence<N...>)
      : pool_{memory}, levels_{wheel_level{N, shift(N), slot_bits(N), memory}...}, cursor_{cursor} {
    static_assert(shift(level_count - 1) + slot_bits(level_count - 1) + tick_bits > 64,
                  "the last level must cover every time_point from every other");
  }

  // False if the slot could not be emptied.
  bool cascade(wheel_level& level, tick_type start, std::size_t& budget) noexcept {
    const wheel_slot& slot = level.slot_of(start);
    while (level.occupied(start)) {
      wheel_chunk& chunk = *slot.head();
      prefetch_nodes(chunk);
      prefetch_chunk(*chunk.next);
      for (unsigned i = 0; i < chunk.end; ++i) {
        wheel_entry& entry = chunk.entries[i];
        if (entry.node == nullptr) continue;
        if (budget == 0) return false;
        --budget;
        try {
          place(*entry.node, entry.due);
        } catch (...) {
          return false;
        }
        entry.node = nullptr;
        --chunk.live;
      }
      level.drop(pool_, chunk);
    }
    return true;
  }

  void find_barrier() noexcept {
    barrier_ = never;
    for (std::size_t n = 1; n != level_count; ++n)
      if (!levels_[n].empty()) barrier_ = std::min(barrier_, levels_[n].first(cursor_));
  }

  chunk_pool pool_;
  std::array<wheel_level, level_count> levels_;
  tick_type cursor_;

  // No later than the start of any occupied slot of an upper level: the cursor must not pass it.
  tick_type barrier_ = never;
};

}  // namespace async_timer::core

#endif  // ASYNC_TIMER_CORE_WHEEL_HIERARCHY_HPP
