// Everything at once: timers of every kind, feeds, groups, stop signals, blocking forms, called by
// many threads in a random order that a seed repeats as far as threads allow.
// ASYNC_TIMER_STRESS_SEED gives another seed, ASYNC_TIMER_STRESS_ROUNDS several in a row, and
// ASYNC_TIMER_SOAK_SECONDS as many as the time allows, a half for each of the two tests.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <ranges>
#include <set>
#include <shared_mutex>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/fixture.hpp"
#include "support/threads.hpp"
#include "support/tokens.hpp"

using namespace test;

namespace {

using number = std::int64_t;
using number_timer = async_timer::timer<number>;
using number_feed = async_timer::subscription<number>;

class dice {
 public:
  explicit dice(unsigned seed) : engine_(seed) {}
  /// Draws from 0 to n - 1.
  int one_of(int n) { return std::uniform_int_distribution<int>(0, n - 1)(engine_); }
  bool one_in(int n) { return one_of(n) == 0; }
  std::chrono::microseconds micros(int most) { return std::chrono::microseconds(one_of(most + 1)); }
  unsigned seed() { return static_cast<unsigned>(engine_()); }

 private:
  std::mt19937 engine_;
};

/// Ends the program with a message if it is not told in time that all goes on.
class deadlock_guard {
 public:
  explicit deadlock_guard(unsigned seed) : seed_(seed), thread_([this] { watch(); }) {}
  deadlock_guard(const deadlock_guard&) = delete;
  deadlock_guard& operator=(const deadlock_guard&) = delete;
  ~deadlock_guard() {
    enter(nullptr);
    thread_.join();
  }
  /// Begins another phase, which has as much time again; null ends the watch.
  void enter(const char* phase) {
    const std::scoped_lock lock(mutex_);
    phase_ = phase;
    changed_.notify_all();
  }

 private:
  void watch() {
    std::unique_lock lock(mutex_);
    while (phase_ != nullptr) {
      const char* const now = phase_;
      if (!changed_.wait_for(lock, 100s, [&] { return phase_ != now; })) {
        std::fprintf(stderr, "everything_test: stuck for 100 s: %s (seed %u)\n", phase_, seed_);
        std::_Exit(1);
      }
    }
  }

  const unsigned seed_;
  std::mutex mutex_;
  std::condition_variable changed_;
  const char* phase_ = "beginning";
  std::thread thread_;
};

/// Counts how often each operation has completed, by its kind.
class ledger {
 public:
  auto handler(const char* kind) {
    line* mine = nullptr;
    {
      const std::scoped_lock lock(mutex_);
      mine = &lines_.emplace_back(kind);
    }
    return [mine](std::exception_ptr, const auto&...) { ++mine->completions; };
  }
  [[nodiscard]] std::size_t size() const { return lines_.size(); }
  /// Says which kinds were completed never or several times, and how often that happened.
  [[nodiscard]] std::string complaints() const {
    std::map<std::string, int> wrong;
    for (const auto& each : lines_) {
      const int times = each.completions;
      if (times != 1) ++wrong[std::string(each.kind) + (times == 0 ? " never" : " again")];
    }
    std::string all;
    for (const auto& [what, count] : wrong) all += what + ": " + std::to_string(count) + "; ";
    return all;
  }

 private:
  struct line {
    explicit line(const char* what) : kind(what) {}
    const char* kind;
    std::atomic<int> completions{0};
  };
  std::mutex mutex_;
  std::deque<line> lines_;
};

/// Is what is known of one timer, also after it was destroyed.
struct biography {
  number n = 0;  ///< unguarded: ticks never overlap
  std::atomic<bool> in_target{false};
  bool counts_on = true;  ///< its values are its hit_count, over all runs
  std::atomic<int> starts{0};
  std::atomic<int> ends{0};
  std::mutex mutex;
  std::set<number> last_values;  ///< of runs
};

/// Is a feed with its consumers and all that they got.
struct feed_story {
  std::shared_ptr<biography> of;
  bool single = true;
  bool bounded = false;
  std::atomic<bool> cut_short{false};  ///< closed, or its buffer shed, by the test
  std::shared_mutex mutex;
  std::optional<number_feed> feed;
  std::mutex values_mutex;
  std::vector<number> values;
  int ends = 0;

