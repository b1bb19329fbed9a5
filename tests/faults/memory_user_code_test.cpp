// Every allocation fails in turn, those of user code among them: copies of values, and allocators
// that come with a handler.
#include <doctest/doctest.h>

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "support/operations.hpp"
#include "support/stage.hpp"

using async_timer::timer;

// Not unnamed: memory.cpp knows a function by its name, which one with such a type hasn't outside.
namespace test {

/// Is a value whose every copy takes memory. The one that comes with an error takes none, as it is
/// made where nothing but the handler could be told that it can't.
struct heavy {
  std::vector<int> parts;
};

/// Takes memory that may fail, and counts what it has not been given back.
template <class T>
class counting_allocator {
 public:
  using value_type = T;

  explicit counting_allocator(int& held) noexcept : held_(&held) {}
  template <class U>
  counting_allocator(const counting_allocator<U>& other) noexcept
      : held_(other.held()) {}  // NOLINT

  [[nodiscard]] T* allocate(std::size_t n) {
    T* const made = std::allocator<T>().allocate(n);
    ++*held_;
    return made;
  }
  void deallocate(T* at, std::size_t n) noexcept {
    --*held_;
    std::allocator<T>().deallocate(at, n);
  }
  [[nodiscard]] int* held() const noexcept { return held_; }
  template <class U>
  friend bool operator==(const counting_allocator& a, const counting_allocator<U>& b) noexcept {
    return a.held() == b.held();
  }

 private:
  int* held_;
};

/// Is a handler that brings its allocator.
class handler_with_memory {
 public:
  using allocator_type = counting_allocator<void>;

  handler_with_memory(noting_handler to, int& held) : to_(std::move(to)), held_(&held) {}

  [[nodiscard]] allocator_type get_allocator() const noexcept { return allocator_type(*held_); }
  template <class... Arguments>
  void operator()(Arguments&&... arguments) const {
    to_(std::forward<Arguments>(arguments)...);
  }

 private:
  noting_handler to_;
  int* held_;
};

}  // namespace test

using namespace test;

TEST_CASE("no memory: values that take some to be copied, for handlers with their own allocators") {
  for_each_operation([](const std::string& name, auto initiate) {
    CAPTURE(name);
    fail_each([initiate](stage& on) {
      int& held = on.captures;  // which must be none at the end
      const auto t = on.make([&] {
        return timer<heavy>(on.io, 1s,
                            [c = on.capture()] { return heavy{std::vector<int>(16, 42)}; });
      });
      if (!t || !on.attempt([&] { t->start(); })) return;
      on.pass(100ms);
      auto feed = on.make([&] { return t->subscribe(); });
      for (const char* each : {"one", "another"}) {
        on.begin(each, [&](auto handler) {
          initiate(*t, handler_with_memory(std::move(handler), held));
        });
      }
      if (feed) {
        on.begin("feed",
                 [&](auto handler) { feed->next(handler_with_memory(std::move(handler), held)); });
      }
      on.pass(2s);
      t->request_stop();
      on.settle();
      on.calm();
      on.expect_works(*t);
    });
  });
}
