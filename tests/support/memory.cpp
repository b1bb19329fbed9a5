// See memory.hpp. Blocks come from malloc, so that a sanitizer sees them.
#include "support/memory.hpp"

#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <memory>
#include <new>

namespace {

constinit std::atomic<std::int64_t> blocks{0};
constinit std::atomic<std::int64_t> bytes{0};

/// Is where an allocation was asked for.
struct stack {
  std::array<void*, 96> frames{};
  int depth = 0;

  [[gnu::noinline]] void take() {
    depth = backtrace(frames.data(), static_cast<int>(frames.size()));
  }
  /// Calls visit with the name of each function, as the linker knows it, inmost first.
  template <class Visitor>
  void each_name(Visitor visit) const {
    for (int i = 0; i < depth; ++i) {
      Dl_info info;
      if (dladdr(frames[static_cast<std::size_t>(i)], &info) != 0 && info.dli_sname != nullptr) {
        visit(info.dli_sname);
      }
    }
  }
};

/// Is what this thread's test asked for, and what came of it.
struct plan {
  std::int64_t until_first = 0;
  std::int64_t left_to_fail = 0;
  int spared = 0;
  test::failing_memory::account outcome;
  stack first_failure;
};
constinit thread_local plan current;

bool contains(const char* name, std::initializer_list<const char*> parts) {
  return std::all_of(parts.begin(), parts.end(),
                     [&](const char* part) { return std::strstr(name, part) != nullptr; });
}

// Where an exception ends the process: in destructors of Asio that allocate, of a strand that goes
// on, of a coroutine and of a coro that are to be unwound; and where a strand is made.
bool ends_the_process(const char* name) {
  const auto is_destructor_of = [&](const char* what) {
    return contains(name, {what, "D1Ev"}) || contains(name, {what, "D2Ev"});
  };
  return contains(name, {"on_invoker_exit"}) || is_destructor_of("16awaitable_threadI") ||
         is_destructor_of("12experimental4coroI") ||
         contains(name, {"strand_executor_service", "create_implementation"});
}
// Where a strand has taken a function and is then refused by the executor below it, after which it
// never runs any.
bool is_io_executor(const char* name) {
  return contains(name, {"io_context", "19basic_executor_type", "7execute"});
}
bool is_strand(const char* name) {
  return contains(name, {"23strand_executor_service", "10do_execute"});
}
// Where a coroutine awaits an operation that can't be begun. Before Asio 1.23 that ends the
// process, later it ends the coroutine and comes out of run(). The library's own must not do so.
bool begins_for_a_coroutine(const char* name) {
  return contains(name, {"await_transform", "await_suspend"});
}
bool is_a_runner(const char* name) {
  return contains(name, {"6runner", "6settle"}) || contains(name, {"6runner", "4park"});
}
bool posts_a_completion(const char* name) {
  return contains(name, {"operation_with", "8complete"});
}

/// Tells whether this allocation is to fail, and counts it.
bool is_to_fail() {
  if (current.spared > 0 || current.left_to_fail == 0 || --current.until_first > 0) return false;
  const test::spared_memory ours;
  stack here;
  here.take();
  bool fatal = false;
  bool below_strand = false;
  bool in_runner = false;
  bool in_completion = false;
  here.each_name([&](const char* name) {
    in_runner = in_runner || is_a_runner(name);
    below_strand = below_strand || is_io_executor(name);
    fatal = fatal || ends_the_process(name) || (below_strand && is_strand(name)) ||
            (!in_runner && begins_for_a_coroutine(name));
    in_completion = in_completion || posts_a_completion(name);
  });
  if (fatal) {
    ++current.outcome.spared_for_asio;
    return false;
  }
  --current.left_to_fail;
  if (current.outcome.failures++ == 0) current.first_failure = here;
  current.outcome.in_completions += in_completion ? 1 : 0;
  return true;
}

/// Stands before each block: how much was asked for, which malloc doesn't tell, and where it
/// begins.
struct alignas(std::max_align_t) header {
  std::size_t size;
  void* begin;
};

/// Gives the block at an offset of what malloc gave.
void* counted(void* begin, std::size_t offset, std::size_t size) noexcept {
  if (begin == nullptr) return nullptr;
  std::byte* const block = static_cast<std::byte*>(begin) + offset;
  ::new (static_cast<void*>(block - sizeof(header))) header{size, begin};
  blocks.fetch_add(1, std::memory_order_relaxed);
  bytes.fetch_add(static_cast<std::int64_t>(size), std::memory_order_relaxed);
  return block;
}

[[maybe_unused]] void* allocate(std::size_t size) noexcept {
  if (is_to_fail()) return nullptr;
  return counted(std::malloc(size + sizeof(header)), sizeof(header), size);
}
[[maybe_unused]] void* allocate(std::size_t size, std::align_val_t alignment) noexcept {
  if (is_to_fail()) return nullptr;
  const auto offset = std::max(static_cast<std::size_t>(alignment), sizeof(header));
  void* begin = nullptr;
  if (posix_memalign(&begin, offset, size + offset) != 0) return nullptr;
  return counted(begin, offset, size);
}
[[maybe_unused]] void* or_throw(void* block) {
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

[[maybe_unused]] void release(void* block) noexcept {
  if (block == nullptr) return;
  const header before = *(static_cast<header*>(block) - 1);
  blocks.fetch_sub(1, std::memory_order_relaxed);
  bytes.fetch_sub(static_cast<std::int64_t>(before.size), std::memory_order_relaxed);
  std::free(before.begin);
}

std::string readable(const char* mangled) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(
      abi::__cxa_demangle(mangled, nullptr, nullptr, &status), &std::free);
  return text ? text.get() : mangled;
}

/// Says which failure ended the process, which is what these tests look for.
[[noreturn]] void say_and_abort() {
  current.left_to_fail = 0;
  for (const auto& name : test::failing_memory::failed_at()) {
    std::fprintf(stderr, "  %.150s\n", name.c_str());
  }
  if (current.first_failure.depth > 0) std::fputs("... failed, and the process with it\n", stderr);
  std::abort();
}
const auto former_handler = std::set_terminate(say_and_abort);
}  // namespace

