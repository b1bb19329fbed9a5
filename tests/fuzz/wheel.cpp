// The timing wheel against a std::multimap.
#include <algorithm>
#include <array>
#include <async_timer/core/time.hpp>
#include <async_timer/core/timing_wheel.hpp>
#include <cstdint>
#include <map>
#include <optional>

#include "fuzz/input.hpp"

namespace {

using namespace async_timer::core;
using fuzz::require;

struct item : wheel_node {};

class pair {
 public:
  explicit pair(std::int64_t now) : now_(nanoseconds(now)), wheel_(now_) {}

  void toggle(std::size_t id, fuzz::input& in) {
    item& node = items_[id];
    require(node.armed() == where_[id].has_value(), "armed");
    if (where_[id]) {
      require(timing_wheel::due(node) == (*where_[id])->first, "keeps the due time");
      wheel_.remove(node);
      due_.erase(*where_[id]);
      where_[id].reset();
      return;
    }
    const bool tie = !due_.empty() && in.byte() % 4 == 0;
    const auto due = tie ? due_.begin()->first : saturating_add(now_, nanoseconds(in.magnitude()));
    wheel_.insert(node, due);
    where_[id] = due_.emplace(due, id);
  }

  void pass(nanoseconds time) { now_ = saturating_add(now_, std::max(time, nanoseconds(0))); }
  void pass_to_next() {
    if (const auto next = wheel_.next_due()) now_ = std::max(now_, *next);
  }
  void catch_up() { wheel_.catch_up(now_); }

  void collect(std::size_t limit) {
    std::size_t got = 0;
    const bool more = wheel_.collect(now_, limit, [&](wheel_node& node, time_point due) noexcept {
      ++got;
      require(due <= now_, "never early");
      give(static_cast<std::size_t>(static_cast<item*>(&node) - items_.data()), due);
    });
    require(got <= limit, "not more than asked for");
    if (more) return;
    require(due_.empty() || due_.begin()->first > now_, "nothing due is left");
    require(!wheel_.next_due() || *wheel_.next_due() > now_, "the next one is ahead");
  }

  void drain() {
    wheel_.drain([&](wheel_node& node, time_point due) noexcept {
      give(static_cast<std::size_t>(static_cast<item*>(&node) - items_.data()), due);
    });
    require(due_.empty(), "drains all");
  }

  void check() const {
    require(wheel_.size() == due_.size(), "size");
    require(wheel_.next_due().has_value() == !due_.empty(), "has a next one");
    require(due_.empty() || *wheel_.next_due() <= due_.begin()->first, "the next one is not late");
    require(wheel_.chunk_count() <= due_.size(), "no empty chunk is kept");
  }

  static constexpr std::size_t count = 64;

 private:
  void give(std::size_t id, time_point due) noexcept {
    require(where_[id] && (*where_[id])->first == due, "what was put in, with its time");
    due_.erase(*where_[id]);
    where_[id].reset();
  }

  time_point now_;
  timing_wheel wheel_;
  std::array<item, count> items_{};
  std::multimap<time_point, std::size_t> due_;
  std::array<std::optional<std::multimap<time_point, std::size_t>::iterator>, count> where_{};
};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::input in(data, size);
  pair both(in.magnitude());
  while (in.more()) {
    const auto choice = in.byte();
    const std::size_t rest = choice / 8;
    switch (choice % 8) {
      case 4:
        both.pass(nanoseconds(in.magnitude()));
        break;
      case 5:
        both.pass_to_next();
        break;
      case 6:
        both.collect(rest % 16);
        break;
      case 7:
        rest == 0 ? both.drain() : both.catch_up();
        break;
      default:
        both.toggle((rest * 4 + choice % 4) % pair::count, in);
    }
    both.check();
  }
  both.drain();
  return 0;
}
