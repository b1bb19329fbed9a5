#!/usr/bin/env python3
"""Runs examples/redis_heartbeat against a redis-server of its own, on a unix socket.

usage: redis_heartbeat_test.py <program> [unittest argument]...
"""

import pathlib
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import program


class RedisHeartbeat(program.ProgramTest):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.socket = f"{self.folder}/redis.sock"

    def start_server(self):
        server = program.Running("redis-server", "--port", "0", "--unixsocket", self.socket, "--dir",
                                 self.folder, "--save", "", "--appendonly", "no")
        self.addCleanup(server.close)
        server.output("Ready to accept connections|server is now ready to accept connections")
        return server

    def redis(self, *words):
        return subprocess.run(["redis-cli", "-s", self.socket, *words], check=True, timeout=program.PATIENCE,
                              capture_output=True, text=True).stdout.strip()

    def beat(self, *arguments):
        return self.run_program("--socket", self.socket, "--key", "alive", *arguments)

    def test_the_key_lives_while_the_program_does(self):
        self.start_server()
        running = self.beat("--delay", "100ms", "--ttl", "1s")
        running.output(r"^beat 1: alive lives for 1000 ms$")
        self.assertEqual(self.redis("GET", "alive"), str(running.process.pid))
        self.assertTrue(0 < int(self.redis("PTTL", "alive")) <= 1000)
        running.output(r"^beat \d+", 15)  # for longer than the key lives without a beat
        self.assertEqual(self.redis("EXISTS", "alive"), "1")

    def test_a_crash_is_seen(self):
        self.start_server()
        running = self.beat("--delay", "100ms", "--ttl", "1s")
        running.output("^beat 3")
        running.send(signal.SIGKILL)
        self.assertEqual(running.end()[0], -signal.SIGKILL)
        self.poll(lambda: self.redis("EXISTS", "alive") == "0", "the key expires")

    def test_a_clean_end_removes_the_key(self):
        self.start_server()
        arguments = "--socket", self.socket, "--key", "alive", "--ttl", "10m"
        running = self.assert_a_signal_ends_it(*arguments, once_printed="^beat 1:")
        self.assertIn("key removed", running.lines)
        self.assertEqual(self.redis("EXISTS", "alive"), "0")
        self.assert_ends_by_itself(*arguments)
        self.assertEqual(self.redis("EXISTS", "alive"), "0")

    def test_a_server_that_comes_back(self):
        server = self.start_server()
        running = self.beat("--delay", "100ms", "--ttl", "1s")
        running.output("^beat 1:")
        server.close()
        running.output(r"^beat failed: redis at .*redis\.sock: ", 2)
        self.start_server()
        running.output("^beat", len(running.matches("^beat")) + 2)
        self.poll(lambda: self.redis("EXISTS", "alive") == "1", "the key is there again")

    def test_an_end_while_the_server_is_away(self):
        server = self.start_server()
        running = self.beat("--delay", "100ms", "--ttl", "1s")
        running.output("^beat 1:")
        server.close()
        running.output("^beat failed: ")
        running.send(signal.SIGTERM)
        self.assertEqual(running.end()[0], 0)
        self.assertEqual(running.lines[-1], "bye")

    def test_a_server_that_does_not_answer(self):
        server = self.start_server()
        running = self.beat("--delay", "100ms", "--ttl", "1s")
        running.output("^beat 1:")
        server.send(signal.SIGSTOP)
        running.output("^beat failed: ")  # within the bound
        begin = time.monotonic()
        running.send(signal.SIGTERM)
        self.assertEqual(running.end()[0], 0)
        self.assertLess(time.monotonic() - begin, 5)

    def test_no_server(self):
        self.assert_one_line(["--socket", self.socket], 1, [self.socket, "No such file"])
        with program.taken_port() as taken:
            port = str(taken.getsockname()[1])
        self.assert_one_line(["--port", port], 1, [f"127.0.0.1:{port}", "refused"])

    def test_options(self):
        self.assert_help("--host", "--port", "--socket", "--key", "--delay", "--ttl")
        self.assert_bad_options("--delay", "--ttl")
        self.assert_one_line(["--delay", "2s", "--ttl", "2s"], 2, ["--ttl", "--delay"])


if __name__ == "__main__":
    program.main()