  /// Says what is wrong; to be asked when all is over.
  std::string complaint() {
    auto sorted = values;
    std::sort(sorted.begin(), sorted.end());
    if (single && sorted != values) return "out of order";
    if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) return "a value twice";
    const auto dropped = feed ? feed->dropped_count() : 0;
    if (!feed && !cut_short) return "destroyed without a reason";
    if (!sorted.empty() && feed) {
      const auto missing = sorted.back() - sorted.front() + 1 - static_cast<number>(sorted.size());
      if (missing > dropped + (cut_short ? feed->qsize() : 0)) return "a value lost";
    }
    if (cut_short) return "";
    if (ends == 0) return "no end";
    if (feed->qsize() != 0 || !feed->closed()) return "an end before the end";
    if (!bounded && dropped != 0) return "a drop without a bound";
    const std::scoped_lock lock(of->mutex);
    if (of->counts_on && !sorted.empty() && !of->last_values.contains(sorted.back()))
      return "the last value lost";
    return "";
  }
};

/// Asynchronous generator: the numbers of the biography, some in a run.
struct numbers {
  std::shared_ptr<biography> life;
  net::awaitable<std::optional<number>> next() {
    co_await net::post(net::use_awaitable);
    if (life->n % 17 == 16) {
      ++life->n;
      co_return std::nullopt;
    }
    co_return ++life->n;
  }
};

class everything {
 public:
  everything(net::any_io_executor executor, net::any_io_executor elsewhere, unsigned seed)
      : executor_(std::move(executor)), elsewhere_(std::move(elsewhere)) {
    dice d(seed);
    for (auto& each : slots_) replace(each, d);
    for (auto& each : groups_) each.group.emplace(executor_, async_timer::group_options{"group"});
  }

  // A timer of every() that was not started has no executor to fall back on.
  auto on_elsewhere(const char* kind) {
    return net::bind_executor(elsewhere_, operations.handler(kind));
  }

  /// Makes random moves on a thread that is none of the contexts'.
  void play(unsigned seed, int moves) {
    dice d(seed);
    for (int i = 0; i < moves; ++i) {
      move(d);
      if (i % 16 == 0) std::this_thread::sleep_for(100us);  // so that there are ticks in between
    }
  }

  /// Ends all that would go on for ever.
  void finish() {
    over_ = true;
    {
      const std::scoped_lock lock(sources_mutex_);
      for (auto& each : sources_) each.request_stop();
    }
    for (auto& each : groups_) {
      const std::unique_lock lock(each.mutex);
      each.group->cancel_all(operations.handler("last cancel_all"));
      each.group.reset();
    }
    for (auto& each : slots_) {
      const std::unique_lock lock(each.mutex);
      each.timer->cancel(on_elsewhere("last cancel"));
      each.timer.reset();
    }
  }

  /// Checks everything, when the contexts have run out of work.
  void check() {
    CHECK(operations.size() > 2000);
    CHECK(operations.complaints() == "");
    CHECK(overlaps == 0);
    CHECK(ticks > 500);
    CHECK(unexpected == 0);
    int runs = 0;
    int uneven = 0;
    for (const auto& each : lives_) {
      runs += each->starts;
      uneven += each->starts == each->ends ? 0 : 1;
    }
    CHECK(runs > 50);
    CHECK(uneven == 0);
    for (const auto& [life, most] : members_) {
      CHECK(life->ends <= most);
    }
    std::size_t values = 0;
    for (const auto& each : feeds_) {
      CHECK(each->complaint() == "");
      values += each->values.size();
    }
    CHECK(values > 200);
  }

  ledger operations;
  std::atomic<int> overlaps{0};
  std::atomic<int> ticks{0};
  std::atomic<int> unexpected{0};

 private:
  /// Is where one timer lives; what destroys it locks it exclusively.
  struct slot {
    std::shared_mutex mutex;
    std::shared_ptr<number_timer> timer;
    std::function<void(net::any_io_executor)> start_on;  ///< for those of every()
    std::shared_ptr<biography> life;
  };
  struct group_slot {
    std::shared_mutex mutex;
    std::optional<async_timer::timer_group> group;
  };

  // --- timers

  /// Marks that the target runs.
  class visit {
   public:
    visit(everything& all, biography& life) : life_(life) {
      if (life_.in_target.exchange(true)) ++all.overlaps;
      ++all.ticks;
    }
    ~visit() { life_.in_target = false; }
    visit(const visit&) = delete;
    visit& operator=(const visit&) = delete;

   private:
    biography& life_;
  };

  net::any_io_executor some_executor(dice& d) {
    switch (d.one_of(4)) {
      case 0:
        return net::make_strand(executor_);
      case 1:
        return elsewhere_;
      default:
        return executor_;
    }
  }

