"""The pytest11 entry point: options, seams, roles. Standard library and pytest only.

Everything else is imported when ``--aqe`` is given, and here alone it is asked in which
process this is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import ref

import pytest

from pytest_aqe import options

_EARLY = pytest.StashKey[tuple[Any, Any]]()  # of before the roles: faults, what is unchanged
_ROLES = (
    "aqe-measuring",
    "aqe-tracking",
    "aqe-defaults",
    "aqe-worker",
    "aqe-carrier",
    "aqe-controller",
    "aqe-explainer",
    "aqe-recorder",
    "aqe-examiner",
    "aqe-followed-up",
    "aqe-uncovered",
    "aqe-generating",
)
_RUNNING_NOTHING = ("collectonly", "setuponly", "setupplan")  # what they report is no result
_MARKERS = (
    "aqe_id(id): name this test in the history, whatever it is called and wherever it stands",
    "aqe_quarantine(reason, owner, expires): with --aqe-flaky=quarantine, flakes of this test "
    "do not fail the session until that date (at most 30 days ahead)",
    "aqe_always: select never leaves this test out",
    "aqe_depends(*globs): what select cannot follow in this test are these files alone",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare our flags and ini keys."""
    options.add(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare our seams, so that other plugins' implementations are known even when off."""
    from pytest_aqe import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Follow what conftests import and run: they are loaded before anything is configured."""
    settings = options.resolve_early(early_config)
    if settings is None or not (settings.dependencies or settings.gaps):
        return
    with _as_installed(early_config):
        from pytest_aqe.faults import Faults
        from pytest_aqe.history.store import is_foreign

    if is_foreign(settings.history):
        return
    faults = Faults(settings.folder / "faults")
    early_config.stash[_EARLY] = (faults, None)
    if settings.gaps and not (settings.dry_run or settings.explain):
        with faults.guard("starting to measure coverage"), _as_installed(early_config):
            from pytest_aqe.measuring import Measuring

            measuring = Measuring(early_config, faults, settings.folder)
            measuring.start()
            early_config.pluginmanager.register(measuring, "aqe-measuring")
    if not settings.dependencies:
        return
    unchanged = None
    with faults.guard("looking whether anything changed"), _as_installed(early_config):
        from pytest_aqe.controller import recall_unchanged

        unchanged = recall_unchanged(early_config, settings)
    if unchanged is None:
        with faults.guard("starting to follow tests"), _as_installed(early_config):
            from pytest_aqe.tracking import Tracking

            tracking = Tracking(early_config, faults, settings.folder, settings.environ)
            tracking.start()
            early_config.pluginmanager.register(tracking, "aqe-tracking")
    early_config.stash[_EARLY] = (faults, unchanged)


def pytest_configure(config: pytest.Config) -> None:
    """Register the roles this process plays, or none."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)
    if hasattr(config, "workerinput"):
        _start(config, None)  # on if the controller is, whatever this environment says
    elif (settings := options.resolve(config)) is not None:
        _start(config, settings)
    elif unused := options.typed_without_effect(config):
        line = f"off, so {', '.join(unused)} did nothing; --aqe turns it on"
        config.pluginmanager.register(_Remark([line]), "aqe-off")


def _start(config: Any, settings: options.Options | None) -> None:
    """Register the roles, all or none."""
    given = getattr(config, "workerinput", {})
    if settings is None and "aqe_plan" not in given:
        return
    from pytest_aqe.faults import Faults

    folder = settings.folder / "faults" if settings else Path(given["aqe_faults"])
    faults, unchanged = config.stash.get(_EARLY, None) or (Faults(folder), None)
    with faults.guard("starting"), _as_installed(config):
        if settings is None:
            _be_worker(config, faults)
        else:
            _be_controller(config, settings, faults, unchanged)
        _leave_in_children(config)
        return
    _leave(config)
    config.pluginmanager.register(_Remark(faults.lines()), "aqe-not-started")


def _leave(config: Any) -> None:
    """Play no role any more."""
    for role in _ROLES:
        if config.pluginmanager.has_plugin(role):
            config.pluginmanager.unregister(name=role)


def _leave_in_children(config: Any) -> None:
    """Play no role in a child that a test forks: the session is its parent's.

    A child that raises runs on to pytest's end, where it would close the run file. A wrapper
    that is under way in it asks whether it is registered still.
    """
    if not hasattr(os, "register_at_fork"):  # Windows
        return
    kept = ref(config)  # the system never lets go of the function

    def leave() -> None:
        if (config := kept()) is not None:
            _leave(config)

    os.register_at_fork(after_in_child=leave)


@contextmanager
def _as_installed(config: pytest.Config) -> Iterator[None]:
    """Import our modules from the bytecode that was installed.

    pytest rewrites the asserts in every module of a plugin. Ours have none to show, and
    where bytecode cannot be written (PYTHONDONTWRITEBYTECODE, a read-only environment) it
    does so anew in every session: 70 ms instead of 24 (measured).
    """
    rewriter: Any = getattr(config.pluginmanager, "rewrite_hook", None)
    places = [index for index, finder in enumerate(sys.meta_path) if finder is rewriter]
    for index in reversed(places):
        del sys.meta_path[index]
    try:
        yield
    finally:
        for index in places:
            sys.meta_path.insert(index, rewriter)


class _Remark:
    """Say why we did nothing: not even the roles could be made, or nobody turned us on."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if terminalreporter.verbosity <= -2:
            return
        for line in self._lines:
            terminalreporter.write_line(f"aqe: {line}")


def _be_worker(config: Any, faults: Any) -> None:
    """Run tests for an xdist controller in another process."""
    from pytest_aqe.plans import unpack
    from pytest_aqe.worker import Carrier, Worker

    plan = unpack(config.workerinput["aqe_plan"])
    tracking = config.pluginmanager.get_plugin("aqe-tracking")
    if tracking is not None and not plan.follows:
        tracking.stop()
    finish = lambda output: config.workeroutput.update(aqe=output)  # noqa: E731
    worker = Worker(config, faults, lambda: plan, finish)
    if tracking is not None:
        tracking.carry(worker.carried)
    config.pluginmanager.register(worker, "aqe-worker")
    config.pluginmanager.register(Carrier(worker, faults), "aqe-carrier")
    if plan.brief is not None:
        _follow_up(config, faults, str(plan.brief["mode"]), lambda: plan, worker)


def _follow_up(config: Any, faults: Any, mode: str, plan: Any, worker: Any) -> None:
    """Let failures be run again, or quarantined flakes not fail the session."""
    from pytest_aqe.examining import Examiner, Quarantiner, Rerunner

    examiner = Examiner(config, plan, worker.identity)
    role: Any = Quarantiner(config, faults, examiner)
    if mode == "rerun":
        role = Rerunner(config, faults, examiner)
    config.pluginmanager.register(role, "aqe-examiner")


def _be_controller(
    config: pytest.Config, settings: options.Options, faults: Any, unchanged: Any
) -> None:
    """Own the history; without xdist, run the tests too."""
    from pytest_aqe.controller import Controller
    from pytest_aqe.defaults import Defaults
    from pytest_aqe.errors import HistoryForeign
    from pytest_aqe.explainer import Explainer
    from pytest_aqe.history.store import is_foreign
    from pytest_aqe.recorder import Recorder
    from pytest_aqe.worker import Worker

    if is_foreign(settings.history):
        raise HistoryForeign(settings.history)
    register = config.pluginmanager.register
    register(Defaults(), "aqe-defaults")
    controller = Controller(config, settings, faults, unchanged)
    worker = Worker(config, faults, lambda: controller.plan, controller.take)
    if tracking := config.pluginmanager.get_plugin("aqe-tracking"):
        tracking.carry(worker.carried)
    register(worker, "aqe-worker")
    register(controller, "aqe-controller")
    if settings.dry_run or settings.explain:
        config.option.dist = "no"  # one process is enough to show a plan
        register(Explainer(settings, faults, controller, worker.identity), "aqe-explainer")
    elif not any(config.getoption(name, False) for name in _RUNNING_NOTHING):
        recorder = Recorder(config, settings, faults, controller, worker.facts)
        register(recorder, "aqe-recorder")
        follows_up = settings.flaky in ("rerun", "quarantine")
        if follows_up:
            _follow_up(config, faults, settings.flaky, lambda: controller.plan, worker)
        if follows_up or "expired-quarantine" in settings.fail_on:
            from pytest_aqe.flakiness import FollowedUp

            register(FollowedUp(config, settings, faults, controller), "aqe-followed-up")
        if measuring := config.pluginmanager.get_plugin("aqe-measuring"):
            from pytest_aqe.uncovered import Uncovered

            uncovered = Uncovered(config, settings, faults, controller, recorder, measuring)
            register(uncovered, "aqe-uncovered")
            if settings.generate != "off":
                from pytest_aqe.generating import Generating

                register(
                    Generating(config, settings, faults, uncovered, recorder), "aqe-generating"
                )
