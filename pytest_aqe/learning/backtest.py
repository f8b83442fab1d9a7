"""Replays a history run by run: every order is made from the runs before it, then scored.

With full feedback all policies see the same past. With partial feedback each sees only what it
ran itself: what a skipped failure costs is measured, not argued.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pytest_aqe.data import PastRun, Policy, Rollup
from pytest_aqe.errors import AqeError
from pytest_aqe.learning import baselines, metrics
from pytest_aqe.learning.baselines import DECAY_9, Ranker
from pytest_aqe.learning.features import Past, Situation
from pytest_aqe.learning.guard import Guarded
from pytest_aqe.learning.outcomes import Names, measured, outcome_of
from pytest_aqe.learning.qlearning import seeded
from pytest_aqe.learning.ranking import ListwiseQ

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Mask = NDArray[np.bool_]

_ROUNDING = 1e-9  # of a budget: what fits exactly fits

Prior = Mapping[str, float]
"""Weights by the names of `features.FEATURES`; one not named is 0."""


@dataclass(slots=True)
class Track:
    """One policy on its way through a history; CPU seconds it took to decide and to learn."""

    ranker: Ranker
    past: Past
    scores: list[metrics.Scores] = field(default_factory=list)
    run_ids: list[str] = field(default_factory=list)  # of `scores`
    deciding: float = 0.0
    learning: float = 0.0
    decisions: int = 0
    found: int = 0  # failures observed, of `failures`
    failures: int = 0
    caught: int = 0  # runs with a failure of which one was observed, of `faulty`
    faulty: int = 0


def order_of(scores: Floats, ties: Floats) -> Ints:
    """Return the order of falling scores, equals by ``ties``."""
    return np.lexsort((ties, -scores))


def replay(
    runs: Iterable[PastRun], names: Names, rankers: Sequence[Ranker], seed: str | int = 0
) -> list[Track]:
    """Replay with full feedback; score every ranker on every run with a failure."""
    past = Past()
    tracks = [Track(ranker, past) for ranker in rankers]
    for run in runs:
        outcome = outcome_of(past, run, names)
        situation = Situation(past, outcome.tests, run.changed_files, run.hours)
        if outcome.failed.any():
            ties = seeded(seed, "ties", run.run_no).random(outcome.tests.size)
            fresh = outcome.failed & (situation.column("failures") == 0)
            for track in tracks:
                start = time.process_time()
                order = order_of(track.ranker.scores(situation), ties)
                track.deciding += time.process_time() - start
                track.decisions += 1
                scored = metrics.score(order, outcome.failed, outcome.measured, fresh)
                assert scored is not None
                track.scores.append(scored)
                track.run_ids.append(run.run_id)
        for track in tracks:
            start = time.process_time()
            track.ranker.learn(situation, outcome.failed, outcome.measured)
            track.learning += time.process_time() - start
        past.learn(situation, outcome.failed, outcome.seconds)
    return tracks


def replay_partly(
    runs: Sequence[PastRun],
    names: Names,
    ranker: Ranker,
    *,
    share: float,
    epsilon: float,
    seed: str | int = 0,
) -> Track:
    """Replay where only the share of the time that the ranker chose is run and seen.

    Of the budget, ``epsilon`` goes to the tests not run for longest: a failure that is never
    looked for is never learnt.
    """
    past = Past()
    track = Track(ranker, past)
    last_run: dict[int, int] = {}
    for number, run in enumerate(runs):
        outcome = outcome_of(past, run, names)
        if not outcome.tests.size:
            continue
        situation = Situation(past, outcome.tests, run.changed_files, run.hours)
        ties = seeded(seed, "ties", run.run_no).random(outcome.tests.size)
        start = time.process_time()
        order = order_of(ranker.scores(situation), ties)
        track.deciding += time.process_time() - start
        track.decisions += 1
        stale = np.array([last_run.get(test, -1) for test in outcome.tests.tolist()])
        costs = np.ones(outcome.tests.size) if outcome.measured is None else outcome.seconds
        chosen = _choose(order, order_of(-stale, ties), costs, share, epsilon)
        if outcome.failed.any():
            scored = metrics.score(order, outcome.failed, outcome.measured)
            assert scored is not None
            track.scores.append(scored)
            track.run_ids.append(run.run_id)
            caught = int(outcome.failed[chosen].sum())
            track.found += caught
            track.failures += int(outcome.failed.sum())
            track.caught += caught > 0
            track.faulty += 1
        seen = np.sort(chosen)
        part = Situation(past, outcome.tests[seen], run.changed_files, run.hours)
        start = time.process_time()
        ranker.learn(part, outcome.failed[seen], measured(outcome.seconds[seen]))
        track.learning += time.process_time() - start
        past.learn(part, outcome.failed[seen], outcome.seconds[seen])
        last_run.update(dict.fromkeys(outcome.tests[seen].tolist(), number))
    return track


def _choose(order: Ints, stalest: Ints, costs: Floats, share: float, epsilon: float) -> Ints:
    """Return what fits: by rank, but for the part of the budget that goes to the stalest."""
    budget = share * float(costs.sum())
    explored = _fitting(stalest, costs, epsilon * budget)
    rest = order[~np.isin(order, explored)]
    left = budget - float(costs[explored].sum())
    return np.concatenate([explored, _fitting(rest, costs, left)])


def _fitting(order: Ints, costs: Floats, budget: float) -> Ints:
    """Take tests in order, passing over those that would exceed the budget."""
    left = budget + _ROUNDING * max(budget, 1.0)
    taken = []
    for index, cost in zip(order.tolist(), costs[order].tolist(), strict=True):
        if cost <= left:
            taken.append(index)
            left -= cost
    return np.array(taken, np.int64)


class Foreign:
    """A policy as ``pytest_aqe_make_policy`` returns one: it sees rollups, not arrays."""

    def __init__(self, name: str) -> None:
        module, _, attribute = name.partition(":")
        try:
            found: Any = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise AqeError(f"policy {name!r} cannot be imported ({error})") from error
        self.name = name
        self._policy: Policy = found() if callable(found) else found

    def scores(self, run: Situation) -> Floats:
        """Score by tier, inside one by score."""
        ranks = self._policy.rank(rollups_of(run))
        tiers = np.array([rank.tier for rank in ranks], np.float64)
        within = np.array([rank.score for rank in ranks], np.float64)
        order = np.lexsort((within, -tiers))
        places = np.empty(order.size)
        places[order] = np.arange(order.size)
        _, first, inverse = np.unique(
            np.column_stack([tiers, within]), axis=0, return_index=True, return_inverse=True
        )
        alike: Floats = places[first][inverse.reshape(-1)]  # equals stay equal
        return alike

    def learn(self, run: Situation, failed: Mask, seconds: Floats | None) -> None:
        """Learn nothing: its rollups tell it."""


def rollups_of(run: Situation) -> list[Rollup]:
    """Return what a session would know of the run's tests."""
    names = [run.past.identities[test] for test in run.tests.tolist()]
    known = run.column("seconds_weight") > 0
    return [
        Rollup(
            identity,
            int(runs),
            int(failures),
            weight,
            failing,
            bool(last),
            None if np.isnan(seconds) else seconds,
        )
        for identity, runs, failures, weight, failing, last, seconds in zip(
            names,
            run.column("runs").tolist(),
            run.column("failures").tolist(),
            run.column("weight")[:, DECAY_9].tolist(),
            run.column("failing")[:, DECAY_9].tolist(),
            run.column("last")[:, 0].tolist(),
            np.where(known, run.seconds, np.nan).tolist(),
            strict=True,
        )
    ]


