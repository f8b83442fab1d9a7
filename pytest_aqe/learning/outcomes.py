"""A finished run of the history as arrays, which is how learners take it in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_aqe.data import Identity, PastRun
from pytest_aqe.learning.features import Past

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Mask = NDArray[np.bool_]

Names = Mapping[int, tuple[Identity, str]]
"""The identity and the file of every test, by the history's number."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run as arrays: indices of `Past`, in recorded order; seconds are NaN if unmeasured."""

    tests: Ints
    failed: Mask
    seconds: Floats

    @property
    def measured(self) -> Floats | None:
        """The seconds, where all of them are known."""
        return measured(self.seconds)


def outcome_of(past: Past, run: PastRun, names: Names) -> Outcome:
    """Turn a run into arrays; tests not seen before enter `past` without a record."""
    tests = np.fromiter(
        (past.index(test, *names[test]) for test in run.tests), np.int64, len(run.tests)
    )
    seconds = np.array([np.nan if each is None else each for each in run.seconds], np.float64)
    return Outcome(tests, np.array(run.failed, np.bool_), seconds)


def measured(seconds: Floats) -> Floats | None:
    """Return the seconds, None where one of them is missing."""
    return None if np.isnan(seconds).any() else seconds
