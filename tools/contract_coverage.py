#!/usr/bin/env python3
"""Shows which clause of the contract is proven by which test.

docs/contract_clauses.txt   every clause: its number and a short title, one a line
docs/contract_coverage.md   table rows `| number | later | reason |` and `| number | excused | reason |`
tests/**/*.cpp              TEST_CASE and SUBCASE names that begin with clause numbers:
                            "9.4 join: ..." or "9.4, 9.5, D4 join: ..."
"""

import argparse
import collections
import pathlib
import re
import signal
import sys

NUMBER = r"(?:\d+\.\d+|D\d+[a-z]?)"
CLAUSE = re.compile(rf"^({NUMBER})\s+(\S.*)$")
ROW = re.compile(rf"^\|\s*({NUMBER})\s*\|\s*(\w+)\s*\|\s*(.*?)\s*\|\s*$")
TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:[^"\\\n]|\\.)*"|R"\w*\(.*?\)\w*"', re.S)
CASE = re.compile(r'\b(?:TEST_CASE(?:_\w+)?|SUBCASE)\s*\(\s*(?:[\w:]+\s*,\s*)?"((?:[^"\\\n]|\\.)*)"')
SKIPPED = re.compile(r'[^{;]*\bdoctest::skip\(\s*(?:true)?\s*\)')
LEADING = re.compile(rf"^\s*({NUMBER}(?:\s*,\s*{NUMBER})*)(?=[\s:,]|$)")
STATES = ("proven", "excused", "later", "missing")


def read_clauses(path):
    clauses = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = CLAUSE.match(line)
        if not match:
            raise SystemExit(f"{path.name}:{number}: not '<number> <title>': {line}")
        if match.group(1) in clauses:
            raise SystemExit(f"{path.name}:{number}: {match.group(1)} is there twice")
        clauses[match.group(1)] = match.group(2)
    return clauses


def read_table(path):
    rows, problems = {}, []
    for number, line in enumerate(path.read_text().splitlines() if path.exists() else (), 1):
        match = ROW.match(line)
        if not match:
            continue
        clause, state, reason = match.groups()
        if state not in ("later", "excused"):
            problems.append(f"{path.name}:{number}: {clause} is neither later nor excused: {state}")
        elif clause in rows:
            problems.append(f"{path.name}:{number}: {clause} is there twice")
        elif not reason:
            problems.append(f"{path.name}:{number}: {clause} has no reason")
        else:
            rows[clause] = (state, reason)
    return rows, problems


def read_tests(root):
    """clause -> ["file:line name", ...]; tests that are skipped or commented out do not count."""
    proofs = collections.defaultdict(list)
    for path in sorted((root / "tests").rglob("*.cpp")):
        text = path.read_text()

        def without_comment(match):
            token = match.group(0)
            return re.sub(r"[^\n]", " ", token) if token[0] == "/" else token

        text = TOKEN.sub(without_comment, text)
        text = re.sub(r"^#if 0\b.*?^#(?:endif|else)\b", lambda m: re.sub(r"[^\n]", " ", m.group(0)), text, flags=re.S | re.M)
        for match in CASE.finditer(text):
            numbers = LEADING.match(match.group(1))
            if not numbers or SKIPPED.match(text, match.end()):
                continue
            line = text.count("\n", 0, match.start()) + 1
            where = f"{path.relative_to(root).as_posix()}:{line}"
            for number in re.split(r"\s*,\s*", numbers.group(1)):
                proofs[number].append(f"{where} {match.group(1)}")
    return proofs


def order(clause):
    parts = re.match(r"(D?)(\d+)(?:\.(\d+))?([a-z]?)", clause)
    return (parts[1], int(parts[2]), int(parts[3] or 0), parts[4])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    parser.add_argument("--strict", action="store_true", help="fail when a clause is missing")
    parser.add_argument("--list", nargs="?", const="all", metavar="STATE", choices=("all", *STATES),
                        help="list the clauses, all or of one state: " + ", ".join(STATES))
    options = parser.parse_args()
    root = options.root

    clauses = read_clauses(root / "docs/contract_clauses.txt")
    rows, problems = read_table(root / "docs/contract_coverage.md")
    proofs = read_tests(root)

    for clause in sorted(set(rows) - set(clauses), key=order):
        problems.append(f"contract_coverage.md: no clause {clause}")
    for clause in sorted(set(proofs) - set(clauses), key=order):
        problems.append(f"no clause {clause}: {proofs[clause][0]}")
    for clause in sorted(set(rows) & set(proofs), key=order):
        problems.append(f"stale: {clause} is marked {rows[clause][0]} and proven by {proofs[clause][0]}")

    state = {}
    for clause in clauses:
        state[clause] = "proven" if clause in proofs else rows[clause][0] if clause in rows else "missing"
    if options.list:
        for clause, title in clauses.items():
            if options.list in ("all", state[clause]):
                print(f"{clause:<6} {state[clause]:<8} {title}")
                for proof in proofs.get(clause, ()):
                    print(f"       {proof}")
    for problem in problems:
        print(problem)
    counts = collections.Counter(state.values())
    print(f"contract: {len(clauses)} clauses, " + ", ".join(f"{counts[s]} {s}" for s in STATES))
    return 1 if problems or (options.strict and counts["missing"]) else 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` is no error
    sys.exit(main())
