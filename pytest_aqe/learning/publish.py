"""What leaves a learner: Q of every test for a session start, scores of a run, reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_aqe.learning.baselines import FailedFirst
from pytest_aqe.learning.changes import TOUCHES
from pytest_aqe.learning.features import CHANGES, FEATURES, SHRINK, UNFAILED, Past, Situation
from pytest_aqe.learning.guard import LEARNER, Guarded, named
from pytest_aqe.learning.metrics import score
from pytest_aqe.learning.qlearning import Snapshot
from pytest_aqe.learning.selection import MIN_SECONDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

IN_FORCE = "in force"
"""Among the policies scored: what the guard had chosen before the run."""
DIGITS = 1  # of a published Q: less than a tenth is noise, and equals keep their fixtures together
NEARNESS = 4  # unrelated, same folder, same stem, own file: the last level of the table
_TABLE = FEATURES.index("table, change")


@dataclass(frozen=True, slots=True)
class Published:
    """The tests by number, their Q for each nearness of a change, and the policy's snapshot."""

    numbers: list[int]
    q: list[list[float]]
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Part:
    """What one feature adds to a test's Q, above what it adds to the mean test's."""

    feature: str
    value: float
    weight: float
    moved: float


def publish(past: Past, guarded: Guarded) -> Published:
    """Work out what the policy in force gives every test, but for the change."""
    run = Situation(past, np.arange(len(past), dtype=np.int64), None, past.hours)
    guard, weights = guarded.guard, guarded.learner.learner.weights
    seconds = guard.exponent * np.log(np.maximum(run.seconds, MIN_SECONDS))
    q = np.repeat((guarded.logs(run, guard.family) - seconds)[:, None], NEARNESS, axis=1)
    learns = guard.family == LEARNER
    if learns:
        keys = run.table_keys
        for near in range(1, NEARNESS):
            nearer = keys + np.array([0, 0, 0, 0, near])
            there = np.log(past.table.values(nearer)[:, -1] / past.base_rate)
            q[:, near] += weights[_TABLE] * (there - run.features[:, _TABLE])
    unfailed = run.column("failures") == 0
    unknown = float(np.median(q[unfailed, 0])) if unfailed.any() else float(q[:, 0].min(initial=0))
    by_name = dict(zip(FEATURES, weights.tolist(), strict=True))
    return Published(
        list(past.numbers),
        np.round(q, DIGITS).tolist(),
        Snapshot(
            "selection",
            guarded.learner.preset,
            parameters={
                "in_force": guard.in_force,
                "weights": {name: round(weight, 6) for name, weight in by_name.items()},
                "touches": dict(zip(TOUCHES, weights[CHANGES].tolist(), strict=True))
                if learns
                else {},
                "unfailed": dict(zip(TOUCHES[:-1], weights[UNFAILED].tolist(), strict=True))
                if learns
                else {},
                "base_rate": past.base_rate,
                "shrink": SHRINK,
                "unknown": unknown,
            },
        ),
    )


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """What an order would have scored: see `metrics.Scores`. Random has no ``ttff``."""

    policy: str
    apfd: float
    apfdc: float | None
    ttff: float | None
    rank: float


def counterfactuals(
    run: Situation, guarded: Guarded, failed: Mask, seconds: Floats | None
) -> list[Counterfactual]:
    """Score, on a run with a failure, what was in force, both families, and two plain orders.

    Equals stay in the order of the run, as in a session. Random is the mean of all orders.
    """
    exponents = guarded.guard.exponents
    candidates = guarded.candidates(run)
    orders = {
        IN_FORCE: guarded.scores(run),
        **{family: candidates[named(family, exponents[family])] for family in exponents},
        FailedFirst.name: FailedFirst().scores(run),
    }
    rows = []
    for policy, values in orders.items():
        found = score(np.argsort(-values, kind="stable"), failed, seconds)
        assert found is not None
        rows.append(Counterfactual(policy, found.apfd, found.apfdc, found.ttff, found.rank))
    first = (failed.size + 1) / (int(failed.sum()) + 1)
    half = None if seconds is None else 0.5
    return [*rows, Counterfactual("random", 0.5, half, None, first)]


def explain(past: Past, guarded: Guarded, number: int, changed: Sequence[str] | None) -> list[Part]:
    """Return what moved a test most, by the learner's weights; nothing for an unknown test."""
    test = past.place(number)
    if test is None:
        return []
    run = Situation(past, np.arange(len(past), dtype=np.int64), changed, past.hours)
    weights = guarded.learner.learner.weights
    values = run.features[test]
    moved = weights * (values - run.features.mean(axis=0))
    order = np.argsort(-np.abs(moved), kind="stable")
    return [
        Part(FEATURES[i], float(values[i]), float(weights[i]), float(moved[i]))
        for i in order.tolist()
        if moved[i]
    ]
