"""Reports folded into results: one result per attempt at one test.

pytest sends a report per phase, and plugins send more: sub-tests under the parent's node id
(under ``unittest`` the parent says *passed* although one failed), reruns with the outcome
``"rerun"``, xdist's crash report with ``when == "???"`` and no phases. Each was measured
(research on pytest, sections 1 and 4).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_aqe.data import ALWAYS, FAILING, Depends, NodeId, Outcome, Result
from pytest_aqe.evidence.failures import signature
from pytest_aqe.evidence.identity import without_group

Facts = dict[str, Any]
_Key = tuple[str | None, NodeId]  # the worker and the test

_INTERMEDIATE = frozenset({"rerun", "retried"})  # pytest-rerunfailures, pytest-retry


def _no_facts(_: Any) -> Facts:
    return {}


class Fold:
    """Turn a session's reports into results. One instance a session.

    Facts that only the process that ran the test knows hang on the reports of an xdist
    worker as ``report.aqe``. What ran in this process is asked for with ``facts`` when an
    attempt ends: hanging it on reports would take every report through one more hook.
    """

    def __init__(self, rootdir: Path, facts: Callable[[Any], Facts] = _no_facts) -> None:
        self._rootdir = rootdir
        self._facts = facts
        self._open: dict[_Key, _Attempt] = {}
        self._attempts: dict[_Key, int] = {}

    def add(self, report: Any) -> Result | None:
        """Take one report; return the result that it completes, if it completes one."""
        when: str = report.when
        if when == "???":
            return self._crashed(report)
        told = report.__dict__
        worker: str | None = told.get("worker_id")
        key = (worker, report.nodeid)
        attempt = self._open.get(key)
        if attempt is None:
            before = told.get("rerun")  # pytest-rerunfailures: attempts so far
            if before is not None and before != (known := self._attempts.get(key, 0)):
                if before < known:
                    return None  # since 16: the teardown after an attempt's rerun report
                self._attempts[key] = before  # earlier ones crashed other workers
            attempt = self._open[key] = _Attempt()
        attempt.take(report, told, when, self._rootdir)
        again = report.outcome in _INTERMEDIATE
        if when != "teardown" and not again:
            return None
        del self._open[key]
        number = self._attempts.get(key, 0)
        if number or again:
            self._attempts[key] = number + 1
        if worker is None:
            attempt.facts |= self._facts(report)
        return attempt.result(report.nodeid, worker, number)

    def unfinished(self) -> list[Result]:
        """Return the failures whose teardown was never reported: ``--pdb`` and then quit."""
        return [
            attempt.result(node_id, worker, self._attempts.get((worker, node_id), 0))
            for (worker, node_id), attempt in self._open.items()
            if attempt.outcome in FAILING
        ]

    def _crashed(self, report: Any) -> Result:
        """xdist names the worker only on ``report.node``; no phase report tells it."""
        node = getattr(report, "node", None)
        worker: str | None = node.gateway.id if node is not None else None
        key = (worker, report.nodeid)
        attempt = self._open.pop(key, None) or _Attempt()
        attempt.outcome = "crashed"
        attempt.signature = "WorkerCrash"
        number = self._attempts.get(key, 0)
        self._attempts[key] = number + 1
        return attempt.result(report.nodeid, worker, number)


class _Attempt:
    """What the phases of one attempt have told so far."""

    __slots__ = ("call", "facts", "outcome", "setup", "signature", "teardown")

    def __init__(self) -> None:
        self.outcome: Outcome = "passed"
        self.signature: str | None = None
        self.setup: float | None = None
        self.call: float | None = None
        self.teardown: float | None = None
        self.facts: Facts = {}

    def take(self, report: Any, told: dict[str, Any], when: str, rootdir: Path) -> None:
        """Take one phase. Runs three times a test, so what is usual leaves early."""
        if "aqe" in told:  # taken off: the terminal keeps every report to the end
            self.facts |= told.pop("aqe")
        outcome = report.outcome
        if outcome == "skipped" and ("aqe_quarantined" in told or "aqe_forgiven" in told):
            outcome = "failed"
        if type(report) is not pytest.TestReport and is_subtest(report):
            if outcome == "failed":
                self._fail("failed", report, rootdir)
            return
        if when == "call":
            self.call = report.duration
        elif when == "setup":
            self.setup = report.duration
        else:
            self.teardown = report.duration
        if outcome == "passed":
            if "wasxfail" in told and when == "call" and self.outcome == "passed":
                self.outcome = "xpassed"
        elif outcome == "skipped":
            if self.outcome == "passed":
                self.outcome = "xfailed" if "wasxfail" in told else "skipped"
        elif outcome == "failed" or outcome in _INTERMEDIATE:
            self._fail("failed" if when == "call" else "error", report, rootdir)
        elif self.outcome == "passed":
            self.outcome = "skipped"  # a word of another plugin's; pytest counts it as no failure

    def _fail(self, outcome: Outcome, report: Any, rootdir: Path) -> None:
        if self.outcome not in ("failed", "error"):
            self.outcome = outcome
            self.signature = signature(report.longrepr, rootdir)

    def result(self, node_id: NodeId, worker: str | None, number: int) -> Result:
        facts = self.facts
        return Result(
            node_id=without_group(node_id),
            outcome=facts.get("outcome", self.outcome),
            identity=facts.get("identity"),
            attempt=number,
            attempt_mode=facts.get("mode", "inproc") if number else "first",
            setup=self.setup,
            call=self.call,
            teardown=self.teardown,
            worker=worker,
            position=facts.get("position"),
            signature=self.signature,
            body=facts.get("body"),
            collected=facts.get("collected"),
            evidence=facts.get("evidence"),
            depends=_depends(facts),
        )


def _depends(facts: Facts) -> Depends | None:
    """Read what was followed of a test."""
    told = facts.get("depends")
    if told is None:
        return None
    globs = facts.get("globs")
    return Depends(
        told["own"],
        told["base"],
        (*told.get("doubt", ()), *((ALWAYS,) if facts.get(ALWAYS) else ())),
        tuple(globs) if globs is not None else None,
    )


def is_subtest(report: Any) -> bool:
    """Tell pytest 9's ``SubtestReport`` and pytest-subtests' ``SubTestReport``."""
    return type(report).__name__.lower() == "subtestreport"
