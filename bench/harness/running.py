"""Runs the programs: all jobs once in each round, in a fresh random order, and takes the medians."""

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from typing import NamedTuple

from .contestants import CONTESTANTS, DEGENERATE, PROGRAMS, SCENARIOS, WIDE_PROGRAMS

# A saturated loop serves whole rounds of all its timers: the window has to hold several of them.
SATURATED = 4
TIMEOUT_S = 300
PEER_TIMEOUT_S = 60
# Nothing but the contestant should run on it; the first core has most of the system's interrupts.
QUIET_CPU = 1


class Windows(NamedTuple):
    warm_up: float
    measured: float
    echo: float
    degenerate: float
    degenerate_timers: int
    echo_timers: int = 1_000_000


FULL = Windows(0.4, 1.0, 5.0, 10.0, 1_000_000)
QUICK = Windows(0.2, 0.4, 1.0, 1.0, 1_000_000)


class Failed(Exception):
    """One program did not do what it should; the text is one line."""


def command_of(folder, key, windows):
    name, variant = key
    program = os.path.join(folder, name)
    if name in CONTESTANTS:
        scenario = SCENARIOS[variant]
        measured = windows.measured * (SATURATED if scenario.saturated else 1)
        arguments = [scenario.timers, scenario.period_ns, windows.warm_up, measured]
        wide = CONTESTANTS[name].wide
    elif name == "degenerate":
        arguments = [variant, windows.degenerate_timers, windows.degenerate]
        wide = False
    else:
        arguments = PROGRAMS[key].format(seconds=windows.measured, echo_seconds=windows.echo,
                                         timers=windows.echo_timers).split()
        wide = name in WIDE_PROGRAMS
    command = [program, *map(str, arguments)]
    if not wide and shutil.which("taskset") and (os.cpu_count() or 1) > QUIET_CPU:
        command = ["taskset", "-c", str(QUIET_CPU), *command]
    return command


def run_one(folder, key, windows):
    where = " ".join(key).strip()
    timeout = PEER_TIMEOUT_S if is_optional(key[0]) else TIMEOUT_S
    try:
        done = subprocess.run(command_of(folder, key, windows), capture_output=True, text=True,
                              check=False, timeout=timeout)
    except subprocess.TimeoutExpired as failure:
        raise Failed(f"{where} does not end within {timeout} s") from failure
    except OSError as failure:
        raise Failed(f"{where} was not built") from failure
    if done.returncode != 0:
        why = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise Failed(f"{where} failed: {why[-300:]}")
    try:
        result = json.loads(done.stdout.replace("inf", "Infinity").replace("-nan", "NaN"))
    except json.JSONDecodeError as failure:
        raise Failed(f"{where} printed no line of JSON") from failure
    if result.get("ticks") == 0:
        raise Failed(f"{where} did not tick")
    return result


def is_optional(name):
    return name in CONTESTANTS and CONTESTANTS[name].optional


def split_by_presence(folder, names):
    """Those whose program was built, and the others."""
    there = [name for name in names if os.access(os.path.join(folder, name), os.X_OK)]
    return there, [name for name in names if name not in there]


def median_of(runs):
    """Medians of all numbers of several results, also of the figures nested in them."""
    first = runs[0]
    result = {}
    for key, value in first.items():
        if isinstance(value, dict):
            result[key] = median_of([run[key] for run in runs])
        elif isinstance(value, (int, float)):
            result[key] = statistics.median(run[key] for run in runs)
    return result


def measure(folder, keys, rounds, windows):
    """Gives {key: medians} and {key: why it was left out}. Who fails twice in a row is left out."""
    keys = sorted(keys)
    samples = {key: [] for key in keys}
    left_out = {}
    total, done, begin = len(keys) * rounds, 0, time.monotonic()
    for _ in range(rounds):
        random.shuffle(keys)
        for key in keys:
            done += 1
            if key in left_out:
                continue
            progress(f"[{done}/{total} {time.monotonic() - begin:.0f} s] {' '.join(key)}")
            try:
                samples[key].append(run_again(folder, key, windows))
            except Failed as failure:
                left_out[key] = str(failure)
    progress("")
    return {key: median_of(runs) for key, runs in samples.items()
            if runs and key not in left_out}, left_out


def run_again(folder, key, windows):
    """A busy machine may let a program starve: for our own that is worth a second try."""
    try:
        return run_one(folder, key, windows)
    except Failed:
        if is_optional(key[0]):
            raise
        return run_one(folder, key, windows)


def progress(text):
    """A line that overwrites itself; on something that is no terminal one line each."""
    if sys.stderr.isatty():
        print(f"\r{text:70.70}", end="" if text else "\r", file=sys.stderr, flush=True)
    elif text:
        print(text, file=sys.stderr, flush=True)


def degenerate_keys():
    return [("degenerate", variant) for variant in DEGENERATE]
