// The model: a run from its start to its end (sections 2, 7, 8, 12, 15 to 18 of the contract).
#include <algorithm>
#include <utility>

#include "model/reference.hpp"

namespace model {

int reference::make_timer(const plan& made) {
  timer_state t;
  t.made = made;
  t.delay = made.delay;
  timers_.push_back(std::move(t));
  return static_cast<int>(timers_.size()) - 1;
}

std::string reference::start(int timer, int lane) {
  auto& t = timers_[index(timer)];
  if (t.at != phase::stopped) return "already_running";
  if (t.made.has_signals && t.ever_started) return "restart";
  if (dead_) return "dispatch";
  t.made.lane = lane;
  t.at = phase::sleeping;
  t.ever_started = true;
  t.stop_requested = t.interrupting = t.late_call = t.must_react = t.triggered = false;
  t.sticky_failure = 0;
  t.signals = t.made.has_signals ? watch::not_armed : watch::none;
  t.sleep_noted = t.made.initial_delay == 0;
  t.due.start(now_, t.made.initial_delay);
  return "";
}

void reference::set_delay(int timer, nanos delay) { timers_[index(timer)].delay = delay; }

void reference::request_stop(int timer) { stop(timers_[index(timer)], true); }

void reference::stop(timer_state& t, bool interrupting) {
  if (t.at == phase::stopped || t.at == phase::ending) return;
  // An asynchronous target is in flight from the moment that it is due; it may be called yet.
  const bool may_be_in_flight = t.made.is_async && handlers_run_ && t.due.may_tick(now_);
  if (t.at == phase::sleeping && may_be_in_flight && !t.stop_requested) t.late_call = true;
  if (interrupting && !t.interrupting && t.at == phase::in_flight) t.must_react = t.made.is_async;
  t.stop_requested = true;
  t.interrupting = t.interrupting || interrupting;
}

/// 9: the destructor of a handle; what a run needs is kept until it is over.
void reference::drop_handle(int timer) {
  auto& t = timers_[index(timer)];
  t.handle_gone = true;
  stop(t, true);
  if (t.at == phase::stopped) close_feeds(t);
}

/// 4.9, 4.10, 14: exactly one tick, and it re-anchors if it cut a sleep.
void reference::trigger(timer_state& t) {
  if (t.at == phase::sleeping) t.due.ask_now(now_);
  if (t.at == phase::settling) t.triggered = true;
}

// --- a tick

bool reference::end_is_due(const timer_state& t) const {
  return t.stop_requested || (t.generator_dead && t.due.may_tick(now_));
}

bool reference::may_end_unseen(int timer) const {
  const auto& t = timers_[index(timer)];
  return t.at == phase::sleeping && !t.made.has_on_stop && end_is_due(t);
}

void reference::called(int timer) {
  auto& t = timers_[index(timer)];
  const auto& name = t.made.name;
  nothing_awaited("the target is called");
  if (t.at == phase::in_flight) return complain(name + ": called while it is in flight");
  if (t.at != phase::sleeping) return complain(name + ": called though it does not run");
  if (t.stop_requested && !t.late_call) return complain(name + ": called after a stop");
  if (t.generator_dead) return complain(name + ": a dead generator is asked again");
  if (t.signals == watch::not_armed) return complain(name + ": called before its signals");
  if (!t.due.may_tick(now_)) return complain(name + ": called when it was not due");
  // 3.4: what waited for its turn two ticks ago has had it.
  for (const auto& lane : lanes_) {
    if (!lane.empty() && op(lane.front()).serial < t.completions_at_call_before) {
      return complain(name + ": lets nobody else run");
    }
  }
  t.completions_at_call_before = t.completions_at_last_call;
  t.completions_at_last_call = completions_;
  t.due.ticked(now_);
  t.sleep_noted = true;
  t.at = phase::in_flight;
  t.must_react = t.interrupting && t.made.is_async;
}

void reference::target_cancelled(int timer) {
  auto& t = timers_[index(timer)];
  if (t.at != phase::in_flight || !t.interrupting) complain(t.made.name + ": cancelled unasked");
  t.must_react = false;
}

void reference::answered(int timer, const outcome& answer) {
  auto& t = timers_[index(timer)];
  nothing_awaited("the target answers");
  if (t.at != phase::in_flight) return complain(t.made.name + ": answers though not in flight");
  t.must_react = false;
  if (answer.how == ending::value) {
    deliver(t, answer.code);
  } else {
    t.generator_dead = t.made.is_generator;
    begin_end(t, answer.how == ending::failure ? answer.code : 0);
  }
  proceed();
}

/// 12, settled question 16: all fields are set, then who waits, then the feeds.
void reference::deliver(timer_state& t, std::int64_t code) {
  if (t.lasts_of_instant.empty()) {
    t.lasts_of_instant.push_back(t.hit_count == 0 ? outcome{ending::empty}
                                                  : outcome{ending::value, t.last_code});
  }
  t.lasts_of_instant.push_back({ending::value, code});
  t.at = phase::settling;
  t.last_code = code;
  t.last_tick_at = now_;
  ++t.hit_count;
  const auto waiters = t.waiters;
  std::vector<int> claimed;
  for (const int id : waiters) {
    auto& waiting = ops_[index(id)];
    const bool is_for_end = waiting.what == asked::idle || waiting.what == asked::end_signal;
    const bool has_count = waiting.what != asked::count || t.hit_count >= waiting.goal;
    if (is_for_end || !has_count) continue;
    claim(waiting, {ending::value, code});
    claimed.push_back(id);
  }
  std::vector<step> steps;
  for (const int feed : t.feeds) steps.push_back({act::fill, -1, feed, code});
  steps.push_back({act::plan_next, id_of(t)});
  put_first(std::move(steps));
  for (const int id : claimed) complete(id);
}

void reference::plan_next(timer_state& t) {
  if (t.stop_requested) return begin_end(t, 0);
  const int id = id_of(t);
  std::vector<step> steps;
  if (!t.triggered) {
    t.due.plan(now_, t.delay, t.made.fixed_rate, t.made.jitter);
    const auto& all = t.due.candidates();
    const auto skips = [](const candidate& c) { return c.skipped > 0; };
    const auto sleeps = [this](const candidate& c) { return c.until > now_; };
    if (std::any_of(all.begin(), all.end(), skips)) steps.push_back({act::tell_skip, id});
    if (t.made.notes_sleeps && std::any_of(all.begin(), all.end(), sleeps)) {
      steps.push_back({act::tell_sleep, id});
    }
  }
  steps.push_back({act::arm, id});
  put_first(std::move(steps));
}

void reference::arm(timer_state& t) {
  if (t.stop_requested) return begin_end(t, 0);
  if (t.triggered) t.due.cut(now_);
  t.triggered = false;
  t.at = phase::sleeping;
}

// --- the end

/// 16.10: who waits and the feeds, on_error, the feeds made meanwhile, on_stop, and only then may
/// anybody resume.
void reference::begin_end(timer_state& t, std::int64_t failure) {
  const bool is_cancellation = failure == aborted && t.stop_requested;  // D7
  if (is_cancellation) failure = 0;
  t.at = phase::ending;
  if (failure != 0) {
    t.sticky_failure = t.last_failure = failure;
    t.last_failure_at = now_;
    ++t.failure_count;
  }
  if (t.made.has_signals) {  // 15.1
    release_signals(t);
    t.is_held_back = true;
    t.held_failure = failure;
  } else {
    go_on_ending(t, failure);
  }
}

void reference::resume_end(timer_state& t) {
  if (!std::exchange(t.is_held_back, false)) return;
  go_on_ending(t, t.held_failure);
  proceed();
}

void reference::go_on_ending(timer_state& t, std::int64_t failure) {
  const int id = id_of(t);
  const auto waiters = t.waiters;
  for (const int waiting : waiters) {
    auto& o = ops_[index(waiting)];
    if (failure != 0) {
      claim(o, failed_with(failure));
    } else if (o.what == asked::idle) {
      claim(o, idle_value(o, t));
    } else if (o.what == asked::next || o.what == asked::end_signal) {
      claim(o, {ending::empty});
    } else {
      claim(o, {ending::stopped});
    }
    t.claimed.push_back(waiting);
  }
  const auto threw = [&](const char* callback) {
    return step{
        act::tell_log, id, -1, 0, {"async_timer.callback_exception", t.made.name, callback}};
  };
  std::vector<step> steps{{act::end_feeds, id, -1, failure}};
  if (failure != 0 && t.made.has_on_error) {
    steps.push_back({act::call_on_error, id, -1, failure});
    if (t.made.on_error_throws) steps.push_back(threw("on_error"));
  } else if (failure != 0) {
    steps.push_back({act::tell_log,
                     id,
                     -1,
                     0,
                     {"async_timer.target_exception", t.made.name, std::to_string(t.hit_count)}});
  }
  if (failure != 0) steps.push_back({act::end_feeds, id});
  if (t.made.has_on_stop) {
    steps.push_back({act::call_on_stop, id});
    if (t.made.on_stop_throws) steps.push_back(threw("on_stop"));
  }
  steps.push_back({act::finish, id});
  put_first(std::move(steps));
}

void reference::finish(timer_state& t) {
  t.at = phase::stopped;
  t.stop_requested = t.interrupting = t.late_call = t.triggered = false;
  if (t.handle_gone) close_feeds(t);
  std::vector<step> steps;
  for (const int id : std::exchange(t.claimed, {})) steps.push_back({act::complete, -1, id});
  steps.push_back({act::tell_feeds, id_of(t)});
  const auto stop_waiters = t.stop_waiters;
  for (const int id : stop_waiters) {
    claim(ops_[index(id)], {ending::value});
    steps.push_back({act::complete, -1, id});
  }
  put_first(std::move(steps));
}

// --- stop signals

void reference::fire_token(int timer) {
  auto& t = timers_[index(timer)];
  t.token_fired = true;
  if (t.signals == watch::armed) signal_done(t, 0);
}

/// The world's own signal is armed first, so this is seen; then come the others.
void reference::signals_armed(int timer) {
  auto& t = timers_[index(timer)];
  nothing_awaited("signals are armed");
  const bool runs = t.at == phase::sleeping && t.signals == watch::not_armed;
  if (!runs) return complain(t.made.name + ": signals are armed without a run");
  t.signals = watch::armed;
  if (t.token_fired) signal_done(t, 0);
  if (t.signals == watch::armed && t.made.signal_source >= 0) {
    operation wait{.what = asked::end_signal, .timer = t.made.signal_source};
    wait.watcher = timer;
    begin_waiter(std::move(wait), {}, false);
  }
  proceed();
}

void reference::signal_finished(int timer, std::int64_t failure) {
  nothing_awaited("a signal finishes");
  signal_done(timers_[index(timer)], failure);
  proceed();
}

/// 18.2, 18.4, 18.11: the first one stops gracefully, a failure is told to the log only.
void reference::signal_done(timer_state& t, std::int64_t failure) {
  if (t.signals != watch::armed) return;
  release_signals(t);
  if (failure <= 0) return stop(t, false);
  step tells{act::tell_log, -1, -1, 0, {"async_timer.cancel_aws_raised", t.made.name, ""}};
  // The run may have ended already, and wait for its signals to be let go: then nobody listens.
  tells.need_not_come = t.at == phase::sleeping && end_is_due(t);
  put_first({std::move(tells), {act::stop_gracefully, id_of(t)}});
}

void reference::release_signals(timer_state& t) {
  if (t.signals == watch::none) return;
  t.signals = watch::released;
  if (t.made.signal_source < 0) return;
  const int id = id_of(t);
  auto& source = timers_[index(t.made.signal_source)];
  std::erase_if(source.waiters, [&](int waiting) {
    auto& o = ops_[index(waiting)];
    if (o.watcher == id) o.at = progress::done;
    return o.watcher == id;
  });
}

}  // namespace model
