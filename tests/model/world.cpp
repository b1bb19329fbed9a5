// The world: what the library tells, and what can be read.
#include "model/world.hpp"

#include <algorithm>

namespace model {

namespace {
/// Is the world that the log sink of the process tells.
world* listening = nullptr;
}  // namespace

world::world(std::uint64_t seed) : io_(std::in_place, 1) {
  clock_.emplace(*io_, seed);
  strand_.emplace(net::make_strand(*io_));
  model_.set_now(now());
  if (std::exchange(listening, this) == nullptr) {
    async_timer::set_log_sink([](const async_timer::log_record& told) {
      if (listening != nullptr) listening->logged(told);
    });
  }
}

world::~world() {
  end_context();
  for (auto& feed : feeds_) feed.handle.reset();
  for (auto& place : places_) place.handle.reset();
  for (auto& group : groups_) group.handle.reset();
  async_timer::set_log_sink({});
  listening = nullptr;
}

void world::event(std::int64_t kind, std::int64_t a, std::int64_t b) {
  for (const std::int64_t part : {kind, a, b, now()}) {
    trace_ = (trace_ ^ static_cast<std::uint64_t>(part)) * 1099511628211u;
  }
  model_.move_to(now());
  if (calls_in_library_ > 0) model_.complain("an event comes inside a call of the library");
}

// --- targets

answer world::choose(timer_info& t, int id) {
  ++t.calls;
  ++total_calls_;
  if (t.instant != now()) t.calls_at_instant = 0;
  t.instant = now();
  answer chosen;
  if (!t.behaviour.empty()) {
    chosen = t.behaviour.front();
    t.behaviour.pop_front();
  }
  if (!model_.timer(id).made.is_async && chosen.what >= reply::suspend) chosen.what = reply::value;
  // A delay of zero would go on for ever.
  if (++t.calls_at_instant > 6 || total_calls_ > 2000 || !is_well()) chosen.what = reply::end;
  return chosen;
}

answer world::called(int timer, bool inside) {
  event(1, timer);
  model_.called(timer);
  at_moment(moment::call, timer, inside ? timer : -1);
  auto chosen = choose(info(timer), timer);
  if (chosen.what < reply::suspend) answers(timer, chosen);
  return chosen;
}

std::int64_t world::outcome_code(int timer) {
  const auto kind = info(timer).kind;
  if (kind == shape::plain_void || kind == shape::awaitable_void) return 0;
  return timer * 100'000 + info(timer).calls;
}

void world::answers(int timer, answer& chosen) {
  switch (chosen.what) {
    case reply::fail:
      chosen.code = ++failures_;
      return model_.answered(timer, {ending::failure, chosen.code});
    case reply::abort:
      return model_.answered(timer, {ending::failure, aborted});
    case reply::end:
      return model_.answered(timer, {ending::empty});
    default:
      chosen.what = reply::value;
      chosen.code = outcome_code(timer);
      return model_.answered(timer, {ending::value, chosen.code});
  }
}

std::optional<answer> world::cancelled(int timer, reaction how) {
  event(2, timer);
  model_.target_cancelled(timer);
  switch (how) {
    case reaction::abort:
      return answer{reply::abort};
    case reaction::value:
      return answer{reply::value};
    case reaction::fail:
      return answer{reply::fail};
    case reaction::end:
      return answer{reply::end};
    default:
      return std::nullopt;
  }
}

// --- handlers and callbacks

outcome world::outcome_of(const std::exception_ptr& error) {
  if (error == known_stop_) return {ending::stopped};
  try {
    std::rethrow_exception(error);
  } catch (const failure& known) {
    return {ending::failure, known.code};
  } catch (const async_timer::timer_not_running_error&) {
    return {ending::not_running};
  } catch (const async_timer::timeout_error&) {
    return {ending::timeout};
  } catch (const async_timer::self_wait_error&) {
    return {ending::self_wait};
  } catch (const async_timer::system_error& system) {
    if (system.code() != net::error::operation_aborted) return {ending::odd};
    known_stop_ = error;  // it comes often, and throwing takes long
    return {ending::stopped};
  } catch (...) {
    return {ending::odd};
  }
}

void world::completed(int op, const std::exception_ptr& error, const outcome& seen) {
  const bool both = error && seen.how == ending::odd;
  const outcome how = error && !both ? outcome_of(error) : seen;
  event(3, op, static_cast<std::int64_t>(how.how) * 1'000'000 + how.code);
  const auto& o = model_.op(op);
  const int timer = o.feed >= 0 ? model_.feed(o.feed).timer : o.timer;
  // Who gets a value that comes back depends on whether the feed has ended.
  if (o.gives_back() && has_ended_unseen(o.feed)) model_.ended_unseen(timer);
  model_.completed(op, how);
  if (timer >= 0) at_moment(moment::completion, timer, -1);
}

bool world::has_ended_unseen(int feed) const {
  const auto& f = model_.feed(feed);
  return !f.ended && model_.may_end_unseen(f.timer) &&
         std::any_of(feeds_.begin(), feeds_.end(), [feed](const feed_place& place) {
           return place.handle && place.id == feed && place.handle->closed();
         });
}

outcome world::list_of(int op, const std::vector<async_timer::group_result>& results) {
  outcome list{ending::list};
  const auto& parts = model_.op(op).parts;
  if (results.size() != parts.size()) return {ending::odd};
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto& member = info(model_.op(parts[i]).timer);
    const auto& result = results[i];
    if (!(result.timer == *member.ref)) return {ending::odd};
    outcome one;
    if (result.outcome.error()) {
      one = outcome_of(result.outcome.error());
    } else if (const auto code = code_of(member.kind, result.outcome)) {
      one = {ending::value, *code};
    }
    list.list.push_back(one);
  }
  return list;
}

