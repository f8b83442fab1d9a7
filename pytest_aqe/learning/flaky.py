"""LaneBayes: is a failing test broken, or does it fail by itself?

Of each test a posterior over its flake rate (a grid), and in each lane (branch, environment) the
probability that it is broken, which may only rise when the code that the test runs may have
changed. Outcomes move both, so does a failure's signature; what fails together says little. A
failure is called a flake only where the test was known to flake before and is not likely to be
broken now. All equations and constants are those of the model that won the comparison on
simulated and real histories (docs: how flaky tests are told from broken ones), but for when a
test is known to flake.

A test that never failed has no state of its own: what it would be follows from its passes alone,
and is computed when it first fails. So a passing test costs nothing.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

from pytest_aqe.beliefs import (
    LOCAL,
    Belief,
    Conditions,
    Execution,
    Judgement,
    Lane,
    LaneName,
    Rates,
)
from pytest_aqe.data import AttemptMode

THETA = (0.0005, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)
_OF_FLAKY = (0.22, 0.16, 0.16, 0.12, 0.10, 0.08, 0.07, 0.05, 0.02, 0.01, 0.01)  # rates measured
PRIOR = (0.96, *(0.04 * weight for weight in _OF_FLAKY))  # THETA[0] is every healthy test's

BROKEN_AT_FIRST = 0.02  # P(broken) in a lane that nothing is known of
BREAKS, BREAKSLOCAL, BREAKS_UNSEEN = 0.10, 0.20, 0.0003  # P(breaks): its code, any code changed
REPAIRED, REPAIRED_UNSEEN = 0.35, 0.02
BREAKS_BY_TREE, BREAKS_BY_TREE_UNSEEN = 0.02, 0.00001  # where the code that ran is not known
REPAIRED_BY_TREE = 0.3
LEAK, LEAK_CHANGED = 0.0001, 0.003  # share of a belief that returns to the prior with each run
PASSES_BROKEN = 0.05  # P(an attempt passes | broken): some regressions are intermittent
PERSISTS: dict[AttemptMode, float] = {"first": 0.0, "inproc": 0.5, "isolated": 0.2}

OLD_SIGNATURE_IF_BROKEN, NEW_SIGNATURE_IF_BROKEN, FIRST_SIGNATURE_IF_BROKEN = 0.2, 0.8, 0.9
MASS_FAILURES = 8  # fewer are never an outage
MASS_SHARE, MASS_WIDTH, MOST_TEMPERED = 0.10, 0.25, 0.98
GROUP = 4  # tests of a run that fail with one signature are an event
COUNTED_BELOW = 0.25  # share of tests failing beyond which a run tells nothing of its signatures

# Chosen on worlds 100 to 107 of benchmarks/flaky.py; what is reported there is held back.
SUPPRESS = 0.10  # higher waves more regressions on flaky tests through
FLAGGED, UNFLAGGED = 0.90, 0.3  # higher suppresses fewer flakes, and no fewer regressions
LIKELY = 0.5

_MAINS = ("main", "master", "trunk")


def p_flaky(belief: Belief) -> float:
    """Return P(the flake rate is above that of a healthy test)."""
    return sum(belief.rates[1:])


def p_broken(belief: Belief, lane: LaneName | None) -> float:
    """Return P(the test is broken), as last seen in a lane."""
    known = belief.lanes.get(lane) if lane is not None else None
    if known is None:
        return BROKEN_AT_FIRST
    return sum(rate * broken for rate, broken in zip(belief.rates, known.broken, strict=True))


def flake_rate(belief: Belief) -> float:
    """Return the mean flake rate."""
    return sum(rate * theta for rate, theta in zip(belief.rates, THETA, strict=True))


def interval(belief: Belief, mass: float = 0.95) -> tuple[float, float]:
    """Return the rates between which ``mass`` of the belief lies.

    A rate of the grid stands for all up to the geometric mean with its neighbours.
    """
    tail = (1 - mass) / 2
    return _quantile(belief.rates, tail), _quantile(belief.rates, 1 - tail)


def _quantile(rates: Rates, share: float) -> float:
    edges = [0.0, *(math.sqrt(low * high) for low, high in itertools.pairwise(THETA)), 1.0]
    below = 0.0
    for low, high, rate in zip(edges, edges[1:], rates, strict=False):
        if below + rate >= share:
            return low + (high - low) * (share - below) / rate if rate else low
        below += rate
    return 1.0


def verdict(flaky: float, broken: float) -> str:
    """Name a failure: broken when that is likelier than not, flaky when broken is unlikely."""
    if broken >= LIKELY:
        return "broken"
    if broken <= SUPPRESS and flaky >= LIKELY:
        return "flaky"
    return "unknown"


class LaneBayes:
    """Beliefs of the tests of a suite, moved run by run.

    ``events`` counts the runs in which a signature was that of a group.
    """

    together = GROUP

    def __init__(self, suppress: float = SUPPRESS) -> None:
        self.beliefs: dict[int, Belief] = {}
        self.events: Counter[str] = Counter()
        self.suppress = suppress

    def see(self, conditions: Conditions, executions: Iterable[Execution]) -> list[Judgement]:
        """Move the beliefs by one run; judge every execution that failed at first or later."""
        judged = []
        for execution in executions:
            belief = self.beliefs.get(execution.test)
            if belief is None:
                belief = self.beliefs[execution.test] = Belief(list(PRIOR))
            if not conditions.trusted:
                belief = belief.copy()
            found = self._move(belief, conditions, execution)
            if found is not None:
                judged.append(found)
        if conditions.trusted and conditions.failed < COUNTED_BELOW * conditions.tests:
            self.events.update(name for name, tests in conditions.groups.items() if tests >= GROUP)
        return judged

    def _move(
        self, belief: Belief, conditions: Conditions, execution: Execution
    ) -> Judgement | None:
        was_flagged = belief.flagged
        failed_first = execution.failed_first
        outage = tempering(conditions, execution.signature, self.events) if failed_first else 0.0
        lane = foresee(belief, conditions, execution.code)
        flake, real = likelihoods(execution.attempts)
        if failed_first:
            flake = weigh_signature(flake, belief, execution.signature)
            real *= signature_if_broken(belief, execution.signature)
            if outage:
                flake = [(1 - outage) * each + outage / 2 for each in flake]
                real = (1 - outage) * real + outage / 2
        learn(belief.rates, lane.broken, flake, real)
        belief.executions += 1
        belief.latest = conditions.lane
        flaky, broken = p_flaky(belief), p_broken(belief, conditions.lane)
        if failed_first:
            credit = (1 - broken) * (1 - outage)
            if credit > 0.5 and execution.signature is not None:
                known = belief.signatures.get(execution.signature, 0.0)
                belief.signatures[execution.signature] = known + credit
            belief.hits += outage < 0.5
        if belief.flagged:
            belief.flagged = flaky >= UNFLAGGED
        else:
            belief.flagged = flaky >= FLAGGED and belief.hits >= 1
        if not any(failed for _, failed in execution.attempts):
            return None
        return Judgement(
            execution,
            flaky,
            broken,
            was_flagged,
            was_flagged and broken <= self.suppress,
            outage,
        )


def foresee(belief: Belief, conditions: Conditions, code: str | None) -> Lane:
    """Return the test's lane as it is believed to be before the outcome is known.

    P(broken) rises by the hazard of what changed since the test last ran in this lane, and
    falls by that of a repair. A code that is not known counts as changed where the lane knows
    none either way: only the tree can then tell.
    """
    lane = belief.lanes.get(conditions.lane)
    moved = lane is None or conditions.tree is None or lane.tree != conditions.tree
    if lane is None:
        lane = belief.lanes[conditions.lane] = _new_lane(belief, conditions)
    by_tree = code is None or (lane.code is None and lane.tree is not None)
    if by_tree:
        changed = conditions.tree is None or lane.tree != conditions.tree
        breaks = BREAKS_BY_TREE if changed else BREAKS_BY_TREE_UNSEEN * moved
        repaired = REPAIRED_BY_TREE if changed else 0.0
        if changed and conditions.local:
            breaks *= BREAKSLOCAL / BREAKS
    else:
        changed = lane.code != code
        breaks = (BREAKSLOCAL if conditions.local else BREAKS) if changed else BREAKS_UNSEEN * moved
        repaired = REPAIRED if changed else REPAIRED_UNSEEN * moved
    if breaks or repaired:
        stays = 1 - repaired - breaks
        lane.broken = [each * stays + breaks for each in lane.broken]
    leak = LEAK_CHANGED if changed else LEAK
    belief.rates = [
        rate + leak * (prior - rate) for rate, prior in zip(belief.rates, PRIOR, strict=True)
    ]
    if code is not None or lane.tree != conditions.tree:
        lane.code = code
    lane.tree = conditions.tree
    return lane


def _new_lane(belief: Belief, conditions: Conditions) -> Lane:
    """Return what a lane starts from: its branch outside the work tree, main, or nothing."""
    known = lane_before(belief, conditions.lane)
    if known is not None:
        return Lane(list(known.broken), known.code, known.tree)
    return Lane([BROKEN_AT_FIRST] * len(THETA))


def lane_before(belief: Belief, name: LaneName) -> Lane | None:
    """Return what was last seen in a lane, or else in the one it starts from."""
    branch, environment = name
    for each in (branch, branch.removeprefix(LOCAL), *_MAINS):
        if (each, environment) in belief.lanes:
            return belief.lanes[each, environment]
    return None


@lru_cache(maxsize=256)  # nearly always a single pass
def likelihoods(attempts: tuple[tuple[AttemptMode, bool], ...]) -> tuple[Sequence[float], float]:
    """Return P(attempts | flake rate) of a test that is whole, and P(attempts | broken).

    A flake persists into the next attempt with a probability that depends on how far that
    stands from the first.
    """
    flake, real = [1.0] * len(THETA), 1.0
    for mode, failed in attempts:
        persists = PERSISTS[mode]
        if failed:
            flake = [
                each * (persists + (1 - persists) * theta)
                for each, theta in zip(flake, THETA, strict=True)
            ]
            real *= 1 - PASSES_BROKEN
        else:
            flake = [
                each * (1 - persists) * (1 - theta)
                for each, theta in zip(flake, THETA, strict=True)
            ]
            real *= PASSES_BROKEN
    return flake, real


def weigh_signature(
    flake: Sequence[float], belief: Belief, signature: str | None
) -> Sequence[float]:
    """Multiply by P(signature | a flake of this test): a Chinese restaurant process, alpha 1."""
    if signature is None or not belief.signatures:
        return flake
    factor = belief.signatures.get(signature, 1.0) / (sum(belief.signatures.values()) + 1)
    return [each * factor for each in flake]


def signature_if_broken(belief: Belief, signature: str | None) -> float:
    """Return P(signature | broken), against those of the test's flakes."""
    if signature is None:
        return 1.0
    if not belief.signatures:
        return FIRST_SIGNATURE_IF_BROKEN
    if signature in belief.signatures:
        return OLD_SIGNATURE_IF_BROKEN / len(belief.signatures)
    return NEW_SIGNATURE_IF_BROKEN


