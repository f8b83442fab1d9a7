"""The selection learner and the history meet here: backtests.

A role-level room: the history wing reads and writes rows, the learning wing turns runs into
orders and scores, and neither knows the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_aqe.errors import NotFound
from pytest_aqe.history import past
from pytest_aqe.history.store import Connection

if TYPE_CHECKING:
    from pytest_aqe.learning.backtest import Track


@dataclass(frozen=True, slots=True)
class Backtest:
    """What a replay of a history found: a track a policy, in the order asked for."""

    suite: str
    runs: int
    tests: int
    results: int
    measured: bool
    tracks: Sequence[Track]


def backtest(
    connection: Connection,
    suite: str,
    policies: Sequence[str],
    *,
    seed: str,
    share: float | None = None,
    epsilon: float = 0.1,
    prior: Mapping[str, float] | None = None,
) -> Backtest:
    """Replay a suite's history with these policies; with ``share`` seeing that much alone.

    ``prior`` replaces the weights that come with the package.
    """
    from pytest_aqe.learning import backtest as replays

    rankers = [replays.make(name, seed, prior) for name in policies]
    names = past.tests_of(connection, suite)
    runs = list(past.runs(connection, past.run_numbers(connection, suite)))
    if not runs:
        raise NotFound(f"{connection.path} has no runs of suite {suite!r} to replay")
    if share is None:
        tracks = replays.replay(runs, names, rankers, seed)
    else:
        tracks = [
            replays.replay_partly(runs, names, ranker, share=share, epsilon=epsilon, seed=seed)
            for ranker in rankers
        ]
    return Backtest(
        suite,
        len(runs),
        len(names),
        sum(len(run.tests) for run in runs),
        all(None not in run.seconds for run in runs),
        tracks,
    )
