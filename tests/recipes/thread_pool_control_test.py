#!/usr/bin/env python3
"""Runs examples/thread_pool_control.

usage: thread_pool_control_test.py <program> [unittest argument]...
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import program


class ThreadPoolControl(program.ProgramTest):
    def test_values_and_errors(self):
        running = self.run_program("--pause", "20ms", "--work", "300ms")
        running.output("^before start.*not been started yet.*start")
        running.output("^on the pool: .*own event loop thread")
        running.output(r"^quick: got 3$")
        running.output(r"^slow: .*did not arrive within 0.15s")
        running.output(r"^slow: got \d+$")
        running.process.terminate()
        self.assertEqual(running.end(), (0, ""))
        # Both threads are told, whether they waited at that moment or came later.
        for timer in "quick", "slow":
            self.assertTrue(running.matches(f"^{timer}: (stopped while|trigger.*not running)"),
                            running.lines)
        self.assertRegex(running.lines[-2], r"^quick ticked \d+ times, slow \d+$")

    def test_a_target_that_outlasts_the_cancellation(self):
        running = self.run_program("--work", "3s", "--patience", "50ms")
        running.output("^slow: .*did not arrive")
        running.process.terminate()
        running.output("^slow: cancel_threadsafe: .*did not complete within 0.05s")
        self.assertEqual(running.end(), (0, ""))
        self.assertEqual(running.lines[-1], "bye")

    def test_ends(self):
        quick = "--pause", "20ms", "--work", "50ms"
        self.assert_a_signal_ends_it(*quick, once_printed="^quick: got 1$")
        self.assert_ends_by_itself(*quick)

    def test_options(self):
        self.assert_help("--pause", "--work", "--patience")
        self.assert_bad_options("--pause", "--work", "--patience")


if __name__ == "__main__":
    program.main()
