// The targets of a program's timers, one of each shape: all of them ask the host what to do.
#ifndef ASYNC_TIMER_TESTS_MODEL_TARGETS_HPP
#define ASYNC_TIMER_TESTS_MODEL_TARGETS_HPP

#include <async_timer/async_timer.hpp>
#include <iterator>
#include <optional>
#include <type_traits>
#include <utility>

#include "model/any_timer.hpp"

#if defined(ASYNC_TIMER_USE_STANDALONE_ASIO)
#include <asio/redirect_error.hpp>
#else
#include <boost/asio/redirect_error.hpp>
#endif

namespace model {

/// Throws if the answer is to throw.
inline void throw_answer(const answer& chosen) {
  if (chosen.what == reply::fail) throw failure(chosen.code);
  if (chosen.what == reply::abort) {
    throw async_timer::system_error(net::error::operation_aborted, "raised by the target");
  }
}

template <class T>
struct plain_target {
  host* owner;
  int id;
  live_token alive;

  T operator()() const {
    const answer chosen = owner->called(id, true);
    throw_answer(chosen);
    if (chosen.what == reply::end) throw async_timer::end_of_ticks{};
    if constexpr (!std::is_void_v<T>) return value_of<T>(chosen.code);
  }
};

// --- coroutines

/// Waits until the program opens the gate, or for a cancellation.
inline net::awaitable<answer> suspend(host* owner, int id, reaction how) {
  const auto executor = co_await net::this_coro::executor;
  gate held(executor);
  struct holder {
    holder(host* w, int timer, gate* g) : owner(w), id(timer) { owner->hold(id, g); }
    holder(const holder&) = delete;
    holder& operator=(const holder&) = delete;
    ~holder() { owner->hold(id, nullptr); }
    host* owner;
    int id;
  };
  const holder registered(owner, id, &held);
  for (bool shielded = false; !held.opened;) {
    async_timer::error_code error;
    if (shielded) {
      co_await held.timer.async_wait(net::bind_cancellation_slot(
          net::cancellation_slot(), net::redirect_error(net::use_awaitable, error)));
    } else {
      co_await held.timer.async_wait(net::redirect_error(net::use_awaitable, error));
    }
    if (held.opened) break;
    held.opened = owner->cancelled(id, how);
    shielded = !held.opened;
    if (shielded) co_await net::this_coro::throw_if_cancelled(false);
  }
  answer chosen = *held.opened;
  owner->answers(id, chosen);
  co_return chosen;
}

/// Is called, waits if it is to, and answers.
inline net::awaitable<answer> ask(host* owner, int id) {
  answer chosen = owner->called(id, false);
  if (chosen.what == reply::suspend) {
    auto suspended = suspend(owner, id, chosen.if_cancelled);
    chosen = co_await std::move(suspended);
  } else if (chosen.what == reply::cancel_self) {
    const auto self = owner->ref(id);
    owner->cancels_itself(id);
    auto stop = self.cancel(net::use_awaitable);
    co_await std::move(stop);
    chosen.what = reply::value;
    owner->answers(id, chosen);
  }
  throw_answer(chosen);
  co_return chosen;
}

template <class T>
net::awaitable<T> answer_tick(host* owner, int id) {
  auto asking = ask(owner, id);
  const answer chosen = co_await std::move(asking);
  if (chosen.what == reply::end) throw async_timer::end_of_ticks{};
  if constexpr (std::is_void_v<T>) {
    co_return;
  } else {
    co_return value_of<T>(chosen.code);
  }
}

template <class T>
struct awaitable_target {
  host* owner;
  int id;
  live_token alive;
  net::awaitable<T> operator()() const { return answer_tick<T>(owner, id); }
};

template <class T>
struct async_generator_target {
  host* owner;
  int id;
  live_token alive;

  net::awaitable<std::optional<T>> next() {
    auto asking = ask(owner, id);
    const answer chosen = co_await std::move(asking);
    if (chosen.what == reply::end) co_return std::nullopt;
    co_return value_of<T>(chosen.code);
  }
};

// --- ranges

/// Is a single-pass range that makes its items as it goes.
template <class T>
class range_target {
 public:
  class iterator {
   public:
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    explicit iterator(range_target& range) : range_(&range) {}
    const T& operator*() const { return *range_->item_; }
    iterator& operator++() {
      range_->advance();
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const iterator& at, std::default_sentinel_t) { return at.ended(); }

   private:
    [[nodiscard]] bool ended() const { return !range_->item_; }
    range_target* range_;
  };

  range_target(host* owner, int id, const live_token& alive)
      : owner_(owner), id_(id), alive_(alive) {}

  iterator begin() {
    advance();
    return iterator(*this);
  }
  static std::default_sentinel_t end() { return {}; }

 private:
  void advance() {
    item_.reset();
    const answer chosen = owner_->called(id_, true);
    throw_answer(chosen);
    if (chosen.what != reply::end) item_ = value_of<T>(chosen.code);
  }

  host* owner_;
  int id_;
  live_token alive_;
  std::optional<T> item_;
};

// --- functions that make one of these

template <class Generator>
struct maker {
  host* owner;
  int id;
  live_token alive;
  Generator operator()() const { return Generator(owner, id, alive); }
};
template <class T>
struct maker<async_generator_target<T>> {
  host* owner;
  int id;
  live_token alive;
  async_generator_target<T> operator()() const { return {owner, id, alive}; }
};

}  // namespace model

#endif  // ASYNC_TIMER_TESTS_MODEL_TARGETS_HPP
