// The world: the commands on feeds, groups and stop signals.
#include <utility>

#include "model/world_templates.hpp"

namespace model {

void world::expect(const std::string& seen, const std::string& wanted, const char* what) {
  if (seen != wanted) {
    model_.complain(std::string(what) + " gives '" + seen + "', not '" + wanted + "'");
  }
}

net::any_io_executor world::executor(int lane) {
  return lane == 0 ? net::any_io_executor(io_->get_executor()) : net::any_io_executor(*strand_);
}

op_handler world::handler(int op, bool with_slot) {
  net::cancellation_slot slot;
  if (with_slot && op >= 0) {
    signals_.push_back({op, std::make_unique<net::cancellation_signal>()});
    slot = signals_.back().signal->slot();
  }
  return {this, op, slot, live_token(live_handlers_)};
}

void world::emit(const command& c) {
  if (c.a < 0 || std::cmp_greater_equal(c.a, signals_.size())) return;
  const auto& chosen = signals_[signals_.size() - 1 - static_cast<std::size_t>(c.a)];
  const auto& o = model_.op(chosen.op);
  const int timer = o.feed >= 0 ? model_.feed(o.feed).timer : o.timer;
  if (in_handlers_ && timer >= 0 && model_.may_end_unseen(timer)) return;
  constexpr net::cancellation_type types[] = {net::cancellation_type::terminal,
                                              net::cancellation_type::partial,
                                              net::cancellation_type::total};
  model_.emit(chosen.op);
  quietly([&] { chosen.signal->emit(types[c.b % 3]); });
}

// --- stop signals

namespace {

template <class Handler>
class signal_with final : public held_signal {
 public:
  signal_with(world& owner, int timer, Handler handler)
      : owner_(&owner), timer_(timer), handler_(std::move(handler)) {}

  void finish(std::exception_ptr error) override {
    const auto where = net::get_associated_executor(handler_);
    net::post(where, [owner = owner_, timer = timer_, handler = std::move(handler_),
                      error = std::move(error)]() mutable {
      net::get_associated_cancellation_slot(handler).clear();
      owner->signal_finished(timer, error);
      std::move(handler)(error);
    });
  }

