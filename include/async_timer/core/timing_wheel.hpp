// A hierarchical timing wheel: millions of due times, inserted and removed in O(1), delivered in
// the order of slots of 262 us, never before their exact due time.
// Knows: nodes and due times. Must not know: timers, clocks, what happens to a delivered node.
// Not thread-safe; a sink must not call the wheel.
#ifndef ASYNC_TIMER_CORE_TIMING_WHEEL_HPP
#define ASYNC_TIMER_CORE_TIMING_WHEEL_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <optional>
#include <type_traits>
#include <utility>

#include "async_timer/core/time.hpp"
#include "async_timer/core/wheel_chunks.hpp"
#include "async_timer/core/wheel_hierarchy.hpp"
#include "async_timer/core/wheel_level.hpp"

namespace async_timer::core {

class timing_wheel {
 public:
  // `now` is where the wheel begins to turn. A due time before it is allowed.
  explicit timing_wheel(time_point now,
                        std::pmr::memory_resource* memory = std::pmr::new_delete_resource())
      : hierarchy_{tick_of(now), memory} {}

  timing_wheel(const timing_wheel&) = delete;
  timing_wheel& operator=(const timing_wheel&) = delete;

  // Nodes still armed are left as they are: drain() the wheel first if they may be used again.
  ~timing_wheel() = default;

  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t slab_count() const noexcept { return hierarchy_.pool().slab_count(); }
  [[nodiscard]] std::size_t chunk_count() const noexcept { return hierarchy_.pool().in_use(); }

  // The node must not be armed. If it throws (memory) nothing has changed.
  void insert(wheel_node& node, time_point due);

  // The node must be armed, in this wheel.
  void remove(wheel_node& node) noexcept;

  // The node must be armed.
  [[nodiscard]] static time_point due(const wheel_node& node) noexcept {
    return to_time(node.entry_->due);
  }

  // Disarms nodes which are due at `now`, at most `limit`, and passes each with its due time to
  // `sink(wheel_node&, time_point) noexcept`: slot by slot, within a slot in order of insertion.
  // Returns true if it has to be called again, as more nodes are or may be due; false when none is.
  //
  // The work is bounded by `limit`, however long ago the last call was and however many nodes are
  // due; except that it looks at all entries of the slot that `now` is in, 16 bytes each.
  // When memory runs out entries cannot come down from the upper levels: nothing is lost, it
  // returns true and the next call tries again.
  template <class Sink>
  bool collect(time_point now, std::size_t limit, Sink&& sink) noexcept;

  // Lets the wheel turn without delivering. To be called before insert() when the last collect()
  // may be long ago: slots are chosen by the distance from where the wheel stands, so after an
  // idle hour nodes due in a millisecond would all go into one wide slot. Usually one comparison.
  void catch_up(time_point now) noexcept {
    if (tick_of(now) > hierarchy_.cursor())
      collect(now, 0, [](wheel_node&, time_point) noexcept {});
  }

  // No later than the earliest due time; empty if the wheel is. It is exact, but for one case: the
  // earliest node is more than a second away, and a node due before it was removed from its slot.
  //
  // After collect(t, ...) has returned false the result is later than t. So the loop
  // "t = next_due(); collect(t, ...) until it returns false" makes progress and visits every due
  // time in ascending order; and sometimes, at most once for each level and removal, an instant at
  // which nothing is due.
  [[nodiscard]] std::optional<time_point> next_due() const noexcept;

  // Disarms every node and passes it to `sink(wheel_node&, time_point) noexcept`, in no order.
  template <class Sink>
  void drain(Sink&& sink) noexcept;

 private:
  using tick_type = wheel_hierarchy::tick_type;

  // Entries that a collect() may bring down from upper levels, on top of two for each delivered.
  static constexpr std::size_t cascade_budget = 64;

  static tick_type tick_of(time_point t) noexcept {
    return wheel_hierarchy::tick_of(t.time_since_epoch().count());
  }
  static time_point to_time(std::int64_t due) noexcept { return time_point{nanoseconds{due}}; }

  // Disarms the node of an entry and passes it on. The caller accounts for it in the chunk.
  template <class Sink>
  static void deliver(wheel_entry& entry, Sink& sink) noexcept {
    wheel_node& node = *std::exchange(entry.node, nullptr);
    node.entry_ = nullptr;
    sink(node, to_time(entry.due));
  }

  template <class Sink>
  bool take_due(std::int64_t now, std::size_t& room, Sink& sink) noexcept;

  std::int64_t earliest_in_level_0() const noexcept;

