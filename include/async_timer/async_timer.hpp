// The whole library, except for testing.hpp.
#ifndef ASYNC_TIMER_ASYNC_TIMER_HPP
#define ASYNC_TIMER_ASYNC_TIMER_HPP

#include <async_timer/base/errors.hpp>
#include <async_timer/base/log.hpp>
#include <async_timer/core/interval.hpp>
#include <async_timer/core/mode.hpp>
#include <async_timer/net/errors.hpp>
#include <async_timer/timer/every.hpp>
#include <async_timer/timer/options.hpp>
#include <async_timer/timer/scoped.hpp>
#include <async_timer/timer/stop_signals.hpp>
#include <async_timer/timer/stop_when.hpp>
#include <async_timer/timer/subscription.hpp>
#include <async_timer/timer/timer.hpp>
#include <async_timer/timer/timer_group.hpp>
#include <async_timer/timer/timer_ref.hpp>

#endif  // ASYNC_TIMER_ASYNC_TIMER_HPP
