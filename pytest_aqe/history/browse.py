"""What people ask of the history: each question once, answered in plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pytest_aqe.data import Identity, NodeId
from pytest_aqe.history import rollups
from pytest_aqe.history.store import TABLES, Connection

# Of a rollup's sums: results keep seconds in four bytes, an ingest adds them up in eight.
_TOLERANCE = 1e-5  # of the sum
_NOTHING = 1e-9  # decays to this and below are rounding alone


@dataclass(frozen=True, slots=True)
class Totals:
    """The size of a history."""

    runs: int
    tests: int
    results: int
    first_at: datetime | None
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run, for people. ``seconds`` adds up its results; None while unmeasured.

    A test that was tried again, or once by each of several workers, counts once.
    """

    run_id: str
    origin: str
    started_at: datetime | None
    status: str | None
    mode: str | None
    suite: str
    commit: str | None
    branch: str | None
    environment: str | None
    tests: int
    failed: int
    flaked: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class TestRow:
    """What the history knows of one test, for people. One only ever skipped has no runs."""

    __test__ = False

    identity: Identity
    suite: str
    runs: int
    failures: int
    flips: int
    flaked: int
    streak: int
    weight: float
    failing: float
    seconds: float | None
    last_at: datetime | None
    last_failed_at: datetime | None
    last_failed_run: str | None


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One attempt at a test, for people. ``duration`` is seconds over all phases."""

    run_id: str
    started_at: datetime | None
    commit: str | None
    branch: str | None
    environment: str | None
    node_id: NodeId
    attempt: int
    outcome: str
    duration: float | None
    worker: str | None
    position: int | None
    signature: str | None
    evidence: str | None


@dataclass(frozen=True, slots=True)
class RenameRow:
    """A test that got a new identity, and the run that saw it first."""

    old: Identity
    new: Identity
    run_id: str


@dataclass(frozen=True, slots=True)
class TableRow:
    """A table of the file: its rows, and when it was last written and read."""

    table: str
    rows: int
    last_write: datetime | None
    last_read: datetime | None


def totals(connection: Connection) -> Totals:
    """Return the size of the history."""
    connection.read("runs", "tests", "results")
    ((runs, first, last),) = connection.execute(
        "select count(*), min(started_at), max(started_at) from runs"
    )
    ((tests,),) = connection.execute("select count(*) from tests")
    ((results,),) = connection.execute("select count(*) from results")
    return Totals(runs, tests, results, first, last)


def recent_runs(connection: Connection, limit: int) -> list[RunRow]:
    """Return the latest runs, newest first."""
    connection.read("runs", "results")
    return [
        RunRow(*row)
        for row in connection.execute(
            """
            with latest as (from runs order by started_at desc nulls last, run_no desc limit $1),
            tests as (
                select
                    run_no,
                    test_no,
                    max(attempt * 2 + (outcome in ('failed', 'error', 'crashed'))::integer) % 2 = 1
                        as failed,
                    bool_or(outcome in ('failed', 'error', 'crashed')) as ever_failed,
                    count(distinct node_no) as ids,
                    sum(duration) as seconds
                from results
                where run_no in (select run_no from latest)
                group by all
            ),
            folded as (
                select
                    run_no,
                    sum(ids)::bigint as tests,
                    count(*) filter (failed) as failed,
                    count(*) filter (ever_failed and not failed) as flaked,
                    sum(seconds) as seconds
                from tests
                group by run_no
            )
            select
                run_id, origin, started_at, status, mode, suite, commit, branch, environment,
                coalesce(tests, 0), coalesce(failed, 0), coalesce(flaked, 0), seconds
            from latest left join folded using (run_no)
            order by started_at desc nulls last, run_no desc
            """,
            (limit,),
        )
    ]


_TESTS = """
    select
        identity, tests.suite, coalesce(rollups.runs, 0), coalesce(failures, 0),
        coalesce(flips, 0), coalesce(flaked, 0), coalesce(streak, 0), coalesce(weight, 0),
        coalesce(failing, 0),
        case when seconds_weight > 0 then seconds_sum / seconds_weight end as seconds,
        last_at, last_failed_at, runs.run_id
    from tests
        left join rollups using (test_no)
        left join runs on runs.run_no = last_failed_run_no
