"""What the selection learner keeps: policies by version, its state, and what it scored.

Values only: what they mean is the learning wing's. Everything of a suite goes together, and
`forget_all` is always safe: who learns next learns again from the results.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from pytest_aqe.history.store import FAILED, Connection

VERSIONS = 100  # kept of a suite; older ones are dropped
WORKING = ("learner_states", "lessons", "test_scores", "cofailures")
TABLES = ("policies", *WORKING, "policy_scores")


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a suite's policy. ``run_id`` names the last run it had learnt from."""

    version: int
    created_at: datetime
    run_no: int
    run_id: str | None
    policy: str
    reason: str
    digest: str
    snapshot: str


@dataclass(frozen=True, slots=True)
class Scored:
    """What a policy scored, or would have, in one full run; see the table policy_scores."""

    run_no: int
    policy: str
    tests: int
    failures: int
    apfd: float
    apfdc: float | None
    ttff: float | None
    rank: float


@dataclass(frozen=True, slots=True)
class Curve:
    """The mean scores of a policy over a part of the scored runs, from the first to the last."""

    part: int
    runs: int
    policy: str
    apfd: float
    apfdc: float | None
    rank: float


def latest(connection: Connection, suite: str) -> Version | None:
    """Return the policy in force."""
    found = versions(connection, suite, 1)
    return found[0] if found else None


def suites(connection: Connection) -> list[str]:
    """Return the suites that have a policy, and runs."""
    connection.read("policies", "runs")
    rows = connection.execute(
        "select distinct suite from policies where suite in (select suite from runs) order by suite"
    )
    return [suite for (suite,) in rows]


def versions(connection: Connection, suite: str, limit: int = VERSIONS) -> list[Version]:
    """Return the versions of a suite's policy, newest first."""
    connection.read("policies", "runs")
    return [
        Version(*row)
        for row in connection.execute(
            """
            select version, created_at, run_no, run_id, policies.policy, reason, digest, snapshot
            from policies left join runs using (run_no)
            where policies.suite = $1
            order by version desc
            limit $2
            """,
            (suite, limit),
        )
    ]


def add_version(
    connection: Connection,
    suite: str,
    *,
    run_no: int,
    policy: str,
    reason: str,
    digest: str,
    snapshot: str,
) -> int:
    """Append a version; return its number."""
    ((version,),) = connection.execute(
        "select coalesce(max(version), 0) + 1 from policies where suite = $1", (suite,)
    )
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    connection.execute(
        "insert into policies values ($1, $2, $3, $4, $5, $6, $7, $8)",
        (suite, version, now, run_no, policy, reason, digest, snapshot),
    )
    connection.execute(
        "delete from policies where suite = $1 and version <= $2", (suite, version - VERSIONS)
    )
    connection.wrote("policies")
    return int(version)


def state(connection: Connection, suite: str) -> tuple[int, bytes] | None:
    """Return the last run that the learner of a suite knows, and its state."""
    connection.read("learner_states")
    rows = connection.execute("select run_no, state from learner_states where suite = $1", (suite,))
    return (rows[0][0], bytes(rows[0][1])) if rows else None


def last_known(connection: Connection, suite: str) -> int | None:
    """Return the last run that the learner of a suite knows."""
    connection.read("learner_states")
    rows = connection.execute("select run_no from learner_states where suite = $1", (suite,))
    return int(rows[0][0]) if rows else None


def is_news(connection: Connection, suite: str, known: int | None, patience: int) -> bool:
    """Tell whether the runs after ``known`` are worth learning from now.

    They are when a test failed in them, when one that failed in the last known run was seen
    again, or when ``patience`` of them wait. Suites in which nothing ever failed have no news.
    """
    connection.read("runs", "results")
    ((waiting, news),) = connection.execute(
        f"""
        with waiting as (
            select run_no
            from runs
            where suite = $1 and trust is distinct from 'untrusted' and run_no > $2
        ),
        lately as (
            select test_no from results where run_no = $2 and outcome in ({FAILED})
        )
        select
            (select count(*) from waiting),
            exists (
                from results join waiting using (run_no)
                where outcome in ({FAILED}) or test_no in (from lately)
            )
        """,
        (suite, known or 0),
    )
    return bool(waiting) and (bool(news) or (known is not None and waiting >= patience))


def lessons(connection: Connection, suite: str) -> dict[int, bytes]:
    """Return the lessons of a suite by their place."""
    connection.read("lessons")
    return {
        place: bytes(lesson)
        for place, lesson in connection.execute(
            "select place, lesson from lessons where suite = $1", (suite,)
        )
    }


def keep_state(
    connection: Connection, suite: str, run_no: int, content: bytes, fresh: Mapping[int, bytes]
) -> None:
    """Replace a suite's state, and the lessons in the places of the fresh ones."""
    connection.execute("delete from learner_states where suite = $1", (suite,))
    connection.execute("insert into learner_states values ($1, $2, $3)", (suite, run_no, content))
    for place, lesson in fresh.items():
        connection.execute("delete from lessons where suite = $1 and place = $2", (suite, place))
        connection.execute("insert into lessons values ($1, $2, $3)", (suite, place, lesson))
    connection.wrote("learner_states", "lessons")


