"""The guard keeps in force what scored better, and says why when it changes its mind."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pytest_aqe.learning.guard import BASELINE, EXPONENTS, LEARNER, Guard, compare, named
from pytest_aqe.learning.qlearning import seeded

SHARES = st.lists(st.floats(0, 1), min_size=2, max_size=40)


def scores(learner: float, baseline: float) -> dict[str, float]:
    """What every candidate scored, all exponents alike."""
    return {
        named(family, b): value
        for family, value in ((LEARNER, learner), (BASELINE, baseline))
        for b in EXPONENTS
    }


class TestCompare:
    def test_a_better_policy(self) -> None:
        """An interval above zero is better, one below is worse."""
        good = compare([0.9, 0.8] * 10, [0.7, 0.7] * 10)
        assert good.verdict == "better"
        assert 0 < good.low <= good.difference <= good.high
        assert good.t > 2
        assert compare([0.7, 0.7] * 10, [0.9, 0.8] * 10).verdict == "worse"

    def test_not_enough_data(self) -> None:
        """A few runs say nothing, and none says less."""
        assert compare([0.9] * 3, [0.1] * 3).verdict == "not enough data"
        assert compare([], []).difference is None
        assert compare([0.5], [0.4]).low is None

    def test_no_difference(self) -> None:
        """Noise around zero is neither better nor worse."""
        noise = seeded(1).normal(0, 0.1, 200)
        assert compare(0.5 + noise, 0.5 + noise[::-1]).verdict == "no difference seen"

    @given(SHARES)
    def test_is_antisymmetric(self, values: list[float]) -> None:
        """The other way round the difference has the other sign."""
        other = values[::-1]
        one, two = compare(values, other), compare(other, values)
        assert np.isclose(one.difference, -two.difference)
        assert {one.verdict, two.verdict} in (
            {"better", "worse"},
            {"no difference seen"},
            {"not enough data"},
        )


class TestGuard:
    def test_starts_with_the_learner(self) -> None:
        """Before anything is scored, what was measured on other histories decides."""
        assert Guard().in_force == "linear-q@0.5"

    def test_steps_back_within_15_runs(self) -> None:
        """After 40 good runs, losses bring the baseline into force soon, with the numbers."""
        for loss in (0.05, 0.1, 0.3):
            guard, generator = Guard(), seeded(2, str(loss))
            for _ in range(40):
                guard.take(scores(0.8 + generator.normal(0, 0.02), 0.78))
            assert guard.learner_in_force
            told = [
                guard.take(scores(0.8 - loss + generator.normal(0, 0.02), 0.8)) for _ in range(15)
            ]
            assert not guard.learner_in_force
            (stepped,) = [each for each in told if each is not None]
            assert "linear-q was" in stepped.reason
            assert "worse than beta-mean" in stepped.reason

    def test_comes_back_when_better_again(self) -> None:
        """The learner goes on being scored, and returns by the same kind of evidence."""
        guard, generator = Guard(), seeded(3)
        for _ in range(30):
            guard.take(scores(0.5 + generator.normal(0, 0.05), 0.8))
        assert not guard.learner_in_force
        for _ in range(40):
            guard.take(scores(0.9 + generator.normal(0, 0.05), 0.8))
        assert guard.learner_in_force

    def test_changes_its_mind_seldom_under_noise(self) -> None:
        """Where both are alike, it does not go to and fro."""
        for seed in range(5):
            guard, generator = Guard(), seeded(4, seed)
            steps = [
                guard.take(scores(generator.normal(0.5, 0.1), generator.normal(0.5, 0.1)))
                for _ in range(200)
            ]
            assert sum(each is not None for each in steps) <= 12

    def test_takes_the_exponent_that_scores_best(self) -> None:
        """The trade between count and time follows the suite."""
        guard = Guard()
        for _ in range(40):
            guard.take({**scores(0.8, 0.7), named(LEARNER, 0.0): 0.9})
        assert guard.in_force == "linear-q"

    @given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=60))
    def test_always_has_a_policy(self, runs: list[tuple[float, float]]) -> None:
        """Whatever the scores, one of the candidates is in force."""
        guard = Guard()
        for learner, baseline in runs:
            stepped = guard.take(scores(learner, baseline))
            assert guard.in_force in scores(0, 0)
            assert stepped is None or stepped.policy == guard.in_force
