"""The gap learner: from trials to which gap next, and by whom."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pytest_aqe.data import Gap
from pytest_aqe.learning.gaps import DOLLAR, NONE, GapLearner, Tried, cost
from pytest_aqe.learning.risk import ranked, risk

OFFLINE, SMALL, LARGE = range(3)


def gap(size: int, complexity: int = 3, name: str = "f") -> Gap:
    return Gap("a.py", name, 1, 9, tuple(range(size)), (), size, complexity=complexity)


def tried(author: int, gain: float, seconds: float, *, run: int = 1, name: str = "f") -> Tried:
    return Tried(run, f"a.py::{name}", 10, 3, None, author, gain, seconds)


def chooser() -> np.random.Generator:
    return np.random.default_rng(1)


def test_without_a_history_the_cheap_author_goes_first_and_large_gaps_before_small() -> None:
    learner = GapLearner()
    assert learner.choose(gap(10), 0, range(3), chooser()) == OFFLINE
    values = [learner.value(gap(size), 0, [OFFLINE]) for size in (1, 5, 10, 40)]
    assert values == sorted(values)
    assert len(set(values)) == 4


def test_who_failed_is_not_asked_again() -> None:
    learner = GapLearner()
    assert learner.choose(gap(10), 1, range(3), chooser()) in (SMALL, LARGE)
    assert learner.choose(gap(10), 1, [OFFLINE], chooser()) == NONE
    assert learner.choose(gap(10), 3, range(3), chooser()) == NONE


def test_an_author_that_never_gains_is_left_out_where_it_never_gained() -> None:
    """The price of its time is what others gain in it."""
    learner = GapLearner()
    history = [
        each
        for run in range(60)
        for each in (tried(OFFLINE, 9.0, 1.0, run=run), tried(SMALL, 0.0, 30.0, run=run))
    ]
    learner.replay(history)
    assert learner.choose(gap(10), 0, [OFFLINE], chooser()) == OFFLINE
    assert learner.choose(gap(10), 1, [SMALL], chooser()) == NONE
    # a gap of another kind is another state
    assert learner.choose(gap(40, complexity=9), 1, [SMALL], chooser()) == SMALL


def test_a_failure_is_worth_what_the_next_author_makes_of_it() -> None:
    """Escalation: the value of the cheap one that fails carries what comes after."""
    alone, followed = GapLearner(), GapLearner()
    alone.replay([tried(OFFLINE, 0.0, 1.0, run=run) for run in range(50)])
    followed.replay(
        [
            each
            for run in range(50)
            for each in (tried(OFFLINE, 0.0, 1.0, run=run), tried(LARGE, 10.0, 1.0, run=run))
        ]
    )
    assert followed.value(gap(10), 0, [OFFLINE]) > alone.value(gap(10), 0, [OFFLINE])


def test_repairs_of_one_author_count_as_one_try() -> None:
    one, two = GapLearner(), GapLearner()
    one.replay([tried(OFFLINE, 6.0, 3.0)])
    two.replay([tried(OFFLINE, 0.0, 1.0), tried(OFFLINE, 6.0, 2.0)])
    assert np.allclose(one.q.values, two.q.values)


def test_the_same_history_gives_the_same_values() -> None:
    history = [tried(run % 3, float(run % 7), 2.0, run=run) for run in range(100)]
    first, second = GapLearner(), GapLearner()
    first.replay(history)
    second.replay(history)
    assert np.array_equal(first.q.values, second.q.values)


def test_a_dollar_and_a_token_are_seconds() -> None:
    assert cost(2.0, 1000, None) == 3.0
    assert cost(2.0, 1000, 0.01) == 2.0 + 0.01 * DOLLAR
    assert cost(None, None, None) == 0.0


@given(st.integers(1, 200), st.integers(1, 40), st.integers(0, 50), st.integers(0, 99))
def test_more_of_anything_is_never_less_risk(
    size: int, complexity: int, callers: int, churn: int
) -> None:
    """The formula is monotone in everything that it is made of."""
    base = Gap("a.py", "f", 1, 9, tuple(range(size)), (), size, complexity=complexity,
               callers=callers, churn=churn, failures=1.0, flaky_only=False)  # fmt: skip
    more = [
        Gap("a.py", "f", 1, 9, tuple(range(size + a)), (), size + a, complexity=complexity + b,
            callers=callers + c, churn=churn + d, failures=1.0 + e, flaky_only=bool(f))
        for a, b, c, d, e, f in np.eye(6, dtype=int).tolist()
    ]  # fmt: skip
    assert all(risk(each) > risk(base) for each in more)


def test_the_change_comes_before_any_risk() -> None:
    """And what is not missing is no gap."""
    huge, changed = gap(99), Gap("b.py", "g", 1, 2, (2,), (), 1, changed=(2,))
    nothing = Gap("c.py", "h", 1, 2, (), (), 1)
    assert [each.file for each in ranked([huge, nothing, changed])] == ["b.py", "a.py"]
