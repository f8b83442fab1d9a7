"""Results into the history, from files that other tools write.

The interchange format is a table, one row an attempt, as CSV or Parquet
(docs/reference/interchange.md). JUnit XML and pytest-reportlog files are
turned into such a table first, so that every import takes one path: rows are staged and
checked, a row that cannot be taken is named and stops its file, and what is left goes into
the tables in one transaction. Nothing is imported of a file that has a bad row.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path

from pytest_aqe.data import Identity, NodeId, Result
from pytest_aqe.errors import InterchangeError
from pytest_aqe.history import junit, reportlog
from pytest_aqe.history.store import Connection
from pytest_aqe.history.tables import (
    JUNIT,
    REPORTLOG,
    Column,
    Reading,
    Report,
    Table,
    kind_of,
    named,
    open_table,
    require,
    stage,
)
from pytest_aqe.history.writes import OUTCOMES, create_staged, fold, next_number

RESULTS = (
    "run_id",
    "started_at",
    "commit",
    "tree",
    "branch",
    "source",
    "environment",
    "worker",
    "position",
    "node_id",
    "file",
    "attempt",
    "attempt_mode",
    "outcome",
    "duration",
    "code",
    "signature",
)
RUNS = ("run_id", "started_at", "commit", "branch", "changed_files")

_ATTEMPT_MODES = ("first", "inproc", "isolated")
_MOST_ATTEMPTS = 10_000  # of one test in one run; the history keeps them in two bytes
_MOST_POSITIONS = 2**31 - 1
_HASHED = 1 << 20  # bytes read at a time


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an import borrows of the evidence wing, and where the project's rootdir is.

    ``prefix`` is the path from the git root to the rootdir, as in `Run`.
    """

    rootdir: Path
    prefix: str
    identity: Callable[[NodeId], Identity]
    signature: junit.Signature
    fold: Callable[[], reportlog.Fold]


@dataclass(slots=True)
class Imported:
    """What an import took from one file, and what it passed over."""

    path: Path
    origin: str
    runs: int = 0
    results: int = 0
    known: int = 0  # runs that the history had already
    ignored: list[str] = field(default_factory=list)  # columns that the format does not have
    left_out: int = 0  # elements of a JUnit file that are no tests
    runs_without_results: int = 0  # of the file of runs


def import_file(
    connection: Connection,
    path: Path,
    evidence: Evidence,
    *,
    suite: str = "",
    runs: Path | None = None,
) -> Imported:
    """Take one file into the history, in one transaction.

    ``runs`` is a file of runs, whose values win over those in the rows of results. A run
    that is known is passed over. Raise an `InterchangeError` that names the row which
    cannot be taken.
    """
    origin = kind_of(path)
    if origin not in (JUNIT, REPORTLOG):
        return _import_table(connection, open_table(connection, path), evidence, suite, runs)
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "results.csv"
        report = _tabulate(path, origin, table, evidence)
        opened = replace(open_table(connection, table, shown=path), made_of=report)
        done = _import_table(connection, opened, evidence, suite, runs, origin)
    done.left_out = report.left_out
    return done


def _tabulate(path: Path, origin: str, table: Path, evidence: Evidence) -> Report:
    """Write a report's results as a table; return what is left to say of the report.

    The run's name is the hash of the file's content, so that a file is one run however
    often it is imported.
    """
    run_id = f"{origin}-{_digest(path)}"
    report, log = junit.Report(), reportlog.Log()
    results: Iterator[tuple[int, Result]]
    done = Report()
    if origin == JUNIT:
        results = junit.read(path, report, evidence.rootdir, evidence.signature)
    else:
        results = reportlog.read(path, log, evidence.rootdir, evidence.fold())
    with table.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            (
                "run_id",
                "started_at",
                "worker",
                "position",
                "node_id",
                "attempt",
                "attempt_mode",
                "outcome",
                "duration",
                "signature",
            )
        )
        for line, result in results:
            done.lines.append(line)
            writer.writerow(
                (
                    run_id,
                    report.started_at or log.started_at,
                    result.worker,
                    result.position,
                    result.node_id.replace("\0", "\\x00"),
                    None if origin == JUNIT else result.attempt,
                    None if origin == JUNIT else result.attempt_mode,
                    result.outcome,
                    _total(result),
                    result.signature,
                )
            )
    if not done.lines:
        raise InterchangeError(path, None, None, "holds no results of tests")
    done.started_line, done.left_out = report.started_line, report.left_out
    return done


def _digest(path: Path) -> str:
    digest = blake2b(digest_size=8)
    with path.open("rb") as file:
        while chunk := file.read(_HASHED):
            digest.update(chunk)
    return digest.hexdigest()


def _total(result: Result) -> float | None:
    phases = [each for each in (result.setup, result.call, result.teardown) if each is not None]
    return sum(phases) if phases else None


