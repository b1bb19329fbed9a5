// The world: making timers, moving them, letting them go; their gates and blocking forms.
#include <array>
#include <utility>

#include "model/durations.hpp"
#include "model/world_templates.hpp"

namespace model {

namespace {
constexpr std::array<double, 4> jitters{0, 0.1, 0.5, 1};
}  // namespace

void world::make(const command& c) {
  auto& p = places_[static_cast<std::size_t>(c.who)];
  if (p.handle && in_handlers_ && model_.may_end_unseen(p.id)) return;
  if (p.handle) drop(p);
  const int id = static_cast<int>(timers_.size());
  const auto kind = static_cast<shape>(c.a);
  const bool legal = is_legal_delay(c.b) && is_legal_delay(c.c);
  plan made;
  if (legal) {
    made = plan_of(c, id);
    model_.make_timer(made);
  }
  auto& t = timers_.emplace_back();
  t.place = c.who;
  t.kind = kind;
  t.has_executor = kind != shape::every_int;
  const bool starts = (c.d & flag::start) != 0 && kind != shape::every_int;
  if (legal && starts) model_.start(id, made.lane);
  quietly([&] {
    const auto error = error_of([&] {
      p.handle = make_any_timer(kind, *this, id, executor((c.d & flag::on_strand) != 0 ? 1 : 0),
                                interval_of(c.b), options_of(c, id, starts));
    });
    expect(error, legal ? "" : "invalid", "making a timer");
  });
  if (!p.handle) {
    timers_.pop_back();
    return;
  }
  p.id = id;
  t.ref = p.handle->ref();
}

plan world::plan_of(const command& c, int id) {
  plan made;
  const auto has = [&](std::int64_t bit) { return (c.d & bit) != 0; };
  const auto kind = static_cast<shape>(c.a);
  made.delay = *finite(c.b);
  made.initial_delay = *finite(c.c);
  made.fixed_rate = has(flag::fixed_rate);
  made.jitter = jitters[static_cast<std::size_t>(c.d / flag::jitter % 4)];
  made.has_on_error = has(flag::on_error);
  made.on_error_throws = made.has_on_error && has(flag::on_error_throws);
  made.has_signals = has(flag::signals);
  // With signals, too, it matters when exactly a run ends: then they are heard no more.
  made.has_on_stop = !has(flag::no_on_stop) || made.has_signals;
  made.on_stop_throws = made.has_on_stop && has(flag::on_stop_throws);
  // Without a name and callbacks there is a shorter way through the library.
  made.name = made.has_on_stop || made.has_on_error ? "t" + std::to_string(id) : "";
  made.is_async = kind >= shape::awaitable_int && kind <= shape::makes_async_generator_int &&
                  kind != shape::range_int && kind != shape::makes_range_text;
  made.is_generator = kind == shape::range_int || kind == shape::async_generator_int;
  made.notes_sleeps = kind == shape::mock_int;
  made.lane = has(flag::on_strand) && kind != shape::every_int ? 1 : 0;
  const auto source = static_cast<std::size_t>(c.d / flag::source % 8);
  if (made.has_signals && source > 0 && source <= timer_places) {
    const auto& from = places_[source - 1];
    if (from.handle && model_.timer(from.id).made.has_on_stop) made.signal_source = from.id;
  }
  return made;
}

async_timer::timer_options world::options_of(const command& c, int id, bool starts) {
  async_timer::timer_options options;
  options.initial_delay = interval_of(c.c);
  options.start = starts;
  if (!is_legal_delay(c.b) || !is_legal_delay(c.c)) return options;
  const plan made = model_.timer(id).made;
  if (made.fixed_rate) options.mode = async_timer::mode::fixed_rate;
  options.jitter = made.jitter;
  options.name = made.name;
  if (made.has_on_error) {
    options.on_error = [this, id, throws = made.on_error_throws](async_timer::timer_ref ref,
                                                                 std::exception_ptr error) {
      called_back(false, id, ref, error);
      if (throws) throw failure(0);
    };
  }
  if (made.has_on_stop) {
    options.on_stop = [this, id, throws = made.on_stop_throws](async_timer::timer_ref ref) {
      called_back(true, id, ref, nullptr);
      if (throws) throw failure(0);
    };
  }
  if (made.has_signals) options.stop_on = signals_of(id, made.signal_source);
  return options;
}

void world::drop(timer_place& place) {
  if (info(place.id).group < 0) {
    model_.drop_handle(place.id);
    quietly([&] { place.handle.reset(); });
  }
  place.handle.reset();
  place.id = -1;
}

void world::assign(timer_place& to, const command& c) {
  auto& from = places_[static_cast<std::size_t>(c.a)];
  const bool own = info(to.id).group < 0 && from.handle && info(from.id).group < 0;
  if (&to == &from || !own || !may_begin(from)) return;
  bool done = false;
  quietly([&] { done = to.handle->assign(*from.handle); });
  if (!done) return;
  model_.drop_handle(to.id);
  to.id = std::exchange(from.id, -1);
  from.handle.reset();
  info(to.id).place = c.who;
}

void world::open(timer_info& t, const command& c) {
  if (t.held == nullptr || t.held->opened) return;
  t.held->opened = answer{static_cast<reply>(c.a)};
  t.held->timer.cancel();
}

/// The blocking forms, which give up at once; on a thread that runs the context they must refuse.
void world::poll(const command& c) {
  auto& p = places_[static_cast<std::size_t>(c.who)];
  const auto& t = model_.timer(p.id);
  const bool stops = c.what == verb::poll_cancel;
  std::string wanted = "timeout";
  if (!t.ever_started || in_handlers_) {
    wanted = "dispatch";
  } else if (stops && t.at == phase::stopped) {
    wanted = "";
  } else if (stops) {
    model_.poll_cancel(p.id);
  } else if (!t.is_running()) {
    wanted = "not_running";
  } else {
    model_.poll_trigger(p.id);
  }
  quietly([&] {
    const auto error =
        error_of([&] { stops ? p.handle->poll_cancel() : p.handle->poll_trigger(); });
    expect(error, wanted, "a blocking form");
  });
}

}  // namespace model