  std::stop_token some_token(dice& d) {
    const std::scoped_lock lock(sources_mutex_);
    return sources_[static_cast<std::size_t>(d.one_of(static_cast<int>(sources_.size())))]
        .get_token();
  }

  void request_some_stop(dice& d) {
    std::stop_source old;
    {
      const std::scoped_lock lock(sources_mutex_);
      std::swap(old,
                sources_[static_cast<std::size_t>(d.one_of(static_cast<int>(sources_.size())))]);
    }
    old.request_stop();
  }

  std::shared_ptr<biography> new_life() {
    auto life = std::make_shared<biography>();
    const std::scoped_lock lock(lists_mutex_);
    lives_.push_back(life);
    return life;
  }

  async_timer::timer_options some_options(dice& d, const std::shared_ptr<biography>& life) {
    async_timer::timer_options options;
    if (d.one_in(2)) options.mode = async_timer::mode::fixed_rate;
    if (d.one_in(3)) options.jitter = 0.5;
    if (d.one_in(2)) options.initial_delay = d.micros(300);
    if (d.one_in(2)) options.name = "timer";
    options.on_error = [this, seed = d.seed()](async_timer::timer_ref timer) {
      call_back(timer, seed);
    };
    options.on_stop = [this, life, seed = d.seed()](async_timer::timer_ref timer) {
      {
        const std::scoped_lock lock(life->mutex);
        life->last_values.insert(timer.hit_count());
      }
      if (timer.is_running()) ++unexpected;
      ++life->ends;
      call_back(timer, seed + static_cast<unsigned>(life->ends));
    };
    if (d.one_in(5)) {
      switch (d.one_of(3)) {
        case 0:
          options.stop_on = async_timer::stop_when(some_token(d));
          break;
        case 1: {
          const auto sleep = [pause = d.micros(3000)](auto done) {
            auto timer =
                std::make_shared<net::steady_timer>(net::get_associated_executor(done), pause);
            auto cancellation = net::get_associated_cancellation_slot(done);
            timer->async_wait(net::bind_cancellation_slot(
                cancellation, [timer, own = std::move(done)](
                                  const async_timer::error_code& error) mutable { own(error); }));
          };
          options.stop_on = async_timer::stop_when(some_token(d), sleep);
          break;
        }
        default: {
          slot& other = some_slot(d);
          const std::shared_lock lock(other.mutex, std::try_to_lock);
          if (lock && other.timer) {
            options.stop_on = async_timer::stop_when(*other.timer, some_token(d));
          }
        }
      }
    }
    return options;
  }

  /// Does what callbacks do that call their own, or another, timer.
  void call_back(async_timer::timer_ref timer, unsigned seed) {
    dice d(seed);
    switch (d.one_of(6)) {
      case 0:
        timer.request_stop();
        break;
      case 1:
        timer.cancel(operations.handler("cancel in a callback"));
        break;
      case 2:
        timer.set_delay(d.micros(200));
        static_cast<void>(to_string(timer));
        break;
      case 3: {
        slot& at = some_slot(d);
        const std::shared_lock lock(at.mutex, std::try_to_lock);
        if (lock && at.timer) {
          at.timer->join(on_elsewhere("join in a callback"));
          at.timer->trigger(on_elsewhere("trigger in a callback"));
          if (at.timer->ref() == timer) {
            try {
              at.timer->start();
              ++unexpected;  // its run has not ended yet
            } catch (const async_timer::timer_already_running_error&) {
            } catch (const async_timer::timer_restart_error&) {
              ++unexpected;
            }
          }
        }
        break;
      }
      case 4: {
        slot& at = some_slot(d);
        const std::shared_lock lock(at.mutex, std::try_to_lock);
        if (lock && at.timer && !over_) subscribe(at, d);
        break;
      }
      default:
        throw std::runtime_error("a bad callback");
    }
  }

  /// Calls the slot's timer from inside a target, which is its own, mostly.
  void call_from_target(slot* at, dice& d) {
    if (at == nullptr || !d.one_in(20)) return;
    const std::shared_lock lock(at->mutex, std::try_to_lock);
    if (!lock || !at->timer) return;
    if (at->start_on) {  // not its own any more, but one of every() that may have no executor yet
      at->timer->trigger(on_elsewhere("trigger in a target"));
    } else {
      at->timer->trigger(operations.handler("trigger in a target"));
    }
    at->timer->wait({.hits = 1, .timeout = 1ms}, on_elsewhere("wait in a target"));
    if (d.one_in(3)) at->timer->cancel(on_elsewhere("cancel in a target"));
  }

