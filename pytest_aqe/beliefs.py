"""The nouns of flakiness, which the history keeps and `learning.flaky` moves.

Apart from ``data.py``, because only a suite in which a test has failed ever needs them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pytest_aqe.data import AttemptMode

Rates = list[float]
"""One number for each flake rate of `learning.flaky.THETA`."""

LaneName = tuple[str, str]
"""A branch (``local:`` and a branch for a work tree) and an environment."""

LOCAL = "local:"


@dataclass(frozen=True, slots=True)
class Execution:
    """One test in one run: each attempt's mode and whether it failed, first to last.

    ``code`` fingerprints the code that the test runs, None where that is not known. ``test`` and
    ``node`` are the history's numbers: several nodes may share a test.
    """

    test: int
    attempts: tuple[tuple[AttemptMode, bool], ...]
    signature: str | None = None
    code: str | None = None
    node: int = 0

    @property
    def failed_first(self) -> bool:
        """Whether the first attempt failed."""
        return bool(self.attempts) and self.attempts[0][1]


@dataclass(frozen=True, slots=True)
class Conditions:
    """What one run in one environment says as a whole.

    ``tests`` ran and ``failed`` of them failed at first; ``groups`` counts these by signature.
    ``tree`` names the content tested, None where it is not known. In a ``shuffled`` run many
    failures are no outage but order. An untrusted run is judged, and teaches nothing.
    """

    branch: str
    environment: str
    local: bool
    tree: str | None
    tests: int = 0
    failed: int = 0
    groups: Mapping[str, int] = field(default_factory=dict)
    shuffled: bool = False
    trusted: bool = True

    @property
    def lane(self) -> LaneName:
        """Where P(broken) is kept: a work tree is a lane of its own."""
        named = self.branch if not self.local else LOCAL + self.branch.removeprefix(LOCAL)
        return named, self.environment


@dataclass(slots=True)
class Lane:
    """What was last seen in a lane, and P(broken | flake rate)."""

    broken: Rates
    code: str | None = None
    tree: str | None = None


@dataclass(slots=True)
class Belief:
    """What is believed of one test: P(flake rate), and its lanes.

    ``signatures`` weighs those of its flakes, ``hits`` counts failures outside outages,
    ``executions`` the runs that were seen, ``latest`` is the lane of the last one.
    """

    rates: Rates
    lanes: dict[LaneName, Lane] = field(default_factory=dict)
    signatures: dict[str, float] = field(default_factory=dict)
    hits: int = 0
    flagged: bool = False
    executions: int = 0
    latest: LaneName | None = None

    def copy(self) -> Belief:
        """Return one that may be changed without changing this one."""
        return Belief(
            list(self.rates),
            {name: Lane(list(it.broken), it.code, it.tree) for name, it in self.lanes.items()},
            dict(self.signatures),
            self.hits,
            self.flagged,
            self.executions,
            self.latest,
        )


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was concluded of one execution with a failure, its own attempts included.

    ``flagged`` tells whether the test was known to be flaky before; ``outage`` is the share
    (0 to 1) by which the failure was taken for one event of many tests.
    """

    execution: Execution
    p_flaky: float
    p_broken: float
    flagged: bool
    suppressed: bool
    outage: float


class Learner(Protocol):
    """What moves beliefs: see `learning.flaky.LaneBayes`."""

    beliefs: dict[int, Belief]
    events: Counter[str]

    def see(self, conditions: Conditions, executions: Iterable[Execution]) -> list[Judgement]:
        """Move the beliefs by one run; judge every execution with a failure."""
