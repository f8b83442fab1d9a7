"""Role 1, owns the history: from session start to the summary.

`Controller` decides the plan, `Recorder` keeps what happens, `Explainer` shows the plan
instead of running it. Each is registered only where it has something to do.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_aqe.data import FAILING, Identity, Plan, Rank, Result, Run, RunEnd, Status
from pytest_aqe.errors import (
    HistoryBusy,
    HistoryDenied,
    HistoryError,
    NotFound,
    RunFileError,
)
from pytest_aqe.evidence import changes, environment
from pytest_aqe.evidence.identity import git_root, is_gone, prefix_of
from pytest_aqe.evidence.reports import Fold
from pytest_aqe.faults import Faults
from pytest_aqe.history import queries, runfile, writes
from pytest_aqe.history.store import open_history
from pytest_aqe.learning.selection import NEW_TEST
from pytest_aqe.options import Options
from pytest_aqe.plans import pack
from pytest_aqe.report import terminal

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

_STEPWISE = ("stepwise", "stepwise_skip", "stepwise_reset")  # the later two imply the first


PATIENCE = 5.0  # seconds a session spends on run files that others left; the rest keep waiting


class Controller:
    """Read the history, let the policy decide, hand the plan to every worker."""

    def __init__(self, config: pytest.Config, options: Options, faults: Faults) -> None:
        self._config = config
        self._options = options
        self._faults = faults
        self._downgrade = _downgrade(config) if options.mode == "order" else None
        self._change: changes.Change | None = None
        self._runs: int | None = None
        self._tests: int | None = None
        self._plan_file: str | None = None
        repository = git_root(config.rootpath)
        self._in_git = repository is not None
        self._root = repository or config.rootpath
        self.plan = Plan("observe", prefix_of(config.rootpath), None, {})
        self.read_tables: set[str] = set()
        self.outputs: list[dict[str, Any]] = []
        self.run: Run | None = None
        self.notes: list[str] = []

    @property
    def downgrade(self) -> str | None:
        """Why the mode that was asked for is not the one in force."""
        return self._downgrade

    def pytest_sessionstart(self) -> None:
        """Decide, before xdist starts its workers."""
        with self._faults.guard("looking at the work tree"):
            self._look()
        if self._options.mode == "order" and self._downgrade is None:
            self._downgrade = "the order could not be decided"
            with self._faults.guard("deciding the order"):
                self._downgrade = self._decide()

    def pytest_report_header(self) -> str | None:
        """Say mode, base and history."""
        with self._faults.guard("writing the header"):
            change = self._change
            return terminal.header_line(
                terminal.Header(
                    mode="observe" if self._downgrade else self._options.mode,
                    asked_mode=self._options.mode,
                    downgrade=self._downgrade,
                    base=change.base if change else None,
                    base_origin=change.origin if change else "",
                    history=terminal.shown_path(self._options.history, self._config.rootpath),
                    runs=self._runs,
                    tests=self._tests,
                )
            )
        return None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Send the plan to an xdist worker, a restarted one included."""
        with self._faults.guard("sending the plan"):
            folder = self._options.folder if node.gateway.spec.popen else None
            wire = pack(self.plan, folder)
            self._plan_file = wire.get("path", self._plan_file)
            node.workerinput["aqe_faults"] = str(self._options.folder / "faults")
            node.workerinput["aqe_plan"] = wire

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take what a worker counted; a crashed one has nothing to say."""
        with self._faults.guard("hearing a worker out"):
            output = getattr(node, "workeroutput", {}).get("aqe")
            if output:
                self.take(output)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Remove the plan that workers read from a file."""
        if self._plan_file is not None:
            with self._faults.guard("removing the plan"):
                Path(self._plan_file).unlink(missing_ok=True)

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        """Say what went wrong in a session that records nothing."""
        recorded = self._config.pluginmanager.has_plugin("aqe-recorder")
        if not recorded and self._config.get_verbosity() > -2:
            for line in (*self.notes, *self._faults.lines()):
                terminalreporter.write_line(f"aqe: {line}")

    def take(self, output: dict[str, Any]) -> None:
        """Take a worker's counts and faults."""
        self.outputs.append(output)
        self._faults.take([line for line in output["faults"] if line not in self._faults.lines()])

    def vanished(self, old: Identity, new: Identity) -> bool:
        """Tell whether a test no longer stands where its old identity says."""
        return is_gone(old, new, self._root)

    def _look(self) -> None:
        """Learn where the run happens, and what its code is and changes."""
        service = environment.ci(os.environ)
        now = datetime.now(timezone.utc)
        self.run = Run(
            # Sorted by name, run files are in the order of their runs, to the millisecond.
            run_id=f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03}-{os.urandom(4).hex()}",
            started_at=now.isoformat(),
            suite=self._options.suite,
            prefix=self.plan.prefix,
            mode="observe" if self._downgrade else self._options.mode,
            branch=service.branch if service else None,
            source="ci" if service else "local",
            ci=service.provider if service else None,
            trust="untrusted" if service and service.pull_request else "trusted",
            environment=environment.label(),
            python=".".join(map(str, sys.version_info[:3])),
            platform=environment.system(),
            pytest=pytest.__version__,
            plugins=_plugins(self._config),
        )
        if not self._in_git:
            return
        checkout = environment.checkout(self._root)
        asked = self._options.base
        change = self._change = changes.since(checkout, asked, service.base if service else None)
        if asked and change.base is None:
            self.notes.append(f"--aqe-base: {change.origin}; the change is unknown")
        self.run = replace(
            self.run,
            commit=checkout.commit,
            tree=checkout.tree,
            branch=checkout.branch or self.run.branch,
            base=change.base,
            changed_files=change.files,
        )

    def _decide(self) -> str | None:
        """Turn what the history remembers into the plan; return why that is not possible."""
        path = self._options.history
        try:
            with suppress(HistoryBusy, HistoryDenied):  # what is there can still be read
                self._take_up_what_waits(path)
            with open_history(path, write=False) as connection:
                self._runs = queries.run_count(connection, self._options.suite)
                tests = queries.rollups(connection, self._options.suite)
                self.read_tables |= connection.read_tables
        except NotFound:
            self._runs = 0
            return None
        except HistoryError as error:
            return str(error)
        self._tests = len(tests)
        if not tests:
            return None
        policy = self._config.pluginmanager.hook.pytest_aqe_make_policy(config=self._config)
        ranks = policy.rank(tests)
        self.plan = Plan(
            mode="order",
            prefix=self.plan.prefix,
            policy=policy.name,
            ranks={test.identity: rank for test, rank in zip(tests, ranks, strict=True)},
        )
        return None

    def _take_up_what_waits(self, path: Path) -> None:
        """Ingest what killed sessions, locked-out ones and other shards left behind."""
        waiting = [file for file in runfile.waiting(path.parent) if not runfile.is_running(file)]
        lost = not path.exists() and (path.parent / runfile.INGESTED).is_dir()
        if waiting or lost:
            done = writes.remember(path, vanished=self.vanished, patience=PATIENCE)
            self.notes += done.notes


