// The model: feeds (section 13, with rule 3: the end is kept out of band).
#include <algorithm>
#include <utility>

#include "model/reference.hpp"

namespace model {

int reference::subscribe(int timer, std::int64_t maxsize) {
  feed_state f;
  f.timer = timer;
  f.maxsize = maxsize;
  const int id = static_cast<int>(feeds_.size());
  f.name = "f" + std::to_string(id);
  feeds_.push_back(std::move(f));
  timers_[index(timer)].feeds.push_back(id);
  return id;
}

int reference::begin_feed_next(int feed, int lane) {
  auto& f = feeds_[index(feed)];
  operation next{.what = asked::feed_next};
  next.feed = feed;
  next.lane = lane;
  const int id = add_op(std::move(next));
  auto& op = ops_[index(id)];
  if (!f.values.empty()) {
    op.result = {ending::value, f.values.front().code};
    op.value_serial = f.values.front().serial;
    f.values.pop_front();
  } else if (f.told) {
    if (f.failure != 0) op.result = failed_with(std::exchange(f.failure, 0));
  } else {
    f.waiters.push_back(id);
    return id;
  }
  complete(id);
  return id;
}

bool reference::hand_over(feed_state& f, std::int64_t serial, std::int64_t code) {
  if (f.waiters.empty()) return false;
  const int id = f.waiters.front();
  f.waiters.erase(f.waiters.begin());
  auto& op = ops_[index(id)];
  op.result = {ending::value, code};
  op.value_serial = serial;
  complete(id);
  return true;
}

void reference::push(feed_state& f, std::int64_t code) {
  if (f.ended) return;
  const std::int64_t serial = f.next_serial++;
  if (hand_over(f, serial, code)) return;
  f.values.push_back({serial, code});
  keep_bound(f);
}

/// 13.7: the oldest goes, is counted and told.
void reference::keep_bound(feed_state& f) {
  if (f.maxsize == 0 || static_cast<std::int64_t>(f.values.size()) <= f.maxsize) return;
  f.values.pop_front();
  ++f.dropped;
  put_first({{act::tell_log,
              -1,
              -1,
              0,
              {"async_timer.subscription_drop", f.name, std::to_string(f.dropped)}}});
}

std::int64_t reference::drop_oldest(int feed, std::int64_t n) {
  auto& f = feeds_[index(feed)];
  const auto dropped = std::min(n, static_cast<std::int64_t>(f.values.size()));
  f.values.erase(f.values.begin(), f.values.begin() + dropped);
  f.dropped += dropped;
  return dropped;
}

/// 13.10, 16.2: it takes nothing more; consumers hear of that by tell_end().
void reference::end(feed_state& f, std::int64_t failure) {
  if (!std::exchange(f.ended, true)) f.failure = failure;
}

/// 13.11, 13.16: all who wait, a failure to the first of them.
void reference::tell_end(feed_state& f) {
  f.told = true;
  const auto waiters = std::exchange(f.waiters, {});
  for (const int id : waiters) {
    if (f.failure != 0) ops_[index(id)].result = failed_with(std::exchange(f.failure, 0));
    complete(id);
  }
}

void reference::end_feeds(timer_state& t, std::int64_t failure) {
  const auto feeds = std::exchange(t.feeds, {});
  for (const int id : feeds) end(feeds_[index(id)], failure);
  t.ended_feeds.insert(t.ended_feeds.end(), feeds.begin(), feeds.end());
}

void reference::tell_feeds(timer_state& t) {
  const auto feeds = std::exchange(t.ended_feeds, {});
  for (const int id : feeds) tell_end(feeds_[index(id)]);
}

void reference::close(int feed) {
  auto& f = feeds_[index(feed)];
  std::erase(timers_[index(f.timer)].feeds, feed);
  end(f, 0);
  tell_end(f);
}

/// Nobody is left who could fill them.
void reference::close_feeds(timer_state& t) {
  const auto feeds = t.feeds;
  for (const int id : feeds) close(id);
}

/// 13.29: a value that was handed to an operation cancelled meanwhile goes back to its place.
void reference::settle(operation& op) {
  auto& f = feeds_[index(op.feed)];
  const feed_state::entry back{op.value_serial, op.result.code};
  op.is_cancelled = false;
  op.result = {ending::stopped};
  if (hand_over(f, back.serial, back.code)) return;
  const auto place = std::find_if(f.values.begin(), f.values.end(),
                                  [&](const auto& each) { return each.serial > back.serial; });
  f.values.insert(place, back);
  keep_bound(f);
}

/// Such a value may push another one out, which the log is told before the handler is called.
void reference::settle_for_log(const record& told) {
  for (const auto& lane : lanes_) {
    if (lane.empty()) continue;
    auto& first = ops_[index(lane.front())];
    if (first.gives_back() && feed(first.feed).name == told.name) return settle(first);
  }
}

}  // namespace model
