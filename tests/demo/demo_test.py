#!/usr/bin/env python3
"""Runs examples/cache_warmup as a user would: over HTTP, with a real database and real signals.

usage: demo_test.py <program> [unittest argument]...
"""

import contextlib
import json
import pathlib
import signal
import socket
import sqlite3
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import program


class Demo(program.ProgramTest):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.database = pathlib.Path(folder.name) / "shop.db"

    def serve(self, *arguments):
        return self.run_program("--port", "0", *arguments)

    def execute(self, sql):
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            with connection:
                connection.executescript(sql)

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
                    server.send(number)
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
        # A refresh that was due by then may still fail before the stop gets through.
        after = server.lines[server.lines.index("time is over, shutting down") + 1:]
        self.assertEqual([line for line in after if not line.startswith("tick failed")], ["bye"])
        self.assertEqual(after[-1], "bye")

    def test_help(self):
        self.assert_help("--db", "--port", "--delay")

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
        with program.taken_port() as taken:
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
    program.main()
