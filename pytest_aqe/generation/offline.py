"""The author without a model: calls that were searched for, written as tests.

One search a file, in the sandbox, serves all of its gaps. Cases of one shape become one
parametrized test; where that is refused as a whole, the repair gives every case a test of its
own, and the trial takes the good ones.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

from pytest_aqe.data import SEARCHED, Candidate, Gap, Target, Trial
from pytest_aqe.generation.cases import Case
from pytest_aqe.generation.cores import Cores
from pytest_aqe.generation.harvest import package_folder
from pytest_aqe.generation.hunt import Wanted
from pytest_aqe.generation.interpreters import Interpreters
from pytest_aqe.generation.sandbox import Sandbox, Settings, readable
from pytest_aqe.generation.search import SearchJob, told_by

TEST_FILES = 3  # of the suite that are run again to see how they call the code
LEAST = 2  # cases that share one test
_WIDTH = 100


class Offline:
    """Write tests from what the project shows of itself. No model, no network, no tokens."""

    name = "offline"

    def __init__(
        self, settings: Settings, processes: Interpreters, cores: Cores | None = None
    ) -> None:
        """Each search holds one of the ``cores``."""
        self._settings = settings
        self._processes = processes
        self._cores = cores or Cores()
        self._found: dict[Gap, list[Case]] = {}  # of the targets searched
        # of each package, what its test files showed: all that they call is seen in one run
        self._seen: dict[str, dict[str, list[Any]]] = defaultdict(dict)
        self._searches: dict[str, Future[None]] = {}
        self._promised: dict[str, float] = {}  # seconds, by file
        self._took: dict[str, float] = {}  # seconds, by file that was searched
        self._worker = ThreadPoolExecutor(self._cores.number, "aqe-search")
        self.searched: set[Gap] = set()
        """Gaps that were looked at; for others there was no time."""

    def prepare(self, target: Target) -> None:
        """Search a file beside whatever else goes on, after those that were prepared before."""
        file = str(target.file)
        if file not in self._searches:
            self._promised[file] = target.seconds
            self._searches[file] = self._worker.submit(self._search, target)

    @property
    def pending(self) -> float:
        """Seconds that files may take which were prepared and are not searched yet."""
        return sum(
            seconds for file, seconds in self._promised.items() if not self._searches[file].done()
        )

    @property
    def thrift(self) -> float:
        """The part of their seconds that searches took; 1 until that is known."""
        took = dict(self._took)
        promised = sum(self._promised[file] for file in took)
        return min(sum(took.values()) / promised, 1.0) if promised else 1.0

    def close(self) -> None:
        """Begin no other search."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def author(self, gap: Gap, target: Target) -> Sequence[Candidate]:
        """Return one candidate with all that was found for a gap."""
        self.prepare(target)
        self._searches[str(target.file)].result()
        cases = self._found.get(gap)
        if not cases:
            return []
        return [Candidate(gap, written(cases, gap), self.name, origin=SEARCHED)]

    def repair(self, trials: Sequence[Trial], target: Target) -> Sequence[Candidate]:
        """Give each case of a refused parametrized test a test of its own, once."""
        found: list[Candidate] = []
        for trial in trials:
            old = trial.candidate
            cases = self._found.get(old.gap, [])
            text = written(cases, old.gap, merge=False) if len(cases) >= LEAST else old.text
            if not old.attempt and text != old.text:
                found.append(old._replace(text=text, attempt=1))
        return found

    def _search(self, target: Target) -> None:
        with self._cores.one():
            began = time.monotonic()
            self._look(target)
            self._took[str(target.file)] = time.monotonic() - began

    def _look(self, target: Target) -> None:
        sandbox = Sandbox(self._settings, target, self._processes)
        package = package_folder(str(target.file.resolve()))
        files = dict.fromkeys(each.partition("::")[0] for each in target.tests)
        tests = tuple(str(target.rootdir / file) for file in islice(files, TEST_FILES))
        with sandbox.scratch({}) as scratch:
            job = SearchJob(
                scratch=str(scratch),
                root=str(target.root),
                target=str(target.file.resolve()),
                module=target.module,
                readable=tuple(readable(target)),
                gaps=tuple(
                    Wanted(gap.name, gap.line, gap.lines, gap.branches or ()) for gap in target.gaps
                ),
                tests=tests,
                seconds=target.seconds,
                seed=target.seed,
                seen={file: seen for file, seen in self._seen[package].items() if file in tests},
            )
            sandbox.start(job.encode(), scratch, "search", wall=target.seconds * 4 + 60)
            cases, searched, seen = told_by(scratch)
        self._seen[package].update(seen)
        for number, gap in enumerate(target.gaps):
            if number in searched:
                self.searched.add(gap)
            if found := [case for case in cases if case.gap == number]:
                self._found.setdefault(gap, []).extend(found)


