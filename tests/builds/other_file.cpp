// A file whose timers are made, subscribed to, and one of them started, before main() begins; they
// are destroyed after it has returned, whatever became of the context.
#include <async_timer/async_timer.hpp>
#include <chrono>

#include "shared_timers.hpp"

namespace {

using namespace std::chrono_literals;

int ticks = 0;
auto own_timer = async_timer::every(1h, {.mode = async_timer::mode::fixed_rate})([] { ++ticks; });
auto never_started = async_timer::every(1s)([] { return 1.5; });
auto own_feed = never_started.subscribe();

struct starter {
  starter() { own_timer.start(early_context()); }
};
const starter starts_before_main;

}  // namespace

int ticks_of_other_file() { return ticks; }
