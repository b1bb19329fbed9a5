#!/usr/bin/env python3
"""Runs this library and its peers side by side and prints cost, lateness and memory, with ratios and
bars.

Every program runs once in each round, in a fresh random order; the figures are the medians over the
rounds. Ratios only mean something within one such run. docs/benchmarks.md explains the tables.
"""

import argparse
import json
import os
import signal
import subprocess
import sys

from harness import bars, contestants, machine, report, running

HERE = os.path.dirname(os.path.abspath(__file__))
PLOTS = os.path.join(os.path.dirname(HERE), "docs", "plots")


def listed(text, known, what):
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            sys.exit(f"bench: there is no {what} {name!r}, only {', '.join(known)}")
    return names


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="where the built programs are")
    parser.add_argument("--quick", action="store_true", help="one short round of the essential, under two minutes")
    parser.add_argument("--rounds", type=int, metavar="N", help="how many rounds (3; with --quick 1)")
    parser.add_argument("--scenarios", metavar="A,C,...", help="just these")
    parser.add_argument("--contestants", metavar="NAME,...", help="just these")
    parser.add_argument("--only", metavar="P1,P3,...", help="just these bars and what they need")
    parser.add_argument("--echo", action="store_true", help="just the echo beside a million timers")
    parser.add_argument("--degenerate", action="store_true", help="just the loads at the edge")
    parser.add_argument("--list", action="store_true", help="shows who runs in which scenario, and ends")
    parser.add_argument("--json", metavar="FILE", help="writes the results there")
    args = parser.parse_args()
    if args.rounds is not None and args.rounds < 1:
        sys.exit("bench: --rounds must be at least 1")
    if args.only:
        args.only = listed(args.only, bars.numbers(), "bar")
    if args.scenarios:
        args.scenarios = listed(args.scenarios, contestants.SCENARIOS, "scenario")
    if args.contestants:
        args.contestants = listed(args.contestants, contestants.CONTESTANTS, "contestant")
    args.chosen = bool(args.scenarios or args.contestants)
    args.full = not (args.quick or args.only or args.chosen or args.echo or args.degenerate)
    return args


def present(args):
    """The contestants that were built; those of our own must be."""
    there, absent = running.split_by_presence(args.folder, args.contestants or contestants.CONTESTANTS)
    for name in absent:
        if not contestants.CONTESTANTS[name].optional:
            sys.exit(f"bench: {name} was not built")
        print(f"left out: {name}, it is not installed or can't be built")
    return there


def keys_for(args):
    """What to run, as (program, scenario or variant)."""
    programs = list(contestants.PROGRAMS)
    if args.echo:
        return [key for key in programs if key[0] == "echo"]
    if args.degenerate:
        return running.degenerate_keys()
    if args.only:
        return bars.pairs_for(bars.named(args.only))
    there = present(args)
    if args.chosen:
        wanted = args.scenarios or contestants.SCENARIOS
        return [(c, s) for c in there for s in contestants.scenarios_of(c) if s in wanted]
    if args.quick:
        return set(contestants.quick_pairs(there)) | bars.pairs_for(bars.BARS) | set(programs)
    pairs = [(c, s) for c in there for s in contestants.scenarios_of(c)]
    return pairs + programs + running.degenerate_keys()


def write_json(path, results, medians, about):
    nested = {}
    for (name, variant), figures in medians.items():
        nested.setdefault(name, {})[variant or "all"] = figures
    with open(path, "w", encoding="ascii") as file:
        json.dump({**results, "machine": about, "medians": nested}, file, indent=2)
        file.write("\n")
    print(f"\nwritten: {os.path.relpath(path)}")


def draw(path):
    # Debian's matplotlib belongs to Debian's python3.
    python = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable
    done = subprocess.run([python, os.path.join(HERE, "harness", "plots.py"), path, PLOTS],
                          capture_output=True, text=True, check=False)
    print((done.stdout + done.stderr).strip())


def main():
    if "--list" in sys.argv[1:]:
        print(contestants.table())
        return
    args = arguments()
    windows = running.QUICK if args.quick else running.FULL
    rounds = args.rounds or (1 if args.quick or args.degenerate else 3)
    about = machine.describe(os.path.dirname(os.path.abspath(args.folder)))
    about |= {"rounds": rounds, "warm_up_s": windows.warm_up, "measured_s": windows.measured}
    report.print_machine(about)
    medians, left_out = running.measure(args.folder, keys_for(args), rounds, windows)
    for why in left_out.values():
        print(f"left out: {why}")
    report.print_tables(medians)
    results = {}
    if not (args.echo or args.degenerate):
        names = bars.named(args.only)
        results, missing = bars.judge(medians, names)
        results = bars.with_wholes(results)
        report.print_bars(results, [] if args.chosen else missing)
    if args.json and not (args.echo or args.degenerate):
        write_json(args.json, results, medians, about)
        if args.full:
            draw(args.json)
    failed = [" ".join(key).strip() for key in left_out if not running.is_optional(key[0])]
    if failed:
        sys.exit(f"bench: these are no peers and may not be left out: {', '.join(failed)}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
