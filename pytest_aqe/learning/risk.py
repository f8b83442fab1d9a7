"""Which gap matters most.

The order of gaps: those that the change touched come first, then by risk,

    risk = size x (1 + log2 complexity) x (1 + log2(1 + callers) / 4) x (1 + log2(1 + churn) / 4)
                x (1 + failures) x (2 if only flaky tests reach it)

with size the missing lines and branches. What is unmeasured is left out of the product. Churn
and complexity predict defects (Nagappan and Ball 2005; McCabe 1976), and where tests failed
they fail again; the weights themselves are a choice: they order gaps, and are no probability.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from pytest_aqe.data import Gap


def risk(gap: Gap) -> float:
    """Return the weight of a gap, in missing lines and branches; see the formula above."""
    weight = gap.size * (1 + math.log2(max(gap.complexity, 1)))
    weight *= 1 + math.log2(1 + gap.callers) / 4
    if gap.churn is not None:
        weight *= 1 + math.log2(1 + gap.churn) / 4
    if gap.failures is not None:
        weight *= 1 + gap.failures
    return weight * 2 if gap.flaky_only else weight


def ranked(gaps: Iterable[Gap]) -> list[Gap]:
    """Return gaps with their risk, most urgent first; equal ones by their place."""
    weighed = [gap._replace(risk=round(risk(gap), 3)) for gap in gaps if gap.size]
    return sorted(weighed, key=lambda gap: (not gap.changed, -gap.risk, gap.file, gap.line))
