"""A session's plain Python ranks as the learner does, and a kept learner goes on as it was."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_aqe.data import PastRun, Rollup
from pytest_aqe.errors import AqeError
from pytest_aqe.learning import keeping
from pytest_aqe.learning.changes import Cofailures, touched
from pytest_aqe.learning.features import Past, Situation
from pytest_aqe.learning.guard import Guarded
from pytest_aqe.learning.order import UNTOUCHED, Learned, LearnedOrder
from pytest_aqe.learning.outcomes import outcome_of
from pytest_aqe.learning.publish import DIGITS, counterfactuals, explain, publish
from pytest_aqe.learning.qlearning import seeded

FILES = ("tests/core/test_money.py", "tests/test_bank.py", "tests/web/test_views.py", "x/test_x.py")
NAMES = {
    number: (f"{FILES[number % 4]}::test_{('pay', 'take', 'give')[number % 3]}_{number}", file)
    for number, file in enumerate(FILES * 10)
}
CHANGES = (
    ("src/core/money.py",),
    ("tests/test_bank.py", "src/web/views.py"),
    ("docs/index.md",),
    (),
    None,
)


def runs(count: int, start: int = 0) -> list[PastRun]:
    """Runs in which what fails has to do with what changed."""
    found = []
    for number in range(start, start + count):
        random = seeded("runs", number)
        changed = CHANGES[number % len(CHANGES)]
        near = touched(FILES, changed or ())
        chance = [0.3 if test % 4 in near and test < 12 else 0.02 for test in range(40)]
        failed = random.random(40) < chance
        found.append(
            PastRun(
                number + 1,
                str(number),
                number / 3,
                True,
                changed,
                list(range(40)),
                failed.tolist(),
                random.exponential(1, 40).tolist(),
            )
        )
    return found


def learn(past: Past, guarded: Guarded, some: list[PastRun]) -> None:
    """Take runs in as a session does."""
    for run in some:
        outcome = outcome_of(past, run, NAMES)
        situation = Situation(past, outcome.tests, run.changed_files, run.hours)
        guarded.learn(situation, outcome.failed, outcome.measured)
        past.learn(situation, outcome.failed, outcome.seconds)


@pytest.fixture(scope="module")
def learnt() -> tuple[Past, Guarded]:
    """A learner after forty runs."""
    past, guarded = Past(), Guarded(seed="x")
    learn(past, guarded, runs(40))
    return past, guarded


def order(past: Past, guarded: Guarded, changed: tuple[str, ...] | None) -> LearnedOrder:
    """The policy as a session would read it."""
    snapshot = publish(past, guarded).snapshot.encode()
    return LearnedOrder(Learned.decode("linear-q", snapshot), changed, past.cofailures)


def rollup(past: Past, number: int, q: list[float]) -> Rollup:
    """What the history would say of a test."""
    index = past.place(number)
    failures = int(past.tests["failures"][index])
    return Rollup(NAMES[number][0], 40, failures, 1.0, 0.1, False, None, 0, q, number)


@pytest.mark.parametrize("changed", CHANGES)
def test_plain_python_agrees_with_the_learner(
    learnt: tuple[Past, Guarded], changed: tuple[str, ...] | None
) -> None:
    """Q in a session is the learner's Q, up to the rounding of what is published."""
    past, guarded = learnt
    assert guarded.guard.learner_in_force
    situation = Situation(past, np.arange(40), changed, past.hours)
    seconds = guarded.guard.exponent * np.log(np.maximum(situation.seconds, 0.005))
    expected = guarded.learner.q(situation) - seconds
    published = publish(past, guarded)
    there = order(past, guarded, changed)
    near = touched(FILES, changed or ())
    for number, q in zip(published.numbers, published.q, strict=True):
        touch = near.get(FILES.index(NAMES[number][1]), UNTOUCHED)
        found = there.q(rollup(past, number, q), touch)
        assert found == pytest.approx(expected[number], abs=0.51 * 10**-DIGITS)


def test_a_session_says_what_changed(learnt: tuple[Past, Guarded]) -> None:
    """The reason names the change that moved a test, and the rank follows Q."""
    past, guarded = learnt
    published = publish(past, guarded)
    tests = [rollup(past, n, q) for n, q in zip(published.numbers, published.q, strict=True)]
    ranks = order(past, guarded, ("tests/test_bank.py",)).rank(tests)
    reasons = {test.identity: rank.reason for test, rank in zip(tests, ranks, strict=True)}
    assert all(
        reason.endswith("its file changed") == ("test_bank" in identity)
        for identity, reason in reasons.items()
    )
    assert all(rank.score > 0 for rank in ranks)


