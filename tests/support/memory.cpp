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
#include <string_view>

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

// Where an exception ends the process: in destructors of Asio that allocate, of a coroutine and of
// a coro that are to be unwound; where a strand is made, and asked for its properties.
bool ends_the_process(const char* name) {
  const auto is_destructor_of = [&](const char* what) {
    return contains(name, {what, "D1Ev"}) || contains(name, {what, "D2Ev"});
  };
  return is_destructor_of("16awaitable_threadI") || is_destructor_of("12experimental4coroI") ||
         contains(name, {"strand_executor_service", "create_implementation"}) ||
         contains(name, {"any_executor", "query_fn_non_void"});
}
// Where a strand asks the executor below it to run it. If that fails after a function was added it
// never runs any; if it fails when a strand goes on, the process ends.
bool asks_to_run_a_strand(const char* name) {
  return contains(name, {"7executeI", "23strand_executor_service7invokerI"});
}
bool is_run_of_a_strand(std::string_view name) {
  return (name.starts_with("_ZN5boost4asio6detail23strand_executor_service7invokerI") ||
          name.starts_with("_ZN4asio6detail23strand_executor_service7invokerI")) &&
         name.ends_with("clEv");
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

// Where Asio passes a handler on through a type-erased executor, which comes out of run().
bool passes_a_handler_on(const char* name) {
  return contains(name, {"15work_dispatcherI", "clEv"}) ||
         contains(name, {"17handler_work_base", "8dispatch"});
}
bool is_run_of_a_handler(const char* name) {
  return contains(name, {"17executor_function", "8complete"}) ||
         contains(name, {"16awaitable_threadI", "4pumpEv"});
}

/// Is what a function's name says about an allocation below it.
enum trait : std::uint8_t {
  known = 1,
  fatal = 2,            // whatever is between
  asks_for_strand = 4,  // fatal unless a strand runs between
  runs_strand = 8,
  begins_operation = 16,  // fatal unless it is a runner's own
  runner_waits = 32,
  passes_handler = 64,  // fatal unless a handler runs between
  runs_handler = 128,
};
std::uint8_t traits_of(const char* name) {
  int all = known;
  if (ends_the_process(name)) all |= fatal;
  if (asks_to_run_a_strand(name)) all |= asks_for_strand;
  if (is_run_of_a_strand(name)) all |= runs_strand;
  if (begins_for_a_coroutine(name)) all |= begins_operation;
  if (is_a_runner(name)) all |= runner_waits;
  if (passes_a_handler_on(name)) all |= passes_handler;
  if (is_run_of_a_handler(name)) all |= runs_handler;
  return static_cast<std::uint8_t>(all);
}

/// Looks up what is known of a place in the program; names are found slowly, and again and again.
struct place {
  void* address = nullptr;
  std::uint8_t traits = 0;
  bool completes = false;
};
const place& look_up(void* address) {
  static thread_local std::array<place, 1 << 15> places{};
  const auto hash = (reinterpret_cast<std::uintptr_t>(address) * 0x9E3779B97F4A7C15U) >> 49;
  for (auto at = static_cast<std::size_t>(hash);; at = (at + 1) % places.size()) {
    place& found = places[at];
    if (found.address == address) return found;
    if (found.address != nullptr) continue;
    found.address = address;
    Dl_info info;
    if (dladdr(address, &info) != 0 && info.dli_sname != nullptr) {
      found.traits = traits_of(info.dli_sname);
      found.completes = posts_a_completion(info.dli_sname);
    }
    return found;
  }
}

/// Tells whether Asio can't let an allocation fail, from the functions around it, inmost first.
bool is_fatal(const stack& at, bool& completes) {
  int between = 0;
  for (int i = 0; i < at.depth; ++i) {
    const place& here = look_up(at.frames[static_cast<std::size_t>(i)]);
    between |= here.traits;
    completes = completes || here.completes;
    if ((here.traits & fatal) != 0 ||
        ((here.traits & asks_for_strand) != 0 && (between & runs_strand) == 0) ||
        ((here.traits & begins_operation) != 0 && (between & runner_waits) == 0) ||
        ((here.traits & passes_handler) != 0 && (between & runs_handler) == 0)) {
      return true;
    }
  }
  return false;
}

/// Tells whether this allocation is to fail, and counts it.
bool is_to_fail() {
  if (current.spared > 0 || current.left_to_fail == 0 || --current.until_first > 0) return false;
  const test::spared_memory ours;
  stack here;
  here.take();
  bool completes = false;
  if (is_fatal(here, completes)) {
    ++current.outcome.spared_for_asio;
    return false;
  }
  --current.left_to_fail;
  if (current.outcome.failures++ == 0) current.first_failure = here;
  current.outcome.in_completions += completes ? 1 : 0;
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