def _import_table(
    connection: Connection,
    results: Table,
    evidence: Evidence,
    suite: str,
    runs: Path | None,
    origin: str = "interchange",
) -> Imported:
    ignored = [name for name in results.columns if name not in RESULTS]
    require(results, ("run_id", "node_id", "outcome"))
    connection.execute("set timezone = 'UTC'")  # what a time without a zone means
    stage(connection, results, "rows", _result_columns(results))
    if runs is not None:
        _stage_runs(connection, open_table(connection, runs))
    else:
        connection.execute(f"create or replace temp table given ({_GIVEN})")
    ((rows,),) = connection.execute("select count(*) from rows")
    if not rows:
        raise results.refuse(None, None, "has a header and no results")
    done = Imported(results.shown, origin, ignored=ignored)
    _number_runs(connection, suite, origin)
    ((done.runs, done.known, done.runs_without_results),) = connection.execute(
        """
        select
            (select count(*) from batch),
            (select count(distinct run_id) from rows) - (select count(*) from batch),
            (select count(*) from given where run_id not in (select run_id from rows))
        """
    )
    _stage_results(connection, evidence)
    connection.execute("drop table temp.rows")  # memory is given back between transactions only
    with connection.transaction():
        _insert_runs(connection)
        done.results = fold(connection)
    for table in ("staged", "given", "batch", "names"):
        connection.execute(f"drop table temp.{table}")
    return done


def _result_columns(table: Table) -> list[Column]:
    read = Reading(table)
    return [
        read.text("run_id", required=True),
        read.text("node_id", required=True),
        read.one_of("outcome", OUTCOMES, required=True),
        read.time("started_at"),
        *(
            read.text(name)
            for name in ("commit", "tree", "branch", "source", "environment", "worker", "file")
        ),
        read.count("position", _MOST_POSITIONS),
        read.count("attempt", _MOST_ATTEMPTS),
        read.one_of("attempt_mode", _ATTEMPT_MODES),
        read.duration("duration"),
        read.text("code"),
        read.text("signature"),
    ]


_GIVEN = """
    row integer,
    run_id varchar,
    started_at timestamp,
    commit varchar,
    branch varchar,
    changed_files varchar[]
    """


def _stage_runs(connection: Connection, runs: Table) -> None:
    """Read the file of runs into the temporary table ``given``."""
    require(runs, ("run_id",))
    read = Reading(runs)
    columns = [
        read.text("run_id", required=True),
        read.time("started_at"),
        read.text("commit"),
        read.text("branch"),
        read.paths("changed_files"),
    ]
    stage(connection, runs, "given", columns)
    twice = connection.execute(
        "select row from given qualify row_number() over (partition by run_id order by row) > 1 "
        "order by row limit 1"
    )
    if twice:
        problem = "is there already, on an earlier line"
        raise named(runs, twice[0][0], Column("run_id", "", "", problem))


def _number_runs(connection: Connection, suite: str, origin: str) -> None:
    """Put the unknown runs into the temporary table ``batch``, numbered by their start.

    What rows say of their run may differ: the first row that says something is believed.
    """
    connection.execute(
        """
        create or replace temp table batch as
        with said as (
            select
                run_id,
                min(row) as first_row,
                count(*) as recorded,
                arg_min(started_at, row) as started_at,
                arg_min("commit", row) as "commit",
                arg_min(tree, row) as tree,
                arg_min(branch, row) as branch,
                arg_min(source, row) as source,
                arg_min(environment, row) as environment
            from rows
            group by run_id
        )
        select
            $1::integer - 1
                + row_number() over (
                    order by coalesce(given.started_at, said.started_at) nulls last, first_row
                ) as run_no,
            run_id,
            $2 as origin,
            coalesce(given.started_at, said.started_at) as started_at,
            recorded,
            $3 as suite,
            coalesce(given."commit", said."commit") as "commit",
            tree,
            coalesce(given.branch, said.branch) as branch,
            case when given.changed_files is not null then '' end as base,
            source,
            environment
        from said left join given using (run_id)
        where run_id not in (select run_id from runs)
        """,
        (next_number(connection, "runs", "run_no"), origin, suite),
    )
    connection.read("runs")


def _insert_runs(connection: Connection) -> None:
    connection.execute("insert into runs by name select * from batch order by run_no")
    connection.execute(
        """
        insert into changed_files
        select run_no, path
        from (
            select run_no, unnest(list_distinct(changed_files)) as path
            from batch join given using (run_id)
        )
        order by run_no, path
        """
    )
    connection.wrote("runs", "changed_files")


def _stage_results(connection: Connection, evidence: Evidence) -> None:
    """Hand the rows of the unknown runs to `fold`, in their order.

    Where attempts are not numbered, a test's rows on one worker and in one environment are
    its attempts in their order.
    """
    node_ids = [
        node_id
        for (node_id,) in connection.execute("select distinct node_id from rows order by node_id")
    ]
    connection.execute(
        """
        create or replace temp table names as
        select unnest($1::varchar[]) as node_id, unnest($2::varchar[]) as identity
        """,
        (node_ids, list(map(evidence.identity, node_ids))),
    )
    again = connection.execute(
        """
        select 1
        from rows
        where attempt is null
        group by run_id, node_id, environment, worker
        having count(*) > 1
        limit 1
        """
    )
    attempt = "coalesce(attempt, 0)"
    if again:
        attempt = f"""
            coalesce(
                attempt,
                least(
                    row_number() over (
                        partition by run_id, node_id, rows.environment, worker order by row
                    ) - 1,
                    {_MOST_ATTEMPTS}
                )
            )
            """
    create_staged(connection)
    connection.execute(
        f"""
        insert into staged by name
        select
            run_no,
            identity,
            $1 || file as file,
            node_id,
            {attempt} as attempt,
            coalesce(attempt_mode, case when {attempt} = 0 then 'first' end) as attempt_mode,
            outcome,
            duration::float as duration,  -- as results keep it, so that rollups agree with them
            position,
            worker,
            rows.environment,
            signature,
            code
        from rows
            join batch using (run_id)
            join names using (node_id)
        order by row
        """,
        (evidence.prefix,),
    )
