// What timer_options::stop_on holds: signals of any kind, not armed yet. stop_when.hpp makes them.
#ifndef ASYNC_TIMER_TIMER_STOP_SIGNALS_HPP
#define ASYNC_TIMER_TIMER_STOP_SIGNALS_HPP

#include <async_timer/net/asio.hpp>
#include <memory>
#include <utility>
#include <vector>

ASYNC_TIMER_BEGIN_NAMESPACE

namespace detail {

class stop_watch;

/// Is one signal as the user gave it; armed once for each timer that it was given to.
class stop_signal {
 public:
  stop_signal() = default;
  stop_signal(const stop_signal&) = delete;
  stop_signal& operator=(const stop_signal&) = delete;
  virtual ~stop_signal() = default;

  /// Begins to wait for it, on the watch's executor. What it throws is the signal's failure.
  virtual void arm(stop_watch& watch) const = 0;
};

using stop_signal_list = std::vector<std::unique_ptr<const stop_signal>>;

}  // namespace detail

/// Holds what ends a timer's run gracefully: made by stop_when(), for timer_options::stop_on.
///
/// Copies share the signals. Those that can't be copied, as an `awaitable` can't, serve one timer.
class stop_signals {
 public:
  stop_signals() = default;
  explicit stop_signals(detail::stop_signal_list list)
      : list_(list.empty() ? nullptr
                           : std::make_shared<const detail::stop_signal_list>(std::move(list))) {}

  /// Tells whether there are none, which is as if stop_on were left out.
  [[nodiscard]] bool empty() const noexcept { return list_ == nullptr; }

 private:
  friend class detail::stop_watch;

  std::shared_ptr<const detail::stop_signal_list> list_;
};

ASYNC_TIMER_END_NAMESPACE

#endif  // ASYNC_TIMER_TIMER_STOP_SIGNALS_HPP
