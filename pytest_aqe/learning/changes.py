"""How near a change is to a test, by names and by what failed together before.

A test whose own file changed fails 7 to 14 times more often (docs: learning). Plain Python: a
session asks this for the files of a change only, and needs no arrays for it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

MOST_FILES = 200  # of a change; a larger one says little about any single test
MOST_FAILURES = 100  # of a run; when more fail together, no file is to blame for one test
_WORD = re.compile(r"[a-z0-9]+|[A-Z][a-z0-9]*")
_COMMON = frozenset({"test", "tests", "src", "py", "init", "main", "lib", "conftest"})


class Touch(NamedTuple):
    """What a change has to do with a test file: each from 0 (nothing) to 1."""

    own: float
    stem: float
    folder: float
    tokens: float


TOUCHES = (*Touch._fields, "cofailure")


def touched(paths: Sequence[str], changed: Iterable[str]) -> dict[int, Touch]:
    """Return what each test file (its index in ``paths``) has to do with the change, if anything.

    ``stem``: ``test_x.py`` or ``x_test.py`` beside a changed ``x.py``. ``folder``: the same
    folder, that of its tests included. ``tokens``: of the words in a test file's path, the
    largest share that one changed path has too.
    """
    files = list(changed)[:MOST_FILES]
    names = set(files)
    stems = {_stem(file) for file in files}
    folders = {_folder(file) for file in files}
    words = [_words(file) for file in files]
    common = set().union(*words)
    found = {}
    for number, path in enumerate(paths):
        mine = _words(path)
        shared = 0.0
        if mine and not mine.isdisjoint(common):
            shared = max(len(mine & other) for other in words) / len(mine)
        own = float(path in names)
        stem = float(_stem(path) in stems)
        folder = float(_folder(path) in folders)
        if own or stem or folder or shared:
            found[number] = Touch(own, stem, folder, shared)
    return found


def _stem(path: str) -> str:
    name = path.rpartition("/")[2].partition(".")[0].lower()
    return name.removeprefix("test_").removesuffix("_test").removesuffix("_tests").strip("_")


def _folder(path: str) -> str:
    """Return the folder of what a file belongs to: that of the code, for its tests."""
    parts = [part for part in path.split("/")[:-1] if part not in ("tests", "test")]
    return "/".join(parts)


def _words(path: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(path.rpartition(".")[0] or path)} - _COMMON


class Cofailures:
    """How often a test, by its number in the history, failed in runs that changed a file.

    ``fresh`` are the files of which something was learnt since it was last emptied.
    """

    def __init__(self) -> None:
        self.changes: dict[str, int] = defaultdict(int)
        self.failures: dict[str, dict[int, int]] = defaultdict(dict)
        self.fresh: set[str] = set()

    def learn(self, changed: Iterable[str], failed: Sequence[int]) -> None:
        """Take in one run: the files it changed and the tests that failed."""
        for file in list(changed)[:MOST_FILES]:
            self.changes[file] += 1
            self.fresh.add(file)
            if 0 < len(failed) <= MOST_FAILURES:
                there = self.failures[file]
                for test in failed:
                    there[test] = there.get(test, 0) + 1

    def rates(self, changed: Iterable[str], base: float, shrink: float) -> Mapping[int, float]:
        """Return each test's highest rate over the changed files, shrunk toward ``base``."""
        found: dict[int, float] = {}
        for file in list(changed)[:MOST_FILES]:
            times = self.changes.get(file, 0)
            for test, count in self.failures.get(file, {}).items():
                rate = (count + shrink * base) / (times + shrink)
                found[test] = max(found.get(test, 0.0), rate)
        return found
