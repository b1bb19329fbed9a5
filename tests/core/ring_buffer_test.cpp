#include <doctest/doctest.h>

#include <async_timer/core/random.hpp>
#include <async_timer/core/ring_buffer.hpp>
#include <deque>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

using async_timer::core::random_engine;
using async_timer::core::ring_buffer;

namespace {

TEST_CASE("ring buffer: keeps the order, whatever is pushed and popped") {
  for (const unsigned seed : {1u, 2u, 3u}) {
    INFO("seed " << seed);
    random_engine random{seed};
    ring_buffer<std::string> ring;
    std::deque<std::string> model;
    for (int i = 0; i < 20'000; ++i) {
      if (model.empty() || random.next() % 100 < 51) {
        ring.push_back("value number " + std::to_string(i));
        model.push_back("value number " + std::to_string(i));
      } else {
        REQUIRE(ring.front() == model.front());
        ring.pop_front();
        model.pop_front();
      }
      REQUIRE(ring.size() == model.size());
      REQUIRE(ring.empty() == model.empty());
      if (!model.empty()) {
        const std::size_t k = random.next() % model.size();
        REQUIRE(ring[k] == model[k]);
      }
    }
  }
}

TEST_CASE(
    "ring buffer: what is put back to the front comes first, whatever the ring has room for") {
  for (const unsigned seed : {1u, 2u, 3u}) {
    INFO("seed " << seed);
    random_engine random{seed};
    ring_buffer<std::string> ring;
    std::deque<std::string> model;
    for (int i = 0; i < 2'000; ++i) {
      std::string value = "value number " + std::to_string(i);
      switch (random.next() % (model.empty() ? 2 : 3)) {
        case 0:
          model.push_front(value);
          ring.push_front(std::move(value));
          break;
        case 1:
          model.push_back(value);
          ring.push_back(std::move(value));
          break;
        default:
          model.pop_front();
          ring.pop_front();
      }
      REQUIRE(ring.size() == model.size());
      for (std::size_t k = 0; k < model.size(); ++k) REQUIRE(ring[k] == model[k]);
    }
  }
}

TEST_CASE("ring buffer: a constant one can be read") {
  ring_buffer<int> ring;
  for (const int i : {7, 8, 9}) ring.push_back(i);
  ring.pop_front();
  const auto& constant = ring;
  CHECK(constant.front() == 8);
  CHECK(constant[1] == 9);
}

TEST_CASE("ring buffer: takes types that can only be moved") {
  ring_buffer<std::unique_ptr<int>> ring;
  for (int i = 0; i < 100; ++i) ring.push_back(std::make_unique<int>(i));
  ring_buffer<std::unique_ptr<int>> other{std::move(ring)};
  CHECK(ring.empty());
  ring.emplace_back(new int{7});
  for (int i = 0; i < 100; ++i, other.pop_front()) REQUIRE(*other.front() == i);
  other = std::move(ring);
  CHECK(*other.front() == 7);
}

TEST_CASE("ring buffer: a steady flow does not grow it, clear gives the memory back") {
  ring_buffer<int> ring;
  CHECK(ring.capacity() == 0);
  for (int i = 0; i < 4; ++i) ring.push_back(i);
  const std::size_t capacity = ring.capacity();
  for (int i = 0; i < 1'000; ++i) {
    ring.pop_front();
    ring.push_back(i);
  }
  CHECK(ring.capacity() == capacity);
  ring.clear();
  CHECK(ring.capacity() == 0);
  CHECK(ring.empty());
  ring.push_back(5);
  CHECK(ring.front() == 5);
}

TEST_CASE("ring buffer: an element of its own can be pushed while it grows") {
  ring_buffer<std::string> ring;
  ring.push_back("a text too long for the small string buffer");
  while (ring.size() < ring.capacity()) ring.push_back("");
  ring.push_back(ring.front());
  CHECK(ring[ring.size() - 1] == ring.front());
}

struct moody {
  static inline int alive = 0;
  static inline int copies_left = -1;
  int value = 0;

  explicit moody(int v) : value{v} { ++alive; }
  moody(const moody& other) : value{other.value} {
    if (copies_left == 0) throw std::runtime_error{"no more copies"};
    --copies_left;
    ++alive;
  }
  moody& operator=(const moody&) = delete;
  ~moody() { --alive; }
};

TEST_CASE("ring buffer: what is put back to the front of a full one is there once") {
  moody::copies_left = -1;
  {
    ring_buffer<moody> ring;
    for (int i = 1; i <= 4; ++i) ring.emplace_back(i);
    REQUIRE(ring.size() == ring.capacity());
    ring.push_front(moody{0});
    CHECK(moody::alive == 5);
    for (int i = 0; i < 5; ++i, ring.pop_front()) CHECK(ring.front().value == i);
  }
  CHECK(moody::alive == 0);
}

TEST_CASE("ring buffer: a throwing copy leaves it unchanged") {
  {
    ring_buffer<moody> ring;
    for (int i = 0; i < 4; ++i) ring.emplace_back(i);
    ring.pop_front();
    ring.emplace_back(4);
    const moody five{5};
    for (int copies = 0; copies < 5; ++copies) {
      moody::copies_left = copies;
      CHECK_THROWS_AS(ring.push_back(five), std::runtime_error);
      REQUIRE(ring.size() == 4);
      for (int i = 0; i < 4; ++i) CHECK(ring[static_cast<std::size_t>(i)].value == i + 1);
    }
    moody::copies_left = -1;
    ring.push_back(five);
    CHECK(ring[4].value == 5);
  }
  CHECK(moody::alive == 0);
}

}  // namespace
