"""The laws of the Q-learning kernel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pytest_aqe.errors import AqeError
from pytest_aqe.learning.qlearning import (
    PRESETS,
    Backoff,
    Exponential,
    LinearQ,
    Replay,
    RewardBased,
    Snapshot,
    Step,
    TabularQ,
    choose,
    seeded,
    softmax,
)

REWARDS = st.lists(st.floats(-10, 10), min_size=1, max_size=20)


def chain(gamma: float) -> np.ndarray:
    """Q* of five states in a row: 0 goes left, 1 goes right; entering the last one pays 1."""
    values = np.zeros((5, 2))
    for _ in range(200):
        best = values.max(axis=1)
        best[4] = 0.0
        for state in range(4):
            values[state, 0] = gamma * best[max(state - 1, 0)]
            values[state, 1] = 1.0 if state == 3 else gamma * best[state + 1]
    return values


class TestTabular:
    def test_converges_on_a_known_chain(self) -> None:
        """Off-policy, from random actions, Q reaches the fixed point of Bellman's equation."""
        learner = TabularQ(5, 2, alpha=0.1, gamma=0.8)
        generator = seeded(1)
        for _ in range(3000):
            states = generator.integers(4, size=8)
            actions = generator.integers(2, size=8)
            after = np.where(actions == 1, states + 1, np.maximum(states - 1, 0))
            learner.update(states, actions, after == 4, after, done=after == 4)
        assert np.allclose(learner.values, chain(0.8), atol=0.02)

    def test_contracts_toward_the_fixed_point(self) -> None:
        """A sweep over all cells brings any values nearer by at least 1 - alpha (1 - gamma)."""
        alpha, gamma, target = 0.5, 0.8, chain(0.8)
        states, actions = np.divmod(np.arange(8), 2)
        after = np.where(actions == 1, states + 1, np.maximum(states - 1, 0))
        for seed in range(20):
            learner = TabularQ(5, 2, alpha=alpha, gamma=gamma)
            learner.values[:4] = seeded(seed).normal(0, 10, (4, 2))
            learner.visits[:] = 100
            for _ in range(10):
                before = np.abs(learner.values - target).max()
                learner.update(states, actions, after == 4, after, done=after == 4)
                now = np.abs(learner.values - target).max()
                assert now <= before * (1 - alpha * (1 - gamma)) + 1e-9

    @given(REWARDS, st.floats(0, 1))
    def test_values_stay_within_the_rewards(self, rewards: list[float], alpha: float) -> None:
        """Without bootstrapping a value is a mean of rewards."""
        learner = TabularQ(1, 1, alpha=alpha)
        for reward in rewards:
            learner.update(0, 0, reward)
        assert min(rewards) - 1e-9 <= learner.value(0, 0) <= max(rewards) + 1e-9

    @given(REWARDS)
    def test_order_does_not_matter_to_a_mean(self, rewards: list[float]) -> None:
        """With step 1/n, replaying in any order or in one batch gives the same values."""
        forward, backward, batch = (TabularQ(1, 1, alpha=0) for _ in range(3))
        for reward in rewards:
            forward.update(0, 0, reward)
        for reward in reversed(rewards):
            backward.update(0, 0, reward)
        batch.update(np.zeros(len(rewards), int), 0, rewards)
        assert forward.value(0, 0) == pytest.approx(np.mean(rewards), abs=1e-9)
        assert backward.value(0, 0) == pytest.approx(forward.value(0, 0), abs=1e-9)
        assert batch.value(0, 0) == pytest.approx(forward.value(0, 0), abs=1e-9)

    @given(st.integers(0, 30), st.integers(1, 30), st.floats(0.02, 1))
    def test_a_batch_of_equals_is_as_many_steps(
        self, before: int, count: int, alpha: float
    ) -> None:
        """k equal rewards in one batch move a cell as far as one after the other."""
        one, many = TabularQ(1, 1, alpha=alpha), TabularQ(1, 1, alpha=alpha)
        for learner in (one, many):
            for _ in range(before):
                learner.update(0, 0, 1.0)
        for _ in range(count):
            one.update(0, 0, -1.0)
        many.update(np.zeros(count, int), 0, -1.0)
        assert many.value(0, 0) == pytest.approx(one.value(0, 0), abs=1e-9)
        assert many.visits[0, 0] == before + count

    def test_a_large_table_learns_as_a_small_one(self) -> None:
        """Where cells are sorted and where they are counted the result is the same."""
        small, large = TabularQ(4, 3, alpha=0.1), TabularQ(40_000, 3, alpha=0.1)
        generator = seeded(2)
        for _ in range(20):
            states, actions = generator.integers(4, size=50), generator.integers(3, size=50)
            rewards = generator.normal(size=50)
            small.update(states, actions, rewards)
            large.update(states, actions, rewards)
        assert np.allclose(small.values, large.values[:4])

    def test_what_is_not_allowed_is_not_expected(self) -> None:
        """The best next action is one that there is."""
        learner = TabularQ(2, 2, alpha=1, gamma=1.0)
        learner.values[1] = (5.0, 1.0)
        learner.update(0, 0, 0.0, 1, next_allowed=[[False, True]])
        assert learner.value(0, 0) == 1.0
        assert learner.best([1], [[False, True]]) == [1]

    def test_sarsa_follows_the_action_taken(self) -> None:
        """With the next action given, its value is the target and not the best one's."""
        learner = TabularQ(2, 2, alpha=1, gamma=1.0)
        learner.values[1] = (5.0, 1.0)
        learner.update(0, 0, 0.0, 1, next_actions=[1])
        assert learner.value(0, 0) == 1.0

    def test_refuses_what_is_not_finite(self) -> None:
        """A reward that is no number changes nothing."""
        learner = TabularQ(1, 1)
        with pytest.raises(ValueError, match="not finite"):
            learner.update(0, 0, float("nan"))
        assert learner.value(0, 0) == 0.0


