"""The child process of a trial: confined, it runs candidates and reports what they did.

One interpreter imports pytest and the code under test, then forks: each test runs alone in a
process that has just that behind it, then all run together, then each mutant has its process.
What ends, blocks or spoils a process does so to its own only.

Run by ``warm.py``, or as ``python -m pytest_aqe.generation.inside`` with a `Job` on standard
input.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import inspect
import io
import os
import random
import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain, pairwise, repeat
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from pytest_aqe.generation import chance, clock, confine, machine
from pytest_aqe.generation.disturbing import before_others, in_orders
from pytest_aqe.generation.guard import Guard, State, files, state, traces
from pytest_aqe.generation.job import RESULT, SUITE, UNFINISHED, Job, Ran, Report, decoded
from pytest_aqe.generation.leaf import WAITING, leaf, telling_leaf
from pytest_aqe.generation.mutants import Mutant, exchange, let_be_found, living, mutants
from pytest_aqe.generation.tracing import Tracer, tracer

ALONE = 4  # seconds of CPU for one test; also of waiting, times WAITING
TOGETHER = 15  # seconds of CPU for all of them
LONGER = 3.0  # times what a test took before, and a mutant that takes longer does not end
LEAST = 0.3  # seconds of CPU that it may take in any case
_CURRENT = "PYTEST_CURRENT_TEST"
_NAMES_AND_VALUES = 2  # what a mark that parametrizes is given
_FORGED = "it forged a report"
_LUCKS = {1: False, 2: True}  # of four orders: what is drawn first is the least, the greatest
_ERROR = 2000  # characters of an error that are kept
_OTHERS: list[type] = []  # classes live as long as somebody holds them


def main() -> None:
    """Run the job on standard input."""
    run(sys.stdin.read())
    sys.stdout.flush()
    os._exit(0)  # threads and exit handlers of what was tried have no say


def run(text: str) -> None:
    """Confine this process, run the job, leave the report in the scratch folder."""
    job = Job.decode(text)
    report = Report(job.nonce)
    confine.limit()
    report.layers = confine.confine(job.readable, [job.scratch], job.root)
    if job.enforced and not confine.is_enforced(report.layers):
        report.refused = (
            "the system has no sandbox that holds (--aqe-sandbox-cmd gives one, --aqe-unsafe "
            "does without)"
        )
    else:
        if job.order is not None:
            _surround(job.order, job.folder)
        guard = Guard(job.scratch)
        guard.install()
        if job.clock is not None:
            clock.install(job.clock)
        let_be_found(job.module)
        try:
            importlib.import_module(job.module)
        except BaseException as error:
            report.refused = f"{job.module} cannot be imported here: {error!r}"[:300]
        else:
            if any("hypothesis" in Path(file).read_text("utf-8") for file in job.files):
                with suppress(Exception):  # what it imports with itself is not the candidate's
                    importlib.import_module("hypothesis")
            if job.variables:
                machine.set_variables(job.root)
            if job.disturbing:
                report.refused = UNFINISHED
            _pytest(job, report, guard)
    Path(job.scratch, RESULT).write_text(report.encode(), "utf-8")


def _surround(number: int, folder: str) -> None:
    """Let this process be another elsewhere, and know classes of others: tests must not notice."""
    sys.argv = ["pytest", "--another-option", str(number)]
    machine.install(number)
    if (is_high := _LUCKS.get(number % 4)) is not None:
        chance.install(is_high=is_high)
    with suppress(OSError):  # the user's command may have left the project out
        os.chdir(folder or os.curdir)
    _OTHERS.extend(type("Other", (kind,), {}) for kind in (object, int, str, dict, list, Exception))


def _pytest(job: Job, report: Report, guard: Guard) -> None:
    # the folder, not its files: for each of them pytest would list all of them
    asked = [*arguments(job.scratch), *([job.scratch] if job.files else []), *job.beside]
    asked += ["--assert=plain"] if job.plain else []
    pytest.main(asked, plugins=[Inside(job, report, guard)])


def arguments(scratch: str) -> list[str]:
    """Return how pytest is called: with nothing of the project's or the user's settings."""
    return [
        "-p", "no:cacheprovider", "-p", "no:terminal", "--import-mode=importlib",
        f"--rootdir={scratch}", f"-c{scratch}/pytest.ini", f"--basetemp={scratch}/tmp",
    ]  # fmt: skip


class Inside:
    """Take the place of pytest's own loop over the tests."""

    def __init__(self, job: Job, report: Report, guard: Guard) -> None:
        self._job = job
        self._report = report
        self._guard = guard
        self._tracer: Tracer
        self._before: State
        self._functions: list[FunctionType] = []
        self._took: dict[tuple[str, str], float] = {}
        self._calls: dict[pytest.Item, Callable[[], object]] = {}  # of tests that are no more

    def pytest_configure(self, config: pytest.Config) -> None:
        """Load the project's conftests as plugins: their fixtures are visible everywhere."""
        for number, path in enumerate(self._job.conftests):
            spec = importlib.util.spec_from_file_location(f"aqe_conftest_{number}", path)
            if spec is not None and spec.loader is not None:
                module = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(module)
                config.pluginmanager.register(module, f"aqe-conftest-{number}")

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Any:
        """Importing a candidate runs its code."""
        with self._guard.armed():
            result = yield
        if result.failed and isinstance(collector, pytest.Module):
            self._report.broken[str(collector.path)] = str(result.longrepr)[-_ERROR:]
        return result

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the job's tests in forks of this process."""
        self._report.broken |= {"": "; ".join(self._guard.denied)} if self._guard.denied else {}
        _warm_up()
        if self._job.alone:
            self._before = state(self._job.root, self._job.scratch)
            self._functions = living(self._job.target)  # what is frozen is not found any more
            self._tracer = tracer(self._job.target)
            self._tracer.prepare(self._functions)
            gc.collect()
            gc.freeze()  # a fork that collects garbage would copy all of it
        places = {file: place for place, file in enumerate(self._job.files)}
        own = [item for item in session.items if str(item.path) in places]
        own.sort(key=lambda item: places[str(item.path)])
        for item in own:
            _ = item.location  # pytest finds it once, and not in every fork
            if self._job.plain and (call := _call(item)) is not None:
                self._calls[item] = call
        if self._job.disturbing:
            try:
                if self._job.beside:
                    beside = [item for item in session.items if str(item.path) in self._job.beside]
                    self._find_spoiling(_groups(own), _groups(beside))
                else:
                    self._find_disturbing(_groups(own))
            except Exception as error:  # pytest would keep it to itself
                self._report.refused = f"{type(error).__name__}: {error}"[:300]
            else:
                self._report.refused = ""
            return True
        beside = [item for item in session.items if str(item.path) in self._job.beside]
        if self._job.alone:
            self._report.alone = self._each_alone(own)
            if self._job.mutants:
                self._try_mutants(own)
            passed = {(ran.file, ran.name) for ran in self._report.alone
                      if ran.outcome == "passed" and not ran.denied}  # fmt: skip
            own = [item for item in own if (str(item.path), _name(item)) in passed]
        if self._job.order is not None:
            random.Random(self._job.order).shuffle(own)
        self._report.together, self._report.beside = self._all_together(own, beside)
        return True

    def _each_alone(self, items: Sequence[pytest.Item]) -> list[Ran]:
        """Run each function by itself, measured; parameters of one run together."""
        return [self._alone(group) for group in _groups(items)]

    def _alone(self, group: Sequence[pytest.Item]) -> Ran:
        said = leaf(lambda: [asdict(self._measured(group)), time.process_time()], ALONE)
        if isinstance(said, str):
            return _died(group[0], said)
        try:
            told, seconds = said
            ran = decoded(told)
            self._took[str(group[0].path), _name(group[0])] = float(seconds)
        except (TypeError, ValueError, KeyError, AttributeError):
            return _died(group[0], _FORGED)
        return ran

    def _measured(self, group: Sequence[pytest.Item]) -> Ran:
        """Run one function; note its lines, what it reached for and what it left."""
        job = self._job
        before = replace(self._before, files=files(job.scratch))  # the folder is not forked
        self._tracer.start()
        try:
            ran = self._run(group, by_pytest=True)  # what the user's pytest will run counts
        finally:
            self._tracer.stop()
        ran.traces = traces(before, state(job.root, job.scratch, before))
        lines, arcs = self._tracer.found()
        ran.lines = sorted(lines & set(job.lines))
        ran.arcs = sorted(arcs & set(job.arcs))
        return ran

    def _run(
        self,
        group: Sequence[pytest.Item],
        following: Sequence[pytest.Item | None] | None = None,
        *,
        by_pytest: bool = False,
    ) -> Ran:
        """Run one function's items with the guard armed; what is a call by calling it."""
        ran = Ran(str(group[0].path), _name(group[0]), "passed")
        seen = len(self._guard.denied)
        after = following or [*group[1:], None]
        for item, coming in zip(group, after, strict=True):
            if str(item.path) in self._job.files:
                chance.begin()
            with self._guard.armed():
                if item in self._calls and not by_pytest:
                    _done(item, self._calls[item], ran)
                    continue
                reports = runtestprotocol(item, nextitem=coming, log=False)
            for report in reports:
                if report.outcome != "passed" and ran.outcome == "passed":
                    ran.outcome = "skipped" if report.skipped else "failed"
                    ran.error = _error(report)
                    ran.wrong = report.when == "call" and ran.error.startswith("AssertionError")
        ran.denied = self._guard.denied[seen:]
        return ran

    def _all_together(
        self, own: Sequence[pytest.Item], beside: Sequence[pytest.Item]
    ) -> tuple[list[Ran], dict[str, str]]:
        """Run all tests in one process, then the suite's own that were asked for."""

        def run() -> dict[str, Any]:
            if self._job.order is not None:
                threading.Thread(target=threading.Event().wait, daemon=True).start()
            done = list(self._in_order([*own, *beside]))
            return {
                "own": [asdict(each) for each in done[: len(own)]],
                "beside": {
                    item.nodeid.partition("::")[2]: each.outcome
                    for item, each in zip(beside, done[len(own) :], strict=True)
                },
            }

        if not own and not beside:
            return [], {}
        said = leaf(run, TOGETHER)
        if isinstance(said, str):
            return [_died(item, said) for item in own], {}
        try:
            return [decoded(each) for each in said["own"]], dict(said["beside"])
        except (TypeError, ValueError, KeyError, AttributeError):
            return [_died(item, _FORGED) for item in own], {}

    def _in_order(self, items: Sequence[pytest.Item]) -> Iterator[Ran]:
        """Run items one after the other; pytest tears down by what it runs next."""
        following = dict(pairwise(item for item in items if item not in self._calls))
        for item in items:
            yield self._run([item], [following.get(item)])

    def _find_disturbing(self, groups: Sequence[Sequence[pytest.Item]]) -> None:
        """Find the functions after which others fail."""
        gc.collect()
        gc.freeze()  # a fork that collects garbage would copy all of it
        stop = time.monotonic() + self._job.disturbing
        names = [_named(group) for group in groups]
        failing = partial(self._failing, groups)
        for found in in_orders(len(groups), failing, lambda: time.monotonic() > stop):
            self._report.disturbing |= {
                names[number]: "it does not always pass among them"
                if other == number
                else f"{names[other]} fails after it"
                for number, other in found.items()
            }

    def _find_spoiling(
        self, own: Sequence[Sequence[pytest.Item]], suite: Sequence[Sequence[pytest.Item]]
    ) -> None:
        """Find the functions that do not get on with the suite, of which as much runs as may.

        Nothing is said of one that does not pass where the suite's conftests are loaded.
        """
        gc.collect()
        gc.freeze()
        stop = time.monotonic() + self._job.disturbing
        passed: dict[int, bool] = {}
        rest = list(range(len(suite)))
        until = time.monotonic() + SUITE * WAITING
        while rest and time.monotonic() < until:
            ended, ran = self._in_a_fork(suite, rest, SUITE)
            passed |= ran
            # one that ended the process has kept others from running
            rest = [number for number in rest if number not in ran] if ended is not False else []
        groups = [*own, *(group for number, group in enumerate(suite) if passed.get(number))]
        failing = partial(self._failing, groups)
        ours = sorted({*range(len(own))} - failing(range(len(own))))
        others = list(range(len(own), len(groups)))
        while unsteady := (failed := failing([*others, *ours])).intersection(others):
            others = sorted({*others} - unsteady)
        self._report.disturbing |= {
            _named(own[number]): "it fails after tests of the suite" for number in failed
        }
        left = [number for number in ours if number not in failed]
        found = before_others(left, others, failing, lambda: time.monotonic() > stop)
        self._report.disturbing |= {
            _named(own[number]): f"{_named(groups[other])} of the suite fails after it"
            for number, other in found.items()
        }

    def _failing(self, groups: Sequence[Sequence[pytest.Item]], order: Sequence[int]) -> set[int]:
        """Run functions in an order, in a fork; return those that failed."""
        ended, passed = self._in_a_fork(groups, order, TOGETHER)
        if ended is False:
            raise TimeoutError(f"to run them takes more than {TOGETHER} s of CPU")
        return {number for number, good in passed.items() if not good}

    def _in_a_fork(
        self, groups: Sequence[Sequence[pytest.Item]], order: Sequence[int], most: float
    ) -> tuple[Any, dict[int, bool]]:
        """Run functions in an order; return how that ended, and whether those that ran passed.

        One that ended the process did not. After ``most`` seconds of CPU, or WAITING times as many,
        it ends with False.
        """
        stop = time.monotonic() + most * WAITING
        longest = min(ALONE, most)
        items = [(number, item) for number in order for item in groups[number]]

        def run(say: Callable[[bool], None]) -> bool:
            runs = self._in_order([item for _, item in items])
            for _ in items:
                if time.process_time() > most or time.monotonic() > stop:
                    return False
                # one that hangs is ended, and is the one that did not say how it went
                signal.setitimer(signal.ITIMER_PROF, longest)
                signal.setitimer(signal.ITIMER_REAL, longest * WAITING)
                ran = next(runs)
                say(ran.outcome == "passed" and not ran.denied)
            return True

        ended, told = telling_leaf(run, most + longest)
        passed: dict[int, bool] = {}
        for (number, _), good in zip(items, chain(told, repeat(False)), strict=False):
            passed[number] = passed.get(number, True) and good is True
        number_ran = len(told) + (not isinstance(ended, bool))
        began = {number for number, _ in items[:number_ran]}
        return ended, {number: good for number, good in passed.items() if number in began}

    def _try_mutants(self, items: Sequence[pytest.Item]) -> None:
        """Let each test that passed and gained meet mutants of what it gained.

        One fork tries a mutant on all tests that run its line; a test that noticed one is done.
        """
        job = self._job
        groups = {(str(group[0].path), _name(group[0])): group for group in _groups(items)}
        open_: dict[tuple[str, str], Ran] = {
            (ran.file, ran.name): ran
            for ran in self._report.alone
            if ran.outcome == "passed" and (ran.lines or ran.arcs) and not ran.denied
        }
        runs = {key: {*ran.lines, *(line for line, _ in ran.arcs)} for key, ran in open_.items()}
        lines = frozenset(line for found in runs.values() for line in found)
        source = Path(job.target).read_text("utf-8")

        def is_open(line: int) -> bool:
            return any(line in runs[key] for key in open_)

        for mutant in mutants(source, job.target, lines, is_open):
            meeting = [key for key in open_ if mutant.line in runs[key]]
            meet = partial(self._meet, mutant, [groups[key] for key in meeting])
            killed = leaf(meet, LEAST + LONGER * sum(self._took[key] for key in meeting))
            if killed is None:
                continue  # it stands where no function could be exchanged
            if not isinstance(killed, list) or len(killed) != len(meeting):
                killed = "died"
            for number, key in enumerate(meeting):
                ran = open_[key]
                ran.mutants += 1
                # a mutant that ends or blocks its process is noticed by whoever ran it first
                weak = f"{Path(ran.file).name}::{ran.name}" in job.weak
                how = "died" if isinstance(killed, str) else killed[number]
                if (how == "wrong" and mutant.what != "return") or (how and not weak):
                    ran.killed += 1
                if ran.killed or ran.mutants >= job.mutants:
                    del open_[key]
            if not open_:
                break

    def _meet(
        self,
        mutant: Mutant,
        groups: Sequence[Sequence[pytest.Item]],
    ) -> list[str] | None:
        """Return how each test noticed a mutant: by what it asserts, by another fault, not."""
        if not exchange(mutant.code, self._functions, mutant.line):
            return None
        for item in chain.from_iterable(groups):
            item.repr_failure = _Short.of  # type: ignore[assignment,method-assign]
        done = [self._run(group) for group in groups]
        return ["" if ran.outcome == "passed" else "wrong" if ran.wrong else "died" for ran in done]


