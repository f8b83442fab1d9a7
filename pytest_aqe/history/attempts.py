"""What stood around a test's attempts, and the orders in which tests ran."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pytest_aqe.data import NodeId
from pytest_aqe.errors import NotFound
from pytest_aqe.history.store import FAILED, Connection

EACH = 30  # latest failing and passing runs that are looked at


@dataclass(frozen=True, slots=True)
class Around:
    """One run of a test: its attempts (mode, failed), and what was around it.

    ``before`` holds the numbers of the tests that ran before it on its worker, or is None
    where positions are not known. ``seconds`` is what the first attempt took.
    """

    run_id: str
    started_at: datetime | None
    commit: str | None
    worker: str | None
    position: int | None
    environment: str
    attempts: tuple[tuple[str, bool], ...]
    seconds: float | None
    signature: str | None
    p_flaky: float | None
    p_broken: float | None
    outage: float
    before: frozenset[int] | None


@dataclass(frozen=True, slots=True)
class Recovery:
    """How a test has been since it last failed: clean runs, and its failures up to then."""

    runs: int
    failures: int
    clean: int


def around(connection: Connection, number: int, each: int = EACH) -> list[Around]:
    """Return a test's latest failing and passing runs, newest first."""
    connection.read("results", "runs", "flake_verdicts")
    connection.execute(
        f"""
        create or replace temp table looked_at as
        select *
        from (
            select
                run_no,
                node_no,
                coalesce(environment, '') as environment,
                list(
                    coalesce(attempt_mode, case when attempt > 0 then 'inproc' else 'first' end)
                    order by attempt
                ) as modes,
                list(outcome in ({FAILED}) order by attempt) as failed,
                arg_min(worker, attempt) as worker,
                arg_min(position, attempt) as position,
                arg_min(duration, attempt) as seconds,
                arg_min(signature, attempt) as signature
            from results
            where test_no = $1 and outcome <> 'skipped'
            group by run_no, node_no, coalesce(environment, '')
        )
        qualify row_number() over (
            partition by list_contains(failed, true) order by run_no desc, node_no
        ) <= $2
        """,
        (number, each),
    )
    return [
        Around(
            run_id,
            started_at,
            commit,
            worker,
            position,
            environment,
            tuple(zip(modes, failed, strict=True)),
            seconds,
            signature,
            p_flaky,
            p_broken,
            outage or 0.0,
            frozenset(before or ()) if position is not None else None,
        )
        for (
            run_id,
            started_at,
            commit,
            worker,
            position,
            environment,
            modes,
            failed,
            seconds,
            signature,
            p_flaky,
            p_broken,
            outage,
            before,
        ) in connection.execute(
            """
            with earlier as (
                select
                    looked_at.run_no,
                    looked_at.node_no,
                    looked_at.environment,
                    list(distinct results.test_no) as before
                from looked_at
                    join results
                        on results.run_no = looked_at.run_no
                        and results.worker is not distinct from looked_at.worker
                        and coalesce(results.environment, '') = looked_at.environment
                        and results.position < looked_at.position
                where results.test_no <> $1 and results.outcome <> 'skipped'
                group by all
            )
            select
                run_id, started_at, "commit", looked_at.worker, looked_at.position,
                looked_at.environment, modes, looked_at.failed, seconds, signature, p_flaky,
                p_broken, outage, before
            from looked_at
                join runs using (run_no)
                left join flake_verdicts as verdicts
                    on verdicts.run_no = looked_at.run_no
                    and verdicts.node_no = looked_at.node_no
                    and verdicts.environment = looked_at.environment
                left join earlier
                    on earlier.run_no = looked_at.run_no
                    and earlier.node_no = looked_at.node_no
                    and earlier.environment = looked_at.environment
            order by started_at desc nulls last, run_no desc
            """,
            (number,),
        )
    ]


def recovery(connection: Connection, number: int) -> Recovery:
    """Return how many runs of a test were clean since it last failed."""
    connection.read("results", "runs")
    rows = connection.execute(
        f"""
        with executions as (
            select
                coalesce(started_at, 'infinity'::timestamp) as begun,
                run_no,
                bool_or(outcome in ({FAILED})) as failed
            from results join runs using (run_no)
            where test_no = $1 and outcome <> 'skipped'
            group by all
        ),
        numbered as (
            select *, row_number() over (order by begun, run_no) as place from executions
        )
        select
            coalesce(max(place) filter (failed), 0),
            count(*) filter (failed),
            count(*) - coalesce(max(place) filter (failed), 0)
        from numbered
        """,
        (number,),
    )
    return Recovery(*rows[0])


