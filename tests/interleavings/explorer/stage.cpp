#include "interleavings/explorer/stage.hpp"

#include <cstddef>
#include <string>
#include <utility>

namespace interleaving {

namespace {

thread_local bool acts = false;
stage* current = nullptr;

}  // namespace

stage::stage(std::function<void(const std::string&)> fatal) : fatal_(std::move(fatal)) {
  current = this;
  for (actor a = 0; a < most_actors; ++a) {
    players_[a].thread = std::thread([this, a] { live(a); });
  }
}

stage::~stage() {
  closing_ = true;
  for (auto& each : players_) {
    each.turn.give();
    each.thread.join();
  }
  current = nullptr;
}

void stage::live(actor me) {
  player& self = players_[me];
  for (;;) {
    self.turn.take();
    if (closing_) return;
    acts = true;
    (*self.body)();
    acts = false;
    self.at = state::finished;
    const actor after = next(false);
    (after == me ? director_ : players_[after].turn).give();
  }
}

void stage::begin(strategy& by, std::size_t most_steps) {
  strategy_ = &by;
  most_steps_ = most_steps;
  steps_.clear();
  posts_ = 0;
  by.begin();
}

void stage::run(std::span<const std::function<void()>> bodies) {
  cast_ = bodies.size();
  over_ = false;
  for (std::size_t i = 0; i < cast_; ++i) {
    players_[i].body = &bodies[i];
    players_[i].at = state::ready;
    players_[i].foreign_locks = 0;
  }
  // Nobody runs yet: who begins is a free choice.
  running_ = most_actors;
  players_[next(false)].turn.give();
  director_.take();
}

// --- who is next

bool stage::may_run(const player& p) const {
  return p.at == state::ready || p.at == state::timed ||
         (p.at == state::resting && (over_ || p.posts_seen != posts_));
}

/// Gives who has the turn now; the running one itself if all have finished.
actor stage::next(bool after_release) {
  choice among;
  among.after_release = after_release;
  const auto consider = [&](actor a) {
    if (may_run(players_[a])) among.add(a);
  };
  for (int attempt = 0; attempt < 2 && among.count == 0; ++attempt) {
    if (running_ < cast_) consider(running_);
    among.preempts = among.count == 1 && players_[running_].at == state::ready;
    bool all_rest = true;
    bool all_finished = true;
    for (actor a = 0; a < cast_; ++a) {
      if (a != running_) consider(a);
      all_finished = all_finished && players_[a].at == state::finished;
      all_rest =
          all_rest && (players_[a].at == state::finished || players_[a].at == state::resting);
    }
    if (all_finished) return running_;
    over_ = over_ || (among.count == 0 && all_rest);
  }
  if (among.count == 0) fatal_("nobody can go on: " + who_waits());
  if (steps_.size() >= most_steps_)
    fatal_("no end after " + std::to_string(most_steps_) + " steps");
  running_ = strategy_->pick(among);
  steps_.push_back(running_);
  player& chosen = players_[running_];
  chosen.at = state::ready;
  return running_;
}

void stage::pass_on(bool after_release) {
  const actor me = running_;
  const actor after = next(after_release);
  if (after == me) return;
  players_[after].turn.give();
  players_[me].turn.take();
}

std::string stage::who_waits() const {
  std::string text;
  for (std::size_t i = 0; i < cast_; ++i) {
    const player& each = players_[i];
    if (each.at == state::finished) continue;
    text += (text.empty() ? "" : ", ") + std::to_string(i) + " waits for ";
    text += each.at == state::resting ? "a post" : each.waits_for;
  }
  return text;
}

// --- what actors call

bool stage::is_actor() { return acts; }

void stage::point(bool after_release) {
  if (!acts) return;
  if (current->players_[current->running_].foreign_locks != 0) {
    current->fatal_("a schedule point is reached while a mutex of Asio or the test is held");
  }
  current->pass_on(after_release);
}

void stage::wait_as(state how, const void* on, std::string_view what) {
  player& self = players_[running_];
  self.at = how;
  self.waits_on = on;
  self.waits_for = what;
  pass_on();
  self.waits_on = nullptr;
}

void stage::block(const void* on, std::string_view what) {
  current->wait_as(state::blocked, on, what);
}

void stage::block_with_timeout(const void* on) { current->wait_as(state::timed, on, "a timeout"); }

void stage::wake(const void* on, bool all) {
  for (std::size_t i = 0; i < current->cast_; ++i) {
    player& each = current->players_[i];
    const bool waits = each.at == state::blocked || each.at == state::timed;
    if (!waits || each.waits_on != on) continue;
    each.at = state::ready;
    if (!all) return;
  }
}

bool stage::rest() {
  player& self = current->players_[current->running_];
  self.posts_seen = current->posts_;
  current->wait_as(state::resting, nullptr, "a post");
  return !current->over_;
}

std::uint64_t stage::posts() { return current->posts_; }
void stage::set_posts(std::uint64_t to) { current->posts_ = to; }
void stage::note_post() {
  if (acts) ++current->posts_;
}

void stage::note_foreign_lock(int more) {
  if (acts) current->players_[current->running_].foreign_locks += more;
}

}  // namespace interleaving
