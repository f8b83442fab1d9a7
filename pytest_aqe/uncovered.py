"""What no test ran: from coverage to ranked gaps, after the last test.

Only a run of the whole suite says what the suite misses. Where tests were left out, what is
shown is about those that ran, and the history keeps what it knew.
"""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_aqe.controller import Controller
from pytest_aqe.data import Arc, Gap, NodeId, Rollup
from pytest_aqe.errors import HistoryError, NotFound
from pytest_aqe.evidence import changes, coverage
from pytest_aqe.evidence.coverage import FileCoverage, Measured
from pytest_aqe.evidence.segments import Segment, by_line, callers, segments
from pytest_aqe.evidence.syntax import parse
from pytest_aqe.faults import Faults
from pytest_aqe.history import gaps as rows
from pytest_aqe.history import queries
from pytest_aqe.history.store import open_history
from pytest_aqe.learning.risk import ranked
from pytest_aqe.measuring import Measuring
from pytest_aqe.options import Options
from pytest_aqe.recorder import Recorder
from pytest_aqe.report import uncovered as report

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

NEAREST = 5  # tests kept with a gap
_NO_CODE = {"tests", "test", "docs", "examples", "benchmarks", "node_modules", "build", "dist"}


class Uncovered:
    """Measure, rank, show, and fail where that was asked for."""

    def __init__(
        self,
        config: pytest.Config,
        options: Options,
        faults: Faults,
        controller: Controller,
        recorder: Recorder,
        measuring: Measuring,
    ) -> None:
        self._config = config
        self._options = options
        self._faults = faults
        self._controller = controller
        self._recorder = recorder
        self._measuring = measuring
        self._left: list[Path] = []
        self.whole = True
        self.measured: Measured | None = None
        self.gaps: list[Gap] = []
        self._covered: list[rows.Covered] = []
        self._notes: list[str] = []
        self._red: str | None = None

    @property
    def root(self) -> Path:
        """Where paths of gaps begin."""
        return self._controller.root

    @property
    def read_tables(self) -> set[str]:
        """The tables of the history that this session has read, for `doctor`."""
        return self._controller.read_tables

    @property
    def run_id(self) -> str:
        """The run's name, empty while nothing was recorded."""
        return self._controller.run.run_id if self._controller.run else ""

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Note where a worker left its data; one that crashed left none."""
        path = (getattr(node, "workeroutput", None) or {}).get("aqe_coverage")
        if path is not None:
            self._left.append(Path(path))
        elif self._measuring.origin == "coverage.py":
            self._notes.append(f"worker {node.gateway.id} left no coverage: it is unmeasured")
            self.whole = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """Look at what was covered when the last test has run, whoever runs it."""
        result = yield
        if not self._config.pluginmanager.is_registered(self):
            return result  # in a child that a test forked
        with self._faults.guard("looking for gaps"):
            self._look(session)
        return result

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Turn success into failure where a changed line is not covered and that was asked for."""
        if "gap" in self._options.fail_on and exitstatus == pytest.ExitCode.OK:
            with self._faults.guard("judging gaps"):
                if any(gap.changed for gap in self.gaps):
                    self._red = report.red_line(self.gaps)
                    session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        """Show the gaps."""
        with self._faults.guard("showing gaps"):
            quiet = self._config.get_verbosity() <= -2
            lines = report.session_lines(
                self._covered,
                self.gaps,
                self._notes,
                whole=self.whole,
                fails="gap" in self._options.fail_on,
            )
            if quiet:  # but for why a green session fails
                lines = [self._red] if self._red is not None else []
            elif lines:
                terminalreporter.write_sep("-", "gaps")
            for line in lines:
                terminalreporter.write_line(line)

    def _look(self, session: pytest.Session) -> None:
        parts, notes = self._measuring.data(self._left)
        self._notes += notes
        self.whole = self.whole and not notes and self._recorder.ran_whole(session)
        root = self._controller.root
        if parts:
            measured = coverage.measured_files(parts)
            wanted = code_files(root, self._config.rootpath, measured)
            self.measured = coverage.measured(
                self._measuring.origin, parts, root, self._config.rootpath, wanted
            )
        self._measuring.forget(self._left)
        if self.measured is None:
            return
        self._notes += self.measured.notes
        if not self.measured.files:
            self._notes.append("no code of the project was measured; gaps are unknown")
            return
        changed = self._changed()
        self._covered = [covered(each, changed) for each in self.measured.files.values()]
        self.gaps = find(
            self.measured.files,
            {file: root / file for file in self.measured.files},
            changed=changed,
            churn=changes.churn(root),
            tests=self._tests(),
            prefix=self._controller.prefix,
        )
        if self.whole:
            self._recorder.tell(
                "covered",
                ({name: getattr(each, name) for name in _FIELDS} for each in self._covered),
            )
            self._recorder.tell("gaps", rows.gap_rows(self.gaps))

    def _changed(self) -> Mapping[str, frozenset[int] | None] | None:
        change = self._controller.change
        if change is None or change.base is None or change.files is None:
            return None
        files = [file for file in change.files if file.endswith(".py")]
        return changes.changed_lines(self._controller.root, change.base, files) if files else {}

    def _tests(self) -> Mapping[str, Rollup]:
        """Return what the history knows of each test; nothing where it cannot be read."""
        with (
            suppress(NotFound, HistoryError),
            open_history(self._options.history, write=False) as connection,
        ):
            tests = queries.rollups(connection, self._options.suite)
            self._controller.read_tables |= connection.read_tables
            return {test.identity: test for test in tests}
        return {}