  /// Makes a timer of a random kind; `use` gets the target, `at` is where the timer will live.
  template <class Use>
  auto with_some_target(dice& d, slot* at, const std::shared_ptr<biography>& life, Use&& use) {
    const int kind = d.one_of(7);
    auto own = std::make_shared<dice>(d.seed());
    switch (kind) {
      case 0:
        return use([this, life, own, at] {
          const visit here(*this, *life);
          if (own->one_in(30)) throw std::runtime_error("failure");
          call_from_target(at, *own);
          return ++life->n;
        });
      case 1:
        return use([this, life, own] {
          const visit here(*this, *life);
          if (own->one_in(20)) throw async_timer::end_of_ticks{};
          return ++life->n;
        });
      case 2:
        return use([this, life, own, at]() -> net::awaitable<number> {
          const visit here(*this, *life);
          call_from_target(at, *own);
          for (int i = own->one_of(3); i > 0; --i) co_await net::post(net::use_awaitable);
          co_return ++life->n;
        });
      case 3:
        return use([this, life, own]() -> net::awaitable<number> {
          const visit here(*this, *life);
          net::steady_timer sleep(co_await net::this_coro::executor, own->micros(200));
          co_await sleep.async_wait(net::use_awaitable);
          if (own->one_in(30)) throw std::runtime_error("failure");
          co_return ++life->n;
        });
      case 4:
        life->counts_on = false;
        return use([] { return std::views::iota(number(1), number(20)); });
      case 5:
        life->counts_on = false;
        return use(std::views::iota(number(1)));
      default:
        life->counts_on = false;
        return use([life] { return numbers{life}; });
    }
  }

  void replace(slot& at, dice& d) {
    const auto life = new_life();
    std::shared_ptr<number_timer> timer;
    std::function<void(net::any_io_executor)> start_on;
    const auto delay = d.micros(500);
    auto options = some_options(d, life);
    const auto on = some_executor(d);
    const bool decorated = d.one_in(4);
    with_some_target(d, &at, life, [&](auto target) {
      if (decorated) {
        auto made = std::make_shared<async_timer::every_timer<decltype(target)>>(
            async_timer::every(delay, options)(std::move(target)));
        timer = made;
        // Not owned: this is called only while the timer lives.
        start_on = [raw = made.get()](const net::any_io_executor& where) { raw->start(where); };
      } else {
        timer = std::make_shared<number_timer>(on, delay, std::move(target), options);
      }
    });
    const std::unique_lock lock(at.mutex);
    at.timer = std::move(timer);
    at.start_on = std::move(start_on);
    at.life = life;
  }

  slot& some_slot(dice& d) {
    return slots_[static_cast<std::size_t>(d.one_of(static_cast<int>(slots_.size())))];
  }

  void start(slot& at, dice& d) {
    // Counted first: the run may be over before start() returns.
    ++at.life->starts;
    try {
      if (at.start_on) {
        at.start_on(some_executor(d));
      } else {
        at.timer->start();
      }
      return;
    } catch (const async_timer::timer_already_running_error&) {
    } catch (const async_timer::timer_restart_error&) {
    }
    --at.life->starts;
  }

  // --- waiting

  /// Binds a counting handler to a strand and a slot, which is emitted soon.
  template <class Initiate>
  void cancelled_soon(const char* kind, dice& d, Initiate&& initiate) {
    // As Asio asks for: the slot is used by one strand.
    const auto strand = net::make_strand(d.one_in(2) ? elsewhere_ : executor_);
    const auto signal = std::make_shared<net::cancellation_signal>();
    auto counted = operations.handler(kind);
    auto handler = [counted, signal](std::exception_ptr error, const auto&... values) mutable {
      counted(std::move(error), values...);
    };
    const auto late = d.one_of(4);
    // On the strand, so that the slot is connected before it is emitted.
    auto bound =
        net::bind_executor(strand, net::bind_cancellation_slot(signal->slot(), std::move(handler)));
    initiate(std::move(bound));
    auto emit = [signal] { signal->emit(net::cancellation_type::terminal); };
    if (late == 0) {
      const auto rest = std::make_shared<net::steady_timer>(strand, d.micros(500));
      rest->async_wait(net::bind_executor(
          strand, [rest, emit](const async_timer::error_code&) mutable { emit(); }));
    } else {
      net::post(strand, std::move(emit));
    }
  }

