"""Keeps what happens: every result on disk at once, and in the history at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from contextlib import suppress
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest

from pytest_aqe.controller import PATIENCE, Controller
from pytest_aqe.data import (
    ALWAYS,
    FAILING,
    SKIPPED,
    Depends,
    NodeId,
    Result,
    RunEnd,
    SetKey,
    Status,
    Version,
)
from pytest_aqe.errors import HistoryError, NotFound, RunFileError
from pytest_aqe.evidence.identity import without_group
from pytest_aqe.evidence.reports import Facts, Fold
from pytest_aqe.faults import Faults
from pytest_aqe.history import queries, runfile, writes
from pytest_aqe.history.store import open_history
from pytest_aqe.options import Options
from pytest_aqe.report import terminal
from pytest_aqe.surroundings import Surroundings
from pytest_aqe.wholeness import asks_for_all, takes_away

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

    from pytest_aqe.history.store import Connection
    from pytest_aqe.learning.judging import Judge
    from pytest_aqe.report.flaky import Card


NEW_FLAKY = "new-flaky"  # of --aqe-fail-on
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
        self._surroundings = Surroundings(controller, options.history.parent)

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
                _ = self._surroundings.there

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Fold the report; write the result it completes."""
        with self._recording:
            if getattr(report, GENERATED, False):
                return  # no test of the suite: its row is in ``generations``
            if report.__dict__.keys() & {"aqe_quarantined", "aqe_red_again", "aqe_forgiven"}:
                self._said.add(without_group(report.nodeid))
            told = report.__dict__.get("aqe", {})
            sets, files = told.pop("sets", {}), told.pop("files", {})
            amended = told.pop("amended", {})
            if chosen := told.pop("chosen", None):
                self._controller.chosen = chosen
            result = self._fold.add(report)
            if result is not None:  # counted whether it can be kept or not
                if result.outcome in FAILING:
                    self._failed = True
                    self._note_failure(result)
                elif result.attempt:
                    self._flaky.add(result.node_id)
                self._tests_ended += not result.attempt
            if self._writable and (sets or files or amended):
                self._keep(sets, files, amended)
            if result is not None:
                self._record(result)

    def _keep(
        self,
        sets: Mapping[SetKey, Mapping[str, list[str]]] = MappingProxyType({}),
        files: Mapping[str, Version] = MappingProxyType({}),
        amended: Mapping[SetKey, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        """Write what tests depend on, as far as the disk takes it."""
        if self._writable:
            writer = self._open_writer()
            self._surroundings.keep(writer, sets, files)
            if amended:
                writer.append_amended(amended)

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
            if _may_use_any_file(result.depends):
                self._surroundings.keep_everything(writer)
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
                self._tests_ended += not result.attempt
                self._record(result)
            tracking = self._config.pluginmanager.get_plugin("aqe-tracking")
            if tracking is not None and (told := tracking.told_last()):
                self._keep(**told)
        status = self._status(session, int(exitstatus))
        self._summary.ended_early = status != "complete"
        if self._writer is None:
            return
        with self._faults.guard("closing the run file"):
            self._surroundings.finish(self._writer)
            end = self._end(status, int(exitstatus), self._writer.recorded)
            if self._judge is not None and end.status == "complete" and self._judges(session):
                not_run = self._controller.told().get("kinds", {}).get("left out", 0)
                self._writer.append_selection(self._judge.verdict(not_run))
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
            told = {**self._controller.chosen, **self._controller.told()}
            summary.kinds = told.get("kinds", {})
            summary.replayed = told.get("replayed")
            summary.missing = len(told.get("missing", ()))
            summary.unended = max(told.get("to_run", 0) - self._tests_ended, 0)
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

    def _open_writer(self) -> runfile.RunFileWriter:
        if self._writer is None:
            self._writable = False  # unless it can be opened; nobody tries twice
            self._writer = self._open()
            self._writable = True
            if self._controller.plan.follows:
                self._surroundings.begin(self._writer)
        return self._writer

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

    def _status(self, session: pytest.Session, exit_status: int) -> Status:
        if self._cut_short is not None:
            return self._cut_short
        if session.shouldfail or session.shouldstop:
            return "stopped"
        if exit_status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            return "broken"
        return "complete"

    def _end(self, status: Status, exit_status: int, recorded: int) -> RunEnd:
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
