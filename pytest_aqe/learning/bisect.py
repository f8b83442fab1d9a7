"""Which tests make another one fail, or pass, by running before it: found with few launches.

A victim fails after its polluter, a brittle test passes only after its setter; both are a
search for a smallest part of what ran before that still has the effect. Most order-dependent
tests depend on one other test (Wei et al., TACAS 2021), so what the recorded orders point at
is tried first, then halves; two that only work together are found by delta debugging
(Zeller and Hildebrandt 2002).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

LEAST = 2  # times that what was found is shown again, with and without
DOUBT = 0.02  # P(a test that fails by chance does so each time), at most

T = TypeVar("T")


class Launches(Generic[T]):
    """Counts what `smallest` tries, and tries nothing twice."""

    def __init__(self, has_effect: Callable[[Sequence[T]], bool]) -> None:
        self._has_effect = has_effect
        self._known: dict[tuple[object, ...], bool] = {}
        self.count = 0

    def __call__(self, tests: Sequence[T]) -> bool:
        key = tuple(tests)
        if key not in self._known:
            self.count += 1
            self._known[key] = self._has_effect(tests)
        return self._known[key]

    def again(self, tests: Sequence[T]) -> bool:
        """Try something anew, whatever is known of it."""
        self._known.pop(tuple(tests), None)
        return self(tests)


def smallest(before: Sequence[T], launch: Launches[T], likely: Sequence[T] = ()) -> list[T]:
    """Return a smallest part of ``before``, in its order, that has the effect.

    All of ``before`` is known to have it, and nothing at all is known not to. ``likely`` are
    tried alone first.
    """
    for each in likely:
        if each in before and launch([each]):
            return [each]
    found = _single(list(before), launch)
    return found if found is not None else _delta(list(before), launch)


def repeats(rate: float) -> int:
    """Return how often both outcomes must come again before they are not chance.

    A test that fails by itself at this rate passes n times one way and fails n times the other
    with probability (rate (1 - rate)) ** n.
    """
    chance = rate * (1 - rate)
    return max(LEAST, math.ceil(math.log(DOUBT) / math.log(chance))) if chance > 0 else LEAST


def _single(tests: list[T], launch: Launches[T]) -> list[T] | None:
    """Halve down to one test, with one launch a half; None where it has no effect alone.

    Where the late half has no effect the early one must: unless it takes two tests together,
    which the last launch finds out.
    """
    whole = len(tests)
    while len(tests) > 1:
        middle = len(tests) // 2
        late = tests[middle:]  # what ran last most often is it
        tests = late if launch(late) else tests[:middle]
    return tests if len(tests) == whole or launch(tests) else None


def _delta(tests: list[T], launch: Launches[T]) -> list[T]:
    """Remove ever smaller parts as long as what is left has the effect."""
    parts = 2
    while len(tests) >= 2:
        size = -(-len(tests) // parts)
        chunks = [tests[start : start + size] for start in range(0, len(tests), size)]
        for index in range(len(chunks)):
            rest = [each for other, chunk in enumerate(chunks) if other != index for each in chunk]
            if rest and launch(rest):
                tests, parts = rest, max(parts - 1, 2)
                break
        else:
            if size == 1:
                return tests
            parts = min(parts * 2, len(tests))
    return tests
