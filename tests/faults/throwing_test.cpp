// Code of users that throws where it should not: values, targets, handlers, their allocators and
// executors, sinks. It reaches who it concerns, and the timer goes on or ends with a word.
#include <doctest/doctest.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "support/faulty_executor.hpp"
#include "support/feeds.hpp"
#include "support/fixture.hpp"
#include "support/generators.hpp"

using namespace test;
using async_timer::timer;

namespace {

struct moods {
  int live = 0;
  int copies_until_throw = -1;  ///< < 0: never
  int moves_until_throw = -1;
  int defaults_until_throw = -1;
};

/// Throws where it is told to, and counts those that live.
class moody {
 public:
  static inline moods now;

  moody() {
    count_down(now.defaults_until_throw, "default");
    ++now.live;
  }
  explicit moody(int value) : value_(value) { ++now.live; }
  moody(const moody& other) : value_(other.value_) {
    count_down(now.copies_until_throw, "copy");
    ++now.live;
  }
  moody(moody&& other) : value_(other.value_) {  // NOLINT: it throws
    count_down(now.moves_until_throw, "move");
    ++now.live;
  }
  moody& operator=(const moody& other) {
    count_down(now.copies_until_throw, "copy");
    value_ = other.value_;
    return *this;
  }
  ~moody() { --now.live; }

  [[nodiscard]] int value() const { return value_; }

 private:
  static void count_down(int& until, const char* what) {
    if (until == 0) {
      until = -1;
      throw std::runtime_error(what);
    }
    if (until > 0) --until;
  }
  int value_ = 0;
};

/// Is virtual_context with a timer of moody values, n-th tick n; all of them must be gone after it.
class moody_timer : public virtual_context {
 public:
  int n = 0;
  std::optional<timer<moody>> t;

  moody_timer() {
    moody::now = {};
    t.emplace(io, 1s, [this] { return moody(++n); });
  }
  ~moody_timer() {
    t.reset();
    CHECK(out_of_work());
    CHECK(moody::now.live == 0);
    moody::now = {};
  }
  void start() {
    t->start();
    clock.advance(0s);
  }
};

net::awaitable<int> hop_once(live_token) {
  auto executor = co_await net::this_coro::executor;
  auto hop = net::post(executor, net::use_awaitable);
  co_await std::move(hop);
  co_return 1;
}

/// Lets the context run until nothing is ready; gives what came out of it.
std::string what_comes_out(virtual_context& context) {
  try {
    context.clock.run_until_idle();
  } catch (...) {
    return kind_of(std::current_exception());
  }
  return "";
}

}  // namespace

// --- values

TEST_CASE_FIXTURE(moody_timer,
                  "throwing: a value that can't be copied fails for that waiter alone") {
  start();
  std::string got;
  const auto note = [&](const std::exception_ptr& error, const moody& value) {
    got += error ? kind_of(error) + ' ' : std::to_string(value.value()) + ' ';
  };
  for (int i = 0; i < 3; ++i) t->join(note);
  moody::now.copies_until_throw = 1;
  clock.advance(1s);
  CHECK(got == "2 copy 2 ");
  CHECK(t->is_running());
  CHECK(t->hit_count() == 2);
}

TEST_CASE_FIXTURE(moody_timer,
                  "throwing: a value that can't be copied fails for that reader alone") {
  start();
  moody::now.copies_until_throw = 0;
  CHECK_THROWS_WITH(static_cast<void>(t->last_result()), "copy");
  CHECK(t->last_result()->value() == 1);
  moody::now.copies_until_throw = 0;
  CHECK_THROWS_WITH(static_cast<void>(t->snapshot()), "copy");
  CHECK(t->snapshot().hit_count == 1);
}

TEST_CASE_FIXTURE(moody_timer,
                  "throwing: a value that can't be copied fails for one taker of a feed") {
  auto feed = t->subscribe();
  start();
  clock.advance(1s);
  moody::now.copies_until_throw = 0;
  const auto first = take(feed);
  const auto second = take(feed);
  clock.run_until_idle();
  CHECK(first->completions == 1);
  CHECK(first->kind() == "copy");
  CHECK(second->completions == 1);
  CHECK(second->value->value() == 2);
}

TEST_CASE_FIXTURE(moody_timer,
                  "throwing: a value that can't be moved into the timer is a failure") {
  std::string heard;
  timer<moody> failing{
      io, 1s, [] { return moody(1); }, {.on_error = [&](auto, const std::exception_ptr& e) {
        heard = kind_of(e);
      }}};
  moody::now.moves_until_throw = 0;
  failing.start();
  clock.advance(0s);
  CHECK(heard == "move");
  CHECK_FALSE(failing.is_running());
  failing.start();
  clock.advance(0s);
  CHECK(failing.hit_count() == 1);
}

