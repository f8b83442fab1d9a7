"""The selection learner and the history meet here: backtests, learning, explaining.

A role-level room: the history wing reads and writes rows, the learning wing turns runs into
orders and scores, and neither knows the other.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_aqe.data import Identity, PastRun
from pytest_aqe.errors import AqeError, NotFound
from pytest_aqe.history import past, policies, queries
from pytest_aqe.history.policies import Scored
from pytest_aqe.history.store import Connection

if TYPE_CHECKING:
    from pytest_aqe.learning.backtest import Track
    from pytest_aqe.learning.features import Past
    from pytest_aqe.learning.guard import Guarded
    from pytest_aqe.learning.order import LearnedOrder
    from pytest_aqe.learning.outcomes import Names
    from pytest_aqe.learning.publish import Part

PATIENCE = 1.0  # seconds a session spends on runs that the learner does not know yet
IDLE_RUNS = 20  # runs without news that are taken in together: an order that stands needs none


@dataclass(frozen=True, slots=True)
class Backtest:
    """What a replay of a history found: a track a policy, in the order asked for.

    An execution is a test in a run, however often it was tried there; a skipped one is none.
    """

    suite: str
    runs: int
    tests: int
    executions: int
    measured: bool
    tracks: Sequence[Track]


def backtest(
    connection: Connection,
    suite: str,
    policies: Sequence[str],
    *,
    seed: str,
    share: float | None = None,
    epsilon: float = 0.1,
    prior: Mapping[str, float] | None = None,
) -> Backtest:
    """Replay a suite's history with these policies; with ``share`` seeing that much alone.

    ``prior`` replaces the weights that come with the package.
    """
    from pytest_aqe.history import browse
    from pytest_aqe.learning import backtest as replays

    wanted = replays.POLICIES if "all" in policies else policies
    rankers = [replays.make(name, seed, prior) for name in wanted]
    names = past.tests_of(connection, suite)
    runs = list(past.runs(connection, past.run_numbers(connection, suite)))
    if not runs:
        held = ", ".join(map(repr, browse.suites(connection))) or "none"
        raise NotFound(f"no runs of suite {suite!r} to replay; the history has: {held}")
    if share is None:
        tracks = replays.replay(runs, names, rankers, seed)
    else:
        tracks = [
            replays.replay_partly(runs, names, ranker, share=share, epsilon=epsilon, seed=seed)
            for ranker in rankers
        ]
    return Backtest(
        suite,
        len(runs),
        len(names),
        sum(len(run.tests) for run in runs),
        all(None not in run.seconds for run in runs),
        tracks,
    )


@dataclass(slots=True)
class Learnt:
    """What learning came to: runs taken in, what is in force, and how it changed."""

    runs: int = 0
    scored: int = 0
    waiting: int = 0
    anew: bool = False
    policy: str | None = None
    version: int | None = None
    before: policies.Version | None = None
    steps: list[str] = field(default_factory=list)
    moved: dict[str, tuple[float, float]] = field(default_factory=dict)


def learn(connection: Connection, suite: str, *, patience: float = float("inf")) -> Learnt | None:
    """Take in the runs of a suite that its learner does not know; None when there is no news.

    A suite in which no test ever failed has no learner, and pays one query. After
    ``patience`` seconds the rest waits for the next time.
    """
    if not queries.ever_failed(connection):
        return None
    known = policies.last_known(connection, suite)
    if not policies.is_news(connection, suite, known, IDLE_RUNS):
        return None
    with warnings.catch_warnings():  # the user's -W error is not for numpy's import
        warnings.simplefilter("ignore")
        return _learn(connection, suite, time.monotonic() + patience, tuned=False)


def tune(connection: Connection, suite: str, *, preset: str | None = None) -> Learnt:
    """Fit a suite's policy again from its whole history, in the order in which it happened.

    ``preset`` says how boldly it learns, then and in later sessions; None leaves it.
    """
    if preset is None:
        latest = policies.latest(connection, suite)
        preset = json.loads(latest.snapshot)["preset"] if latest else None
    return _learn(connection, suite, float("inf"), tuned=True, preset=preset)


def learn_all(connection: Connection) -> int:
    """Take in the runs of all suites that their learners do not know; return how many."""
    from pytest_aqe.history import browse

    learnt = [learn(connection, suite) for suite in browse.suites(connection)]
    return sum(each.runs for each in learnt if each is not None)


def learn_again(connection: Connection) -> int:
    """Fit the policy of every suite that has one again; return from how many runs."""
    if not queries.ever_failed(connection):
        return 0
    return sum(tune(connection, suite).runs for suite in policies.suites(connection))


def _learn(
    connection: Connection, suite: str, stop: float, *, tuned: bool, preset: str | None = None
) -> Learnt:
    names = past.tests_of(connection, suite)
    done = Learnt(before=policies.latest(connection, suite))
    found = (None, None, 0) if tuned else _resume(connection, suite, names)
    known, learner, mark = found
    if known is None or learner is None:
        (known, learner), mark, done.anew = _fresh(suite, preset), 0, True
    numbers = past.run_numbers(connection, suite, None if tuned else mark)
    scored: list[Scored] = []
    for run in past.runs(connection, numbers):
        if time.monotonic() > stop:
            break
        scored += _take_in(known, learner, run, names)
        mark = max(mark, run.run_no)
        done.runs += 1
    done.waiting = len(numbers) - done.runs
    done.scored = len({row.run_no for row in scored})
    done.steps = [step.reason for step in learner.steps]
    reason = f"learnt from {done.runs} run{'s' if done.runs != 1 else ''}"
    if len(known):
        _keep(
            connection,
            suite,
            known,
            learner,
            mark,
            scored,
            done,
            f"{done.steps[-1]}" if done.steps and not tuned else reason,
        )
    return done


def _fresh(suite: str, preset: str | None = None) -> tuple[Past, Guarded]:
    from pytest_aqe.learning.features import Past
    from pytest_aqe.learning.guard import Guarded

    return Past(), Guarded(seed=suite, preset=preset or "balanced")


def _resume(
    connection: Connection, suite: str, names: Names
) -> tuple[Past | None, Guarded | None, int]:
    """Return the learner where it stood; nothing where it never stood or cannot be read."""
    from pytest_aqe.learning import keeping

    found = policies.state(connection, suite)
    if found is None:
        return None, None, 0
    known, learner = _fresh(suite)
    try:
        keeping.unpack(found[1], names, known, learner)
    except AqeError:  # another version's: it learns again from the results
        return None, None, 0
    keeping.unpack_lessons(policies.lessons(connection, suite), learner)
    for path, (changes, counts) in policies.cofailures(connection, suite).items():
        known.cofailures.changes[path], known.cofailures.failures[path] = changes, counts
    return known, learner, found[0]


def _take_in(known: Past, learner: Guarded, run: PastRun, names: Names) -> list[Scored]:
    """Score every policy on a full run, then learn from it."""
    from pytest_aqe.learning.features import Situation
    from pytest_aqe.learning.outcomes import outcome_of
    from pytest_aqe.learning.publish import counterfactuals

    outcome = outcome_of(known, run, names)
    situation = Situation(known, outcome.tests, run.changed_files, run.hours)
    rows = []
    if run.full and known.clock and outcome.failed.any():
        found = counterfactuals(situation, learner, outcome.failed, outcome.measured)
        size, failures = len(run.tests), sum(run.failed)
        rows = [
            Scored(
                run.run_no,
                each.policy,
                size,
                failures,
                each.apfd,
                each.apfdc,
                each.ttff,
                each.rank,
            )
            for each in found
        ]
    learner.learn(situation, outcome.failed, outcome.measured, full=run.full)
    known.learn(situation, outcome.failed, outcome.seconds)
    return rows


def _keep(
    connection: Connection,
    suite: str,
    known: Past,
    learner: Guarded,
    mark: int,
    scored: Sequence[Scored],
    done: Learnt,
    reason: str,
) -> None:
    """Write all that the learner came to, in one transaction."""
    from pytest_aqe.learning import keeping
    from pytest_aqe.learning.publish import publish

    published = publish(known, learner)
    fresh = {
        path: (known.cofailures.changes[path], known.cofailures.failures[path])
        for path in known.cofailures.fresh
    }
    with connection.transaction():
        if done.anew:
            policies.forget(connection, suite, (*policies.WORKING, "policy_scores"))
        policies.keep_state(
            connection, suite, mark, keeping.pack(known, learner), keeping.fresh_lessons(learner)
        )
        policies.keep_scores(connection, suite, published.numbers, published.q)
        policies.keep_cofailures(connection, suite, fresh)
        policies.add_scored(connection, scored)
        done.policy = learner.guard.in_force
        if done.before is None or done.before.digest != published.snapshot.digest:
            done.version = policies.add_version(
                connection,
                suite,
                run_no=mark,
                policy=done.policy,
                reason=reason,
                digest=published.snapshot.digest,
                snapshot=published.snapshot.encode(),
            )
            if done.before is not None:
                done.moved = _moved(done.before.snapshot, published.snapshot.encode())


def _moved(before: str, after: str) -> dict[str, tuple[float, float]]:
    """Return the weights that differ between two snapshots, those that moved most first."""
    old, new = (json.loads(text)["parameters"]["weights"] for text in (before, after))
    found = {name: (old.get(name, 0.0), weight) for name, weight in new.items()}
    changed = {name: pair for name, pair in found.items() if pair[0] != pair[1]}
    return dict(sorted(changed.items(), key=lambda item: -abs(item[1][1] - item[1][0])))


def roll_back(connection: Connection, suite: str, version: int | None = None) -> Learnt:
    """Put an earlier version's weights and choice in force again, as a new version.

    ``version`` None means the one before the latest. What is known of tests stays.
    """
    kept = policies.versions(connection, suite)
    if version is None and len(kept) > 1:
        version = kept[1].version
    found = next((each for each in kept if each.version == version), None)
    if found is None:
        held = ", ".join(str(each.version) for each in reversed(kept)) or "none"
        raise NotFound(f"no policy version {version} of suite {suite!r} is kept; there are: {held}")
    known, learner, mark = _resume(connection, suite, past.tests_of(connection, suite))
    if known is None or learner is None:
        raise NotFound(f"the learner of suite {suite!r} has no state; `pytest-aqe tune` fits one")
    learner.restore(json.loads(found.snapshot)["parameters"])
    done = Learnt(before=kept[0])
    _keep(connection, suite, known, learner, mark, (), done, f"rolled back to version {version}")
    return done


def order(
    connection: Connection,
    suite: str,
    changed: Sequence[str] | None,
    affected: Collection[Identity] = (),
) -> LearnedOrder | None:
    """Return the policy in force, ready to rank; None where nothing was learnt yet."""
    from pytest_aqe.learning.changes import Cofailures
    from pytest_aqe.learning.order import Learned, LearnedOrder

    version = policies.latest(connection, suite)
    if version is None:
        return None
    together = Cofailures()
    if changed:
        for path, (changes, counts) in policies.cofailures(connection, suite, changed).items():
            together.changes[path], together.failures[path] = changes, counts
    learned = Learned.decode(version.policy, version.snapshot)
    return LearnedOrder(learned, changed, together, affected)


def other_orders(connection: Connection, run_id: str) -> dict[str, int]:
    """Return after how many tests plain orders would have met the first failure of a run."""
    scored = policies.scored_in(connection, run_id)
    return {name: round(scored[name].rank) for name in ("failed-first", "random") if name in scored}


def parts(
    connection: Connection, suite: str, number: int | None, changed: Sequence[str] | None
) -> list[Part]:
    """Return what moves a test, by the learner as it stands; nothing where it never stood."""
    from pytest_aqe.learning.publish import explain

    if number is None:
        return []
    known, learner, _ = _resume(connection, suite, past.tests_of(connection, suite))
    if known is None or learner is None:
        return []
    return explain(known, learner, number, changed)
