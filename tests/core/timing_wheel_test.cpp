#include <doctest/doctest.h>

#include <algorithm>
#include <async_timer/core/random.hpp>
#include <async_timer/core/timing_wheel.hpp>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <memory_resource>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/instants.hpp"

using namespace std::chrono_literals;
using namespace async_timer::core;
using test::at;

namespace {

struct item : wheel_node {
  int id = 0;
};

using delivery = std::pair<int, time_point>;

// Collects what is due at `now`, in steps of `limit`, and checks that none of it is early.
std::vector<delivery> collect_all(timing_wheel& wheel, time_point now, std::size_t limit = 100,
                                  std::size_t* calls = nullptr) {
  std::vector<delivery> result;
  for (bool more = true; more;) {
    const std::size_t before = result.size();
    more = wheel.collect(now, limit, [&](wheel_node& node, time_point due) noexcept {
      CHECK_FALSE(node.armed());
      CHECK(due <= now);
      result.emplace_back(static_cast<item&>(node).id, due);
    });
    REQUIRE(result.size() - before <= limit);
    if (calls != nullptr) ++*calls;
  }
  return result;
}

std::vector<delivery> run_to_the_end(timing_wheel& wheel, std::size_t* steps = nullptr) {
  std::vector<delivery> result;
  std::optional<time_point> previous;
  while (const auto t = wheel.next_due()) {
    if (previous) REQUIRE(*t > *previous);
    previous = t;
    for (const delivery& d : collect_all(wheel, *t)) {
      REQUIRE(d.second == *t);
      result.push_back(d);
    }
    if (steps != nullptr) ++*steps;
  }
  REQUIRE(wheel.empty());
  return result;
}

std::unique_ptr<item[]> make_items(std::size_t n) {
  auto items = std::make_unique<item[]>(n);
  for (std::size_t i = 0; i < n; ++i) items[i].id = static_cast<int>(i);
  return items;
}

// Counts what it gave, and gives nothing more once the allowance is used up.
class scarce_memory final : public std::pmr::memory_resource {
 public:
  std::size_t allowance = static_cast<std::size_t>(-1);
  std::size_t bytes = 0;

 private:
  void* do_allocate(std::size_t size, std::size_t alignment) override {
    if (allowance == 0) throw std::bad_alloc{};
    --allowance;
    bytes += size;
    return std::pmr::new_delete_resource()->allocate(size, alignment);
  }
  void do_deallocate(void* p, std::size_t size, std::size_t alignment) override {
    bytes -= size;
    std::pmr::new_delete_resource()->deallocate(p, size, alignment);
  }
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }
};

static_assert(sizeof(wheel_node) == 8);
static_assert(!std::is_polymorphic_v<wheel_node>);

TEST_CASE("wheel: a new one is empty") {
  timing_wheel wheel{at(0s)};
  CHECK(wheel.empty());
  CHECK(wheel.size() == 0);
  CHECK(wheel.next_due() == std::nullopt);
  CHECK(wheel.slab_count() == 0);
  CHECK(collect_all(wheel, at(1h)).empty());
}

TEST_CASE("P8 wheel: delivers at the exact due time and not a nanosecond before") {
  for (const nanoseconds due :
       {nanoseconds{1ns}, nanoseconds{262'143ns}, nanoseconds{262'144ns}, nanoseconds{1ms},
        nanoseconds{1073ms}, nanoseconds{1074ms}, nanoseconds{17s}, nanoseconds{20s},
        nanoseconds{5min}, nanoseconds{1h}, nanoseconds{24h}, nanoseconds{24h * 365 * 100}}) {
    CAPTURE(due.count());
    timing_wheel wheel{at(0s)};
    item i;
    wheel.insert(i, at(due));
    CHECK(i.armed());
    CHECK(timing_wheel::due(i) == at(due));
    CHECK(wheel.next_due() == at(due));
    CHECK(collect_all(wheel, at(due - 1ns)).empty());
    CHECK(wheel.next_due() == at(due));
    CHECK(collect_all(wheel, at(due)) == std::vector{delivery{0, at(due)}});
    CHECK(wheel.empty());
  }
}

