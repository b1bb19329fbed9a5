// The model: groups (section 20, with D30 and D31).
#include <algorithm>
#include <utility>

#include "model/reference.hpp"

namespace model {

int reference::make_group() {
  groups_.emplace_back();
  return static_cast<int>(groups_.size()) - 1;
}

bool reference::group_is_running(int group) const {
  const auto& g = groups_[index(group)];
  return g.active && std::all_of(g.members.begin(), g.members.end(),
                                 [this](int id) { return timer(id).is_running(); });
}

std::string reference::start_member(int id) {
  return timer(id).is_running() ? "" : start(id, timer(id).made.lane);
}

/// 20.2, 20.3: a member that can't be started is none.
std::string reference::add(int group, int timer) {
  auto& g = groups_[index(group)];
  const auto error = g.active ? start_member(timer) : "";
  if (error.empty()) g.members.push_back(timer);
  return error;
}

/// 20.5, 20.6: all or none.
std::string reference::start_group(int group) {
  auto& g = groups_[index(group)];
  if (g.active) return "";
  std::vector<int> started;
  for (const int id : g.members) {
    const bool ran = timer(id).is_running();
    const auto error = start_member(id);
    if (!error.empty()) {
      for (const int each : started) request_stop(each);
      return error;
    }
    if (!ran) started.push_back(id);
  }
  g.active = true;
  return "";
}

void reference::drop_group(int group) {
  auto& g = groups_[index(group)];
  const auto members = std::exchange(g.members, {});
  g.active = false;
  for (const int id : members) drop_handle(id);
}

int reference::begin_group(asked what, int group, const wait_numbers& numbers, int inside) {
  const auto members = groups_[index(group)].members;
  if (what == asked::group_cancel) groups_[index(group)].active = false;
  const int id = add_op({.what = what});
  auto& whole = ops_[index(id)];
  whole.keeps_errors = numbers.keeps_errors || what == asked::group_cancel;
  whole.missing = members.size() + 1;
  whole.result = {ending::list, 0, std::vector<outcome>(members.size())};
  const bool expired = numbers.timeout && *numbers.timeout <= 0;
  if (numbers.timeout && !expired && !members.empty()) {
    whole.deadline = later(now_, *numbers.timeout);
  }
  open_groups_.push_back(id);
  const bool counted = numbers.hit_count || numbers.hits;
  for (std::size_t place = 0; place < members.size(); ++place) {
    operation part{.timer = members[place]};
    part.whole = id;
    part.place = place;
    const bool is_inside = inside == members[place];
    int begun = -1;
    if (what == asked::group_cancel) {
      part.what = asked::cancel;
      begun = begin_stop_waiter(std::move(part), is_inside);
    } else {
      const auto for_ticks = counted ? asked::count : asked::idle;
      part.what = what == asked::group_trigger ? asked::trigger : for_ticks;
      const wait_numbers goal{.hit_count = numbers.hit_count, .hits = numbers.hits};
      begun = begin_waiter(std::move(part), goal, is_inside);
    }
    ops_[index(id)].parts.push_back(begun);
    if (ops_[index(id)].error && op(begun).at == progress::waiting) {
      withdraw(begun, {ending::stopped});
    }
  }
  if (expired && whole.missing > 1) fail(id, {ending::timeout});
  count_down(id);
  return id;
}

void reference::arrive(operation& part) {
  auto& whole = ops_[index(part.whole)];
  part.at = progress::done;
  whole.result.list[part.place] = part.result;
  if (is_error(part.result) && !whole.keeps_errors) fail(part.whole, part.result);
  count_down(part.whole);
}

/// The first error ends all; the other waits are withdrawn (D31).
void reference::fail(int whole, const outcome& error) {
  auto& w = ops_[index(whole)];
  if (w.error || w.missing == 0) return;
  w.error = error;
  for (std::size_t i = 0; i < w.parts.size(); ++i) {
    if (op(w.parts[i]).at == progress::waiting) withdraw(w.parts[i], {ending::stopped});
  }
}

void reference::count_down(int whole) {
  auto& w = ops_[index(whole)];
  if (--w.missing != 0) return;
  std::erase(open_groups_, whole);
  if (w.error) {
    w.result = *w.error;
  } else if (w.what == asked::group_cancel) {
    w.result = {ending::value};
  }
  add_timeout(w);
  post(whole);
}

}  // namespace model
