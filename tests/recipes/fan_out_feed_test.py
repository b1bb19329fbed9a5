#!/usr/bin/env python3
"""Runs examples/fan_out_feed and does the sums: what was produced was received or dropped.

usage: fan_out_feed_test.py <program> [unittest argument]...
"""

import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import program

# The warning that the library logs when a full feed drops.
DROPS = r"\A(WARNING async_timer\.subscription: feed \w+ is full [^\n]*\n)*\Z"
QUICK = "--period", "20ms", "--slow", "100ms", "--buffer", "2"


class FanOutFeed(program.ProgramTest):
    def numbers(self, running, name):
        return [int(match.group(1)) for match in running.matches(rf"^{name} got (\d+),")]

    def sums(self, running, name):
        match = running.matches(rf"^{name} ends: (\d+) received, (\d+) dropped$")[0]
        return int(match.group(1)), int(match.group(2))

    def test_nobody_waits_for_the_slow_ones(self):
        running = self.run_program(*QUICK)
        running.output("^archive got .* [1-9][0-9]* dropped$", 3)
        running.output("^dashboard got .* [1-9][0-9]* dropped$", 3)
        running.send(signal.SIGTERM)
        code, errors = running.end()
        self.assertEqual(code, 0, errors)
        self.assertRegex(errors, DROPS)
        self.assertIn("feed archive is full (maxsize 2)", errors)

        total = int(running.matches(r"^source ends: (\d+) numbers$")[0].group(1))
        self.assertEqual(self.numbers(running, "journal"), list(range(1, total + 1)))
        self.assertEqual(self.sums(running, "journal"), (total, 0))
        for name in "archive", "dashboard":
            received, dropped = self.sums(running, name)
            numbers = self.numbers(running, name)
            self.assertEqual(received, len(numbers))
            self.assertEqual(received + dropped, total)
            self.assertGreater(dropped, 0)
            self.assertEqual(numbers, sorted(set(numbers)))
            self.assertEqual(numbers[-1], total)  # what was buffered at the end is not lost
        behind = [int(m.group(1)) for m in running.matches(r"^archive got \d+, (\d+) behind")]
        self.assertLessEqual(max(behind), 2)

    def test_ends(self):
        self.assert_a_signal_ends_it(*QUICK, once_printed="^archive got", errors=DROPS)
        self.assert_ends_by_itself(*QUICK, errors=DROPS)

    def test_options(self):
        self.assert_help("--period", "--slow", "--buffer")
        self.assert_bad_options("--period", "--slow")
        for number in "0", "-1", "x", "1000001":
            self.assert_one_line(["--buffer", number], 2, ["--buffer", f"'{number}'"])


if __name__ == "__main__":
    program.main()