def tempering(conditions: Conditions, signature: str | None, events: Counter[str]) -> float:
    """Return by how much a failure is the run's and not the test's: an outage, one event.

    A shuffled run of order-dependent tests looks like an outage and is none. A signature that
    recurs as a group is systemic, so its groups weigh less each time.
    """
    outage = 0.0
    if conditions.failed >= MASS_FAILURES and not conditions.shuffled:
        share = conditions.failed / conditions.tests
        outage = min(max((share - MASS_SHARE) / MASS_WIDTH, 0.0), MOST_TEMPERED)
    group = conditions.groups.get(signature, 0) if signature is not None else 0
    if group >= GROUP and signature is not None:
        together = group / (group + GROUP) / (1 + (events[signature] / GROUP) ** 2)
        outage = max(outage, together)
    return outage


def learn(rates: Rates, broken: Rates, flake: Sequence[float], real: float) -> None:
    """Move P(flake rate) and P(broken | flake rate) by Bayes' rule, in place."""
    total = 0.0
    for index, chance in enumerate(flake):
        by_defect = broken[index] * real
        whole = by_defect + (1 - broken[index]) * chance
        if whole > 0.0:
            broken[index] = by_defect / whole
        rates[index] *= whole
        total += rates[index]
    if total > 0.0:
        for index in range(len(rates)):
            rates[index] /= total


def clean_runs(rate: float, doubt: float = 0.05) -> int:
    """Return how many runs without a failure reject a flake rate at the level ``doubt``.

    ln(doubt) / ln(1 - rate): 149 runs for 2 %, where a fixed count of 20 would accept it with
    probability 0.67.
    """
    return math.ceil(math.log(doubt) / math.log1p(-rate)) if rate < 1 else 1