class TestLinear:
    def test_learns_a_linear_reward(self) -> None:
        """Pointwise updates find the weights that made the rewards."""
        truth = np.array([1.0, -2.0, 0.5])
        learner = LinearQ(np.zeros(3), step=0.2, pull=0.0)
        generator = seeded(3)
        for _ in range(2000):
            features = generator.normal(size=(16, 3))
            learner.update(features, features @ truth)
        assert np.allclose(learner.weights, truth, atol=0.02)

    def test_a_list_learns_which_row_is_rewarded(self) -> None:
        """The loss of a decision falls as it is repeated, and the rewarded row comes first."""
        features = seeded(4).normal(size=(30, 5))
        rewards = np.zeros(30)
        rewards[7] = 1
        learner = LinearQ(np.zeros(5), pull=0.0)
        losses = [learner.update_list(features, rewards) for _ in range(500)]
        assert losses[-1] < losses[0] / 2
        assert learner.values(features).argmax() == 7

    def test_importance_stands_for_repeated_rows(self) -> None:
        """A row that counts twice teaches as two rows do."""
        features, rewards = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([1.0, 0.0])
        weighted, doubled = LinearQ(np.zeros(2)), LinearQ(np.zeros(2))
        weighted.update_list(features, rewards, importance=np.array([1.0, 2.0]))
        doubled.update_list(features[[0, 1, 1]], rewards[[0, 1, 1]])
        assert np.allclose(weighted.weights, doubled.weights)

    def test_stays_finite_after_100_000_updates(self) -> None:
        """Weights stay finite, whatever the features."""
        learner = LinearQ(np.zeros(4))
        generator = seeded(5)
        features = generator.normal(0, 50, size=(64, 8, 4))
        rewards = np.eye(8)[generator.integers(8, size=64)]
        for i in range(100_000):
            learner.update_list(features[i % 64], rewards[i % 64])
        assert np.isfinite(learner.weights).all()

    def test_the_prior_fades_on_evidence_only(self) -> None:
        """A list that is predicted right leaves the prior where it was."""
        learner = LinearQ(np.array([40.0, 0.0]))
        learner.update_list(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([1.0, 0.0]))
        assert np.allclose(learner.weights, learner.prior, atol=1e-3)

    def test_refuses_a_list_without_a_reward(self) -> None:
        """A run without a failure cannot be learnt from list-wise."""
        with pytest.raises(ValueError, match="teaches nothing"):
            LinearQ(np.zeros(1)).update_list(np.ones((2, 1)), [0, 0])

    @given(arrays.arrays(float, 6, elements=st.floats(-1e6, 1e6)))
    def test_softmax_is_a_distribution(self, values: np.ndarray) -> None:
        """It sums to one and never overflows."""
        shares = softmax(values)
        assert shares.sum() == pytest.approx(1)
        assert (shares >= 0).all()


class TestBackoff:
    def test_an_unknown_context_has_the_value_of_the_one_above(self) -> None:
        """A new test starts from its file, a new file from the suite."""
        learner = Backoff(3, strength=2)
        learner.learn([[0, 0, 0], [0, 0, 1], [0, 1, 2]], [1.0, 1.0, 0.0])
        known, new_test, new_file = learner.values([[0, 0, 0], [0, 0, 9], [0, 7, 9]])
        assert new_test[2] == new_test[1] > new_file[1]
        assert new_file[2] == new_file[1] == new_file[0]
        assert known[2] > new_test[2]

    @given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.floats(0, 1)), min_size=1))
    def test_values_stay_within_the_rewards(self, rows: list[tuple[int, int, float]]) -> None:
        """Every level is a mean of rewards and of what is above."""
        keys = [[0, a, 4 * a + b] for a, b, _ in rows]
        learner = Backoff(3)
        learner.learn(keys, [reward for *_, reward in rows])
        found = learner.values(keys)
        assert (found >= 0).all()
        assert (found <= 1 + 1e-12).all()

    def test_evidence_outweighs_what_is_above(self) -> None:
        """With many rewards a context has their mean."""
        learner = Backoff(2)
        for _ in range(1000):
            learner.learn([[0, 0], [0, 1]], [1.0, 0.0])
        assert learner.values([[0, 0]])[0, 1] == pytest.approx(1, abs=0.01)