def test_what_a_change_can_have_broken_comes_sooner(learnt: tuple[Past, Guarded]) -> None:
    """A test that depends on the change ranks above itself without it."""
    past, guarded = learnt
    published = publish(past, guarded)
    tests = [rollup(past, n, q) for n, q in zip(published.numbers, published.q, strict=True)]
    learned = Learned.decode("linear-q", published.snapshot.encode())
    plain = LearnedOrder(learned, None, Cofailures()).rank(tests)
    hit = LearnedOrder(learned, None, Cofailures(), {tests[3].identity}).rank(tests)
    assert hit[3].score > 5 * plain[3].score
    assert "uses what changed" in hit[3].reason
    assert [each.score for each in hit[:3]] == [each.score for each in plain[:3]]


def test_a_kept_learner_goes_on_as_it_was(learnt: tuple[Past, Guarded]) -> None:
    """Ten runs learnt before and after a session's end give the policy of ten at once."""
    whole_past, whole = learnt
    past, guarded = Past(), Guarded(seed="x")
    learn(past, guarded, runs(15))
    kept, lessons = keeping.pack(past, guarded), keeping.fresh_lessons(guarded)
    again_past, again = Past(), Guarded(seed="x")
    keeping.unpack(kept, NAMES, again_past, again)
    keeping.unpack_lessons(lessons, again)
    again_past.cofailures = past.cofailures
    learn(again_past, again, runs(25, 15))
    assert publish(again_past, again) == publish(whole_past, whole)


def test_a_test_that_is_gone_stays_out(learnt: tuple[Past, Guarded]) -> None:
    """What the history forgot is not known any more, the rest is."""
    past, guarded = learnt
    fewer = {number: name for number, name in NAMES.items() if number != 5}
    again, other = Past(), Guarded(seed="x")
    keeping.unpack(keeping.pack(past, guarded), fewer, again, other)
    assert again.place(5) is None
    for number in fewer:
        there, here = past.place(number), again.place(number)
        assert again.tests["failures"][here] == past.tests["failures"][there]


def test_a_renamed_test_keeps_what_is_known(learnt: tuple[Past, Guarded]) -> None:
    """A test in a new file has its own record and the new file's neighbours."""
    past, guarded = learnt
    moved = {**NAMES, 5: ("new/test_new.py::test_y", "new/test_new.py")}
    again, other = Past(), Guarded(seed="x")
    keeping.unpack(keeping.pack(past, guarded), moved, again, other)
    assert again.tests["runs"][again.place(5)] == past.tests["runs"][past.place(5)]
    assert again.paths[int(again.tests["file"][again.place(5)])] == "new/test_new.py"


def test_a_state_of_another_version_is_refused() -> None:
    """What cannot be read is named, so that the caller learns anew."""
    with pytest.raises(AqeError, match="state"):
        keeping.unpack(b"noise", NAMES, Past(), Guarded())


def test_parts_add_up(learnt: tuple[Past, Guarded]) -> None:
    """What moved a test is its Q above the mean test's."""
    past, guarded = learnt
    q = guarded.learner.q(Situation(past, np.arange(40), None, past.hours))
    parts = explain(past, guarded, 2, None)
    assert sum(part.moved for part in parts) == pytest.approx(q[2] - q.mean())
    assert abs(parts[0].moved) == max(abs(part.moved) for part in parts)
    assert explain(past, guarded, 999, None) == []


def test_random_is_the_mean_of_all_orders(learnt: tuple[Past, Guarded]) -> None:
    """Of n tests with m failures, the first comes after (n + 1) / (m + 1) on average."""
    past, guarded = learnt
    failed = np.zeros(40, bool)
    failed[[3, 9]] = True
    found = {
        each.policy: each
        for each in counterfactuals(Situation(past, np.arange(40)), guarded, failed, np.ones(40))
    }
    assert set(found) == {"in force", "linear-q", "beta-mean", "failed-first", "random"}
    assert found["random"].rank == pytest.approx(41 / 3)
    ranks = [min(seeded(i).permutation(40)[:2]) + 1 for i in range(4000)]
    assert np.mean(ranks) == pytest.approx(41 / 3, rel=0.05)