void world::called_back(bool on_stop, int timer, const async_timer::timer_ref& ref,
                        const std::exception_ptr& error) {
  event(on_stop ? 4 : 5, timer);
  const auto& t = model_.timer(timer);
  model_.called_back(on_stop, timer, code_of_failure(error));
  const bool knows_it = ref == *info(timer).ref && ref.name() == t.made.name &&
                        ref.hit_count() == t.hit_count && !ref.is_running() &&
                        ref.failure_count() == t.failure_count;
  if (!knows_it) model_.complain(t.made.name + ": a callback gets a wrong reference");
  at_moment(on_stop ? moment::on_stop : moment::on_error, timer, timer);
  model_.proceed();
}

void world::logged(const async_timer::log_record& told) {
  record seen{std::string(told.event), "", ""};
  for (const auto& field : told.fields) {
    const bool is_name = field.key == "timer_name" || field.key == "subscription_name";
    if (is_name) seen.name = field.value;
    if (field.key == "skipped_ticks" || field.key == "dropped_count" || field.key == "callback" ||
        (field.key == "hit_count" && seen.event == "async_timer.target_exception")) {
      seen.detail = field.value;
    }
    if (field.key == "behind_s") seen.detail += " late " + field.value;
  }
  if (model_.is_over()) return model_.logged_at_the_end(seen);
  event(6, static_cast<std::int64_t>(std::hash<std::string>{}(to_string(seen))));
  model_.logged(seen);
  const int inside = model_.log_inside();
  for (std::size_t id = 0; id < timers_.size(); ++id) {
    if (model_.timer(static_cast<int>(id)).made.name == seen.name && !seen.name.empty()) {
      at_moment(moment::log, static_cast<int>(id), inside);
    }
  }
  model_.proceed();
}

void world::slept(int timer, std::chrono::nanoseconds duration) {
  event(7, timer, duration.count());
  model_.slept(timer, duration.count());
  at_moment(moment::sleep, timer, -1);
  model_.proceed();
}

void world::at_moment(moment when, int timer, int inside) {
  compare();
  const auto found = hosted_.find({info(timer).place, when});
  if (found == hosted_.end()) return;
  const auto commands = std::move(found->second);
  hosted_.erase(found);
  for (const auto& c : commands) carry_out(c, inside);
}

// --- stop signals

void world::signal_began(int timer, std::unique_ptr<held_signal> signal) {
  event(8, timer);
  auto& t = info(timer);
  t.signal = std::move(signal);
  model_.signals_armed(timer);
  if (t.fired) std::exchange(t.signal, nullptr)->finish(*t.fired);
}

void world::signal_finished(int timer, const std::exception_ptr& error) {
  event(9, timer);
  model_.signal_finished(timer, code_of_failure(error));
}

void world::cancel_signal(int timer) {
  if (auto signal = std::exchange(info(timer).signal, nullptr)) {
    signal->finish(std::make_exception_ptr(
        async_timer::system_error(net::error::operation_aborted, "the signal was cancelled")));
  }
}

// --- reading

void world::compare() {
  if (!is_well()) return;
  const auto check = [this](const std::string& name, const std::string& differs) {
    if (!differs.empty()) model_.complain(name + ": " + differs);
  };
  for (const auto& place : places_) {
    if (!place.handle || model_.may_end_unseen(place.id)) continue;
    const auto& t = model_.timer(place.id);
    check(t.made.name, place.handle->differs(t));
  }
  for (const auto& place : feeds_) {
    if (!place.handle || model_.may_end_unseen(model_.feed(place.id).timer)) continue;
    const auto& f = model_.feed(place.id);
    check(f.name, place.handle->differs(f));
  }
  for (const auto& place : groups_) {
    if (!place.handle) continue;
    const auto& g = model_.group(place.id);
    const bool same = place.handle->is_running() == model_.group_is_running(place.id) &&
                      place.handle->size() == g.members.size();
    check("group", same ? "" : "another is_running or size");
  }
}

/// D9, D27: what nobody needs any more is gone when nothing more happens.
void world::compare_at_rest() {
  compare();
  for (std::size_t id = 0; id < timers_.size(); ++id) {
    const auto& t = model_.timer(static_cast<int>(id));
    const bool gone = t.handle_gone && t.at == phase::stopped;
    if (gone != (timers_[id].alive == 0)) {
      model_.complain(t.made.name + (gone ? ": its target is kept" : ": its target is gone"));
    }
    if (t.signals == watch::released && timers_[id].signal) {
      model_.complain(t.made.name + ": a stop signal was not released");
    }
  }
}

}  // namespace model
