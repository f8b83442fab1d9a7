"""A Q-learning kernel that knows nothing about tests.

Values (`TabularQ`, `LinearQ`, `Backoff`) move by temporal difference and take whole batches
as arrays. What explores (`choose` and the schedules of epsilon), what remembers (`Replay`) and
what is kept (`Snapshot`) stands beside them. States and actions are numbers or rows of
features; what they mean is the caller's. All randomness comes in as a
`numpy.random.Generator`, so that the same history and seed give the same values everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np

from pytest_aqe.errors import AqeError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Mask = NDArray[np.bool_]

T = TypeVar("T")

_TINY = 1e-12  # keeps AdaGrad's first step, a logarithm and 1/alpha finite


# ------------------------------------------------------------------ values


class TabularQ:
    """Q(s, a) as a table.

    ``values`` and ``visits`` have the shape (states, actions). The step of a cell's i-th update
    is max(``alpha``, 1/i): a running mean at first, then a constant step (Watkins and Dayan
    1992 need the former to converge, a world that changes needs the latter). With ``alpha`` 0
    the step stays 1/i.
    """

    def __init__(
        self,
        states: int,
        actions: int,
        *,
        alpha: float = 0.1,
        gamma: float = 0.0,
        initial: ArrayLike = 0.0,
    ) -> None:
        _check_share("alpha", alpha)
        _check_share("gamma", gamma)
        self.alpha = alpha
        self.gamma = gamma
        self.values: Floats = np.empty((states, actions))
        self.values[:] = initial
        self.visits: Ints = np.zeros((states, actions), np.int64)

    def value(self, state: int, action: int) -> float:
        """Look up one value."""
        return float(self.values[state, action])

    def best(self, states: ArrayLike, allowed: ArrayLike | None = None) -> Ints:
        """Return the greedy action of each state; the first of equals."""
        found: Ints = np.argmax(self._masked(states, allowed), axis=-1)
        return found

    def update(
        self,
        states: ArrayLike,
        actions: ArrayLike,
        rewards: ArrayLike,
        next_states: ArrayLike | None = None,
        *,
        done: ArrayLike | None = None,
        next_actions: ArrayLike | None = None,
        next_allowed: ArrayLike | None = None,
    ) -> Floats:
        """Move Q toward r + gamma max Q(s', .) for a batch of transitions; return the errors.

        Without ``next_states`` every transition ends its episode. ``next_actions`` makes the
        target that of SARSA; ``next_allowed`` (transitions x actions) says which actions
        there are in s'. All targets are taken from the values before the batch, so the order
        inside it does not matter; k updates of one cell count as k steps to their mean.
        """
        s = np.atleast_1d(np.asarray(states, np.int64))
        a = np.broadcast_to(np.asarray(actions, np.int64), s.shape)
        targets = np.broadcast_to(_finite("rewards", rewards), s.shape)
        if next_states is not None and self.gamma:
            after = np.broadcast_to(np.asarray(next_states, np.int64), s.shape)
            if next_actions is not None:
                ahead = self.values[after, np.asarray(next_actions, np.int64)]
            else:
                ahead = self._masked(after, next_allowed).max(axis=-1)
            if done is not None:
                ahead = np.where(np.asarray(done, np.bool_), 0.0, ahead)
            targets = targets + self.gamma * ahead
        _, width = self.values.shape
        cells = s * width + a
        errors: Floats = targets - self.values.ravel()[cells]
        self._move(cells, targets)
        return errors

    def _move(self, cells: Ints, targets: Floats) -> None:
        values, visits = self.values.reshape(-1), self.visits.reshape(-1)
        if cells.size * 4 > values.size:  # a small table: no sorting needed
            many = np.bincount(cells, minlength=values.size)
            sums = np.bincount(cells, targets, minlength=values.size)
            hit = np.flatnonzero(many)
            count, mean = many[hit], sums[hit] / many[hit]
        else:
            hit, inverse, count = np.unique(cells, return_inverse=True, return_counts=True)
            mean = np.bincount(inverse, targets) / count
        before = visits[hit]
        kept = _kept(before, count, self.alpha)
        values[hit] = kept * values[hit] + (1 - kept) * mean
        visits[hit] = before + count

    def _masked(self, states: ArrayLike, allowed: ArrayLike | None) -> Floats:
        values: Floats = self.values[np.asarray(states, np.int64)]
        if allowed is None:
            return values
        return np.where(np.asarray(allowed, np.bool_), values, -np.inf)


def _kept(before: Ints, count: Ints, alpha: float) -> Floats:
    """Return what ``count`` steps of max(alpha, 1/i), i from ``before`` + 1 on, leave of a value.

    The product of 1 - 1/i telescopes to n / (n + k).
    """
    mean_until = int(1 / max(alpha, _TINY))  # the last i at which 1/i is not below alpha
    averaged = np.clip(mean_until - before, 0, count)
    kept: Floats = np.where(
        averaged > 0, before / np.maximum(before + averaged, 1), 1.0
    ) * np.power(1 - alpha, count - averaged)
    return kept


class LinearQ:
    """Q(s, a) = w . phi(s, a), learnt by AdaGrad, pulled toward prior weights.

    ``update`` is the semi-gradient of the temporal difference, one transition a row.
    ``update_list`` takes all actions of one decision at once: with p = softmax(w . phi), the
    gradient is X' (p - y / sum y), the error of a pick among those that remain with gamma 0
    (the list-wise loss of Cao et al. 2007). The pull, ``pull`` x (w - prior), joins every
    gradient, so the prior fades on evidence only.
    """

    def __init__(self, prior: ArrayLike, *, step: float = 0.05, pull: float = 0.05) -> None:
        _check_share("pull", pull)
        self.prior: Floats = _finite("prior", prior).copy()
        self.weights: Floats = self.prior.copy()
        self.squares: Floats = np.zeros_like(self.prior)
        self.step = step
        self.pull = pull

    def values(self, features: Floats) -> Floats:
        """Return Q of every row of features."""
        found: Floats = features @ self.weights
        return found

    def update(
        self,
        features: Floats,
        rewards: ArrayLike,
        *,
        ahead: ArrayLike = 0.0,
        gamma: float = 0.0,
        importance: ArrayLike | None = None,
    ) -> Floats:
        """Move Q of each row toward r + gamma x ``ahead``; return the errors.

        ``ahead`` is the value of the best next action, 0 at the end of an episode.
        """
        errors: Floats = (
            _finite("rewards", rewards) + gamma * np.asarray(ahead) - features @ self.weights
        )
        pushed = errors if importance is None else errors * np.asarray(importance, np.float64)
        self._descend(-(features.T @ pushed) / max(len(features), 1))
        return errors

    def update_list(
        self, features: Floats, rewards: ArrayLike, *, importance: ArrayLike | None = None
    ) -> float:
        """Learn from one decision whose outcomes are all known; return the loss before it.

        ``rewards`` are not negative, and at least one is positive. ``importance`` counts a row
        for as many: how subsampled rows stand for those left out.
        """
        r = _finite("rewards", rewards)
        total = r.sum()
        if total <= 0:
            raise ValueError("a list without a reward teaches nothing")
        share = softmax(features @ self.weights, importance)
        wanted = r / total
        self._descend(features.T @ (share - wanted))
        rewarded = wanted > 0
        return float(-(wanted[rewarded] * np.log(share[rewarded] + _TINY)).sum())

    def _descend(self, gradient: Floats) -> None:
        gradient = gradient + self.pull * (self.weights - self.prior)
        if not np.isfinite(gradient).all():
            raise ValueError("features or values are not finite; nothing was learnt")
        self.squares += gradient * gradient
        self.weights -= self.step * gradient / np.sqrt(self.squares + _TINY)


def softmax(values: Floats, importance: ArrayLike | None = None) -> Floats:
    """Return exp(v) / sum exp(v), each row counted ``importance`` times; never overflows."""
    weights = np.exp(values - values.max())
    if importance is not None:
        weights = weights * importance
    found: Floats = weights / weights.sum()
    return found


class Backoff:
    """Q over nested contexts, each shrunk toward the one that contains it.

    A row has a key at every level, the widest first (suite, file, test). With n rewards of sum
    s at a level, q = (s + strength x q_above) / (n + strength): a context never met has the
    value of the one above, and of the widest one ``initial``. The mean is the tabular Q of one
    step with step 1/n; ``decay`` makes what came before count less at every `learn`.
    """

    def __init__(
        self, levels: int, *, strength: float = 8.0, initial: float = 0.0, decay: float = 1.0
    ) -> None:
        self.strength = strength
        self.initial = initial
        self.decay = decay
        self.counts: list[Floats] = [np.zeros(1) for _ in range(levels)]
        self.sums: list[Floats] = [np.zeros(1) for _ in range(levels)]

    def values(self, keys: ArrayLike) -> Floats:
        """Return Q of every row at every level: the shape of ``keys`` (rows x levels)."""
        rows = np.asarray(keys, np.int64)
        found = np.empty(rows.shape)
        above: Floats | float = self.initial
        for level, (counts, sums) in enumerate(zip(self.counts, self.sums, strict=True)):
            column = np.minimum(rows[:, level], counts.size - 1)  # the last one stays unused
            above = (sums[column] + self.strength * above) / (counts[column] + self.strength)
            found[:, level] = above
        return found

    def learn(self, keys: ArrayLike, rewards: ArrayLike) -> None:
        """Take in one reward a row."""
        rows = np.asarray(keys, np.int64)
        r = np.broadcast_to(_finite("rewards", rewards), rows.shape[:1])
        for level in range(len(self.counts)):
            column = rows[:, level]
            size = max(self.counts[level].size, int(column.max(initial=-1)) + 2)
            for table, new in (
                (self.counts, np.bincount(column, minlength=size)),
                (self.sums, np.bincount(column, r, minlength=size)),
            ):
                old = table[level]
                table[level] = new.astype(np.float64)
                table[level][: old.size] += old * self.decay


# ------------------------------------------------------------------ exploration


class Schedule(Protocol):
    """How likely a random action is, over time."""

    def epsilon(self, step: int) -> float:
        """Return epsilon (0 to 1) at a step, counted from 0. It never rises with the step."""


@dataclass(frozen=True, slots=True)
class Exponential:
    """floor + (start - floor) exp(-rate x step)."""

    start: float = 0.2
    floor: float = 0.02
    rate: float = 0.01

    def epsilon(self, step: int) -> float:
        """Return epsilon at a step."""
        return float(self.floor + (self.start - self.floor) * np.exp(-self.rate * step))


@dataclass(frozen=True, slots=True)
class Step:
    """``start`` times ``factor`` after every ``every`` steps, not below ``floor``."""

    start: float = 0.2
    floor: float = 0.02
    factor: float = 0.5
    every: int = 100

    def epsilon(self, step: int) -> float:
        """Return epsilon at a step."""
        return float(max(self.floor, self.start * self.factor ** (step // self.every)))


@dataclass(frozen=True, slots=True)
class RewardBased:
    """Falls by ``factor`` each time a reward reaches ``target``, which then rises by ``rise``.

    Exploration ends when it has paid, not when time has passed (Maroti 2019). A value: `after`
    returns the schedule that holds from then on.
    """

    start: float = 0.2
    floor: float = 0.02
    factor: float = 0.9
    target: float = 0.5
    rise: float = 0.01

    def epsilon(self, step: int = 0) -> float:
        """Return epsilon; time alone does not change it."""
        return max(self.floor, self.start)

    def after(self, reward: float) -> RewardBased:
        """Return the schedule after a reward."""
        if reward < self.target:
            return self
        lower = max(self.floor, self.start * self.factor)
        return RewardBased(lower, self.floor, self.factor, self.target + self.rise, self.rise)


def choose(
    values: ArrayLike,
    epsilon: float,
    generator: np.random.Generator,
    allowed: ArrayLike | None = None,
) -> int:
    """Choose an action epsilon-greedily; equals are drawn between, what is not allowed never."""
    q = np.asarray(values, np.float64)
    open_ = np.ones(q.shape, np.bool_) if allowed is None else np.asarray(allowed, np.bool_)
    candidates = np.flatnonzero(open_)
    if not candidates.size:
        raise ValueError("no action is allowed")
    if generator.random() >= epsilon:
        best = q[candidates].max()
        candidates = candidates[q[candidates] == best]
    return int(candidates[generator.integers(candidates.size)])


# ------------------------------------------------------------------ replay


@dataclass(frozen=True, slots=True)
class Sampled(Generic[T]):
    """A remembered item, its place, and the weight that corrects how often it is drawn."""

    place: int
    item: T
    weight: float


class Replay(Generic[T]):
    """The latest ``capacity`` items, to learn from again.

    Drawn with P(i) proportional to priority^``exponent``: 0 is uniform. Weights are
    (N P(i))^-``correction``, scaled to at most 1 (Schaul et al. 2016: .6 and .4).
    """

    def __init__(self, capacity: int, *, exponent: float = 0.0, correction: float = 0.4) -> None:
        if capacity < 1:
            raise ValueError(f"a memory of {capacity} items remembers nothing")
        self.capacity = capacity
        self.exponent = exponent
        self.correction = correction
        self._items: list[T] = []
        self._priorities: Floats = np.zeros(capacity)
        self._next = 0

    def __len__(self) -> int:
        return len(self._items)

    def add(self, item: T, priority: float | None = None) -> None:
        """Remember an item, the oldest going; a new one is as likely as the likeliest."""
        if priority is None:
            priority = float(self._priorities[: len(self._items)].max(initial=0.0)) or 1.0
        if len(self._items) < self.capacity:
            self._items.append(item)
        else:
            self._items[self._next] = item
        self._priorities[self._next] = _priority(priority)
        self._next = (self._next + 1) % self.capacity

    def sample(self, count: int, generator: np.random.Generator) -> list[Sampled[T]]:
        """Draw, with replacement; nothing from an empty memory."""
        size = len(self._items)
        if not size:
            return []
        if self.exponent == 0:
            places = generator.integers(size, size=count)
            return [Sampled(int(each), self._items[each], 1.0) for each in places]
        weights = self._priorities[:size] ** self.exponent
        shares = weights / weights.sum()
        corrections = (size * shares) ** -self.correction
        corrections /= corrections.max()
        places = generator.choice(size, size=count, p=shares)
        return [Sampled(int(each), self._items[each], float(corrections[each])) for each in places]

    @property
    def items(self) -> list[T]:
        """What is remembered, by place."""
        return list(self._items)

    def resume(self, items: list[T], added: int) -> None:
        """Go on with what another memory held, by place, after ``added`` items in all."""
        self._items = items[: self.capacity]
        self._priorities[: len(self._items)] = 1.0
        self._next = added % self.capacity

    def reprioritize(self, place: int, error: float) -> None:
        """Note how wrong an item still was."""
        self._priorities[place] = _priority(error)


def _priority(error: float) -> float:
    """Return |error|, never 0: what is never drawn is never corrected."""
    return max(abs(error), 1e-6) if np.isfinite(error) else 1e-6


# ------------------------------------------------------------------ policies


@dataclass(frozen=True, slots=True)
class Preset:
    """How boldly a learner learns: its step, its pull to the prior, its exploration, its replay."""

    alpha: float
    pull: float
    epsilon: Schedule
    replays: int


PRESETS: Mapping[str, Preset] = {
    "conservative": Preset(0.01, 0.1, Exponential(0.05, 0.0, 0.02), 1),
    "balanced": Preset(0.03, 0.05, Exponential(0.1, 0.02, 0.01), 2),
    "aggressive": Preset(0.1, 0.01, Exponential(0.2, 0.05, 0.005), 4),
}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A policy as it is kept: what made it (learner, seed, preset) and its parameters.

    ``parameters`` are JSON values. Two snapshots with the same `digest` decide alike.
    """

    learner: str
    preset: str = "balanced"
    seed: int = 0
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def encode(self) -> str:
        """Write it as JSON: the same text for the same policy."""
        return json.dumps(
            {
                "learner": self.learner,
                "preset": self.preset,
                "seed": self.seed,
                "parameters": dict(self.parameters),
            },
            sort_keys=True,
            allow_nan=False,
        )

    @classmethod
    def decode(cls, text: str) -> Snapshot:
        """Read what `encode` wrote; raise `AqeError` for anything else."""
        try:
            found = json.loads(text)
            return cls(found["learner"], found["preset"], found["seed"], found["parameters"])
        except (ValueError, KeyError, TypeError) as error:
            raise AqeError(
                "a policy in the history cannot be read; `pytest-aqe tune` fits a new one"
            ) from error

    @property
    def digest(self) -> str:
        """Name the policy by its content."""
        return blake2b(self.encode().encode(), digest_size=8).hexdigest()


def seeded(seed: str | int, *parts: str | int) -> np.random.Generator:
    """Return a generator that depends on the seed and the parts alone, on every machine."""
    text = "\0".join(map(str, (seed, *parts)))
    number = int.from_bytes(
        blake2b(text.encode("utf-8", "replace"), digest_size=16).digest(), "big"
    )
    return np.random.default_rng(number)


def _finite(name: str, values: ArrayLike) -> Floats:
    found = np.asarray(values, np.float64)
    if not np.isfinite(found).all():
        raise ValueError(f"{name} are not finite; nothing was learnt")
    return found


def _check_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name}={value}: expected a number from 0 to 1")