 private:
  world* owner_;
  int timer_;
  Handler handler_;
};

}  // namespace

/// The own one comes first, so that the world sees when they are armed.
async_timer::stop_signals world::signals_of(int id, int source) {
  auto own = [this, id](auto handler) {
    auto slot = net::get_associated_cancellation_slot(handler);
    if (slot.is_connected()) {
      slot.assign([this, id](net::cancellation_type) { cancel_signal(id); });
    }
    using held = signal_with<decltype(handler)>;
    signal_began(id, std::make_unique<held>(*this, id, std::move(handler)));
  };
  const auto token = info(id).stop.get_token();
  if (source < 0) return async_timer::stop_when(own, token);
  return async_timer::stop_when(own, token, *info(source).ref);
}

void world::fire(int timer, const command& c) {
  auto& t = info(timer);
  if (t.fired) return;
  t.fired.emplace(c.a != 0 ? std::make_exception_ptr(failure(++failures_)) : nullptr);
  if (auto signal = std::exchange(t.signal, nullptr)) signal->finish(*t.fired);
}

// --- feeds

void world::carry_out_on_feed(const command& c) {
  if (c.what == verb::subscribe) return subscribe(c);
  auto& f = feeds_[static_cast<std::size_t>(c.who)];
  if (!f.handle) return;
  const int timer = model_.feed(f.id).timer;
  if (in_handlers_ && model_.may_end_unseen(timer)) return;
  switch (c.what) {
    case verb::take: {
      const bool can = info(timer).has_executor;
      const int op = can ? model_.begin_feed_next(f.id, model_.timer(timer).made.lane) : -1;
      return quietly([&] {
        const auto error = error_of([&] { f.handle->next(handler(op, c.a != 0)); });
        expect(error, can ? "" : "dispatch", "feed.next");
      });
    }
    case verb::drop_oldest: {
      std::int64_t dropped = 0;
      quietly([&] {
        const auto error = error_of([&] { dropped = f.handle->drop_oldest(c.a); });
        expect(error, c.a < 0 ? "invalid" : "", "drop_oldest");
      });
      if (c.a >= 0 && dropped != model_.drop_oldest(f.id, c.a)) {
        model_.complain("drop_oldest drops another number");
      }
      return;
    }
    case verb::close:
      model_.close(f.id);
      return quietly([&] { f.handle->close(); });
    case verb::drop_feed:
      model_.close(f.id);
      quietly([&] { f.handle.reset(); });
      return;
    default:
      return quietly([&] { f.handle->renew(); });
  }
}

void world::subscribe(const command& c) {
  auto& p = places_[static_cast<std::size_t>(c.who)];
  auto& f = feeds_[static_cast<std::size_t>(c.a)];
  const auto may_not = [this](int timer) { return in_handlers_ && model_.may_end_unseen(timer); };
  if (!may_begin(p) || (f.handle && may_not(model_.feed(f.id).timer))) return;
  if (f.handle) {
    model_.close(f.id);
    quietly([&] { f.handle.reset(); });
  }
  const bool legal = c.b >= 0;
  const int id = legal ? model_.subscribe(p.id, c.b) : -1;
  const std::string name = legal ? model_.feed(id).name : "";
  quietly([&] {
    const auto error =
        error_of([&] { f.handle = p.handle->subscribe({.maxsize = c.b, .name = name}, c.c != 0); });
    expect(error, legal ? "" : "invalid", "subscribe");
  });
  f.id = id;
}

// --- groups

void world::carry_out_on_group(const command& c, int inside) {
  auto& g = groups_[static_cast<std::size_t>(c.who)];
  if (c.what == verb::make_group) {
    if (g.handle) drop(g);
    g.id = model_.make_group();
    g.handle.emplace(*io_);
    return;
  }
  if (!g.handle) return;
  switch (c.what) {
    case verb::add:
      return add(g, places_[static_cast<std::size_t>(c.a)]);
    case verb::start_group: {
      const auto wanted = model_.start_group(g.id);
      for (const int id : model_.group(g.id).members) {
        info(id).has_executor = info(id).has_executor || model_.timer(id).ever_started;
      }
      return quietly([&] { expect(error_of([&] { g.handle->start(); }), wanted, "group.start"); });
    }
    case verb::drop_group:
      return drop(g);
    case verb::renew_group:
      return quietly([&] {
        async_timer::timer_group away(std::move(*g.handle));
        *g.handle = std::move(away);
      });
    default:
      group_wait(c, g, inside);
  }
}

void world::add(group_place& g, timer_place& t) {
  if (!t.handle || info(t.id).group >= 0 || !model_.timer(t.id).made.has_on_stop) return;
  const auto wanted = model_.add(g.id, t.id);
  quietly([&] { expect(error_of([&] { t.handle->add_to(*g.handle); }), wanted, "group.add"); });
  if (!wanted.empty()) return;
  info(t.id).group = g.id;
  info(t.id).has_executor = info(t.id).has_executor || model_.timer(t.id).ever_started;
}

void world::drop(group_place& g) {
  for (auto& place : places_) {
    if (!place.handle || info(place.id).group != g.id) continue;
    place.handle.reset();
    place.id = -1;
  }
  model_.drop_group(g.id);
  quietly([&] { g.handle.reset(); });
  g.id = -1;
}

void world::group_wait(const command& c, group_place& g, int inside) {
  wait_numbers numbers;
  async_timer::group_wait_options options;
  const bool stops = c.what == verb::cancel_all;
  const bool fires = c.what == verb::group_trigger;
  if (!stops && c.c != absent) options.timeout = std::chrono::nanoseconds(c.c);
  if (!stops && c.c != absent) numbers.timeout = c.c;
  if (!stops && !fires && c.a != absent) options.hit_count = numbers.hit_count = c.a;
  if (!stops && !fires && c.b != absent) options.hits = numbers.hits = c.b;
  options.return_exceptions = numbers.keeps_errors = !stops && (c.d & 1) != 0;
  const auto what = stops ? asked::group_cancel : fires ? asked::group_trigger : asked::group_wait;
  const int op = model_.begin_group(what, g.id, numbers, inside);
  auto with = handler(op, (c.d & 2) != 0);
  quietly([&] {
    if (stops) {
      g.handle->cancel_all(std::move(with));
    } else if (fires) {
      const async_timer::group_trigger_options bound{.timeout = options.timeout,
                                                     .return_exceptions = numbers.keeps_errors};
      g.handle->trigger(bound, std::move(with));
    } else {
      g.handle->wait(options, std::move(with));
    }
  });
}

}  // namespace model