class Recorder:
    """Keep every result, on disk at once and in the history at the end."""

    def __init__(
        self, config: pytest.Config, options: Options, faults: Faults, controller: Controller
    ) -> None:
        self._config = config
        self._options = options
        self._faults = faults
        self._controller = controller
        self._recording = faults.guard("recording results")
        self._fold = Fold(config.rootpath)
        self._writer: runfile.RunFileWriter | None = None
        self._writable = True
        self._tests_ended = 0
        self._flaky: set[str] = set()
        self._cut_short: Status | None = None
        self._summary = terminal.Summary()

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Fold the report; write the result it completes."""
        with self._recording:
            result = self._fold.add(report)
            if result is None:
                return
            if result.outcome in FAILING:
                self._note_failure(result)
            elif result.attempt:
                self._flaky.add(result.node_id)
            self._tests_ended += not result.attempt
            self._record(result)

    def _record(self, result: Result) -> None:
        if not self._writable:
            return
        try:
            if self._writer is None:
                self._writer = self._open()
            self._writer.append(result)
        except RunFileError:
            self._writable = False
            raise
        if " at 0x" in result.node_id:
            self._summary.unstable += 1

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Tell Ctrl-C and ``pytest.exit()`` from the ways in which -x ends a session.

        Under xdist and --sw that is a `KeyboardInterrupt` too, of a class called Interrupted.
        """
        self._cut_short = "stopped" if excinfo.type.__name__ == "Interrupted" else "interrupted"

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Close the run file and let the history take it up."""
        with self._recording:
            for result in self._fold.unfinished():
                self._record(result)
        if self._writer is None:
            return
        with self._faults.guard("closing the run file"):
            end = self._end(session, int(exitstatus), self._writer.recorded)
            if end.status != "complete":  # what did not run may have failed earlier
                self._summary.first_failure_collected = None
            self._writer.close(end)
        with self._faults.guard("writing the history"):
            self._remember()
        with self._faults.guard("telling plugins about the recorded run"):
            self._config.pluginmanager.hook.pytest_aqe_recorded(
                config=self._config, run=self._controller.run, run_file=self._run_file()
            )

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        """Say what was recorded and what went wrong, in at most six lines."""
        with self._faults.guard("writing the summary"):
            if self._config.get_verbosity() <= -2:
                return
            summary = self._summary
            summary.recorded = self._writer.recorded if self._writer else 0
            summary.ordered = self._controller.plan.mode == "order"
            summary.flaked = len(self._flaky)
            summary.downgrade = self._controller.downgrade
            summary.notes = self._controller.notes
            summary.faults = self._faults.lines()
            lines = terminal.summary_lines(summary)
            if lines:
                terminalreporter.write_sep("-", "aqe")
            for line in lines:
                terminalreporter.write_line(line)

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

    def _open(self) -> runfile.RunFileWriter:
        run = self._controller.run
        if run is None:
            raise RunFileError("nothing is recorded: the run could not be described")
        mode = "observe" if self._controller.downgrade else run.mode
        run = replace(run, mode=mode, policy=self._controller.plan.policy)
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

    def _remember(self) -> None:
        done = writes.remember(
            self._options.history,
            vanished=self._controller.vanished,
            read_tables=self._controller.read_tables,
            patience=PATIENCE,
        )
        self._summary.ingested = not self._own_file_waits()
        self._summary.renamed = len(done.renames)
        self._controller.notes += done.notes

    def _own_file_waits(self) -> bool:
        return self._writer is not None and self._writer.path.exists()

    def _run_file(self) -> Path:
        assert self._writer is not None
        path = self._writer.path
        if self._own_file_waits():
            return path
        return self._options.folder / runfile.INGESTED / f"{path.name}.gz"


class Explainer:
    """Show the plan; run nothing, learn nothing."""

    def __init__(
        self,
        options: Options,
        faults: Faults,
        controller: Controller,
        identity: Callable[[pytest.Item], Identity],
    ) -> None:
        self._options = options
        self._faults = faults
        self._controller = controller
        self._identity = identity
        self._collected: list[pytest.Item] = []

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Any:
        """Remember the order before anybody moves a test."""
        self._collected = list(items)
        return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Print instead of running; collection errors stay pytest's to report."""
        if session.testsfailed and not session.config.option.continue_on_collection_errors:
            return None
        with self._faults.guard("explaining the plan"):
            self._print(session)
        return True

    def _print(self, session: pytest.Session) -> None:
        reporter: TerminalReporter | None = session.config.pluginmanager.get_plugin(
            "terminalreporter"
        )
        if reporter is None:
            return
        plan = self._controller.plan
        kept = set(session.items)
        before = [item for item in self._collected if item in kept]
        moved = sum(old is not new for old, new in zip(before, session.items, strict=False))
        order: list[tuple[str, Rank | None]] = [
            (item.nodeid, plan.ranks.get(self._identity(item), NEW_TEST) if plan.ranks else None)
            for item in session.items
        ]
        reporter.write_sep("-", "aqe plan")
        for line in terminal.plan_lines(
            order,
            moved,
            reasons=self._options.explain,
            policy=plan.policy,
        ):
            reporter.write_line(line)


def _downgrade(config: pytest.Config) -> str | None:
    """Return why this invocation keeps the collected order although order was asked for."""
    if any(config.getoption(name, False) for name in _STEPWISE):
        return "--stepwise believes the order of the last run"
    if any("::" in argument for argument in config.args):
        return "explicit node ids keep their order"
    return None


def _plugins(config: pytest.Config) -> tuple[str, ...]:
    return tuple(
        sorted(
            {
                f"{distribution.project_name}-{distribution.version}"
                for _, distribution in config.pluginmanager.list_plugin_distinfo()
            }
        )
    )
