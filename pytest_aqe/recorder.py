"""Keeps what happens: every result on disk at once, and in the history at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from contextlib import suppress
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_aqe.controller import PATIENCE, Controller
from pytest_aqe.data import (
    ALWAYS,
    FAILING,
    SKIPPED,
    Depends,
    Identity,
    NodeId,
    Result,
    RunEnd,
    SetKey,
    Status,
    Version,
)
from pytest_aqe.errors import HistoryError, NotFound, RunFileError
from pytest_aqe.evidence import tree
from pytest_aqe.evidence.configuration import CONFIGURATION
from pytest_aqe.evidence.contents import contents_in
from pytest_aqe.evidence.identity import without_group
from pytest_aqe.evidence.reports import Facts, Fold
from pytest_aqe.evidence.versions import ABSENT, UNSTABLE
from pytest_aqe.faults import Faults
from pytest_aqe.history import queries, runfile, writes
from pytest_aqe.history.store import open_history
from pytest_aqe.options import Options
from pytest_aqe.report import terminal
from pytest_aqe.wholeness import asks_for_all, takes_away

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

    from pytest_aqe.history.store import Connection
    from pytest_aqe.learning.judging import Judge
    from pytest_aqe.report.flaky import Card


NEW_FLAKY = "new-flaky"  # of --aqe-fail-on
_CLOCKS = 2.0  # seconds by which the clock of a file system may be late
GENERATED = "aqe_generated"  # on reports of tests that were written in this session


class Recorder:
    """Keep every result, on disk at once and in the history at the end."""

    def __init__(
        self,
        config: pytest.Config,
        options: Options,
        faults: Faults,
        controller: Controller,
        facts: Callable[[Any], Facts],
    ) -> None:
        self._config = config
        self._options = options
        self._faults = faults
        self._controller = controller
        self._recording = faults.guard("recording results")
        self._fold = Fold(config.rootpath, facts)
        self._writer: runfile.RunFileWriter | None = None
        self._writable = True
        self._started = time.time()
        self._tests_ended = 0
        self._deselected = 0
        self._uncollected = False
        self._judge: Judge | None = None
        self._flaky: set[str] = set()
        self._said: set[NodeId] = set()  # failed in quarantine, or as known flakes do: no card
        self._failed = False
        self._cards: list[Card] = []
        self._new_flaky: list[NodeId] = []
        self._red: str | None = None
        self._cut_short: Status | None = None
        self._summary = terminal.Summary()
        self._sets: set[SetKey] = set()
        self._files: dict[str, Version] = {}
        self._told_files: set[str] = set()
        self._everything: dict[str, Version] | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self) -> None:
        """Prepare to judge selection by this run's outcomes, once it is decided."""
        with self._faults.guard("preparing to judge selection"):
            controller = self._controller
            selected = controller.selected
            if selected is not None and selected.decision is not None and controller.judged:
                from pytest_aqe.learning.judging import Judge

                self._judge = Judge(
                    controller.judged, controller.prefix, selected.decision, controller.tests
                )

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> None:
        """Look at what there is before the first test runs."""
        with self._faults.guard("looking at the project"):
            if self._controller.plan.follows:
                _ = self._everywhere

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Fold the report; write the result it completes."""
        with self._recording:
            if getattr(report, GENERATED, False):
                return  # no test of the suite: its row is in ``generations``
            if report.__dict__.keys() & {"aqe_quarantined", "aqe_red_again", "aqe_forgiven"}:
                self._said.add(without_group(report.nodeid))
            told = report.__dict__.get("aqe")
            if told and ("sets" in told or "files" in told):
                self._keep_dependencies(told.pop("sets", {}), told.pop("files", {}))
            result = self._fold.add(report)
            if result is None:
                return
            if result.outcome in FAILING:
                self._failed = True
                self._note_failure(result)
            elif result.attempt:
                self._flaky.add(result.node_id)
            self._tests_ended += not result.attempt
            self._record(result)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note that a file could not be collected: its tests are missing."""
        self._uncollected |= report.failed

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Count what is deselected in this process, by whomever; see `Worker`."""
        if isinstance(items, Sized):
            self._deselected += len(items)

    def ran_whole(self, session: pytest.Session) -> bool:
        """Tell whether everything ran that there is. Asked once the last test has run."""
        if not self._tests_ended or self._uncollected or session.shouldstop or session.shouldfail:
            return False
        controller = self._controller
        told = [each["deselected"] for each in controller.outputs]  # by xdist's workers
        deselected = max([self._deselected, *told])
        if takes_away(self._config, controller.plan, deselected):
            return False
        return asks_for_all(self._config, controller.root, lambda: self._last_whole)

    @cached_property
    def _last_whole(self) -> list[str]:
        """Return the files of the last whole run; none where the history cannot be read."""
        with (
            suppress(NotFound, HistoryError),
            open_history(self._options.history, write=False) as connection,
        ):
            files = queries.whole_files(connection, self._options.suite)
            self._controller.read_tables |= connection.read_tables
            return files
        return []

    def tell(self, kind: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Keep rows that are no results: see ``history/gaps.py``."""
        if self._writable:
            self._open_writer().append_told(kind, rows)

    def _record(self, result: Result) -> None:
        if not self._writable:
            return
        try:
            writer = self._open_writer()
            if self._everything is None and _may_use_any_file(result.depends):
                self._everything = self._look_at_everything()
                writer.append_files(self._everything)
            writer.append(result)
        except RunFileError:
            self._writable = False
            raise
        if self._judge is not None:
            self._judge.take(result)
        if " at 0x" in result.node_id:
            self._summary.unstable += 1

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Tell Ctrl-C and ``pytest.exit()`` from the ways in which -x ends a session.

        Under xdist and --sw that is a `KeyboardInterrupt` too, of a class called Interrupted.
        """
        self._cut_short = "stopped" if excinfo.type.__name__ == "Interrupted" else "interrupted"

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Close the run file and let the history take it up.

        Where Ctrl-C comes meanwhile, which pytest expects in tests alone, the file stays for the
        next session.
        """
        try:
            self._finish(session, exitstatus)
        except KeyboardInterrupt:
            session.exitstatus = pytest.ExitCode.INTERRUPTED
            self._controller.notes.append("interrupted while the history was written")

    def _finish(self, session: pytest.Session, exitstatus: int) -> None:
        with self._recording:
            for result in self._fold.unfinished():
                self._record(result)
        if self._writer is None:
            return
        with self._faults.guard("closing the run file"):
            since = self._left_out()
            parsed = {file for file, _ in self._controller.parsed}
            left = {file: self._decided_by[file] for file in self._decided_by.keys() & parsed}
            self._keep_pieces({**left, **self._files} if since else self._files)
            self._look_again()
            if self._files and (counts := self._controller.told().get("files")):
                self._writer.append_collected(counts)
            if since:
                assert self._controller.selected is not None
                self._writer.append_clean(since, self._controller.selected.state)
            end = self._end(session, int(exitstatus), self._writer.recorded)
            if self._judge is not None and end.status == "complete" and self._judges(session):
                not_run = self._controller.told().get("kinds", {}).get("left out", 0)
                self._writer.append_selection(self._judge.verdict(not_run))
            if end.status != "complete":  # what did not run may have failed earlier
                self._summary.first_failure_collected = None
            self._writer.close(end)
        with self._faults.guard("writing the history"):
            self._remember()
        if self._new_flaky and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            self._red = f"failed by --aqe-fail-on={NEW_FLAKY}: {', '.join(self._new_flaky)}"
        with self._faults.guard("telling plugins about the recorded run"):
            self._config.pluginmanager.hook.pytest_aqe_recorded(
                config=self._config, run=self._controller.run, run_file=self._run_file()
            )

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        """Say what was recorded and what went wrong, in at most six lines.

        Why a green session fails is said in one more, however quiet it is.
        """
        with self._faults.guard("writing the summary"):
            red = [self._red] if self._red is not None else []
            if self._config.get_verbosity() <= -2:
                for line in red:
                    terminalreporter.write_line(terminal.printable(line))
                return
            summary = self._summary
            summary.recorded = self._writer.recorded if self._writer else 0
            summary.tests = self._tests_ended
            summary.ordered = self._controller.plan.mode == "order"
            summary.flaked = len(self._flaky)
            summary.downgrade = self._controller.downgrade
            summary.full = self._controller.full
            told = self._controller.told()
            summary.kinds = told.get("kinds", {})
            summary.missing = len(told.get("missing", ()))
            summary.verdicts = self._controller.verdicts
            summary.notes = self._controller.notes
            summary.faults = self._faults.lines()
            lines = terminal.summary_lines(summary)
            if lines or red:
                terminalreporter.write_sep("-", "aqe")
            if self._cards:
                from pytest_aqe.report.flaky import card_lines

                lines += card_lines(self._cards)
            for line in (*lines, *red):
                terminalreporter.write_line(terminal.printable(line))

    def _note_failure(self, result: Result) -> None:
        """Measure how soon the first failure was told, against the collected order.

        With several workers the two do not compare.
        """
        summary = self._summary
        if summary.first_failure is None:
            summary.first_failure = self._tests_ended + 1
        if result.collected is not None and result.worker is None:
            place = result.collected + 1
            summary.first_failure_collected = min(summary.first_failure_collected or place, place)

    def _keep_dependencies(
        self, sets: dict[SetKey, dict[str, list[str]]], files: dict[str, Version]
    ) -> None:
        """Write the sets and files that a worker saw for the first time, each once."""
        if not self._writable:
            return
        writer = self._open_writer()
        for key, content in sets.items():
            if key not in self._sets:
                self._sets.add(key)
                writer.append_set(key, content)
        files = {
            file: UNSTABLE if self._has_appeared(file, version) else version
            for file, version in files.items()
        }
        fresh = {
            file: version
            for file, version in files.items()
            if self._files.setdefault(file, version) != version or file not in self._told_files
        }
        self._told_files |= fresh.keys()
        if fresh:
            writer.append_files(fresh)

    def _has_appeared(self, file: str, version: Version) -> bool:
        """Tell a module that was not there before the first test, which may have looked for it.

        One that is older stands where nobody looks for modules: behind a link to a folder.
        """
        if not file.endswith(".py") or version == ABSENT or file in self._everywhere:
            return False
        try:
            status = (self._controller.root / file).stat()
        except OSError:
            return True
        return tree.is_looked_into(file) and status.st_ctime >= self._started - _CLOCKS

    def _keep_pieces(self, files: Mapping[str, Version]) -> None:
        """Write what the Python files of this run consist of, where the history lacks it.

        A file that was edited while the tests ran is not what they saw: it stays unknown.
        """
        if not files:
            return
        from pytest_aqe.evidence.readings import pieces_of
        from pytest_aqe.evidence.syntax import forget_trees
        from pytest_aqe.evidence.versions import digest

        assert self._writer is not None
        root = self._controller.root
        for file, version in files.items():
            if not file.endswith(".py") or (file, version) in self._controller.parsed:
                continue
            try:
                source = (root / file).read_bytes()
            except OSError:
                continue
            if digest(source) == version:
                found = pieces_of(source)
                self._writer.append_pieces(file, version, found.checksums, found.inert)
                forget_trees()

    def _look_again(self) -> None:
        """Tell which files changed under tests that may have used any of them."""
        assert self._writer is not None
        if self._everything:
            now = self._look_at_everything()
            changed = {
                file: now.get(file, "absent")
                for file, version in self._everything.items()
                if file != tree.PROJECT and now.get(file) != version
            }
            if changed:
                self._writer.append_files(changed)

    def _look_at_everything(self) -> dict[str, Version]:
        contents = contents_in(self._options.history.parent)
        found = tree.everything(self._controller.root, contents)
        contents.keep()
        return found

    def _open_writer(self) -> runfile.RunFileWriter:
        if self._writer is None:
            self._writable = False  # unless it can be opened; nobody tries twice
            self._writer = self._open()
            self._writable = True
            if self._controller.plan.follows:
                self._writer.append_files(self._everywhere)
                known = self._everywhere.items()
                self._keep_dependencies({}, dict(self._carried_files().items() - known))
        return self._writer

    @cached_property
    def _everywhere(self) -> dict[str, Version | None]:
        """What there was before the first test: Python files, settings, installed packages.

        As it was when tests were selected, if they were. What appears later nobody has seen who
        was left out, or ran before.
        """
        selected = self._controller.selected
        if selected is None or not selected.state:
            from pytest_aqe.evidence.ground import state

            return state(self._controller.ground, ())
        there: dict[str, Version | None] = {}
        for file, version in selected.state.items():
            if file.startswith((CONFIGURATION, tree.INSTALLED)):
                there[file] = version
            elif file.endswith(".py") and version != ABSENT:
                there[file] = None
        return there

    def _carried_files(self) -> dict[str, Version]:
        """Return the versions of all that tests may depend on which nobody follows."""
        if not self._controller.plan.carried:
            return {}
        return {file: it for file, it in self._decided_by.items() if file != tree.PROJECT}

    @cached_property
    def _decided_by(self) -> dict[str, Version]:
        """The files that selection was decided by, as they were then."""
        selected = self._controller.selected
        return {
            file: version
            for file, version in (selected.state.items() if selected is not None else ())
            if version is not None
        }

    def _left_out(self) -> dict[str, list[Identity]]:
        """Return the tests that were here and left out, by the run that they are known since."""
        selected = self._controller.selected
        others = self._controller.told().get("others")
        if selected is None or others is None or not self._controller.plan.follows:
            return {}
        elsewhere = frozenset(others)
        since = {
            run_id: [name for name in names if name not in elsewhere]
            for run_id, names in selected.since.items()
        }
        return {run_id: names for run_id, names in since.items() if names}

    def _open(self) -> runfile.RunFileWriter:
        if self._controller.run is None:  # nothing was going to run
            self._controller.look()
        run = self._controller.run
        if run is None:
            raise RunFileError("nothing is recorded: the run could not be described")
        mode = "observe" if self._controller.downgrade else run.mode
        run = run._replace(mode=mode, policy=self._controller.plan.policy)
        self._controller.run = run
        return runfile.RunFileWriter(self._options.folder, run)

    def _end(self, session: pytest.Session, exit_status: int, recorded: int) -> RunEnd:
        status: Status = "complete"
        if self._cut_short is not None:
            status = self._cut_short
        elif session.shouldfail or session.shouldstop:
            status = "stopped"
        elif exit_status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            status = "broken"
        outputs = self._controller.outputs
        return RunEnd(
            ended_at=datetime.now(timezone.utc).isoformat(),
            status=status,
            exit_status=exit_status,
            collected=max((output["collected"] for output in outputs), default=None),
            deselected=max((output["deselected"] for output in outputs), default=None),
            recorded=recorded,
        )

    def _judges(self, session: pytest.Session) -> bool:
        """Tell whether this run judges selection: by its probes, or as the whole suite."""
        return self._controller.judged == "select" or self.ran_whole(session)

    def _remember(self) -> None:
        done = writes.remember(
            self._options.history,
            vanished=self._controller.vanished,
            read_tables=self._controller.read_tables,
            patience=PATIENCE,
            learn=self._learn,
        )
        self._summary.ingested = not self._own_file_waits()
        self._summary.renamed = len(done.renames)
        self._controller.notes += done.notes

    def _learn(self, connection: Connection) -> None:
        """Let every learner take in what the history took up."""
        if self._options.flaky != "off":
            self._learn_flaky(connection)
        with self._faults.guard("learning which tests fail"):
            self._learn_order(connection)

    def _learn_order(self, connection: Connection) -> None:
        """Learn from this run, and find where other orders would have met its first failure."""
        if not queries.ever_failed(connection):
            return
        from pytest_aqe import training

        learnt = training.learn(connection, self._options.suite, patience=training.PATIENCE)
        if learnt is None:
            return
        notes = self._controller.notes
        notes += [f"tests are ordered by {learnt.policy} now: {step}" for step in learnt.steps]
        if learnt.waiting:
            notes.append(
                f"runs still to be learnt from: {learnt.waiting}; `pytest-aqe tune` does it at once"
            )
        run = self._controller.run
        if run is not None and self._summary.first_failure is not None:
            self._summary.other_orders = training.other_orders(connection, run.run_id)

    def _learn_flaky(self, connection: Connection) -> None:
        """Judge this run's failures; bring what is believed up to date where that cannot wait.

        A session that only reports keeps nothing, so a failure costs what it takes to judge it.
        """
        with self._faults.guard("telling flaky tests from broken ones"):
            from pytest_aqe import suspecting

            run = self._controller.run
            asks = NEW_FLAKY in self._options.fail_on
            waiting = suspecting.WAITING if self._options.flaky == "report" and not asks else 0
            found = None
            if waiting and self._failed and run is not None:
                found = suspecting.judge(connection, run, waiting=waiting)
                waiting = 0
            if found is None:
                patience = suspecting.PATIENCE
                if asks and run is not None:
                    known, self._new_flaky = suspecting.learn_new(
                        connection, run, patience=patience
                    )
                else:
                    known = suspecting.learn(connection, patience=patience, waiting=waiting)
                if self._options.flaky == "rerun":
                    suspecting.learn_rerunning(connection, self._options.suite)
                if not known:
                    self._controller.notes.append(
                        "flaky tests: runs are still to be learnt from; `pytest-aqe flaky` does it"
                    )
                elif run is not None and self._failed:
                    found = suspecting.judged(connection, run)
            if found:
                rerunning = self._options.flaky == "rerun"
                self._cards = [
                    card
                    for card in suspecting.cards(connection, found, rerunning=rerunning)
                    if card.node_id not in self._said
                ]

    def _own_file_waits(self) -> bool:
        return self._writer is not None and self._writer.path.exists()

    def _run_file(self) -> Path:
        assert self._writer is not None
        path = self._writer.path
        if self._own_file_waits():
            return path
        return self._options.folder / runfile.INGESTED / f"{path.name}.gz"


def _may_use_any_file(depends: Depends | None) -> bool:
    """Tell whether a test uses files that nobody sees it use."""
    if depends is None:
        return False
    return depends.globs is not None or bool({*depends.doubt} - {ALWAYS, SKIPPED})