class _Maker(Protocol):
    def __call__(self, exponent: float, seed: str | int, prior: Prior | None) -> Ranker: ...


_MAKERS: Mapping[str, _Maker] = {
    "recorded": lambda *_: baselines.Recorded(),
    "random": lambda _, seed, __: baselines.Random(seeded(seed, "random")),
    "duration": lambda *_: baselines.Duration(),
    "failed-first": lambda *_: baselines.FailedFirst(),
    "new-first": lambda *_: baselines.NewFirst(),
    "decayed-rate": lambda *_: baselines.DecayedRate(),
    "rate-per-second": lambda *_: baselines.RatePerSecond(),
    "beta-mean": lambda b, *_: baselines.BetaMean(b),
    "rocket": lambda *_: baselines.Rocket(),
    "ucb": lambda *_: baselines.UCB(),
    "frrmab": lambda *_: baselines.FRRMAB(),
    "thompson": lambda _, seed, __: baselines.Thompson(seeded(seed, "thompson")),
    "logistic": lambda *_: baselines.Logistic(),
    "tabular-q": lambda *_: baselines.TabularContext(),
    "linear-q": lambda b, seed, prior: ListwiseQ(prior, exponent=b, seed=seed),
    "guarded": lambda _, seed, prior: Guarded(prior=prior, seed=seed),
}
POLICIES = tuple(_MAKERS)
WITH_EXPONENT = ("beta-mean", "linear-q")


def make(name: str, seed: str | int = 0, prior: Prior | None = None) -> Ranker:
    """Return the policy of that name; raise `AqeError` that lists them for an unknown one.

    ``MODULE:NAME`` is a `data.Policy` of somebody else, or what makes one. ``prior`` are the
    weights that learners start from, those of the package when None.
    """
    plain, at, text = name.partition("@")
    try:
        exponent = float(text) if at else 0.0
    except ValueError:
        exponent = -1.0
    if ":" in name:
        return Foreign(name)
    if plain not in _MAKERS or not 0 <= exponent <= 4 or (at and plain not in WITH_EXPONENT):
        raise AqeError(
            f"there is no policy {name!r}; there are {', '.join(POLICIES)}, "
            f"{' and '.join(WITH_EXPONENT)} with an exponent of seconds, as in beta-mean@0.5, "
            "and MODULE:NAME for a policy of your own"
        )
    ranker = _MAKERS[plain](exponent, seed, prior)
    ranker.name = name
    return ranker
