"""What is run: scenarios, contestants, which of them meet, and the programs beside them."""

from typing import NamedTuple


class Scenario(NamedTuple):
    timers: int
    period_ns: int
    text: str

    @property
    def saturated(self):
        return self.timers * 1e9 / self.period_ns > 5e6


SCENARIOS = {
    "A": Scenario(1, 1_000_000, "1 timer at 1 ms"),
    "B": Scenario(1_000, 10_000_000, "1,000 timers at 10 ms: 100 k ticks/s"),
    "C": Scenario(100_000, 1_000_000_000, "100,000 timers at 1 s: 100 k ticks/s"),
    "D": Scenario(1_000_000, 10_000_000_000, "1,000,000 timers at 10 s: 100 k ticks/s"),
    "E": Scenario(100_000, 100_000_000, "100,000 timers at 100 ms: 1 M ticks/s"),
    "F": Scenario(1_000_000, 1_000_000_000, "1,000,000 timers at 1 s: 1 M ticks/s"),
    "S1": Scenario(1_000, 50_000, "1,000 timers, saturated: 20 M ticks/s offered"),
    "S2": Scenario(100_000, 5_000_000, "100,000 timers, saturated: 20 M ticks/s offered"),
    "S3": Scenario(1_000_000, 50_000_000, "1,000,000 timers, saturated: 20 M ticks/s offered"),
}

OURS, OURS_CORO, LOOP, LOOP_CORO = "timer_plain", "timer_awaitable", "asio_callback", "asio_awaitable"


class Contestant(NamedTuple):
    text: str
    scenarios: str
    # Set free on all cores, because it has more than one thread that ticks.
    wide: bool = False
    # What it is compared with.
    loop: str = LOOP
    # May be absent or fail: the run is none the worse.
    optional: bool = False


EVERY = " ".join(SCENARIOS)
# A loop whose resolution is a millisecond can't be asked for ticks each 50 us.
MILLISECONDS = "A B C D E F S2 S3"
MANY = "C E F S3"
SCALE = "E F S2 S3"
CONTESTANTS = {
    OURS: Contestant("this library, a plain target", EVERY),
    OURS_CORO: Contestant("this library, a coroutine as target", EVERY, loop=LOOP_CORO),
    "timer_generator": Contestant("this library, a range as target", MANY),
    "timer_subscribed": Contestant("plain, one feed each, which sheds", MANY),
    "timer_named": Contestant("plain, ten thousand names", MANY),
    "timer_plain_standalone": Contestant("plain, on standalone Asio", "B C F S3", optional=True),
    "timer_awaitable_standalone": Contestant("coroutine, on standalone Asio", "B C F S3",
                                             loop=LOOP_CORO, optional=True),
    "timer_locking": Contestant("plain, a context that locks, one thread", SCALE),
    "timer_threads": Contestant("plain, one context, two threads", SCALE, wide=True),
    "timer_contexts": Contestant("plain, two contexts, a thread each", SCALE, wide=True),
    LOOP: Contestant("steady_timer, a callback loop each", EVERY),
    LOOP_CORO: Contestant("steady_timer, a coroutine loop each", EVERY, loop=LOOP_CORO),
    "asio_callback_standalone": Contestant("callback loops on standalone Asio", "B C F S3", optional=True),
    "asio_awaitable_standalone": Contestant("coroutine loops on standalone Asio", "B C F S3",
                                            loop=LOOP_CORO, optional=True),
    "asio_threads": Contestant("callback loops, one context, two threads", SCALE, wide=True),
    "libev": Contestant("libev", MILLISECONDS, optional=True),
    "libuv": Contestant("libuv", MILLISECONDS, optional=True),
    "libevent": Contestant("libevent", MILLISECONDS, optional=True),
    # A file descriptor for each timer.
    "timerfd_epoll": Contestant("timerfd and epoll", "A B", optional=True),
    # In S3 it does not get through one period.
    "go_afterfunc": Contestant("Go, time.AfterFunc loops", "A B C D E F S2", optional=True),
    "tokio_interval": Contestant("tokio, an interval each", MILLISECONDS, loop=LOOP_CORO, optional=True),
}

# Programs that are no contestants: name and variant to arguments, {seconds} and {timers} filled in.
PROGRAMS = {
    ("allocations", ""): "{seconds}",
    ("stall", ""): "",
    ("virtual_time", ""): "",
    ("feeds", ""): "",
    ("echo", "idle"): "idle 0 1000000000 {echo_seconds}",
    ("echo", "timers"): "timers {timers} 1000000000 {echo_seconds}",
    ("echo", "asio"): "asio {timers} 1000000000 {echo_seconds}",
}
# They use several threads by themselves, or choose their cores.
WIDE_PROGRAMS = {"echo"}
DEGENERATE = ["sleeping", "spread", "churn", "same_instant", "same_instant_asio", "period_0",
              "period_1_ns"]


def scenarios_of(contestant):
    return CONTESTANTS[contestant].scenarios.split()


def quick_pairs(there):
    """One scenario for each contestant, a short one; the bars ask for more."""
    pairs = []
    for contestant in there:
        runs_in = scenarios_of(contestant)
        wanted = "S2" if is_of_scale_out(contestant) else "E" if "E" in runs_in else "C"
        pairs.append((contestant, wanted if wanted in runs_in else runs_in[-1]))
    return pairs + [(OURS, "S2")]


def is_of_scale_out(contestant):
    return CONTESTANTS[contestant].scenarios == SCALE


def table():
    """Who runs where, for --list."""
    lines = ["scenarios"]
    lines += [f"  {name:4} {scenario.text}" for name, scenario in SCENARIOS.items()]
    lines += ["", f"{'contestants':28} {' '.join(f'{name:2}' for name in SCENARIOS)}"]
    for name, contestant in CONTESTANTS.items():
        runs_in = scenarios_of(name)
        marks = " ".join("x " if scenario in runs_in else ". " for scenario in SCENARIOS)
        lines.append(f"  {name:26} {marks} {contestant.text}")
    return "\n".join(lines)
