"""The selection learner: which tests are likely to fail now, and which to run first.

Subject: one run of a suite; an episode is one pick in its order. State: the features of each
test (`features.FEATURES`). Action: place a test next. Reward: 1 when it fails, else 0. The
policy is shared by all tests: Q(s, a) = w . phi(s), and the order sorts by
exp(Q) / seconds^b, b the user's trade between failures per test and per second.

Update: list-wise. With all outcomes y of a run known, p = softmax(w . phi) and the gradient is
phi' (p - y / sum y): the temporal difference of each pick among those that remain, gamma 0
(gamma .3 changed nothing, .9 lost .005 to .007 APFD: what remains is common to all actions).
AdaGrad, a pull toward the prior, and a memory of runs that is replayed: see
docs/explanation/learning.md for what was measured.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Protocol

import numpy as np

from pytest_aqe.learning.baselines import lift_unknown
from pytest_aqe.learning.features import FEATURES, Situation
from pytest_aqe.learning.qlearning import PRESETS, LinearQ, Replay, seeded
from pytest_aqe.learning.selection import MIN_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

HARDEST = 200  # passing tests with the highest Q that a run teaches from
OTHERS = 200  # and at random, each standing for many: 10,000 tests cost no more than 400
MEMORY = 200  # runs; 100 lose .005 APFD on dask, 400 gain nothing (docs: learning)


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is kept of one run: rows of features, what failed, how many tests a row stands for."""

    features: NDArray[np.float16]
    failed: NDArray[np.float32]
    importance: NDArray[np.float32]

    def lesson(self) -> Lesson:
        """Return itself: see `Remembered`."""
        return self


class Remembered(Protocol):
    """A lesson, or where it can be read: of a long memory a run needs two."""

    def lesson(self) -> Lesson:
        """Return the lesson."""


class ListwiseQ:
    """The linear Q-learner over the tests of a run."""

    def __init__(
        self,
        prior: Mapping[str, float] | None = None,
        *,
        preset: str = "balanced",
        exponent: float = 0.0,
        seed: str | int = 0,
        name: str = "linear-q",
    ) -> None:
        self.preset = preset
        weights = shipped_prior() if prior is None else prior
        self.name = name
        self.exponent = exponent
        self.learner = LinearQ(
            [weights.get(feature, 0.0) for feature in FEATURES],
            step=PRESETS[preset].alpha,
            pull=PRESETS[preset].pull,
        )
        self.memory: Replay[Remembered] = Replay(MEMORY)
        self._seed = seed
        self.lessons = 0
        self.kept = 0  # of the lessons, by the history

    def q(self, run: Situation) -> Floats:
        """Return Q of every test."""
        return self.learner.values(run.features)

    def scores(self, run: Situation) -> Floats:
        """Score by log(exp(Q) / seconds^b)."""
        per_second = self.exponent * np.log(np.maximum(run.seconds, MIN_SECONDS))
        return lift_unknown(run, self.q(run) - per_second)

    def learn(self, run: Situation, failed: Mask, seconds: Floats | None = None) -> None:
        """Learn from one finished run and from some before it, when something failed."""
        if not failed.any() or failed.all():
            return
        generator = seeded(self._seed, self.lessons)
        lesson = lesson_of(run.features, failed, self.q(run), generator)
        self._study(lesson)
        for drawn in self.memory.sample(PRESETS[self.preset].replays, generator):
            self._study(drawn.item.lesson())
        self.memory.add(lesson)
        self.lessons += 1

    def _study(self, lesson: Lesson) -> None:
        self.learner.update_list(
            lesson.features.astype(np.float64), lesson.failed, importance=lesson.importance
        )


def lesson_of(features: Floats, failed: Mask, q: Floats, generator: np.random.Generator) -> Lesson:
    """Take what teaches most of a run: failures, the likeliest passes, a sample of the rest."""
    hits, passes = np.flatnonzero(failed), np.flatnonzero(~failed)
    if hits.size > HARDEST + OTHERS:
        hits = generator.choice(hits, HARDEST + OTHERS, replace=False)
    rows = [hits, passes]
    importance = np.ones(hits.size + passes.size, np.float32)
    if passes.size > HARDEST + OTHERS:
        by_q = np.argpartition(-q[passes], HARDEST)
        hardest, rest = passes[by_q[:HARDEST]], passes[by_q[HARDEST:]]
        drawn = generator.choice(rest, OTHERS, replace=False)
        rows = [hits, hardest, drawn]
        importance = np.ones(hits.size + HARDEST + OTHERS, np.float32)
        importance[hits.size + HARDEST :] = rest.size / OTHERS
    chosen = np.concatenate(rows)
    return Lesson(
        features[chosen].astype(np.float16), failed[chosen].astype(np.float32), importance
    )


@cache
def shipped_prior() -> dict[str, float]:
    """Return the weights that come with the package, fitted on public histories."""
    from importlib import resources

    text = resources.files("pytest_aqe.learning").joinpath("prior.json").read_text("utf-8")
    found: dict[str, float] = json.loads(text)["weights"]
    return found
