// What a test asks of the shapes of targets, at compile time.
#ifndef ASYNC_TIMER_TESTS_SUPPORT_SHAPES_HPP
#define ASYNC_TIMER_TESTS_SUPPORT_SHAPES_HPP

#include <async_timer/async_timer.hpp>
#include <concepts>

namespace test {

/// Whether the ticks of a target have values of this type.
template <class Target, class T>
constexpr bool ticks_with = std::same_as<async_timer::target_value_t<Target>, T>;

/// Is never defined; its type is that of a callable which returns T.
template <class T>
T nothing();

}  // namespace test

#endif  // ASYNC_TIMER_TESTS_SUPPORT_SHAPES_HPP
