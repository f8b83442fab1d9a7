"""The offline author's search, in a sandboxed child: calls that reach what no test reached.

For every function with a gap: first the calls that the project's own tests and doctests make,
then those with one argument replaced, then mutations of what worked, guided by coverage. A
call is kept when it runs a missing line or takes a missing branch, does the same twice, and
what it did can be asserted. A crash that the project did not raise itself is never kept: it
may be a bug, and a test must not pin it.

Each function is searched in a fork, so that neither state nor a hang reaches the next one.
Run by ``warm.py``, or as ``python -m pytest_aqe.generation.search`` with a `SearchJob` on
standard input.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import json
import os
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from pytest_aqe.generation import confine, laws, subjects
from pytest_aqe.generation.calls import Calls, Material
from pytest_aqe.generation.cases import Case, Describer
from pytest_aqe.generation.comparisons import Comparisons
from pytest_aqe.generation.execution import Executor, Raises
from pytest_aqe.generation.harvest import (
    Harvest,
    Recorder,
    package_folder,
    run_doctests,
    run_tests,
)
from pytest_aqe.generation.hunt import LONGEST, Hunt, Wanted
from pytest_aqe.generation.leaf import leaf, telling_leaf
from pytest_aqe.generation.mutants import let_be_found
from pytest_aqe.generation.subjects import Subject
from pytest_aqe.generation.values import Writer, here

RESULT = "found.jsonl"
HARVEST = 20  # seconds of CPU for one file of tests, or for doctests
HARVESTING = 0.4  # of the time
LAWS = 10.0  # seconds for properties, at most
LEAST_LAWS = 1.5  # seconds, half of which hypothesis takes to be imported
LAST_LAW = 0.7  # of them: then none other is tried, so that what was found is not lost
LAWFUL = 0.1, 0.4  # of the time, at least and at most; in a hurry they get what is left
HURRY = 0.15  # seconds for each function: with less, there is no time for all of them


@dataclass(frozen=True, slots=True)
class SearchJob:
    """What to search. ``seconds`` are for the search; ``tests`` are files of the suite.

    ``seen`` has what was seen of such files in searches before, as `Harvest.wire` gives it.
    """

    scratch: str
    root: str
    target: str
    module: str
    readable: tuple[str, ...]
    gaps: tuple[Wanted, ...]
    tests: tuple[str, ...]
    seconds: float
    seed: int
    seen: dict[str, list[Any]]

    def encode(self) -> str:
        """Return the job as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, text: str) -> SearchJob:
        """Read a job."""
        values = json.loads(text)
        gaps = tuple(
            Wanted(g["name"], g["line"], tuple(g["lines"]), tuple((a, b) for a, b in g["arcs"]))
            for g in values.pop("gaps")
        )
        lists = {name: tuple(values[name]) for name in ("readable", "tests")}
        return cls(**{**values, **lists, "gaps": gaps})


def main() -> None:
    """Run the job on standard input."""
    run(sys.stdin.read())
    os._exit(0)


def run(text: str) -> None:
    """Confine this process, search, leave what was found in the scratch folder."""
    job = SearchJob.decode(text)
    confine.limit(int(job.seconds * 2) + 60)
    confine.confine(job.readable, [job.scratch], job.root)
    folder = package_folder(job.target)
    packages = frozenset({job.module.partition(".")[0]})
    let_be_found(job.module)
    module = importlib.import_module(job.module)
    harvest = _harvest(job, module, folder, packages)
    search = Search(job, module, harvest, packages)
    stop = time.monotonic() + job.seconds
    groups, hurry = in_turn(job.gaps, job.seconds)
    lawful = _time_for_laws(job, module)
    hunting = stop if hurry else stop - lawful
    for place, (outer, group) in enumerate(groups):
        left = hunting - time.monotonic()
        if left <= 0:
            break
        share = left / (len(groups) - place)
        most = share + (left - share) / 4
        _tell(job, "searched", [*group])
        for subject in subjects.reaching(module, outer, job.target, group.values()):
            limit = int(min(most, LONGEST)) + 2  # some calls nothing ends but the system
            hunt = partial(search.cases, subject, group, share, most)
            kept, found = telling_leaf(hunt, limit)
            # what ended it, a call that fills all memory say, does not take what came before
            cases = kept if isinstance(kept, list) else found
            _tell(job, "cases", cases)
            group = _without_found(group, cases)
    left = min(stop - time.monotonic(), LAWS)
    if lawful and left > 0:
        said = leaf(lambda: _laws(job, module, LAST_LAW * left), left)
        _tell(job, "cases", said if isinstance(said, list) else [])


def in_turn(
    gaps: Sequence[Wanted], seconds: float
) -> tuple[list[tuple[str, dict[int, Wanted]]], bool]:
    """Return outermost functions in the order to search them, and whether time is short.

    Small ones come first, for they leave most of their share to large ones; where there is no
    time for all (`HURRY`), large ones do. Each has its gaps by their number.
    """
    groups: dict[str, dict[int, Wanted]] = defaultdict(dict)
    for number, gap in enumerate(gaps):
        if gap.name:
            groups[gap.name.split(".<locals>")[0]][number] = gap
    hurry = seconds < HURRY * len(groups)
    return sorted(groups.items(), key=_size, reverse=hurry), hurry


def _size(group: tuple[str, dict[int, Wanted]]) -> int:
    return sum(len(gap.lines) + len(gap.arcs) for gap in group[1].values())


