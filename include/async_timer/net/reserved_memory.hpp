// Memory taken ahead for one function on its way through an executor: what keeps a scheduler going
// must not fail when there is no memory.
#ifndef ASYNC_TIMER_NET_RESERVED_MEMORY_HPP
#define ASYNC_TIMER_NET_RESERVED_MEMORY_HPP

#include <async_timer/base/ref_ptr.hpp>
#include <async_timer/net/asio.hpp>
#include <atomic>
#include <cstddef>
#include <memory>
#include <new>
#include <utility>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

/// Is one block that is lent again and again; while it is out, others come from operator new.
class reserved_memory final : public base::ref_counted {
 public:
  [[nodiscard]] void* lend(std::size_t bytes) {
    const bool lent = bytes <= sizeof(block_) && !is_out_.exchange(true, std::memory_order_acquire);
    return lent ? block_ : ::operator new(bytes);
  }
  void take_back(void* block) noexcept {
    if (block == block_) {
      is_out_.store(false, std::memory_order_release);
    } else {
      ::operator delete(block);
    }
  }

 private:
  alignas(std::max_align_t) std::byte block_[192];
  std::atomic<bool> is_out_{false};
};

/// Is the associated allocator of a function that may use the block.
template <class T>
class reserved_allocator {
 public:
  using value_type = T;

  explicit reserved_allocator(base::ref_ptr<reserved_memory> from) noexcept
      : from_(std::move(from)) {}
  template <class U>
  reserved_allocator(const reserved_allocator<U>& other) noexcept  // NOLINT
      : from_(other.from()) {}

  [[nodiscard]] T* allocate(std::size_t count) {
    static_assert(alignof(T) <= alignof(std::max_align_t));
    return static_cast<T*>(from_->lend(count * sizeof(T)));
  }
  void deallocate(T* block, std::size_t) noexcept { from_->take_back(block); }

  [[nodiscard]] const base::ref_ptr<reserved_memory>& from() const noexcept { return from_; }
  template <class U>
  friend bool operator==(const reserved_allocator& a, const reserved_allocator<U>& b) noexcept {
    return a.from() == b.from();
  }

 private:
  base::ref_ptr<reserved_memory> from_;
};

}  // namespace detail

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_NET_RESERVED_MEMORY_HPP
