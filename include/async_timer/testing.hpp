// What tests of periodic code need: virtual time, and timers that note their sleeps.
#ifndef ASYNC_TIMER_TESTING_HPP
#define ASYNC_TIMER_TESTING_HPP

#include <async_timer/testing/mock_timer.hpp>
#include <async_timer/testing/virtual_clock.hpp>

#endif  // ASYNC_TIMER_TESTING_HPP
