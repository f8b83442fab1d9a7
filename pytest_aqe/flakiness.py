"""Role 1, tells what became of failures that were followed up: reruns and quarantined tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_aqe.controller import Controller
from pytest_aqe.faults import Faults
from pytest_aqe.options import Options
from pytest_aqe.report.flaky import quarantine_lines

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

EXPIRED = "expired-quarantine"  # of --aqe-fail-on


class FollowedUp:
    """Give reruns and quarantined tests a letter, and quarantine its lines and its exit code."""

    def __init__(self, options: Options, faults: Faults, controller: Controller) -> None:
        self._options = options
        self._faults = faults
        self._controller = controller
        self._quarantined: dict[str, tuple[str, int]] = {}
        self._red: dict[str, str] = {}
        self._failed = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, Any] | None:
        """Show Q for a flake in quarantine and R for an attempt that was not the last."""
        if "aqe_quarantined" in report.__dict__:
            return "quarantined", "Q", ("QUARANTINED", {"yellow": True})
        if report.outcome == "rerun":
            return "rerun", "R", ("RERUN", {"yellow": True})
        return None

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember who was in quarantine."""
        told = report.__dict__
        if "aqe_quarantined" in told:
            owner, days = told["aqe_quarantined"]
            self._quarantined[report.nodeid] = (owner, days)
        elif "aqe_red_again" in told:
            self._red[report.nodeid] = told["aqe_red_again"]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Turn success into failure where a quarantine has expired and that was asked for."""
        if EXPIRED in self._options.fail_on and exitstatus == pytest.ExitCode.OK and self._expired:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            self._failed = True

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        """Say who is in quarantine, who is red again, and whose time is over."""
        with self._faults.guard("telling of quarantined tests"):
            for line in quarantine_lines(
                self._quarantined, self._red, self._expired, failed=self._failed
            ):
                terminalreporter.write_line(line)

    @property
    def _expired(self) -> list[str]:
        entries = self._controller.quarantine.entries.values()
        return [each.id for each in entries if each.expired(self._controller.today)]
