"""Following up a failure: the shield holds whatever the table says, and outcomes teach."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aqe.beliefs import Belief, Conditions, Lane
from pytest_aqe.learning import rerun
from pytest_aqe.learning.flaky import PRIOR, THETA
from pytest_aqe.learning.rerun import (
    ACTIONS,
    FLAKY,
    INPROC,
    ISOLATED,
    MOST_RERUNS,
    REAL,
    STATES,
    Case,
    Table,
)


def normalized(weights: list[float]) -> tuple[float, ...]:
    total = sum(weights) or 1.0
    return tuple(each / total for each in weights) if sum(weights) else tuple(PRIOR)


SHARE = st.floats(0, 1)
CASES = st.builds(
    Case,
    rates=st.lists(SHARE, min_size=len(THETA), max_size=len(THETA)).map(normalized),
    broken=st.lists(SHARE, min_size=len(THETA), max_size=len(THETA)).map(tuple),
    flaky_before=SHARE,
    changed=st.booleans(),
    outage=st.booleans(),
    executions=st.integers(0, 20),
    usual=st.booleans(),
    inproc=st.integers(0, MOST_RERUNS),
    isolated=st.integers(0, MOST_RERUNS),
    passed=st.booleans(),
)
REWARDS = st.lists(st.floats(-100, 0), min_size=len(ACTIONS), max_size=len(ACTIONS))


@given(CASES, REWARDS, st.integers(0, 100))
def test_the_shield_stands_above_the_table(case: Case, values: list[float], visits: int) -> None:
    """No table calls a failure flaky that is likely broken, or of a new test, or unusual.

    Without a pass it must look like the flakes of a test that is known, whose code is the same.
    """
    table = Table({case.state: values}, {case.state: [visits] * len(ACTIONS)})
    action = table.choose(case, rerun.session_actions(case))
    if action == FLAKY:
        assert case.p_broken <= 0.10
        assert case.executions >= 5
        assert case.passed or (
            case.usual and not case.changed and case.isolated and case.p_broken <= 0.003
        )
    if case.reruns >= MOST_RERUNS:
        assert action == REAL


@given(CASES, st.sampled_from([INPROC, ISOLATED]))
def test_an_attempt_moves_the_belief_the_right_way(case: Case, action: str) -> None:
    """A pass speaks against a defect, a failure for one; states stay in the table."""
    passed, failed = case.after(action, failed=False), case.after(action, failed=True)
    assert passed.p_broken <= case.p_broken + 1e-9 <= failed.p_broken + 2e-9
    assert all(0 <= each.state < STATES for each in (case, passed, failed))
    assert 0 <= case.p_fails(action) <= 1 + 1e-9


def test_states_are_told_apart() -> None:
    """Each part of a state has its own place."""
    case = Case(tuple(PRIOR), (0.05,) * len(THETA), 0.1, False, False, 9)
    others = [
        replace(case, flaky_before=0.9),
        replace(case, broken=(0.95,) * len(THETA)),
        replace(case, inproc=1),
        replace(case, isolated=1),
        replace(case, passed=True),
        replace(case, changed=True),
        replace(case, outage=True),
    ]
    assert len({case.state, *(each.state for each in others)}) == len(others) + 1


@pytest.mark.parametrize("real, falls", [(True, FLAKY), (False, REAL)])
def test_a_wrong_verdict_teaches(real: bool, falls: str) -> None:
    """A regression waved through, or a flake reported red, lowers the value of that verdict."""
    state, number = 5, ACTIONS.index(falls)
    known = {state: ([-1.0] * len(ACTIONS), [100] * len(ACTIONS))}
    values, visits = rerun.learn_from(known, [([(state, number)], real)])[state]
    assert values[number] < -1.0
    assert visits[number] == 101
    right = rerun.learn_from(known, [([(state, number)], not real)])[state][0]
    assert right[number] > -1.0


def test_a_step_takes_over_the_value_of_what_follows() -> None:
    """An attempt is worth what the best action after it is, less its minutes."""
    before, after = 5, 6
    known = {
        before: ([-9.0] * len(ACTIONS), [0] * len(ACTIONS)),
        after: ([-2.0] * len(ACTIONS), [100] * len(ACTIONS)),
    }
    steps = [(before, ACTIONS.index(INPROC)), (after, ACTIONS.index(REAL))]
    values, _ = rerun.learn_from(known, [(steps, True)])[before]
    assert values[ACTIONS.index(INPROC)] == pytest.approx(-2.1)


def test_examining_changes_no_belief() -> None:
    """A case is opened on a copy."""
    lane = Lane([0.02] * len(THETA), "code", "tree")
    belief = Belief(list(PRIOR), {("main", "e"): lane}, executions=9)
    before = belief.copy()
    conditions = Conditions("main", "e", False, "tree", 10, 1)
    same = rerun.examine(belief, conditions, "s", "code", 0.0)
    changed = rerun.examine(belief, conditions, "s", "other", 0.0)
    assert belief == before
    assert (same.changed, changed.changed) == (False, True)
    assert same.p_broken < changed.p_broken


@pytest.mark.parametrize(
    "flagged, signature, usual",
    [(True, "its own", True), (True, "new", False), (False, "its own", False), (True, None, False)],
)
def test_a_usual_failure(flagged: bool, signature: str | None, usual: bool) -> None:
    """It is a known flake's, with a signature of its flakes."""
    lane = Lane([0.0] * len(THETA), "code", "tree")
    belief = Belief(
        [0.1, *[0.9 / (len(THETA) - 1)] * (len(THETA) - 1)],
        {("main", "e"): lane},
        {"its own": 5.0},
        flagged=flagged,
        executions=30,
    )
    conditions = Conditions("main", "e", False, "tree", 10, 1)
    case = rerun.examine(belief, conditions, signature, "code", 0.0)
    assert case.usual == usual
    once = case.after(INPROC, failed=True)
    tried = once.after(ISOLATED, failed=True)
    assert FLAKY not in rerun.session_actions(once)  # not before it was tried in both ways
    assert (FLAKY in rerun.session_actions(tried)) == usual
    assert FLAKY not in rerun.session_actions(replace(tried, changed=True))


def test_what_ships_covers_what_is_met() -> None:
    """The table is there, whole, and its states are states."""
    table = rerun.shipped()
    assert len(table.values) > 500
    assert all(0 <= state < STATES for state in table.values)
    assert {len(values) for values in table.values.values()} == {len(ACTIONS)}