def _call(item: pytest.Item) -> Callable[[], object] | None:
    """Return what a test does, where it is a call and no more.

    Nothing is set up for it and no mark changes it. To let pytest make a test of that takes a
    hundred times as long, and once is enough: see `Job`.
    """
    if type(item) is not pytest.Function or item.cls is not None:
        return None
    spec = getattr(item, "callspec", None)
    given = dict(spec.params) if spec is not None else {}
    marks = list(item.iter_markers())
    if (
        inspect.iscoroutinefunction(item.obj)
        or {*item.fixturenames} != given.keys()
        or any(mark.name != "parametrize" for mark in marks)
        or any("indirect" in mark.kwargs or len(mark.args) > _NAMES_AND_VALUES for mark in marks)
    ):
        return None
    return partial(item.obj, **given)


def _done(item: pytest.Item, call: Callable[[], object], ran: Ran) -> None:
    """Run a test that is a call, and note how it ended, unless one before it failed.

    It finds what it finds under pytest: output that is kept, and its own name.
    """
    said = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="", write_through=True)
    os.environ[_CURRENT] = f"{item.nodeid} (call)"
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            call()
    except BaseException:
        if ran.outcome == "passed":
            error = pytest.ExceptionInfo.from_current()
            message = error.exconly(tryshort=True)
            ran.outcome = "skipped" if error.errisinstance(pytest.skip.Exception) else "failed"
            ran.wrong = error.errisinstance(AssertionError)
            ran.error = message[:_ERROR]
    finally:
        os.environ.pop(_CURRENT, None)


