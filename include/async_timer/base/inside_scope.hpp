// Marks on this thread's stack whose code is running, so that a call can be recognised as made from
// inside of it.
#ifndef ASYNC_TIMER_BASE_INSIDE_SCOPE_HPP
#define ASYNC_TIMER_BASE_INSIDE_SCOPE_HPP

namespace async_timer::base {

/// Marks the code between its construction and destruction as the owner's.
///
/// Scopes nest: a target may run its context's other handlers. Those are no part of it, so a
/// handler of ours begins with a scope of nobody's, which hides the outer ones.
class inside_scope {
 public:
  explicit inside_scope(const void* owner) noexcept : owner_(owner), outer_(innermost_) {
    innermost_ = this;
  }
  inside_scope(const inside_scope&) = delete;
  inside_scope& operator=(const inside_scope&) = delete;
  ~inside_scope() { innermost_ = outer_; }

  [[nodiscard]] static bool contains(const void* owner) noexcept {
    const auto* scope = innermost_;
    while (scope != nullptr && scope->owner_ != nullptr && scope->owner_ != owner) {
      scope = scope->outer_;
    }
    return scope != nullptr && scope->owner_ != nullptr;
  }

 private:
  const void* owner_;
  const inside_scope* outer_;
  static inline constinit thread_local const inside_scope* innermost_ = nullptr;
};

/// Hides the outer scopes.
class outside_scope : private inside_scope {
 public:
  outside_scope() noexcept : inside_scope(nullptr) {}
};

}  // namespace async_timer::base

#endif  // ASYNC_TIMER_BASE_INSIDE_SCOPE_HPP
