// The world: a program from its beginning to its end.
#include "model/world_templates.hpp"

namespace model {

void world::run(const program& commands) {
  int how = finish_stop;
  for (const auto& c : commands) {
    if (!is_well()) return;
    if (c.what == verb::finish) {
      how = static_cast<int>(c.a);
      break;
    }
    carry_out(c, -1);
    compare();
  }
  finish(how);
}

void world::finish(int how) {
  hosted_.clear();
  if (how == finish_context) return end_context_first();
  if (how == finish_stop) stop_all();
  if (how != finish_stop) drop_all();
  if (how == finish_handles_then_context) return end_context_first();
  // Once more for targets that were waiting for their gate, and for what they began.
  for (int round = 0; round < 4 && is_well(); ++round) {
    for (auto& t : timers_) open(t, {});
    carry_out_in_time({verb::drain});
  }
  for (int place = 0; place < feed_places; ++place) carry_out({verb::drop_feed, place}, -1);
  drop_all();
  carry_out_in_time({verb::drain});
  for (std::size_t id = 0; id < timers_.size(); ++id) {
    const auto& t = model_.timer(static_cast<int>(id));
    if (t.at != phase::stopped) model_.complain(t.made.name + ": does not end");
  }
  if (live_handlers_ != 0) model_.complain("a handler is kept");
  if (is_well() && !io_->stopped()) model_.complain("the context has work left");
}

void world::stop_all() {
  for (int place = 0; place < timer_places; ++place) carry_out({verb::stop, place}, -1);
  for (int place = 0; place < group_places; ++place) carry_out({verb::cancel_all, place}, -1);
}

void world::drop_all() {
  for (auto& group : groups_) {
    if (group.handle) drop(group);
  }
  for (auto& place : places_) {
    if (place.handle) drop(place);
  }
}

/// Settled question 5: handlers are destroyed unrun, nobody is called, handles stay readable.
void world::end_context_first() {
  end_context();
  if (live_handlers_ != 0) model_.complain("a handler outlives its context");
  compare();
  for (auto& place : places_) {
    if (!place.handle || info(place.id).kind == shape::every_int) continue;
    const auto wanted = model_.start(place.id, 0);
    const auto error = error_of([&] { place.handle->start(net::any_io_executor()); });
    expect(error, wanted, "start after the end of the context");
  }
  drop_all();
  for (const auto& t : timers_) {
    if (t.alive != 0) model_.complain("a target outlives its handle and its context");
  }
}

void world::end_context() {
  if (!io_) return;
  model_.end_context();
  for (auto& t : timers_) t.signal.reset();
  strand_.reset();
  io_.reset();
  model_.check_end_of_context();
}

}  // namespace model