@dataclass(frozen=True, slots=True)
class _Short:
    """What failed, where nobody reads how: to show that takes longer than the test."""

    message: str

    @classmethod
    def of(cls, error: pytest.ExceptionInfo[BaseException], style: object = None) -> _Short:
        """Say it in pytest's own words."""
        return cls(error.exconly(tryshort=True))

    @property
    def reprcrash(self) -> _Short:
        """Where pytest looks for the message."""
        return self

    def __str__(self) -> str:
        return self.message


def _warm_up() -> None:
    """Let hypothesis, where a candidate uses it, set up its table of Unicode once for all forks."""
    table = sys.modules.get("hypothesis.internal.charmap")
    with suppress(Exception):  # its innards; without them every fork takes a second longer
        if table is not None:
            table.charmap()


def _groups(items: Iterable[pytest.Item]) -> list[list[pytest.Item]]:
    found: dict[tuple[str, str], list[pytest.Item]] = defaultdict(list)
    for item in items:
        found[str(item.path), _name(item)].append(item)
    return list(found.values())


def _named(group: Sequence[pytest.Item]) -> str:
    """Return ``test_file.py::test_name``."""
    return f"{Path(group[0].path).name}::{_name(group[0])}"


def _name(item: pytest.Item) -> str:
    """Return ``TestClass.test_name``, without parameters."""
    return ".".join(item.nodeid.partition("[")[0].split("::")[1:])


def _died(item: pytest.Item, how: str) -> Ran:
    return Ran(str(item.path), _name(item), "slow" if how == "slow" else "died", how)


def _error(report: pytest.TestReport) -> str:
    """Return the error for a repairer: its last line first, then where."""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = str(report.longrepr)
    if crash is None:
        return text[-_ERROR:]
    message = str(crash.message)
    if message.startswith("assert "):
        message = f"AssertionError: {message}"
    return f"{message[:_ERROR]}\n{text[-_ERROR:]}"


if __name__ == "__main__":
    main()
