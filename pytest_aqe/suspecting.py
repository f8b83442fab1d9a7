"""Flaky tests, from the results in the history to a belief; asked by sessions and commands.

The history knows the results and keeps the beliefs, `learning.flaky` moves them. A suite in
which no test ever failed has no beliefs, and pays one query.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_aqe.history import queries
from pytest_aqe.history.store import Connection

if TYPE_CHECKING:
    from pytest_aqe.beliefs import Belief, Brief, Conditions, Execution, Judgement
    from pytest_aqe.data import Identity, NodeId, Run
    from pytest_aqe.learning.impact import Decision
    from pytest_aqe.report.flaky import Card

Judged = list[tuple["Judgement", "Belief"]]
"""What is concluded of each failure of a run, and what is believed of the test then."""

WAITING = 50  # runs that sessions which only report leave for later
PATIENCE = 2.0  # seconds a session spends on runs that the beliefs do not know yet


def learn(
    connection: Connection,
    *,
    patience: float = float("inf"),
    waiting: int = 0,
    leaving: str | None = None,
) -> bool:
    """Bring the beliefs up to date; False where time was over, and the rest waits.

    As long as no more than ``waiting`` runs are to be learnt from, nothing is done. The run
    ``leaving`` is left for the next time.
    """
    if waiting and queries.unlearnt(connection) <= waiting:
        return True
    if not queries.ever_failed(connection):
        return True
    from pytest_aqe.history import flakes
    from pytest_aqe.learning.flaky import LaneBayes

    return flakes.catch_up(connection, LaneBayes, patience=patience, leaving=leaving)


def learn_new(
    connection: Connection, run: Run, *, patience: float = float("inf")
) -> tuple[bool, list[NodeId]]:
    """Do as `learn` does; return with its answer the tests that only this run shows to be flaky.

    None where time was over: what is new then cannot be told from what nobody had learnt.
    """
    from pytest_aqe.history import suspects

    if not learn(connection, patience=patience, leaving=run.run_id):
        return False, []
    before = suspects.flagged(connection)
    known = learn(connection, patience=patience)
    after = suspects.flagged(connection)
    return known, sorted(after[test] for test in after.keys() - before)


def judge(connection: Connection, run: Run, *, waiting: int) -> Judged | None:
    """Return what is concluded of a run's failures, and leave the run for later.

    None where that cannot be: see `flakes.judge`.
    """
    from pytest_aqe.history import flakes
    from pytest_aqe.learning.flaky import LaneBayes

    return flakes.judge(connection, run.suite, run.run_id, LaneBayes, waiting=waiting)


def judged(connection: Connection, run: Run) -> Judged:
    """Return what was concluded of the failures of a run that the beliefs know."""
    from pytest_aqe.history import flakes

    return flakes.judged(connection, run.run_id)


def cards(connection: Connection, found: Judged, *, rerunning: bool) -> list[Card]:
    """Return a card for each test that failed in a run and flakes, or did and is broken now.

    A plain failure of a test that never flaked needs no card: pytest shows it already. Nor does
    a new test where ``rerunning``, which does not call it flaky.
    """
    from pytest_aqe.history import suspects
    from pytest_aqe.learning.flaky import LIKELY, interval, p_flaky, verdict
    from pytest_aqe.learning.rerun import NEW_TEST
    from pytest_aqe.report.flaky import LONG_STREAK, Card

    shown: dict[int, tuple[str, Judgement, Belief]] = {}
    for judgement, belief in found:
        name = verdict(judgement.p_flaky, judgement.p_broken)
        test = judgement.execution.test
        new = rerunning and belief.executions <= NEW_TEST  # this run included
        if (name == "flaky" and not new) or (
            name == "broken"
            and (p_flaky(belief) >= LIKELY or suspects.streak(connection, test).runs >= LONG_STREAK)
        ):
            shown[judgement.execution.node] = name, judgement, belief
    if not shown:
        return []
    nodes = suspects.node_ids(connection, shown)
    about = {
        each.number: each
        for each in suspects.about(
            connection,
            {judgement.execution.test: belief for _, judgement, belief in shown.values()},
        )
    }
    made = []
    for node, (name, judgement, belief) in shown.items():
        each = about[judgement.execution.test]
        streak = suspects.streak(connection, each.number)
        made.append(
            Card(
                verdict=name,
                node_id=nodes[node],
                p_broken=judgement.p_broken,
                attempts=len(judgement.execution.attempts),
                passed_on=_passed_again(judgement.execution),
                failures=each.failures,
                runs=each.runs,
                interval=interval(belief),
                signature=each.signature,
                commit=each.flipped_commit,
                streak=streak.runs,
                since=streak.commit,
            )
        )
    return made


def _passed_again(execution: Execution) -> int | None:
    """Return the first attempt after the first one that passed, by its number."""
    again = enumerate(execution.attempts[1:], start=2)
    return next((number for number, (_, failed) in again if not failed), None)


def brief(connection: Connection, run: Run, decision: Decision | None, *, seconds: float) -> Brief:
    """Return what whoever runs the tests of a run must know to judge a failure."""
    from pytest_aqe.history import suspects
    from pytest_aqe.learning.flaky import LaneBayes
    from pytest_aqe.learning.rerun import NEW_TEST

    conditions = no_brief(run, seconds=seconds).conditions
    beliefs = suspects.believed(connection, run.suite, LaneBayes)
    return replace(
        no_brief(run, seconds=seconds),
        beliefs=beliefs,
        streaks=suspects.streaks(connection, run.suite),
        young=frozenset(suspects.young(connection, run.suite, NEW_TEST)),
        affected=_changed(decision, beliefs, conditions) if decision is not None else frozenset(),
        followed=decision is not None,
        tree=suspects.latest_tree(
            connection,
            run.suite,
            conditions.branch,
            conditions.environment,
            local=conditions.local,
        ),
    )


def _changed(
    decision: Decision, beliefs: Mapping[Identity, Belief], conditions: Conditions
) -> frozenset[Identity]:
    """Return the tests whose code changed since they last passed.

    One of which no pass is known to compare with has changed where the tree has.
    """
    from pytest_aqe.learning.flaky import lane_before

    compared = decision.runs.keys() | decision.left_out
    lanes = {
        name: lane_before(beliefs[name], conditions.lane) for name in beliefs.keys() - compared
    }
    moved = {name for name, lane in lanes.items() if lane and lane.tree != conditions.tree}
    return decision.changed | moved


def no_brief(run: Run, *, seconds: float) -> Brief:
    """Return what there is to know of a run without a history."""
    from pytest_aqe.beliefs import Brief, Conditions

    conditions = Conditions(
        run.branch or "", run.environment or "", run.source == "local", run.tree or run.commit
    )
    return Brief(conditions, {}, {}, frozenset(), frozenset(), False, None, seconds)


def learnt(connection: Connection, suite: str) -> dict[int, tuple[list[float], list[int]]]:
    """Return what this history taught about running failed tests again."""
    from pytest_aqe.history import episodes

    return episodes.values(connection, suite)


def learn_rerunning(connection: Connection, suite: str) -> int:
    """Learn from the failures that were run again and whose truth has come out; count them."""
    from pytest_aqe.history import episodes

    found = episodes.come_out(connection, suite)
    if found:
        from pytest_aqe.learning.rerun import learn_from

        known = episodes.values(connection, suite)
        values = learn_from(known, [(each.steps, each.real) for each in found])
        episodes.keep(connection, suite, values, found)
    return len(found)
