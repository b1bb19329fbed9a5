// Memory of handlers that tells what was taken and what came back.
#ifndef ASYNC_TIMER_TESTS_SUPPORT_ARENA_HPP
#define ASYNC_TIMER_TESTS_SUPPORT_ARENA_HPP

#include <cstddef>
#include <exception>
#include <memory>
#include <new>
#include <set>
#include <utility>

#include "support/fixture.hpp"

namespace test {

struct arena {
  int allocations = 0;
  int live = 0;
};

template <class T>
class arena_allocator {
 public:
  using value_type = T;
  explicit arena_allocator(arena& where) noexcept : where_(&where) {}
  template <class U>
  arena_allocator(const arena_allocator<U>& other) noexcept : where_(&other.where()) {}

  T* allocate(std::size_t count) {
    ++where_->allocations;
    ++where_->live;
    return static_cast<T*>(::operator new(count * sizeof(T)));
  }
  void deallocate(T* memory, std::size_t) noexcept {
    --where_->live;
    ::operator delete(memory);
  }
  [[nodiscard]] arena& where() const noexcept { return *where_; }
  friend bool operator==(const arena_allocator& a, const arena_allocator& b) noexcept {
    return a.where_ == b.where_;
  }

 private:
  arena* where_;
};

/// Is a handler with an allocator and an executor of its own.
template <class Executor, class Function>
struct arena_handler {
  using allocator_type = arena_allocator<void>;
  using executor_type = Executor;

  arena* where;
  Executor executor;
  Function function;

  [[nodiscard]] allocator_type get_allocator() const noexcept { return allocator_type(*where); }
  [[nodiscard]] executor_type get_executor() const noexcept { return executor; }
  template <class... Arguments>
  void operator()(Arguments&&... arguments) {
    function(std::forward<Arguments>(arguments)...);
  }
};
template <class Executor, class Function>
arena_handler(arena*, Executor, Function) -> arena_handler<Executor, Function>;

// Asio's own example of an allocator gives out the memory of the connection that the handler keeps
// alive: its end is that of the allocator, too.

/// Is an arena that tells whether anything comes back to it after its end.
struct mortal_arena {
  static inline std::set<const mortal_arena*> living;
  static inline int late = 0;

  mortal_arena() { living.insert(this); }
  mortal_arena(const mortal_arena&) = delete;
  mortal_arena& operator=(const mortal_arena&) = delete;
  ~mortal_arena() { living.erase(this); }
};
template <class T>
struct mortal_allocator {
  using value_type = T;
  const mortal_arena* where;

  explicit mortal_allocator(const mortal_arena* from) noexcept : where(from) {}
  template <class U>
  mortal_allocator(const mortal_allocator<U>& other) noexcept : where(other.where) {}
  T* allocate(std::size_t count) {
    if (!mortal_arena::living.contains(where)) ++mortal_arena::late;
    return static_cast<T*>(::operator new(count * sizeof(T)));
  }
  void deallocate(T* memory, std::size_t) noexcept {
    if (!mortal_arena::living.contains(where)) ++mortal_arena::late;
    ::operator delete(memory);
  }
  friend bool operator==(const mortal_allocator&, const mortal_allocator&) = default;
};

/// Owns what its allocator refers to.
template <class Executor>
struct owning_handler {
  using allocator_type = mortal_allocator<void>;
  using executor_type = Executor;

  executor_type executor;
  int* completions;
  std::unique_ptr<mortal_arena> memory = std::make_unique<mortal_arena>();

  [[nodiscard]] allocator_type get_allocator() const noexcept {
    return allocator_type(memory.get());
  }
  [[nodiscard]] executor_type get_executor() const noexcept { return executor; }
  template <class... Outcome>
  void operator()(std::exception_ptr, Outcome&&...) {
    ++*completions;
    memory.reset();
  }
};
template <class Executor>
owning_handler(Executor, int*) -> owning_handler<Executor>;

}  // namespace test

#endif  // ASYNC_TIMER_TESTS_SUPPORT_ARENA_HPP
