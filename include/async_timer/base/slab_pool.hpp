// Memory for blocks of one size, of which a process may hold millions: timers.
// A block begins at a cache line or in the middle of one, so that a tick touches at most one line
// more than its data needs, and neighbours in time are neighbours in memory. Empty slabs go back,
// all but one of each size. The idea is that of the slab allocator (J. Bonwick, USENIX 1994).
#ifndef ASYNC_TIMER_BASE_SLAB_POOL_HPP
#define ASYNC_TIMER_BASE_SLAB_POOL_HPP

#include <array>
#include <async_timer/base/word_lock.hpp>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <new>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ASYNC_TIMER_DETAIL_NO_SLABS
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define ASYNC_TIMER_DETAIL_NO_SLABS
#endif
#endif

namespace async_timer::base {

/// Hands out blocks of one size. Safe from any thread; allocation and release are O(1).
class slab_pool {
 public:
  explicit constexpr slab_pool(std::size_t block_bytes) noexcept : block_bytes_(block_bytes) {}
  slab_pool(const slab_pool&) = delete;
  slab_pool& operator=(const slab_pool&) = delete;

  /// Throws std::bad_alloc; then nothing has changed.
  [[nodiscard]] void* allocate() {
    const std::scoped_lock lock(lock_);
    if (usable_ == nullptr) {
      link(*::new (::operator new(slab_bytes, std::align_val_t(slab_bytes))) slab);
    }
    slab& from = *usable_;
    void* block = from.free;
    if (block != nullptr) {
      from.free = from.free->next;
    } else {
      block = reinterpret_cast<std::byte*>(&from) + from.fresh;
      from.fresh += block_bytes_;
    }
    ++from.used;
    if (is_full(from)) {
      unlink(from);
    }
    return block;
  }

  void deallocate(void* block) noexcept {
    slab* empty = nullptr;
    {
      const std::scoped_lock lock(lock_);
      const auto offset = reinterpret_cast<std::uintptr_t>(block) % slab_bytes;
      slab& to = *reinterpret_cast<slab*>(static_cast<std::byte*>(block) - offset);
      if (is_full(to)) {
        link(to);
      }
      to.free = ::new (block) free_block{to.free};
      if (--to.used == 0 && (to.next != nullptr || to.prev != nullptr)) {
        unlink(to);
        empty = &to;
      }
    }
    if (empty != nullptr) {
      ::operator delete(empty, std::align_val_t(slab_bytes));
    }
  }

 private:
  static constexpr std::size_t slab_bytes = 262144;  // also its alignment: a block finds it

  struct free_block {
    free_block* next;
  };
  struct alignas(64) slab {
    slab* prev = nullptr;
    slab* next = nullptr;
    free_block* free = nullptr;
    std::size_t fresh = sizeof(slab);  // offset of what was never handed out
    std::size_t used = 0;
  };

  [[nodiscard]] bool is_full(const slab& s) const noexcept {
    return s.free == nullptr && s.fresh + block_bytes_ > slab_bytes;
  }
  void link(slab& s) noexcept {
    s.prev = nullptr;
    s.next = usable_;
    if (usable_ != nullptr) {
      usable_->prev = &s;
    }
    usable_ = &s;
  }
  void unlink(slab& s) noexcept {
    (s.prev != nullptr ? s.prev->next : usable_) = s.next;
    if (s.next != nullptr) {
      s.next->prev = s.prev;
    }
    s.prev = s.next = nullptr;
  }

  const std::size_t block_bytes_;
  word_lock lock_;
  slab* usable_ = nullptr;  ///< those with a free block
};

/// Gives classes whose objects come by the million their memory: derive from it.
///
/// Large and over-aligned objects, and all under a sanitizer, come from the global operator new.
class from_slabs {
 public:
  static void* operator new(std::size_t bytes) {
    return pooled(bytes) ? pool_of(bytes).allocate() : ::operator new(bytes);
  }
  static void operator delete(void* block, std::size_t bytes) noexcept {
    if (pooled(bytes)) {
      pool_of(bytes).deallocate(block);
    } else {
      ::operator delete(block);
    }
  }
  static void* operator new(std::size_t bytes, std::align_val_t alignment) {
    return ::operator new(bytes, alignment);
  }
  static void operator delete(void* block, std::align_val_t alignment) noexcept {
    ::operator delete(block, alignment);
  }

 protected:
  ~from_slabs() = default;

 private:
  // A multiple of half a line: finer wastes less, and a block of one size straddles no more lines.
  static constexpr std::size_t granule = 32;
  static constexpr std::size_t largest = 8 * granule;

  static constexpr bool pooled([[maybe_unused]] std::size_t bytes) noexcept {
#if defined(ASYNC_TIMER_DETAIL_NO_SLABS)
    return false;
#else
    return bytes <= largest;
#endif
  }
  // Constant-initialised and never destroyed: timers may live at namespace scope.
  static slab_pool& pool_of(std::size_t bytes) noexcept { return pools_[(bytes - 1) / granule]; }
  static inline constinit std::array<slab_pool, largest / granule> pools_{
      slab_pool(1 * granule), slab_pool(2 * granule), slab_pool(3 * granule),
      slab_pool(4 * granule), slab_pool(5 * granule), slab_pool(6 * granule),
      slab_pool(7 * granule), slab_pool(8 * granule)};
};

}  // namespace async_timer::base

#endif  // ASYNC_TIMER_BASE_SLAB_POOL_HPP
