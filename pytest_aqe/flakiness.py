"""Role 1, tells what became of failures that were followed up: reruns and quarantined tests."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from pytest_aqe.controller import Controller
from pytest_aqe.faults import Faults
from pytest_aqe.options import Options
from pytest_aqe.report.flaky import forgiven_lines, quarantine_lines

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

EXPIRED = "expired-quarantine"  # of --aqe-fail-on


class FollowedUp:
    """Give reruns, forgiven and quarantined tests a letter and lines, quarantine its exit code.

    Earlier attempts go into the JUnit file of ``--junitxml`` as Maven Surefire writes them:
    ``flakyFailure`` in a test that passed in the end, ``rerunFailure`` in one that did not.
    """

    def __init__(
        self, config: pytest.Config, options: Options, faults: Faults, controller: Controller
    ) -> None:
        self._config = config
        self._attempts: dict[tuple[str, Any], list[pytest.TestReport]] = defaultdict(list)
        self._options = options
        self._faults = faults
        self._controller = controller
        self._quarantined: dict[str, tuple[str, int]] = {}
        self._red: dict[str, str] = {}
        self._forgiven: dict[str, tuple[int, bool, float]] = {}
        self._failed = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, Any] | None:
        """Show Q for a flake in quarantine, f for a forgiven one, R for an earlier attempt."""
        if "aqe_quarantined" in report.__dict__:
            return "quarantined", "Q", ("QUARANTINED", {"yellow": True})
        if "aqe_forgiven" in report.__dict__:
            return "forgiven", "f", ("FORGIVEN", {"yellow": True})
        if report.outcome == "rerun":
            return "rerun", "R", ("RERUN", {"yellow": True})
        return None

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember who was in quarantine or forgiven, and what became of earlier attempts."""
        with self._faults.guard("writing earlier attempts to the JUnit file"):
            self._keep_attempts(report)
        told = report.__dict__
        if "aqe_quarantined" in told:
            owner, days = told["aqe_quarantined"]
            self._quarantined[report.nodeid] = (owner, days)
        elif "aqe_red_again" in told:
            self._red[report.nodeid] = told["aqe_red_again"]
        elif "aqe_forgiven" in told:
            attempts, passed, p_broken = told["aqe_forgiven"]
            self._forgiven[report.nodeid] = (attempts, passed, p_broken)

    def _keep_attempts(self, report: Any) -> None:
        """Collect attempts that failed until a last one; then put them into its element."""
        if not getattr(self._config.option, "xmlpath", None):
            return
        from _pytest.junitxml import xml_key  # private, so only where the file is wanted

        xml = self._config.stash.get(xml_key, None)
        if xml is None:  # a worker's
            return
        test = report.nodeid, getattr(report, "node", None)  # and the worker
        if report.outcome == "rerun":
            if report.longrepr is not None:  # it did not pass
                self._attempts[test].append(report)
        elif test in self._attempts and (report.when == "call" or not report.passed):
            passed = not report.failed and "aqe_forgiven" not in report.__dict__
            prefix = "flaky" if passed else "rerun"
            for attempt in self._attempts.pop(test):
                xml.node_reporter(report).append(_junit(attempt, prefix))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Turn success into failure where a quarantine has expired and that was asked for."""
        if EXPIRED in self._options.fail_on and exitstatus == pytest.ExitCode.OK and self._expired:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            self._failed = True

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        """Say who was forgiven, who is in quarantine, who is red again, and whose time is over."""
        with self._faults.guard("telling of quarantined tests"):
            for line in (
                *forgiven_lines(self._forgiven),
                *quarantine_lines(self._quarantined, self._red, self._expired, failed=self._failed),
            ):
                terminalreporter.write_line(line)

    @property
    def _expired(self) -> list[str]:
        entries = self._controller.quarantine.entries.values()
        return [each.id for each in entries if each.expired(self._controller.today)]


def _junit(attempt: pytest.TestReport, prefix: str) -> ET.Element:
    """Return an attempt that failed, as in Surefire's schema 3.0 for test reports."""
    from _pytest.junitxml import bin_xml_escape

    crash = getattr(attempt.longrepr, "reprcrash", None)
    message = crash.message if crash is not None else attempt.longreprtext
    first = message.partition("\n")[0]
    kind = first.partition(":")[0]
    element = ET.Element(
        f"{prefix}{'Failure' if attempt.when == 'call' else 'Error'}",
        message=bin_xml_escape(first),
        type=kind if kind.replace(".", "").isidentifier() else "AssertionError",
    )
    ET.SubElement(element, "stackTrace").text = bin_xml_escape(attempt.longreprtext)
    return element
