"""What fits into a budget of time: the riskiest tests, some that nobody ran for long, no more.

A failure that is never looked for is never learnt. With a third of the time on six public
histories, .1 of it for the tests not run for longest keeps recall and faulty runs within .74
and .84 of all (docs: learning).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_aqe.data import Budget, Identity, Rank
from pytest_aqe.learning.selection import MIN_SECONDS, NEW_TEST

EXPLORED = 0.1  # of a budget: epsilon of the selection learner, spent on the stalest tests
_UNMEASURED = 0.1  # seconds; of a test when not one duration is known
_ROUNDING = 1e-9  # of the whole: 100 % of fifteen tenths must hold all fifteen


def cut(
    tests: Sequence[Identity],
    ranks: Mapping[Identity, Rank],
    budget: Budget,
    workers: int,
    stale: Sequence[Identity] = (),
) -> set[int]:
    """Return the indices of the tests that do not fit.

    `EXPLORED` of the time goes to ``stale`` tests, in the order given. For the rest, tests are
    taken by tier (failed last, new, the others), then by score, then the quicker first, until
    one would exceed the budget; a later one that still fits is taken too. A test whose duration
    was never measured counts as the median one. Seconds are of wall time on ``workers``
    processes.
    """
    found = [ranks.get(identity, NEW_TEST) for identity in tests]
    measured = [rank.seconds for rank in found if rank.seconds is not None]
    typical = sorted(measured)[len(measured) // 2] if measured else _UNMEASURED
    seconds = [
        max(typical if rank.seconds is None else rank.seconds, MIN_SECONDS) for rank in found
    ]
    if budget.share is not None:
        left = budget.share * sum(seconds)
    else:
        left = (budget.seconds or 0.0) * max(workers, 1)
    slack = left * _ROUNDING
    explored = _explored(tests, stale, seconds, EXPLORED * left)
    left -= sum(seconds[index] for index in explored)
    over = set()
    for index in sorted(
        (index for index in range(len(tests)) if index not in explored),
        key=lambda each: (found[each].tier, -found[each].score, seconds[each], each),
    ):
        if seconds[index] <= left + slack:
            left -= seconds[index]
        else:
            over.add(index)
    return over


def _explored(
    tests: Sequence[Identity], stale: Sequence[Identity], seconds: Sequence[float], left: float
) -> set[int]:
    places: dict[Identity, list[int]] = {}
    for index, identity in enumerate(tests if stale else ()):
        places.setdefault(identity, []).append(index)
    taken: set[int] = set()
    for identity in stale:
        for index in places.get(identity, ()):
            if seconds[index] <= left:
                taken.add(index)
                left -= seconds[index]
    return taken