class TestSchedules:
    @given(st.sampled_from([Exponential(), Step()]), st.integers(0, 5000), st.integers(0, 5000))
    def test_epsilon_never_rises(self, schedule: Exponential | Step, a: int, b: int) -> None:
        """Later steps explore no more than earlier ones, never less than the floor."""
        early, late = sorted((a, b))
        assert schedule.epsilon(early) >= schedule.epsilon(late) >= schedule.floor
        assert schedule.epsilon(0) == schedule.start

    @given(st.lists(st.floats(0, 1)))
    def test_epsilon_falls_with_rewards_alone(self, rewards: list[float]) -> None:
        """It falls when the target is reached, which then rises."""
        schedule = RewardBased()
        for reward in rewards:
            after = schedule.after(reward)
            assert schedule.floor <= after.epsilon() <= schedule.epsilon()
            assert (after.target > schedule.target) == (reward >= schedule.target)
            schedule = after

    def test_presets_go_from_careful_to_bold(self) -> None:
        """Each one learns faster and explores more than the one before."""
        found = [PRESETS[name] for name in ("conservative", "balanced", "aggressive")]
        assert [each.alpha for each in found] == sorted(each.alpha for each in found)
        for step in (0, 10, 1000):
            values = [each.epsilon.epsilon(step) for each in found]
            assert values == sorted(values)


class TestChoose:
    def test_greedy_without_epsilon(self) -> None:
        """Equals are drawn between; the others never come."""
        generator = seeded(6)
        assert {choose([1, 3, 3], 0, generator) for _ in range(50)} == {1, 2}

    def test_explores_what_is_allowed(self) -> None:
        """With epsilon 1 every allowed action comes, no other."""
        generator = seeded(7)
        found = {choose([9, 1, 2], 1, generator, [False, True, True]) for _ in range(50)}
        assert found == {1, 2}

    def test_refuses_to_choose_from_nothing(self) -> None:
        """Without an allowed action there is no answer."""
        with pytest.raises(ValueError, match="no action"):
            choose([1.0], 0, seeded(8), [False])


class TestReplay:
    def test_forgets_the_oldest(self) -> None:
        """It holds the latest items only."""
        memory: Replay[int] = Replay(3)
        for item in range(10):
            memory.add(item)
        assert len(memory) == 3
        assert {each.item for each in memory.sample(100, seeded(9))} == {7, 8, 9}

    def test_draws_by_priority_and_corrects_for_it(self) -> None:
        """What surprised more is drawn more often and weighs less."""
        memory: Replay[str] = Replay(2, exponent=1.0, correction=1.0)
        memory.add("dull", 1.0)
        memory.add("surprising", 9.0)
        drawn = memory.sample(1000, seeded(10))
        share = sum(each.item == "surprising" for each in drawn) / 1000
        assert share == pytest.approx(0.9, abs=0.05)
        weights = {each.item: each.weight for each in drawn}
        assert weights["dull"] == pytest.approx(9 * weights["surprising"])
        memory.reprioritize(1, 0.0)
        assert {each.item for each in memory.sample(1000, seeded(11))} >= {"dull"}

    def test_the_same_seed_draws_the_same(self) -> None:
        """Draws depend on the generator alone."""
        memory: Replay[int] = Replay(50, exponent=0.6)
        for item in range(50):
            memory.add(item, item + 1)
        assert memory.sample(20, seeded("a")) == memory.sample(20, seeded("a"))

    def test_an_empty_memory_has_nothing(self) -> None:
        """Nothing was remembered, nothing is drawn."""
        assert Replay(5).sample(3, seeded(0)) == []


class TestSnapshot:
    def test_comes_back_as_it_was(self) -> None:
        """What is written is read again, under the same name."""
        kept = Snapshot("selection", "balanced", 3, {"weights": [0.1, -2.5]})
        assert Snapshot.decode(kept.encode()) == kept
        assert Snapshot.decode(kept.encode()).digest == kept.digest
        assert Snapshot("selection", "balanced", 4, kept.parameters).digest != kept.digest

    def test_a_damaged_one_is_named(self) -> None:
        """The message says what to do."""
        with pytest.raises(AqeError, match="tune"):
            Snapshot.decode("{}")
