// What this thread is in, of one kind: a mark on its stack that calls from further in can find.
#ifndef ASYNC_TIMER_BASE_INNERMOST_HPP
#define ASYNC_TIMER_BASE_INNERMOST_HPP

#include <utility>

namespace async_timer::base {

/// Marks an object as the innermost T of this thread, from its construction to its destruction.
/// Marks nest; base::inside_scope is for who has to look at the outer ones, too.
template <class T>
class innermost {
 public:
  explicit innermost(T& which) noexcept : outer_(std::exchange(latest_, &which)) {}
  innermost(const innermost&) = delete;
  innermost& operator=(const innermost&) = delete;
  ~innermost() { latest_ = outer_; }

  /// Null: this thread is in none.
  [[nodiscard]] static T* get() noexcept { return latest_; }

 private:
  T* const outer_;
  static inline constinit thread_local T* latest_ = nullptr;
};

}  // namespace async_timer::base

#endif  // ASYNC_TIMER_BASE_INNERMOST_HPP