TEST_CASE("wheel: takes what is overdue and delivers it at the next occasion") {
  timing_wheel wheel{at(0s)};
  auto items = make_items(3);
  collect_all(wheel, at(10s));
  wheel.insert(items[0], at(-5s));
  wheel.insert(items[1], time_point::min());
  CHECK(wheel.next_due() == time_point::min());
  wheel.insert(items[2], at(10s));
  CHECK(collect_all(wheel, at(10s)).size() == 3);
}

TEST_CASE("wheel: a clock that goes back delivers nothing early") {
  timing_wheel wheel{at(0s)};
  item i;
  collect_all(wheel, at(10s));
  wheel.insert(i, at(5s));
  CHECK(collect_all(wheel, at(4s)).empty());
  CHECK(wheel.next_due() == at(5s));
  CHECK(collect_all(wheel, at(5s)).size() == 1);
}

TEST_CASE("D25 wheel: the ends of time are in reach") {
  timing_wheel wheel{time_point::min()};
  auto items = make_items(3);
  wheel.insert(items[0], time_point::max());
  wheel.insert(items[1], time_point::max() - 1ns);
  wheel.insert(items[2], time_point::min());
  CHECK(collect_all(wheel, time_point{}).size() == 1);
  CHECK(wheel.next_due() == time_point::max() - 1ns);
  CHECK(collect_all(wheel, time_point::max() - 1ns).size() == 1);
  CHECK(collect_all(wheel, time_point::max()).size() == 1);
}

TEST_CASE(
    "wheel: what is due at the same instant comes in order of insertion, even after removals") {
  for (const nanoseconds due : {nanoseconds{100ms}, nanoseconds{10s}, nanoseconds{1h}}) {
    timing_wheel wheel{at(0s)};
    auto items = make_items(500);
    for (int i = 0; i < 500; ++i) wheel.insert(items[static_cast<std::size_t>(i)], at(due));
    for (std::size_t i = 0; i < 500; ++i)
      if (i % 17 != 0) wheel.remove(items[i]);
    const auto got = collect_all(wheel, at(due), 7);
    REQUIRE(got.size() == 30);
    for (std::size_t i = 0; i < got.size(); ++i) CHECK(got[i].first == static_cast<int>(i * 17));
  }
}

TEST_CASE("P11 wheel: following next_due visits every due time, in order, with few vain steps") {
  for (const std::uint64_t seed : {1u, 2u, 3u, 4u}) {
    INFO("seed " << seed);
    random_engine random{seed};
    timing_wheel wheel{at(0s)};
    auto items = make_items(3000);
    std::vector<time_point> dues;
    for (std::size_t i = 0; i < 3000; ++i) {
      const auto wait =
          nanoseconds{static_cast<std::int64_t>(random.next() >> (1 + random.next() % 50))};
      dues.push_back(saturating_add(at(0s), wait));
      wheel.insert(items[i], dues.back());
    }
    std::sort(dues.begin(), dues.end());
    std::size_t steps = 0;
    const auto got = run_to_the_end(wheel, &steps);
    REQUIRE(got.size() == dues.size());
    for (std::size_t i = 0; i < got.size(); ++i) REQUIRE(got[i].second == dues[i]);
    dues.erase(std::unique(dues.begin(), dues.end()), dues.end());
    CHECK(steps == dues.size());  // nothing was removed, so next_due() is exact
  }
}

TEST_CASE("wheel: next_due is exact within level 0 after removals, and a lower bound beyond") {
  timing_wheel wheel{at(0s)};
  auto items = make_items(4);
  wheel.insert(items[0], at(100ms));
  wheel.insert(items[1], at(100ms + 10us));
  wheel.insert(items[2], at(1h));
  wheel.insert(items[3], at(1h + 1s));
  CHECK(wheel.next_due() == at(100ms));
  wheel.remove(items[0]);
  CHECK(wheel.next_due() == at(100ms + 10us));
  wheel.remove(items[1]);
  wheel.remove(items[2]);
  CHECK(wheel.next_due() <= at(1h + 1s));
  std::size_t steps = 0;
  CHECK(run_to_the_end(wheel, &steps).size() == 1);
  CHECK(steps <= 4);
}

struct model_run {
  explicit model_run(std::uint64_t seed) : random{seed} {}