  wheel_hierarchy hierarchy_;
  std::size_t size_ = 0;
  mutable std::optional<std::int64_t> next_due_;  // the answer of next_due(), while it holds
};

inline void timing_wheel::insert(wheel_node& node, time_point due) {
  const std::int64_t ns = due.time_since_epoch().count();
  hierarchy_.place(node, ns);
  ++size_;
  if (next_due_ && ns < *next_due_) next_due_ = ns;
}

inline void timing_wheel::remove(wheel_node& node) noexcept {
  if (next_due_ == node.entry_->due) next_due_.reset();
  hierarchy_.erase(*node.entry_);
  --size_;
}

template <class Sink>
bool timing_wheel::collect(time_point now, std::size_t limit, Sink&& sink) noexcept {
  static_assert(std::is_nothrow_invocable_v<Sink&, wheel_node&, time_point>);
  const tick_type target = std::max(tick_of(now), hierarchy_.cursor());
  std::size_t room = limit;
  std::size_t budget = cascade_budget + 2 * limit;
  next_due_.reset();
  for (;;) {
    if (!hierarchy_.clear_the_way(budget)) return true;
    if (!take_due(now.time_since_epoch().count(), room, sink)) return true;
    if (hierarchy_.cursor() == target) break;
    hierarchy_.advance(target);
  }
  hierarchy_.cascade_ahead(cascade_budget + 2 * (limit - room));
  return false;
}

// Delivers from the slot at the cursor. False if that was cut short by the limit.
template <class Sink>
bool timing_wheel::take_due(std::int64_t now, std::size_t& room, Sink& sink) noexcept {
  wheel_level& level = hierarchy_.level(0);
  if (level.empty() || !level.occupied(hierarchy_.cursor())) return true;
  wheel_slot& slot = level.slot_of(hierarchy_.cursor());
  if (slot.min_due > now) return true;
  if (room == 0) return false;
  std::int64_t earliest_left = wheel_slot::nothing_due;
  wheel_chunk* const last = slot.tail;
  wheel_chunk* chunk = slot.head();
  // Memory takes as long as some fifty entries: chunks are asked for three ahead, their nodes one.
  wheel_chunk* ahead = chunk;
  const auto look_ahead = [&ahead, last] {
    if (ahead == last) return;  // not round the ring, to chunks dropped meanwhile
    ahead = ahead->next;
    prefetch_chunk(*ahead);
  };
  look_ahead();
  prefetch_nodes(*chunk);
  look_ahead();
  for (;;) {
    wheel_chunk* const next = chunk == last ? nullptr : chunk->next;
    look_ahead();
    if (next != nullptr) prefetch_nodes(*next);
    for (unsigned i = 0; i < chunk->end; ++i) {
      wheel_entry& entry = chunk->entries[i];
      if (entry.node == nullptr) continue;
      if (entry.due > now) {
        earliest_left = std::min(earliest_left, entry.due);
        continue;
      }
      if (room == 0) return false;
      --room;
      --size_;
      --chunk->live;
      deliver(entry, sink);
    }
    if (chunk->live == 0) level.drop(hierarchy_.pool(), *chunk);
    if (next == nullptr) break;
    chunk = next;
  }
  if (slot.tail != nullptr) next_due_ = slot.min_due = earliest_left;  // before any other slot
  return true;
}

inline std::optional<time_point> timing_wheel::next_due() const noexcept {
  if (empty()) return std::nullopt;
  if (!next_due_) {
    next_due_ = earliest_in_level_0();
    for (std::size_t n = 1; n != wheel_hierarchy::level_count; ++n) {
      const wheel_level& level = hierarchy_.level(n);
      if (!level.empty())
        next_due_ = std::min(*next_due_, level.slot_of(level.first(hierarchy_.cursor())).min_due);
    }
  }
  return to_time(*next_due_);
}

inline std::int64_t timing_wheel::earliest_in_level_0() const noexcept {
  std::int64_t earliest = wheel_slot::nothing_due;
  const wheel_level& level = hierarchy_.level(0);
  if (level.empty()) return earliest;
  const wheel_slot& slot = level.slot_of(level.first(hierarchy_.cursor()));
  const wheel_chunk* chunk = slot.tail;
  do {
    chunk = chunk->next;
    for (unsigned i = 0; i < chunk->end; ++i) {
      if (chunk->entries[i].node == nullptr) continue;
      earliest = std::min(earliest, chunk->entries[i].due);
      if (earliest == slot.min_due) return earliest;  // the usual case: no earlier one was removed
    }
  } while (chunk != slot.tail);
  return earliest;
}

template <class Sink>
void timing_wheel::drain(Sink&& sink) noexcept {
  static_assert(std::is_nothrow_invocable_v<Sink&, wheel_node&, time_point>);
  for (std::size_t n = 0; n != wheel_hierarchy::level_count; ++n) {
    wheel_level& level = hierarchy_.level(n);
    while (!level.empty()) {
      wheel_chunk& chunk = *level.slot_of(level.first(hierarchy_.cursor())).head();
      for (wheel_entry& entry : chunk.entries)
        if (entry.node != nullptr) deliver(entry, sink);
      chunk.live = 0;
      level.drop(hierarchy_.pool(), chunk);
    }
  }
  size_ = 0;
  next_due_.reset();
}

}  // namespace async_timer::core

#endif  // ASYNC_TIMER_CORE_TIMING_WHEEL_HPP
