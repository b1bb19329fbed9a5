// Loads at the edge, one a run: what they cost, and whether others on the context get their turn.
#include <algorithm>
#include <async_timer/async_timer.hpp>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "asio_backend.hpp"
#include "measure.hpp"

namespace {

namespace net = bench::net;
using namespace std::chrono_literals;
using async_timer::mode;
using async_timer::timer_options;

struct arguments {
  std::int64_t timers;
  bench::nanoseconds measured;
};

/// Prints figures under the names that a reader sees.
class figures {
 public:
  explicit figures(const char* name) { std::printf("{\"case\": \"%s\", \"figures\": {", name); }
  figures(const figures&) = delete;
  figures& operator=(const figures&) = delete;
  ~figures() { std::printf("}}\n"); }

  void add(const char* name, double value) {
    std::printf("%s\"%s\": %.3f", first_ ? "" : ", ", name, value);
    first_ = false;
  }

 private:
  bool first_ = true;
};

double mib(std::int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }
double in_ms(bench::nanoseconds time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

/// Posts itself again and again: a handler that wants its turn, and notes how long it has waited.
class neighbour {
 public:
  explicit neighbour(net::io_context& context) : context_(context) { gaps_.reserve(1 << 22); }

  void begin() {
    last_ = bench::clock::now();
    post();
  }
  void end() { ended_ = true; }
  /// Forgets what was so far.
  void reset() { gaps_.clear(); }
  [[nodiscard]] std::vector<std::int64_t> sorted_gaps() {
    std::sort(gaps_.begin(), gaps_.end());
    return std::move(gaps_);
  }

 private:
  void post() {
    net::post(context_, [this] {
      const auto now = bench::clock::now();
      if (gaps_.size() < gaps_.capacity()) gaps_.push_back((now - last_).count());
      last_ = now;
      if (!ended_) post();
    });
  }

  net::io_context& context_;
  bench::clock::time_point last_;
  std::vector<std::int64_t> gaps_;
  bool ended_ = false;
};

/// Very many timers, of which nothing is due for an hour (`first` 1 h), or some all the time (0).
void sleepers(const char* name, const arguments& with, bench::nanoseconds first) {
  net::io_context context{1};
  std::int64_t ticks = 0;
  const auto empty = bench::resident_bytes();
  std::vector<async_timer::timer<void>> timers;
  timers.reserve(static_cast<std::size_t>(with.timers));
  for (std::int64_t i = 0; i < with.timers; ++i) {
    const auto phase = bench::nanoseconds(1h) / with.timers * (i * 7919 % with.timers);
    timers.emplace_back(
        context, 1h, [&ticks] { ++ticks; },
        timer_options{.mode = mode::fixed_rate, .initial_delay = first + phase});
    timers.back().start();
  }
  bench::run_for(context, 200ms);
  const auto full = bench::resident_bytes();
  const auto from = bench::usage::now();
  const auto ticks_before = ticks;
  bench::run_for(context, with.measured);
  const auto to = bench::usage::now();
  const auto end = bench::resident_bytes();
  const double seconds = std::chrono::duration<double>(with.measured).count();
  figures out(name);
  out.add("timers", static_cast<double>(with.timers));
  out.add("ticks per second", static_cast<double>(ticks - ticks_before) / seconds);
  out.add("wake-ups per second", static_cast<double>(to.sleeps - from.sleeps) / seconds);
  out.add("CPU, ms per second", static_cast<double>(to.cpu_ns - from.cpu_ns) / 1e6 / seconds);
  out.add("RSS of the timers, MiB", mib(full - empty));
  out.add("RSS growth while they sleep, MiB", mib(end - full));
}

struct counted_state {
  explicit counted_state(std::int64_t& alive) : alive_(&alive) { ++*alive_; }
  counted_state(const counted_state&) = delete;
  counted_state& operator=(const counted_state&) = delete;
  ~counted_state() { --*alive_; }
  std::int64_t* alive_;
};

/// Timers that are made, started, cancelled and destroyed, a thousand at a time.
void churn(const char* name, const arguments& with) {
  constexpr std::int64_t batch = 1000;
  net::io_context context{1};
  std::int64_t alive = 0;
  std::int64_t made = 0;
  std::int64_t cancelled = 0;
  std::int64_t resident_warm = 0;
  const auto before = bench::cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
  while (made < with.timers) {
    std::vector<async_timer::timer<void>> timers;
    for (std::int64_t i = 0; i < batch; ++i, ++made) {
      auto state = std::make_shared<counted_state>(alive);
      timers.emplace_back(
          context, 1h, [state = std::move(state)] {},
          timer_options{.initial_delay = 1s * (i % 100 + 1)});
      timers.back().start();
    }
    for (auto& each : timers) each.cancel([&](std::exception_ptr) { ++cancelled; });
    context.restart();
    context.poll();
    timers.clear();
    if (resident_warm == 0 && made >= with.timers / 10) resident_warm = bench::resident_bytes();
  }
  const auto after = bench::cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
  figures out(name);
  out.add("timers", static_cast<double>(made));
  out.add("cancelled", static_cast<double>(cancelled));
  out.add("captured states not destroyed", static_cast<double>(alive));
  out.add("CPU each, ns", static_cast<double>(after - before) / static_cast<double>(made));
  out.add("RSS growth over the last nine tenths, MiB",
          mib(bench::resident_bytes() - resident_warm));
}

/// Finds out how long all take that are due in one instant, and what that means for a neighbour.
class burst {
 public:
  explicit burst(std::int64_t expected) : expected_(expected), neighbour_(context) {}

  [[nodiscard]] bench::nanoseconds until_due() const {
    return std::max<bench::nanoseconds>(due_ - bench::clock::now(), 0ns);
  }
  [[nodiscard]] bench::clock::time_point due() const { return due_; }
  void tick() {
    if (++ticks_ == 1) {
      first_ = bench::clock::now();
      neighbour_.reset();
    }
    if (ticks_ == expected_) {
      last_ = bench::clock::now();
      neighbour_.end();
      context.stop();
    }
  }
  void run(const char* name) {
    const auto all_due = std::max(due_, bench::clock::now());  // a set-up may take longer
    neighbour_.begin();
    context.run();
    auto gaps = neighbour_.sorted_gaps();
    figures out(name);
    out.add("timers", static_cast<double>(expected_));
    out.add("from due to first tick, ms", in_ms(first_ - all_due));
    out.add("from first to last tick, ms", in_ms(last_ - first_));
    out.add("another handler's turns meanwhile", static_cast<double>(gaps.size()));
    // Who gets no turn at all has waited from the first tick to the last.
    if (gaps.empty()) gaps.push_back((last_ - first_).count());
    out.add("another handler's wait, p99, us", bench::quantile_us(gaps, 0.99));
    out.add("another handler's wait, longest, us", bench::quantile_us(gaps, 1));
  }

  net::io_context context{1};

 private:
  const std::int64_t expected_;
  const bench::clock::time_point due_ =
      bench::clock::now() + 1ms + bench::nanoseconds(expected_ * 2000);
  neighbour neighbour_;
  std::int64_t ticks_ = 0;
  bench::clock::time_point first_;
  bench::clock::time_point last_;
};

void same_instant(const char* name, const arguments& with) {
  burst all(with.timers);
  std::vector<async_timer::timer<void>> timers;
  timers.reserve(static_cast<std::size_t>(with.timers));
  for (std::int64_t i = 0; i < with.timers; ++i) {
    timers.emplace_back(
        all.context, 1h, [&all] { all.tick(); }, timer_options{.initial_delay = all.until_due()});
    timers.back().start();
  }
  all.run(name);
}

void same_instant_asio(const char* name, const arguments& with) {
  burst all(with.timers);
  std::vector<std::unique_ptr<net::steady_timer>> timers;
  for (std::int64_t i = 0; i < with.timers; ++i) {
    timers.push_back(std::make_unique<net::steady_timer>(all.context, all.due()));
    timers.back()->async_wait([&all](const bench::error_code& error) {
      if (!error) all.tick();
    });
  }
  all.run(name);
}

/// A timer that is always due, beside a handler that wants its turn.
void no_period(const char* name, const arguments& with, bench::nanoseconds period, mode how) {
  net::io_context context{1};
  std::int64_t ticks = 0;
  async_timer::timer busy(
      context, period, [&ticks] { ++ticks; }, timer_options{.mode = how, .start = true});
  neighbour other(context);
  other.begin();
  const auto begin = bench::clock::now();
  bench::run_for(context, with.measured);
  const double seconds = std::chrono::duration<double>(bench::clock::now() - begin).count();
  const auto gaps = other.sorted_gaps();
  figures out(name);
  out.add("ticks per second", static_cast<double>(ticks) / seconds);
  out.add("another handler's turns per second", static_cast<double>(gaps.size()) / seconds);
  out.add("another handler's wait, p50, us", bench::quantile_us(gaps, 0.5));
  out.add("another handler's wait, p99, us", bench::quantile_us(gaps, 0.99));
  out.add("another handler's wait, longest, us", bench::quantile_us(gaps, 1));
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view which = argc == 4 ? argv[1] : "";
  const arguments with{argc == 4 ? std::strtoll(argv[2], nullptr, 10) : 0,
                       std::chrono::duration_cast<bench::nanoseconds>(std::chrono::duration<double>(
                           argc == 4 ? std::strtod(argv[3], nullptr) : 0))};
  if (with.timers > 0 && which == "sleeping") {
    sleepers(argv[1], with, 1h);
  } else if (with.timers > 0 && which == "spread") {
    sleepers(argv[1], with, 1s);
  } else if (with.timers > 0 && which == "churn") {
    churn(argv[1], with);
  } else if (with.timers > 0 && which == "same_instant") {
    same_instant(argv[1], with);
  } else if (with.timers > 0 && which == "same_instant_asio") {
    same_instant_asio(argv[1], with);
  } else if (which == "period_0") {
    no_period(argv[1], with, 0ns, mode::fixed_delay);
  } else if (which == "period_1_ns") {
    no_period(argv[1], with, 1ns, mode::fixed_rate);
  } else {
    return bench::usage_of(argc, argv,
                           "<case> <timers> <measured_s>\n"
                           "Runs one load at the edge and prints its figures as a line of JSON.\n"
                           "Cases: sleeping, spread, churn, same_instant, same_instant_asio, "
                           "period_0, period_1_ns");
  }
}
