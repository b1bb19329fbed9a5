#!/usr/bin/env python3
"""Runs examples/testing_with_mock, whose tests must hold and must not wait.

usage: testing_with_mock_test.py <program> [unittest argument]...
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import program


class TestingWithMock(program.ProgramTest):
    def test_its_tests_hold(self):
        running = self.run_program()
        code, errors = running.end()
        self.assertEqual((code, errors), (0, ""))
        self.assertEqual(len(running.matches("^ok: ")), 4)

    def test_options(self):
        self.assert_one_line(["--limit", "7s"], 2, ["--limit", "8s"])
        self.assert_one_line(["--limit", "-1s"], 2, ["--limit", "'-1s'"])

    def test_help(self):
        running = self.run_program("--help")
        self.assertEqual(running.end(), (0, ""))
        self.assertTrue(running.matches("^ +--limit TIME"))


if __name__ == "__main__":
    program.main()
