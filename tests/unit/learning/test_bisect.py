"""The smallest part of what ran before that has the effect, with few launches."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from pytest_aqe.learning.bisect import DOUBT, Launches, repeats, smallest


@given(st.integers(1, 300), st.data())
def test_one_polluter(count: int, data: st.DataObject) -> None:
    """It is found, with one launch a halving and one to make sure."""
    polluter = data.draw(st.integers(0, count - 1))
    launch = Launches(lambda tests: polluter in tests)
    assert smallest(range(count), launch) == [polluter]
    assert launch.count <= math.ceil(math.log2(count)) + 1


@given(st.integers(2, 60), st.data())
def test_a_set_that_works_together(count: int, data: st.DataObject) -> None:
    """Tests that only pollute together are found too, and no other."""
    wanted = data.draw(st.sets(st.integers(0, count - 1), min_size=1, max_size=3))
    launch = Launches(lambda tests: wanted <= set(tests))
    assert smallest(range(count), launch) == sorted(wanted)


@given(st.integers(1, 300), st.data())
def test_a_good_guess_costs_one_launch(count: int, data: st.DataObject) -> None:
    """What the recorded orders point at is tried first."""
    polluter = data.draw(st.integers(0, count - 1))
    launch = Launches(lambda tests: polluter in tests)
    assert smallest(range(count), launch, likely=[polluter]) == [polluter]
    assert launch.count == 1


@given(st.floats(0, 1))
def test_chance_does_not_repeat_itself(rate: float) -> None:
    """At any rate of failure, few repetitions make it unlikely that chance showed them all."""
    assert 2 <= repeats(rate) <= 3
    assert (rate * (1 - rate)) ** repeats(rate) <= DOUBT


def test_what_is_known_can_be_tried_anew() -> None:
    """A launch is counted each time it is really made."""
    outcomes = iter([True, False])
    launch: Launches[int] = Launches(lambda tests: next(outcomes))
    assert [launch([1]), launch([1]), launch.again([1]), launch.count] == [True, True, False, 2]
