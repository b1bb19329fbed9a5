"""Runs the tests that reach a mutant until one of them fails."""

import collections
import dataclasses
import os
import pathlib
import resource
import select
import signal
import subprocess
import time

LINE = 100_000  # characters of test names on one command line
MEMORY = 4 << 30
TICKS = os.sysconf("SC_CLK_TCK")  # of processor time, in a second
BLOCKED = 3.0  # seconds in which hardly a thread ran: a deadlock
HARDLY = 0.1  # of the processor; who waits for a lock of the library looks again now and then


@dataclasses.dataclass(eq=False)
class Test:
    program: str
    file: str
    name: str
    seconds: float
    reached: frozenset

    @property
    def key(self):
        return f"{self.program}: {self.name}"


class Suite:
    """The tests of all programs, each with the mutants that it reaches."""

    def __init__(self, programs, work):
        self.tests = []
        self.work = work
        self.programs = {program.name: program for program in programs}
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for program in programs:
            self.tests += self._record(program)
        self.by_key = {test.key: test for test in self.tests}
        self.reaching = collections.defaultdict(list)
        for test in self.tests:
            for number in test.reached:
                self.reaching[number].append(test)

    def use(self, programs):
        """Takes other builds of the programs: the sanitizers' lack the tests that replace operator new."""
        self.programs = {program.name: program for program in programs}
        has = {p.name: set(subprocess.check_output([p, "--list-test-cases"], text=True).splitlines()) for p in programs}
        for number, tests in self.reaching.items():
            self.reaching[number] = [t for t in tests if t.name in has[t.program]]

    def _record(self, program):
        record = self.work / f"{program.name}.reached"
        if not record.exists() or record.stat().st_mtime < program.stat().st_mtime:
            new = record.with_suffix(".new")
            new.unlink(missing_ok=True)
            run = subprocess.run([program], capture_output=True, text=True, env=environment(MUTATION_REACHED=new))
            if run.returncode:
                raise SystemExit(f"{program} fails with no mutant on:\n{run.stdout[-2000:]}")
            new.rename(record)
        tests, always = [], frozenset()
        for line in record.read_text().splitlines():
            seconds, file, name, numbers = line.split("\t")
            numbers = frozenset(map(int, numbers.split()))
            if file:
                tests.append(Test(program.name, file, name, float(seconds), numbers | always))
            else:
                always = numbers
        return tests


@dataclasses.dataclass
class Verdict:
    how: str  # failed, crashed, hung; or survived, unreached
    by: Test = None


def judge(number, tests, programs, trace):
    """tests: in the order to try; the first few alone, as they are the likely ones."""
    if not tests:
        return Verdict("unreached")
    begin = 0
    for size in (1, 8, len(tests)):
        batch, begin = tests[begin : begin + size], begin + size
        groups = collections.defaultdict(list)
        for test in batch:
            groups[test.program].append(test)
        for program, group in groups.items():
            for part in split(group):
                verdict = run(number, programs[program], part, trace)
                if verdict:
                    return verdict
    return Verdict("survived")


def split(tests):
    """Cuts a list so that the names fit on a command line."""
    part, length = [], 0
    for test in tests:
        if length + len(test.name) > LINE:
            yield part
            part, length = [], 0
        part.append(test)
        length += len(test.name) + 1
    if part:
        yield part


def run(number, program, tests, trace):
    """A verdict if one of the tests fails, else None."""
    trace.unlink(missing_ok=True)
    names = ",".join(t.name.translate(str.maketrans(",\\", "??")) for t in tests)
    seconds = sum(t.seconds for t in tests)
    process = subprocess.Popen(
        [program, "--abort-after=1", "--no-breaks", f"--test-case={names}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env=environment(MUTANT=number, MUTATION_TRACE=trace),
    )  # fmt: skip
    limit(process.pid, program, seconds)
    hung = not wait(process, Clock(program, tests, trace))
    if process.returncode == 0:
        return None
    began = trace.read_text() if trace.exists() else None
    by = next((t for t in tests if t.name == began), None)
    if by is None and began is None and process.returncode > 0:
        raise SystemExit(f"mutant {number}: {program} ran none of: {names}")
    if hung or process.returncode == -signal.SIGXCPU:
        return Verdict("hung", by or tests[0])
    return Verdict("failed" if process.returncode > 0 else "crashed", by or tests[0])


def is_sanitized(program):
    return program.parts[-3] == "sanitized"


def allowance(program, seconds):
    """How much processor time tests may use that took so long with no mutant on."""
    return int(5 + 20 * seconds) if is_sanitized(program) else int(2 + 5 * seconds)


def limit(pid, program, seconds):
    """Bounds what a mutant may use; the sanitizers map terabytes and are slower."""
    cpu = allowance(program, seconds)
    resource.prlimit(pid, resource.RLIMIT_CPU, (cpu, cpu + 1))
    if not is_sanitized(program):
        resource.prlimit(pid, resource.RLIMIT_AS, (MEMORY, MEMORY))


class Clock:
    """Tells when the test that runs has used up what it alone may: of many tests in one process each
    may hang, and to wait until it has used what all of them may would take minutes."""

    def __init__(self, program, tests, trace):
        self.program, self.trace = program, trace
        self.seconds = {test.name: test.seconds for test in tests}
        self.test, self.since = None, 0

    def is_over(self, used):
        """used: the processor time of the whole process, in ticks."""
        test = self.trace.read_text() if self.trace.exists() else None
        if test != self.test:
            self.test, self.since = test, used
        allowed = allowance(self.program, self.seconds.get(test, sum(self.seconds.values())))
        return used - self.since > allowed * TICKS


def wait(process, clock):
    """Waits for the end of a process; kills one that is blocked or whose test goes on and on, and
    gives False then."""
    handle = os.pidfd_open(process.pid)
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    try:
        used, since, ran = 0, time.monotonic(), False
        while not poll.poll(300):
            now_used, runs = activity(process.pid)
            ran = ran or runs
            span = time.monotonic() - since
            is_blocked = span > BLOCKED and not ran and now_used - used < HARDLY * span * TICKS
            if is_blocked or clock.is_over(now_used):
                process.kill()
                process.wait()
                return False
            if span > BLOCKED:
                used, since, ran = now_used, time.monotonic(), False
        process.wait()
        return True
    finally:
        os.close(handle)
        if process.poll() is None:
            process.kill()
            process.wait()


def activity(pid):
    """The processor time used so far, in ticks, and whether a thread wants more."""
    used, runs = 0, False
    for stat in pathlib.Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        runs = runs or fields[0] in "RD"
        used += int(fields[11]) + int(fields[12])
    return used, runs


def environment(**more):
    return {**os.environ, **{name: str(value) for name, value in more.items()}}
