"""How good an order was, judged by a run whose outcomes are all known.

With n tests, of which m failed, TF_i the rank (from 1) of the i-th failing test and t_j the
seconds of the test at rank j; see docs/explanation/metrics.md.

| metric | formula | source |
|---|---|---|
| APFD | 1 - sum(TF_i) / (n m) + 1 / (2 n) | Rothermel et al. 1999 |
| NAPFD | p - sum(TF_i) / (n m) + p / (2 n), over the failures found in half of the time, p their share | Qu et al. 2007 |
| APFDc | sum_i (sum_{j >= TF_i} t_j - t_{TF_i} / 2) / (m sum t) | Elbaum et al. 2001 |
| first failure | share of the time until the first failing test ends | |
| recall at b | share of the failing tests that end within the share b of the time | |
| first rank | (rank - 1) / (n - 1) of the first failing test that never failed before | |
"""  # noqa: E501

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Mask = NDArray[np.bool_]

NAPFD_AT = 0.5  # of the time, as in RETECS (Spieker et al. 2017)
RESAMPLES = 2000  # of the bootstrap; its error is then far below the interval's width
_ROUNDING = 1e-9  # of the time: a test that ends exactly at the budget is within it


@dataclass(frozen=True, slots=True)
class Scores:
    """One order of one run. Shares from 0 to 1; None where durations were not measured.

    ``ttff`` and the recalls count time, or tests where no durations are known. ``rank`` is
    the number of tests until the first failure, ``first_ever`` None unless a failing test
    had not failed before.
    """

    apfd: float
    napfd_50: float
    apfdc: float | None
    ttff: float
    recall_10: float
    recall_25: float
    recall_33: float
    recall_50: float
    faulty_33: float
    first_ever: float | None
    rank: float


METRICS = (
    "apfd",
    "napfd_50",
    "apfdc",
    "ttff",
    "recall_10",
    "recall_25",
    "recall_33",
    "recall_50",
    "faulty_33",
    "first_ever",
    "rank",
)


def score(
    order: Ints, failed: Mask, seconds: Floats | None, first_ever: Mask | None = None
) -> Scores | None:
    """Score the order (indices into the other arrays); None when nothing failed.

    ``seconds`` is None where they are not all measured. ``first_ever`` marks failing tests
    that had not failed before.
    """
    fails = failed[order]
    ranks = np.flatnonzero(fails) + 1
    n, m = len(order), len(ranks)
    if not m:
        return None
    costs = np.ones(n) if seconds is None else seconds[order]
    total = float(costs.sum())
    if total <= 0:
        costs, total = np.ones(n), float(n)
    ends = np.cumsum(costs)
    found = ends[ranks - 1] / total
    in_half = found <= NAPFD_AT + _ROUNDING
    share = in_half.mean()
    apfdc = None
    if seconds is not None:
        after = total - ends[ranks - 1] + costs[ranks - 1] / 2
        apfdc = float(after.sum() / (m * total))
    surprising = None
    if first_ever is not None and first_ever.any():
        surprising = float(np.flatnonzero(first_ever[order])[0] / max(n - 1, 1))
    recall = {b: float((found <= b + _ROUNDING).mean()) for b in (0.10, 0.25, 1 / 3, 0.50)}
    return Scores(
        apfd=float(1 - ranks.sum() / (n * m) + 1 / (2 * n)),
        napfd_50=float(share - ranks[in_half].sum() / (n * m) + share / (2 * n)),
        apfdc=apfdc,
        ttff=float(found[0]),
        recall_10=recall[0.10],
        recall_25=recall[0.25],
        recall_33=recall[1 / 3],
        recall_50=recall[0.50],
        faulty_33=float(recall[1 / 3] > 0),
        first_ever=surprising,
        rank=float(ranks[0]),
    )


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over runs and where it lies with 95 % confidence; None where nothing was measured."""

    mean: float | None
    low: float | None
    high: float | None
    runs: int


def interval(values: list[float | None], generator: np.random.Generator) -> Interval:
    """Return the mean and its percentile bootstrap interval (Efron 1979), over runs."""
    known = np.array([each for each in values if each is not None])
    if not known.size:
        return Interval(None, None, None, 0)
    mean = float(known.mean())
    if known.size < 2:
        return Interval(mean, None, None, known.size)
    low, high = _bootstrap(known, generator)
    return Interval(mean, low, high, known.size)


def _bootstrap(known: Floats, generator: np.random.Generator) -> tuple[float, float]:
    means = np.empty(RESAMPLES)
    at_once = max(1, 1_000_000 // known.size)  # values in memory
    for start in range(0, RESAMPLES, at_once):
        stop = min(start + at_once, RESAMPLES)
        drawn = generator.integers(known.size, size=(stop - start, known.size))
        means[start:stop] = known[drawn].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def summarize(scores: list[Scores], generator: np.random.Generator) -> dict[str, Interval]:
    """Return every metric's mean and interval over the runs with a failure."""
    rows = [asdict(each) for each in scores]
    return {metric: interval([row[metric] for row in rows], generator) for metric in METRICS}
