#!/usr/bin/env python3
"""Tests the harness with programs that only pretend: what is run, left out, judged and written."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

from harness import bars, contestants, running

RUN = pathlib.Path(__file__).with_name("run.py")
LINE = ('{"ticks": 1000, "delivered": 1, "ticks_per_s": 1000, "cpu_ns_per_tick": COST, '
        '"bytes_per_timer": 150, "bytes_per_timer_at_end": 160, "late_p50_us": 500, '
        '"late_p99_us": 1000, "late_max_us": 2000, "early_share": 0, "set_up_ns": 50, '
        '"tear_down_ns": 50, "sleeps_per_s": 1000}')
PROGRAMS = {
    "allocations": '{"plain_void": 0, "plain_int": 0, "awaitable": 1, "awaitable_beyond_frame": 1, '
                   '"hand_written_loop": 0, "ticks": 1}',
    "stall": '{"ns_after_1_s": 2, "ns_after_1_h": 2, "ratio": 1}',
    "virtual_time": '{"one_timer_s": 0.1, "thousand_timers_s": 5}',
    "feeds": '{"copied_ns_per_value": 2, "shared_ns_per_value": 1, "ratio": 0.5}',
    "echo": '{"timers": 1, "requests": 9, "p50_us": 1, "p99_us": 2, "max_us": 3, '
            '"ticks_per_s": 1, "core_share": 0.5}',
    "degenerate": '{"case": "x", "figures": {"wake-ups per second": 1.5}}',
}


class Pretended:
    """A folder of programs; each prints its line, or does what `instead` says."""

    def __init__(self, **instead):
        self.folder = tempfile.TemporaryDirectory()
        lines = dict(PROGRAMS)
        for name in contestants.CONTESTANTS:
            lines[name] = LINE.replace("COST", "10" if name.startswith("timer_") else "1000")
        for name, line in lines.items():
            self.write(name, instead.get(name, f"echo '{line}'"))

    def write(self, name, command):
        path = pathlib.Path(self.folder.name, name)
        if command is None:
            return
        path.write_text(f"#!/bin/sh\n{command}\n", encoding="ascii")
        path.chmod(0o755)

    def run(self, *arguments):
        path = os.path.join(self.folder.name, "results.json")
        done = subprocess.run([sys.executable, RUN, self.folder.name, "--json", path, *arguments],
                              capture_output=True, text=True, check=False)
        results = json.loads(pathlib.Path(path).read_text("ascii")) if os.path.exists(path) else None
        self.folder.cleanup()
        return done, results


class Harness(unittest.TestCase):
    def test_a_quick_run_judges_every_bar_and_runs_every_contestant(self):
        done, results = Pretended().run("--quick")
        self.assertEqual(done.returncode, 0, done.stderr)
        for number in range(1, 13):
            self.assertEqual(set(results[f"P{number}"]), {"value", "must", "moonshot", "met"})
        self.assertTrue(results["P1"]["met"])
        self.assertAlmostEqual(results["P1"]["value"], 0.01)
        self.assertEqual(set(contestants.CONTESTANTS) - set(results["medians"]), set())
        self.assertIn("cpu", results["machine"])

    def test_the_whole_of_a_bar_is_its_worst_part(self):
        done, results = Pretended().run("--only", "P7,P11,P12")
        self.assertFalse(results["P11"]["met"])
        self.assertAlmostEqual(results["P12"]["value"], 0.01 / 1.1)
        self.assertTrue(results["P12"]["met"])
        self.assertIn("2 of 3 bars met; not met: P11", done.stdout)

    def test_a_part_without_figures_does_not_pass(self):
        judged, missing = bars.judge({}, ["P7 flat", "P7 stall"])
        self.assertEqual((judged, missing), ({}, ["P7 flat", "P7 stall"]))
        one = {"P7 flat": {"value": 1, "must": 1.5, "moonshot": 1.2, "met": True}}
        self.assertFalse(bars.with_wholes(one)["P7"]["met"])

    def test_a_limit_of_zero(self):
        early = {"P8 early": {"value": 0.5, "must": 0, "moonshot": None, "met": False}}
        self.assertEqual(bars.with_wholes(early)["P8"]["value"], 1.5)

    def test_a_peer_that_is_not_there_or_fails_is_left_out(self):
        done, results = Pretended(libev=None, libuv="echo broken >&2; exit 3").run("--scenarios", "F")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("left out: libev,", done.stdout)
        self.assertIn("left out: libuv F failed: broken", done.stdout)
        self.assertNotIn("libuv", results["medians"])

    def test_our_own_may_not_fail(self):
        done, results = Pretended(timer_plain="exit 1").run("--only", "P1,P10")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr.strip().splitlines()[-1],
                         "bench: these are no peers and may not be left out: timer_plain F")
        self.assertNotIn("P1", results)
        self.assertTrue(results["P10"]["met"])

    def test_our_own_have_a_second_try(self):
        once = 'mkdir "$0.tried" 2>/dev/null && exit 1; echo \'' + LINE.replace("COST", "10") + "'"
        done, results = Pretended(timer_plain=once).run("--only", "P1")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(results["P1"]["met"])

    def test_echo_and_degenerate_run_alone_and_write_nothing(self):
        done, results = Pretended().run("--echo")
        self.assertIn("callback loops", done.stdout)
        self.assertIsNone(results)
        done, results = Pretended().run("--degenerate")
        self.assertIn("wake-ups per second", done.stdout)
        self.assertIsNone(results)

    def test_names_that_are_unknown(self):
        for argument, name in (("--only", "P13"), ("--scenarios", "G"), ("--contestants", "me")):
            done, _ = Pretended().run(argument, name)
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"{name!r}", done.stderr)
            self.assertEqual(len(done.stderr.strip().splitlines()), 1)

    def test_medians_are_taken_over_rounds_also_of_nested_figures(self):
        runs = [{"a": 1, "f": {"b": 5}, "text": "x"}, {"a": 9, "f": {"b": 1}, "text": "x"},
                {"a": 2, "f": {"b": 3}, "text": "x"}]
        self.assertEqual(running.median_of(runs), {"a": 2, "f": {"b": 3}})

    def test_bars_ask_only_for_what_is_run(self):
        for name, variant in bars.pairs_for(bars.BARS):
            if name in contestants.CONTESTANTS:
                self.assertIn(variant, contestants.scenarios_of(name))
            else:
                self.assertIn((name, variant), contestants.PROGRAMS)


if __name__ == "__main__":
    unittest.main()