  static net::awaitable<void> race(net::awaitable<std::optional<number>> wait,
                                   std::chrono::microseconds bound) {
    using namespace net::experimental::awaitable_operators;
    net::steady_timer sleep(co_await net::this_coro::executor, bound);
    auto both = std::move(wait) || sleep.async_wait(net::use_awaitable);
    const auto first = co_await std::move(both);
    if (first.index() > 1) throw std::logic_error("no winner");
  }

  void wait(slot& at, dice& d) {
    number_timer& t = *at.timer;
    switch (d.one_of(9)) {
      case 0:
        if (at.start_on) {
          t.join(on_elsewhere("join"));
        } else {
          t.join(operations.handler("join on the timer's executor"));
        }
        break;
      case 1:
        t.next(on_elsewhere("next"));
        break;
      case 2:
        t.wait({.hits = d.one_of(3), .timeout = d.micros(500)}, on_elsewhere("counted wait"));
        break;
      case 3:
        t.wait({.timeout = d.micros(300)}, on_elsewhere("timed idle wait"));
        break;
      case 4:
        t.wait({.hit_count = t.hit_count() + d.one_of(3)}, on_elsewhere("wait for a hit_count"));
        break;
      case 5:
        t.wait(on_elsewhere("idle wait"));
        break;
      case 6:
        cancelled_soon("cancelled join", d, [&](auto token) { t.join(std::move(token)); });
        break;
      case 7:
        cancelled_soon("cancelled wait", d, [&](auto token) {
          t.wait({.hits = 2, .timeout = 300us}, std::move(token));
        });
        break;
      default:
        // On a strand, as Asio asks for: the two branches cancel each other.
        net::co_spawn(net::make_strand(d.one_in(2) ? executor_ : elsewhere_),
                      race(t.next(net::use_awaitable), d.micros(500)),
                      operations.handler("race of next"));
    }
  }

  /// Calls a blocking form, which may fail in the ways that are its own.
  template <class Call>
  void block(Call&& call) {
    try {
      call();
    } catch (const async_timer::timeout_error&) {
    } catch (const async_timer::timer_not_running_error&) {
    } catch (const async_timer::threadsafe_dispatch_error& e) {
      // Only what has not been started; the contexts live.
      if (std::string(e.what()).find("not been started") == std::string::npos) ++unexpected;
    } catch (const async_timer::system_error&) {
      // the stop outcome
    } catch (const std::runtime_error& e) {
      if (std::string(e.what()) != "failure") ++unexpected;
    }
  }

  // --- feeds

  /// Reads a feed on a strand until its end, cancelling every now and then.
  class consumer : public std::enable_shared_from_this<consumer> {
   public:
    consumer(everything& all, std::shared_ptr<feed_story> story, unsigned seed)
        : all_(all),
          story_(std::move(story)),
          dice_(seed),
          strand_(net::make_strand(dice_.one_in(2) ? all.executor_ : all.elsewhere_)) {}

    void begin() {
      net::post(strand_, [self = this->shared_from_this()] { self->take(); });
    }

   private:
    void take() {
      {
        const std::shared_lock lock(story_->mutex);
        if (!story_->feed) return;
        auto counted = all_.operations.handler("next of a feed");
        auto handler = [self = this->shared_from_this(), counted](
                           std::exception_ptr error, std::optional<number> value) mutable {
          counted(error, value);
          self->took(std::move(error), value);
        };
        story_->feed->next(net::bind_executor(
            strand_, net::bind_cancellation_slot(signal_.slot(), std::move(handler))));
      }
      if (dice_.one_in(3)) {
        net::post(strand_, [self = this->shared_from_this()] {
          self->signal_.emit(net::cancellation_type::terminal);
        });
      }
    }
    void took(std::exception_ptr error, std::optional<number> value) {
      const bool aborted = async_timer::is_stopped(error);
      if (error && value) ++all_.unexpected;
      {
        const std::scoped_lock lock(story_->values_mutex);
        if (value) story_->values.push_back(*value);
        if (!value && !aborted) ++story_->ends;
      }
      if (value || aborted) begin();
    }

    everything& all_;
    std::shared_ptr<feed_story> story_;
    dice dice_;
    net::strand<net::any_io_executor> strand_;
    net::cancellation_signal signal_;
  };