"""


def failing_tests(connection: Connection, limit: int) -> list[TestRow]:
    """Return the tests that failed when they were last executed, longest streak first."""
    connection.read("tests", "rollups", "runs")
    return [
        TestRow(*row)
        for row in connection.execute(
            f"{_TESTS} where streak < 0 order by streak, identity limit $1", (limit,)
        )
    ]


def tests_named(connection: Connection, name: str) -> list[TestRow]:
    """Return the tests that ``name`` means: an identity, a node id, or the end of either.

    An exact answer wins over the ends, and an earlier name of a renamed test counts.
    """
    connection.read("tests", "rollups", "runs", "nodes", "renames")
    if not name:
        return []  # every identity ends in nothing
    for condition in (
        "identity = $1 or test_no in (select test_no from nodes where node_id = $1)",
        "identity in (select new from renames where old = $1)",
        "ends_with(identity, $1) or contains(identity, $1 || '[')",
    ):
        rows = connection.execute(
            f"{_TESTS} where {condition} order by identity, tests.suite", (name,)
        )
        if rows:
            return [TestRow(*row) for row in rows]
    return []


def tests_of(connection: Connection, node_id: NodeId) -> list[TestRow]:
    """Return the tests that ran under a node id, or with parameters that it leaves out."""
    connection.read("tests", "rollups", "runs", "nodes")
    return [
        TestRow(*row)
        for row in connection.execute(
            f"""
            {_TESTS}
            where test_no in (
                select test_no
                from nodes
                where node_id = $1 or starts_with(node_id, $1 || '[')
                    or starts_with(node_id, $1 || '@') -- of xdist's loadgroup
            )
            order by identity, tests.suite
            """,
            (node_id,),
        )
    ]


def results_of(connection: Connection, test: TestRow, limit: int) -> list[ResultRow]:
    """Return a test's latest attempts, newest first."""
    connection.read("results", "runs", "tests", "nodes")
    return [
        ResultRow(*row)
        for row in connection.execute(
            """
            select
                run_id, started_at, commit, branch, results.environment, node_id, attempt,
                outcome, duration, worker, position, signature, evidence
            from results
                join tests using (test_no)
                join nodes using (node_no)
                join runs using (run_no)
            where tests.identity = $1 and tests.suite = $2
            order by started_at desc nulls last, run_no desc, attempt desc
            limit $3
            """,
            (test.identity, test.suite, limit),
        )
    ]


def renames_of(connection: Connection, test: TestRow) -> list[RenameRow]:
    """Return how a test came to its present identity, latest first."""
    connection.read("renames", "runs")
    chain: list[RenameRow] = []
    identity = test.identity
    while rows := connection.execute(
        """
        select old, new, run_id
        from renames join runs using (run_no)
        where new = $1 and renames.suite = $2
        order by run_no desc
        limit 1
        """,
        (identity, test.suite),
    ):
        row = RenameRow(*rows[0])
        if any(row.old == known.new for known in chain):
            break  # renamed back and forth between two branches
        chain.append(row)
        identity = row.old
    return chain


def changed_files_of(connection: Connection, run_id: str) -> list[str]:
    """Return the files that a run's code changed against its base."""
    connection.read("changed_files", "runs")
    return [
        path
        for (path,) in connection.execute(
            "select path from changed_files join runs using (run_no) where run_id = $1 order by 1",
            (run_id,),
        )
    ]


def tables(connection: Connection) -> list[TableRow]:
    """Return every table with its rows, last write and last read."""
    connection.read("touches", "meta")
    touched = {name: (write, read) for name, write, read in connection.execute("from touches")}
    rows: list[TableRow] = []
    for table in TABLES:
        ((count,),) = connection.execute(f"select count(*) from {table}")
        rows.append(TableRow(table, count, *touched.get(table, (None, None))))
    return rows


def meta(connection: Connection) -> dict[str, str]:
    """Return the schema's version and when the file was created."""
    connection.read("meta")
    return dict(connection.execute("select name, value from meta"))


def stale_rollups(connection: Connection) -> int:
    """Count the tests whose rollup is not what their results say, or is too many, or missing."""
    rollups.recompute(connection)
    connection.read("rollups")
    same = " and ".join(
        f"abs(kept.{name} - rolled.{name}) <= {_TOLERANCE} * abs(rolled.{name}) + {_NOTHING}"
        if kind == "DOUBLE"
        else f"kept.{name} is not distinct from rolled.{name}"
        for name, kind in connection.execute(
            "select column_name, column_type from (describe rollups)"
        )
    )
    ((count,),) = connection.execute(
        f"""
        select count(distinct test_no)
        from rollups as kept full join rolled using (test_no)
        where not coalesce({same}, false)
        """
    )
    return int(count)


def as_json(value: Any) -> Any:
    """Turn what the queries return into JSON's types; times become ISO 8601 in UTC."""
    if isinstance(value, datetime):
        return value.isoformat() + "Z"
    raise TypeError(f"{type(value).__name__} has no JSON form")


def node_ids(
    connection: Connection, suite: str, identities: Sequence[Identity]
) -> dict[Identity, list[NodeId]]:
    """Return the node ids under which tests were last seen; several share an identity."""
    connection.read("tests", "nodes", "results")
    found: dict[Identity, list[NodeId]] = {identity: [] for identity in identities}
    for identity, node_id in connection.execute(
        """
        select identity, node_id
        from (
            select distinct test_no, node_no
            from results
                join (
                    select test_no, max(run_no) as run_no from results group by test_no
                ) using (test_no, run_no)
        )
            join tests using (test_no)
            join nodes using (test_no, node_no)
        where suite = $1 and identity in (select unnest($2::varchar[]))
        order by node_no
        """,
        (suite, list(identities)),
    ):
        found[identity].append(node_id)
    return found


def last_whole(connection: Connection, suite: str) -> float:
    """Return when the last run of a whole suite began, or else its first run, as a timestamp."""
    connection.read("runs", "selections")
    ((started,),) = connection.execute(
        """
        select epoch(coalesce(max(started_at) filter (mode = 'shadow'), min(started_at)))
        from (
            select started_at, selections.mode
            from runs left join selections using (run_no)
            where suite = $1
        )
        """,
        (suite,),
    )
    return float(started or 0.0)


def suites(connection: Connection) -> list[str]:
    """Return the names of the suites that the history holds."""
    connection.read("runs")
    return [
        suite for (suite,) in connection.execute("select distinct suite from runs order by suite")
    ]
