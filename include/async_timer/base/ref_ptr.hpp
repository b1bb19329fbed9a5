// A reference-counting pointer of eight bytes over objects that carry their own count.
// std::shared_ptr would cost a timer sixteen bytes in each handle and a control block.
#ifndef ASYNC_TIMER_BASE_REF_PTR_HPP
#define ASYNC_TIMER_BASE_REF_PTR_HPP

#include <async_timer/base/schedule_point.hpp>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace async_timer::base {

/// Counts references; begins with one.
class reference_count {
 public:
  void add() noexcept { count_.fetch_add(1, std::memory_order_relaxed); }
  /// Tells whether that was the last one: then the object is the caller's, to be destroyed.
  [[nodiscard]] bool drop() noexcept {
    if (count_.fetch_sub(1, std::memory_order_acq_rel) != 1) {
      return false;
    }
    schedule_point();
    return true;
  }
  [[nodiscard]] std::uint32_t value() const noexcept {
    schedule_point();
    return count_.load(std::memory_order_acquire);
  }

 private:
  std::atomic<std::uint32_t> count_{1};
};

/// Gives a class its count; the class is born with one reference, for ref_ptr::adopt().
class ref_counted {
 public:
  ref_counted(const ref_counted&) = delete;
  ref_counted& operator=(const ref_counted&) = delete;

  void add_ref() noexcept { references_.add(); }

  /// Drops a reference; the last one destroys the object.
  void release() noexcept {
    if (references_.drop()) {
      destroy();
    }
  }

  [[nodiscard]] std::uint32_t use_count() const noexcept { return references_.value(); }

 protected:
  ref_counted() = default;
  virtual ~ref_counted() = default;

 private:
  /// Frees the object; operations override it to free through their handler's allocator.
  virtual void destroy() noexcept { delete this; }

  reference_count references_;
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
