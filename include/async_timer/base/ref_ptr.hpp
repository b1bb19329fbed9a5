// A reference-counting pointer of eight bytes over objects that carry their own count.
// std::shared_ptr would cost a timer sixteen bytes in each handle and a control block.
#ifndef ASYNC_TIMER_BASE_REF_PTR_HPP
#define ASYNC_TIMER_BASE_REF_PTR_HPP

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace async_timer::base {

/// Gives a class its count; the class is born with one reference, for adopt_ref().
class ref_counted {
 public:
  ref_counted(const ref_counted&) = delete;
  ref_counted& operator=(const ref_counted&) = delete;

  void add_ref() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }

  /// Drops a reference; the last one destroys the object.
  void release() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      destroy();
    }
  }

  [[nodiscard]] std::uint32_t use_count() const noexcept {
    return references_.load(std::memory_order_acquire);
  }

 protected:
  ref_counted() = default;
  virtual ~ref_counted() = default;

 private:
  /// Frees the object; operations override it to free through their handler's allocator.
  virtual void destroy() noexcept { delete this; }

  std::atomic<std::uint32_t> references_{1};
};

template <class T>
class ref_ptr {
 public:
  ref_ptr() = default;
  ref_ptr(std::nullptr_t) noexcept {}  // NOLINT(google-explicit-constructor)
  explicit ref_ptr(T* object) noexcept : object_(object) {
    if (object_ != nullptr) {
      object_->add_ref();
    }
  }
  ref_ptr(const ref_ptr& other) noexcept : ref_ptr(other.object_) {}
  ref_ptr(ref_ptr&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  template <class U>
    requires std::is_convertible_v<U*, T*>
  ref_ptr(ref_ptr<U> other) noexcept : object_(other.detach()) {}  // NOLINT
  ref_ptr& operator=(ref_ptr other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~ref_ptr() {
    if (object_ != nullptr) {
      object_->release();
    }
  }

  /// Takes over a reference that the caller owns already.
  [[nodiscard]] static ref_ptr adopt(T* object) noexcept {
    ref_ptr result;
    result.object_ = object;
    return result;
  }
  /// Hands the reference to the caller.
  [[nodiscard]] T* detach() noexcept { return std::exchange(object_, nullptr); }

  [[nodiscard]] T* get() const noexcept { return object_; }
  T& operator*() const noexcept { return *object_; }
  T* operator->() const noexcept { return object_; }
  explicit operator bool() const noexcept { return object_ != nullptr; }
  friend bool operator==(const ref_ptr&, const ref_ptr&) = default;

 private:
  T* object_ = nullptr;
};

}  // namespace async_timer::base

#endif  // ASYNC_TIMER_BASE_REF_PTR_HPP
