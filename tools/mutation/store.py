"""What is known from earlier runs, and which mutants are excused."""

import hashlib
import json

KINDS = ("quick", "plain", "sanitized")  # of hunts, each more thorough than the one before


# Folders of tests in which each file stands for itself, but for the headers.
FILE_BY_FILE = ("tests/core/", "tests/base/", "tests/contract/", "tests/faults/", "tests/stress/")


class Results:
    """Verdicts by mutant. One counts as long as what it came from is unchanged: the header and, for
    a mutant that was killed, the file of the test that did it; for one that survived, all tests.
    Of those only the ones that have changed since are run again."""

    def __init__(self, path, root, programs):
        self.path, self.root = path, root
        self.known = json.loads(path.read_text()) if path.exists() else {}
        self._hashes = {}
        files = sorted((root / "tests").rglob("*.?pp"))
        self.suite = {
            "programs": list(programs),
            "files": {p.relative_to(root).as_posix(): self._hash(p) for p in files},
        }
        self.all_tests = hashlib.sha256(json.dumps(self.suite).encode()).hexdigest()[:16]
        self._unchanged = {}
        # What the tests were when verdicts came of them.
        self._suites_path = path.with_name("suites.json")
        self.suites = json.loads(self._suites_path.read_text()) if self._suites_path.exists() else {}

    def verdict(self, mutant, kind="plain"):
        """The entry of a mutant if it still counts, or None; a survivor has to have been tried in
        that kind of hunt."""
        entry = self.known.get(mutant.id)
        if entry is None or entry["header"] != self._header(mutant):
            return None
        if not entry["by"] and kind not in entry["tried"]:
            return None
        source = self._hash(self.root / entry["file"]) if entry["by"] else self.all_tests
        return entry if entry["tests"] == source else None

    def has_passed(self, mutant, test, kind):
        """Tells whether a test is known to pass with a mutant on, and is as it was then."""
        entry = self.known.get(mutant.id)
        if entry is None or entry["by"] or entry["header"] != self._header(mutant) or kind not in entry["tried"]:
            return False
        key = (entry["tests"], test.program, source_of(test))
        if key not in self._unchanged:
            self._unchanged[key] = self._is_unchanged(*key)
        return self._unchanged[key]

    def _is_unchanged(self, suite, program, file):
        former = self.suites.get(suite)
        if former is None or program not in former["programs"]:
            return False
        alone = file.startswith(FILE_BY_FILE)
        folder = "/".join(file.split("/")[:2]) + "/"

        def concerns(name):
            return name == file or name.startswith("tests/support/") or (name.startswith(folder) and
                                                                         not (alone and name.endswith(".cpp")))  # fmt: skip

        then, now = ({n: h for n, h in suite["files"].items() if concerns(n)} for suite in (former, self.suite))
        return then == now

    def last_killer(self, mutant):
        """The key of the test that killed it once, even if that was long ago."""
        return self.known.get(mutant.id, {}).get("by")

    def add(self, mutant, verdict, kind):
        file = ""
        # Each kind finds out what the former ones do, or gets only what survived them.
        tried = list(KINDS[: KINDS.index(kind) + 1])
        if verdict.by:
            file = source_of(verdict.by)
        self.known[mutant.id] = {
            "how": verdict.how,
            "by": verdict.by.key if verdict.by else None,
            "file": file,
            "tried": tried,
            "header": self._header(mutant),
            "tests": self._hash(self.root / file) if file else self.all_tests,
        }

    def save(self):
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(self.known, indent=0, sort_keys=True))
        new.rename(self.path)
        self.suites[self.all_tests] = self.suite
        used = {entry["tests"] for entry in self.known.values() if not entry["by"]}
        kept = {key: suite for key, suite in self.suites.items() if key in used}
        self._suites_path.write_text(json.dumps(kept, indent=0))

    def _header(self, mutant):
        return self._hash(self.root / "include" / mutant.file)

    def _hash(self, *paths):
        if paths not in self._hashes:
            digest = hashlib.sha256()
            for path in paths:
                digest.update(path.read_bytes() if path.exists() else b"")
            self._hashes[paths] = digest.hexdigest()[:16]
        return self._hashes[paths]


def source_of(test):
    """The file of a test, as the project has it."""
    return "tests/" + test.file.partition("/tests/")[2]


class Excused:
    """excused.txt: lines with the ids of mutants, a final `*` for any rest, then indented ones with why."""

    def __init__(self, path):
        self.patterns = {}  # pattern -> reason
        self.problems = []
        ids, reason = [], []
        for number, line in enumerate([*path.read_text().splitlines(), "end"] if path.exists() else (), 1):
            if line.startswith("#") or not line.strip():
                continue
            if line[0] == " ":
                reason.append(line.strip())
                continue
            if reason:
                self._close(ids, reason, path, number)
                ids, reason = [], []
            ids.append(line.strip())
        if ids not in ([], ["end"]):
            self.problems.append(f"{path.name}: no reason for: {ids[0]}")

    def _close(self, ids, reason, path, number):
        for pattern in ids:
            if pattern in self.patterns:
                self.problems.append(f"{path.name}:{number}: is there twice: {pattern}")
            self.patterns[pattern] = " ".join(reason)

    def pattern_of(self, mutant):
        if mutant.id in self.patterns:
            return mutant.id
        for pattern in self.patterns:
            if pattern.endswith("*") and mutant.id.startswith(pattern[:-1]):
                return pattern
        return None
