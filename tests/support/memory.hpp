// The memory of a test program: how much of it is in use, and allocations that fail where a test
// says so. For programs that link memory.cpp, which replaces operator new and delete.
#ifndef ASYNC_TIMER_TESTS_SUPPORT_MEMORY_HPP
#define ASYNC_TIMER_TESTS_SUPPORT_MEMORY_HPP

#include <cstdint>
#include <string>
#include <vector>

namespace test {

/// Is what all threads hold together.
struct memory_use {
  std::int64_t blocks = 0;
  std::int64_t bytes = 0;

  friend bool operator==(const memory_use&, const memory_use&) = default;
};
[[nodiscard]] memory_use memory_in_use() noexcept;

/// Lets allocations of this thread fail while it lives: those from the `first` one on (1 is the
/// next), as many as `count` says.
///
/// Those of which Asio can't let one fail without ending the process are spared.
class failing_memory {
 public:
  explicit failing_memory(std::int64_t first, std::int64_t count = 1) noexcept;
  failing_memory(const failing_memory&) = delete;
  failing_memory& operator=(const failing_memory&) = delete;
  ~failing_memory();

  /// Lets no more of them fail.
  static void stop() noexcept;

  // What came of the last one of this thread, also after its end.
  struct account {
    std::int64_t failures = 0;
    std::int64_t in_completions = 0;   ///< of these, while a completion was being posted
    std::int64_t spared_for_asio = 0;  ///< on top of these
  };
  [[nodiscard]] static account outcome() noexcept;
  /// Gives the readable names of the functions around the first one that failed, inmost first.
  [[nodiscard]] static std::vector<std::string> failed_at();
};

/// Spares this thread's allocations while it lives: they are the test's own.
class spared_memory {
 public:
  spared_memory() noexcept;
  spared_memory(const spared_memory&) = delete;
  spared_memory& operator=(const spared_memory&) = delete;
  ~spared_memory();
};

}  // namespace test

#endif  // ASYNC_TIMER_TESTS_SUPPORT_MEMORY_HPP
