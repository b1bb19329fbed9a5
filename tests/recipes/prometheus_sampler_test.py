#!/usr/bin/env python3
"""Runs examples/prometheus_sampler and scrapes it over HTTP, as Prometheus does.

usage: prometheus_sampler_test.py <program> [unittest argument]...
"""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import program

GAUGES = "process_resident_memory_bytes", "process_open_fds", "node_load1"
QUICK = "--port", "0", "--period", "50ms"


class PrometheusSampler(program.ProgramTest):
    def scrape(self, running):
        """Returns sample -> value, and checks the form of every line."""
        status, text = running.get("/metrics")
        self.assertEqual(status, 200)
        self.assertTrue(text.endswith("\n"))
        samples = {}
        for line in text.splitlines():
            if line.startswith("#"):
                self.assertRegex(line, r"^# (HELP \w+ .+|TYPE \w+ (gauge|counter))$")
                continue
            self.assertRegex(line, r'^[a-z_0-9]+(\{sampler="\w+"\})? [0-9.e+-]+$')
            name, value = line.rsplit(" ", 1)
            self.assertNotIn(name, samples)
            samples[name] = float(value)
        return samples

    def test_samples_grow(self):
        running = self.run_program(*QUICK)
        first = self.scrape(running)
        for gauge in GAUGES:
            self.assertGreaterEqual(first[gauge], 0)
            self.assertGreaterEqual(first[f'sampler_ticks_total{{sampler="{gauge}"}}'], 1)
            self.assertEqual(first[f'sampler_failures_total{{sampler="{gauge}"}}'], 0)
        self.assertGreater(first["process_resident_memory_bytes"], 100_000)
        self.assertGreater(first["process_open_fds"], 3)
        counters = [name for name in first if name.startswith("sampler_ticks_total")]
        self.assertEqual(len(counters), len(GAUGES))
        self.poll(lambda: (now := self.scrape(running)) and
                  all(now[counter] >= first[counter] + 2 for counter in counters), "growing counters")
        for gauge in GAUGES:
            running.output(rf"^{re.escape(gauge)} \d", 3)

    def test_other_pages(self):
        running = self.run_program(*QUICK)
        self.assertEqual(running.get("/")[0], 404)

    def test_a_taken_port(self):
        with program.taken_port() as taken:
            port = str(taken.getsockname()[1])
            self.assert_one_line(["--port", port], 1, [port, "in use"])

    def test_ends(self):
        self.assert_a_signal_ends_it(*QUICK, once_printed="^serving on")
        self.assert_ends_by_itself(*QUICK)

    def test_options(self):
        self.assert_help("--port", "--period")
        self.assert_bad_options("--period")


if __name__ == "__main__":
    program.main()