TEST_CASE_FIXTURE(moody_timer,
                  "throwing: where an error comes without a value, the default constructor's "
                  "exception comes out of run(), as a handler's would") {
  start();
  int calls = 0;
  t->join([&](const std::exception_ptr&, const moody&) { ++calls; });
  t->next([&](const std::exception_ptr&, const std::optional<moody>&) { ++calls; });
  t->request_stop();
  moody::now.defaults_until_throw = 0;
  CHECK(what_comes_out(*this) == "default");
  CHECK(calls == 0);
  CHECK(what_comes_out(*this) == "");
  CHECK(calls == 1);  // next() needs none
}

// --- targets

TEST_CASE_FIXTURE(virtual_context, "throwing: a target whose move throws leaves no timer behind") {
  const auto live = std::make_shared<int>(0);
  struct stiff {
    std::shared_ptr<int> held;
    int* moves_left;
    stiff(std::shared_ptr<int> what, int& moves) : held(std::move(what)), moves_left(&moves) {}
    stiff(stiff&& other) : held(other.held), moves_left(other.moves_left) {  // NOLINT: it throws
      if ((*moves_left)-- == 0) throw std::runtime_error("move");
    }
    int operator()() { return 1; }
  };
  for (int moves = 0;; ++moves) {
    int left = moves;
    try {
      timer<int> t{io, 1s, stiff(live, left), {.name = "stiff", .start = true}};
      clock.advance(1s);
      CHECK(t.hit_count() == 2);
      CHECK(moves > 0);
      break;
    } catch (const std::runtime_error&) {
      CHECK(live.use_count() == 1);
    }
  }
  CHECK(out_of_work());
  CHECK(live.use_count() == 1);
}

// --- handlers

TEST_CASE_FIXTURE(virtual_context,
                  "throwing: what a handler throws comes out of run(), nothing else") {
  timer<int> t{io, 1s, [] { return 1; }};
  auto feed = t.subscribe();
  t.start();
  int calls = 0;
  const auto throwing = [&](const std::exception_ptr&, auto&&...) {
    throw std::runtime_error("handler " + std::to_string(++calls));
  };
  t.join(throwing);
  t.next(throwing);
  t.wait({.hits = 1}, throwing);
  t.trigger(throwing);
  feed.next(throwing);
  std::string out;
  for (std::string each; !(each = what_comes_out(*this)).empty();) out += each + ' ';
  CHECK(out == "handler 1 handler 2 handler 3 handler 4 handler 5 ");
  CHECK(t.is_running());
  CHECK(t.hit_count() == 1);
  t.wait({.timeout = 500ms}, throwing);
  CHECK_THROWS_WITH(clock.advance(2s), "handler 6");
  clock.advance(2s);
  CHECK(t.hit_count() == 3);
  t.cancel(throwing);
  CHECK(what_comes_out(*this) == "handler 7");
  CHECK(out_of_work());
  t.start();
  clock.advance(0s);
  CHECK(t.hit_count() == 4);
}

TEST_CASE_FIXTURE(virtual_context, "throwing: a handler that throws, of a group's operation") {
  async_timer::timer_group group{io};
  group.add(timer<int>(io, 1s, [] { return 1; }));
  group.start();
  const auto throwing = [](const std::exception_ptr&, auto&&...) { throw std::runtime_error("h"); };
  group.wait({.hits = 1}, throwing);
  group.trigger(throwing);
  CHECK(what_comes_out(*this) == "h");
  CHECK(what_comes_out(*this) == "h");
  CHECK(group.is_running());
  group.cancel_all(throwing);
  CHECK(what_comes_out(*this) == "h");
  CHECK(out_of_work());
}

namespace {

/// Is an allocator that refuses when its count is used up.
template <class T>
struct scarce_allocator {
  using value_type = T;
  int* left;

  explicit scarce_allocator(int& count) noexcept : left(&count) {}
  template <class U>
  scarce_allocator(const scarce_allocator<U>& other) noexcept : left(other.left) {}  // NOLINT
  [[nodiscard]] T* allocate(std::size_t n) {
    if (*left == 0) throw std::bad_alloc();
    --*left;
    return std::allocator<T>().allocate(n);
  }
  void deallocate(T* at, std::size_t n) noexcept { std::allocator<T>().deallocate(at, n); }
  template <class U>
  friend bool operator==(const scarce_allocator& a, const scarce_allocator<U>& b) noexcept {
    return a.left == b.left;
  }
};

/// Is a handler with such an allocator, on an executor that asks it.
struct thrifty_handler {
  using allocator_type = scarce_allocator<void>;
  using executor_type = net::io_context::executor_type;
  int* left;
  std::shared_ptr<int> calls;
  net::io_context* io;

