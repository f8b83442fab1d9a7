"""Which of two policies is better, on the same runs, and which one is therefore in force.

A full run reveals every outcome, so every order can be scored on it after the fact; policies
are compared by the paired differences of their scores. "Not enough data" is an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pytest_aqe.learning.baselines import beta_mean, lift_unknown
from pytest_aqe.learning.features import FEATURES
from pytest_aqe.learning.metrics import score
from pytest_aqe.learning.qlearning import seeded
from pytest_aqe.learning.ranking import ListwiseQ
from pytest_aqe.learning.selection import MIN_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pytest_aqe.learning.features import Situation

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

Verdict = Literal["better", "worse", "no difference seen", "not enough data"]

ENOUGH = 10  # paired runs; below it an interval of a mean says little
RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Comparison:
    """Policy against baseline over ``runs`` paired runs.

    ``difference`` is the mean of policy - baseline, ``low`` to ``high`` its 95 % bootstrap
    interval, ``t`` the paired t statistic; all None where they cannot be computed.
    """

    runs: int
    difference: float | None
    low: float | None
    high: float | None
    t: float | None
    verdict: Verdict


def compare(policy: Sequence[float], baseline: Sequence[float]) -> Comparison:
    """Compare two policies by their scores (higher is better) on the same runs, in order."""
    d = np.asarray(policy, np.float64) - np.asarray(baseline, np.float64)
    if not d.size:
        return Comparison(0, None, None, None, None, "not enough data")
    mean = float(d.mean())
    if d.size < 2:
        return Comparison(1, mean, None, None, None, "not enough data")
    error = float(d.std(ddof=1) / np.sqrt(d.size))
    t = mean / error if error > 0 else None
    draws = seeded("compare").integers(d.size, size=(RESAMPLES, d.size))
    low, high = (float(each) for each in np.quantile(d[draws].mean(axis=1), (0.025, 0.975)))
    verdict: Verdict = "no difference seen"
    if d.size < ENOUGH:
        verdict = "not enough data"
    elif low > 0:
        verdict = "better"
    elif high < 0:
        verdict = "worse"
    return Comparison(d.size, mean, low, high, t, verdict)


EXPONENTS = (0.0, 0.25, 0.5, 1.0)
"""Of seconds, by which a score is divided: the trade between failures per test and per second."""
LEARNER, BASELINE = "linear-q", "beta-mean"
FIRST_EXPONENT = 0.5  # before anything is scored: best mean APFDc on the public histories
MEMORY = 0.98  # decay of the mean scores that choose an exponent: about 50 runs
SWITCH, SWITCH_EARLY = 0.002, 0.5  # of the score: an exponent changes for more than a + b / runs
WINDOW = 60  # differences kept
TYPICAL_GAIN, GAIN_RUNS = 0.005, 10  # what the learner gained elsewhere, counted as runs
SLACK, MOST, ALARM = 0.5, 2.0, 6.0  # of the CUSUM (Page 1954), in standard deviations
LEAST_SPREAD = 0.01  # of the score: differences below are no alarm
STEP_BACK, STEP_UP = -1.5, 0.5  # t statistics of the mean gain
RETURN_RUNS = 20  # the latest, that decide whether the learner comes back
LEAST_RUNS = 10  # before a t statistic is believed


@dataclass(frozen=True, slots=True)
class Stepped:
    """A change of the policy in force after so many scored runs, with the numbers behind it."""

    scored: int
    policy: str
    reason: str


class Guard:
    """Keep in force what scored better on the runs so far: learner or baseline, which exponent.

    The learner starts in force. It steps back when a CUSUM of its standardised losses raises
    an alarm, at the latest after 12 runs that are each worse by a standard deviation, or when
    the t statistic of its mean gain over the last `WINDOW` runs falls below `STEP_BACK`. It
    comes back when that of the last `RETURN_RUNS` exceeds `STEP_UP`. On the six public
    histories this keeps .868 of mean score where the best in hindsight of each has .872 and
    beta-mean@0.5 .860.
    """

    def __init__(self) -> None:
        self.learner_in_force = True
        self.exponents = {LEARNER: FIRST_EXPONENT, BASELINE: FIRST_EXPONENT}
        self.means: dict[str, float] = {}
        self.weight = 0.0
        self.differences: list[float] = []
        self.since = 0  # scored runs since the last step
        self.loss = 0.0  # of the CUSUM
        self.scored = 0

    @property
    def family(self) -> str:
        """The kind of policy in force."""
        return LEARNER if self.learner_in_force else BASELINE

    @property
    def exponent(self) -> float:
        """The exponent in force."""
        return self.exponents[self.family]

    @property
    def in_force(self) -> str:
        """The policy in force, by the name that `backtest` knows."""
        return named(self.family, self.exponent)

    def take(self, scores: Mapping[str, float]) -> Stepped | None:
        """Take in the scores (higher is better) of every candidate on one run."""
        before = self.in_force
        gain = (
            scores[named(LEARNER, self.exponents[LEARNER])]
            - scores[named(BASELINE, self.exponents[BASELINE])]
        )
        self.scored += 1
        self.since += 1
        self.differences = [*self.differences, gain][-WINDOW:]
        self.weight = MEMORY * self.weight + 1
        for name, value in scores.items():
            mean = self.means.get(name, 0.0)
            self.means[name] = mean + (value - mean) / self.weight
        self._choose_exponents()
        reason = self._step()
        if self.in_force == before:
            return None
        return Stepped(self.scored, self.in_force, reason or "its exponent scored best so far")

    def _choose_exponents(self) -> None:
        for family in (LEARNER, BASELINE):
            best = max(EXPONENTS, key=lambda b: self.means.get(named(family, b), 0.0))
            now = self.means.get(named(family, self.exponents[family]), 0.0)
            margin = SWITCH + SWITCH_EARLY / self.weight
            if self.means.get(named(family, best), 0.0) > now + margin:
                self.exponents[family] = best

    def _step(self) -> str | None:
        gains = np.array(self.differences)
        if not self.learner_in_force:
            recent = gains[-min(self.since, RETURN_RUNS) :]
            if recent.size < LEAST_RUNS or _t(recent, recent.mean()) <= STEP_UP:
                return None
            self.learner_in_force, self.since = True, 0
            return _told("better", recent.mean(), recent.size)
        spread = max(float(gains.std()), LEAST_SPREAD)
        loss = float(np.clip(-gains[-1] / spread, -MOST, MOST))
        self.loss = max(0.0, self.loss + loss - SLACK)
        mean = (gains.sum() + GAIN_RUNS * TYPICAL_GAIN) / (gains.size + GAIN_RUNS)
        if self.loss <= ALARM and (gains.size < LEAST_RUNS or _t(gains, mean) >= STEP_BACK):
            return None
        recent = gains[-LEAST_RUNS:] if self.loss > ALARM else gains
        self.learner_in_force, self.since, self.loss = False, 0, 0.0
        return _told("worse", -recent.mean(), recent.size)


def _t(gains: Floats, mean: float) -> float:
    """Return the t statistic of a mean gain, by the spread of the gains."""
    return float(mean / (max(float(gains.std()), 1e-9) / np.sqrt(gains.size)))


def _told(how: str, by: float, runs: int) -> str:
    return f"{LEARNER} was {by:.3f} {how} than {BASELINE} over the last {runs} scored runs"


def named(family: str, exponent: float) -> str:
    """Return a policy's name for `backtest`: an exponent of 0 goes without saying."""
    return f"{family}@{exponent:g}" if exponent else family


