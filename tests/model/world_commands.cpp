// The world: the commands on timers and in time, each carried out in both.
#include "model/durations.hpp"
#include "model/world_templates.hpp"

namespace model {

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

}  // namespace model
