// Makes a program that goes wrong as small as it gets: first fewer commands, then smaller numbers.
#ifndef ASYNC_TIMER_TESTS_MODEL_SHRINK_HPP
#define ASYNC_TIMER_TESTS_MODEL_SHRINK_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "model/command.hpp"

namespace model {

namespace detail {

/// Drops runs of commands, long ones first (delta debugging); tells whether any could go.
template <class GoesWrong>
bool drop_commands(program& p, GoesWrong& goes_wrong) {
  bool any = false;
  for (std::size_t length = std::max<std::size_t>(p.size() / 2, 1); length > 0; length /= 2) {
    for (std::size_t at = 0; at < p.size();) {
      program shorter = p;
      const auto from = shorter.begin() + static_cast<std::ptrdiff_t>(at);
      const auto to =
          shorter.begin() + static_cast<std::ptrdiff_t>(std::min(at + length, p.size()));
      shorter.erase(from, to);
      if (goes_wrong(shorter)) {
        p = std::move(shorter);
        any = true;
      } else {
        at += length;
      }
    }
  }
  return any;
}

/// Tries simpler numbers for one number of one command: none, half, without one of its bits.
template <class GoesWrong>
bool shrink_number(program& p, std::size_t at, std::int64_t command::*number,
                   GoesWrong& goes_wrong) {
  const auto attempt = [&](std::int64_t smaller) {
    if (smaller == p[at].*number) return false;
    program simpler = p;
    simpler[at].*number = smaller;
    if (!goes_wrong(simpler)) return false;
    p = std::move(simpler);
    return true;
  };
  const auto old = p[at].*number;
  if (old == 0 || old == absent) return false;
  const bool may_be_absent = p[at].what == verb::wait || p[at].what == verb::group_wait;
  if (attempt(0) || (may_be_absent && number != &command::d && attempt(absent))) return true;
  if (old >= 1'000'000) return attempt(1'000'000) || attempt(old / 2);
  if (number == &command::d && old > 0) {
    for (std::int64_t bit = 1; bit <= old; bit *= 2) {
      if ((old & bit) != 0 && attempt(old & ~bit)) return true;
    }
    return false;
  }
  // Not one by one from a duration down: that takes as long as there are nanoseconds.
  return attempt(old / 2) || (old < 100 && attempt(old - 1));
}

template <class GoesWrong>
bool shrink_numbers(program& p, GoesWrong& goes_wrong) {
  bool any = false;
  for (std::size_t at = 0; at < p.size(); ++at) {
    for (const auto number : {&command::d, &command::c, &command::b, &command::a}) {
      while (shrink_number(p, at, number, goes_wrong)) any = true;
    }
    if (p[at].when == moment::now) continue;
    program simpler = p;
    simpler[at].when = moment::now;
    simpler[at].host = 0;
    if (goes_wrong(simpler)) {
      p = std::move(simpler);
      any = true;
    }
  }
  return any;
}

}  // namespace detail

/// Gives a small program of which `goes_wrong` is true, as it is of the given one.
template <class GoesWrong>
program shrink(program p, GoesWrong goes_wrong) {
  bool any = goes_wrong(p);
  while (any) {
    const bool fewer = detail::drop_commands(p, goes_wrong);
    const bool simpler = detail::shrink_numbers(p, goes_wrong);
    any = fewer || simpler;
  }
  return p;
}

}  // namespace model

#endif  // ASYNC_TIMER_TESTS_MODEL_SHRINK_HPP
