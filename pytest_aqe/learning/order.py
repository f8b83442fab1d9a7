"""The policy in force, as a session start applies it: plain Python, no arrays.

What a test's history says of it was worked out when it was last learnt from; what is left is
today's change. Importing numpy would cost every session 80 ms (measured) for the same numbers:
Q = q[c] + w . touch, where c tells how near the change is (nothing, same folder, same stem, own
file) and touch are the features of `changes.TOUCHES`. A test proves that both ways agree.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Any

from pytest_aqe.data import Identity, Rank, Rollup
from pytest_aqe.errors import AqeError
from pytest_aqe.learning.changes import TOUCHES, Cofailures, Touch, touched
from pytest_aqe.learning.selection import FAILED_LAST, KNOWN, USES_WHAT_CHANGED, record_of

UNTOUCHED = Touch(0.0, 0.0, 0.0, 0.0)
# A test whose own source changed fails 7 to 14 times as often (four histories); one of which the
# dependencies say that a change can have broken it is taken for such a test, at the lower figure.
AFFECTED = log(7)
_HIGHEST = 50.0  # of a Q; beyond it the order is what it is


@dataclass(frozen=True, slots=True)
class Learned:
    """What a policy's snapshot says beside the scores of tests: see `publish.publish`.

    ``touches`` and ``unfailed`` are weights of `TOUCHES`, the latter for tests that never
    failed. ``unknown`` is the Q of a test that was recorded and never learnt from.
    """

    policy: str
    touches: Mapping[str, float]
    unfailed: Mapping[str, float]
    base_rate: float
    shrink: float
    unknown: float

    @classmethod
    def decode(cls, policy: str, snapshot: str) -> Learned:
        """Read a snapshot; raise `AqeError` where it is none."""
        try:
            found: Any = json.loads(snapshot)["parameters"]
            return cls(
                policy,
                found["touches"],
                found["unfailed"],
                found["base_rate"],
                found["shrink"],
                found["unknown"],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise AqeError(
                f"policy {policy} cannot be read; `pytest-aqe tune` fits a new one"
            ) from error


class LearnedOrder:
    """Rank by the policy in force: Q as it was learnt, and what the change adds."""

    def __init__(
        self,
        learned: Learned,
        changed: Sequence[str] | None,
        cofailures: Cofailures,
        affected: Collection[Identity] = (),
    ) -> None:
        self.name = learned.policy
        self._learned = learned
        self._changed = changed or ()
        self._rates = cofailures.rates(self._changed, learned.base_rate, learned.shrink)
        self._affected = affected

    def rank(self, tests: Sequence[Rollup]) -> Sequence[Rank]:
        """Rank each test."""
        files = [test.identity.partition("::")[0] for test in tests]
        paths = list(dict.fromkeys(files))
        near = touched(paths, self._changed) if self._changed else {}
        touches = {paths[number]: touch for number, touch in near.items()}
        return [
            self._rank(test, touches.get(file, UNTOUCHED), test.identity in self._affected)
            for test, file in zip(tests, files, strict=True)
        ]

    def q(self, test: Rollup, touch: Touch) -> float:
        """Return log(value / seconds^b) of a test, the change included."""
        learned = self._learned
        q = learned.unknown
        if test.q is not None:
            q = test.q[3 if touch.own else 2 if touch.stem else 1 if touch.folder else 0]
        rate = self._rates.get(test.number, 0.0) if test.number is not None else 0.0
        together = max(0.0, log(rate / learned.base_rate)) if rate else 0.0
        for name, value in zip(TOUCHES, (*touch, together), strict=True):
            if value:
                q += value * learned.touches.get(name, 0.0)
                if not test.failures:
                    q += value * learned.unfailed.get(name, 0.0)
        return q

    def _rank(self, test: Rollup, touch: Touch, affected: bool) -> Rank:
        q = self.q(test, touch) + (AFFECTED if affected else 0.0)
        reason = record_of(test)
        if touch.own:
            reason += ", its file changed"
        elif affected:
            reason += USES_WHAT_CHANGED
        elif touch.stem or touch.folder:
            reason += f", a file {'of its name' if touch.stem else 'in its folder'} changed"
        tier = FAILED_LAST if test.failed_last else KNOWN
        return Rank(tier, exp(min(q, _HIGHEST)), test.seconds, reason)
