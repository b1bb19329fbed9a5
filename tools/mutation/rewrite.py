"""Writes a copy of the headers in which each mutant waits behind a switch.

`a < b` becomes `(::mutation::on(17) ? (a) <= (b) : (a < b))`, so that all mutants are compiled at
once and a run of the tests chooses one.
"""

import re

from mutation.mutant import STATEMENT

SWITCH = "::mutation::on({})"
SWITCHED = re.compile(r"::mutation::on\((\d+)\)")


def rewrite(source, sites, dropped):
    """The new text of a file; lines stay where they are."""
    sites = [(s, [m for m in s.mutants if m.id not in dropped]) for s in sites]
    sites = [(site, mutants) for site, mutants in sites if mutants]
    position = 0

    def up_to(end):
        """Writes from `position` to `end`; sites that begin before are nested in one another."""
        nonlocal position
        parts = []
        while sites and sites[0][0].start < end and sites[0][0].end <= end:
            site, mutants = sites.pop(0)
            parts.append(source.text[position : site.start])
            position = site.start
            parts.append(switched(site, mutants, up_to(site.end)))
        parts.append(source.text[position:end])
        position = end
        return "".join(parts)

    return up_to(len(source.text))


def switched(site, mutants, original):
    if site.wrap == STATEMENT:
        # Not by ?: as below. There clang forgets that an object is made, and frees it twice when a
        # later part of the statement throws.
        chosen = " || ".join(SWITCH.format(m.number) for m in mutants)
        return f"do {{ if (!({chosen})) {{ {original}; }} }} while (false)"
    switches = "".join(f"{SWITCH.format(m.number)} ? {m.code} : " for m in mutants)
    return f"({switches}{site.wrap.format(original)})"


def write_tree(found, include, to, dropped):
    """Copies the include tree; a file is touched only when its text has changed."""
    for path in sorted(include.rglob("*.hpp")):
        name = path.relative_to(include).as_posix()
        text = rewrite(*found[name], dropped) if name in found else path.read_text()
        write_if_new(to / name, text)


def write_if_new(path, text):
    if path.exists() and path.read_text() == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def blamed(path, line, column):
    """The number of the mutant whose code is at a position of a rewritten file, or None."""
    lines = path.read_text().split("\n")
    here = lines[line - 1]
    before = SWITCHED.findall(here[: column - 1]) or SWITCHED.findall("\n".join(lines[line - 6 : line - 1]))
    after = SWITCHED.findall(here[column - 1 :])
    if SWITCHED.search(here[: column - 1]) or not after:
        return int(before[-1]) if before else None
    return int(after[0])
