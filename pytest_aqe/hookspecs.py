"""The seams: hooks by which other plugins change what we do. Typed by ``data`` alone.

Our own behaviour stands behind the same hooks (``defaults.py``, all ``trylast``), so each
seam is used in every session.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_aqe.data import Candidate, Gap, Policy, Run, Target, Trial


@pytest.hookspec(firstresult=True)
def pytest_aqe_make_policy(config: pytest.Config, learned: Policy | None) -> Policy | None:
    """Return what ranks the tests of this session.

    Called once, in the controller, at session start, and not in observe mode. ``learned`` is
    what the guard has in force for this suite, the decayed failure rate per second while no
    failure was seen, None without a history that can be read. ``None`` leaves the choice to
    the next implementation; ours, ``learned``, comes last. The command ``pytest-aqe why`` has
    no session to ask, so it ranks by ours.
    """


@pytest.hookspec
def pytest_aqe_evidence(item: pytest.Item, report: pytest.TestReport) -> Mapping[str, Any] | None:
    """Return more facts about a test, to be kept with its result.

    Called in the process that runs the test, once per attempt, for the report that ends
    it (``when == "teardown"``). Values must be JSON; keys of several implementations are
    merged, a later one wins. ``None`` adds nothing.
    """


@pytest.hookspec
def pytest_aqe_recorded(config: pytest.Config, run: Run, run_file: Path) -> None:
    """Take note that a run was recorded.

    Called once, in the controller, after the last result is on disk. ``run_file`` is the
    run's file (JSON lines) wherever it lies now: still waiting, or already ingested.
    """


@pytest.hookspec(firstresult=True)
def pytest_aqe_generate_test(
    config: pytest.Config, gap: Gap, target: Target, author: str
) -> Sequence[Candidate] | None:
    """Return tests for a gap, best first.

    Called in the controller, after the last test, with ``--aqe-generate``; ``author`` is the
    name of the one whose turn it is. ``None`` leaves the gap to the next implementation, an
    empty list leaves it open; ours comes last. What is returned is tried, whoever wrote it.
    """


@pytest.hookspec
def pytest_aqe_review_test(config: pytest.Config, trial: Trial) -> str | None:
    """Return why an accepted test must not be proposed, in one line.

    Called in the controller for every candidate that the trial accepted. Any reason is a
    veto; ``None`` has no objection.
    """