#if !defined(ASYNC_TIMER_TEST_SANITIZED)
void* operator new(std::size_t size) { return or_throw(allocate(size)); }
void* operator new[](std::size_t size) { return or_throw(allocate(size)); }
void* operator new(std::size_t size, std::align_val_t at) { return or_throw(allocate(size, at)); }
void* operator new[](std::size_t size, std::align_val_t at) { return or_throw(allocate(size, at)); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void* operator new(std::size_t size, std::align_val_t at, const std::nothrow_t&) noexcept {
  return allocate(size, at);
}
void* operator new[](std::size_t size, std::align_val_t at, const std::nothrow_t&) noexcept {
  return allocate(size, at);
}
void operator delete(void* block) noexcept { release(block); }
void operator delete[](void* block) noexcept { release(block); }
void operator delete(void* block, std::size_t) noexcept { release(block); }
void operator delete[](void* block, std::size_t) noexcept { release(block); }
void operator delete(void* block, std::align_val_t) noexcept { release(block); }
void operator delete[](void* block, std::align_val_t) noexcept { release(block); }
void operator delete(void* block, std::size_t, std::align_val_t) noexcept { release(block); }
void operator delete[](void* block, std::size_t, std::align_val_t) noexcept { release(block); }
void operator delete(void* block, const std::nothrow_t&) noexcept { release(block); }
void operator delete[](void* block, const std::nothrow_t&) noexcept { release(block); }
void operator delete(void* block, std::align_val_t, const std::nothrow_t&) noexcept {
  release(block);
}
void operator delete[](void* block, std::align_val_t, const std::nothrow_t&) noexcept {
  release(block);
}
#endif

namespace test {

memory_use memory_in_use() noexcept {
  return {blocks.load(std::memory_order_relaxed), bytes.load(std::memory_order_relaxed)};
}

failing_memory::failing_memory(std::int64_t first, std::int64_t count) noexcept {
  current.until_first = first;
  current.left_to_fail = count;
  current.outcome = {};
  current.first_failure.depth = 0;
}
failing_memory::~failing_memory() { stop(); }
void failing_memory::stop() noexcept { current.left_to_fail = 0; }

failing_memory::account failing_memory::outcome() noexcept { return current.outcome; }

std::vector<std::string> failing_memory::failed_at() {
  const spared_memory ours;
  std::vector<std::string> names;
  current.first_failure.each_name([&](const char* name) { names.push_back(readable(name)); });
  return names;
}

spared_memory::spared_memory() noexcept { ++current.spared; }
spared_memory::~spared_memory() { --current.spared; }

}  // namespace test