  void subscribe(slot& at, dice& d) {
    auto story = std::make_shared<feed_story>();
    story->of = at.life;
    story->bounded = d.one_in(2);
    try {
      story->feed.emplace(at.timer->subscribe({.maxsize = story->bounded ? 1 + d.one_of(3) : 0}));
    } catch (const async_timer::threadsafe_dispatch_error&) {
      ++unexpected;
      return;
    }
    const int consumers = d.one_in(3) ? 3 : 1;
    story->single = consumers == 1;
    {
      const std::scoped_lock lock(lists_mutex_);
      feeds_.push_back(story);
    }
    for (int i = 0; i < consumers; ++i) std::make_shared<consumer>(*this, story, d.seed())->begin();
  }

  std::shared_ptr<feed_story> some_feed(dice& d) {
    const std::scoped_lock lock(lists_mutex_);
    if (feeds_.empty()) return nullptr;
    const auto recent = std::min<std::size_t>(feeds_.size(), 20);
    return feeds_[feeds_.size() - 1 - static_cast<std::size_t>(d.one_of(static_cast<int>(recent)))];
  }

  void disturb_a_feed(dice& d) {
    const auto story = some_feed(d);
    if (!story) return;
    if (d.one_in(3)) {
      story->cut_short = true;
      const auto destroy = [story] {
        std::optional<number_feed> gone;
        const std::unique_lock lock(story->mutex);
        std::swap(gone, story->feed);
      };
      if (d.one_in(2)) {
        destroy();
      } else {
        net::post(executor_, destroy);
      }
      return;
    }
    const std::shared_lock lock(story->mutex);
    if (!story->feed) return;
    static_cast<void>(story->feed->qsize());
    static_cast<void>(story->feed->dropped_count());
    switch (d.one_of(4)) {
      case 0:
        story->cut_short = true;
        story->feed->close();
        break;
      case 1:
        story->cut_short = true;
        story->feed->close_threadsafe();
        break;
      default:
        if (story->bounded) {
          story->cut_short = true;
          story->feed->drop_oldest(d.one_of(3));
        }
    }
  }

  // --- groups

  group_slot& some_group(dice& d) {
    return groups_[static_cast<std::size_t>(d.one_of(static_cast<int>(groups_.size())))];
  }

  void add_member(async_timer::timer_group& group, dice& d) {
    auto life = std::make_shared<biography>();
    auto options = some_options(d, life);
    const bool runs_once = !options.stop_on.empty();
    const auto delay = d.micros(500);
    const auto on = some_executor(d);
    const bool decorated = d.one_in(3);
    {
      const std::scoped_lock lock(lists_mutex_);
      // Who restarts a member is a start() of its group, and these are few.
      members_.emplace_back(life, runs_once ? 1 : 1'000'000);
    }
    if (d.one_in(6)) {
      group.add(async_timer::timer{on, delay, [] { return std::string(40, 'x'); }, options});
      return;
    }
    with_some_target(d, nullptr, life, [&](auto target) {
      if (decorated) {
        group.add(async_timer::every(delay, options)(std::move(target)));
      } else {
        auto& member = group.add(async_timer::timer{on, delay, std::move(target), options});
        member.join(on_elsewhere("join of a member"));
      }
    });
  }

  void move_group(dice& d) {
    group_slot& at = some_group(d);
    const int what = d.one_of(14);
    if (what == 0) {
      std::optional<async_timer::timer_group> fresh(std::in_place, executor_);
      for (int i = d.one_of(3); i > 0; --i) add_member(*fresh, d);
      const std::unique_lock lock(at.mutex);
      if (d.one_in(2)) {
        *at.group = std::move(*fresh);
      } else {
        at.group.emplace(std::move(*fresh));
      }
      return;
    }
    const std::shared_lock lock(at.mutex);
    async_timer::timer_group& group = *at.group;
    const auto counted = [this](const char* kind) {
      return [count = operations.handler(kind)](
                 std::exception_ptr error,
                 const std::vector<async_timer::group_result>& results) mutable {
        for (const auto& each : results)
          static_cast<void>(each.outcome.has_value() && each.timer.hit_count() > 0);
        count(std::move(error));
      };
    };
    switch (what) {
      case 1:
      case 2:
        if (group.size() < 8) {
          try {
            add_member(group, d);
          } catch (const async_timer::timer_error&) {
            ++unexpected;  // a new timer can be started
          }
        }
        break;
      case 3:
      case 4:
        try {
          group.start();
        } catch (const async_timer::timer_already_running_error&) {
        } catch (const async_timer::timer_restart_error&) {
        }
        break;
      case 5:
        group.wait({.hits = 1, .timeout = 1ms, .return_exceptions = d.one_in(2)},
                   counted("wait of a group"));
        break;
      case 6:
        group.wait({.hit_count = 1, .return_exceptions = d.one_in(2)},
                   counted("counted wait of a group"));
        break;
      case 7:
        group.wait(counted("idle wait of a group"));
        break;
      case 8:
        group.trigger({.timeout = d.micros(1000), .return_exceptions = d.one_in(2)},
                      counted("timed trigger of a group"));
        break;
      case 9:
        group.trigger(counted("trigger of a group"));
        break;
      case 10:
        cancelled_soon("cancelled wait of a group", d, [&](auto token) {
          group.wait({.hits = 2, .timeout = 500us}, std::move(token));
        });
        break;
      case 11:
        if (d.one_in(2)) {
          cancelled_soon("cancelled cancel_all", d,
                         [&](auto token) { group.cancel_all(std::move(token)); });
        } else {
          group.cancel_all(on_elsewhere("cancel_all"));
        }
        break;
      case 12:
        block([&] { group.cancel_threadsafe(d.micros(2000)); });
        break;
      default:
        static_cast<void>(group.is_running());
        static_cast<void>(to_string(group));
        for (const auto& each : group) static_cast<void>(group.contains(each));
    }
  }

