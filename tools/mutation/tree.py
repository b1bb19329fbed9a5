"""The build of the mutants: the project's own CMake over a tree of links, with rewritten headers."""

import os
import re
import shutil
import subprocess

from mutation import rewrite

# Without optimisation, as the build costs more than the runs; a mutant may narrow what was constant.
FLAGS = "-O0 -g0 -w -Wno-c++11-narrowing -include {switch}"
KINDS = {"plain": "", "sanitized": "address,undefined"}
ERROR = re.compile(r"^\S+?/include/(async_timer/\S+?\.hpp):(\d+):(\d+): (?:fatal )?error: ", re.M)

CMAKE = """\
# Written by tools/mutate.py: the tests as they are, but that the shared includes are compiled once.
include({tests}/real.cmake)
target_compile_options(core PRIVATE -O1) # small, and its tests compute a lot
foreach(program {programs})
  if(TARGET ${{program}} AND NOT program STREQUAL core)
    target_precompile_headers(${{program}} PRIVATE <doctest/doctest.h> "{tests}/support/fixture.hpp")
  endif()
endforeach()
"""
MAIN = """\
#include "{root}/tests/support/main.cpp"
#include "{root}/tools/mutation/recorder.hpp"
"""


class Tree:
    def __init__(self, root, work, programs, compiler):
        self.root, self.work, self.programs, self.compiler = root, work, programs, compiler
        self.source = work / "source"

    def write(self):
        """Lays out links to the project; the headers come from write_headers()."""
        for name in ("CMakeLists.txt", "cmake"):
            link(self.root / name, self.source / name)
        tests = self.source / "tests"
        written = {"CMakeLists.txt", "support/main.cpp"}
        for path in (p for p in (self.root / "tests").rglob("*") if p.is_file()):
            name = path.relative_to(self.root / "tests").as_posix()
            if name not in written:
                link(path, tests / name)
        for place in list(tests.rglob("*")) if tests.exists() else ():
            if place.is_symlink() and not place.exists():
                place.unlink()
        link(self.root / "tests/CMakeLists.txt", tests / "real.cmake")
        rewrite.write_if_new(tests / "CMakeLists.txt", CMAKE.format(tests=tests, programs=" ".join(self.programs)))
        rewrite.write_if_new(tests / "support/main.cpp", MAIN.format(root=self.root))

    def write_headers(self, found, dropped):
        rewrite.write_tree(found, self.root / "include", self.source / "include", dropped)

    def compile(self, kind, jobs):
        """Builds the test programs, those that there are; gives their paths, and the numbers of the
        mutants that do not compile: none if all is well."""
        build = self.work / kind
        self._configure(build, KINDS[kind])
        targets = subprocess.run(["ninja", "-C", build, "-t", "targets", "all"], capture_output=True, text=True).stdout
        programs = [p for p in self.programs if re.search(rf"^(?:tests/)?{re.escape(p)}: ", targets, re.M)]
        log = self.work / f"{kind}.log"
        with log.open("w") as out:
            status = subprocess.call(
                ["ninja", "-C", build, "-k", "0", "-j", str(jobs), *programs], stdout=out, stderr=subprocess.STDOUT
            )
        blamed = self._blamed(log) if status else set()
        return [build / "tests" / p for p in programs], blamed

    def _configure(self, build, sanitizers):
        if (build / "build.ninja").exists():
            return
        flags = FLAGS.format(switch=self.root / "tools/mutation/switch.hpp")
        command = [
            "cmake", "-G", "Ninja", "-S", self.source, "-B", build, "-DCMAKE_BUILD_TYPE=None",
            f"-DCMAKE_CXX_COMPILER={self.compiler}", f"-DCMAKE_CXX_FLAGS={flags}", "-DASYNC_TIMER_WERROR=OFF",
            f"-DASYNC_TIMER_SANITIZE={sanitizers}", "-DASYNC_TIMER_TEST_BACKENDS=boost",
            "-DASYNC_TIMER_BUILD_EXAMPLES=OFF", "-DASYNC_TIMER_BUILD_BENCH=OFF", "-DASYNC_TIMER_INSTALL=OFF",
        ]  # fmt: skip
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode:
            raise SystemExit(f"cmake could not configure {build}:\n{run.stderr[-2000:]}")

    def _blamed(self, log):
        text = log.read_text()
        blamed = set()
        for name, line, column in ERROR.findall(text):
            blamed.add(rewrite.blamed(self.source / "include" / name, int(line), int(column)))
        blamed.discard(None)
        if not blamed:
            raise SystemExit(f"the tests do not build, see {log}:\n" + "\n".join(text.split("\n")[-15:]))
        return blamed


def link(target, place):
    if place.is_symlink() and os.readlink(place) == str(target):
        return
    if place.is_symlink() or place.exists():
        shutil.rmtree(place) if place.is_dir() and not place.is_symlink() else place.unlink()
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)
