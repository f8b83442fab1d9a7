"""Reports folded into results."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_aqe.data import Result
from pytest_aqe.evidence.reports import Fold


class SubtestReport(pytest.TestReport):
    """Named like pytest's own, which is how it is told."""


def report(
    when: Any, outcome: Any = "passed", kind: type = pytest.TestReport, **more: Any
) -> pytest.TestReport:
    made = kind(
        nodeid="t.py::f",
        location=("t.py", 0, "f"),
        keywords={},
        outcome=outcome,
        longrepr=more.pop("longrepr", None),
        when=when,
        duration=0.5,
    )
    made.__dict__.update(more)
    return made


def fold(*reports: pytest.TestReport) -> list[Result]:
    folding = Fold(Path("/repo"))
    return [result for each in reports if (result := folding.add(each)) is not None]


SETUP, CALL, TEARDOWN = report("setup"), report("call"), report("teardown")


def test_three_phases_are_one_result() -> None:
    """A passing test is one result with the duration of each phase."""
    (result,) = fold(SETUP, CALL, TEARDOWN)
    assert (result.outcome, result.setup, result.call, result.teardown) == ("passed", 0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    "reports, outcome",
    [
        ((SETUP, report("call", "failed"), TEARDOWN), "failed"),
        ((report("setup", "failed"), TEARDOWN), "error"),
        ((SETUP, CALL, report("teardown", "failed")), "error"),
        ((SETUP, report("call", "failed"), report("teardown", "failed")), "failed"),
        ((report("setup", "skipped"), TEARDOWN), "skipped"),
        ((SETUP, report("call", "skipped"), TEARDOWN), "skipped"),
        ((SETUP, report("call", "skipped", wasxfail="why"), TEARDOWN), "xfailed"),
        ((SETUP, report("call", "passed", wasxfail="why"), TEARDOWN), "xpassed"),
        (
            (SETUP, report("call", "passed", wasxfail="why"), report("teardown", "failed")),
            "error",
        ),
        ((SETUP, report("call", "failed", longrepr="[XPASS(strict)] why"), TEARDOWN), "failed"),
    ],
)
def test_outcomes(reports: tuple[pytest.TestReport, ...], outcome: str) -> None:
    """The outcome is that of the first phase that decides."""
    (result,) = fold(*reports)
    assert result.outcome == outcome


def test_a_failed_subtest_fails_its_test() -> None:
    """Under unittest the parent says passed although a sub-test failed; the test failed."""
    (result,) = fold(SETUP, report("call", "failed", SubtestReport), CALL, TEARDOWN)
    assert result.outcome == "failed"


def test_a_passed_subtest_changes_nothing() -> None:
    """A passing or skipped sub-test leaves the test's outcome and duration alone."""
    (result,) = fold(SETUP, report("call", "skipped", SubtestReport), CALL, TEARDOWN)
    assert (result.outcome, result.call) == ("passed", 0.5)


def test_every_attempt_is_kept() -> None:
    """A rerun closes an attempt; the next one has the next number."""
    results = fold(SETUP, report("call", "rerun"), SETUP, CALL, TEARDOWN)
    assert [(each.attempt, each.attempt_mode, each.outcome) for each in results] == [
        (0, "first", "failed"),
        (1, "inproc", "passed"),
    ]


def test_a_crash_is_a_result() -> None:
    """xdist's crash report, which has no phases, is one result with the worker's name."""
    node = SimpleNamespace(gateway=SimpleNamespace(id="gw1"))
    (result,) = fold(report("???", "failed", node=node))
    assert (result.outcome, result.worker) == ("crashed", "gw1")


def test_workers_do_not_mix() -> None:
    """Under ``--dist each`` one node id runs on two workers at once."""
    results = fold(
        report("setup", worker_id="gw0"),
        report("setup", worker_id="gw1"),
        report("call", "failed", worker_id="gw1"),
        report("call", worker_id="gw0"),
        report("teardown", worker_id="gw1"),
        report("teardown", worker_id="gw0"),
    )
    assert [(each.worker, each.outcome) for each in results] == [
        ("gw1", "failed"),
        ("gw0", "passed"),
    ]


def test_facts_of_the_worker_are_taken() -> None:
    """What the worker hung on the reports is part of the result."""
    (result,) = fold(
        report("setup", aqe={"identity": "i", "position": 3, "body": "b", "collected": 4}),
        CALL,
        report("teardown", aqe={"evidence": {"k": 1}}),
    )
    assert (result.identity, result.position, result.collected) == ("i", 3, 4)
    assert (result.body, result.evidence) == ("b", {"k": 1})


def test_an_open_test_is_no_result() -> None:
    """A test that never reached its teardown is not recorded as anything."""
    assert fold(SETUP, CALL) == []
