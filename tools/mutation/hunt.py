"""Hunts mutants: each with the tests that reach it, in a few threads, with the results kept."""

import collections
import concurrent.futures
import threading
import time

from mutation import trial

SAY_EVERY = 20  # seconds
QUICK = 0.3  # seconds that a test may take for a quick hunt


class Order:
    """Guesses which test kills a mutant: one that killed its neighbours."""

    def __init__(self, results, suite):
        self.results, self.suite = results, suite
        self.kills = collections.Counter()
        for id, entry in results.known.items():
            if entry["by"]:
                self.learn(id, entry["by"])

    def learn(self, id, key):
        file, function, _ = id.split(" | ", 2)
        self.kills[file, key] += 1
        self.kills[file, function, key] += 10

    def tests(self, mutant):
        file, function, _ = mutant.id.split(" | ", 2)
        last = self.results.last_killer(mutant)

        def rank(test):
            known = self.kills[file, test.key] + self.kills[file, function, test.key]
            return (test.key != last, -known, test.seconds + len(test.reached) / 10000)

        return sorted(self.suite.reaching.get(mutant.number, ()), key=rank)


def run_all(wanted, suite, results, kind, options):
    order = Order(results, suite)
    todo = [m for m in wanted if options.again or results.verdict(m, kind) is None]
    print(f"==> {kind}: {len(wanted)} mutants, {len(wanted) - len(todo)} known from earlier", flush=True)
    began = said = time.monotonic()
    lock = threading.Lock()
    done = killed = 0
    stop = threading.Event()

    def one(mutant):
        nonlocal done, killed, said
        if stop.is_set():
            return
        trace = suite.work / f"trace.{threading.get_ident()}"
        with lock:
            tests = order.tests(mutant)
        reached = bool(tests)
        if kind == "quick":
            tests = [test for test in tests if test.seconds <= QUICK]
        if not options.again:
            tests = [test for test in tests if not results.has_passed(mutant, test, kind)]
        verdict = trial.judge(mutant.number, tests, suite.programs, trace)
        if reached and verdict.how == "unreached":
            verdict.how = "survived"  # what there is has passed already
        trace.unlink(missing_ok=True)
        with lock:
            results.add(mutant, verdict, kind)
            if verdict.by:
                order.learn(mutant.id, verdict.by.key)
            done, killed = done + 1, killed + bool(verdict.by)
            now = time.monotonic()
            if now - said > SAY_EVERY:
                said = now
                left = (now - began) / done * (len(todo) - done)
                print(f"    {done}/{len(todo)}: {killed} killed, about {left / 60:.0f} min left", flush=True)
                results.save()

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        try:
            for future in [pool.submit(one, m) for m in todo]:
                future.result()
        except BaseException:
            stop.set()
            results.save()
            raise
    results.save()