def _tell(job: SearchJob, what: str, told: Sequence[Any]) -> None:
    """Add a line to what is left behind: whatever ends this process later, it is not lost."""
    with Path(job.scratch, RESULT).open("a", encoding="utf-8") as left:
        left.write(json.dumps({what: told}) + "\n")


class Told(NamedTuple):
    """What a search left behind: the gaps it looked at by number, files of tests it ran."""

    cases: list[Case]
    searched: set[int]
    seen: dict[str, list[Any]]


def told_by(scratch: Path) -> Told:
    """Return what a search left behind.

    Nothing counts from where it cannot be read on: that was not written to its end, or by a
    call that was tried.
    """
    told = Told([], set(), {})
    with (
        suppress(OSError, ValueError, TypeError, AttributeError, RecursionError),
        (scratch / RESULT).open(encoding="utf-8") as lines,
    ):
        for line in lines:
            said = json.loads(line)
            told.cases.extend([Case(**each) for each in said.get("cases", ())])
            told.searched.update(said.get("searched", ()))
            for file, wire in said.get("seen", ()):
                Harvest.read(wire)
                told.seen[file] = wire
    return told


def _time_for_laws(job: SearchJob, module: Any) -> float:
    """Return seconds that are kept for properties, where names suggest any."""
    if not laws.candidates(module, frozenset(gap.name for gap in job.gaps)):
        return 0.0
    least, most = (part * job.seconds for part in LAWFUL)
    return min(max(least, LEAST_LAWS), most)


def _laws(job: SearchJob, module: Any, seconds: float) -> list[dict[str, Any]]:
    """Return property tests for functions with a gap; after ``seconds`` none other is tried."""
    numbers = {gap.name: number for number, gap in enumerate(job.gaps)}
    cases = []
    for law in laws.laws(module, frozenset(numbers), time.process_time() + seconds):
        names = dict.fromkeys([law.first, law.second])
        needed = [each for each in laws.IMPORTS if "string" in law.strategy or "string" not in each]
        imports = [*needed, *(f"from {job.module} import {name}" for name in names)]
        for name in names:
            if name in numbers:
                case = Case(numbers[name], law.title, "", [law.claim], imports, [], marks=law.marks)
                cases.append(asdict(replace(case, fixtures=["value"])))
                break
    return cases


def _without_found(group: dict[int, Wanted], said: Sequence[dict[str, Any]]) -> dict[int, Wanted]:
    """Return what is still missing after a subject was searched."""
    lines = {line for case in said for kind, line in case["gains"] if kind == "l"}
    arcs = {tuple(arc) for case in said for kind, arc in case["gains"] if kind == "a"}
    return {
        number: replace(
            gap,
            lines=tuple(line for line in gap.lines if line not in lines),
            arcs=tuple(arc for arc in gap.arcs if arc not in arcs),
        )
        for number, gap in group.items()
    }


def _harvest(job: SearchJob, module: Any, folder: str, packages: frozenset[str]) -> Harvest:
    """See how tests and doctests call the package; each file in a fork of its own."""
    whole = Harvest()
    stop = time.monotonic() + max(HARVESTING * job.seconds, 1.0)
    local = here(job.scratch, job.root)

    def seen(files: Sequence[str]) -> list[Any]:
        recorder = Recorder(folder, packages, local)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            if files:
                run_tests(recorder, job.scratch, files)
            else:
                run_doctests(recorder, module)
        return recorder.harvest.wire()

    for file in ("", *job.tests):
        said = job.seen.get(file)
        if said is None:
            if time.monotonic() > stop:
                break
            said = leaf(partial(seen, [file] if file else []), HARVEST)
            said = said if isinstance(said, list) else []  # it would not end the next time, too
            if file:
                _tell(job, "seen", [[file, said]])
        for place, samples in Harvest.read(said).samples.items():
            known = whole.samples[place]
            known += [each for each in samples if each not in known]
    return whole


class Search:
    """Search functions of one module, one at a time."""

    def __init__(
        self, job: SearchJob, module: Any, harvest: Harvest, packages: frozenset[str]
    ) -> None:
        self._seed = job.seed
        writer = Writer(packages, local=here(job.scratch, job.root))
        comparisons = Comparisons()
        comparisons.install(module, job.target)
        raises = Raises(package_folder(job.target))
        raises.of(job.target)  # for all forks
        self._executor = Executor(job.target, raises, comparisons, job.scratch)
        self._describer = Describer(writer, self._executor.namespace, packages)
        self._material = Material(
            module,
            harvest,
            packages,
            writer.write,
            self._executor.can_be_made,
            comparisons.written,
        )

    def cases(
        self,
        subject: Subject,
        gaps: dict[int, Wanted],
        share: float,
        most: float,
        tell: Callable[[dict[str, Any]], None],
    ) -> list[dict[str, Any]]:
        """Return the cases found for a function; for its time see `Hunt.run`.

        Each is told when it is found, and the best of them are returned.
        """
        self._executor.install()
        seed = f"{self._seed}{subject.path}{inspect.getsource(subject.function)}"
        chance = random.Random(
            int.from_bytes(blake2b(seed.encode(), digest_size=8).digest(), "big")
        )
        calls = Calls(self._material, subject, chance)
        hunt = Hunt(
            self._executor, self._describer, calls, subject, gaps, lambda case: tell(asdict(case))
        )
        hunt.run(share, most)
        return [asdict(case) for case in hunt.kept()]


if __name__ == "__main__":
    main()
