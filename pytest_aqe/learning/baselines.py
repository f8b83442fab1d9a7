"""The plain orders that a learner must beat, all behind one Protocol.

The one to beat is `BetaMean`: of everything without a fitted prior it has the best APFD over
ten public histories (.892; failed first .881, COLEMAN's bandit .863; docs: learning). Scores
are higher for tests to run sooner; equals are for the caller to order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from pytest_aqe.learning.features import FEATURES, Situation
from pytest_aqe.learning.selection import MIN_SECONDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

DECAY_9 = 2  # the decay .9 among `features.ALPHAS`


class Ranker(Protocol):
    """What orders a run's tests by all that happened before it."""

    name: str

    def scores(self, run: Situation) -> Floats:
        """Return one number a test, the higher the sooner."""

    def learn(self, run: Situation, failed: Mask, seconds: Floats | None) -> None:
        """Take in what came of it, before `Past` does; ``seconds`` where all are measured."""


class _Stateless:
    """A ranker that needs nothing but what `Past` keeps."""

    name = ""

    def learn(self, run: Situation, failed: Mask, seconds: Floats | None) -> None:
        """Learn nothing: `Past` remembers."""


class Recorded(_Stateless):
    """The order in which the tests were collected, or recorded."""

    name = "recorded"

    def scores(self, run: Situation) -> Floats:
        """Score by place."""
        return -np.arange(run.tests.size, dtype=np.float64)


class Random(_Stateless):
    """No information."""

    name = "random"

    def __init__(self, generator: np.random.Generator) -> None:
        self._generator = generator

    def scores(self, run: Situation) -> Floats:
        """Score at random."""
        return self._generator.random(run.tests.size)


class Duration(_Stateless):
    """The shortest first."""

    name = "duration"

    def scores(self, run: Situation) -> Floats:
        """Score by duration."""
        return -run.seconds


class FailedFirst(_Stateless):
    """The most recent failure first, as pytest's --ff but further back."""

    name = "failed-first"

    def scores(self, run: Situation) -> Floats:
        """Score by the runs since the last failure."""
        since = run.past.clock - run.column("failed_at")
        return np.where(run.column("failures") > 0, 1 / np.maximum(since, 1), 0)


class NewFirst(FailedFirst):
    """New tests, then the most recent failure."""

    name = "new-first"

    def scores(self, run: Situation) -> Floats:
        """Score as `FailedFirst`, new tests above all."""
        return np.where(run.column("runs") > 0, super().scores(run), 2.0)


class DecayedRate(_Stateless):
    """Failures per execution, each counting .9 of the one after it."""

    name = "decayed-rate"

    def scores(self, run: Situation) -> Floats:
        """Score by the rate; a new test by 0."""
        weight = run.column("weight")[:, DECAY_9]
        rate: Floats = run.column("failing")[:, DECAY_9] / np.where(weight > 0, weight, 1)
        return rate


class RatePerSecond(DecayedRate):
    """The decayed rate, per second of the test."""

    name = "rate-per-second"

    def scores(self, run: Situation) -> Floats:
        """Score by expected failures per second."""
        return super().scores(run) / np.maximum(run.seconds, MIN_SECONDS)


class BetaMean(_Stateless):
    """The decayed Beta mean (F + 2 g) / (N + 2), g the suite's base rate.

    ``exponent`` b divides by seconds^b: 0 counts tests, 1 counts time.
    """

    name = "beta-mean"

    def __init__(self, exponent: float = 0.0) -> None:
        self.exponent = exponent

    def scores(self, run: Situation) -> Floats:
        """Score by the posterior mean."""
        mean = beta_mean(run)
        return mean / np.maximum(run.seconds, MIN_SECONDS) ** self.exponent


def beta_mean(run: Situation) -> Floats:
    """Return the decayed posterior mean of every test's failure rate."""
    weight, failing = run.column("weight")[:, DECAY_9], run.column("failing")[:, DECAY_9]
    mean: Floats = (failing + 2 * run.past.base_rate) / (weight + 2)
    return mean


def lift_unknown(run: Situation, scores: Floats) -> Floats:
    """Return the scores, those of unknown tests not below the median of never-failed ones.

    Nothing speaks against a test of which nothing is known.
    """
    unknown = run.column("runs") == 0
    unfailed = ~unknown & (run.column("failures") == 0)
    if not (unknown.any() and unfailed.any()):
        return scores
    return np.where(unknown, np.maximum(scores, np.median(scores[unfailed])), scores)


class Rocket(_Stateless):
    """ROCKET (Marijan et al. 2013): failures of the last runs weighted .7, .2, .1.

    Equals by duration, the shortest first.
    """

    name = "rocket"

    def scores(self, run: Situation) -> Floats:
        """Score by the weighted failures, then by duration."""
        weighted = run.column("last") @ np.array([0.7, 0.2, 0.1])
        longest = run.seconds.max(initial=MIN_SECONDS)
        found: Floats = weighted - 0.05 * run.seconds / max(longest, MIN_SECONDS)
        return found


