// Lives through days of timers and then lets go of all, for a heap profiler to look at: ./dev heap.
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>

#include "growth/busy_day.hpp"

int main(int argc, char** argv) {
  const std::string argument = argc == 2 ? argv[1] : "";
  if (argument == "--help") {
    std::cout
        << "usage: heap_profile <days>\n"
           "Lets that many days of virtual time pass over 1,000 timers and their consumers.\n";
    return 0;
  }
  const int days = std::atoi(argument.c_str());
  if (days < 1) {
    std::cerr << "heap_profile: needs a number of days, at least 1\n";
    return 2;
  }
  std::optional<test::busy_day> timers(std::in_place);
  for (int day = 1; day <= days; ++day) {
    for (int hour = 0; hour < 24; ++hour) timers->pass_an_hour();
    std::cout << "day " << day << ": " << timers->ticks() << " ticks" << std::endl;
  }
  timers.reset();
}
