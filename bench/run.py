#!/usr/bin/env python3
"""Runs the contestants side by side and prints cost, lateness and memory, with ratios and bars.

All pairs of contestant and scenario run once in each round, in a fresh random order; the figures are
the medians over the rounds. Ratios only mean something within one such run.
"""

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time

# name: (timers, period in ns, what it shows)
SCENARIOS = {
    "A": (1, 1_000_000, "1 timer at 1 ms"),
    "B": (1_000, 10_000_000, "1,000 timers at 10 ms"),
    "C": (100_000, 1_000_000_000, "100,000 timers at 1 s"),
    "E": (100_000, 100_000_000, "100,000 timers at 100 ms"),
    "F": (1_000_000, 1_000_000_000, "1,000,000 timers at 1 s"),
    "S3": (1_000_000, 50_000_000, "1,000,000 timers, saturated"),
}
OURS, OURS_CORO, LOOP, LOOP_CORO = "timer_plain", "timer_awaitable", "asio_callback", "asio_awaitable"
CONTESTANTS = [OURS, OURS_CORO, LOOP, LOOP_CORO, "libev", "libuv", "libevent"]
# A saturated loop serves whole rounds of all its timers: the window has to hold several of them.
SATURATED = 4
# name: (text, function of the medians -> value, must, moonshot); smaller is better
BARS = {
    "P1": ("CPU per tick in F, plain, against the callback loop",
           lambda m: m[OURS, "F"]["cpu_ns_per_tick"] / m[LOOP, "F"]["cpu_ns_per_tick"], 1 / 6, 1 / 10),
    "P2": ("CPU per tick in S3, plain, against the callback loop",
           lambda m: m[OURS, "S3"]["cpu_ns_per_tick"] / m[LOOP, "S3"]["cpu_ns_per_tick"], 1 / 8, 1 / 15),
    "P3": ("CPU per tick in F, awaitable, against the awaitable loop",
           lambda m: m[OURS_CORO, "F"]["cpu_ns_per_tick"] / m[LOOP_CORO, "F"]["cpu_ns_per_tick"], 1 / 6, 1 / 10),
    "P4": ("CPU per tick in C, plain, against the callback loop",
           lambda m: m[OURS, "C"]["cpu_ns_per_tick"] / m[LOOP, "C"]["cpu_ns_per_tick"], 1 / 10, 1 / 20),
    "P5": ("bytes per sleeping timer in F, the larger of plain and awaitable",
           lambda m: max(m[OURS, "F"]["bytes_per_timer"], m[OURS_CORO, "F"]["bytes_per_timer"]), 200, 160),
    "P6": ("start + cancel in F, plain, against the callback loop",
           lambda m: (m[OURS, "F"]["set_up_ns"] + m[OURS, "F"]["tear_down_ns"])
           / (m[LOOP, "F"]["set_up_ns"] + m[LOOP, "F"]["tear_down_ns"]), 1, 1 / 3),
    "P7": ("CPU per tick, plain, F against E",
           lambda m: m[OURS, "F"]["cpu_ns_per_tick"] / m[OURS, "E"]["cpu_ns_per_tick"], 1.5, 1.2),
    "P8 sparse": ("median lateness in A, plain, against the callback loop",
                  lambda m: m[OURS, "A"]["late_p50_us"] / m[LOOP, "A"]["late_p50_us"], 1.2, None),
    "P8 dense p50": ("median lateness in C and F, plain, in us",
                     lambda m: max(m[OURS, s]["late_p50_us"] for s in "CF"), 650, None),
    "P8 dense p99": ("lateness p99 in C and F, plain, in us",
                     lambda m: max(m[OURS, s]["late_p99_us"] for s in "CF"), 1500, None),
    "P12 A": ("CPU per tick in A, plain, against the callback loop",
              lambda m: m[OURS, "A"]["cpu_ns_per_tick"] / m[LOOP, "A"]["cpu_ns_per_tick"], 1.1, 1),
    "P12 B": ("CPU per tick in B, plain, against the callback loop",
              lambda m: m[OURS, "B"]["cpu_ns_per_tick"] / m[LOOP, "B"]["cpu_ns_per_tick"], 1.1, 1 / 20),
}


def run_one(folder, contestant, scenario, warm_up, measured):
    timers, period, _ = SCENARIOS[scenario]
    if scenario.startswith("S"):
        measured *= SATURATED
    command = [os.path.join(folder, contestant), str(timers), str(period), str(warm_up), str(measured)]
    if shutil.which("taskset") and (os.cpu_count() or 1) > 1:
        command = ["taskset", "-c", "1", *command]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except subprocess.TimeoutExpired:
        sys.exit(f"bench: {contestant} does not end in {scenario}")
    if done.returncode != 0:
        sys.exit(f"bench: {contestant} failed in {scenario}: {done.stderr.strip()[-300:]}")
    result = json.loads(done.stdout.replace("inf", "Infinity"))
    if result["ticks"] == 0:
        sys.exit(f"bench: {contestant} did not tick in {scenario}")
    return result