_FIELDS = ("file", "statements", "ran", "branches", "taken", "changed", "changed_ran")


def code_files(root: Path, rootdir: Path, measured: Collection[Path]) -> dict[str, Path]:
    """Return the code of the project, by path from the root: what was measured, and beside it.

    A file that no test imports leaves no data. It belongs to the project if its package does.
    What a folder holds is told by its name below ``rootdir``: that may be an example itself.
    """
    found: dict[str, Path] = {}
    for path in measured:
        if not path.is_relative_to(root):
            continue
        top = path
        while (top.parent / "__init__.py").is_file() and top.parent != root:
            top = top.parent
        for each in [path] if top == path else sorted(top.rglob("*.py")):
            name = each.relative_to(root).as_posix()
            start = rootdir if each.is_relative_to(rootdir) else root
            if name not in found and _is_code(each.relative_to(start).as_posix()):
                found[name] = each
    return found


def _is_code(name: str) -> bool:
    """Tell code from tests, by the names that pytest and everybody use."""
    *folders, file = name.split("/")
    if any(folder in _NO_CODE or folder.startswith(".") for folder in folders):
        return False
    is_test = file.startswith("test_") or file.endswith("_test.py")
    return file.endswith(".py") and not is_test and file not in ("conftest.py", "setup.py")


def covered(
    each: FileCoverage, changed: Mapping[str, frozenset[int] | None] | None
) -> rows.Covered:
    """Count what was covered of a file."""
    statements = each.ran | each.missing
    touched: frozenset[int] | None = None
    if changed is not None:
        new = changed.get(each.file, frozenset())
        touched = statements if new is None else statements & new
    taken, missing = each.taken_arcs, each.missing_arcs
    return rows.Covered(
        each.file,
        len(statements),
        len(each.ran),
        None if taken is None or missing is None else len(taken) + len(missing),
        None if taken is None else len(taken),
        None if touched is None else len(touched),
        None if touched is None else len(touched & each.ran),
    )


def find(
    files: Mapping[str, FileCoverage],
    paths: Mapping[str, Path],
    *,
    changed: Mapping[str, frozenset[int] | None] | None,
    churn: Mapping[str, int] | None,
    tests: Mapping[str, Rollup],
    prefix: str,
) -> list[Gap]:
    """Group what is missing by function, and rank it."""
    trees: dict[str, ast.Module] = {}
    for file, path in paths.items():
        with suppress(OSError):
            tree = parse(path.read_bytes())
            if tree is not None:
                trees[file] = tree
    named = callers(trees)
    parse.cache_clear()
    found: list[Gap] = []
    for file, tree in trees.items():
        new = None if changed is None else changed.get(file, frozenset())
        for missing in _missing(files[file], segments(tree)):
            segment, branches = missing.segment, missing.branches
            touched = {*missing.lines, *(source for source, _ in branches or ())}
            failures, flaky_only = _record(missing.tests, tests, prefix)
            found.append(
                Gap(
                    file=file,
                    name=segment.name,
                    line=segment.line,
                    end=segment.end,
                    lines=missing.lines,
                    branches=branches,
                    statements=missing.statements,
                    changed=None
                    if changed is None
                    else tuple(sorted(touched if new is None else touched & new)),
                    churn=None if churn is None else churn.get(file, 0),
                    complexity=segment.complexity,
                    callers=named[segment.name.rpartition(".")[2]],
                    failures=failures,
                    flaky_only=flaky_only,
                    tests=tuple(missing.tests or ())[:NEAREST],
                )
            )
    return ranked(found)


@dataclass(frozen=True, slots=True)
class _Missing:
    """What is missing of one segment. ``tests`` reach it, those that run most of it first."""

    segment: Segment
    lines: tuple[int, ...]
    branches: tuple[Arc, ...] | None
    statements: int
    tests: list[NodeId] | None


def _missing(each: FileCoverage, found: Sequence[Segment]) -> Iterator[_Missing]:
    inside = by_line(found)
    outside = found[-1]
    lines: dict[Segment, list[int]] = defaultdict(list)
    branches: dict[Segment, list[Arc]] = defaultdict(list)
    for line in sorted(each.missing):
        lines[inside.get(line, outside)].append(line)
    for arc in sorted(each.missing_arcs or ()):
        branches[inside.get(arc[0], outside)].append(arc)
    statements = Counter(inside.get(line, outside) for line in each.ran | each.missing)
    reached: dict[Segment, Counter[NodeId]] = defaultdict(Counter)
    for node_id, ran in (each.tests or {}).items():
        for line in ran:
            reached[inside.get(line, outside)][node_id] += 1
    for segment in found:
        if segment in lines or segment in branches:
            by_most = sorted(reached[segment].items(), key=lambda item: (-item[1], item[0]))
            yield _Missing(
                segment,
                tuple(lines[segment]),
                None if each.missing_arcs is None else tuple(branches[segment]),
                statements[segment],
                None if each.tests is None else [node_id for node_id, _ in by_most],
            )


def _record(
    reached: Sequence[NodeId] | None, tests: Mapping[str, Rollup], prefix: str
) -> tuple[float | None, bool | None]:
    """Return the decayed failures of the tests that reach a gap, and whether all are flaky."""
    if reached is None:
        return None, None
    known = [tests[name] for node_id in reached if (name := prefix + node_id) in tests]
    flaky = bool(reached) and len(known) == len(reached) and all(test.flaked for test in known)
    return round(sum(test.failing for test in known), 3), flaky
