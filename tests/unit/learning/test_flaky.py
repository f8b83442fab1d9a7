"""The belief of one test, against values worked out by an independent implementation."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aqe.beliefs import Belief, Conditions, Execution, Judgement
from pytest_aqe.data import AttemptMode
from pytest_aqe.learning.flaky import (
    PRIOR,
    THETA,
    LaneBayes,
    clean_runs,
    flake_rate,
    interval,
    p_broken,
    p_flaky,
    tempering,
    verdict,
)

MODES: tuple[AttemptMode, ...] = ("first", "inproc", "isolated")
TEST = 9  # of ten; the others pass


class World:
    """Ten tests of which one is looked at, in one CI lane."""

    def __init__(self, *runs: str) -> None:
        self.learner = LaneBayes()
        for each in runs:
            self.run(each)

    def run(
        self, outcomes: str, tree: str = "t", code: str | None = "c", signature: str = "s"
    ) -> Judgement | None:
        """Run once; F and P are the attempts: first, in process, isolated."""
        attempts = tuple((MODES[i], each == "F") for i, each in enumerate(outcomes))
        failed = outcomes[0] == "F"
        groups = {signature: 1} if failed else {}
        conditions = Conditions("main", "e", False, tree, 10, int(failed), groups)
        passes = [Execution(i, (("first", False),), code=code) for i in range(TEST)]
        looked_at = Execution(TEST, attempts, signature if failed else None, code)
        found = self.learner.see(conditions, [*passes, looked_at])
        return found[0] if found else None

    @property
    def belief(self) -> Belief:
        return self.learner.beliefs[TEST]

    @property
    def values(self) -> tuple[float, float]:
        """P(broken) and P(flaky), to four digits."""
        broken = p_broken(self.belief, ("main", "e"))
        return round(broken, 4), round(p_flaky(self.belief), 4)


class TestCheckValues:
    @pytest.mark.parametrize(
        "passes, expected", [(1, (0.0062, 0.0371)), (2, (0.0003, 0.0353)), (3, (0.0000, 0.0339))]
    )
    def test_passes(self, passes: int, expected: tuple[float, float]) -> None:
        """Every pass on one tree makes both less likely."""
        assert World(*["P"] * passes).values == expected

    @pytest.mark.parametrize(
        "outcomes, tree, code, expected",
        [
            ("FP", "t", "c", (0.0009, 0.6650)),
            ("FFF", "u", "d", (0.9967, 0.0365)),
            ("FP", "u", "d", (0.8679, 0.1175)),
            ("F", "u", "c", (0.1416, 0.6097)),
        ],
    )
    def test_after_three_passes(
        self, outcomes: str, tree: str, code: str, expected: tuple[float, float]
    ) -> None:
        """What a failure is taken for depends on what changed."""
        world = World("P", "P", "P")
        world.run(outcomes, tree, code)
        assert world.values == expected

    def test_flagged_after_two_flakes(self) -> None:
        """Two passes on retry on one tree are enough; then the next one is suppressed."""
        world = World("P", "P", "P", "FP", *["P"] * 5, "FP")
        assert world.values[1] == 0.9932
        assert world.belief.flagged
        for _ in range(5):
            world.run("P")
        found = world.run("FP")
        assert found is not None
        assert found.suppressed

    @pytest.mark.parametrize(
        "outcomes, tree, code, signature, broken, suppressed",
        [
            ("F", "u", "d", "s", 0.1962, False),
            ("F", "u", "d", "new", 0.7454, False),
            ("FFF", "u", "d", "s", 0.5412, False),
            ("FP", "u", "d", "s", 0.0279, True),
            ("F", "u", "c", "s", 0.0007, True),
        ],
    )
    def test_a_flaky_test_after_a_change(
        self, outcomes: str, tree: str, code: str, signature: str, broken: float, suppressed: bool
    ) -> None:
        """A known flake is red where its code changed and it does not pass again."""
        known = ["P", "P", "P", "FP", *["P"] * 5, "FP", *["P"] * 5, "FP", *["P"] * 5]
        world = World(*known)
        found = world.run(outcomes, tree, code, signature)
        assert found is not None
        assert (world.values[0], found.suppressed) == (broken, suppressed)


RUNS = st.lists(
    st.tuples(
        st.sampled_from(["P", "F", "FP", "FF", "FFP", "FFF", "PF"]),
        st.sampled_from("tuv"),
        st.sampled_from(["c", "d", None]),
        st.sampled_from(["s", "new"]),
    ),
    max_size=25,
)


@given(RUNS)
def test_beliefs_are_probabilities(runs: list[tuple[str, str, str | None, str]]) -> None:
    """Whatever happens, rates sum to one and every number is a probability."""
    world = World("P")
    for run in runs:
        world.run(*run)
    belief = world.belief
    assert math.isclose(sum(belief.rates), 1)
    lanes = [each for lane in belief.lanes.values() for each in lane.broken]
    assert all(0 <= each <= 1 for each in [*belief.rates, *lanes])
    low, high = interval(belief)
    assert 0 <= low <= high <= 1
    assert THETA[0] <= flake_rate(belief) <= THETA[-1]


@given(RUNS)
def test_nothing_is_suppressed_that_was_not_known(
    runs: list[tuple[str, str, str | None, str]],
) -> None:
    """A failure is suppressed only where the test was flagged before, and is hardly broken."""
    world = World("P")
    for run in runs:
        flagged = world.belief.flagged
        found = world.run(*run)
        if found is not None and found.suppressed:
            assert flagged
            assert found.p_broken <= 0.10


@given(RUNS)
def test_a_pass_makes_broken_less_likely(runs: list[tuple[str, str, str | None, str]]) -> None:
    """On the same tree and code, a pass never speaks for a defect."""
    world = World("P")
    for run in runs:
        world.run(*run)
    world.run("P")
    before = p_broken(world.belief, ("main", "e"))
    world.run("P")
    assert p_broken(world.belief, ("main", "e")) <= before + 1e-12


class TestOutages:
    def test_a_mass_failure_tells_nothing_of_a_test(self) -> None:
        """Where most tests fail at once, none is taken for broken or flaky."""
        conditions = Conditions("main", "e", False, "t", 100, 90, {"down": 90})
        assert tempering(conditions, "down", LaneBayes().events) == 0.98

    def test_a_shuffled_run_is_no_outage(self) -> None:
        """Many order-dependent tests fail together when they are shuffled."""
        conditions = Conditions("main", "e", False, "t", 100, 50, {}, shuffled=True)
        assert tempering(conditions, "s", LaneBayes().events) == 0.0

    def test_a_signature_that_recurs_in_groups_weighs_less(self) -> None:
        """Each event makes the next group of that signature less of one."""
        learner = LaneBayes()
        conditions = Conditions("main", "e", False, "t", 100, 4, {"s": 4})
        first = tempering(conditions, "s", learner.events)
        learner.see(conditions, [])
        assert first == 0.5
        assert tempering(conditions, "s", learner.events) < first


def test_an_untrusted_run_teaches_nothing() -> None:
    """A pull request's run is judged by what is known, and changes none of it."""
    world = World("P", "P", "P")
    before = world.belief.copy()
    conditions = Conditions("main", "e", False, "t", 10, 1, {"s": 1}, trusted=False)
    attempts: tuple[tuple[AttemptMode, bool], ...] = (("first", True), ("inproc", False))
    found = world.learner.see(conditions, [Execution(TEST, attempts, "s", "c")])
    assert round(found[0].p_flaky, 4) == 0.6650
    assert world.belief == before