  static constexpr std::size_t count = 120;

  random_engine random;
  time_point now = at(0s);
  timing_wheel wheel{now};
  std::unique_ptr<item[]> items = make_items(count);
  std::multimap<time_point, int> model;
  std::map<int, std::multimap<time_point, int>::iterator> where;

  // Of any order of magnitude up to 2^61 ns.
  nanoseconds some_time() {
    return nanoseconds{static_cast<std::int64_t>(random.next() >> (3 + random.next() % 55))};
  }

  void toggle() {
    const auto id = static_cast<int>(random.next() % count);
    item& node = items[static_cast<std::size_t>(id)];
    REQUIRE(node.armed() == where.contains(id));
    if (node.armed()) {
      REQUIRE(timing_wheel::due(node) == where.at(id)->first);
      wheel.remove(node);
      model.erase(where.at(id));
      where.erase(id);
    } else {
      time_point due = random.next() % 10 == 0 ? now - 1s : saturating_add(now, some_time());
      if (random.next() % 4 == 0 && !model.empty()) due = model.begin()->first;  // make ties
      wheel.insert(node, due);
      where.emplace(id, model.emplace(due, id));
    }
  }

  void pass_time() {
    switch (random.next() % 3) {
      case 0:
        if (!model.empty()) now = std::max(now, model.begin()->first);
        break;
      case 1:
        if (const auto t = wheel.next_due()) now = std::max(now, *t);
        break;
      default:
        now = saturating_add(now, some_time() / 1024);
    }
  }

  void collect() {
    const std::size_t limit = random.next() % 9;
    std::size_t got = 0;
    const bool more = wheel.collect(now, limit, [&](wheel_node& node, time_point due) noexcept {
      const int id = static_cast<item&>(node).id;
      ++got;
      CHECK(due <= now);
      const auto known = where.find(id);
      CHECK(known != where.end());
      if (known == where.end()) return;
      CHECK(known->second->first == due);
      model.erase(known->second);
      where.erase(known);
    });
    REQUIRE(got <= limit);
    if (!more) REQUIRE((model.empty() || model.begin()->first > now));
    if (!more && wheel.next_due()) REQUIRE(*wheel.next_due() > now);
  }

  void check() {
    REQUIRE(wheel.size() == model.size());
    REQUIRE(wheel.next_due().has_value() == !model.empty());
    if (!model.empty()) REQUIRE(*wheel.next_due() <= model.begin()->first);
    REQUIRE(wheel.chunk_count() <= model.size());
  }
};

TEST_CASE("wheel: agrees with a multimap, whatever is done to both") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    INFO("seed " << seed);
    model_run run{seed};
    for (int i = 0; i < 2000; ++i) {
      const std::uint64_t choice = run.random.next() % 10;
      if (choice < 6)
        run.toggle();
      else if (choice < 7)
        run.pass_time();
      else if (choice < 8)
        run.wheel.catch_up(run.now);
      else
        run.collect();
      run.check();
    }
  }
}

TEST_CASE("wheel: the work of a call is bounded, though all are due in the same instant") {
  constexpr std::size_t count = 50'000;
  for (const nanoseconds due : {nanoseconds{500ms}, nanoseconds{10s}, nanoseconds{24h * 400}}) {
    CAPTURE(due.count());
    timing_wheel wheel{at(0s)};
    auto items = make_items(count);
    for (std::size_t i = 0; i < count; ++i) wheel.insert(items[i], at(due));
    std::size_t calls = 0;
    const auto got = collect_all(wheel, at(due), 100, &calls);
    REQUIRE(got.size() == count);
    for (std::size_t i = 0; i < count; ++i) REQUIRE(got[i].first == static_cast<int>(i));
    // One call brings down at most 264 entries by one level, there are ten levels.
    CHECK(calls >= count / 100 + (due > 1s ? count / 264 : 0));
    CHECK(calls <= count / 100 + 9 * (count / 264 + 1) + 1);
  }
}