class UCB(_Stateless):
    """Discounted UCB (Garivier and Moulines 2011): the decayed rate plus sqrt(c ln N / n)."""

    name = "ucb"
    C = 0.002  # failures are rare: with the textbook's 2 exploring would be all there is

    def scores(self, run: Situation) -> Floats:
        """Score by the upper confidence bound."""
        weight, failing = run.column("weight")[:, DECAY_9], run.column("failing")[:, DECAY_9]
        n = np.maximum(weight, 0.1)
        total = max(float(weight.sum()), 2.0)
        bound: Floats = failing / n + np.sqrt(self.C * np.log(total) / n)
        return bound


class FRRMAB:
    """The bandit of COLEMAN (Prado Lima and Vergilio 2020): fitness-rate-rank, windowed.

    Credit of a test is its failures in the last ``WINDOW`` runs; credits are ranked, decayed
    by ``DECAY`` per rank, normalised, and explored by sqrt(2 ln N / n).
    """

    name = "frrmab"
    WINDOW = 100  # runs
    DECAY = 1.0
    C = 0.3

    def __init__(self) -> None:
        self._runs: list[tuple[NDArray[np.int64], Floats]] = []
        self._credit = np.zeros(0)
        self._used = np.zeros(0)

    def scores(self, run: Situation) -> Floats:
        """Score by the credit share and how seldom the test ran lately."""
        self._grow(len(run.past))
        credit, used = self._credit[run.tests], self._used[run.tests]
        rank = np.empty(credit.size)
        rank[np.argsort(-credit, kind="stable")] = np.arange(credit.size)
        decayed = credit * self.DECAY**rank
        share = decayed / max(decayed.sum(), 1e-12)
        total = max(float(used.sum()), 2.0)
        n = np.maximum(used, 0.5)
        found: Floats = share + self.C * np.sqrt(2 * np.log(total) / n) / n.size
        return found

    def learn(self, run: Situation, failed: Mask, seconds: Floats | None) -> None:
        """Give credit; forget what leaves the window."""
        self._grow(len(run.past))
        hit = failed.astype(np.float64)
        self._runs.append((run.tests, hit))
        self._credit[run.tests] += hit
        self._used[run.tests] += 1
        if len(self._runs) > self.WINDOW:
            tests, old = self._runs.pop(0)
            self._credit[tests] -= old
            self._used[tests] -= 1

    def _grow(self, size: int) -> None:
        if size > self._credit.size:
            more = np.zeros(max(size, 2 * self._credit.size) - self._credit.size)
            self._credit = np.append(self._credit, more)
            self._used = np.append(self._used, more)


class Thompson(_Stateless):
    """Thompson sampling from the decayed Beta posterior."""

    name = "thompson"

    def __init__(self, generator: np.random.Generator) -> None:
        self._generator = generator

    def scores(self, run: Situation) -> Floats:
        """Score by one draw a test."""
        weight, failing = run.column("weight")[:, DECAY_9], run.column("failing")[:, DECAY_9]
        g = min(run.past.base_rate, 0.5)
        draws: Floats = self._generator.beta(failing + 2 * g, weight - failing + 2 * (1 - g))
        return draws


class Logistic:
    """Online logistic regression on the learner's features, by AdaGrad."""

    name = "logistic"

    def __init__(self, step: float = 0.05) -> None:
        self._weights = np.zeros(len(FEATURES))
        self._squares = np.zeros(len(FEATURES) + 1)
        self._bias = -4.0
        self._step = step

    def scores(self, run: Situation) -> Floats:
        """Score by the log odds."""
        odds: Floats = run.features @ self._weights + self._bias
        return odds

    def learn(self, run: Situation, failed: Mask, seconds: Floats | None) -> None:
        """Take one step; failing and passing tests count alike in sum."""
        if not failed.any() or failed.all():
            return
        odds = run.features @ self._weights + self._bias
        share = 1 / (1 + np.exp(-np.clip(odds, -30, 30)))
        weight = np.where(failed, 0.5 / failed.sum(), 0.5 / (~failed).sum())
        pushed = weight * (share - failed)
        gradient = np.append(run.features.T @ pushed, pushed.sum())
        self._squares += gradient * gradient
        step = self._step * gradient / np.sqrt(self._squares + 1e-12)
        self._weights -= step[:-1]
        self._bias -= float(step[-1])


class TabularContext(_Stateless):
    """The back-off table alone: its Q at the finest context, equals by the decayed Beta mean."""

    name = "tabular-q"

    def scores(self, run: Situation) -> Floats:
        """Score by the table."""
        run.past.table.initial = run.past.base_rate
        found: Floats = run.past.table.values(run.table_keys)[:, -1]
        return found + 1e-6 * beta_mean(run)