  [[nodiscard]] allocator_type get_allocator() const noexcept { return allocator_type(*left); }
  [[nodiscard]] executor_type get_executor() const noexcept { return io->get_executor(); }
  template <class... Arguments>
  void operator()(Arguments&&...) const {
    ++*calls;
  }
};

}  // namespace

TEST_CASE_FIXTURE(virtual_context, "throwing: an allocator of a handler that is used up") {
  timer<int> t{io, 1s, [] { return 1; }};
  t.start();
  clock.advance(0s);
  const auto calls = std::make_shared<int>(0);
  int left = 0;
  const auto handler = [&] { return thrifty_handler{&left, calls, &io}; };
  CHECK_THROWS_AS(t.join(handler()), std::bad_alloc);  // not even begun
  CHECK_THROWS_AS(t.cancel(handler()), std::bad_alloc);
  CHECK(t.is_running());
  CHECK(calls.use_count() == 1);
  left = 1;
  t.join(handler());  // begun, but its completion can't be posted: destroyed unrun
  clock.advance(1s);
  CHECK(*calls == 0);
  CHECK(calls.use_count() == 1);
  CHECK(t.is_running());
  left = 2;
  t.join(handler());
  clock.advance(1s);
  CHECK(*calls == 1);
  CHECK(calls.use_count() == 1);
}

// --- executors

TEST_CASE_FIXTURE(virtual_context, "throwing: an executor that refuses or drops a completion") {
  timer<int> t{io, 1s, [] { return 1; }};
  auto feed = t.subscribe();
  t.start();
  clock.advance(0s);
  faulty_executor::faults faults;
  const auto executor = net::any_io_executor(faulty_executor(io, faults));
  const auto held = std::make_shared<int>(0);
  for (int* const fault : {&faults.throws, &faults.drops}) {
    const auto begin = [&](auto&& initiate) {
      initiate(net::bind_executor(executor, [held](auto&&...) { ++*held; }));
    };
    *fault = 100;
    begin([&](auto handler) { t.join(std::move(handler)); });
    begin([&](auto handler) { t.next(std::move(handler)); });
    begin([&](auto handler) { t.trigger(std::move(handler)); });
    begin([&](auto handler) { t.wait({.timeout = 0s}, std::move(handler)); });
    begin([&](auto handler) { feed.next(std::move(handler)); });
    clock.advance(1s);
    begin([&](auto handler) { feed.next(std::move(handler)); });
    clock.advance(1s);
    *fault = 0;
    CHECK(held.use_count() == 1);
    CHECK(*held == 0);
    CHECK(t.is_running());
  }
  t.cancel(net::bind_executor(executor, [held](auto&&...) { ++*held; }));
  clock.advance(0s);
  CHECK(*held == 1);
  CHECK(out_of_work());
}

TEST_CASE_FIXTURE(virtual_context, "throwing: an executor that refuses or drops a plain tick") {
  const log_recorder log;
  faulty_executor::faults faults;
  for (int* const fault : {&faults.throws, &faults.drops}) {
    timer<int> t{net::any_io_executor(faulty_executor(io, faults)), 1s, [] { return 1; }};
    t.start();
    clock.advance(1s);
    CHECK(t.hit_count() == 2);
    outcome<int> join;
    t.join(net::bind_executor(io.get_executor(), into(join)));
    *fault = 1;
    clock.advance(1s);
    CHECK_FALSE(t.is_running());
    CHECK(join.completions == 1);
    CHECK(join.kind().find("dropped a tick") != std::string::npos);
    t.start();
    clock.advance(1s);
    CHECK(t.hit_count() == 4);
  }
  CHECK(log.records().size() == 2);
}

// An awaitable runs on a strand over the executor. Asio's strand is stuck for good when a function
// of its own is dropped (and ends the process when it is refused), so that run hears nothing any
// more.
TEST_CASE("throwing: what an executor's drop leaves stuck in a strand is let go with the context") {
  // Each function of the first two ticks in turn: the tick's own, its first step, its second.
  for (int before = 0; before < 8; ++before) {
    CAPTURE(before);
    int live = 0;
    faulty_executor::faults faults;
    auto on = std::make_unique<virtual_context>();
    timer<int> t{net::any_io_executor(faulty_executor(on->io, faults)), 1s,
                 [one = live_token(live)] { return hop_once(one); }};
    timer<int> other{on->io, 1s, [] { return 1; }};
    t.start();
    other.start();
    for (int i = 0; i < before; ++i) on->io.poll_one();
    faults.drops = 1;
    on->clock.advance(3s);
    CHECK(other.hit_count() == 4);
    t.request_stop();
    on->clock.advance(3s);
    CHECK(other.hit_count() == 7);
    on.reset();
    CHECK_FALSE(t.is_running());
    CHECK(live == 1);  // the target's own
  }
}