TEST_CASE("wheel: a jump over empty slots takes one call, be it an hour or a hundred years") {
  for (const nanoseconds jump :
       {nanoseconds{1h}, nanoseconds{24h * 365}, nanoseconds{24h * 36500}}) {
    timing_wheel wheel{at(0s)};
    auto items = make_items(2);
    wheel.insert(items[0], at(jump - 1s));
    wheel.insert(items[1], at(jump + 1s));
    std::size_t calls = 0;
    CHECK(collect_all(wheel, at(jump), 10, &calls).size() == 1);
    CHECK(calls == 1);
    CHECK(wheel.next_due() == at(jump + 1s));
  }
}

TEST_CASE("P7 wheel: upper slots have come down before they are due") {
  timing_wheel wheel{at(0s)};
  constexpr std::size_t count = 20'000;
  auto items = make_items(count);
  for (std::size_t i = 0; i < count; ++i) wheel.insert(items[i], at(100s));
  for (nanoseconds t = 0s; t < 100s; t += 1ms)
    REQUIRE_FALSE(wheel.collect(at(t), 100, [](wheel_node&, time_point) noexcept {}));
  std::size_t calls = 0;
  CHECK(collect_all(wheel, at(100s), 1000, &calls).size() == count);
  CHECK(calls <= count / 1000 + 1);  // each of them delivered, none had to bring entries down
}

TEST_CASE("wheel: catch_up delivers nothing and brings near dues to level 0") {
  timing_wheel wheel{at(0s)};
  auto items = make_items(3);
  wheel.insert(items[0], at(1ms));
  wheel.insert(items[1], at(2h));
  wheel.catch_up(at(1h));
  CHECK(wheel.size() == 2);
  CHECK(collect_all(wheel, at(1h)).size() == 1);
  wheel.insert(items[2], at(1h + 1ms));
  CHECK(wheel.next_due() == at(1h + 1ms));
  CHECK(run_to_the_end(wheel).size() == 2);
}

TEST_CASE("wheel: drain disarms every node") {
  timing_wheel wheel{at(0s)};
  auto items = make_items(1000);
  random_engine random{3};
  for (std::size_t i = 0; i < 1000; ++i)
    wheel.insert(items[i],
                 at(nanoseconds{static_cast<std::int64_t>(random.next() >> (3 + i % 50))}));
  for (std::size_t i = 0; i < 1000; i += 3) wheel.remove(items[i]);
  std::size_t drained = 0;
  wheel.drain([&](wheel_node& node, time_point) noexcept {
    CHECK_FALSE(node.armed());
    ++drained;
  });
  CHECK(drained == 666);
  CHECK(wheel.empty());
  CHECK(wheel.next_due() == std::nullopt);
  CHECK(wheel.chunk_count() == 0);
  wheel.insert(items[0], at(1s));
  CHECK(wheel.next_due() == at(1s));
  wheel.drain([](wheel_node&, time_point) noexcept {});
  wheel.insert(items[0], at(2s));
  CHECK(wheel.next_due() == at(2s));  // not what it was before
  CHECK(collect_all(wheel, at(2s)).size() == 1);
}

