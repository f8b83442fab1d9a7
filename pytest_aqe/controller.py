"""Role 1, owns the history: decides the plan at session start and hands it to the workers.

What then happens keeps `recorder`; what would happen shows `explainer`. Each is registered
only where it has something to do.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_aqe import __version__
from pytest_aqe.data import Identity, Mode, Plan, Policy, Rollup, Run, Version
from pytest_aqe.errors import HistoryBusy, HistoryDenied, HistoryError, NotFound
from pytest_aqe.evidence import changes, environment
from pytest_aqe.evidence.command_line import handed_on
from pytest_aqe.evidence.identity import git_root, is_gone, prefix_of
from pytest_aqe.evidence.versions import ABSENT
from pytest_aqe.faults import Faults
from pytest_aqe.history import affected, dependencies, queries, runfile, unchanged, writes
from pytest_aqe.history.store import Connection, open_history
from pytest_aqe.learning.selection import DecayedFailureRate
from pytest_aqe.options import Options
from pytest_aqe.plans import pack, write, write_rest
from pytest_aqe.report import terminal

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

    from pytest_aqe.evidence.ground import Ground
    from pytest_aqe.history.unchanged import Unchanged
    from pytest_aqe.quarantine import Quarantine
    from pytest_aqe.selecting import Selected

_STEPWISE = ("stepwise", "stepwise_skip", "stepwise_reset")  # the later two imply the first
_LOOKING = {  # options of those who run no test: they look at all that there is
    "collectonly": "--collect-only",
    "setupplan": "--setup-plan",
    "setuponly": "--setup-only",
    "showfixtures": "--fixtures",
    "show_fixtures_per_test": "--fixtures-per-test",
}

STALE = 2_000  # tests sent with a plan; what fits into a part of a budget is far less
PATIENCE = 5.0  # seconds a session spends on run files that others left; the rest keep waiting


class Controller:
    """Read the history, let the policy decide, hand the plan to every worker."""

    def __init__(
        self,
        config: pytest.Config,
        options: Options,
        faults: Faults,
        known: Unchanged | None = None,
    ) -> None:
        self._config = config
        self._options = options
        self._faults = faults
        self._decides = options.mode != "observe" and options.replay is None
        self._downgrade = _downgrade(config, options) if self._decides else None
        self._change: changes.Change | None = None
        self._runs: int | None = None
        self._tests: int | None = None
        self._plan_file: str | None = None
        repository = git_root(config.rootpath)
        self._in_git = repository is not None
        self.root = repository or config.rootpath
        self.prefix = prefix_of(config.rootpath)
        self.plan = Plan(
            "observe",
            self.prefix,
            None,
            {},
            replay=options.replay,
            tells_rest=options.rest is not None,
            tells_order=options.plan is not None,
            follows=options.dependencies,
            environ=options.environ,
        )
        self.full: str | None = None
        """Why everything runs although select was asked for."""
        self.selected: Selected | None = None
        self.tests: dict[Identity, Rollup] = {}
        self.parsed: set[tuple[str, Version]] = set()
        """The Python files, by version, whose pieces the history holds."""
        self.verdicts: terminal.Verdicts | None = None
        self.read_tables: set[str] = set()
        self.outputs: list[dict[str, Any]] = []
        self.chosen: dict[str, Any] = {}
        """What a worker told of its tests with the first that it ran."""
        self.run: Run | None = None
        self.notes: list[str] = []
        self._unchanged = known
        self._learned: Policy | None = None

    @property
    def change(self) -> changes.Change | None:
        """What the run's code changes; None while nobody has looked."""
        return self._change

    @property
    def downgrade(self) -> str | None:
        """Why the mode that was asked for is not the one in force."""
        return self._downgrade

    def pytest_sessionstart(self) -> None:
        """Decide, before xdist starts its workers."""
        if self._unchanged is not None and self._downgrade is None:
            self._runs, self._tests = self._unchanged.runs, sum(self._unchanged.unvisited.values())
            self.plan = replace(self.plan, mode="select", unvisited=self._unchanged.unvisited)
            return
        self.look()
        if self._decides and self._downgrade is None:
            self._downgrade = "the order could not be decided"
            with self._faults.guard("deciding the order"):
                self._downgrade = self._decide()
        elif self._options.dependencies:
            with self._faults.guard("reading the history"):
                self._read_parsed()
        if self._options.flaky in ("rerun", "quarantine"):
            with self._faults.guard("preparing to judge failures"):
                self._write_brief()

    def _write_brief(self) -> None:
        """Tell those who run tests what is believed of them, and who is in quarantine."""
        brief: dict[str, Any] = {"mode": self._options.flaky, "today": self.today.isoformat()}
        brief["listed"] = [
            [each.id, each.reason, each.owner, each.expires.isoformat()]
            for each in self.quarantine.entries.values()
        ]
        brief["options"] = handed_on(self._config)
        self.notes += self.quarantine.problems
        if self.run is not None:
            from pytest_aqe import suspecting

            seconds = self._options.rerun_seconds
            brief["believed"] = suspecting.no_brief(self.run, seconds=seconds).pack()
            with (
                suppress(NotFound, HistoryError),
                open_history(self._options.history, write=False) as connection,
            ):
                decision = self.selected.decision if self.selected else None
                found = suspecting.brief(connection, self.run, decision, seconds=seconds)
                brief["believed"] = found.pack()
                if self._options.flaky == "rerun":
                    brief["learnt"] = suspecting.learnt(connection, self.run.suite)
                self.read_tables |= connection.read_tables
        self.plan = replace(self.plan, brief=brief)

    @cached_property
    def today(self) -> date:
        """The day, by which quarantines expire: the same for every process."""
        return datetime.now(timezone.utc).date()

    @cached_property
    def quarantine(self) -> Quarantine:
        """The committed list; one that cannot be read is empty, and that is said."""
        from pytest_aqe.quarantine import Quarantine, load

        with self._faults.guard("reading the quarantine"):
            return load(self._options.quarantine_file, self.today)
        return Quarantine({})

    def pytest_report_header(self) -> str | None:
        """Say mode, base and history."""
        with self._faults.guard("writing the header"):
            change = self._change
            mode = self._options.mode if self._options.replay is None else "replay"
            return terminal.header_line(
                terminal.Header(
                    mode="observe" if self._downgrade else mode,
                    asked_mode=self._options.mode,
                    downgrade=self._downgrade,
                    full=self.full,
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
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write what was asked for; an empty selection of ours is no failure."""
        if self._plan_file is not None:
            with self._faults.guard("removing the plan"):
                Path(self._plan_file).unlink(missing_ok=True)
        told = self.told()
        with self._faults.guard("writing the plan"):
            if self._options.plan is not None and "order" in told:
                write(self._options.plan, told["order"], self.plan, self.reasons())
        with self._faults.guard("writing the rest"):
            if self._options.rest is not None:
                write_rest(self._options.rest, told.get("rest", []))
        chose = told.get("kinds") or (self.plan.replay == () and any(told.get("replayed", ())))
        nothing = exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED
        if nothing and chose and told.get("left") == 0:
            session.exitstatus = pytest.ExitCode.OK

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
        return is_gone(old, new, self.root)

    def told(self) -> dict[str, Any]:
        """Return what a worker did with the plan: all do the same, one that crashed did nothing."""
        return max(self.outputs, key=lambda output: len(output), default={})

    @cached_property
    def ground(self) -> Ground:
        """Where selection looks. Selection is imported by who follows dependencies only."""
        return ground_of(self._config, self._options)

    @property
    def judged(self) -> str | None:
        """How selection can be judged by this run's outcomes: select, shadow, or not at all."""
        if self.selected is None or self.selected.decision is None:
            return None
        if self._options.mode == "select" and self.full is None:
            return "select"
        return "shadow"

    def reasons(self) -> dict[Identity, str]:
        """Return why selection runs the known tests that it runs."""
        decision = self.selected.decision if self.selected else None
        if decision is None or self.judged != "select":
            return {}
        return {identity: because.reason for identity, because in decision.runs.items()}

    def look(self) -> None:
        """Learn where the run happens, and what its code is and changes."""
        with self._faults.guard("looking at the work tree"):
            self._look()

    def _look(self) -> None:
        service = environment.ci(os.environ)
        now = datetime.now(timezone.utc)
        self.run = Run(
            # Sorted by name, run files are in the order of their runs, to the millisecond.
            run_id=f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03}-{os.urandom(4).hex()}",
            started_at=now.isoformat(),
            suite=self._options.suite,
            prefix=self.plan.prefix,
            mode=self._options.mode,
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
        checkout = environment.checkout(self.root)
        asked = self._options.base
        change = self._change = changes.since(checkout, asked, service.base if service else None)
        if asked and change.base is None and self._options.mode != "select":  # which says so
            self.notes.append(f"--aqe-base: {change.origin}; the change is unknown")
        self.run = self.run._replace(
            commit=checkout.commit,
            tree=checkout.tree,
            branch=checkout.branch or self.run.branch,
            base=change.base,
            changed_files=change.files,
        )

    def _decide(self) -> str | None:
        """Turn what the history remembers into the plan; return why that is not possible."""
        path = self._options.history
        tests: list[Rollup] = []
        try:
            with suppress(HistoryBusy, HistoryDenied):  # what is there can still be read
                self._take_up_what_waits(path)
            with open_history(path, write=False) as connection:
                self._runs = queries.run_count(connection, self._options.suite)
                tests = queries.rollups(connection, self._options.suite)
                if self._options.dependencies:
                    self.parsed = affected.parsed(connection)
                    with self._faults.guard("selecting"):
                        self._select(connection, tests)
                with self._faults.guard("reading the policy in force"):
                    self._learned = self._order(connection, tests)
                self.read_tables |= connection.read_tables
        except NotFound:
            self._runs = 0
        except HistoryError as error:
            return str(error)
        if self._runs:
            self._tests = len(tests)
        self._explain_full_run()
        mode = self._options.mode if self.full is None else "order"
        if tests or self._options.budget is not None:
            self._plan(mode, tests)
        return None

    def _order(self, connection: Connection, tests: Sequence[Rollup]) -> Policy:
        """Return the policy in force; a suite without a failure has learnt none."""
        affected: Collection[Identity] = ()
        if self.selected is not None:
            from pytest_aqe.learning.impact import told_apart

            affected = told_apart(self.selected.decision)
        learned: Policy | None = None
        if any(test.q is not None for test in tests):
            from pytest_aqe import training

            changed = self.run.changed_files if self.run else None
            learned = training.order(connection, self._options.suite, changed, affected)
        return learned or DecayedFailureRate(affected)

    def _plan(self, mode: Mode, tests: list[Rollup]) -> None:
        policy = self._config.pluginmanager.hook.pytest_aqe_make_policy(
            config=self._config, learned=self._learned
        )
        ranks = policy.rank(tests)
        decision = self.selected.decision if self.selected and self.judged == "select" else None
        self.plan = replace(
            self.plan,
            mode=mode,
            policy=policy.name,
            ranks={test.identity: rank for test, rank in zip(tests, ranks, strict=True)},
            left_out=decision.left_out if decision else frozenset(),
            only=self.selected.only if decision and self.selected else {},
            carried=self.selected.carried if self.selected else {},
            unvisited=self.selected.unvisited if self.selected and self._may_pass_by() else {},
            because=self._because(tests),
            budget=self._options.budget,
            stale=_stalest(tests) if self._options.budget is not None else (),
            workers=_workers(self._config),
        )

    def _may_pass_by(self) -> bool:
        """Tell whether tests are left out and nobody wants to see them."""
        options = self._options
        return self.judged == "select" and not _shows(options)

    def _because(self, tests: Sequence[Rollup]) -> dict[Identity, str]:
        """Return why tests run, those that were never seen to pass included."""
        decision = self.selected.decision if self.selected and self.judged == "select" else None
        if decision is None:
            return {}
        failed = {test.identity: "failed" for test in tests if test.failed_last}
        return failed | {name: why.kind for name, why in decision.runs.items()}

    def _select(self, connection: Connection, tests: list[Rollup]) -> None:
        """Decide what selection runs; a full run is scored in silence against it."""
        from pytest_aqe import selecting
        from pytest_aqe.comparing import Base, forget
        from pytest_aqe.learning.impact import upper_bound

        counts = dependencies.verdicts(connection, self._options.suite)
        self.verdicts = terminal.Verdicts(*counts, at_most=upper_bound(counts[3], counts[1]))
        self.tests = {test.identity: test for test in tests}
        base: Base | None = None
        change = self._change
        if change is not None and change.lost is not None:
            self.full = f"the base {change.lost}"
            return
        if change is not None and change.explicit:
            if change.base is None or change.files is None:
                self.full = f"what differs from {change.origin} is unknown"
                return
            base = Base(change.base, change.files)
        try:
            self.selected = selecting.select(
                connection,
                self.ground,
                base=base,
                failed={test.identity for test in tests if test.failed_last},
                probe=self._options.probe if self._options.mode == "select" else 0.0,
                seed=self.seed,
                runs_all=self._options.mode == "order" or self._full_ref is not None,
            )
        finally:
            forget()
        decision = self.selected.decision
        if self._options.mode == "select" and base is None and decision is not None:
            self._note_unchanged(self.tests.keys() | decision.runs.keys() | decision.left_out)

    def _note_unchanged(self, known: Collection[Identity]) -> None:
        """Write down that no test has to run, where all of them are in files to pass by.

        Or were in files that are gone.
        """
        selected = self.selected
        if selected is None:
            return
        for file in {identity.partition("::")[0] for identity in known}:
            if file not in selected.unvisited and selected.state.get(file) != ABSENT:
                return
        unchanged.note(
            self._options.history,
            key_of(self.ground, self._options),
            selected.state,
            unchanged.Unchanged(self._runs or 0, selected.unvisited),
        )

    def _explain_full_run(self) -> None:
        """Say why everything runs, when select was asked for and cannot be done."""
        if self._options.mode != "select":
            self.full = None
            return
        if self._full_ref is not None:
            self.full = f"{self._full_ref} runs everything (--aqe-allow-full-refs)"
        elif not self._options.dependencies:
            self.full = "--aqe-dependencies is off"
        elif self.full is None and self.selected is None:
            self.full = "no history yet" if not self._runs else "selection failed"
        elif self.full is None and self.selected is not None:
            self.full = self.selected.full

    @cached_property
    def _full_ref(self) -> str | None:
        """The branch, or other occasion, on which select runs everything."""
        return None if self._options.allow_full_refs else environment.full_ref(os.environ)

    @property
    def seed(self) -> str:
        """The seed of every random choice: as asked for, else the commit."""
        return self._options.seed or (self.run.commit if self.run else None) or "0"

    def _read_parsed(self) -> None:
        with (
            suppress(NotFound, HistoryError),
            open_history(self._options.history, write=False) as connection,
        ):
            self.parsed = affected.parsed(connection)
            self.read_tables |= connection.read_tables

    def _take_up_what_waits(self, path: Path) -> None:
        """Ingest what killed sessions, locked-out ones and other shards left behind."""
        waiting = [file for file in runfile.waiting(path.parent) if not runfile.is_running(file)]
        lost = not path.exists() and (path.parent / runfile.INGESTED).is_dir()
        if waiting or lost:
            done = writes.remember(path, vanished=self.vanished, patience=PATIENCE)
            self.notes += done.notes


def ground_of(config: pytest.Config, options: Options) -> Ground:
    """Return where selection looks in a session."""
    from pytest_aqe.evidence.ground import Ground
    from pytest_aqe.evidence.invocation import invocation

    root = git_root(config.rootpath) or config.rootpath
    arguments = config.invocation_params.args
    return Ground(
        root=root,
        prefix=prefix_of(config.rootpath),
        suite=options.suite,
        environment=environment.label(),
        full_run_paths=options.full_run_paths,
        environ=options.environ,
        folder=options.history.parent,
        invocation=tuple(invocation(arguments, os.environ, root).items()),
    )


def key_of(ground: Ground, options: Options) -> str:
    """Return all that a decision depends on beside the history and the state of the project."""
    return f"{ground} {options.probe} {sys.version} {__version__}"


def recall_unchanged(config: pytest.Config, options: Options) -> Unchanged | None:
    """Tell whether nothing has changed since a session in which no test had to run.

    Only where that would be the whole answer: nothing is to be shown or written, no base.
    """
    more = (options.base, options.budget, options.replay, options.plan, options.rest)
    shown = options.explain or options.dry_run
    if options.mode != "select" or not options.dependencies or shown or any(more):
        return None
    if environment.ci(os.environ) is not None:
        return None
    from pytest_aqe.evidence.ground import state

    ground = ground_of(config, options)
    return unchanged.recall(
        options.history, key_of(ground, options), lambda files: state(ground, files)
    )


def _downgrade(config: pytest.Config, options: Options) -> str | None:
    """Return why this invocation runs what was collected, as it was collected."""
    narrows = options.mode == "select" or options.budget is not None
    if narrows and not _shows(options):
        for name, flag in _LOOKING.items():
            if config.getoption(name, False):
                return f"{flag} shows all tests"
    if any(config.getoption(name, False) for name in _STEPWISE):
        return "--stepwise believes the order of the last run"
    if any("::" in argument for argument in config.args):
        return "explicit node ids keep their order"
    return None


def _shows(options: Options) -> bool:
    """Tell whether the plan is to be seen, on the screen or in a file."""
    return bool(options.plan or options.rest or options.explain or options.dry_run)


def _stalest(tests: Sequence[Rollup]) -> tuple[Identity, ...]:
    """Return the tests not run for longest, of those that not every run executes."""
    last = max((test.last_run or 0 for test in tests), default=0)
    waited = [test for test in tests if test.last_run is not None and test.last_run < last]
    waited.sort(key=lambda test: (test.last_run or 0, test.identity))
    return tuple(test.identity for test in waited[:STALE])


def _workers(config: pytest.Config) -> int:
    """Return how many processes run tests."""
    return max(len(getattr(config.option, "tx", None) or ()), 1)


def _plugins(config: pytest.Config) -> tuple[str, ...]:
    """Return the distributions of plugins, each with its version.

    Their metadata end with a whole README: to parse all that takes 2 ms each.
    """
    found = set()
    for _, distribution in config.pluginmanager.list_plugin_distinfo():
        head, _, _ = (distribution.read_text("METADATA") or "").partition("\n\n")
        said = dict(re.findall(r"^(Name|Version): *(.*?) *$", head, re.MULTILINE))
        found.add(
            f"{said['Name']}-{said['Version']}"
            if len(said) == 2
            else f"{distribution.project_name}-{distribution.version}"
        )
    return tuple(sorted(found))