// --- stop signals, groups

TEST_CASE_FIXTURE(virtual_context,
                  "throwing: a stop signal that can't be cancelled stays until it finishes") {
  int live = 0;
  int cancels = 0;
  std::function<void()> finish;
  const auto stubborn = [&](auto done) {
    net::get_associated_cancellation_slot(done).assign([&](net::cancellation_type) {
      ++cancels;
      throw std::runtime_error("not now");
    });
    auto held = std::make_shared<decltype(done)>(std::move(done));
    finish = [held, one = live_token(live)] { std::move (*held)(); };
  };
  const log_recorder log;
  timer<int> t{io, 1s, [] { return 1; }, {.stop_on = async_timer::stop_when(stubborn)}};
  t.start();
  clock.advance(1s);
  CHECK(t.hit_count() == 2);
  no_value ended;
  t.cancel(into(ended));
  CHECK(out_of_work());
  CHECK(ended.completions == 1);
  CHECK(ended.kind() == "");
  CHECK(cancels == 1);
  CHECK(live == 1);
  finish();
  finish = nullptr;
  CHECK(out_of_work());
  CHECK(live == 0);
  CHECK(log.records().empty());
}

TEST_CASE_FIXTURE(virtual_context,
                  "throwing: what hears of a member's stop signals may ask the group") {
  std::optional<async_timer::timer_group> group;
  faulty_executor::faults faults;
  int records = 0;
  std::size_t members = 0;
  async_timer::set_log_sink([&](const async_timer::log_record&) {
    ++records;
    members = group->size();
  });
  const auto member = [&] {
    std::stop_token never;
    faults.throws = 1;
    return timer<int>{net::any_io_executor(faulty_executor(io, faults)),
                      1s,
                      [] { return 1; },
                      {.stop_on = async_timer::stop_when(never)}};
  };
  group.emplace(io);
  group->add(member());
  SUBCASE("by start") {
    group->start();
    CHECK(records == 1);
    CHECK(members == 1);
  }
  SUBCASE("by add") {
    faults.throws = 0;
    group->start();
    group->add(member());
    CHECK(records == 1);
    CHECK(members == 2);
  }
  group.reset();
  CHECK(out_of_work());
  async_timer::set_log_sink({});
}

// --- callbacks and sinks

TEST_CASE_FIXTURE(virtual_context, "throwing: everything at once still ends the run once") {
  async_timer::set_log_sink(
      [](const async_timer::log_record&) { throw std::runtime_error("sink"); });
  int errors = 0;
  int stops = 0;
  timer<int> t{io,
               1s,
               []() -> int { throw std::runtime_error("target"); },
               {.on_error =
                    [&] {
                      ++errors;
                      throw std::runtime_error("on_error");
                    },
                .on_stop =
                    [&] {
                      ++stops;
                      throw 42;
                    }}};
  for (int run = 1; run <= 3; ++run) {
    outcome<int> join;
    t.start();
    t.join(into(join));
    clock.advance(1s);
    CHECK(join.kind() == "target");
    CHECK_FALSE(t.is_running());
    CHECK(errors == run);
    CHECK(stops == run);
    CHECK(t.failure_count() == run);
  }
  CHECK(out_of_work());
  async_timer::set_log_sink({});
}

TEST_CASE_FIXTURE(virtual_context,
                  "throwing: destructors of values that start, stop and subscribe") {
  struct busy {
    std::shared_ptr<std::function<void()>> at_end;
    ~busy() {
      if (at_end && at_end.use_count() == 1) (*at_end)();
    }
  };
  int ends = 0;
  std::optional<timer<std::shared_ptr<busy>>> t;
  t.emplace(io, 1s, [&] {
    auto value = std::make_shared<busy>();
    value->at_end = std::make_shared<std::function<void()>>([&] {
      ++ends;
      if (!t) return;
      static_cast<void>(t->snapshot());
      static_cast<void>(t->subscribe({.maxsize = 1}));
      t->join([](auto&&...) {});
      t->set_delay(1s);
    });
    return value;
  });
  {
    auto feed = t->subscribe({.maxsize = 2});
    const log_recorder log;
    t->start();
    clock.advance(5s);
    CHECK(ends == 4);  // of six: two are in the feed, one of them is the last result
    feed.drop_oldest(10);
  }
  t.reset();
  CHECK(out_of_work());
  CHECK(ends == 6);
}
