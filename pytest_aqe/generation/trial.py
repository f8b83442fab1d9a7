"""The trial: what a candidate has to prove before anybody sees it.

Cheapest first. Read: it parses, is harmless as far as can be read (``rules.py``) and can fail
for a reason (``oracle.py``). Run, in a sandbox: every test function passes alone, reaches for
nothing and leaves nothing behind; it adds lines or branches in its gap; it passes in four more
interpreters under other hash seeds, orders, time zones, folders, with other luck, on other
machines and at other dates, the last time before tests of the suite that must not notice; and
it notices a mutant of what it gained. A function that does not is taken out, and the rest is
judged without it.

A candidate that says that the code is wrong, and fails the same way every time, is a bug
found. It is never rewritten to pass.
"""

from __future__ import annotations

import ast
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_aqe.data import SEARCHED, Candidate, Stage, Target, Trial, Verdict
from pytest_aqe.generation.interpreters import Interpreters
from pytest_aqe.generation.job import Job, Ran, Report
from pytest_aqe.generation.proposals import bundled, is_simple, merged
from pytest_aqe.generation.rules import Refusal, Static, check, without
from pytest_aqe.generation.sandbox import Sandbox, Settings, changed
from pytest_aqe.generation.values import here

MUTANTS = 6  # met by each test, until it notices one
_LEAP_DAY = 1835395199.0  # 2028-02-28 23:59:59 UTC, a second before a leap day
_LATER = 400 * 86_400.0  # seconds
# with seed 0 these show both orders of 197 of 231 pairs of short texts and small numbers in a
# set, found by trying 500 (CPython 3.11 and later); 1, 2, 3, 4 show 143
HASH_SEEDS = ("388", "406", "265", "8")


@dataclass(frozen=True, slots=True)
class _Circumstances:
    """What an interpreter has of its own: environment, order, date, folder, tests of the suite.

    ``scratch`` begins the name of the folder that it may write in. ``as_by_user`` rewrites
    assertions, as the user's pytest will. With ``variables`` it has those that others have set.
    """

    order: int
    environ: Mapping[str, str]
    clock: float | None = None
    folder: str = ""
    beside: str = ""
    scratch: str = "another-folder-"
    as_by_user: bool = False
    variables: bool = False


@dataclass(slots=True)
class _Trying:
    """A candidate on its way: what is left of it, and what is known of each function."""

    candidate: Candidate
    static: Static
    file: str
    text: str
    tests: dict[str, Ran] = field(default_factory=dict)
    refused: dict[str, Refusal] = field(default_factory=dict)
    refusal: Refusal | None = None
    output: str = ""
    bug: str = ""
    cases: dict[str, int] = field(default_factory=dict)

    def refuse(self, stage: Stage, reason: str) -> None:
        """Refuse the whole candidate, unless it was before."""
        if self.refusal is None:
            self.refusal = Refusal(stage, reason)

    def drop(self, name: str, stage: Stage, reason: str) -> None:
        """Take one function out; the last one takes the candidate with it."""
        self.refused[name] = Refusal(stage, reason)
        if not self.left:
            self.refuse(stage, reason)

    @property
    def left(self) -> list[str]:
        """The functions that still stand."""
        return [name for name in self.static.tests if name not in self.refused]


@dataclass(frozen=True, slots=True)
class _Written:
    """Test modules as a child gets them, and whose each of their tests is.

    What was searched for shares a module: to collect one for each takes longer than to run them.
    """

    texts: dict[str, str]
    owners: dict[tuple[str, str], tuple[_Trying, str]]

    @classmethod
    def of(cls, trying: Sequence[_Trying], *, apart: bool = False) -> _Written:
        """Write what is left of candidates; ``apart`` gives each a module of its own."""
        written = cls({}, {})
        shared: list[_Trying] = []
        for each in trying:
            if each.candidate.origin == SEARCHED and not apart and is_simple(each.text):
                shared.append(each)
                continue
            written.texts[each.file] = each.text
            written.owners.update({(each.file, name): (each, name) for name in each.left})
        for numbers in bundled([each.text for each in shared]):
            group = [shared[number] for number in numbers]
            file = group[0].file
            written.texts[file], called = merged(each.text for each in group)
            for each, names in zip(group, called, strict=True):
                written.owners.update({(file, names[own]): (each, own) for own in each.left})
        return written

    def tests(self, ran: Iterable[Ran]) -> Iterator[tuple[_Trying, str, Ran]]:
        """Yield whose test each is that ran, and by which name."""
        for one in ran:
            owner = self.owners.get((Path(one.file).name, one.name))
            if owner is not None:
                yield *owner, one

    def proven(self, report: Report | str) -> set[str]:
        """Return the modules of which all that pytest found there passed, and is somebody's."""
        if isinstance(report, str) or report.refused:
            return set()
        found = {
            (Path(one.file).name, one.name if one.outcome == "passed" and not one.denied else "")
            for one in report.together
        }
        bad = {file for file, name in found - self.owners.keys()}
        return {text for file, text in self.texts.items() if file not in bad}


