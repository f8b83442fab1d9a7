"""Tests after which others fail are found by running parts of an order."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aqe.generation.disturbing import before_others, disturbers
from pytest_aqe.generation.interpreters import Interpreters
from pytest_aqe.generation.sandbox import Settings
from pytest_aqe.generation.together import Module, disturbing

from .test_trial import make_target


@dataclass(frozen=True)
class World:
    """Tests by number: what each leaves, clears, and must not find."""

    leaves: tuple[frozenset[str], ...]
    clears: tuple[frozenset[str], ...]
    suffers: tuple[frozenset[str], ...]

    def failing(self, order: Sequence[int]) -> set[int]:
        """Run tests from the start; return those that found what they must not find."""
        there: set[str] = set()
        failed = set()
        for number in order:
            if there & self.suffers[number]:
                failed.add(number)
            there = (there - self.clears[number]) | self.leaves[number]
        return failed

    @property
    def order(self) -> range:
        """All tests."""
        return range(len(self.leaves))


FLAGS = st.frozensets(st.sampled_from("abc"), max_size=2)
WORLDS = st.lists(st.tuples(FLAGS, FLAGS, FLAGS), max_size=30).map(
    lambda tests: World(
        tuple(test[0] for test in tests),
        tuple(test[1] for test in tests),
        tuple(test[2] for test in tests),
    )
)


def world(size: int, *, leaves: dict[int, str], suffers: dict[int, str]) -> World:
    """Return a world where most tests do nothing."""
    return World(
        tuple(frozenset(leaves.get(number, "")) for number in range(size)),
        (frozenset(),) * size,
        tuple(frozenset(suffers.get(number, "")) for number in range(size)),
    )


@given(WORLDS)
def test_what_is_left_does_not_fail(tests: World) -> None:
    """Where nothing fails nothing is taken."""
    found = disturbers(tests.order, tests.failing)
    assert not tests.failing([each for each in tests.order if each not in found])
    assert bool(found) is bool(tests.failing(tests.order))


@given(WORLDS)
def test_when_time_is_over_what_still_fails_is_taken(tests: World) -> None:
    found = disturbers(tests.order, tests.failing, lambda: True)
    assert found == {each: each for each in tests.failing(tests.order)}


@given(st.integers(0, 5), st.integers(0, 8))
def test_one_that_fails_now_and_then_is_taken_alone(place: int, number: int) -> None:
    """Nobody that ran before it is blamed."""
    asked: list[int] = []

    def failing(order: Sequence[int]) -> set[int]:
        asked.append(len(order))
        return {place} & set(order) if len(asked) == number + 1 else set()

    found = disturbers(range(6), failing)
    assert found == ({place: place} if number == 0 else {})


@given(st.integers(2, 40).flatmap(lambda size: st.permutations(range(size))))
def test_one_that_disturbs_several_is_taken_alone(order: list[int]) -> None:
    """Test 0 leaves what all after it must not find."""
    size = len(order)
    tests = world(size, leaves={0: "a"}, suffers=dict.fromkeys(range(1, size), "a"))
    after = order[order.index(0) + 1 :]
    found = disturbers(order, tests.failing)
    if len(after) == 1:  # either may be at fault
        assert found == {0: after[0], after[0]: 0}
    else:
        assert found == ({0: after[0]} if after else {})


@given(st.permutations(range(12)), st.sets(st.integers(0, 9), min_size=1, max_size=3))
def test_of_several_that_disturb_many_each_is_taken_and_nobody_else(
    order: list[int], places: set[int]
) -> None:
    """Those that suffer are not taken one by one, though each of the guilty is enough."""
    guilty = {order[place] for place in places}  # two come after them
    suffers = dict.fromkeys(set(order) - guilty, "a")
    tests = world(12, leaves=dict.fromkeys(guilty, "a"), suffers=suffers)
    assert set(disturbers(order, tests.failing)) == guilty


def test_one_that_fails_by_itself_is_taken_alone() -> None:
    assert disturbers(range(4), lambda order: {2} & set(order)) == {2: 2}


def test_where_one_test_alone_suffers_both_are_taken() -> None:
    """It cannot be told which of the two is at fault."""
    tests = world(9, leaves={1: "a", 3: "b"}, suffers={6: "b"})
    assert disturbers(tests.order, tests.failing) == {3: 6, 6: 3}


@pytest.mark.skipif(sys.platform == "win32", reason="a trial needs os.fork")
def test_what_ends_the_run_is_no_proof_that_all_get_on(
    tmp_path: Path, processes: Interpreters
) -> None:
    """Nobody has failed, for nobody has run."""
    target = make_target(tmp_path)
    texts = ("def test_it(): assert True", "raise KeyboardInterrupt")
    modules = [
        Module(target, f"test_{number}.py", text, model=False) for number, text in enumerate(texts)
    ]
    found = disturbing(Settings(), modules, [], processes)
    assert found.untold == "the search for it did not come to its end"
    assert disturbing(Settings(), modules[:1] * 2, [], processes) == ({}, "", "")


@given(WORLDS, st.integers(0, 30))
def test_of_the_others_none_fails_after_those_that_are_left(tests: World, size: int) -> None:
    own, others = tests.order[:size], tests.order[size:]
    others = [each for each in others if each not in tests.failing(others)]
    if tests.failing(others):
        return  # one that failed had cleared what these must not find
    found = before_others(own, others, tests.failing, lambda: False)
    left = [each for each in own if each not in found]
    assert found.keys() <= {*own}
    assert set(found.values()) <= {*others}
    assert not tests.failing([*left, *others]) & {*others}
    assert bool(found) is bool(tests.failing([*own, *others]) & {*others})


def test_another_that_fails_now_and_then_is_nobody_s_fault() -> None:
    times = iter(range(100))

    def failing(order: Sequence[int]) -> set[int]:
        return {4} if next(times) == 0 else set()

    assert before_others([0, 1, 2], [3, 4], failing, lambda: False) == {}


def test_when_time_is_over_before_it_is_known_whose_fault_it_is_that_is_said() -> None:
    with pytest.raises(TimeoutError):
        before_others(
            [0, 1], [2], lambda order: {2} & {*order} if 0 in order else set(), lambda: True
        )
