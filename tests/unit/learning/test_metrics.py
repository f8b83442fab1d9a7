"""Each metric against its formula, by hand and by the definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aqe.learning.metrics import METRICS, interval, score, summarize
from pytest_aqe.learning.qlearning import seeded

RUNS = st.lists(st.tuples(st.booleans(), st.floats(0.01, 10)), min_size=1, max_size=20).filter(
    lambda run: any(failed for failed, _ in run)
)


def scored(failed: list[bool], seconds: list[float] | None = None):
    """Score tests in the order given."""
    order = np.arange(len(failed))
    return score(order, np.array(failed), None if seconds is None else np.array(seconds))


def test_by_hand() -> None:
    """Of four tests the second and the fourth fail."""
    found = scored([False, True, False, True], [1.0, 1.0, 2.0, 4.0])
    assert found is not None
    assert found.apfd == pytest.approx(1 - 6 / 8 + 1 / 8)
    assert found.apfdc == pytest.approx((6.5 + 2.0) / (2 * 8))
    assert found.ttff == pytest.approx(2 / 8)
    assert found.napfd_50 == pytest.approx(0.5 - 2 / 8 + 0.5 / 8)
    assert (found.recall_10, found.recall_25, found.recall_33, found.recall_50) == (
        0,
        0.5,
        0.5,
        0.5,
    )
    assert found.rank == 2


def test_nothing_failed() -> None:
    """A run without a failure has no score, not the best one."""
    assert scored([False, False]) is None


def test_unmeasured_durations() -> None:
    """Without durations there is no APFDc, and time is counted in tests."""
    found = scored([False, True, False, False])
    assert found is not None
    assert found.apfdc is None
    assert found.ttff == 0.5


def test_a_first_ever_failure_is_placed_among_all() -> None:
    """The place of the first new failure, from 0 for the head to 1 for the tail."""
    failed, fresh = np.array([True, False, True]), np.array([False, False, True])
    assert score(np.arange(3), failed, None, fresh).first_ever == 1.0
    assert score(np.array([2, 0, 1]), failed, None, fresh).first_ever == 0.0
    assert score(np.arange(3), failed, None, np.zeros(3, bool)).first_ever is None


@given(RUNS)
def test_apfdc_is_the_definition(run: list[tuple[bool, float]]) -> None:
    """The sum over failing tests of what is still to run, half of themselves included."""
    failed, seconds = [each for each, _ in run], [each for _, each in run]
    total, ends = sum(seconds), np.cumsum(seconds)
    faults = [i for i, fails in enumerate(failed) if fails]
    expected = sum(total - ends[i] + seconds[i] / 2 for i in faults) / (len(faults) * total)
    assert scored(failed, seconds).apfdc == pytest.approx(expected)


@given(RUNS)
def test_equal_durations_make_apfdc_apfd(run: list[tuple[bool, float]]) -> None:
    """With equal costs the two are the same."""
    failed = [each for each, _ in run]
    found = scored(failed, [2.0] * len(failed))
    assert found.apfdc == pytest.approx(found.apfd)


@given(RUNS, st.randoms())
def test_every_score_is_a_share(run: list[tuple[bool, float]], random) -> None:
    """No order leaves the range; failures first is best and last is worst."""
    failed, seconds = np.array([f for f, _ in run]), np.array([s for _, s in run])
    order = list(range(len(run)))
    random.shuffle(order)
    best, worst = np.argsort(~failed, kind="stable"), np.argsort(failed, kind="stable")
    found = score(np.array(order), failed, seconds)
    for metric in METRICS[:-2]:
        assert -1e-9 <= getattr(found, metric) <= 1 + 1e-9
    assert score(worst, failed, seconds).apfd <= found.apfd <= score(best, failed, seconds).apfd


@given(RUNS)
def test_recall_grows_with_the_budget(run: list[tuple[bool, float]]) -> None:
    """More time finds no fewer failures."""
    found = scored([f for f, _ in run], [s for _, s in run])
    assert found.recall_10 <= found.recall_25 <= found.recall_33 <= found.recall_50


def test_the_interval_holds_the_mean() -> None:
    """It lies around the mean and narrows with more runs."""
    few, many = [0.1, 0.9, 0.5, 0.7], [0.1, 0.9, 0.5, 0.7] * 50
    narrow, wide = interval(many, seeded(1)), interval(few, seeded(1))
    assert narrow.mean == pytest.approx(wide.mean)
    assert wide.low < narrow.low < narrow.mean < narrow.high < wide.high


def test_unmeasured_is_null() -> None:
    """A metric that no run has is None; one run has no interval."""
    assert interval([None, None], seeded(1)).mean is None
    assert interval([0.5], seeded(1)).low is None
    assert summarize([scored([True])], seeded(1))["apfdc"].mean is None