def written(cases: Sequence[Case], gap: Gap, *, merge: bool = True) -> str:
    """Return a test module for the cases of a gap; the same cases give the same bytes."""
    groups: dict[str, list[Case]] = defaultdict(list)
    for number, case in enumerate(cases):
        alone = not merge or case.expected is None or not case.names
        groups[f"{number}" if alone else case.shape].append(case)
    imports: set[str] = set()
    used: set[str] = set()
    bodies: list[str] = []
    for group in groups.values():
        for case in group:
            imports.update(case.imports)
        name = _unused(_name(group), used)
        if len(group) >= LEAST:
            imports.add("import pytest")
            bodies.append(_parametrized(name, group))
        else:
            bodies.append(_single(name, group[0]))
    return "\n".join([*_sorted_imports(imports), "", "", "\n\n\n".join(bodies), ""])


def _single(name: str, case: Case) -> str:
    lines = [*case.marks, f"def {name}({', '.join(case.fixtures)}):"]
    for line in case.lines:
        lines += [f"    {part}" for part in _folded(line)]
    return "\n".join(lines)


def _folded(line: str) -> list[str]:
    """Break a long comparison after its sign."""
    if len(line) + 4 <= _WIDTH or not line.startswith("assert ") or " == " not in line:
        return [line]
    left, _, right = line.removeprefix("assert ").rpartition(" == ")
    if left.count("(") != left.count(")") or left.count("[") != left.count("]"):
        return [line]
    return [f"expected = {right}", f"assert {left} == expected"] if '"' not in left else [line]


def _parametrized(name: str, group: Sequence[Case]) -> str:
    first = group[0]
    names = list(first.names)
    expected = "expected"
    while expected in names:
        expected += "_"
    rows = [f"        ({', '.join([*case.arguments, str(case.expected)])})," for case in group]
    compared = {
        "is": f"{first.call} is {expected}",
        "name": f"{first.call}.name == {expected}",
        "repr": f"repr({first.call}) == {expected}",
    }.get(first.form)
    if compared is None:
        wrapper = first.form.removesuffix("==")
        call = f"{wrapper}({first.call})" if wrapper else first.call
        compared = f"{call} == {expected}"
    signature = ", ".join([*names, expected])
    return "\n".join(
        [
            "@pytest.mark.parametrize(",
            f'    "{signature}",',
            "    [",
            *rows,
            "    ],",
            ")",
            f"def {name}({signature}):",
            f"    assert {compared}",
        ]
    )


def _name(group: Sequence[Case]) -> str:
    case = group[0]
    base = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", case.function.replace(".", "_")).lower()
    base = re.sub(r"_+", "_", base).strip("_")
    if case.error:
        kind = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", case.error).lower()
        return f"test_{base}_raises_{kind}"
    return f"test_{base}"


def _unused(name: str, used: set[str]) -> str:
    found = name
    number = 2
    while found in used:
        found = f"{name}_{number}"
        number += 1
    used.add(found)
    return found


def _sorted_imports(imports: Iterable[str]) -> list[str]:
    """Merge ``from a import b``; standard library, pytest, project, each sorted."""
    plain = sorted(each for each in imports if each.startswith("import ") and "pytest" not in each)
    other = {each for each in imports if each.startswith("from hypothesis ")}
    imports = set(imports) - other
    named: dict[str, set[str]] = defaultdict(set)
    for each in imports:
        if each.startswith("from "):
            module, _, name = each.removeprefix("from ").partition(" import ")
            named[module].add(name)
    lines = [*plain]
    third = (["import pytest"] if "import pytest" in imports else []) + (
        ["from hypothesis import given, settings", "from hypothesis import strategies as st"]
        if other
        else []
    )
    lines += ["", *third] if plain and third else third
    if named and lines:
        lines.append("")
    return [
        *lines,
        *(f"from {module} import {', '.join(sorted(named[module]))}" for module in sorted(named)),
    ]
