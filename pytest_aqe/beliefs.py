"""The nouns of flakiness, which the history keeps and `learning.flaky` moves.

Apart from ``data.py``, because only a suite in which a test has failed ever needs them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pytest_aqe.data import AttemptMode, Identity

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
    Where few failed ``tests`` may be 0: not counted.
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
    together: int  # failures in a run below which it says nothing as a whole

    def see(self, conditions: Conditions, executions: Iterable[Execution]) -> list[Judgement]:
        """Move the beliefs by one run; judge every execution with a failure."""


@dataclass(frozen=True, slots=True)
class Brief:
    """What whoever runs tests must know to judge a failure: what the history believes.

    ``beliefs`` holds tests that failed before, ``streaks`` the failures in a row of those that
    failed last, ``young`` tests seen in few runs, ``affected`` those whose code changed since they
    last passed; unless ``followed`` nothing is known of that. ``tree`` is that of the latest run
    in this lane. ``seconds`` is what further attempts may take in all.
    """

    conditions: Conditions
    beliefs: Mapping[Identity, Belief]
    streaks: Mapping[Identity, int]
    young: frozenset[Identity]
    affected: frozenset[Identity]
    followed: bool
    tree: str | None
    seconds: float

    def pack(self) -> dict[str, Any]:
        """Turn it into what execnet and JSON can carry."""
        c = self.conditions
        return {
            "conditions": [c.branch, c.environment, c.local, c.tree],
            "beliefs": {
                identity: [
                    each.rates,
                    [[*name, it.broken, it.code, it.tree] for name, it in each.lanes.items()],
                    each.signatures,
                    each.hits,
                    each.flagged,
                    each.executions,
                ]
                for identity, each in self.beliefs.items()
            },
            "streaks": dict(self.streaks),
            "young": sorted(self.young),
            "affected": sorted(self.affected),
            "followed": self.followed,
            "tree": self.tree,
            "seconds": self.seconds,
        }

    @staticmethod
    def unpack(wire: Mapping[str, Any]) -> Brief:
        """Read what `pack` made."""
        return Brief(
            Conditions(*wire["conditions"]),
            {
                identity: Belief(
                    list(rates),
                    {
                        (branch, environment): Lane(list(broken), code, tree)
                        for branch, environment, broken, code, tree in lanes
                    },
                    dict(signatures),
                    hits,
                    flagged,
                    executions,
                )
                for identity, (rates, lanes, signatures, hits, flagged, executions) in wire[
                    "beliefs"
                ].items()
            },
            wire["streaks"],
            frozenset(wire["young"]),
            frozenset(wire["affected"]),
            wire["followed"],
            wire["tree"],
            wire["seconds"],
        )
