"""Runs an example as a user would, for the tests in tests/demo and tests/recipes.

A test is called with the path of the program: <name>_test.py <program> [unittest argument]...
"""

import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest
import urllib.error
import urllib.request

# Far beyond what anything here takes, so that only a hang meets it.
PATIENCE = 20
PROGRAM = ""


class Running:
    """A running program; what it prints is read as it comes."""

    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.lines = []
        self.errors = ""
        self.changed = threading.Condition()
        self.readers = [threading.Thread(target=self.read), threading.Thread(target=self.read_errors)]
        for reader in self.readers:
            reader.start()

    def read(self):
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(line.rstrip("\n"))
                self.changed.notify_all()

    def read_errors(self):
        self.errors = self.process.stderr.read()

    def matches(self, pattern):
        return [m for m in (re.search(pattern, line) for line in self.lines) if m]

    def output(self, pattern, count=1):
        """Waits for so many lines that match, and returns the last match."""
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.matches(pattern)) >= count, PATIENCE):
                raise AssertionError(f"no {pattern!r} x {count} in {self.lines}")
            return self.matches(pattern)[-1]

    def port(self):
        return int(self.output(r"^serving on http://127\.0\.0\.1:(\d+)/").group(1))

    def get(self, path):
        """Returns status and text."""
        request = f"http://127.0.0.1:{self.port()}{path}"
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, answer.read().decode()

    def send(self, number):
        self.process.send_signal(number)

    def end(self):
        """Waits for the end; returns the exit code and what it said on stderr, but for warnings that
        this machine is too busy to keep a fixed rate."""
        code = self.process.wait(PATIENCE)
        for reader in self.readers:
            reader.join()
        return code, re.sub(r"WARNING async_timer\.pacemaker: fixed_rate fell behind.*\n", "",
                            self.errors)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for reader in self.readers:
            reader.join()
        self.process.stdout.close()
        self.process.stderr.close()


class ProgramTest(unittest.TestCase):
    """What the tests of all programs need. A program that is started here is killed at the end."""

    def run_program(self, *arguments):
        running = Running(PROGRAM, *arguments)
        self.addCleanup(running.close)
        return running

    def poll(self, condition, what):
        """Asks again and again until it is true; for what nobody can be told of."""
        deadline = time.monotonic() + PATIENCE
        while not (result := condition()):
            self.assertLess(time.monotonic(), deadline, f"not seen: {what}")
            time.sleep(0.02)
        return result

    def assert_one_line(self, arguments, code, words):
        """Asserts that the program says in one line on stderr what is wrong."""
        ended = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True,
                               timeout=PATIENCE)
        self.assertEqual(ended.returncode, code, ended)
        self.assertRegex(ended.stderr, rf"\A{pathlib.Path(PROGRAM).name}: [^\n]+\n\Z")
        for word in words:
            self.assertIn(word, ended.stderr)

    def assert_help(self, *options):
        ended = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True,
                               timeout=PATIENCE)
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        for option in (*options, "--for", "--help"):
            self.assertIn(option, ended.stdout)

    def assert_bad_options(self, *times):
        """Asserts that nonsense is refused; `times` are options that take a time."""
        for arguments, word in ((["--nonsense"], "'--nonsense'"), (["extra"], "'extra'"),
                                (["--for"], "--for"), (["--for", "5"], "'5'")):
            with self.subTest(arguments):
                self.assert_one_line(arguments, 2, [word])
        for option in times:
            with self.subTest(option):
                self.assert_one_line([option, "-1s"], 2, [option, "'-1s'"])

    def assert_a_signal_ends_it(self, *arguments, once_printed, errors=r"\A\Z"):
        """Asserts that SIGTERM and SIGINT end it cleanly; returns the last run."""
        for number in signal.SIGTERM, signal.SIGINT:
            with self.subTest(number.name):
                running = self.run_program(*arguments)
                running.output(once_printed)
                running.send(number)
                code, said = running.end()
                self.assertEqual(code, 0, said)
                self.assertRegex(said, errors)
                self.assertTrue(running.matches(f"^{number.name}"), running.lines)
                self.assertEqual(running.lines[-1], "bye")
        return running

    def assert_ends_by_itself(self, *arguments, errors=r"\A\Z"):
        running = self.run_program(*arguments, "--for", "500ms")
        code, said = running.end()
        self.assertEqual(code, 0, said)
        self.assertRegex(said, errors)
        self.assertTrue(running.matches("^time is over"), running.lines)
        self.assertEqual(running.lines[-1], "bye")
        return running


def taken_port():
    """Returns a listening socket; its port is taken until it is closed."""
    return socket.create_server(("127.0.0.1", 0))


def main():
    global PROGRAM
    PROGRAM = sys.argv.pop(1)
    unittest.main(module="__main__")
