#!/usr/bin/env python3
"""Mutation testing of include/: changes one operator, bound, constant or call at a time and looks
whether a test fails.

All mutants are compiled at once, each behind a switch, into copies of the test programs in
build/mutation. One run records which test reaches which mutant; then each mutant is switched on and
the tests that reach it run, the likely ones first, until one fails. Verdicts are kept in
build/mutation/results.json until the header or the test changes.
"""

import argparse
import collections
import hashlib
import json
import os
import pathlib
import pickle
import re
import signal
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from mutation import find, hunt, store, trial  # noqa: E402
from mutation.tree import Tree  # noqa: E402

ROOMS = ("core", "base", "net", "scheduler", "delivery", "timer")
BARS = {"core": 95}  # percent of the mutants that are not excused; else:
BAR = 90
PROGRAMS = ("core", "contract.boost", "model.boost", "faults.boost", "stress.boost")


def main():
    options = arguments()
    root = pathlib.Path(__file__).resolve().parent.parent
    work = root / "build/mutation"
    work.mkdir(parents=True, exist_ok=True)
    for ends in (signal.SIGTERM, signal.SIGINT):  # the latter is ignored in the background of a script
        signal.signal(ends, signal.default_int_handler)

    found = find_all(root, work)
    mutants = [m for _, sites in found.values() for site in sites for m in site.mutants]
    excused = store.Excused(root / "tools/mutation/excused.txt")
    wanted = [m for m in mutants if matches(m, options)]
    if not wanted:
        raise SystemExit("no mutant is so named")
    if options.list:
        for m in wanted:
            print(f"{m.number:5} {m.file}:{m.line}: {m.id.split(' | ', 1)[1]}")
        return 0

    tree = Tree(root, work, PROGRAMS, options.compiler)
    tree.write()
    programs, dropped = build(tree, "plain", found, mutants, set(), options)
    wanted = [m for m in wanted if m.id not in dropped]
    results = store.Results(work / "results.json", root, PROGRAMS)
    print("==> record which test reaches what", flush=True)
    suite = trial.Suite(programs, work)
    if options.quick:
        wanted = [m for m in wanted if not excused.pattern_of(m)]
    kind = "quick" if options.quick else "plain"
    hunt.run_all(wanted, suite, results, kind, options)
    # A mutant that only breaks memory passes the tests, but not under the sanitizers.
    left = [] if options.quick or options.no_sanitizers else [
        m for m in wanted if not results.verdict(m)["by"] and suite.reaching.get(m.number) and not excused.pattern_of(m)
    ]
    if left:
        suite.use(build(tree, "sanitized", found, mutants, dropped, options)[0])
        hunt.run_all(left, suite, results, "sanitized", options)
    return report(wanted, mutants, suite, results, excused, kind, options)


def arguments():
    parser = argparse.ArgumentParser(prog="./dev mutate", description=__doc__.partition(":\n")[0],
                                     epilog=__doc__.partition("\n\n")[2],
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--room", action="append", choices=ROOMS, help="only these folders of include/")
    parser.add_argument("--file", action="append", metavar="PART", help="only headers whose name has this in it")
    parser.add_argument("--list", action="store_true", help="list the mutants and run nothing")
    parser.add_argument("--strict", action="store_true",
                        help=f"fail if a room is below its bar: {BARS['core']} %% of core, {BAR} %% of the others")
    parser.add_argument("--again", action="store_true", help="forget the verdicts of earlier runs")
    parser.add_argument("--no-sanitizers", action="store_true",
                        help="do not try survivors again with the address and undefined behaviour sanitizers")
    parser.add_argument("--quick", action="store_true",
                        help="leave out the tests that take long, and the mutants that are excused: what survives"
                        " may yet be killed by a run without this")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N")
    parser.add_argument("--compiler", default="clang++-16", help=argparse.SUPPRESS)
    return parser.parse_args()


def matches(mutant, options):
    return (not options.room or mutant.room in options.room) and (
        not options.file or any(part in mutant.file for part in options.file)
    )


def find_all(root, work):
    """Parsing takes a while, so it is done again only when something has changed."""
    names = re.findall(r"include/(async_timer/\S+\.hpp)", (root / "cmake/headers.cmake").read_text())
    digest = hashlib.sha256()
    for path in [*(root / "include" / n for n in names), *sorted((root / "tools/mutation").glob("*.py"))]:
        digest.update(path.read_bytes())
    kept = work / "found.pickle"
    if kept.exists():
        with kept.open("rb") as file:
            key, found = pickle.load(file)
        if key == digest.hexdigest():
            return found
    print("==> parse include/", flush=True)
    found = find.find(root / "include", names, ROOMS)
    with kept.open("wb") as file:
        pickle.dump((digest.hexdigest(), found), file)
    return found


def build(tree, kind, found, mutants, dropped, options):
    """Builds the test programs; gives their paths, and which mutants do not compile."""
    kept = tree.work / "dropped.json"
    if kept.exists():
        dropped = dropped | set(json.loads(kept.read_text())) & {m.id for m in mutants}
    by_number = {m.number: m.id for m in mutants}
    blamed = None
    while blamed or blamed is None:
        print(f"==> build {kind} with {len(mutants) - len(dropped)} mutants", flush=True)
        tree.write_headers(found, dropped)
        programs, blamed = tree.compile(kind, options.jobs)
        for number in blamed:
            print(f"    does not compile: {by_number[number]}", flush=True)
            dropped = dropped | {by_number[number]}
        kept.write_text(json.dumps(sorted(dropped), indent=0))
    return programs, dropped


def report(wanted, mutants, suite, results, excused, kind, options):
    problems = list(excused.problems)
    used = {excused.pattern_of(m) for m in mutants}
    problems += [f"stale in excused.txt, no such mutant: {p}" for p in excused.patterns if p not in used]
    table = {room: collections.Counter() for room in ROOMS}
    survivors = []
    for m in wanted:
        entry, pattern = results.verdict(m, kind), excused.pattern_of(m)
        state = "killed" if entry["by"] else "excused" if pattern else "survived"
        table[m.room][state] += 1
        if state == "survived":
            survivors.append(m)
        elif state == "killed" and pattern == m.id:
            problems.append(f"excused, but killed by '{entry['by']}': {m.id}")
    for m in survivors:
        reached = len(suite.reaching.get(m.number, ()))
        note = f"{reached} tests pass" if reached else "never reached"
        print(f"survived: include/{m.file}:{m.line}: {note}\n    {m.id}")
    for problem in problems:
        print(problem)
    low = print_table(table)
    if low:
        print("below the bar: " + ", ".join(low))
    return 1 if problems or (options.strict and low) else 0


def print_table(table):
    low = []
    print(f"\n{'room':<10} {'mutants':>8} {'killed':>8} {'excused':>8} {'survived':>9} {'percent':>8} {'bar':>5}")
    for room, counts in table.items():
        if not counts:
            continue
        percent = 100 * counts["killed"] / max(1, counts["killed"] + counts["survived"])
        bar = BARS.get(room, BAR)
        print(f"{room:<10} {counts.total():>8} {counts['killed']:>8} {counts['excused']:>8}"
              f" {counts['survived']:>9} {percent:>8.1f} {bar:>5}")  # fmt: skip
        if percent < bar:
            low.append(room)
    return low


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("mutate: interrupted; what was found out is kept")
