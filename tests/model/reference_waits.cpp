// The model: operations, from their beginning to their completion (sections 9 to 11, 14, 15).
#include <algorithm>

#include "model/reference.hpp"

namespace model {

std::string reference::describe(int op) const {
  static const char* const names[] = {
      "join",      "next",       "counted wait",  "idle wait",        "trigger",   "cancel",
      "feed.next", "group.wait", "group.trigger", "group.cancel_all", "end signal"};
  const auto& o = ops_[index(op)];
  std::string text = std::string(names[static_cast<int>(o.what)]) + " #" + std::to_string(op);
  if (o.timer >= 0) text += " of " + timers_[index(o.timer)].made.name;
  if (o.feed >= 0) text += " of " + feeds_[index(o.feed)].name;
  return text;
}

int reference::add_op(operation op) {
  op.number = static_cast<int>(ops_.size());
  ops_.push_back(std::move(op));
  return ops_.back().number;
}

// --- beginning

/// The table of section 10, with D4, D6 and D23.
std::optional<outcome> reference::at_once(const operation& op, const timer_state& t, bool inside,
                                          std::optional<nanos> timeout) const {
  const bool counted = op.what == asked::count;
  const bool for_end = op.what == asked::idle || op.what == asked::end_signal;
  if (counted && t.hit_count >= op.goal) return outcome{ending::empty};
  if (!t.is_running()) {
    if (t.sticky_failure != 0 && op.what != asked::trigger) return failed_with(t.sticky_failure);
    return outcome{for_end || op.what == asked::next ? ending::empty : ending::not_running};
  }
  if (inside && !(for_end && timeout)) return outcome{ending::self_wait};
  if (timeout && *timeout <= 0) return outcome{counted ? ending::timeout : ending::empty};
  return std::nullopt;
}

int reference::begin(asked what, int timer, const wait_numbers& numbers, int inside) {
  operation op{.what = what, .timer = timer};
  op.lane = timers_[index(timer)].made.lane;
  return begin_waiter(std::move(op), numbers, inside == timer);
}

int reference::begin_waiter(operation op, const wait_numbers& numbers, bool inside) {
  auto& t = timers_[index(op.timer)];
  op.goal = t.hit_count;
  if (numbers.hits) op.goal = later(t.hit_count, std::max<std::int64_t>(*numbers.hits, 0));
  if (numbers.hit_count) op.goal = std::max<std::int64_t>(*numbers.hit_count, 0);
  const auto now_known = at_once(op, t, inside, numbers.timeout);
  const bool is_trigger = op.what == asked::trigger;
  const int id = add_op(std::move(op));
  auto& added = ops_[index(id)];
  if (now_known) {
    added.result = *now_known;
    complete(id);
    return id;
  }
  if (numbers.timeout) added.deadline = later(now_, *numbers.timeout);
  t.waiters.push_back(id);
  if (is_trigger) trigger(t);
  return id;
}

int reference::begin_cancel(int timer, int inside) {
  operation op{.what = asked::cancel, .timer = timer};
  op.lane = timers_[index(timer)].made.lane;
  return begin_stop_waiter(std::move(op), inside == timer);
}

/// 15.1, 15.7, 15.10, D3b: after the clean-up, but from inside at once.
int reference::begin_stop_waiter(operation op, bool inside) {
  auto& t = timers_[index(op.timer)];
  const int id = add_op(std::move(op));
  const bool waits = t.at != phase::stopped && !inside;
  if (waits) t.stop_waiters.push_back(id);
  stop(t, true);
  if (!waits) {
    ops_[index(id)].result = {ending::value};
    complete(id);
  }
  return id;
}

// --- who ends it

outcome reference::idle_value(const operation& op, const timer_state& t) const {
  return t.hit_count > op.goal ? outcome{ending::value, t.last_code} : outcome{ending::empty};
}

/// Decides how an operation ends; it is in nobody's list any more.
void reference::claim(operation& op, outcome result) {
  auto& t = timers_[index(op.timer)];
  auto& list = op.what == asked::cancel ? t.stop_waiters : t.waiters;
  std::erase(list, op.number);
  op.at = progress::claimed;
  op.result = std::move(result);
  add_timeout(op);
}

/// 10.10: where the timeout falls on the same instant, either may have been first.
void reference::add_timeout(operation& op) const {
  if (op.deadline > now_) return;
  op.anywhen = true;
  if (op.what != asked::idle) return op.also_right.push_back({ending::timeout});
  const auto& t = timers_[index(op.timer)];
  op.also_right.push_back(idle_value(op, t));
  const auto& lasts = t.lasts_of_instant;
  for (std::size_t i = 0; i < lasts.size(); ++i) {
    const auto hits = t.hit_count - static_cast<std::int64_t>(lasts.size() - 1 - i);
    op.also_right.push_back(hits > op.goal ? lasts[i] : outcome{ending::empty});
  }
}

void reference::withdraw(int op, outcome result) {
  claim(ops_[index(op)], std::move(result));
  complete(op);
}

void reference::emit(int op) {
  auto& o = ops_[index(op)];
  if (o.what == asked::feed_next) {
    if (o.at == progress::waiting) {
      std::erase(feeds_[index(o.feed)].waiters, op);
      o.result = {ending::stopped};
      complete(op);
    } else if (o.at == progress::posted) {
      o.is_cancelled = true;
    }
    return;
  }
  if (o.at != progress::waiting) return;
  if (o.what == asked::group_wait || o.what == asked::group_trigger ||
      o.what == asked::group_cancel) {
    return fail(op, {ending::stopped});
  }
  withdraw(op, {ending::stopped});
}

// --- completion

void reference::complete(int op) {
  auto& o = ops_[index(op)];
  if (o.at == progress::done) return;  // a signal that nobody waits for any more
  if (o.whole >= 0) return arrive(o);
  if (o.what == asked::end_signal) {
    o.at = progress::done;
    const bool failed = o.result.how == ending::failure;
    return signal_done(timers_[index(o.watcher)], failed ? o.result.code : 0);
  }
  post(op);
}

void reference::post(int op) {
  auto& o = ops_[index(op)];
  o.at = progress::posted;
  o.serial = completions_++;
  lanes_[index(o.lane)].push_back(op);
}

/// A handler is called before the model knows why: a timeout, or the unseen end of a run.
bool reference::explain(int op, const outcome& seen) {
  auto& o = ops_[index(op)];
  if (o.at == progress::waiting && o.deadline <= now_) {
    if (o.what == asked::group_wait || o.what == asked::group_trigger) {
      fail(op, {ending::timeout});
    } else {
      add_timeout(o);
      const bool right = std::count(o.also_right.begin(), o.also_right.end(), seen) != 0;
      if (right) withdraw(op, seen);
    }
    return o.at == progress::posted;
  }
  const int timer = o.feed >= 0 ? feed(o.feed).timer : o.timer;
  if (o.at != progress::waiting || timer < 0 || !may_end_unseen(timer)) return false;
  ended_unseen(timer);
  return o.at == progress::posted;
}

/// A run is over, it isn't known since when.
void reference::ended_unseen(int timer) {
  const auto before = completions_;
  begin_end(timers_[index(timer)], 0);
  proceed();
  for (const auto& lane : lanes_) {
    for (const int id : lane) {
      if (ops_[index(id)].serial >= before) ops_[index(id)].anywhen = true;
    }
  }
}

void reference::completed(int op, const outcome& seen) {
  auto& o = ops_[index(op)];
  nothing_awaited("a handler is called");
  const auto what = describe(op) + " completes with " + to_string(seen);
  if (o.at == progress::done) return complain(what + " once more");
  if (o.at != progress::posted && !explain(op, seen)) return complain(what + " for no reason");
  if (o.gives_back()) {
    settle(o);
    nothing_awaited("a handler is called");
  }
  leave_lane(op);
  o.at = progress::done;
  const bool right =
      seen == o.result || std::count(o.also_right.begin(), o.also_right.end(), seen) != 0;
  if (!right) complain(what + ", not with " + to_string(o.result));
}

/// 12.7: completions come in the order of their causes.
void reference::leave_lane(int op) {
  auto& lane = lanes_[index(ops_[index(op)].lane)];
  for (auto at = lane.begin(); at != lane.end(); ++at) {
    if (*at == op) {
      lane.erase(at);
      return;
    }
    if (!ops_[index(*at)].anywhen && !ops_[index(op)].anywhen) {
      complain(describe(op) + " completes before " + describe(*at));
    }
  }
}

}  // namespace model