  net::awaitable<void> scoped_group(unsigned seed) {
    dice d(seed);
    async_timer::timer_group group{executor_};
    for (int i = 0; i < 3; ++i) add_member(group, d);
    auto body = [&group]() -> net::awaitable<void> {
      const auto firsts = co_await group.wait({.hit_count = 1, .return_exceptions = true});
      const auto seconds = co_await group.trigger({.return_exceptions = true});
      if (firsts.size() != 3 || seconds.size() != 3) throw std::logic_error("a member is missing");
    };
    co_await async_timer::scoped(group, body);
  }

  net::awaitable<void> scoped_timer(std::shared_ptr<biography> life,
                                    std::chrono::microseconds delay) {
    auto target = [this, life] {
      const visit here(*this, *life);
      return ++life->n;
    };
    auto options = async_timer::timer_options();
    options.on_stop = [life] { ++life->ends; };
    const auto executor = co_await net::this_coro::executor;
    number_timer timer(executor, delay, target, options);
    auto body = [&timer]() -> net::awaitable<void> {
      co_await timer.join();
      const auto third = co_await timer.wait({.hits = 3});
      if (!third) throw std::logic_error("no value");
    };
    ++life->starts;
    co_await async_timer::scoped(timer, body);
    if (life->ends != 1 || timer.is_running()) ++unexpected;
  }

  // --- all of it

  void move(dice& d) {
    const int what = d.one_of(40);
    if (what < 9) {
      move_group(d);
      return;
    }
    if (what == 9) {
      request_some_stop(d);
      return;
    }
    if (what < 13) {
      disturb_a_feed(d);
      return;
    }
    if (what == 13) {
      net::co_spawn(some_executor(d), scoped_timer(new_life(), d.micros(200)),
                    operations.handler("scoped timer"));
      return;
    }
    if (what == 14) {
      net::co_spawn(executor_, scoped_group(d.seed()), operations.handler("scoped group"));
      return;
    }
    slot& at = some_slot(d);
    if (what == 15) {
      replace(at, d);
      return;
    }
    const std::shared_lock lock(at.mutex);
    switch (what) {
      case 16:
      case 17:
      case 18:
      case 19:
      case 20:
      case 21:
        start(at, d);
        break;
      case 22:
      case 23:
        at.timer->trigger(on_elsewhere("trigger"));
        break;
      case 24:
        cancelled_soon("cancelled trigger", d,
                       [&](auto token) { at.timer->trigger(std::move(token)); });
        break;
      case 25:
        at.timer->cancel(on_elsewhere("cancel"));
        break;
      case 26:
        cancelled_soon("cancelled cancel", d,
                       [&](auto token) { at.timer->cancel(std::move(token)); });
        break;
      case 27:
        at.timer->request_stop();
        break;
      case 28:
        at.timer->set_delay(d.micros(500));
        static_cast<void>(at.timer->snapshot());
        break;
      case 29:
        block([&] { at.timer->cancel_threadsafe(d.micros(2000)); });
        break;
      case 30:
        block([&] { at.timer->trigger_threadsafe(d.micros(2000)); });
        break;
      case 31:
        block([&] { at.timer->cancel_threadsafe(); });
        break;
      case 32:
      case 33:
      case 34:
        subscribe(at, d);
        break;
      default:
        wait(at, d);
    }
  }

