// What both backends' parts of the program report, in types that belong to neither.
#ifndef ASYNC_TIMER_TESTS_BOTH_PROBE_HPP
#define ASYNC_TIMER_TESTS_BOTH_PROBE_HPP

#include <typeinfo>

struct probe {
  const std::type_info* timer_type;
  const void* service_id;
  int ticks;
};

probe probe_boost();
probe probe_standalone();

#endif  // ASYNC_TIMER_TESTS_BOTH_PROBE_HPP
