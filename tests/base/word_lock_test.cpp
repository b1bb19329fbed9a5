// The four-byte lock on one thread; contention is tested in tests/stress.
#include <doctest/doctest.h>

#include <async_timer/base/word_lock.hpp>
#include <concepts>
#include <mutex>
#include <type_traits>
#include <utility>

using async_timer::base::word_lock;

static_assert(sizeof(word_lock) == 4);
static_assert(!std::copyable<word_lock> && !std::movable<word_lock>);
static_assert(noexcept(std::declval<word_lock&>().lock()) && noexcept(
    std::declval<word_lock&>().try_lock()) && noexcept(std::declval<word_lock&>().unlock()));

TEST_CASE("word_lock: is free at birth, and after each unlock") {
  word_lock lock;
  for (int i = 0; i < 3; ++i) {
    CHECK(lock.try_lock());
    lock.unlock();
    lock.lock();
    lock.unlock();
  }
  CHECK(lock.try_lock());
  lock.unlock();
}

TEST_CASE("word_lock: can't be taken twice, however it was taken") {
  word_lock lock;
  lock.lock();
  CHECK_FALSE(lock.try_lock());
  CHECK_FALSE(lock.try_lock());
  lock.unlock();
  CHECK(lock.try_lock());
  CHECK_FALSE(lock.try_lock());
  lock.unlock();
}

TEST_CASE("word_lock: works with the guards of the standard library") {
  word_lock lock;
  {
    const std::scoped_lock guard(lock);
    CHECK_FALSE(lock.try_lock());
    std::unique_lock other(lock, std::try_to_lock);
    CHECK_FALSE(other.owns_lock());
  }
  {
    std::unique_lock guard(lock, std::try_to_lock);
    CHECK(guard.owns_lock());
    guard.unlock();
    CHECK(lock.try_lock());
    lock.unlock();
  }
  word_lock second;
  {
    const std::scoped_lock both(lock, second);
    CHECK_FALSE(lock.try_lock());
    CHECK_FALSE(second.try_lock());
  }
  CHECK(lock.try_lock());
  CHECK(second.try_lock());
  lock.unlock();
  second.unlock();
}
