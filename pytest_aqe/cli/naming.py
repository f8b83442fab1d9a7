"""From tests to pytest arguments: an id where the test surely stands, else its function or file.

What brings tests to a file, or parameters to a function, reaches all that was known of it: so where
nothing of a function is left out the function is named, and where nothing of a file is, the file.
A method that subclasses inherit reaches nobody who is known; who depends on its module is named.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from functools import lru_cache
from typing import NamedTuple

from pytest_aqe.data import Identity, NodeId
from pytest_aqe.evidence.ground import Ground, content_of
from pytest_aqe.evidence.identity import without_group
from pytest_aqe.evidence.syntax import parse
from pytest_aqe.evidence.versions import ABSENT
from pytest_aqe.history import affected, browse
from pytest_aqe.history.store import Connection
from pytest_aqe.learning.impact import Because, Decision
from pytest_aqe.selecting import Selected

BY_MARK = "aqe_id"  # where others have their file: a test that is named by a mark
_NOT_LOOKED_INTO = "*.egg .* _darcs build CVS dist node_modules venv {arch}"  # by default
_SPACE = re.compile(r"\s")


class Patterns(NamedTuple):
    """What pytest collects, and where."""

    files: Sequence[str]
    functions: Sequence[str]
    homes: Sequence[str]
    avoided: Sequence[str]
    doctests: bool

    @staticmethod
    def of(settings: Mapping[str, str]) -> Patterns:
        """Read them from a configuration."""
        return Patterns(
            settings.get("python_files", "test_*.py *_test.py").split(),
            settings.get("python_functions", "test").split(),
            [each.strip("./") for each in settings.get("testpaths", "").split()],
            settings.get("norecursedirs", _NOT_LOOKED_INTO).split(),
            "--doctest-modules" in settings.get("addopts", ""),
        )

    def reach(self, file: str) -> bool:
        """Tell whether pytest looks there, by a path from the rootdir, when it is told no place."""
        folders = file.split("/")[:-1]
        if any(fnmatch(folder, each) for folder in folders for each in self.avoided):
            return False
        return not any(self.homes) or any(
            fnmatch(file, each) or fnmatch(file, f"{each}/*") for each in self.homes
        )

    def is_file(self, file: str) -> bool:
        """Tell a test module."""
        name = file.rpartition("/")[2]
        return name.endswith(".py") and any(
            fnmatch(f"/{file}", f"*/{each}") if "/" in each else fnmatch(name, each)
            for each in self.files
        )

    def is_function(self, name: str) -> bool:
        """Tell a test, by a function's name or a method's qualified one."""
        outer, _, last = name.rpartition(".")
        if outer and last.startswith("test"):  # whatever is configured, of `unittest`
            return True
        return any(last.startswith(each) or fnmatch(last, each) for each in self.functions)


class Test(NamedTuple):
    """A known test that runs: where it stands now, from the root, and its name there."""

    node_id: NodeId
    why: Because
    file: str
    name: str

    @property
    def function(self) -> str:
        """Its name without parameters."""
        return self.name.partition("[")[0]


class Naming(NamedTuple):
    """The known tests that run, and the tests that are new or gone.

    ``arguments`` and ``new`` are what pytest takes, from the root.
    """

    arguments: Sequence[str]
    tests: Sequence[Test]
    new: Sequence[str]
    gone: Sequence[NodeId]
    left_out: int


def named(
    connection: Connection,
    ground: Ground,
    patterns: Patterns,
    selected: Selected,
    decision: Decision,
) -> Naming:
    """Name what a session that runs in the rootdir of ``ground`` would run."""
    asked = decision.runs.keys() | decision.left_out
    here = {name for name in asked if name.startswith((ground.prefix, f"{BY_MARK}::"))}
    node_ids = browse.node_ids(
        connection,
        ground.suite,
        [name for name in here if name in decision.runs or name.startswith(BY_MARK)],
    )
    tests: list[Test] = []
    left_out: set[tuple[str, str]] = set()  # functions
    for name in here:
        for node_id in node_ids.get(name, [""]):
            place = _place(name, node_id, ground)
            if name in decision.runs:
                tests.append(Test(node_id, decision.runs[name], *place))
            else:
                left_out.add((place[0], place[1].partition("[")[0]))
    tests.sort()
    standing = Standing(ground, patterns, selected)
    known: dict[str, set[str]] = defaultdict(set)
    for file, function in left_out.union((each.file, each.function) for each in tests):
        known[file].add(function)
    doubtful = {each.file for each in tests if each.why.kind in ("failed", "unknown")}
    new, whole = _new(connection, ground, patterns, selected, standing, known, doubtful)
    there: list[Test] = []
    gone: list[Test] = []
    for each in tests:
        stands = standing.tells(each.file, each.function, each.why.kind != "unknown")
        if stands is None:
            whole.add(each.file)
        (gone if stands is False else there).append(each)
    return Naming(
        _arguments(ground, there, new, whole, left_out),
        there,
        sorted(new | whole.difference(known)),
        [each.node_id for each in gone],
        sum(name in here for name in decision.left_out),
    )


class Standing:
    """Tells whether a test that was seen still stands in its file."""

    def __init__(self, ground: Ground, patterns: Patterns, selected: Selected) -> None:
        self._ground = ground
        self._patterns = patterns
        self._state = selected.state
        effect = selected.effect
        self._changed = {(file, name) for _, file, name in effect.changed}
        self.differing = {file for files in effect.files.values() for file in files}
        self.source = lru_cache(maxsize=None)(lambda file: content_of(ground, file))

    def tells(self, file: str, function: str, seen: bool) -> bool | None:
        """Tell whether it does; None where only pytest knows.

        ``seen`` where it was there in a run that is compared with now.
        """
        if not (self._ground.root / file).exists():
            was_file = self._state.get(file) == ABSENT or self._patterns.is_file(file)
            return False if was_file else None
        name = function.replace("::", ".")
        if not file.endswith(".py"):
            return True
        if name in self.names(file):
            return True
        if parse(self.source(file)) is None:
            return None  # and pytest will say so
        if (file, name) in self._changed:
            return None if self._inherits(file, name.rpartition(".")[0]) else False
        return True if seen and file not in self.differing else None

    def names(self, file: str) -> Collection[str]:
        """Return the functions and methods of a file."""
        from pytest_aqe.evidence.readings import keep_in, pieces_of

        if self._ground.folder is not None:
            keep_in(self._ground.folder)
        pieces = pieces_of(self.source(file))
        return {name for name in pieces.checksums if not name.startswith("<")}

    def says_once(self, file: str, word: str) -> bool:
        """Tell whether a file only defines what it calls so: nothing there inherits from it."""
        return len(re.findall(rb"\b%s\b" % word.encode(), self.source(file))) == 1

    def _inherits(self, file: str, name: str) -> bool:
        """Tell a class of which only `import` knows what is in it."""
        if not name:
            return False
        last = re.escape(name.rpartition(".")[2]).encode()
        return re.search(rb"\bclass\s+%s\s*(?:\(\s*\)\s*)?:" % last, self.source(file)) is None


def _place(identity: Identity, node_id: NodeId, ground: Ground) -> tuple[str, str]:
    """Return the file of a test, from the root, and its name in it."""
    file, _, name = identity.partition("::")
    node_file, _, node_name = without_group(node_id).partition("::")
    if file == BY_MARK:
        file = os.path.normpath(ground.prefix + node_file).replace(os.sep, "/") if node_id else ""
    return file, node_name or name


def _new(
    connection: Connection,
    ground: Ground,
    patterns: Patterns,
    selected: Selected,
    standing: Standing,
    known: Mapping[str, Collection[str]],
    doubtful: Collection[str],
) -> tuple[set[str], set[str]]:
    """Return what was never collected: arguments, and files that may hold more than is known.

    ``doubtful`` are files that no compared run may have seen.
    """
    new: set[str] = set()
    whole: set[str] = set()
    inherited: set[str] = set()
    for file in _unseen(connection, ground, patterns, selected, standing):
        if file not in known and patterns.reach(file.removeprefix(ground.prefix)):
            whole.add(file)
    for _, file, name in selected.effect.added:
        if file in known or not patterns.reach(file.removeprefix(ground.prefix)):
            continue
        a_test = patterns.is_function(name)
        if patterns.is_file(file) and (not name or a_test):
            whole.add(file)
        if a_test and ("." in name or not patterns.is_file(file)):
            inherited.add(file)
    for file in standing.differing.union(doubtful).intersection(known):
        if file in selected.unvisited or not file.endswith(".py"):
            continue
        if not patterns.is_file(file):
            whole.add(file)  # doctests: nothing but pytest knows where one begins
            continue
        for name in filter(patterns.is_function, standing.names(file)):
            function = name.replace(".", "::")
            outer = function.rpartition("::")[0]
            if function in known[file]:
                continue
            if outer:
                inherited.add(file)
            if not outer or _is_plain(standing, file, outer, known[file]):
                new.add(f"{file}::{function}")
            else:
                whole.add(file)
    for file in inherited:
        whole |= affected.files_using(connection, ground.suite, [file]) - {file}
    return new, {file for file in whole if file.startswith(ground.prefix)}


def _unseen(
    connection: Connection,
    ground: Ground,
    patterns: Patterns,
    selected: Selected,
    standing: Standing,
) -> Iterator[str]:
    """Yield files that may be of tests by now: changed after the last whole run began.

    A test module that no run has imported, or where doctests are looked for what may
    hold one. What is older, pytest does not collect.
    """
    used = affected.used_files(connection, ground.suite)
    files = [
        file
        for file, version in selected.state.items()
        if file.endswith(".py") and file.startswith(ground.prefix) and version != ABSENT
        if patterns.doctests or (file not in used and patterns.is_file(file))
    ]
    last = browse.last_whole(connection, ground.suite) if files else 0.0
    for file in files:
        if (ground.root / file).stat().st_ctime < last:
            continue
        if (file not in used and patterns.is_file(file)) or b">>>" in standing.source(file):
            yield file


def _is_plain(standing: Standing, file: str, outer: str, known: Collection[str]) -> bool:
    """Tell a class of tests that nobody in its file inherits from."""
    return standing.says_once(file, outer.rpartition("::")[2]) and any(
        each.startswith(f"{outer}::") for each in known
    )


def _arguments(
    ground: Ground,
    tests: Sequence[Test],
    new: Collection[str],
    whole: Collection[str],
    left_out: Collection[tuple[str, str]],
) -> list[str]:
    """Return what to give pytest, from the root: as little as surely holds all of it."""
    kept = {file for file, _ in left_out}
    functions: dict[tuple[str, str], list[Test]] = defaultdict(list)
    for each in tests:
        functions[each.file, each.function].append(each)
    files = {file for file, _ in functions} | {each.partition("::")[0] for each in new}
    found = {file for file in files if file not in kept}.union(whole)
    arguments = [each for each in new if each.partition("::")[0] not in found]
    for (file, function), those in functions.items():
        if file in found:
            continue
        if (file, function) not in left_out or not all(map(_is_sure, those)):
            arguments.append(f"{file}::{function}")
        else:
            arguments += [f"{file}::{each.name}" for each in those]
    return sorted({*arguments, *found})


def _is_sure(test: Test) -> bool:
    """Tell whether pytest finds it by its name, and a shell takes that for one word."""
    return _SPACE.search(test.name) is None and not (
        test.why.kind == "unknown" and test.name != test.function
    )
