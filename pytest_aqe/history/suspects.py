"""What people ask of flaky tests: the beliefs with what they stand on, and every verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pytest_aqe.beliefs import Belief, Learner
from pytest_aqe.data import Identity, NodeId
from pytest_aqe.history import flakes
from pytest_aqe.history.store import FAILED, Connection

EVIDENCE = 10  # runs named as evidence, the latest
_NOT_BROKEN, _NO_OUTAGE = 0.5, 0.5  # of a failure that counts as evidence of a flake


@dataclass(frozen=True, slots=True)
class Suspect:
    """A test that failed at least once, what is believed of it, and on what evidence.

    ``flipped_at`` is the start of the latest run whose first attempt ended otherwise than the
    one before, ``evidence`` the latest runs in which it failed and was not taken for broken.
    """

    number: int
    identity: Identity
    suite: str
    node_id: NodeId
    belief: Belief
    runs: int
    failures: int
    flipped_at: datetime | None
    flipped_run: str | None
    flipped_commit: str | None
    evidence: tuple[str, ...]
    signature: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was concluded of one failed attempt, the run's other attempts at the test included."""

    run_id: str
    node_id: NodeId
    attempt: int
    p_flaky: float
    p_broken: float
    suppressed: bool


@dataclass(frozen=True, slots=True)
class Streak:
    """How many of a test's latest runs failed, on every attempt, and the commit of the first."""

    runs: int
    commit: str | None


def suspects(
    connection: Connection, which: str = "true", parameters: Sequence[Any] = ()
) -> list[Suspect]:
    """Return the tests with a belief that a condition on ``test_no`` names, likeliest first."""
    return about(connection, flakes.beliefs(connection, which, parameters))


def about(connection: Connection, held: Mapping[int, Belief]) -> list[Suspect]:
    """Return tests with what is believed of them, by their numbers, likeliest first."""
    numbers = list(held)
    connection.read("tests", "nodes", "results", "runs", "flake_verdicts")
    executions = f"""
        with executions as (
            select
                run_no,
                test_no,
                coalesce(results.environment, '') as environment,
                coalesce(started_at, 'infinity'::timestamp) as begun,
                arg_min(outcome in ({FAILED}), attempt) as failed,
                bool_or(outcome in ({FAILED})) as ever_failed
            from results join runs using (run_no)
            where outcome <> 'skipped' and list_contains($1::integer[], test_no)
            group by all
        )
        """
    counts = {
        number: (runs, failures)
        for number, runs, failures in connection.execute(
            f"""
            {executions}
            select test_no, count(*), count(*) filter (ever_failed) from executions group by test_no
            """,
            (numbers,),
        )
    }
    flips = {
        number: (started_at, run_id, commit)
        for number, started_at, run_id, commit in connection.execute(
            f"""
            {executions}
            select test_no, started_at, run_id, "commit"
            from (
                select test_no, arg_max(run_no, (begun, run_no)) as run_no
                from (
                    select *
                    from executions
                    qualify failed <> lag(failed) over (
                        partition by test_no, environment order by begun, run_no
                    )
                )
                group by test_no
            )
                join runs using (run_no)
            """,
            (numbers,),
        )
    }
    evidence = dict(
        connection.execute(
            f"""
            select test_no, list(distinct run_id order by run_id)
            from (
                select test_no, run_id
                from flake_verdicts join runs using (run_no)
                where list_contains($1::integer[], test_no)
                    and p_broken < {_NOT_BROKEN}
                    and outage < {_NO_OUTAGE}
                qualify row_number() over (
                    partition by test_no order by started_at desc nulls last, run_no desc
                ) <= {EVIDENCE}
            )
            group by test_no
            """,
            (numbers,),
        )
    )
    found = [
        Suspect(
            number,
            identity,
            suite,
            node_id,
            held[number],
            *counts.get(number, (0, 0)),
            *flips.get(number, (None, None, None)),
            tuple(evidence.get(number, ())),
            max(held[number].signatures, key=held[number].signatures.__getitem__, default=None),
        )
        for number, identity, suite, node_id in connection.execute(
            """
            select test_no, identity, suite, arg_max(node_id, node_no)
            from tests join nodes using (test_no)
            where list_contains($1::integer[], test_no)
            group by test_no, identity, suite
            order by suite, identity
            """,
            (numbers,),
        )
    ]
    return sorted(found, key=lambda each: -sum(each.belief.rates[1:]))


