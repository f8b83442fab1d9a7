"""The gap learner: which gap is worth an author's time, and which author's.

Subject: a gap. Episode: the authors that try it in one session, one after another.
State: its size, its complexity, whether a test reaches it, and who has tried it in vain.
Actions: offline, small model, large model, none.
Reward: lines and branches gained and mutants noticed, less what the cost is worth:
r = gain - price x cost. The price is a tenth of the gain per cost of all trials so far: what
pays less than that is left alone (the marginal value theorem, Charnov 1976, leaves a patch
below the average itself; a session that has time left does well to stay longer).

Q moves by temporal difference over the replayed history, r + gamma max Q(s', .), so that a
cheap author that fails is worth what the next one makes of it. Before there is a history, a
value is what the authors of two published evaluations reached (CoverUp, FSE'25) and ours
measured, scaled by the size of the gap: then it is the order by size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_aqe.data import Gap

if TYPE_CHECKING:
    import numpy as np

AUTHORS = ("offline", "small", "large")
NONE = len(AUTHORS)
GAMMA = 0.9
ALPHA = 0.1
EPSILON = 0.05  # how often a gap is tried although it is not worth it by what is known
DOLLAR = 1000.0  # seconds of CPU that a dollar is worth: about what a core costs
TOKEN = 0.001  # seconds a token is worth where it has no price
PRICE = 0.2  # gain per second before anything was tried
SHARE_OF_AVERAGE = 0.1

_SIZES = (2, 6, 15)  # lines and branches: bounds of the classes
_SIZE_MIDDLES = (1.5, 4.0, 10.0, 30.0)
_COMPLEXITIES = (2, 6)
_STATES = 4 * 3 * 3 * 3
# Share of a gap that each author gains and seconds it takes, before there is a history: the
# offline author 75 % in 1.5 s (measured), models half of all segments (CoverUp's logs).
_SHARE = (0.75, 0.5, 0.6)
_COST = (1.5, 8.0, 25.0)


@dataclass(frozen=True, slots=True)
class Tried:
    """What one author made of one gap in one session. ``cost`` is in seconds: see `cost`."""

    run: int
    gap: str
    missing: int
    complexity: int
    reached: bool | None
    author: int
    gain: float
    cost: float


def cost(seconds: float | None, tokens: int | None, dollars: float | None) -> float:
    """Return what a trial cost in one unit. What was not metered adds nothing."""
    found = seconds or 0.0
    if dollars is not None:
        return found + dollars * DOLLAR
    return found + (tokens or 0) * TOKEN


class GapLearner:
    """Q values of gaps, learned from every trial in the history."""

    def __init__(self) -> None:
        import numpy as np

        from pytest_aqe.learning.qlearning import TabularQ

        self.price = PRICE
        initial = np.zeros((_STATES, len(AUTHORS) + 1))
        for state in range(_STATES):
            size = _SIZE_MIDDLES[state // 27]
            for author in range(len(AUTHORS)):
                initial[state, author] = _SHARE[author] * size - PRICE * _COST[author]
        self.q = TabularQ(
            _STATES, len(AUTHORS) + 1, alpha=ALPHA, gamma=GAMMA, initial=np.maximum(initial, 0.05)
        )
        self.q.values[:, NONE] = 0.0

    def replay(self, history: Sequence[Tried]) -> None:
        """Learn from trials, oldest first. The price is set by all of them."""
        import numpy as np

        spent = sum(each.cost for each in history)
        if spent:
            self.price = SHARE_OF_AVERAGE * sum(each.gain for each in history) / spent
        states, actions, rewards, following, done = [], [], [], [], []
        for episode in _episodes(history):
            tried = 0
            for number, each in enumerate(episode):
                last = number == len(episode) - 1
                size = each.missing
                states.append(_state(size, each.complexity, each.reached, tried))
                actions.append(each.author)
                rewards.append(each.gain - self.price * each.cost)
                tried = min(each.author + 1, 2)
                following.append(_state(size, each.complexity, each.reached, tried))
                done.append(last)
        if states:
            for state, action, reward, after, ended in zip(
                states, actions, rewards, following, done, strict=True
            ):
                self.q.update([state], [action], [reward], [after], done=np.array([ended]))

    def value(self, gap: Gap, tried: int, authors: Sequence[int]) -> float:
        """Return what the best of the authors is worth for a gap; 0 where none is."""
        return max(0.0, *(self._value(gap, tried, each) for each in authors))

    def choose(
        self, gap: Gap, tried: int, authors: Sequence[int], chance: np.random.Generator
    ) -> int:
        """Return the author whose turn it is, or `NONE`. ``tried`` counts who failed before."""
        left = [each for each in authors if each >= tried]
        if not left:
            return NONE
        best = max(left, key=lambda each: (self._value(gap, tried, each), -each))
        if self._value(gap, tried, best) > 0 or chance.random() < EPSILON:
            return best
        return NONE

    def _value(self, gap: Gap, tried: int, author: int) -> float:
        reached = None if gap.failures is None else bool(gap.tests)
        return self.q.value(_state(gap.size, gap.complexity, reached, min(tried, 2)), author)


def _state(missing: int, complexity: int, reached: bool | None, tried: int) -> int:
    size = sum(missing > bound for bound in _SIZES)
    decisions = sum(complexity > bound for bound in _COMPLEXITIES)
    known = 2 if reached is None else int(reached)
    return ((size * 3 + decisions) * 3 + known) * 3 + tried


def _episodes(history: Iterable[Tried]) -> list[list[Tried]]:
    """Group what happened to one gap in one session; one author's repairs count as one try."""
    found: dict[tuple[int, str], list[Tried]] = {}
    for each in history:
        episode = found.setdefault((each.run, each.gap), [])
        if episode and episode[-1].author == each.author:
            last = episode.pop()
            each = Tried(
                last.run,
                last.gap,
                last.missing,
                last.complexity,
                last.reached,
                last.author,
                last.gain + each.gain,
                last.cost + each.cost,
            )
        episode.append(each)
    return list(found.values())
