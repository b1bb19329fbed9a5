#!/usr/bin/env python3
"""Builds a user's program the ways users build, and runs it: compilers, standards, warnings as
errors, hidden visibility, timers at namespace scope in several files. Without run-time type
information the compiler has to say in one sentence that it is needed."""

import argparse
import concurrent.futures
import os
import shutil
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SOURCES = ("user.cpp", "other_file.cpp")
WARNINGS = ("-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wold-style-cast "
            "-Wnon-virtual-dtor -Woverloaded-virtual -Wextra-semi -Werror").split()
BACKENDS = {
    "boost": [],
    "standalone": ["-DASYNC_TIMER_USE_STANDALONE_ASIO", "-DASIO_STANDALONE",
                   "-DASIO_HAS_CO_AWAIT=1", "-DASIO_HAS_STD_COROUTINE=1"],
}
# C++23 by the name that clang 16 knows, too.
STANDARDS = ("20", "2b")
NEEDS_RTTI = "async_timer needs run-time type information"


def run(command):
    return subprocess.run(command, capture_output=True, text=True, check=False)


def compile_command(compiler, standard, backend):
    cache = ["ccache"] if shutil.which("ccache") else []
    return [*cache, compiler, f"-std=c++{standard}", "-pthread", "-I" + os.path.join(ROOT, "include"),
            *BACKENDS[backend]]


def build_and_run(folder, compiler, standard, backend):
    """Gives what went wrong, or nothing."""
    name = f"{compiler}-{standard}-{backend}"
    objects = []
    for source in SOURCES:
        objects.append(os.path.join(folder, f"{name}-{source}.o"))
        done = run([*compile_command(compiler, standard, backend), *WARNINGS, "-O2",
                    "-fvisibility=hidden", "-fvisibility-inlines-hidden", "-c",
                    os.path.join(ROOT, "tests/builds", source), "-o", objects[-1]])
        if done.returncode != 0:
            return done.stderr
    program = os.path.join(folder, name)
    for step in ([compiler, "-pthread", *objects, "-o", program], [program]):
        done = run(step)
        if done.returncode != 0:
            return f"{step[0]}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
    return ""


def refuses_without_rtti(compiler, backend):
    done = run([*compile_command(compiler, "20", backend), "-fno-rtti", "-fsyntax-only",
                os.path.join(ROOT, "tests/builds/other_file.cpp")])
    if done.returncode != 0 and NEEDS_RTTI in done.stderr:
        return ""
    return "no clear error without run-time type information:\n" + done.stderr


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="where the builds go")
    parser.add_argument("--compilers", default="g++,clang++-16,clang++-19", metavar="A,B,...")
    args = parser.parse_args()
    os.makedirs(args.folder, exist_ok=True)
    compilers = args.compilers.split(",")
    jobs = {(f"{c} -std=c++{s}, {b}"): (build_and_run, args.folder, c, s, b)
            for c in compilers for s in STANDARDS for b in BACKENDS}
    jobs |= {(f"{c} -fno-rtti, {b}"): (refuses_without_rtti, c, b)
             for c in compilers for b in BACKENDS}
    begin, failed = time.monotonic(), 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        running = {pool.submit(*job): name for name, job in jobs.items()}
        for done in concurrent.futures.as_completed(running):
            error = done.result()
            failed += bool(error)
            print(f"[{time.monotonic() - begin:3.0f} s] {running[done]}: {'FAILED' if error else 'ok'}",
                  flush=True)
            if error:
                print("\n".join(error.splitlines()[:30]), file=sys.stderr)
    print(f"builds: {len(jobs) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
