#!/usr/bin/env python3
"""Runs examples/cache_warmup as a user would: over HTTP, with a real database and real signals.

usage: demo_test.py <program> [unittest argument]...
"""

import contextlib
import json
import pathlib
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

PROGRAM = ""
# Far beyond what anything here takes, so that only a hang meets it.
PATIENCE = 20


class Server:
    """The running program; its output is read as it comes."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [PROGRAM, "--port", "0", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines = []
        self.changed = threading.Condition()
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(line.rstrip("\n"))
                self.changed.notify_all()

    def output(self, pattern, count=1):
        """Waits for so many lines that match, and returns the last match."""
        def matches():
            return [m for m in (re.search(pattern, line) for line in self.lines) if m]

        with self.changed:
            if not self.changed.wait_for(lambda: len(matches()) >= count, PATIENCE):
                raise AssertionError(f"no {pattern!r} x {count} in {self.lines}")
            return matches()[-1]

    def port(self):
        return int(self.output(r"^serving on http://127\.0\.0\.1:(\d+)/$").group(1))

    def get(self, path):
        """Returns status and text."""
        request = f"http://127.0.0.1:{self.port()}{path}"
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, answer.read().decode()

    def end(self):
        """Waits for the end; returns the exit code and what it said on stderr."""
        code = self.process.wait(PATIENCE)
        self.reader.join()
        return code, self.process.stderr.read()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()
        self.process.stderr.close()


class Demo(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.database = pathlib.Path(folder.name) / "shop.db"

    def serve(self, *arguments):
        server = Server(*arguments)
        self.addCleanup(server.close)
        return server

    def execute(self, sql):
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            with connection:
                connection.executescript(sql)

    def assert_one_line(self, arguments, code, words):
        ended = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True,
                               timeout=PATIENCE)
        self.assertEqual(ended.returncode, code, ended)
        self.assertRegex(ended.stderr, r"\Acache_warmup: [^\n]+\n\Z")
        for word in words:
            self.assertIn(word, ended.stderr)

    def test_serves_the_rows_and_follows_a_change(self):
        server = self.serve("--db", str(self.database), "--delay", "100ms")
        status, text = server.get("/")
        self.assertEqual(status, 200)
        page = json.loads(text)
        self.assertEqual(page["rows"][0],
                         {"id": 1, "name": "Espresso", "price_cents": 220, "stock": 100})
        self.assertEqual(len(page["rows"]), 4)
        self.assertGreaterEqual(page["tick"], 1)
        self.assertGreaterEqual(page["age_seconds"], 0)
        self.assertEqual(server.get("/healthz"), (200, "ok\n"))
        self.assertEqual(server.get("/nothing")[0], 404)

        self.execute("UPDATE products SET name = 'Quotes \" and \\ and \u00e9' WHERE id = 1")
        # The second tick from here began after the change.
        ticks = sum(line.startswith("tick") for line in server.lines)
        server.output(r"^tick \d+: 4 rows$", ticks + 2)
        page = json.loads(server.get("/?again")[1])
        self.assertEqual(page["rows"][0]["name"], 'Quotes " and \\ and \u00e9')

    def test_health_follows_failures_and_recovers(self):
        server = self.serve("--db", str(self.database), "--delay", "50ms")
        rows = json.loads(server.get("/")[1])["rows"]
        with contextlib.closing(sqlite3.connect(self.database, isolation_level=None)) as writer:
            writer.execute("BEGIN EXCLUSIVE")
            server.output(r"^tick failed \(2 in a row\): .*database is locked", 1)
            status, text = server.get("/healthz")
            self.assertEqual(status, 503)
            self.assertIn("database is locked", text)
            self.assertEqual(json.loads(server.get("/")[1])["rows"], rows)  # the cache still serves
            writer.execute("ROLLBACK")
        ticks = sum(line.startswith("tick") and "failed" not in line for line in server.lines)
        server.output(r"^tick \d+: 4 rows", ticks + 1)
        self.assertEqual(server.get("/healthz"), (200, "ok\n"))

    def test_a_signal_ends_it_cleanly(self):
        for number in signal.SIGTERM, signal.SIGINT:
            with self.subTest(number.name):
                server = self.serve("--db", ":memory:")
                # A connection that says nothing must not hold it up.
                with socket.create_connection(("127.0.0.1", server.port())):
                    server.get("/")
                    server.process.send_signal(number)
                    self.assertEqual(server.end(), (0, ""))
                self.assertEqual(server.lines[-2:], [f"{number.name}, shutting down", "bye"])

    def test_ends_by_itself_even_while_refreshes_fail(self):
        server = self.serve("--db", str(self.database), "--delay", "20ms", "--for", "2s")
        server.port()
        self.execute("ALTER TABLE products RENAME TO gone")
        server.output(r"^tick failed \(2 in a row\): .*no such table")
        begin = time.monotonic()
        self.assertEqual(server.end(), (0, ""))
        self.assertLess(time.monotonic() - begin, 5)
        self.assertEqual(server.lines[-2:], ["time is over, shutting down", "bye"])

    def test_help(self):
        ended = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        for option in "--db", "--port", "--delay", "--for", "--help":
            self.assertIn(option, ended.stdout)

    def test_bad_options(self):
        for arguments, word in (
                (["--nonsense"], "'--nonsense'"), (["extra"], "'extra'"), (["--port"], "--port"),
                (["--port", "65536"], "'65536'"), (["--port", "80x"], "'80x'"), (["--db", ""], "--db"),
                (["--delay", "5"], "'5'"), (["--delay", "0s"], "'0s'"), (["--delay", "-1s"], "'-1s'"),
                (["--delay", "nan"], "'nan'"), (["--for", "1e9s"], "'1e9s'"),
                (["--for", "99999m"], "'99999m'")):
            with self.subTest(arguments):
                self.assert_one_line(arguments, 2, [word])

    def test_a_taken_port(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            self.assert_one_line(["--db", str(self.database), "--port", port], 1, [port, "in use"])
        self.assertFalse(self.database.exists())

    def test_unreadable_databases(self):
        garbage = self.database.with_name("garbage.db")
        garbage.write_bytes(b"this is not a database, whatever its name says. " * 100)
        self.execute("CREATE TABLE other (x)")
        for path, reason in ((garbage, "not a database"),
                             (self.database.parent, "unable to open"),
                             (self.database.parent / "no" / "such.db", "unable to open"),
                             (self.database, "no such table: products")):
            with self.subTest(path):
                self.assert_one_line(["--port", "0", "--db", str(path)], 1, [str(path), reason])
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            self.assertEqual(connection.execute("SELECT name FROM sqlite_master").fetchall(),
                             [("other",)])  # somebody's own database is left as it is

    def test_a_truncated_database(self):
        self.execute("CREATE TABLE products (id, name, price_cents, stock);"
                     "INSERT INTO products VALUES (1, hex(zeroblob(100000)), 1, 1)")
        content = self.database.read_bytes()
        self.database.write_bytes(content[:len(content) // 2])
        self.assert_one_line(["--port", "0", "--db", str(self.database)], 1, ["malformed"])


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
