// The model: time, and what happens in the middle of something.
#include <algorithm>
#include <array>
#include <cstdio>

#include "model/reference.hpp"

namespace model {

void reference::complain(const std::string& text) {
  if (complaint_.empty()) complaint_ = text;
}

int reference::id_of(const timer_state& t) const {
  const auto found =
      std::find_if(timers_.begin(), timers_.end(), [&](const auto& each) { return &each == &t; });
  return static_cast<int>(found - timers_.begin());
}

// --- time

void reference::set_now(nanos now) { now_ = now; }

void reference::move_to(nanos now) {
  if (dead_) return complain("something happens though the context is gone");
  if (now == now_) return;
  if (now < now_) return complain("time goes back");
  check_nothing_left();
  now_ = now;
  for (auto& t : timers_) {
    if (t.at == phase::sleeping && t.due.must_tick_by(now - 1)) {
      const bool unseen = t.generator_dead && !t.made.has_on_stop && t.waiters.empty();
      if (!unseen) complain(t.made.name + ": time has passed over a tick");
      begin_end(t, 0);
      proceed();
    }
    for (const int id : t.waiters) {
      if (op(id).deadline < now) complain(describe(id) + ": time has passed over its timeout");
    }
  }
  for (const int id : open_groups_) {
    if (op(id).deadline < now) complain(describe(id) + ": time has passed over its timeout");
  }
  for (auto& t : timers_) {
    t.lasts_of_instant.clear();
    t.completions_at_last_call = t.completions_at_call_before = 0;
  }
}

void reference::check_nothing_left() {
  for (auto& t : timers_) {
    if (t.at == phase::sleeping && end_is_due(t)) {
      if (t.made.has_on_stop) return complain(t.made.name + ": the run has not ended");
      begin_end(t, 0);
      proceed();
    }
  }
  nothing_awaited("nothing more");
  for (const auto& lane : lanes_) {
    if (!lane.empty()) complain(describe(lane.front()) + ": its handler was not called");
  }
  for (const auto& t : timers_) {
    const auto& name = t.made.name;
    if (t.at == phase::ending || t.at == phase::settling) complain(name + ": hangs in its end");
    if (t.at == phase::in_flight && t.must_react) complain(name + ": the target was not cancelled");
    if (t.at == phase::sleeping) {
      if (t.signals == watch::not_armed) complain(name + ": the stop signals were not armed");
      if (t.due.must_tick_by(now_)) complain(name + ": has not ticked");
      if (t.made.notes_sleeps && !t.sleep_noted) complain(name + ": did not note its first sleep");
    }
    for (const int id : t.waiters) {
      if (op(id).deadline <= now_) complain(describe(id) + ": did not end by its timeout");
    }
  }
  for (const int id : open_groups_) {
    if (op(id).deadline <= now_) complain(describe(id) + ": did not end by its timeout");
  }
}

void reference::end_context() {
  dead_ = true;
  for (auto& t : timers_) {
    if (t.at == phase::stopped) continue;
    t.at = phase::stopped;
    t.stop_requested = false;
    for (const int id : t.feeds) feeds_[index(id)].ended = true;
  }
  // 20.8: cancel_all() tells of each member that it can't wait for any more.
  for (const int group : open_groups_) {
    for (const int part : op(group).parts) {
      if (op(part).what != asked::cancel || op(part).at != progress::waiting) continue;
      last_words_.push_back(
          {"async_timer.group_cancel_failure", timer(op(part).timer).made.name, ""});
    }
  }
}

void reference::check_end_of_context() {
  for (const auto& missing : last_words_) complain(to_string(missing) + " was not logged");
}

void reference::logged_at_the_end(const record& told) {
  const auto found = std::find(last_words_.begin(), last_words_.end(), told);
  if (found == last_words_.end()) return complain(to_string(told) + " was logged by the end");
  last_words_.erase(found);
}

// --- the agenda

void reference::put_first(std::vector<step> steps) {
  agenda_.insert(agenda_.end(), std::make_move_iterator(steps.rbegin()),
                 std::make_move_iterator(steps.rend()));
}

bool reference::waits_for_event(const step& s) {
  return s.what == act::tell_skip || s.what == act::tell_sleep || s.what == act::tell_log ||
         s.what == act::call_on_error || s.what == act::call_on_stop;
}

void reference::proceed() {
  while (!agenda_.empty() && !waits_for_event(agenda_.back())) {
    const step next = agenda_.back();
    agenda_.pop_back();
    take(next);
  }
}

void reference::take(const step& next) {
  switch (next.what) {
    case act::fill:
      return push(feeds_[index(next.subject)], next.code);
    case act::plan_next:
      return plan_next(timers_[index(next.timer)]);
    case act::arm:
      return arm(timers_[index(next.timer)]);
    case act::end_feeds:
      return end_feeds(timers_[index(next.timer)], next.code);
    case act::tell_feeds:
      return tell_feeds(timers_[index(next.timer)]);
    case act::finish:
      return finish(timers_[index(next.timer)]);
    case act::complete:
      return complete(next.subject);
    case act::stop_gracefully: {
      auto& t = timers_[index(next.timer)];
      stop(t, false);
      return;
    }
    default:
      return complain("the model waits for an event where there is none");
  }
}

/// Some events need not come: with jitter it is open whether there is a skip, or a sleep at all.
bool reference::pass_over(const step& s) {
  if (s.need_not_come) return true;
  auto& due = timers_[index(s.timer)].due;
  if (s.what == act::tell_skip) {
    return due.keep([](const candidate& c) { return c.skipped == 0; });
  }
  if (s.what == act::tell_sleep) {
    return due.keep([this](const candidate& c) { return c.from <= now_; });
  }
  return false;
}

void reference::pass_over_all_but(const record& told) {
  while (!agenda_.empty() && agenda_.back().need_not_come && agenda_.back().told != told) {
    agenda_.pop_back();
    proceed();
  }
}

step* reference::awaited_step(act what, int timer) {
  while (!agenda_.empty()) {
    if (!waits_for_event(agenda_.back())) {
      proceed();
      continue;
    }
    step& first = agenda_.back();
    if (first.what == what && (timer < 0 || first.timer == timer)) return &first;
    if (!pass_over(first)) return nullptr;
    agenda_.pop_back();
  }
  return nullptr;
}

bool reference::nothing_awaited(const char* event) {
  while (!agenda_.empty()) {
    if (!waits_for_event(agenda_.back())) {
      proceed();
      continue;
    }
    const step& first = agenda_.back();
    if (!pass_over(first)) {
      const auto& name = first.timer < 0 ? first.told.name : timer(first.timer).made.name;
      static const char* const names[] = {
          "fill",     "plan",    "a skip",     "a sleep", "arm",      "end feeds", "a log record",
          "on_error", "on_stop", "tell feeds", "finish",  "complete", "stop"};
      complain(std::string(event) + ", where " + names[static_cast<int>(first.what)] +
               (first.told.event.empty() ? "" : " of " + to_string(first.told)) +
               " was to come next, of '" + name + "'");
      agenda_.clear();
      return false;
    }
    agenda_.pop_back();
  }
  return true;
}

namespace {
std::string skip_detail(const candidate& c) {
  std::array<char, 32> seconds{};
  std::snprintf(seconds.data(), seconds.size(), "%.3f", static_cast<double>(c.behind) / 1e9);
  return std::to_string(c.skipped) + " late " + seconds.data();
}
}  // namespace

void reference::logged(const record& told) {
  log_inside_ = -1;
  pass_over_all_but(told);
  if (agenda_.empty()) {
    const auto tells = [&](const timer_state& t) {
      return t.is_held_back && t.held_failure != 0 && !t.made.has_on_error &&
             told.event == "async_timer.target_exception" && told.name == t.made.name;
    };
    const auto ends = std::find_if(timers_.begin(), timers_.end(), tells);
    if (ends != timers_.end()) resume_end(*ends);
  }
  if (agenda_.empty()) settle_for_log(told);
  if (told.event == "async_timer.fixed_rate_skip") {
    if (const step* const first = awaited_step(act::tell_skip, -1)) {
      auto& t = timers_[index(first->timer)];
      const bool known = told.name == t.made.name && t.due.keep([&](const candidate& c) {
        return c.skipped > 0 && told.detail == skip_detail(c);
      });
      if (!known) complain(to_string(told) + ": not what was skipped");
      agenda_.pop_back();
      return;
    }
  } else if (const step* const first = awaited_step(act::tell_log, -1)) {
    if (first->told != told) {
      complain(to_string(told) + " was logged, but not " + to_string(first->told));
    }
    const bool ends = first->timer >= 0 && timer(first->timer).at == phase::ending;
    log_inside_ = ends ? first->timer : -1;
    agenda_.pop_back();
    return;
  }
  complain(to_string(told) + " was logged for no reason");
}

void reference::called_back(bool on_stop, int timer, std::int64_t failure) {
  auto& t = timers_[index(timer)];
  pass_over_all_but({});
  if (on_stop && agenda_.empty() && t.at == phase::sleeping && end_is_due(t)) {
    begin_end(t, 0);
    proceed();
  }
  if (agenda_.empty()) resume_end(t);
  const auto what = on_stop ? act::call_on_stop : act::call_on_error;
  const step* const first = awaited_step(what, timer);
  if (first == nullptr) {
    return complain(t.made.name + (on_stop ? ": on_stop" : ": on_error") + " for no reason");
  }
  if (!on_stop && first->code != failure) complain(t.made.name + ": on_error with another failure");
  agenda_.pop_back();
}

void reference::slept(int timer, nanos duration) {
  auto& t = timers_[index(timer)];
  const nanos due = later(now_, duration);
  pass_over_all_but({});
  if (agenda_.empty()) {  // the initial delay
    const bool known = t.at == phase::sleeping && !t.sleep_noted && !t.stop_requested;
    if (!known || duration <= 0 || !t.due.fix(due)) {
      complain(t.made.name + ": sleeps for no reason");
    }
    t.sleep_noted = true;
    return;
  }
  if (awaited_step(act::tell_sleep, timer) == nullptr || !t.due.fix(due)) {
    return complain(t.made.name + ": sleeps for no reason, or for another time");
  }
  agenda_.pop_back();
}

}  // namespace model