def pairs_for(bars):
    """Finds what the bars look at by asking them."""
    seen = set()

    class Asked(dict):
        def __missing__(self, pair):
            seen.add(pair)
            return dict.fromkeys(("cpu_ns_per_tick", "bytes_per_timer", "set_up_ns", "tear_down_ns",
                                  "late_p50_us", "late_p99_us"), 1)

    for name in bars:
        BARS[name][1](Asked())
    return sorted(seen)


def measure(args):
    pairs = pairs_for(args.bars) if args.only else [
        (c, s) for c in args.contestants for s in args.scenarios]
    samples = {pair: [] for pair in pairs}
    total, done, begin = len(pairs) * args.rounds, 0, time.monotonic()
    for _ in range(args.rounds):
        random.shuffle(pairs)
        for contestant, scenario in pairs:
            samples[contestant, scenario].append(
                run_one(args.folder, contestant, scenario, args.warm_up, args.measured))
            done += 1
            print(f"\r[{done}/{total} {time.monotonic() - begin:.0f} s] {scenario} {contestant}          ",
                  end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return {
        pair: {key: statistics.median(run[key] for run in runs)
               for key in runs[0] if key != "contestant"}
        for pair, runs in samples.items()
    }


def print_table(medians, args):
    for scenario in sorted({s for _, s in medians}):
        print(f"\n{scenario}: {SCENARIOS[scenario][2]}")
        print(f"  {'':16} {'ns/tick':>9} {'delivered':>9} {'p50 us':>9} {'p99 us':>9} "
              f"{'B/timer':>8} {'set-up':>7} {'cancel':>7} {'sleeps/s':>8}")
        for contestant in CONTESTANTS:
            if (contestant, scenario) not in medians:
                continue
            m = medians[contestant, scenario]
            print(f"  {contestant:16} {m['cpu_ns_per_tick']:9.0f} {m['delivered']:9.3f} "
                  f"{m['late_p50_us']:9.0f} {m['late_p99_us']:9.0f} {m['bytes_per_timer']:8.0f} "
                  f"{m['set_up_ns']:7.0f} {m['tear_down_ns']:7.0f} {m['sleeps_per_s']:8.0f}")


def print_bars(medians, bars):
    results = {}
    print(f"\n{'bar':14} {'value':>8} {'must':>8} {'moonshot':>9}")
    for name in bars:
        text, value_of, must, moonshot = BARS[name]
        try:
            value = value_of(medians)
        except KeyError:
            continue
        met = value <= must
        best = moonshot is not None and value <= moonshot
        verdict = "moonshot" if best else "met" if met else "NOT MET"
        print(f"{name:14} {value:8.3f} {must:8.3f} {moonshot if moonshot is None else round(moonshot, 3)!s:>9}"
              f"  {verdict:8}  {text}")
        results[name] = {"value": value, "must": must, "moonshot": moonshot, "met": met}
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="where the built programs are")
    parser.add_argument("--quick", action="store_true", help="one short round, under two minutes")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--scenarios", default=",".join(SCENARIOS), metavar="A,C,...")
    parser.add_argument("--contestants", default=",".join(CONTESTANTS), metavar="NAME,...")
    parser.add_argument("--only", metavar="P1,P3,...", help="just these bars and what they need")
    parser.add_argument("--json", metavar="FILE", help="writes the bars there")
    args = parser.parse_args()
    args.scenarios = args.scenarios.split(",")
    args.contestants = args.contestants.split(",")
    wanted = args.only.split(",") if args.only else None
    args.bars = [name for name in BARS if wanted is None or name.split()[0] in wanted]
    for name in wanted or []:
        if not any(bar.split()[0] == name for bar in BARS):
            sys.exit(f"bench: there is no bar {name!r}, only {', '.join(BARS)}")
    there = [c for c in CONTESTANTS if os.path.exists(os.path.join(args.folder, c))]
    args.contestants = [c for c in args.contestants if c in there or c not in CONTESTANTS]
    for given, known in ((args.scenarios, SCENARIOS), (args.contestants, CONTESTANTS)):
        for name in given:
            if name not in known:
                sys.exit(f"bench: {name!r} is unknown, there are {', '.join(known)}")
    args.warm_up, args.measured = (0.3, 0.7) if args.quick else (0.4, 1.0)
    if args.quick:
        args.rounds = 1
    medians = measure(args)
    print_table(medians, args)
    results = print_bars(medians, args.bars)
    if args.json:
        with open(args.json, "w", encoding="ascii") as file:
            json.dump(results, file, indent=2)
            file.write("\n")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
