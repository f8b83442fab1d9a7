"""Shows the plan instead of running it: ``--aqe-dry-run`` and ``--aqe-explain``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pytest

from pytest_aqe.controller import Controller
from pytest_aqe.data import Identity, Plan
from pytest_aqe.faults import Faults
from pytest_aqe.learning.selection import NEW_TEST
from pytest_aqe.options import Options
from pytest_aqe.report import terminal

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter


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
        chosen = self._controller.reasons()
        order = [
            (item.nodeid, self._reason(plan, chosen, self._identity(item)))
            for item in session.items
        ]
        reporter.write_sep("-", "aqe plan")
        for line in terminal.plan_lines(
            order,
            moved,
            reasons=self._options.explain,
            policy=plan.policy,
            left_out=len(self._collected) - len(kept),
        ):
            reporter.write_line(line)

    def _reason(self, plan: Plan, chosen: Mapping[Identity, str], identity: Identity) -> str:
        """Say why a test runs, where that is a question, and why where it does."""
        if plan.replay is not None:
            return "in the replayed plan"
        if not plan.ranks:
            return "collected order"
        rank = plan.ranks.get(identity, NEW_TEST).reason
        return f"{chosen[identity]}; {rank}" if identity in chosen else rank
