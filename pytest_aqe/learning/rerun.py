"""After a failure: accept it, run the test again, or stop.

Subject   one test whose first attempt failed, in a run in which at most 30 % fail
Episode   ends with a verdict; after 6 further attempts it is ``real``
State     buckets of P(flaky) before the run and P(broken) now, the attempts so far in either
          mode, whether one passed, whether the code it runs changed, whether it looks like an
          outage
Actions   real (red), flaky (wave through), inproc and isolated (run it once more)
Reward    minus minutes: an attempt .1 or .4, a flake reported red 10, a regression waved
          through 100

Q(s, a) += alpha (r + max Q(s', a') - Q(s, a)), gamma 1, learnt by `qlearning.TabularQ` where
the truth is known: in made-up histories (benchmarks/flaky_rerun.py), whose table ships with the
package. A session only reads it. A state that was hardly met falls back on the value of
information, and a shield stands above both.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from pytest_aqe.beliefs import Belief, Conditions, Rates
from pytest_aqe.data import AttemptMode
from pytest_aqe.learning.flaky import (
    PERSISTS,
    PRIOR,
    SUPPRESS,
    THETA,
    foresee,
    lane_before,
    learn,
    likelihoods,
    p_flaky,
    signature_if_broken,
    weigh_signature,
)

Action = str
REAL, FLAKY, INPROC, ISOLATED = "real", "flaky", "inproc", "isolated"
ACTIONS: tuple[Action, ...] = (REAL, FLAKY, INPROC, ISOLATED)
MODES: Mapping[Action, AttemptMode] = {INPROC: "inproc", ISOLATED: "isolated"}

MINUTES = {INPROC: 0.1, ISOLATED: 0.4}
FALSE_ALARM, ESCAPE = 10.0, 100.0  # minutes
PASSES_BROKEN = 0.02  # P(an attempt passes | broken), as the policy was learnt with
MOST_RERUNS = 6
VOI_RERUNS = 4
NEW_TEST = 5  # executions before which nothing is called a flake
USUAL = 0.003  # P(broken) up to which that is done; higher waves deterministic regressions through
MOST_FORGIVEN = 2  # runs in a row; a lasting cause outside the code also fails every attempt
ALPHA = 0.02  # least step of an update
MET = 20  # visits of a state's actions from which the table is believed

FLAKY_EDGES = (0.05, 0.3, 0.8)
BROKEN_EDGES = (0.02, 0.1, 0.3, 0.6, 0.9, 0.98)
MOST_INPROC, MOST_ISOLATED = 3, 2  # counted apart up to here
OUTAGE = 0.3


@dataclass(frozen=True, slots=True)
class Case:
    """A failure under examination: the belief with every attempt so far taken in.

    ``flaky_before`` is P(flaky) before the run; ``changed`` tells whether the code the test runs
    did, ``executions`` counts the runs in which it was seen before, ``streak`` the latest of them
    that it failed in. ``usual`` is the failure of a test known to be flaky with a signature of its
    flakes.
    """

    rates: tuple[float, ...]
    broken: tuple[float, ...]
    flaky_before: float
    changed: bool
    outage: bool
    executions: int
    usual: bool = False
    streak: int = 0
    inproc: int = 0
    isolated: int = 0
    passed: bool = False

    @property
    def p_broken(self) -> float:
        """P(the test is broken)."""
        return sum(rate * broken for rate, broken in zip(self.rates, self.broken, strict=True))

    @property
    def reruns(self) -> int:
        """Further attempts so far."""
        return self.inproc + self.isolated

    @property
    def state(self) -> int:
        """The number of the state in the table."""
        number = _bucket(self.flaky_before, FLAKY_EDGES)
        number = number * (len(BROKEN_EDGES) + 1) + _bucket(self.p_broken, BROKEN_EDGES)
        number = number * (MOST_INPROC + 1) + min(self.inproc, MOST_INPROC)
        number = number * (MOST_ISOLATED + 1) + min(self.isolated, MOST_ISOLATED)
        for flag in (self.passed, self.changed, self.outage):
            number = number * 2 + flag
        return number

    def after(self, action: Action, failed: bool) -> Case:
        """Return the case after one more attempt."""
        flake, real = _attempt(action, failed)
        rates, broken = list(self.rates), list(self.broken)
        learn(rates, broken, flake, real)
        return replace(
            self,
            rates=tuple(rates),
            broken=tuple(broken),
            inproc=self.inproc + (action == INPROC),
            isolated=self.isolated + (action == ISOLATED),
            passed=self.passed or not failed,
        )

    def p_fails(self, action: Action) -> float:
        """P(one more attempt fails)."""
        flake, real = _attempt(action, failed=True)
        return sum(
            rate * (broken * real + (1 - broken) * chance)
            for rate, broken, chance in zip(self.rates, self.broken, flake, strict=True)
        )


STATES = (
    (len(FLAKY_EDGES) + 1)
    * (len(BROKEN_EDGES) + 1)
    * (MOST_INPROC + 1)
    * (MOST_ISOLATED + 1)
    * 2**3
)


def _bucket(value: float, edges: Sequence[float]) -> int:
    return sum(value > edge for edge in edges)


def _attempt(action: Action, failed: bool) -> tuple[Rates, float]:
    """Return P(outcome | flake rate) and P(outcome | broken) of one more attempt."""
    persists = PERSISTS[MODES[action]]
    chances = [persists + (1 - persists) * theta for theta in THETA]
    if failed:
        return chances, 1 - PASSES_BROKEN
    return [1 - each for each in chances], PASSES_BROKEN


def examine(
    belief: Belief | None,
    conditions: Conditions,
    signature: str | None,
    code: str | None,
    outage: float,
    streak: int = 0,
) -> Case:
    """Open the case of a test whose first attempt failed. Changes nothing that is believed."""
    known = Belief(list(PRIOR)) if belief is None else belief.copy()
    before = p_flaky(known)
    last = lane_before(known, conditions.lane)
    changed = last is None or (
        last.code != code if code is not None else last.tree != conditions.tree
    )
    lane = foresee(known, conditions, code)
    flake, real = likelihoods((("first", True),))
    flake = weigh_signature(flake, known, signature)
    real *= signature_if_broken(known, signature)
    if outage:
        flake = [(1 - outage) * each + outage / 2 for each in flake]
        real = (1 - outage) * real + outage / 2
    learn(known.rates, lane.broken, flake, real)
    return Case(
        tuple(known.rates),
        tuple(lane.broken),
        before,
        changed,
        outage > OUTAGE,
        known.executions,
        known.flagged and signature in known.signatures,
        streak,
    )


def allowed(case: Case, *, new_test: int = NEW_TEST) -> list[Action]:
    """Return what may be done: the hard shield.

    Never ``flaky`` when P(broken) is above `SUPPRESS`, or in a new test's first runs.
    """
    if case.reruns >= MOST_RERUNS:
        return [REAL]
    open_ = [REAL, INPROC, ISOLATED]
    if case.p_broken <= SUPPRESS and case.executions >= new_test:
        open_.append(FLAKY)
    return open_


def session_actions(case: Case) -> list[Action]:
    """Return what a session may do: a failure is a flake once it passed again, or as usual."""
    return [each for each in allowed(case) if each != FLAKY or case.passed or fails_as_usual(case)]


def fails_as_usual(case: Case) -> bool:
    """Tell a known flake's usual failure, by evidence so strong that it need not pass.

    The code it runs has not changed, it was tried in both ways, and a defect is next to excluded
    all the same: tests that depend on order, or on the hour, fail on every attempt. After
    `MOST_FORGIVEN` runs in a row the cause may be outside the code, and there to stay.
    """
    return (
        case.usual
        and not case.changed
        and min(case.inproc, case.isolated) > 0
        and case.p_broken <= USUAL
        and case.streak < MOST_FORGIVEN
    )


@dataclass(frozen=True, slots=True)
class Table:
    """Q values by state, in minutes saved (negative), and how often each action was tried."""

    values: Mapping[int, Sequence[float]]
    visits: Mapping[int, Sequence[int]]

    def with_learnt(self, learnt: Learnt) -> Table:
        """Return the table with what was learnt since in its place."""
        return Table(
            {**self.values, **{state: values for state, (values, _) in learnt.items()}},
            {**self.visits, **{state: visits for state, (_, visits) in learnt.items()}},
        )

    def choose(self, case: Case, open_: Collection[Action]) -> Action:
        """Return the best action that is open; the value of information where hardly met.

        A verdict that costs less than one more attempt is given at once; but ``flaky`` only after
        a pass: without one, 4 % of the deterministic regressions escaped so (measured).
        """
        verdict, cost = _verdict(case, open_)
        if cost < MINUTES[INPROC] and (verdict == REAL or case.passed):
            return verdict
        state = case.state
        visits = self.visits.get(state)
        if visits is None or min(visits[ACTIONS.index(each)] for each in open_) < MET:
            return value_of_information(case, open_)
        values = self.values[state]
        return max(open_, key=lambda each: values[ACTIONS.index(each)])


def value_of_information(case: Case, open_: Collection[Action]) -> Action:
    """Return the verdict that costs least now, or the attempt that makes it cost less.

    A verdict now costs min(10 (1 - p), 100 p); an attempt its minutes and the expected cost of
    the verdict after it.
    """
    best, cost = _verdict(case, open_)
    if case.reruns < VOI_RERUNS:
        for action in (INPROC, ISOLATED):
            if action not in open_:
                continue
            fails = case.p_fails(action)
            ahead = MINUTES[action] + sum(
                chance * _verdict(case.after(action, failed), (REAL, FLAKY))[1]
                for failed, chance in ((True, fails), (False, 1 - fails))
            )
            if ahead < cost:
                best, cost = action, ahead
    return best


def _verdict(case: Case, open_: Collection[Action]) -> tuple[Action, float]:
    p = case.p_broken
    red = FALSE_ALARM * (1 - p)
    if FLAKY in open_ and ESCAPE * p < red:
        return FLAKY, ESCAPE * p
    return REAL, red


Learnt = Mapping[int, tuple[Sequence[float], Sequence[int]]]
"""Values and visits of every action, by state."""


def learn_from(known: Learnt, episodes: Sequence[tuple[Sequence[tuple[int, int]], bool]]) -> Learnt:
    """Learn from episodes and how they turned out; return every state met, what is known kept.

    An episode is its steps (state, action), the last of which is a verdict, and whether it was a
    regression. Starts from the table that ships.
    """
    from pytest_aqe.learning.qlearning import TabularQ

    table = shipped().with_learnt(known)
    q = TabularQ(STATES, len(ACTIONS), alpha=ALPHA, gamma=1.0)
    for state, values in table.values.items():
        q.values[state] = values
        q.visits[state] = table.visits[state]
    met = set(known)
    for steps, real in episodes:
        met |= {state for state, _ in steps}
        for (state, action), (after, _) in itertools.pairwise(steps):
            q.update(state, action, -MINUTES[ACTIONS[action]], after)
        state, action = steps[-1]
        wrong = real == (ACTIONS[action] == FLAKY)
        q.update(state, action, -(ESCAPE if real else FALSE_ALARM) if wrong else 0.0)
    return {
        state: (tuple(map(float, q.values[state])), tuple(map(int, q.visits[state])))
        for state in sorted(met)
    }


@lru_cache(maxsize=1)
def shipped() -> Table:
    """Return the table that ships with the package."""
    from importlib import resources

    text = resources.files("pytest_aqe.learning").joinpath("rerun.json").read_text("utf-8")
    rows = json.loads(text)["states"]
    return Table(
        {int(state): tuple(values) for state, (values, _) in rows.items()},
        {int(state): tuple(visits) for state, (_, visits) in rows.items()},
    )
