// How the ticks of a run are spaced.
// Knows: two names. Must not know: the arithmetic behind them (pacemaker.hpp).
#ifndef ASYNC_TIMER_CORE_MODE_HPP
#define ASYNC_TIMER_CORE_MODE_HPP

namespace async_timer {

/// Says how the ticks of a run are spaced.
enum class mode : unsigned char {
  fixed_delay,  ///< a tick starts one delay after the previous one has finished
  fixed_rate,   ///< ticks start on a grid of one delay, whatever the target takes
};

}  // namespace async_timer

#endif  // ASYNC_TIMER_CORE_MODE_HPP