def verdicts(connection: Connection) -> list[Verdict]:
    """Return the verdict on every failed attempt, in the order of the runs."""
    connection.read("flake_verdicts", "results", "runs", "nodes")
    return [
        Verdict(*row)
        for row in connection.execute(
            f"""
            select run_id, node_id, attempt, p_flaky, p_broken, suppressed
            from flake_verdicts as verdicts
                join results
                    on results.run_no = verdicts.run_no
                    and results.node_no = verdicts.node_no
                    and coalesce(results.environment, '') = verdicts.environment
                join runs on runs.run_no = verdicts.run_no
                join nodes on nodes.node_no = verdicts.node_no
            where outcome in ({FAILED})
            order by started_at nulls last, runs.run_no, nodes.node_no, results.environment, attempt
            """
        )
    ]


def streak(connection: Connection, number: int) -> Streak:
    """Return how many of a test's latest runs failed."""
    connection.read("results", "runs")
    rows = connection.execute(
        f"""
        with executions as (
            select run_no, coalesce(started_at, 'infinity'::timestamp) as begun, "commit",
                arg_max(outcome in ({FAILED}), attempt) as failed
            from results join runs using (run_no)
            where test_no = $1 and outcome <> 'skipped'
            group by all
        )
        select count(*), arg_min("commit", (begun, run_no))
        from executions
        where (begun, run_no) > all (
            select (begun, run_no) from executions where not failed
        )
        """,
        (number,),
    )
    return Streak(*rows[0])


def believed(
    connection: Connection, suite: str, make: Callable[[], Learner]
) -> dict[Identity, Belief]:
    """Return the beliefs of a suite by the tests' identities, the runs that wait included."""
    held = flakes.believed(connection, suite, make)
    names = dict(
        connection.execute(
            """
            select test_no, identity
            from tests
            where list_contains($1::integer[], test_no)
            """,
            (list(held),),
        )
    )
    return {names[number]: belief for number, belief in held.items()}


def streaks(connection: Connection, suite: str) -> dict[Identity, int]:
    """Return in how many runs in a row a suite's tests failed, of those that failed last."""
    connection.read("tests", "rollups")
    return dict(
        connection.execute(
            """
            select identity, -streak
            from tests join rollups using (test_no)
            where suite = $1 and streak < 0
            """,
            (suite,),
        )
    )


def young(connection: Connection, suite: str, runs: int) -> list[Identity]:
    """Return the tests of a suite that were executed in fewer runs."""
    connection.read("tests", "rollups")
    return [
        identity
        for (identity,) in connection.execute(
            """
            select identity
            from tests join rollups using (test_no)
            where suite = $1 and runs < $2
            """,
            (suite, runs),
        )
    ]


def latest_tree(
    connection: Connection, suite: str, branch: str, environment: str, *, local: bool
) -> str | None:
    """Return the tree of a lane's latest run."""
    connection.read("runs")
    rows = connection.execute(
        """
        select coalesce(tree, "commit")
        from runs
        where suite = $1
            and coalesce(branch, '') = $2
            and environment is not distinct from $3
            and (source = 'local') = $4
        order by started_at desc nulls last, run_no desc
        limit 1
        """,
        (suite, branch, environment, local),
    )
    return rows[0][0] if rows else None


def node_ids(connection: Connection, numbers: Iterable[int]) -> dict[int, NodeId]:
    """Return node ids by their numbers."""
    connection.read("nodes")
    return dict(
        connection.execute(
            "select node_no, node_id from nodes where list_contains($1::integer[], node_no)",
            (list(numbers),),
        )
    )


def flagged(connection: Connection) -> dict[int, NodeId]:
    """Return the node ids of the tests that are known to be flaky, by the tests' numbers."""
    connection.read("flake_tests", "nodes")
    return dict(
        connection.execute(
            """
            select test_no, arg_max(node_id, node_no)
            from flake_tests join nodes using (test_no)
            where flagged
            group by test_no
            """
        )
    )
