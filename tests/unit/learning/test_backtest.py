"""Replays look at the past alone, lose no test, and repeat themselves exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_aqe.data import PastRun
from pytest_aqe.errors import AqeError
from pytest_aqe.learning import backtest
from pytest_aqe.learning.backtest import POLICIES, make, replay, replay_partly
from pytest_aqe.learning.baselines import lift_unknown
from pytest_aqe.learning.features import FEATURES, Past, Situation
from pytest_aqe.learning.outcomes import outcome_of
from pytest_aqe.learning.qlearning import seeded
from pytest_aqe.learning.ranking import ListwiseQ, shipped_prior

NAMES = {number: (f"tests/test_{number % 4}.py::test_{number}", f"tests/test_{number % 4}.py")
         for number in range(60)}  # fmt: skip


def history(runs: int = 30, tests: int = 40, seed: int = 0) -> list[PastRun]:
    """A suite where a few tests fail by phases, and new tests keep coming."""
    random = seeded("history", seed)
    weak = random.choice(tests, 5, replace=False)
    found = []
    for number in range(runs):
        present = min(tests, 30 + number)
        failed = np.zeros(present, bool)
        for test in weak:
            if test < present and random.random() < 0.3:
                failed[test] = True
        found.append(
            PastRun(
                number + 1,
                f"run-{number}",
                float(number),
                True,
                (f"src/{number % 4}.py",),
                list(range(present)),
                failed.tolist(),
                random.exponential(1.0, present).tolist(),
            )
        )
    return found


@pytest.mark.parametrize("name", [*POLICIES, "linear-q@0.5", "beta-mean@1"])
def test_no_policy_peeks(name: str) -> None:
    """What a policy scored in the first runs does not depend on the later ones."""
    runs = history()
    (whole,) = replay(runs, NAMES, [make(name)])
    (part,) = replay(runs[:15], NAMES, [make(name)])
    assert whole.scores[: len(part.scores)] == part.scores
    assert part.scores


@pytest.mark.parametrize("name", POLICIES)
def test_a_replay_repeats_itself(name: str) -> None:
    """The same seed and history give the same orders."""
    runs = history()
    (one,), (other,) = (replay(runs, NAMES, [make(name, 7)], 7) for _ in range(2))
    assert one.scores == other.scores


@pytest.mark.parametrize("name", POLICIES)
def test_no_test_is_lost(name: str) -> None:
    """Every policy gives every test a finite score, known or not, in any run."""
    past, ranker = Past(), make(name)
    for run in history(runs=12):
        outcome = outcome_of(past, run, NAMES)
        situation = Situation(past, outcome.tests, run.changed_files, run.hours)
        scores = ranker.scores(situation)
        assert np.isfinite(scores).all()
        order = backtest.order_of(scores, np.arange(scores.size))
        assert sorted(order.tolist()) == list(range(len(run.tests)))
        ranker.learn(situation, outcome.failed, outcome.measured)
        past.learn(situation, outcome.failed, outcome.seconds)


@pytest.mark.parametrize("name", ["linear-q", "linear-q@1", "beta-mean", "guarded"])
def test_an_unknown_test_is_not_below_the_median_of_never_failed_ones(name: str) -> None:
    """Nothing is known against a test of which nothing is known."""
    past, ranker = Past(), make(name)
    for run in history(runs=20):
        outcome = outcome_of(past, run, NAMES)
        situation = Situation(past, outcome.tests, run.changed_files, run.hours)
        ranker.learn(situation, outcome.failed, outcome.measured)
        past.learn(situation, outcome.failed, outcome.seconds)
    new = past.index(59, *NAMES[59])
    situation = Situation(past, np.array([*range(30), new]))
    scores = ranker.scores(situation)
    unfailed = (situation.column("failures") == 0) & (situation.column("runs") > 0)
    assert scores[-1] >= np.median(scores[unfailed])


def test_lifting_changes_known_tests_never() -> None:
    """Only scores of unknown tests rise."""
    past = Past()
    for number in range(3):
        past.index(number, *NAMES[number])
    run = Situation(past, np.array([0, 1]))
    past.learn(run, np.array([False, True]), np.array([1.0, 1.0]))
    scores = lift_unknown(Situation(past, np.array([0, 1, 2])), np.array([1.0, 5.0, -9.0]))
    assert scores.tolist() == [1.0, 5.0, 1.0]


def test_learning_finds_what_fails() -> None:
    """On a suite where the same five tests fail, history beats chance by far."""
    tracks = replay(history(runs=60), NAMES, [make("random"), make("beta-mean"), make("linear-q")])
    random, beta, learner = (np.mean([each.apfd for each in track.scores]) for track in tracks)
    assert beta > random + 0.2
    assert learner > random + 0.2


def test_partial_feedback_sees_its_share_alone() -> None:
    """A policy that runs a third of the time finds a part of the failures."""
    track = replay_partly(history(), NAMES, make("linear-q"), share=1 / 3, epsilon=0.1)
    whole = replay_partly(history(), NAMES, make("linear-q"), share=1.0, epsilon=0.0)
    assert 0 < track.found < whole.found == whole.failures
    assert track.caught <= track.faulty == whole.faulty


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_features_are_finite(seed: int) -> None:
    """Whatever a suite went through, every feature is a number."""
    past = Past()
    for run in history(runs=8, seed=seed):
        outcome = outcome_of(past, run, NAMES)
        situation = Situation(past, outcome.tests, run.changed_files, run.hours)
        assert np.isfinite(situation.features).all()
        assert situation.features.shape == (len(run.tests), len(FEATURES))
        past.learn(situation, outcome.failed, outcome.seconds)


def test_the_shipped_prior_names_features() -> None:
    """Every weight of the prior belongs to a feature, and every feature has one."""
    assert set(shipped_prior()) == set(FEATURES)


def test_the_prior_is_better_than_nothing_at_first() -> None:
    """With the shipped weights a failure that was just seen comes first, before any lesson."""
    past = Past()
    for number in range(10):
        past.index(number, *NAMES[number])
    run = Situation(past, np.arange(10))
    failed = np.zeros(10, bool)
    failed[6] = True
    past.learn(run, failed, np.full(10, np.nan))
    assert ListwiseQ().scores(Situation(past, np.arange(10))).argmax() == 6


@pytest.mark.parametrize("name", ["oracle", "linear-q@x", "random@1", "beta-mean@-1"])
def test_an_unknown_policy_is_named(name: str) -> None:
    """The message lists what there is."""
    with pytest.raises(AqeError, match=r"no policy .*linear-q"):
        make(name)
