"""The learner is worth its place, and the guard keeps it from being worse than nothing."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_aqe.data import PastRun
from pytest_aqe.learning.backtest import make, order_of, replay
from pytest_aqe.learning.features import Past, Situation
from pytest_aqe.learning.guard import BASELINE, LEARNER, Guarded
from pytest_aqe.learning.metrics import score
from pytest_aqe.learning.qlearning import seeded

TESTS = 200
FILES = [f"tests/test_part{number}.py" for number in range(20)]
NAMES = {
    number: (f"{FILES[number % 20]}::test_case_{number}", FILES[number % 20])
    for number in range(TESTS)
}


def run_of(
    number: int, failed: np.ndarray, changed: tuple[str, ...] | None, seconds: np.ndarray | None
) -> PastRun:
    """One run of all tests."""
    durations = [None] * TESTS if seconds is None else seconds.tolist()
    return PastRun(
        number, str(number), float(number), True, changed, range(TESTS), failed.tolist(), durations
    )


def changing_suite(seed: int, runs: int) -> list[PastRun]:
    """A suite where a change breaks tests of its part, and some tests are weak for a while."""
    random, found = seeded("changing", seed), []
    weak = random.choice(TESTS, 4, replace=False)
    seconds = random.lognormal(0, 1, TESTS)
    for number in range(1, runs + 1):
        if number % 25 == 0:
            weak = random.choice(TESTS, 4, replace=False)
        part = int(random.integers(20))
        failed = np.zeros(TESTS, bool)
        failed[weak[random.random(4) < 0.4]] = True
        broken = np.arange(part, TESTS, 20)
        failed[broken[random.random(broken.size) < 0.15]] = True
        found.append(run_of(number, failed, (f"src/part{part}.py",), seconds))
    return found


@pytest.mark.parametrize("seed", range(3))
def test_the_learner_beats_what_knows_history_alone(seed: int) -> None:
    """Where changes break things, it is ahead of the best plain rule from few runs on."""
    tracks = replay(
        changing_suite(seed, 80), NAMES, [make("beta-mean"), make("linear-q"), make("random")]
    )
    beta, learner, random = (np.mean([each.apfd for each in track.scores[10:]]) for track in tracks)
    assert learner > beta > random


@pytest.mark.parametrize("seed", range(3))
def test_an_adversary_is_met_by_the_baseline_within_15_runs(seed: int) -> None:
    """When failures turn to where the learner looks last, the guard steps back, and says so."""
    past, guarded = Past(), Guarded(seed=seed)
    everything = np.array([past.index(number, *NAMES[number]) for number in range(TESTS)])
    seconds = np.ones(TESTS)
    for run in changing_suite(seed, 60):
        situation = Situation(past, everything, run.changed_files, run.hours)
        failed = np.array(run.failed)
        guarded.learn(situation, failed, seconds)
        past.learn(situation, failed, seconds)
    assert guarded.guard.learner_in_force
    random = seeded("adversary", seed)
    for number in range(15):
        changed = (f"src/part{int(random.integers(20))}.py",)
        situation = Situation(past, everything, changed, 60.0 + number)
        candidates = guarded.candidates(situation)
        places = {
            family: np.argsort(np.argsort(-candidates[f"{family}@{b:g}" if b else family]))
            for family, b in guarded.guard.exponents.items()
        }
        failed = np.zeros(TESTS, bool)
        failed[np.argsort(places[BASELINE] - places[LEARNER])[:2]] = True
        guarded.learn(situation, failed, seconds)
        past.learn(situation, failed, seconds)
        if not guarded.guard.learner_in_force:
            break
    assert guarded.guard.family == BASELINE
    assert "worse than beta-mean" in guarded.steps[-1].reason


@pytest.mark.parametrize("timed", [True, False])
def test_noise_costs_nothing(timed: bool) -> None:
    """Where failures are pure chance, no more than a hundredth is lost against a random order."""
    random, runs = seeded("noise", timed), []
    seconds = random.lognormal(0, 1, TESTS) if timed else None
    for number in range(1, 301):
        runs.append(run_of(number, random.random(TESTS) < 0.03, None, seconds))
    (track,) = replay(runs, NAMES, [make("guarded")])
    found = [each.apfd if each.apfdc is None else each.apfdc for each in track.scores]
    assert np.mean(found) > 0.5 - 0.01


def test_a_nature_that_flips_is_learnt_again() -> None:
    """After half of the history other tests fail; the loss against the best rule passes."""
    random, runs = seeded("flip"), []
    first, second = np.arange(10), np.arange(100, 110)
    for number in range(1, 121):
        failed = np.zeros(TESTS, bool)
        weak = first if number <= 60 else second
        failed[weak[random.random(10) < 0.2]] = True
        runs.append(run_of(number, failed, None, None))
    beta, guarded = replay(runs, NAMES, [make("beta-mean"), make("guarded")])
    late = [
        np.mean([each.apfd for run, each in zip(track.run_ids, track.scores, strict=True)
                 if int(run) > 75])
        for track in (beta, guarded)
    ]  # fmt: skip
    assert late[1] > late[0] - 0.01


def test_the_guard_is_between_its_candidates_and_never_far_below() -> None:
    """On a suite it knows, the guarded order is no worse than its baseline."""
    past, guarded = Past(), Guarded()
    scores: dict[str, list[float]] = {"guarded": [], BASELINE: []}
    for run in changing_suite(9, 80):
        everything = np.array([past.index(number, *NAMES[number]) for number in run.tests])
        situation = Situation(past, everything, run.changed_files, run.hours)
        failed, seconds = np.array(run.failed), np.array(run.seconds)
        if failed.any():
            ties = seeded("ties", run.run_no).random(TESTS)
            baseline = guarded.candidates(situation)[f"{BASELINE}@0.5"]
            for name, values in (("guarded", guarded.scores(situation)), (BASELINE, baseline)):
                found = score(order_of(values, ties), failed, seconds)
                assert found is not None
                assert found.apfdc is not None
                scores[name].append(found.apfdc)
        guarded.learn(situation, failed, seconds)
        past.learn(situation, failed, seconds)
    assert np.mean(scores["guarded"]) > np.mean(scores[BASELINE]) - 0.005
