// A growing FIFO in one block of memory, whose size is a power of two. It does not shrink while in
// use, so a steady flow allocates nothing; clear() gives the memory back.
// Knows: its elements. Must not know: bounds and what to drop at them (the feeds' business).
#ifndef ASYNC_TIMER_CORE_RING_BUFFER_HPP
#define ASYNC_TIMER_CORE_RING_BUFFER_HPP

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

namespace async_timer::core {

template <class T>
class ring_buffer {
  static_assert(std::is_nothrow_destructible_v<T>);

 public:
  ring_buffer() noexcept = default;
  ring_buffer(ring_buffer&& other) noexcept { swap(other); }
  ring_buffer& operator=(ring_buffer&& other) noexcept {
    ring_buffer taken{std::move(other)};
    swap(taken);
    return *this;
  }
  ~ring_buffer() { clear(); }

  void swap(ring_buffer& other) noexcept {
    std::swap(elements_, other.elements_);
    std::swap(capacity_, other.capacity_);
    std::swap(head_, other.head_);
    std::swap(size_, other.size_);
  }

  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

  // 0 is the oldest element.
  T& operator[](std::size_t i) noexcept { return *place(i); }
  const T& operator[](std::size_t i) const noexcept { return *place(i); }
  T& front() noexcept { return *place(0); }
  const T& front() const noexcept { return *place(0); }

  void push_back(const T& value) { emplace_back(value); }
  void push_back(T&& value) { emplace_back(std::move(value)); }

  // If it throws nothing has changed; except that, as with std::vector, a T which can be moved
  // only, by a constructor that throws, may be lost on growth.
  template <class... Args>
  T& emplace_back(Args&&... args) {
    if (size_ == capacity_) return emplace_into_larger(std::forward<Args>(args)...);
    T* added = std::construct_at(place(size_), std::forward<Args>(args)...);
    ++size_;
    return *added;
  }

  // Puts back what was taken from the front. If it throws nothing has changed.
  void push_front(T&& value) {
    if (size_ == capacity_) {
      emplace_into_larger(std::move(value));  // at the back; the ring turns by one to bring it here
      head_ = (head_ + capacity_ - 1) & (capacity_ - 1);
      std::construct_at(place(0), std::move(*place(size_)));
      std::destroy_at(place(size_));
      return;
    }
    head_ = (head_ + capacity_ - 1) & (capacity_ - 1);
    std::construct_at(place(0), std::move(value));
    ++size_;
  }

  void pop_front() noexcept {
    std::destroy_at(place(0));
    head_ = (head_ + 1) & (capacity_ - 1);
    --size_;
  }

  // Drops every element and releases the memory.
  void clear() noexcept {
    destroy_all();
    if (elements_ != nullptr) std::allocator<T>{}.deallocate(elements_, capacity_);
    elements_ = nullptr;
    capacity_ = head_ = size_ = 0;
  }

 private:
  static constexpr std::size_t first_capacity = 4;

  T* place(std::size_t i) const noexcept { return elements_ + ((head_ + i) & (capacity_ - 1)); }

  void destroy_all() noexcept {
    for (std::size_t i = 0; i < size_; ++i) std::destroy_at(place(i));
  }

  // The new element comes first: its argument may refer to one of the old ones.
  template <class... Args>
  T& emplace_into_larger(Args&&... args) {
    ring_buffer larger;
    const std::size_t capacity = capacity_ == 0 ? first_capacity : capacity_ * 2;
    larger.elements_ = std::allocator<T>{}.allocate(capacity);
    larger.capacity_ = capacity;
    T* added = std::construct_at(larger.elements_ + size_, std::forward<Args>(args)...);
    try {
      for (std::size_t i = 0; i < size_; ++i, ++larger.size_)
        std::construct_at(larger.elements_ + i, std::move_if_noexcept(*place(i)));
    } catch (...) {
      std::destroy_at(added);
      throw;
    }
    ++larger.size_;
    swap(larger);
    return *added;
  }

  T* elements_ = nullptr;
  std::size_t capacity_ = 0;
  std::size_t head_ = 0;
  std::size_t size_ = 0;
};

}  // namespace async_timer::core

#endif  // ASYNC_TIMER_CORE_RING_BUFFER_HPP
