// The world: the commands on timers and in time, each carried out in both.
#include <stdexcept>

#include "model/world_templates.hpp"

namespace model {

namespace {

using interval = async_timer::interval;

interval interval_of(std::int64_t code) {
  using seconds = std::chrono::duration<double>;
  switch (code) {
    case not_a_number:
      return seconds(std::numeric_limits<double>::quiet_NaN());
    case infinite:
      return seconds(std::numeric_limits<double>::infinity());
    case minus_infinite:
      return seconds(-std::numeric_limits<double>::infinity());
    case longest:
      return std::chrono::hours::max();
    default:
      return std::chrono::nanoseconds(code);
  }
}

/// Gives the nanoseconds of a duration that the library takes, empty for others.
std::optional<nanos> finite(std::int64_t code) {
  if (code == longest) return never;
  const bool odd = code == not_a_number || code == infinite || code == minus_infinite;
  return odd ? std::nullopt : std::optional<nanos>(code);
}

bool is_legal_delay(std::int64_t code) { return finite(code).value_or(-1) >= 0; }

constexpr std::array<double, 4> jitters{0, 0.1, 0.5, 1};

}  // namespace

void world::carry_out(const command& c, int inside) {
  if (!is_well()) return;
  if (c.when != moment::now) {
    auto later = c;
    later.when = moment::now;
    hosted_[{c.host, c.when}].push_back(later);
    return;
  }
  event(20 + static_cast<std::int64_t>(c.what), c.who, c.a);
  switch (c.what) {
    case verb::subscribe:
    case verb::take:
    case verb::drop_oldest:
    case verb::close:
    case verb::drop_feed:
    case verb::renew_feed:
      carry_out_on_feed(c);
      break;
    case verb::make_group:
    case verb::add:
    case verb::start_group:
    case verb::group_wait:
    case verb::group_trigger:
    case verb::cancel_all:
    case verb::drop_group:
    case verb::renew_group:
      carry_out_on_group(c, inside);
      break;
    case verb::advance:
    case verb::advance_next:
    case verb::drain:
      if (!in_handlers_) carry_out_in_time(c);
      break;
    case verb::finish:
      break;
    default:
      carry_out_on_timer(c, inside);
  }
}

void world::carry_out_in_time(const command& c) {
  ++operations_;
  model_.run_handlers(true);
  in_handlers_ = true;
  if (c.what == verb::advance) {
    const auto error = error_of([&] { clock_->advance(interval_of(c.a)); });
    expect(error, is_legal_delay(c.a) ? "" : "invalid", "advance");
    if (!is_legal_delay(c.a)) clock_->run_until_idle();
  } else if (c.what == verb::advance_next) {
    clock_->advance_to_next();
  } else {
    clock_->run_until_idle();
  }
  in_handlers_ = false;
  model_.run_handlers(false);
  model_.move_to(now());
  model_.check_nothing_left();
  if (is_well()) compare_at_rest();
}

bool world::may_begin(const timer_place& place) {
  return place.handle && !(in_handlers_ && model_.may_end_unseen(place.id));
}

void world::carry_out_on_timer(const command& c, int inside) {
  if (c.what == verb::make) return make(c);
  if (c.what == verb::emit) return emit(c);
  auto& p = places_[static_cast<std::size_t>(c.who)];
  if (!may_begin(p)) return;
  switch (c.what) {
    case verb::start: {
      const bool chooses = info(p.id).kind == shape::every_int;
      const int lane = chooses ? static_cast<int>(c.a & 1) : model_.timer(p.id).made.lane;
      const auto wanted = model_.start(p.id, lane);
      quietly([&] { expect(error_of([&] { p.handle->start(executor(lane)); }), wanted, "start"); });
      if (wanted.empty()) info(p.id).has_executor = true;
      return;
    }
    case verb::stop:
      model_.request_stop(p.id);
      return quietly([&] { p.handle->request_stop(); });
    case verb::set_delay: {
      const bool legal = is_legal_delay(c.a);
      if (legal) model_.set_delay(p.id, *finite(c.a));
      return quietly([&] {
        const auto error = error_of([&] { p.handle->set_delay(interval_of(c.a)); });
        expect(error, legal ? "" : "invalid", "set_delay");
      });
    }
    case verb::drop:
      if (info(p.id).group < 0) drop(p);
      return;
    case verb::renew:
      return quietly([&] { p.handle->renew(); });
    case verb::assign:
      return assign(p, c);
    case verb::behave: {
      const answer planned{static_cast<reply>(c.a), 0, static_cast<reaction>(c.c)};
      for (std::int64_t i = 0; i < c.b; ++i) info(p.id).behaviour.push_back(planned);
      return;
    }
    case verb::open:
      return open(info(p.id), c);
    case verb::token:
      model_.fire_token(p.id);
      return quietly([&] { static_cast<void>(info(p.id).stop.request_stop()); });
    case verb::signal:
      return fire(p.id, c);
    case verb::poll_cancel:
    case verb::poll_trigger:
      return poll(c);
    default:
      carry_out_wait(c, inside);
  }
}

void world::carry_out_wait(const command& c, int inside) {
  auto& p = places_[static_cast<std::size_t>(c.who)];
  const bool is_wait = c.what == verb::wait;
  wait_numbers numbers;
  async_timer::wait_options options;
  if (is_wait) {
    if (c.a != absent) options.hit_count = numbers.hit_count = c.a;
    if (c.b != absent) options.hits = numbers.hits = c.b;
    if (c.c != absent) options.timeout = interval_of(c.c);
    if (c.c != absent) numbers.timeout = finite(c.c);
  }
  const bool legal = !is_wait || c.c == absent || numbers.timeout;
  const bool has_slot = (is_wait ? c.d : c.a) != 0;
  int op = -1;
  if (legal && info(p.id).has_executor) {
    const auto what = c.what == verb::join             ? asked::join
                      : c.what == verb::next           ? asked::next
                      : c.what == verb::trigger        ? asked::trigger
                      : c.a != absent || c.b != absent ? asked::count
                                                       : asked::idle;
    op = c.what == verb::cancel ? model_.begin_cancel(p.id, inside)
                                : model_.begin(what, p.id, numbers, inside);
  }
  const auto begin = [&](op_handler with) {
    switch (c.what) {
      case verb::join:
        return p.handle->join(std::move(with));
      case verb::next:
        return p.handle->next(std::move(with));
      case verb::trigger:
        return p.handle->trigger(std::move(with));
      case verb::cancel:
        return p.handle->cancel(std::move(with));
      default:
        return p.handle->wait(options, std::move(with));
    }
  };
  quietly([&] {
    const auto error = error_of([&] { begin(handler(op, has_slot)); });
    expect(error, !legal ? "invalid" : op < 0 ? "dispatch" : "", "an operation");
  });
}

// --- making timers and letting them go

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