class Guarded:
    """What a session runs: the learner or its fallback, whichever the guard has in force."""

    name = "guarded"

    def __init__(
        self,
        *,
        seed: str | int = 0,
        prior: Mapping[str, float] | None = None,
        preset: str = "balanced",
    ) -> None:
        self.learner = ListwiseQ(prior, preset=preset, seed=seed)
        self.guard = Guard()
        self._seed = seed
        self.steps: list[Stepped] = []

    def restore(self, parameters: Mapping[str, Any]) -> None:
        """Go back to the weights and the choice of an earlier snapshot; judge afresh from there."""
        weights = parameters["weights"]
        self.learner.learner.weights = np.array([weights.get(name, 0.0) for name in FEATURES])
        family, _, exponent = parameters["in_force"].partition("@")
        exponents = {**self.guard.exponents, family: float(exponent or 0)}
        self.guard = Guard()
        self.guard.learner_in_force = family == LEARNER
        self.guard.exponents = exponents

    def logs(self, run: Situation, family: str) -> Floats:
        """Return log(exp(Q)), or the log of the baseline's mean, before seconds."""
        return self.learner.q(run) if family == LEARNER else np.log(beta_mean(run))

    def scores(self, run: Situation) -> Floats:
        """Score by the policy in force, as log(value / seconds^b)."""
        return self._scores(run, self.logs(run, self.guard.family), self.guard.exponent)

    def candidates(self, run: Situation) -> dict[str, Floats]:
        """Return the scores of every candidate."""
        logs = {family: self.logs(run, family) for family in (LEARNER, BASELINE)}
        return {
            named(family, b): self._scores(run, found, b)
            for family, found in logs.items()
            for b in EXPONENTS
        }

    def _scores(self, run: Situation, logs: Floats, exponent: float) -> Floats:
        seconds = np.log(np.maximum(run.seconds, MIN_SECONDS))
        return lift_unknown(run, logs - exponent * seconds)

    def learn(
        self, run: Situation, failed: Mask, seconds: Floats | None, *, full: bool = True
    ) -> None:
        """Score every candidate on a full run, decide what is in force next, then learn."""
        if full and failed.any() and not failed.all():
            ties = seeded(self._seed, "guard", self.guard.scored).random(run.tests.size)
            scores = {}
            for name, values in self.candidates(run).items():
                found = score(np.lexsort((ties, -values)), failed, seconds)
                assert found is not None
                scores[name] = found.apfd if found.apfdc is None else found.apfdc
            stepped = self.guard.take(scores)
            if stepped is not None:
                self.steps.append(stepped)
        self.learner.learn(run, failed, seconds)
