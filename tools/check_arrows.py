#!/usr/bin/env python3
"""Checks the headers under include/: who may include whom, and a few rules of form.

Rooms are the folders of include/async_timer. A header includes its own room and lower ones; the
umbrella headers directly in include/async_timer may include anything, and no room includes them.
"""

import argparse
import pathlib
import re
import sys
import tempfile

ROOMS = {
    "core": 0,
    "base": 1,
    "net": 2,
    "scheduler": 3,
    "delivery": 4,
    "timer": 5,
    "testing": 6,
    "inspector": 7,
    "cluster": 7,
}
ASIO_ROOM = "net"
MAX_LINES = 400
# Headers in the root of include/async_timer that rooms may include: they stand below all rooms.
LOW_ROOT_HEADERS = {"version.hpp"}

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')
ASIO = re.compile(r"^(boost/)?asio(/|\.hpp$)")
LIST = pathlib.PurePosixPath("cmake/headers.cmake")


def room_of(name):
    """The room of a header named as in an include line; "" for an umbrella header."""
    parts = name.split("/")
    return parts[1] if len(parts) > 2 else ""


def guard_of(name):
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


def code_lines(text):
    """The lines of a file with comments blanked out, so that numbers stay right."""

    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0)) if match.group(0)[0] == "/" else match.group(0)

    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:[^"\\\n]|\\.)*"', re.S)
    return pattern.sub(blank, text).splitlines()


def check_includes(name, includes, known):
    for line, target in includes:
        where = f"include/{name}:{line}"
        room = room_of(name)
        if ASIO.match(target) and room != ASIO_ROOM:
            yield f"{where}: <{target}> is included outside {ASIO_ROOM}/"
        if not target.startswith("async_timer/"):
            if target in {n.rsplit("/", 1)[-1] for n in known}:
                yield f'{where}: "{target}" must be named with its full path'
            continue
        if target not in known:
            yield f"{where}: <{target}> does not exist"
            continue
        if room == "":
            continue
        other = room_of(target)
        if other == "":
            if target.split("/")[-1] not in LOW_ROOT_HEADERS:
                yield f"{where}: {room}/ includes the umbrella header <{target}>"
        elif ROOMS.get(other, 99) > ROOMS.get(room, -1):
            yield f"{where}: {room}/ includes {other}/, which is above it (<{target}>)"
        elif other != room and ROOMS.get(other) == ROOMS.get(room):
            yield f"{where}: {room}/ includes {other}/ beside it (<{target}>)"


def check_form(name, text):
    where = f"include/{name}"
    lines = text.splitlines()
    if len(lines) > MAX_LINES:
        yield f"{where}:{MAX_LINES + 1}: {len(lines)} lines, at most {MAX_LINES} are allowed"
    guard = guard_of(name)
    opens = [line.split() for line in lines if line.startswith("#")][:2]
    if opens != [["#ifndef", guard], ["#define", guard]]:
        yield f"{where}:1: the include guard {guard} is missing"
    for number, line in enumerate(lines, 1):
        if not line.isascii():
            yield f"{where}:{number}: a character that is not ASCII"
    room = room_of(name)
    if room and room not in ROOMS:
        yield f"{where}:1: the room {room}/ is unknown; add it to tools/check_arrows.py"


def check_cycles(graph):
    """Depth first; each cycle is reported once, at the include line that closes it.

    A header and those of its room's impl/ folder that hold its bodies are one: the first includes
    them at its end, and they include the first so that they compile alone.
    """
    state = {}

    def own_impl(name, target):
        folder = target.rpartition("/")[0]
        return name.rpartition("/")[0] == f"{folder}/impl"

    def visit(name, path):
        state[name] = "open"
        for line, target in graph[name]:
            if target not in graph or own_impl(name, target):
                continue
            if state.get(target) == "open":
                cycle = path[path.index(target):] + [target]
                yield f"include/{name}:{line}: cycle " + " -> ".join(cycle)
            elif target not in state:
                yield from visit(target, path + [target])
        state[name] = "done"

    for name in sorted(graph):
        if name not in state:
            yield from visit(name, [name])


def read_list(root):
    text = (root / LIST).read_text()
    text = re.sub(r"#[^\n]*", "", text)
    return re.findall(r"\binclude/(\S+?\.hpp)\b", text)


def write_list(root):
    headers = sorted(p.relative_to(root).as_posix() for p in (root / "include").rglob("*.hpp"))
    body = "".join(f"    {name}\n" for name in headers)
    text = (root / LIST).read_text()
    new = re.sub(
        r"set\(ASYNC_TIMER_HEADERS\n.*?\)\n", lambda _: f"set(ASYNC_TIMER_HEADERS\n{body})\n", text, flags=re.S
    )
    (root / LIST).write_text(new)


def check(root):
    """All problems of the tree at root, each a line of text."""
    headers = {
        p.relative_to(root / "include").as_posix(): p
        for p in sorted((root / "include").rglob("*"))
        if p.is_file()
    }
    problems = []
    graph = {}
    for name, path in headers.items():
        text = path.read_text(encoding="utf-8", errors="replace")
        graph[name] = [
            (number, match.group(1))
            for number, line in enumerate(code_lines(text), 1)
            if (match := INCLUDE.match(line))
        ]
        problems += check_form(name, text)
    for name in headers:
        problems += check_includes(name, graph[name], headers)
    problems += check_cycles(graph)
    listed = read_list(root)
    for name in sorted(set(headers) - set(listed)):
        problems.append(f"{LIST}: include/{name} is not listed")
    for name in sorted(set(listed) - set(headers)):
        problems.append(f"{LIST}: include/{name} is listed and does not exist")
    for name in sorted({n for n in listed if listed.count(n) > 1}):
        problems.append(f"{LIST}: include/{name} is listed twice")
    return problems


def self_test():
    """Builds small wrong trees and expects each rule to bite."""

    def tree(files, unlisted=()):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "cmake").mkdir()
            for name, body in files.items():
                path = root / "include" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                guard = guard_of(name)
                if not body.startswith("RAW"):
                    body = f"#ifndef {guard}\n#define {guard}\n{body}\n#endif\n"
                path.write_text(body)
            rows = "".join(f"    include/{n}\n" for n in files if n not in unlisted)
            (root / LIST).write_text(f"set(ASYNC_TIMER_HEADERS\n{rows})\n")
            return check(root)

    low, high = "async_timer/core/low.hpp", "async_timer/timer/high.hpp"
    net, umbrella = "async_timer/net/asio.hpp", "async_timer/async_timer.hpp"

    def inc(name):
        return f"#include <{name}>"

    cases = [
        ("a tree without fault", {low: "", high: inc(low), umbrella: inc(high)}, (), None),
        ("upward", {low: inc(high), high: ""}, (), "which is above it"),
        ("testing below", {high: inc("async_timer/testing/c.hpp"), "async_timer/testing/c.hpp": ""}, (), "above it"),
        (
            "delivery to timer",
            {"async_timer/delivery/d.hpp": inc(high), high: ""},
            (),
            "delivery/ includes timer/",
        ),
        ("rooms beside", {"async_timer/cluster/c.hpp": inc("async_timer/inspector/i.hpp"), "async_timer/inspector/i.hpp": ""}, (), "beside it"),
        ("umbrella from a room", {high: inc(umbrella), umbrella: ""}, (), "umbrella"),
        ("asio outside net", {high: inc("boost/asio/post.hpp")}, (), "outside net/"),
        ("asio in core", {low: inc("asio.hpp")}, (), "outside net/"),
        ("asio in net", {net: inc("boost/asio/post.hpp")}, (), None),
        ("a commented include", {low: "// " + inc("asio.hpp") + "\n/*\n" + inc(high) + "\n*/"}, (), None),
        ("cycle", {low: inc("async_timer/core/b.hpp"), "async_timer/core/b.hpp": inc(low)}, (), "cycle"),
        ("missing header", {low: inc("async_timer/core/no.hpp")}, (), "does not exist"),
        ("relative include", {low: '#include "b.hpp"', "async_timer/core/b.hpp": ""}, (), "full path"),
        ("long", {low: "\n" * MAX_LINES}, (), "at most"),
        ("guard", {low: "RAW"}, (), "include guard"),
        ("ascii", {low: "// \u00e9"}, (), "not ASCII"),
        ("unknown room", {"async_timer/attic/x.hpp": ""}, (), "unknown"),
        ("unlisted", {low: ""}, (low,), "is not listed"),
    ]
    failed = 0
    for title, files, unlisted, expected in cases:
        problems = tree(files, unlisted)
        good = not problems if expected is None else any(expected in p for p in problems)
        if not good:
            failed += 1
            print(f"self-test '{title}': expected {expected!r}, got {problems}")
    print(f"check_arrows self-test: {len(cases) - failed} of {len(cases)} cases hold")
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    parser.add_argument("--self-test", action="store_true", help="check the check itself")
    parser.add_argument("--write-list", action="store_true", help=f"rewrite {LIST} from the tree")
    options = parser.parse_args()
    if options.self_test:
        return self_test()
    if options.write_list:
        write_list(options.root)
    problems = check(options.root)
    for problem in problems:
        print(problem)
    count = len(list((options.root / "include").rglob("*.hpp")))
    print(f"check_arrows: {count} headers, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