def keep_scores(
    connection: Connection, suite: str, numbers: Sequence[int], q: Sequence[Sequence[float]]
) -> None:
    """Replace what the policy in force gives each test of a suite."""
    connection.execute(
        "delete from test_scores where test_no in (select test_no from tests where suite = $1)",
        (suite,),
    )
    connection.execute(
        "insert into test_scores select unnest($1::integer[]), unnest($2::double[][])",
        (numbers, q),
    )
    connection.wrote("test_scores")


def cofailures(
    connection: Connection, suite: str, paths: Iterable[str] | None = None
) -> dict[str, tuple[int, dict[int, int]]]:
    """Return, by changed file, how often it changed and how often which test then failed."""
    connection.read("cofailures")
    wanted = None if paths is None else list(paths)
    return {
        path: (changes, dict(zip(tests, failures, strict=True)))
        for path, changes, tests, failures in connection.execute(
            """
            select path, changes, tests, failures
            from cofailures
            where suite = $1 and ($2::varchar[] is null or list_contains($2::varchar[], path))
            """,
            (suite, wanted),
        )
    }


def keep_cofailures(
    connection: Connection, suite: str, fresh: Mapping[str, tuple[int, Mapping[int, int]]]
) -> None:
    """Replace the rows of these files."""
    if not fresh:
        return
    connection.execute(
        "delete from cofailures where suite = $1 and list_contains($2::varchar[], path)",
        (suite, list(fresh)),
    )
    connection.execute(
        """
        insert into cofailures
        select $1, unnest($2::varchar[]), unnest($3::integer[]), unnest($4::integer[][]),
            unnest($5::integer[][])
        """,
        (
            suite,
            list(fresh),
            [changes for changes, _ in fresh.values()],
            [list(counts) for _, counts in fresh.values()],
            [list(counts.values()) for _, counts in fresh.values()],
        ),
    )
    connection.wrote("cofailures")


def add_scored(connection: Connection, rows: Sequence[Scored]) -> None:
    """Append what policies scored."""
    for row in rows:
        connection.execute(
            "insert into policy_scores values ($1, $2, $3, $4, $5, $6, $7, $8)",
            (
                row.run_no,
                row.policy,
                row.tests,
                row.failures,
                row.apfd,
                row.apfdc,
                row.ttff,
                row.rank,
            ),
        )
    if rows:
        connection.wrote("policy_scores")


def scored_in(connection: Connection, run_id: str) -> dict[str, Scored]:
    """Return what every policy scored in one run."""
    connection.read("policy_scores", "runs")
    return {
        row[1]: Scored(*row)
        for row in connection.execute(
            """
            select run_no, policy_scores.policy, tests, failures, apfd, apfdc, ttff, rank
            from policy_scores join runs using (run_no)
            where run_id = $1
            """,
            (run_id,),
        )
    }


def paired(
    connection: Connection, suite: str, policy: str, baseline: str
) -> list[tuple[float, float]]:
    """Return what two policies scored in the same full runs, by time: APFDc, else APFD."""
    connection.read("policy_scores", "runs")
    return [
        (float(one), float(other))
        for one, other in connection.execute(
            """
            select coalesce(a.apfdc, a.apfd), coalesce(b.apfdc, b.apfd)
            from policy_scores as a join policy_scores as b using (run_no) join runs using (run_no)
            where suite = $1 and a.policy = $2 and b.policy = $3
            order by started_at nulls last, run_no
            """,
            (suite, policy, baseline),
        )
    ]


def curve(connection: Connection, suite: str, parts: int) -> list[Curve]:
    """Return the mean scores of every policy over equal parts of the scored runs, by time."""
    connection.read("policy_scores", "runs")
    return [
        Curve(*row)
        for row in connection.execute(
            """
            with numbered as (
                select run_no, ntile($2) over (order by started_at nulls last, run_no) as part
                from runs
                where suite = $1 and run_no in (select run_no from policy_scores)
            )
            select part, count(*), policy, avg(apfd), avg(apfdc), avg(rank)
            from policy_scores join numbered using (run_no)
            group by part, policy
            order by part, policy
            """,
            (suite, parts),
        )
    ]


def forget(connection: Connection, suite: str, tables: Sequence[str] = WORKING) -> None:
    """Drop what a suite's learner works with; its versions and scores stay."""
    for table in tables:
        where = {
            "test_scores": "test_no in (select test_no from tests where suite = $1)",
            "policy_scores": "run_no in (select run_no from runs where suite = $1)",
        }.get(table, "suite = $1")
        connection.execute(f"delete from {table} where {where}", (suite,))
    connection.wrote(*tables)


def forget_all(connection: Connection) -> None:
    """Drop what learners work with, and scores of runs that are gone."""
    for table in WORKING:
        connection.execute(f"delete from {table}")
    connection.execute("delete from policy_scores where run_no not in (select run_no from runs)")
    connection.wrote(*WORKING, "policy_scores")
