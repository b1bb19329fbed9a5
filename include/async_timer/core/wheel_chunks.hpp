// The memory of the timing wheel: entries {node, due} in chunks of 256 bytes, from a pool.
// Arrays instead of linked nodes, because a node is a cache miss: what is due can be told without
// touching nodes, and those which are can be prefetched. A node knows its entry and from its
// address, chunks being aligned, the chunk and so the slot.
// Knows: chunks and the pool. Must not know: slots and time.
#ifndef ASYNC_TIMER_CORE_WHEEL_CHUNKS_HPP
#define ASYNC_TIMER_CORE_WHEEL_CHUNKS_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <new>
#include <vector>

namespace async_timer::core {

class wheel_node;

struct wheel_entry {
  wheel_node* node = nullptr;  // null: a hole, left by a removed node or never filled
  std::int64_t due = 0;        // nanoseconds since the epoch of time_point
};

// What a timer embeds or derives from. One pointer, the due time is in the entry.
// Its address must not change, nor its life end, while it is armed.
class wheel_node {
 public:
  wheel_node() noexcept = default;
  wheel_node(const wheel_node&) = delete;
  wheel_node& operator=(const wheel_node&) = delete;

  [[nodiscard]] bool armed() const noexcept { return entry_ != nullptr; }

 private:
  friend struct wheel_chunk;
  friend class timing_wheel;

  wheel_entry* entry_ = nullptr;
};

static_assert(sizeof(wheel_node) == sizeof(void*));

struct alignas(256) wheel_chunk {
  static constexpr unsigned capacity = 14;

  // The ring of the chunks of a slot. A free chunk uses `next` for the list of the pool.
  wheel_chunk* next = nullptr;
  wheel_chunk* prev = nullptr;
  std::uint16_t slot = 0;
  std::uint8_t level = 0;
  std::uint8_t end = 0;   // entries from here on have not been used, or are free again
  std::uint8_t live = 0;  // the entries in use; those before `end` which are not are holes
  alignas(32) wheel_entry entries[capacity];  // no entry lies across two cache lines

  static wheel_chunk& of(wheel_entry* entry) noexcept {
    const auto offset = reinterpret_cast<std::uintptr_t>(entry) % sizeof(wheel_chunk);
    return *reinterpret_cast<wheel_chunk*>(reinterpret_cast<std::byte*>(entry) - offset);
  }

  [[nodiscard]] bool full() const noexcept { return end == capacity; }

  void append(wheel_node& node, std::int64_t due) noexcept {
    entries[end] = {&node, due};
    node.entry_ = &entries[end];
    ++end;
    ++live;
  }

  // Leaves a hole. To move an entry into it would cost a cache miss for that entry's node, and the
  // order of insertion.
  void erase(wheel_entry& entry) noexcept {
    entry.node->entry_ = nullptr;
    entry.node = nullptr;
    --live;
    while (end != 0 && entries[end - 1].node == nullptr) --end;
  }

  // Takes over the entries of `later`, for which there must be room, in order.
  void absorb(wheel_chunk& later) noexcept {
    wheel_entry* out = entries;
    for (wheel_chunk* source : {this, &later}) {
      for (unsigned i = 0; i < source->end; ++i) {
        wheel_entry& in = source->entries[i];
        if (in.node == nullptr) continue;
        if (&in != out) {
          *out = in;
          out->node->entry_ = out;
          in.node = nullptr;
        }
        ++out;
      }
    }
    end = live = static_cast<std::uint8_t>(out - entries);
    later.end = later.live = 0;
  }
};

static_assert(sizeof(wheel_chunk) == 256);

inline void prefetch_for_write([[maybe_unused]] const void* p) noexcept {
#if defined(__GNUC__)
  __builtin_prefetch(p, 1);
#endif
}

// Asks for the cache lines of a chunk, or of the nodes in a chunk that is there already.
inline void prefetch_chunk(const wheel_chunk& chunk) noexcept {
  const auto* bytes = reinterpret_cast<const std::byte*>(&chunk);
  for (std::size_t line = 0; line < sizeof(wheel_chunk); line += 64)
    prefetch_for_write(bytes + line);
}

inline void prefetch_nodes(const wheel_chunk& chunk) noexcept {
  for (unsigned i = 0; i < chunk.end; ++i) prefetch_for_write(chunk.entries[i].node);
}

// Chunks come from slabs, which grow from 4 KiB, so that a wheel of few timers is small, to 64 KiB.
// Free chunks are used again, the latest first; slabs are returned when no chunk is in use, all
// but the first.
class chunk_pool {
 public:
  explicit chunk_pool(std::pmr::memory_resource* memory) noexcept : slabs_{memory} {}
  chunk_pool(const chunk_pool&) = delete;
  chunk_pool& operator=(const chunk_pool&) = delete;
  ~chunk_pool() { return_slabs(0); }

  // If it throws nothing has changed.
  wheel_chunk* acquire() {
    void* place = free_;
    if (free_ != nullptr) {
      free_ = free_->next;
    } else {
      if (fresh_ == fresh_end_) add_slab();
      place = fresh_;
      fresh_ += sizeof(wheel_chunk);
    }
    ++in_use_;
    return ::new (place) wheel_chunk{};
  }

  void release(wheel_chunk* chunk) noexcept {
    chunk->next = free_;
    free_ = chunk;
    if (--in_use_ == 0 && slabs_.size() > 1) return_slabs(1);
  }

  [[nodiscard]] std::size_t slab_count() const noexcept { return slabs_.size(); }
  [[nodiscard]] std::size_t in_use() const noexcept { return in_use_; }

 private:
  struct slab {
    std::byte* memory;
    std::size_t bytes;
  };

  static constexpr std::size_t first_slab = 4096;
  static constexpr std::size_t largest_slab = 65536;

  void add_slab() {
    const std::size_t bytes =
        slabs_.empty() ? first_slab : std::min(slabs_.back().bytes * 2, largest_slab);
    slab& added = slabs_.emplace_back(slab{nullptr, bytes});
    try {
      added.memory = static_cast<std::byte*>(memory().allocate(bytes, alignof(wheel_chunk)));
    } catch (...) {
      slabs_.pop_back();
      throw;
    }
    use_fresh(added);
  }

  void return_slabs(std::size_t kept) noexcept {
    while (slabs_.size() > kept) {
      memory().deallocate(slabs_.back().memory, slabs_.back().bytes, alignof(wheel_chunk));
      slabs_.pop_back();
    }
    free_ = nullptr;
    if (!slabs_.empty()) use_fresh(slabs_.back());
  }

  void use_fresh(const slab& s) noexcept {
    fresh_ = s.memory;
    fresh_end_ = s.memory + s.bytes;
  }

  std::pmr::memory_resource& memory() const noexcept { return *slabs_.get_allocator().resource(); }

  std::pmr::vector<slab> slabs_;
  wheel_chunk* free_ = nullptr;
  std::byte* fresh_ = nullptr;  // the part of the latest slab that has not been used yet
  std::byte* fresh_end_ = nullptr;
  std::size_t in_use_ = 0;
};

}  // namespace async_timer::core

#endif  // ASYNC_TIMER_CORE_WHEEL_CHUNKS_HPP
