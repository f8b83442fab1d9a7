"""Which tests make others fail, found by running parts of an order."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from typing import TypeVar

_T = TypeVar("_T", bound=Hashable)
_Failing = Callable[[Sequence[_T]], Collection[_T]]


def disturbers(
    order: Sequence[_T], failing: _Failing[_T], is_over: Callable[[], bool] = lambda: False
) -> dict[_T, _T]:
    """Return the tests to take out of ``order`` so that none that is left fails.

    ``failing`` runs tests in an order, from the same start each time, and returns those that
    failed. Each is returned with the one that fails after it; one that fails by itself or now and
    then, or for whatever reason once time ``is_over``, with itself. The first that fails and the
    one that makes it fail are found by halving what ran before it. Where it makes no other of those
    that failed fail, either of the two may be at fault: both are returned.
    """
    left = list(order)
    found: dict[_T, _T] = {}
    while failed := failing(left):
        if is_over():
            return found | {each: each for each in failed}
        victim, *others = (each for each in left if each in failed)
        before = left[: left.index(victim)]
        number = _fewest(before, victim, failing, is_over)
        if number == 0:
            found[victim] = victim
        else:
            culprit = before[number - 1]
            victims = [victim, *(each for each in others if each != culprit)]
            suffer = set(failing([culprit, *victims])).difference(failing(victims))
            found[culprit] = victim
            if suffer <= {victim}:
                found[victim] = culprit
        left = [each for each in left if each not in found]
    return found


def in_orders(
    size: int, failing: _Failing[int], is_over: Callable[[], bool]
) -> Iterator[dict[int, int]]:
    """Yield the `disturbers` of so many tests that each order shows, until none shows any.

    In the first two each test runs before and after each other. One that undoes what another
    left may stand between that and whom it disturbs in both; hence a third.
    """
    forwards = list(range(size))
    orders = forwards, forwards[::-1], random.Random(size).sample(forwards, size)
    found: dict[int, int] = {}
    known = -1
    while known < len(found):
        known = len(found)
        for order in orders:
            new = disturbers([each for each in order if each not in found], failing, is_over)
            found |= new
            yield new


def before_others(
    own: Sequence[_T], others: Sequence[_T], failing: _Failing[_T], is_over: Callable[[], bool]
) -> dict[_T, _T]:
    """Return the tests to take out of ``own`` so that none of the ``others`` fails after them.

    The others pass without them, in this order, and none of ours disturbs one of ours. Each is
    returned with the other that fails after it; another that fails now and then is let alone.
    Raise TimeoutError where time ``is_over`` and others still fail.
    """
    left, steady = list(own), list(others)
    found: dict[_T, _T] = {}
    while failed := set(failing([*left, *steady])).intersection(steady):
        until = next(number for number, each in enumerate(steady) if each in failed)
        victim, shortened = steady[until], steady[: until + 1]

        def after(
            order: Sequence[_T], victim: _T = victim, shortened: list[_T] = shortened
        ) -> Collection[_T]:
            return failing([*(each for each in order if each != victim), *shortened])

        number = _fewest(left, victim, after, is_over)
        if is_over():
            raise TimeoutError("the time for it was over")
        if number:
            found[left[number - 1]] = victim
            del left[number - 1]
        else:
            steady.remove(victim)
    return found


def _fewest(
    before: Sequence[_T], victim: _T, failing: _Failing[_T], is_over: Callable[[], bool]
) -> int:
    """Return after how many of the first tests one fails; 0 if it is not for them that it does."""
    if victim in failing([victim]) or victim not in failing([*before, victim]):
        return 0
    passes, fails = 0, len(before)
    while fails - passes > 1:
        if is_over():
            return 0
        middle = (passes + fails) // 2
        if victim in failing([*before[:middle], victim]):
            fails = middle
        else:
            passes = middle
    return fails