TEST_CASE("P5 wheel: a sleeping timer takes 20 bytes, a wheel of a few under 100 KB") {
  scarce_memory memory;
  timing_wheel wheel{at(0s), &memory};
  constexpr std::size_t count = 1'000'000;
  auto items = make_items(count);
  random_engine random{3};
  for (std::size_t i = 0; i < count; ++i) {
    if (i == 10) CHECK(memory.bytes + sizeof wheel < 100'000);
    wheel.insert(items[i],
                 at(nanoseconds{static_cast<std::int64_t>(random.next() % 10'000'000'000)}));
  }
  CHECK(memory.bytes <= 20 * count);
  for (std::size_t i = 0; i < count; ++i) wheel.remove(items[i]);
  CHECK(memory.bytes + sizeof wheel < 100'000);
  CHECK(wheel.slab_count() == 1);
}

TEST_CASE("P9 wheel: periodic timers tick exactly and in steady state take no more memory") {
  constexpr std::size_t count = 3000;
  scarce_memory memory;
  timing_wheel wheel{at(0s), &memory};
  auto items = make_items(count);
  std::vector<nanoseconds> periods;
  std::vector<int> ticks(count);
  random_engine random{17};
  for (std::size_t i = 0; i < count; ++i) {
    periods.push_back(100ms +
                      nanoseconds{static_cast<std::int64_t>(random.next() % 5'000'000'000)});
    wheel.insert(items[i], at(periods[i]));
  }
  std::size_t bytes_after_warm_up = 0;
  for (nanoseconds t = 0s; t <= 60s; t += 700us) {
    for (const auto& [id, due] : collect_all(wheel, at(t))) {
      const auto i = static_cast<std::size_t>(id);
      REQUIRE(due == at(++ticks[i] * periods[i]));
      REQUIRE(at(t) - due < 700us);
      wheel.insert(items[i], due + periods[i]);
    }
    if (t <= 20s) bytes_after_warm_up = memory.bytes;
  }
  for (std::size_t i = 0; i < count; ++i) CHECK(ticks[i] >= 60s / periods[i] - 1);
  CHECK(memory.bytes <= bytes_after_warm_up + 64 * 1024);
}

TEST_CASE("wheel: inserting and removing for ever does not grow it") {
  timing_wheel wheel{at(0s)};
  auto items = make_items(2);
  wheel.insert(items[0], at(10s));
  for (int i = 0; i < 1'000'000; ++i) {
    wheel.insert(items[1], at(10s));
    wheel.remove(items[1]);
  }
  CHECK(wheel.chunk_count() <= 2);
  CHECK(wheel.slab_count() == 1);
}

TEST_CASE("wheel: the place of a node removed at once is used again") {
  timing_wheel wheel{at(0s)};
  auto items = make_items(141);
  for (std::size_t i = 0; i < 140; ++i) {
    wheel.insert(items[i], at(10s));
    wheel.insert(items[140], at(10s));
    wheel.remove(items[140]);
  }
  CHECK(wheel.chunk_count() == 10);
}

TEST_CASE("wheel: short-lived timers among long-lived ones do not leave chunks nearly empty") {
  timing_wheel wheel{at(0s)};
  constexpr std::size_t count = 20'000;
  auto items = make_items(count);
  for (std::size_t i = 0; i < count; ++i) wheel.insert(items[i], at(10s));
  const std::size_t full = wheel.chunk_count();
  std::size_t left = count;
  for (std::size_t i = 0; i < count; ++i) {
    if (i % 20 == 0) continue;
    wheel.remove(items[i]);
    --left;
  }
  CHECK(full == (count + 13) / 14);
  CHECK(wheel.chunk_count() <= left / 4);
  CHECK(collect_all(wheel, at(10s)).size() == left);
}

TEST_CASE("wheel: without memory insert changes nothing") {
  scarce_memory memory;
  timing_wheel wheel{at(0s), &memory};
  auto items = make_items(200);
  std::size_t inserted = 0;
  for (std::size_t i = 0; i < 200; ++i) {
    memory.allowance = i % 2;
    const time_point due = at(nanoseconds{static_cast<std::int64_t>(i)} * 300'000);
    const auto before = wheel.next_due();
    try {
      wheel.insert(items[i], due);
      ++inserted;
      CHECK(items[i].armed());
    } catch (const std::bad_alloc&) {
      CHECK_FALSE(items[i].armed());
      CHECK(wheel.next_due() == before);
    }
    REQUIRE(wheel.size() == inserted);
  }
  CHECK(inserted > 0);
  CHECK(inserted < 200);
  CHECK(run_to_the_end(wheel).size() == inserted);
}

TEST_CASE("wheel: without memory entries wait in their level, nothing is lost") {
  scarce_memory memory;
  timing_wheel wheel{at(0s), &memory};
  auto items = make_items(500);
  for (std::size_t i = 0; i < 500; ++i)
    wheel.insert(items[i], at(10s + nanoseconds{static_cast<std::int64_t>(i)} * 300'000));
  memory.allowance = 0;
  std::size_t got = 0;
  const auto count = [&](wheel_node&, time_point) noexcept { ++got; };
  for (int i = 0; i < 10; ++i) CHECK(wheel.collect(at(11s), 100, count));
  CHECK(wheel.size() + got == 500);
  memory.allowance = 1000;
  while (wheel.collect(at(11s), 100, count)) {
  }
  CHECK(got == 500);
}

}  // namespace
