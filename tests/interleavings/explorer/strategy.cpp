#include "interleavings/explorer/strategy.hpp"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace interleaving {

bool choice::has(actor a) const {
  const auto* const end = who.data() + count;
  return std::find(who.data(), end, a) != end;
}

// --- traces

std::string to_text(const trace& steps) {
  std::string text;
  for (auto from = steps.begin(); from != steps.end();) {
    const auto to = std::find_if(from, steps.end(), [&](actor a) { return a != *from; });
    text += (text.empty() ? "" : " ") + std::to_string(*from);
    if (to - from > 1) text += "x" + std::to_string(to - from);
    from = to;
  }
  return text;
}

trace trace_of(std::string_view text) {
  trace steps;
  const char* at = text.data();
  const char* const end = at + text.size();
  const auto number = [&] {
    std::size_t value = 0;
    const auto [after, error] = std::from_chars(at, end, value);
    if (error != std::errc()) throw std::invalid_argument("not a trace: " + std::string(text));
    at = after;
    return value;
  };
  while (at != end) {
    if (*at == ' ') {
      ++at;
      continue;
    }
    const auto who = static_cast<actor>(number());
    std::size_t times = 1;
    if (at != end && *at == 'x') {
      ++at;
      times = number();
    }
    steps.insert(steps.end(), times, who);
  }
  return steps;
}

// --- all of them

void depth_first::begin() {
  at_ = 0;
  preemptions_ = 0;
}

actor depth_first::pick(const choice& among) {
  const bool settled =
      among.count == 1 || (among.preempts && (preemptions_ == bound_ || among.after_release));
  if (settled) return among.who[0];
  if (at_ == path_.size()) path_.push_back({among});
  const fork& here = path_[at_++];
  if (here.among.count != among.count || here.among.who != among.who) {
    went_astray_ = true;
    return among.who[0];
  }
  if (among.preempts && here.taken > 0) ++preemptions_;
  return among.who[here.taken];
}

bool depth_first::advance() {
  path_.resize(at_);
  while (!path_.empty() && path_.back().taken + 1 == path_.back().among.count) path_.pop_back();
  if (path_.empty()) return false;
  ++path_.back().taken;
  return true;
}

// --- at random

actor random_walk::pick(const choice& among) {
  if (among.count == 1 || (among.preempts && below(rate_) != 0)) return among.who[0];
  return among.who[below(among.count)];
}

random_priorities::random_priorities(std::uint64_t seed, std::size_t depth, std::size_t steps)
    : random_strategy(seed), lowest_(depth) {
  // Above those that changes give.
  std::iota(priority_.begin(), priority_.end(), depth);
  for (std::size_t i = priority_.size(); i > 1; --i)
    std::swap(priority_[i - 1], priority_[below(i)]);
  for (std::size_t i = 1; i < depth; ++i) changes_.push_back(1 + below(steps));
}

actor random_priorities::pick(const choice& among) {
  ++step_;
  if (std::find(changes_.begin(), changes_.end(), step_) != changes_.end()) {
    priority_[running_] = --lowest_;
  }
  running_ = *std::max_element(among.who.data(), among.who.data() + among.count,
                               [&](actor a, actor b) { return priority_[a] < priority_[b]; });
  return running_;
}

// --- again

actor repetition::pick(const choice& among) {
  if (at_ == steps_.size()) return among.who[0];
  const actor next = steps_[at_++];
  if (!among.has(next)) {
    fits_ = false;
    return among.who[0];
  }
  return next;
}

}  // namespace interleaving
