#!/usr/bin/env python3
"""Runs examples/graceful_shutdown, and tells it to end while an order is in flight.

usage: graceful_shutdown_test.py <program> [unittest argument]...
"""

import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import program


class GracefulShutdown(program.ProgramTest):
    def end_in_flight(self, *arguments):
        """Sends SIGTERM while the first order is in flight; returns the program."""
        running = self.run_program(*arguments)
        running.output("^order 1 begun$")
        running.send(signal.SIGTERM)
        running.output("^SIGTERM received$")
        return running

    def assert_ended_with(self, running, *lines):
        self.assertEqual(running.end(), (0, ""))
        # The reports come when they come.
        said = [line for line in running.lines if not line.startswith("report")]
        self.assertEqual(said[-len(lines):], list(lines))

    def test_what_is_in_flight_is_completed(self):
        running = self.end_in_flight("--work", "2s", "--drain", "15s")
        self.assert_ended_with(running, "SIGTERM received", "shutting down, 0 orders done",
                               "order 1 done", "drained", "ended, 1 orders done", "bye")

    def test_the_deadline_cuts_off(self):
        begin = time.monotonic()
        running = self.end_in_flight("--work", "10m", "--drain", "300ms")
        self.assert_ended_with(running, "no time left to drain", "order 1 cut off, put back",
                               "ended, 0 orders done", "bye")
        self.assertLess(time.monotonic() - begin, program.PATIENCE)

    def test_a_second_signal_cuts_off(self):
        running = self.end_in_flight("--work", "10m", "--drain", "10m")
        running.output("^shutting down")
        running.send(signal.SIGINT)
        self.assert_ended_with(running, "SIGINT received", "no time left to drain",
                               "order 1 cut off, put back", "ended, 0 orders done", "bye")

    def test_nothing_new_is_begun(self):
        running = self.run_program("--work", "50ms")
        running.output("^order 3 done$")
        running.send(signal.SIGTERM)
        self.assertEqual(running.end(), (0, ""))
        told = running.lines.index("SIGTERM received")
        self.assertFalse([line for line in running.lines[told:] if line.endswith("begun")])
        begun = len(running.matches("^order .* begun$"))
        self.assertEqual(running.lines[-2:], [f"ended, {begun} orders done", "bye"])

    def test_ends(self):
        self.assert_a_signal_ends_it("--work", "100ms", once_printed="^order 1 done$")
        self.assert_ends_by_itself("--work", "100ms")

    def test_options(self):
        self.assert_help("--work", "--drain")
        self.assert_bad_options("--work", "--drain")


if __name__ == "__main__":
    program.main()
