"""Prints the tables."""

from .bars import BARS, number_of
from .contestants import CONTESTANTS, LOOP, OURS, SCENARIOS

COLUMNS = (("ns/tick", 9), ("to loop", 8), ("delivered", 9), ("p50 us", 10), ("p99 us", 10),
           ("B/timer", 8), ("at end", 8), ("set-up", 7), ("cancel", 7), ("sleeps/s", 8))


def print_machine(machine):
    print(f"{machine['cpu']}, {machine['cores']} cores, {machine['kernel']}, {machine['compiler']}")
    rest = {name: value for name, value in machine.items()
            if name not in ("cpu", "cores", "kernel", "compiler")}
    print(", ".join(f"{name} {value}" for name, value in rest.items()))


def print_scenario(medians, scenario):
    print(f"\n{scenario}: {SCENARIOS[scenario].text}")
    print(f"  {'':27}" + " ".join(f"{title:>{width}}" for title, width in COLUMNS))
    for name, contestant in CONTESTANTS.items():
        if (name, scenario) not in medians:
            continue
        m = medians[name, scenario]
        loop = medians.get((contestant.loop, scenario))
        to_loop = f"{m['cpu_ns_per_tick'] / loop['cpu_ns_per_tick']:.3f}" if loop else "-"
        print(f"  {name:27}{m['cpu_ns_per_tick']:9.0f} {to_loop:>8} {m['delivered']:9.3f} "
              f"{m['late_p50_us']:10.0f} {m['late_p99_us']:10.0f} {m['bytes_per_timer']:8.0f} "
              f"{m['bytes_per_timer_at_end']:8.0f} {m['set_up_ns']:7.0f} {m['tear_down_ns']:7.0f} "
              f"{m['sleeps_per_s']:8.0f}")


def print_scale_out(medians):
    """One thread, two threads on one context, two contexts: throughput and cost."""
    rows = [(OURS, "1 thread"), ("timer_locking", "1 thread, context that locks"),
            ("timer_threads", "2 threads, 1 context"), ("timer_contexts", "2 threads, 2 contexts"),
            (LOOP, "1 thread, callback loop"), ("asio_threads", "2 threads, callback loop")]
    for scenario in ("E", "F", "S2", "S3"):
        there = [row for row in rows if (row[0], scenario) in medians]
        one = medians.get((OURS, scenario))
        if one is None or not any(name == "timer_threads" for name, _ in there):
            continue
        print(f"\nscale out, {scenario}: {SCENARIOS[scenario].text}")
        print(f"  {'':30}{'M ticks/s':>10} {'to 1 thread':>12} {'ns/tick':>9} {'to 1 thread':>12}")
        for name, text in there:
            m = medians[name, scenario]
            print(f"  {text:30}{m['ticks_per_s'] / 1e6:10.3f} {m['ticks_per_s'] / one['ticks_per_s']:12.2f} "
                  f"{m['cpu_ns_per_tick']:9.0f} {m['cpu_ns_per_tick'] / one['cpu_ns_per_tick']:12.2f}")
    print_promise(medians)


def print_promise(medians):
    """What it costs that any thread may call: without another thread, and with one."""
    for scenario in ("S2", "S3"):
        costs = [medians.get((name, scenario)) for name in (OURS, "timer_locking", "timer_threads")]
        if None in costs:
            continue
        plain, locking, contended = (each["cpu_ns_per_tick"] for each in costs)
        print(f"\nany thread may call, {scenario}: {locking - plain:+.0f} ns/tick when the context locks, "
              f"{contended - plain:+.0f} ns/tick when two threads contend (of {plain:.0f})")


def print_echo(medians):
    rows = [medians["echo", variant] | {"variant": variant} for variant in ("idle", "timers", "asio")
            if ("echo", variant) in medians]
    if not rows:
        return
    names = {"idle": "no timers", "timers": "this library", "asio": "callback loops"}
    print("\necho over loopback on the timers' own context, timers at 1 s")
    print(f"  {'':16}{'timers':>10} {'requests':>9} {'p50 us':>10} {'p99 us':>10} {'max us':>10} "
          f"{'M ticks/s':>10} {'of a core':>10}")
    for m in rows:
        print(f"  {names[m['variant']]:16}{m['timers']:10,.0f} {m['requests']:9.0f} {m['p50_us']:10.0f} "
              f"{m['p99_us']:10.0f} {m['max_us']:10.0f} {m['ticks_per_s'] / 1e6:10.3f} {m['core_share']:10.2f}")