class Trials:
    """Try candidates for one target; `judge` is what a pipeline calls."""

    def __init__(
        self,
        settings: Settings,
        target: Target,
        now: float,
        processes: Interpreters,
        elsewhere: AbstractContextManager[object] | None = None,
    ) -> None:
        """``elsewhere`` is a lock where other targets are tried at the same time.

        Who holds it runs its four further interpreters: they keep all cores busy, and one of
        each is enough for all targets.
        """
        self._target = target
        self._now = now
        self._sandbox = Sandbox(settings, target, processes)
        self._turn = elsewhere or nullcontext()
        self._defined = _defined(target.source)
        self._local = here(str(target.root), str(target.rootdir))
        self._alone: dict[str, dict[str, str]] = {}  # what the suite's tests do by themselves
        self._proven: set[str] = set()  # modules that ran as they are in all circumstances
        self._written: dict[tuple[object, ...], _Written] = {}  # of what is judged

    def judge(self, candidates: Sequence[Candidate], target: Target) -> list[Trial]:
        """Try candidates together and return a verdict on each, in their order."""
        before = self._sandbox.spent.seconds
        self._written.clear()
        trying = [self._read(number, each) for number, each in enumerate(candidates)]
        for model in (False, True):
            self._run([each for each in trying if each.candidate.model is model], model)
        spent = self._sandbox.spent.seconds - before
        ran = sum(each.static.refusal is None for each in trying)
        return [self._verdict(each, spent / ran if ran else 0.0) for each in trying]

    @property
    def seconds(self) -> float:
        """CPU time of all children so far."""
        return self._sandbox.spent.seconds

    def again(self, text: str, tests: Sequence[str], *, model: bool) -> dict[str, str]:
        """Run a module of accepted tests once more; return why each failed, empty if it passed.

        One that ran as it is in all circumstances need not run again.
        """
        if text in self._proven:
            return dict.fromkeys(tests, "")
        with self._sandbox.scratch({"test_aqe.py": text}) as scratch:
            job = self._sandbox.job(scratch, ["test_aqe.py"], model=model)
            report = self._sandbox.run(job)
        if isinstance(report, str) or report.refused:
            said = report if isinstance(report, str) else report.refused
            return dict.fromkeys(tests, said)
        found = dict.fromkeys(tests, "pytest does not collect it")
        for ran in report.together:
            if ran.outcome == "passed" and not ran.denied:
                if found.get(ran.name) == "pytest does not collect it":
                    found[ran.name] = ""
            else:
                found[ran.name] = _last_line(ran.error)
        return found

    def _write(self, trying: Sequence[_Trying], *, apart: bool = False) -> _Written:
        """Write what is left of candidates; the same is asked for in every interpreter."""
        key = (apart, *((id(each), each.text, *each.left) for each in trying))
        if key not in self._written:
            self._written[key] = _Written.of(trying, apart=apart)
        return self._written[key]

    def _read(self, number: int, candidate: Candidate) -> _Trying:
        target = self._target
        packages = frozenset({target.module, target.module.partition(".")[0]})
        static = check(candidate.text, packages, self._defined, self._local)
        trying = _Trying(candidate, static, f"test_aqe_{number}.py", candidate.text)
        if static.refusal is not None:
            trying.refusal = static.refusal
            return trying
        for name, refusal in static.refused.items():
            trying.refused[name] = refusal
        if not static.tests:
            first = next(iter(static.refused.values()))
            trying.refuse(first.stage, first.reason)
        return trying

    def _run(self, trying: Sequence[_Trying], model: bool, *, apart: bool = False) -> None:
        """Run candidates in the same children; what ends one of them is found by halving."""
        trying = [each for each in trying if each.refusal is None]
        if not trying:
            return
        self._settle(trying)
        written = self._write(trying, apart=apart)
        report = self._first(written, trying, model)
        if isinstance(report, str):
            if len(trying) == 1:
                trying[0].refuse("run", report)
                return
            half = len(trying) // 2
            self._run(trying[:half], model, apart=apart)
            self._run(trying[half:], model, apart=apart)
            return
        if report.refused:
            for each in trying:
                each.refuse("run", report.refused)
            return
        if report.broken and len(written.texts) < len(trying):
            self._run(trying, model, apart=True)  # one does not take its mates with it
            return
        self._read_first(written, trying, report)
        self._read_together(written, trying, report, "together with the others")
        self._elsewhere(trying, model)

    def _first(self, written: _Written, trying: Sequence[_Trying], model: bool) -> Report | str:
        with self._sandbox.scratch(written.texts) as scratch:
            job = changed(
                self._job(written, trying, scratch, model),
                lines=tuple(sorted({line for gap in self._gaps(trying) for line in gap.lines})),
                arcs=tuple(
                    sorted({arc for gap in self._gaps(trying) for arc in gap.branches or ()})
                ),
                alone=True,
                mutants=MUTANTS,
                weak=tuple(
                    f"{file}::{name}"
                    for (file, name), (each, own) in written.owners.items()
                    if own in each.static.weak
                ),
            )
            return self._sandbox.run(job)

    def _gaps(self, trying: Sequence[_Trying]) -> Iterable[Any]:
        return (each.candidate.gap for each in trying)

    def _job(self, written: _Written, trying: Sequence[_Trying], scratch: Path, model: bool) -> Job:
        job = self._sandbox.job(scratch, [*written.texts], model=model)
        return changed(job, plain=all(each.candidate.origin == SEARCHED for each in trying))

    def _read_first(self, written: _Written, trying: Sequence[_Trying], report: Report) -> None:
        """Judge each function by what it did alone: run, traces, gain, mutants."""
        found: dict[str, dict[str, Ran]] = defaultdict(dict)
        for owner, name, ran in written.tests(report.alone):
            found[owner.file][name] = ran
        broken = {Path(path).name: text for path, text in report.broken.items() if path}
        for each in trying:
            if each.file in broken:
                each.output = broken[each.file]
                each.refuse("run", f"it cannot be imported: {_last_line(each.output)}")
                continue
            gap = each.candidate.gap
            lines, arcs = set(gap.lines), set(gap.branches or ())
            for name in each.left:
                if name not in found[each.file]:
                    each.drop(name, "run", "pytest does not collect it")
                    continue
                ran = found[each.file][name]
                ran.lines = [line for line in ran.lines if line in lines]
                ran.arcs = [arc for arc in ran.arcs if arc in arcs]
                each.tests[name] = ran
                refusal = _refusal_of(ran, each, weak=name in each.static.weak)
                if refusal is not None:
                    each.output = each.output or ran.error
                    if refusal.stage == "run" and ran.wrong and each.candidate.bug:
                        each.bug = refusal.reason
                    each.drop(name, refusal.stage, refusal.reason)
            if any(each.tests[name].denied for name in each.tests):
                # what reached for the system is not salvaged: nothing of it is trusted
                reason = next(ran.denied[0] for ran in each.tests.values() if ran.denied)
                each.refuse("traces", f"it reaches for {reason}")
        self._settle(trying)

    def _settle(self, trying: Sequence[_Trying]) -> None:
        """Take refused functions out of the texts."""
        for each in trying:
            if each.refusal is None and each.refused:
                each.text = without(each.candidate.text, frozenset(each.refused))

    def _read_together(
        self, written: _Written, trying: Sequence[_Trying], report: Report, when: str
    ) -> None:
        missing = dict(written.owners)
        for one in report.together:
            missing.pop((Path(one.file).name, one.name), None)
        cases = Counter((each.file, name) for each, name, _ in written.tests(report.together))
        for each, name in list(written.owners.values()):
            number = cases[each.file, name]
            if each.refusal is None and 0 < number < each.cases.setdefault(name, number):
                each.drop(name, "stability", f"it has fewer cases {when}")
        for each, name, one in written.tests(report.together):
            stands = each.refusal is None and name not in each.refused
            if stands and (one.outcome != "passed" or one.denied):
                each.output = each.output or one.error
                each.drop(name, "stability", f"it fails {when}: {_last_line(one.error)}")
        broken = {Path(path).name: text for path, text in report.broken.items()}
        for (file, _), (each, name) in missing.items():
            if each.refusal is None and name not in each.refused:
                said = broken.get(file, "")
                each.output = each.output or said
                each.drop(name, "stability", f"it is not collected {when}: {_last_line(said)}")
        self._settle(trying)

    def _elsewhere(self, trying: Sequence[_Trying], model: bool) -> None:
        """Run what is left in four further interpreters, as many at a time as there are cores."""
        left = [each for each in trying if each.refusal is None]
        if not left:
            return
        others = self._circumstances()
        self._beside(others[-1].beside)
        cores = min(os.cpu_count() or 1, len(others))
        with self._turn, ThreadPoolExecutor(cores) as pool:
            reruns = list(pool.map(lambda other: self._rerun(left, model, other), others))
        for other, rerun in zip(others, reruns, strict=True):
            still = [each for each in left if each.refusal is None]
            if still and len(still) < len(left) and not _is_clean(rerun[1]):
                rerun = self._rerun(still, model, other)  # it may be the refused one's doing
            if still:
                self._read_again(still, model, other, *rerun)
        stood = self._write([each for each in left if each.refusal is None])
        everywhere = [written.proven(report) for written, report in reruns]
        self._proven |= set(stood.texts.values()).intersection(*everywhere)

    def _circumstances(self) -> list[_Circumstances]:
        """Return what the four further interpreters have of their own: see the top."""
        beside = next(iter(self._target.tests), "").partition("::")[0]
        later = self._now + _LATER
        root = str(self._target.rootdir)  # where the user's pytest runs it
        return [
            _Circumstances(
                1,
                {"PYTHONHASHSEED": HASH_SEEDS[0], "TZ": "Asia/Tokyo"},
                folder=root,
                variables=True,
            ),
            _Circumstances(2, {"PYTHONHASHSEED": HASH_SEEDS[1], "TZ": "America/New_York"}, later),
            _Circumstances(3, {"PYTHONHASHSEED": HASH_SEEDS[2], "TZ": "UTC"}, _LEAP_DAY),
            _Circumstances(
                4,
                {"PYTHONHASHSEED": HASH_SEEDS[3], "TZ": "Europe/Berlin"},
                beside=beside,
                as_by_user=True,
            ),
        ]

    def _rerun(
        self, left: Sequence[_Trying], model: bool, other: _Circumstances, *, apart: bool = False
    ) -> tuple[_Written, Report | str]:
        written = self._write(left, apart=apart)
        with self._sandbox.scratch(written.texts, other.scratch) as scratch:
            home = scratch / ("home" * other.order)
            home.mkdir()
            job = self._job(written, left, scratch, model)
            beside = self._beside(other.beside)
            job = changed(
                job,
                order=self._target.seed + other.order,
                folder=other.folder or str(home),
                clock=other.clock,
                variables=other.variables,
                beside=beside,
                plain=job.plain and not other.as_by_user,
            )
            report = self._sandbox.run(job, environ={**other.environ, "HOME": str(home)})
        if isinstance(report, Report) and report.broken and len(written.texts) < len(left):
            return self._rerun(left, model, other, apart=True)  # one does not take its mates
        return written, report

    def _read_again(
        self,
        left: Sequence[_Trying],
        model: bool,
        other: _Circumstances,
        written: _Written,
        report: Report | str,
    ) -> None:
        """Judge by what was left did under other circumstances."""
        beside = other.beside
        when = "in another order or interpreter" if other.clock is None else "at another date"
        if isinstance(report, str) or report.refused:
            if len(left) == 1:
                said = report if isinstance(report, str) else report.refused
                left[0].refuse("stability", f"{when}: {said}")
                return
            for part in (left[: len(left) // 2], left[len(left) // 2 :]):
                self._read_again(part, model, other, *self._rerun(part, model, other))
            return
        self._read_together(written, left, report, when)
        spoilt = [
            name
            for name, outcome in report.beside.items()
            if outcome != "passed" and self._alone[beside].get(name) == "passed"
        ]
        if spoilt:
            self._find_spoilers(left, model, beside, spoilt[0])

    def _beside(self, file: str) -> tuple[str, ...]:
        """Return a file of the suite that runs well in the sandbox, or nothing."""
        if not file:
            return ()
        path = self._target.rootdir / file
        if file not in self._alone:
            self._alone[file] = {}
            with self._sandbox.scratch({}) as scratch:
                job = self._sandbox.job(scratch, (), model=False)
                job = changed(job, order=self._target.seed, beside=(str(path),))
                report = self._sandbox.run(job)
            if isinstance(report, Report):
                self._alone[file] = report.beside
        return (str(path),) if "passed" in self._alone[file].values() else ()

    def _find_spoilers(self, left: Sequence[_Trying], model: bool, beside: str, test: str) -> None:
        """Refuse the candidates after which a test of the suite fails; halving finds them."""
        if len(left) == 1:
            left[0].refuse("stability", f"{beside}::{test} of the suite fails after it")
            return
        for part in (left[: len(left) // 2], left[len(left) // 2 :]):
            written = self._write(part)
            with self._sandbox.scratch(written.texts) as scratch:
                job = self._job(written, part, scratch, model)
                job = changed(job, beside=self._beside(beside), plain=False)
                report = self._sandbox.run(job, environ={"PYTHONHASHSEED": HASH_SEEDS[3]})
            if isinstance(report, str) or report.beside.get(test) != "passed":
                self._find_spoilers(part, model, beside, test)

    def _verdict(self, each: _Trying, seconds: float) -> Trial:
        ran = [each.tests[name] for name in each.left if name in each.tests]
        measured = bool(each.tests)
        if each.bug and each.candidate.bug:
            verdict = Verdict("bug", "run", each.bug)
        elif each.refusal is not None:
            verdict = Verdict("rejected", each.refusal.stage, each.refusal.reason)
        else:
            verdict = Verdict("accepted")
        accepted = verdict.outcome == "accepted"
        return Trial(
            each.candidate,
            verdict,
            each.text,
            tuple(each.left) if accepted else (),
            {name: refusal.reason for name, refusal in each.refused.items()},
            tuple(sorted({line for one in ran for line in one.lines})) if measured else None,
            tuple(sorted({arc for one in ran for arc in one.arcs})) if measured else None,
            sum(one.mutants for one in each.tests.values()) if measured else None,
            sum(one.killed for one in each.tests.values()) if measured else None,
            round(seconds, 3) if each.static.refusal is None else 0.0,
            self._sandbox.layer if each.tests else None,
            each.output,
        )


def _is_clean(report: Report | str) -> bool:
    """Tell a report that blames nobody but single tests of candidates."""
    if isinstance(report, str) or report.refused:
        return False
    return all(outcome == "passed" for outcome in report.beside.values())


def _refusal_of(ran: Ran, each: _Trying, *, weak: bool) -> Refusal | None:
    """Return why a function that ran alone is not taken, by the first thing that is wrong."""
    if ran.denied:
        return Refusal("traces", f"it reaches for {ran.denied[0]}")
    if ran.outcome == "slow":
        return Refusal("run", "it takes too long")
    if ran.outcome == "died":
        return Refusal("run", ran.error)
    if ran.outcome != "passed":
        return Refusal("run", f"it {ran.outcome}: {_last_line(ran.error)}")
    if ran.traces:
        return Refusal("traces", ran.traces[0])
    if not ran.lines and not ran.arcs:
        return Refusal("gain", "it adds no line and no branch in its gap")
    if not ran.killed:
        if ran.mutants:
            return Refusal("mutants", f"none of {ran.mutants} mutants of what it gains fails it")
        if weak:
            return Refusal("mutants", "it asserts weakly, and nothing there could be mutated")
    return None


def _last_line(error: str) -> str:
    """Return the line of an error that says what is wrong."""
    lines = [line.strip() for line in error.splitlines() if line.strip()]
    told = [line[1:].strip() for line in lines if line.startswith("E ")]
    if lines and (not told or "Error" in lines[0] or "Exception" in lines[0]):
        return lines[0][:200]
    return (told[-1] if told else "no reason")[:200]


def _defined(source: str) -> frozenset[str]:
    """Return the names of the functions and classes that the target defines."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return frozenset()
    return frozenset(
        node.name
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
    )
