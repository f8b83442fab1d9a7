"""What fits into a budget of time: the riskiest tests per second, the rest is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_aqe.data import Budget, Identity, Rank
from pytest_aqe.learning.selection import MIN_SECONDS, NEW_TEST

_UNMEASURED = 0.1  # seconds; of a test when not one duration is known
_ROUNDING = 1e-9  # of the whole: 100 % of fifteen tenths must hold all fifteen


def cut(
    tests: Sequence[Identity], ranks: Mapping[Identity, Rank], budget: Budget, workers: int
) -> set[int]:
    """Return the indices of the tests that do not fit.

    Tests are taken by tier (failed last, new, the others), then by score, then the quicker
    first, until one would exceed the budget; a later one that still fits is taken too. A
    test whose duration was never measured counts as the median one. Seconds are of wall
    time on ``workers`` processes.
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
    over = set()
    for index in sorted(
        range(len(tests)),
        key=lambda each: (found[each].tier, -found[each].score, seconds[each], each),
    ):
        if seconds[index] <= left + slack:
            left -= seconds[index]
        else:
            over.add(index)
    return over