def test_a_new_lane_starts_from_main() -> None:
    """What is broken on main is broken on the branch that leaves it."""
    world = World("P", "P", "P")
    for _ in range(3):
        world.run("FFF", "u", "d")
    world.learner.see(
        Conditions("topic", "e", False, "u", 10), [Execution(TEST, (("first", False),), code="d")]
    )
    elsewhere = LaneBayes()
    elsewhere.beliefs[TEST] = Belief(list(PRIOR))
    elsewhere.see(
        Conditions("topic", "e", False, "u", 10), [Execution(TEST, (("first", False),), code="d")]
    )
    assert p_broken(world.belief, ("topic", "e")) > p_broken(
        elsewhere.beliefs[TEST], ("topic", "e")
    )


@pytest.mark.parametrize("rate, runs", [(0.01, 299), (0.02, 149), (0.05, 59), (0.5, 5)])
def test_clean_runs(rate: float, runs: int) -> None:
    """ln .05 / ln(1 - rate): what a fixed count of runs gets wrong."""
    assert clean_runs(rate) == runs


@pytest.mark.parametrize(
    "flaky, broken, expected",
    [(0.9, 0.01, "flaky"), (0.9, 0.2, "unknown"), (0.1, 0.01, "unknown"), (0.9, 0.6, "broken")],
)
def test_verdict(flaky: float, broken: float, expected: str) -> None:
    """In doubt neither word is used."""
    assert verdict(flaky, broken) == expected