def print_programs(medians):
    if ("feeds", "") in medians:
        m = medians["feeds", ""]
        print("\nfeeds: 8 consumers of values of 64 KiB, CPU per value and consumer")
        print(f"  {'copied':16}{m['copied_ns_per_value']:9.0f} ns\n  {'shared':16}"
              f"{m['shared_ns_per_value']:9.0f} ns, {m['ratio']:.3f} of it")
    if ("allocations", "") in medians:
        m = medians["allocations", ""]
        print("\nheap allocations per tick in steady state")
        for key in ("plain_void", "plain_int", "awaitable", "awaitable_beyond_frame", "hand_written_loop"):
            print(f"  {key.replace('_', ' '):24}{m[key]:9.6f}")
    if ("stall", "") in medians:
        m = medians["stall", ""]
        print(f"\nthe next slot after a stall, delay 1 us: {m['ns_after_1_s']:.1f} ns after 1 s, "
              f"{m['ns_after_1_h']:.1f} ns after 1 h")
    if ("virtual_time", "") in medians:
        m = medians["virtual_time", ""]
        print(f"1,000,000 ticks in virtual time: {m['one_timer_s']:.3f} s of one timer, "
              f"{m['thousand_timers_s']:.3f} s of a thousand")


def print_degenerate(medians):
    rows = [(key[1], m["figures"]) for key, m in medians.items() if key[0] == "degenerate"]
    if not rows:
        return
    print(f"\n{'loads at the edge':18} {'figure':44} {'value':>14}")
    for case, figures in rows:
        for at, (name, value) in enumerate(figures.items()):
            print(f"{case if at == 0 else '':18} {name:44} {value:14,.3f}")


def print_tables(medians):
    for scenario in SCENARIOS:
        if any(key[1] == scenario and key[0] in CONTESTANTS for key in medians):
            print_scenario(medians, scenario)
    print_scale_out(medians)
    print_echo(medians)
    print_programs(medians)
    print_degenerate(medians)
    print_readme_table(medians)


README_ROWS = (
    (OURS, "**async-timer**, a function"), ("timer_awaitable", "**async-timer**, a coroutine"),
    (LOOP, "`steady_timer`, a callback loop by hand"),
    ("asio_awaitable", "`steady_timer`, a coroutine loop by hand"), ("libev", "libev"),
    ("libuv", "libuv"), ("libevent", "libevent"), ("tokio_interval", "tokio, `interval`"),
    ("go_afterfunc", "Go, `time.AfterFunc`"))


def print_readme_table(medians):
    """CPU per tick and memory, each beside this library's; `(n %)` where so few ticks came in time."""
    scenarios = [each for each in ("C", "E", "F", "S3") if (OURS, each) in medians]
    if (OURS, "F") not in medians:
        return
    print("\nthe table of the README\n")
    print("| CPU time per tick | " + " | ".join(SCENARIOS[each].text for each in scenarios) +
          " | memory of one of 1,000,000 |")
    print("|---|" + "--:|" * (len(scenarios) + 1))
    for name, text in README_ROWS:
        cells = []
        for scenario in scenarios:
            m, ours = medians.get((name, scenario)), medians[OURS, scenario]
            if m is None:
                cells.append("-")
                continue
            cells.append(f"{m['cpu_ns_per_tick'] / ours['cpu_ns_per_tick']:.1f}")
            if not SCENARIOS[scenario].saturated and m["delivered"] < 0.95:
                cells[-1] += f" ({100 * m['delivered']:.0f} %)"
        m = medians.get((name, "F"))
        cells.append(f"{m['bytes_per_timer'] / medians[OURS, 'F']['bytes_per_timer']:.1f}" if m else "-")
        print(f"| {text} | " + " | ".join(cells) + " |")


def print_bars(results, missing):
    if not results and not missing:
        return
    print(f"\n{'bar':13} {'value':>9} {'must':>9} {'moonshot':>9}")
    for name, result in results.items():
        if name not in BARS:  # the whole of several parts
            continue
        print(f"{name:13} {result['value']:9.3f} {limit(result['must']):>9} "
              f"{limit(result['moonshot']):>9}  {verdict(result):8}  {BARS[name].text}")
    for name in missing:
        print(f"{name:13} {'-':>9}: a figure that it needs is missing")
    numbers = list(dict.fromkeys(number_of(name) for name in results))
    failed = [number for number in numbers if results[number]["met"] is False]
    print(f"{len(numbers) - len(failed)} of {len(numbers)} bars met"
          + (f"; not met: {', '.join(failed)}" if failed else ""))


def verdict(result):
    if result["moonshot"] is not None and result["value"] <= result["moonshot"]:
        return "moonshot"
    if result["met"] is None:
        return "missed"
    return "met" if result["met"] else "NOT MET"


def limit(value):
    return "-" if value is None else f"{value:.3f}"
