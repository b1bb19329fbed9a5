#!/usr/bin/env python3
"""Stops a ticking process for two seconds, as a suspended machine is, and lets it go on.

usage: stopped_process_test.py <program> [unittest argument]...
"""

import pathlib
import re
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import program

DELAY = 100_000  # microseconds
PAUSE = 2


class StoppedProcess(program.ProgramTest):
    def ticks(self, running):
        return [int(m.group(0)) for m in running.matches(r"^\d+$")]

    def pause_after(self, running, count):
        """Waits for so many ticks, then stops the process for a while; returns how many there were."""
        running.output(r"^\d+$", count)
        running.send(signal.SIGSTOP)
        time.sleep(PAUSE)
        before = len(self.ticks(running))
        running.send(signal.SIGCONT)
        return before

    def end(self, running):
        running.send(signal.SIGTERM)
        code, said = running.end()
        self.assertEqual(code, 0, said)
        return self.ticks(running), said

    def test_a_fixed_rate_goes_on_in_its_grid(self):
        running = self.run_program("rate")
        pauses = []
        for _ in range(3):
            before = self.pause_after(running, (pauses[-1] if pauses else 0) + 8)
            running.output(r"^\d+$", before + 8)
            pauses.append(before)
        ticks, said = self.end(running)
        # However busy the machine: never two ticks for one slot, that is no burst.
        slots = [tick // DELAY for tick in ticks]
        self.assertEqual(slots, sorted(set(slots)))
        # Some tick of each stretch comes soon after its slot, so the grid is the old one.
        for begin, end in zip([0, *pauses], [*pauses, len(ticks)]):
            self.assertLess(min(tick % DELAY for tick in ticks[begin + 1:end]), DELAY * 0.15, ticks)
        self.assertEqual(said, "")
        # A warning for each pause; a busy machine may add some.
        skipped = [int(n) for n in re.findall(r"skipping (\d+) tick\(s\)", running.errors)]
        long_ago = [n for n in skipped if n >= PAUSE * 1_000_000 // DELAY - 5]
        self.assertGreaterEqual(len(long_ago), 3, running.errors)

    def test_a_fixed_delay_goes_on_from_there(self):
        running = self.run_program("delay")
        before = self.pause_after(running, 5)
        running.output(r"^\d+$", before + 5)
        ticks, _ = self.end(running)
        self.assertEqual(running.errors, "")
        gaps = [b - a for a, b in zip(ticks, ticks[1:])]
        self.assertGreaterEqual(min(gaps), DELAY, ticks)
        # A tick may have begun before the pause and be printed after it.
        self.assertGreaterEqual(max(gaps[before - 1:before + 1]), PAUSE * 1_000_000 - DELAY, ticks)

    def test_options(self):
        self.assert_one_line([], 2, ["rate or delay"])
        self.assert_one_line(["neither"], 2, ["rate or delay"])


if __name__ == "__main__":
    program.main()
