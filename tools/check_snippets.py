#!/usr/bin/env python3
"""Checks that the C++ samples of README.md and docs/ are cut from files that are compiled.

In a page, a line `<!-- snippet: path/to/file.cpp#name -->` stands right before a ```cpp fence. The
fence must equal the lines between `//[name` and `//]` of that file, without their common indent.
A ```cpp fence without such a line is a problem as well, unless `<!-- no snippet: why -->` is there.
"""

import argparse
import pathlib
import re
import sys
import textwrap

MARK = re.compile(r"^\s*<!--\s*snippet:\s*(\S+?)#(\S+)\s*-->\s*$")
EXCUSE = re.compile(r"^\s*<!--\s*no snippet:\s*\S.*-->\s*$")
FENCE = re.compile(r"^\s*```")
CPP_FENCE = re.compile(r"^\s*```(cpp|c\+\+)\s*$")
BEGIN = re.compile(r"^\s*//\s*\[(\S+)\s*$")
END = re.compile(r"^\s*//\s*\]\s*$")


def regions_of(path):
    """name -> lines, of every `//[name` ... `//]` region; regions may be nested."""
    regions, open_regions = {}, []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if match := BEGIN.match(line):
            name = match.group(1)
            if name in regions:
                raise ValueError(f"{path}:{number}: region {name} is there twice")
            regions[name] = []
            open_regions.append(name)
        elif END.match(line):
            if not open_regions:
                raise ValueError(f"{path}:{number}: //] closes nothing")
            open_regions.pop()
        else:
            for name in open_regions:
                regions[name].append(line)
    if open_regions:
        raise ValueError(f"{path}: region {open_regions[-1]} is never closed")
    return {name: textwrap.dedent("\n".join(lines)).strip("\n").split("\n") for name, lines in regions.items()}


def check_page(root, page, fix):
    """Yields the problems of one page, rewriting its fences first when asked to."""
    lines = page.read_text().splitlines()
    name = page.relative_to(root).as_posix()
    out, problems, index = [], [], 0
    while index < len(lines):
        line = lines[index]
        out.append(line)
        index += 1
        match = MARK.match(line)
        excused = EXCUSE.match(line)
        if not match and not excused:
            if FENCE.match(line):  # a fence with no mark: pass over it whole
                if CPP_FENCE.match(line):
                    problems.append(f"{name}:{index}: a sample that is not cut from a compiled file")
                while index < len(lines):
                    out.append(lines[index])
                    index += 1
                    if FENCE.match(out[-1]):
                        break
            continue
        start = index
        if index >= len(lines) or not FENCE.match(lines[index]):
            problems.append(f"{name}:{index}: no fence follows the mark")
            continue
        end = index + 1
        while end < len(lines) and not FENCE.match(lines[end]):
            end += 1
        content = lines[start + 1:end]
        index = end + 1
        if match:
            source, region = root / match.group(1), match.group(2)
            wanted = None
            try:
                wanted = regions_of(source).get(region)
                if wanted is None:
                    problems.append(f"{name}:{start}: {match.group(1)} has no region {region}")
            except (OSError, ValueError) as error:
                problems.append(f"{name}:{start}: {error}")
            if wanted is not None and wanted != content:
                if fix:
                    content = wanted
                else:
                    problems.append(
                        f"{name}:{start}: the sample differs from {match.group(1)}#{region};"
                        " tools/check_snippets.py --fix rewrites it"
                    )
        out += [lines[start], *content, *lines[end:end + 1]]
    if fix and out != lines:
        page.write_text("\n".join(out) + "\n")
        print(f"rewritten: {name}")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    parser.add_argument("--fix", action="store_true", help="rewrite the samples from their files")
    options = parser.parse_args()
    root = options.root
    pages = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    pages = [page for page in pages if page.exists()]
    problems = [problem for page in pages for problem in check_page(root, page, options.fix)]
    for problem in problems:
        print(problem)
    print(f"check_snippets: {len(pages)} pages, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