  net::any_io_executor executor_;
  net::any_io_executor elsewhere_;
  std::atomic<bool> over_{false};
  std::array<slot, 10> slots_;
  std::array<group_slot, 3> groups_;
  std::mutex sources_mutex_;
  std::array<std::stop_source, 4> sources_;
  std::mutex lists_mutex_;
  std::vector<std::shared_ptr<biography>> lives_;
  std::vector<std::pair<std::shared_ptr<biography>, int>> members_;  ///< with the most runs
  std::vector<std::shared_ptr<feed_story>> feeds_;
};

/// Keeps warnings, of which there are many here, from the terminal.
class silence {
 public:
  silence() {
    async_timer::set_log_sink([](const async_timer::log_record&) {});
  }
  ~silence() { async_timer::set_log_sink({}); }
  silence(const silence&) = delete;
  silence& operator=(const silence&) = delete;
};

unsigned from_environment(const char* name, unsigned otherwise) {
  const char* const text = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return text == nullptr ? otherwise : static_cast<unsigned>(std::strtoul(text, nullptr, 10));
}

constexpr int players = 4;
constexpr int moves = 3000;

/// Is what all rounds have done.
struct tally {
  std::size_t operations = 0;
  std::int64_t ticks = 0;
};

/// Plays on contexts that others run; `join` waits until these have run out of work.
template <class Join>
void play_on(const net::any_io_executor& executor, const net::any_io_executor& elsewhere,
             unsigned seed, tally& total, Join&& join) {
  CAPTURE(seed);
  deadlock_guard guard(seed);
  everything all(executor, elsewhere, seed);
  guard.enter("the players play");
  {
    thread_crew threads;
    for (unsigned i = 0; i < players; ++i)
      threads.add([&all, s = seed * 100 + i] { all.play(s, moves); });
  }
  guard.enter("everything is ended");
  all.finish();
  guard.enter("the contexts run out of work");
  join();
  guard.enter("the outcome is checked");
  all.check();
  total.operations += all.operations.size();
  total.ticks += all.ticks;
}

/// Plays with one seed, or with as many as the environment asks for; then says how far it came.
template <class Play>
void with_seeds(unsigned otherwise, Play&& play) {
  using clock = std::chrono::steady_clock;
  const silence quiet;
  const auto first = from_environment("ASYNC_TIMER_STRESS_SEED", otherwise);
  const auto rounds = from_environment("ASYNC_TIMER_STRESS_ROUNDS", 1);
  const auto soak = std::chrono::seconds(from_environment("ASYNC_TIMER_SOAK_SECONDS", 0)) / 2;
  const auto begin = clock::now();
  auto next_report = begin + 10s;
  tally total;
  auto seed = first;
  const auto report = [&](const char* when) {
    std::printf("everything: %s: %zu operations, %lld ticks, seeds %u..%u\n", when,
                total.operations, static_cast<long long>(total.ticks), first, seed - 1);
    std::fflush(stdout);
  };
  while (seed < first + rounds || clock::now() < begin + soak) {
    play(seed++, total);
    if (clock::now() >= next_report) {
      next_report = clock::now() + 10s;
      report("so far");
    }
  }
  report("done");
}

}  // namespace

TEST_CASE("26.5, 9.7, 13.29, 16.6, D9b everything at once, on an io_context run by 8 threads") {
  with_seeds(1, [](unsigned seed, tally& total) {
    net::io_context io(8);
    net::io_context other(1);
    auto work = std::optional(net::make_work_guard(io));
    auto other_work = std::optional(net::make_work_guard(other));
    std::optional<thread_crew> threads(std::in_place);
    for (int i = 0; i < 8; ++i) threads->add([&io] { io.run(); });
    std::optional<thread_crew> other_thread(std::in_place);
    other_thread->add([&other] { other.run(); });
    play_on(io.get_executor(), other.get_executor(), seed, total, [&] {
      // Either hands work to the other, so that neither may be left before both are idle.
      work.reset();
      threads.reset();
      other_work.reset();
      other_thread.reset();
    });
  });
}

TEST_CASE("26.5, 9.7, 13.29, 16.6, D9b everything at once, on a thread_pool of 8 threads") {
  with_seeds(1001, [](unsigned seed, tally& total) {
    net::thread_pool pool(8);
    net::thread_pool other(2);
    play_on(pool.get_executor(), other.get_executor(), seed, total, [&] {
      pool.join();
      other.join();
    });
  });
}