@dataclass(frozen=True, slots=True)
class FoundCause:
    """A cause that launches have proved; ``others`` are the polluters or setters."""

    name: str
    evidence: str
    others: list[NodeId]


def keep_cause(connection: Connection, number: int, found: FoundCause) -> None:
    """Keep what a bisect has proved of a test."""
    with connection.transaction():
        connection.execute("delete from flake_causes where test_no = $1", (number,))
        connection.execute(
            "insert into flake_causes values ($1, $2, $3, $4)",
            (number, found.name, found.evidence, found.others),
        )
        connection.wrote("flake_causes")


def forget_cause(connection: Connection, number: int) -> None:
    """Forget what a bisect seemed to have proved of a test."""
    with connection.transaction():
        connection.execute("delete from flake_causes where test_no = $1", (number,))
        connection.wrote("flake_causes")


def kept_cause(connection: Connection, number: int) -> FoundCause | None:
    """Return what a bisect has proved of a test."""
    connection.read("flake_causes")
    rows = connection.execute(
        "select cause, evidence, others from flake_causes where test_no = $1", (number,)
    )
    return FoundCause(*rows[0]) if rows else None


def names(connection: Connection, numbers: Sequence[int]) -> dict[int, NodeId]:
    """Return the latest node id of each test."""
    connection.read("nodes")
    return dict(
        connection.execute(
            """
            select test_no, arg_max(node_id, node_no)
            from nodes
            where list_contains($1::integer[], test_no)
            group by test_no
            """,
            (list(numbers),),
        )
    )


def order_of(connection: Connection, run_id: str, worker: str | None) -> list[NodeId]:
    """Return what a worker of a run ran, in its order; raise `NotFound` with what there is."""
    connection.read("results", "runs", "nodes")
    runs = connection.execute(
        "select run_no, run_id from runs where run_id = $1 or ends_with(run_id, $1)", (run_id,)
    )
    if len(runs) != 1:
        some = f"{len(runs)} runs in {connection.path} are" if runs else "no run is"
        raise NotFound(f"{some} called {run_id!r}")
    ((run_no, name),) = runs
    workers = [
        each
        for (each,) in connection.execute(
            """
            select distinct worker
            from results
            where run_no = $1 and position is not null
            order by worker nulls first
            """,
            (run_no,),
        )
    ]
    if not workers:
        raise NotFound(f"run {name} has no positions: the order of its tests is not known")
    if worker is not None and workers == [None]:
        raise NotFound(f"run {name} had no workers: leave out {worker!r}")
    if (worker is None and len(workers) > 1) or (worker is not None and worker not in workers):
        known = ", ".join(f"{name}:{each}" for each in workers)
        raise NotFound(f"run {name} had several workers; name one: {known}")
    return [
        node_id
        for (node_id,) in connection.execute(
            """
            select node_id
            from results join nodes using (node_no)
            where run_no = $1
                and worker is not distinct from $2
                and attempt = 0
                and outcome <> 'skipped'
            order by position
            """,
            (run_no, worker if worker is not None else workers[0]),
        )
    ]


def longest_run(connection: Connection, suite: str, runs: int) -> float | None:
    """Return how long the longest of the latest runs took, in seconds, where that is known."""
    connection.read("runs")
    ((seconds,),) = connection.execute(
        """
        select max(epoch(ended_at - started_at))
        from (
            select started_at, ended_at
            from runs
            where suite = $1
            order by started_at desc nulls last, run_no desc
            limit $2
        )
        """,
        (suite, runs),
    )
    return float(seconds) if seconds is not None else None


def latest_orders(connection: Connection, suite: str, runs: int) -> list[list[NodeId]]:
    """Return the orders of the latest runs, one for each worker, newest first."""
    connection.read("results", "runs", "nodes")
    return [
        list(order)
        for (order,) in connection.execute(
            """
            with latest as (
                select run_no
                from runs
                where suite = $1
                order by started_at desc nulls last, run_no desc
                limit $2
            )
            select list(node_id order by position)
            from results
                join nodes using (node_no)
            where run_no in (select run_no from latest)
                and attempt = 0
                and outcome <> 'skipped'
                and position is not null
            group by run_no, worker
            order by run_no desc, worker
            """,
            (suite, runs),
        )
    ]
