// The intrusive pointer: who owns a reference, and when the object goes.
#include <doctest/doctest.h>

#include <async_timer/base/ref_ptr.hpp>
#include <concepts>
#include <type_traits>
#include <utility>

using async_timer::base::ref_counted;
using async_timer::base::ref_ptr;

namespace {

struct counted : ref_counted {
  explicit counted(int& gone) : gone_(gone) {}
  ~counted() override { ++gone_; }

 private:
  int& gone_;
};
struct derived final : counted {
  using counted::counted;
  int number = 7;
};
/// Frees itself in its own way, as operations do.
struct keeps_its_memory final : ref_counted {
  int destroyed = 0;
  keeps_its_memory() = default;
  ~keeps_its_memory() override = default;

 private:
  void destroy() noexcept override { ++destroyed; }
};

static_assert(sizeof(ref_ptr<counted>) == sizeof(void*));
static_assert(std::is_nothrow_copy_constructible_v<ref_ptr<counted>> &&
              std::is_nothrow_move_constructible_v<ref_ptr<counted>> &&
              std::is_nothrow_copy_assignable_v<ref_ptr<counted>>);
static_assert(!std::copyable<counted>);
static_assert(std::convertible_to<ref_ptr<derived>, ref_ptr<counted>>);
static_assert(!std::convertible_to<ref_ptr<counted>, ref_ptr<derived>>);
// A raw pointer does not become an owner by accident.
static_assert(!std::convertible_to<counted*, ref_ptr<counted>>);

}  // namespace

TEST_CASE("ref_ptr: adopts the reference that an object is born with") {
  int gone = 0;
  {
    const auto owner = ref_ptr<counted>::adopt(new counted(gone));
    CHECK(owner->use_count() == 1);
    CHECK(static_cast<bool>(owner));
    CHECK(gone == 0);
  }
  CHECK(gone == 1);
}

TEST_CASE("ref_ptr: an empty one owns nothing") {
  const ref_ptr<counted> empty;
  const ref_ptr<counted> null = nullptr;
  const ref_ptr<counted> of_null(static_cast<counted*>(nullptr));
  CHECK_FALSE(static_cast<bool>(empty));
  CHECK(empty.get() == nullptr);
  CHECK(empty == null);
  CHECK(of_null == nullptr);
  const ref_ptr<counted> copy(empty);
  CHECK(copy == nullptr);
}

TEST_CASE("ref_ptr: a copy shares, a move passes on") {
  int gone = 0;
  auto first = ref_ptr<counted>::adopt(new counted(gone));
  {
    const ref_ptr<counted> second(first);
    CHECK(first->use_count() == 2);
    CHECK(first == second);
    const ref_ptr<counted> third(first.get());
    CHECK(first->use_count() == 3);
  }
  CHECK(first->use_count() == 1);
  const ref_ptr<counted> moved(std::move(first));
  CHECK(first.get() == nullptr);  // NOLINT(bugprone-use-after-move)
  CHECK(moved->use_count() == 1);
  CHECK(gone == 0);
}

TEST_CASE("ref_ptr: an assignment lets go of what was there") {
  int gone = 0;
  auto first = ref_ptr<counted>::adopt(new counted(gone));
  auto second = ref_ptr<counted>::adopt(new counted(gone));
  first = second;
  CHECK(gone == 1);
  CHECK(first == second);
  CHECK(second->use_count() == 2);
  second = {};
  CHECK(first->use_count() == 1);
  auto& same = first;
  first = same;
  CHECK(first->use_count() == 1);
  CHECK(gone == 1);
  first = nullptr;
  CHECK(gone == 2);
}

TEST_CASE("ref_ptr: detach hands the reference over, uncounted") {
  int gone = 0;
  auto owner = ref_ptr<counted>::adopt(new counted(gone));
  counted* const raw = owner.detach();
  CHECK(owner == nullptr);
  CHECK(gone == 0);
  CHECK(raw->use_count() == 1);
  raw->release();
  CHECK(gone == 1);
}

TEST_CASE("ref_ptr: converts to the base, sharing or passing on") {
  int gone = 0;
  auto child = ref_ptr<derived>::adopt(new derived(gone));
  CHECK(child->number == 7);
  ref_ptr<counted> shared = child;
  CHECK(child->use_count() == 2);
  CHECK(shared.get() == child.get());
  shared = nullptr;
  const ref_ptr<counted> base = std::move(child);
  CHECK(child.get() == nullptr);  // NOLINT(bugprone-use-after-move)
  CHECK(base->use_count() == 1);
  CHECK(gone == 0);
}

TEST_CASE("ref_ptr: the last release leaves the freeing to the object") {
  keeps_its_memory object;
  object.add_ref();
  object.release();
  CHECK(object.destroyed == 0);
  { const auto last = ref_ptr<keeps_its_memory>::adopt(&object); }
  CHECK(object.destroyed == 1);
}
