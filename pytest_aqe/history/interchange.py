"""Results in and out of the history, as files that other tools write and read.

The interchange format is a table, one row an attempt, as CSV or Parquet, which DuckDB reads
and writes itself (docs/reference/interchange.md). JUnit XML and pytest-reportlog files are
turned into such a table first, so that every import takes one path: rows are staged and
checked, a row that cannot be taken is named and stops its file, and what is left goes into
the tables in one transaction. Nothing is imported of a file that has a bad row.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import tempfile
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path

from pytest_aqe.data import Identity, NodeId, Result
from pytest_aqe.errors import AqeError, InterchangeError
from pytest_aqe.history import junit, reportlog
from pytest_aqe.history.store import Connection
from pytest_aqe.history.writes import OUTCOMES, create_staged, fold, literal, next_number

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

_CSV, _PARQUET, _JUNIT, _REPORTLOG = "csv", "parquet", "junit", "reportlog"
ENDINGS = {
    ".csv": _CSV,
    ".csv.gz": _CSV,
    ".parquet": _PARQUET,
    ".xml": _JUNIT,
    ".jsonl": _REPORTLOG,
    ".json": _REPORTLOG,
}
_ATTEMPT_MODES = ("first", "inproc", "isolated")
_READ_PARQUET = "read_parquet($1, binary_as_string = true, hive_partitioning = false)"
_MOST_ATTEMPTS = 10_000  # of one test in one run; the history keeps them in two bytes
_MOST_POSITIONS = 2**31 - 1
_HASHED = 1 << 20  # bytes read at a time
_NUMERIC = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL")


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


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote."""

    path: Path
    rows: int
    size: int


@dataclass(slots=True)
class _Report:
    """Where in a report stands what its table holds: the line of each row, and of the start."""

    lines: array[int] = field(default_factory=lambda: array("L"))
    started_line: int | None = None
    left_out: int = 0

    def line(self, row: int, column: str) -> int | None:
        """Return the line that a row's value comes from; rows count from 1."""
        return self.started_line if column == "started_at" else self.lines[row - 1]


@dataclass(frozen=True, slots=True)
class _Table:
    """A CSV or Parquet file: ``shown`` is its name in messages, ``columns`` name to type.

    ``made_of`` is the report that it was made of.
    """

    path: Path
    shown: Path
    format: str
    columns: dict[str, str]
    made_of: _Report | None = None

    @property
    def unit(self) -> str:
        return "row" if self.format == _PARQUET else "line"

    def refuse(self, line: int | None, column: str | None, problem: str) -> InterchangeError:
        return InterchangeError(self.shown, line, column, problem, unit=self.unit)


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
    if origin not in (_JUNIT, _REPORTLOG):
        return _import_table(connection, _open_table(connection, path), evidence, suite, runs)
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "results.csv"
        report = _tabulate(path, origin, table, evidence)
        opened = replace(_open_table(connection, table, shown=path), made_of=report)
        done = _import_table(connection, opened, evidence, suite, runs, origin)
    done.left_out = report.left_out
    return done


def kind_of(path: Path) -> str:
    """Tell a file's format by its ending, or without a known one by how it starts."""
    start = _start(path)
    name = path.name.lower()
    kind = next((each for ending, each in ENDINGS.items() if name.endswith(ending)), None)
    if kind is None:
        kind = _kind_by_content(start)
    if kind == _REPORTLOG and b'"$report_type"' not in start and b'"pytest_version"' not in start:
        merge = "; `pytest-aqe merge` takes run files" if b'"type":"run"' in start else ""
        raise InterchangeError(path, 1, None, f"not what pytest-reportlog writes{merge}")
    return kind


def _kind_by_content(start: bytes) -> str:
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"PAR1"):
        return _PARQUET
    if text.startswith(b"<"):
        return _JUNIT
    return _REPORTLOG if text.startswith(b"{") else _CSV


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            start = file.read(1 << 16)
    except OSError as error:
        raise InterchangeError(path, None, None, f"cannot be read ({error.strerror})") from error
    if not start:
        raise InterchangeError(path, None, None, "is empty")
    return start


def _tabulate(path: Path, origin: str, table: Path, evidence: Evidence) -> _Report:
    """Write a report's results as a table; return what is left to say of the report.

    The run's name is the hash of the file's content, so that a file is one run however
    often it is imported.
    """
    run_id = f"{origin}-{_digest(path)}"
    report, log = junit.Report(), reportlog.Log()
    results: Iterator[tuple[int, Result]]
    done = _Report()
    if origin == _JUNIT:
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
                    None if origin == _JUNIT else result.attempt,
                    None if origin == _JUNIT else result.attempt_mode,
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
    results: _Table,
    evidence: Evidence,
    suite: str,
    runs: Path | None,
    origin: str = "interchange",
) -> Imported:
    ignored = [name for name in results.columns if name not in RESULTS]
    _require(results, ("run_id", "node_id", "outcome"))
    connection.execute("set timezone = 'UTC'")  # what a time without a zone means
    _stage(connection, results, "rows", _result_columns(results))
    if runs is not None:
        _stage_runs(connection, _open_table(connection, runs))
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


def _open_table(connection: Connection, path: Path, shown: Path | None = None) -> _Table:
    """Read a file's header."""
    shown = shown or path
    _start(path)
    if path.name.lower().endswith(".parquet") or kind_of(path) == _PARQUET:
        try:
            rows = connection.exchange(
                f"select column_name, column_type from (describe from {_READ_PARQUET})",
                (literal(path),),
            )
        except AqeError as error:
            raise InterchangeError(shown, None, None, f"no Parquet file ({error})") from error
        return _Table(path, shown, _PARQUET, dict(rows))
    with _records(path, shown) as records:
        _, header = next(records, (1, []))
    table = _Table(path, shown, _CSV, dict.fromkeys(header, "VARCHAR"))
    for column in header:
        if header.count(column) > 1:
            raise table.refuse(1, column, "stands twice in the header")
    return table


def _require(table: _Table, columns: tuple[str, ...]) -> None:
    for column in columns:
        if column not in table.columns:
            line = 1 if table.format == _CSV else None
            raise table.refuse(line, column, "is required and is not in the header")


@dataclass(frozen=True, slots=True)
class _Column:
    """How one column is read: its value, the test a value that is there must pass, and why."""

    name: str
    value: str
    wrong: str
    problem: str


def _result_columns(table: _Table) -> list[_Column]:
    read = _Reading(table)
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


class _Reading:
    """Columns of one file as SQL: CSV has only text, Parquet may have any type."""

    def __init__(self, table: _Table) -> None:
        self._table = table

    def text(self, name: str, *, required: bool = False) -> _Column:
        value = f"nullif({self._as_text(name)}, '')"
        return _Column(name, value, f"{value} is null" if required else "false", "is empty")

    def one_of(self, name: str, words: tuple[str, ...], *, required: bool = False) -> _Column:
        value = f"nullif({self._as_text(name)}, '')"
        listed = ", ".join(f"'{word}'" for word in words)
        wrong = f"{value} not in ({listed})"
        if required:
            wrong = f"coalesce({wrong}, true)"
        return _Column(name, value, wrong, f"is none of {', '.join(words)}")

    def time(self, name: str) -> _Column:
        kind = self._table.columns.get(name, "VARCHAR")
        if (kind.startswith("TIMESTAMP") and "ZONE" not in kind) or kind == "DATE":
            value = f"{_quoted(name)}::timestamp"
        elif kind.startswith("TIMESTAMP"):
            value = f"{_quoted(name)} at time zone 'UTC'"
        else:
            value = f"try_cast({self._as_text(name)} as timestamptz) at time zone 'UTC'"
        wrong = f"not coalesce(isfinite({value}) and year({value}) between 1 and 9999, false)"
        return self._unless_empty(name, value, wrong, "is no time (ISO 8601)")

    def count(self, name: str, most: int) -> _Column:
        number = self._as_number(name)
        wrong = f"not coalesce({number} = floor({number}) and {number} between 0 and {most}, false)"
        value = f"try_cast({number} as integer)"
        return self._unless_empty(name, value, wrong, "is no whole number from 0")

    def duration(self, name: str) -> _Column:
        number = self._as_number(name)
        wrong = f"not coalesce(isfinite({number}) and {number} >= 0, false)"
        return self._unless_empty(name, number, wrong, "is no number of seconds")

    def paths(self, name: str) -> _Column:
        if self._table.columns.get(name, "").endswith("VARCHAR[]"):
            value = _quoted(name)
        else:
            value = f"try_cast(try_cast({self._as_text(name)} as json) as varchar[])"
        wrong = f"{value} is null or list_aggregate({value}, 'count') < len({value})"
        return self._unless_empty(name, value, wrong, "is no list of paths (JSON)")

    def _unless_empty(self, name: str, value: str, wrong: str, problem: str) -> _Column:
        if name not in self._table.columns:
            return _Column(name, value, "false", problem)
        return _Column(name, value, f"({self._as_text(name)} <> '' and ({wrong}))", problem)

    def _as_text(self, name: str) -> str:
        kind = self._table.columns.get(name)
        if kind is None:
            return "null::varchar"
        return _quoted(name) if kind == "VARCHAR" else f"{_quoted(name)}::varchar"

    def _as_number(self, name: str) -> str:
        kind = self._table.columns.get(name, "")
        if kind.removeprefix("U").startswith(_NUMERIC):
            return f"{_quoted(name)}::double"
        return f"try_cast({self._as_text(name)} as double)"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _stage(connection: Connection, table: _Table, into: str, columns: list[_Column]) -> None:
    """Read a file into a temporary table and refuse its first bad row."""
    for column in columns:
        kind = table.columns.get(column.name, "VARCHAR")
        nested = kind.startswith(("STRUCT", "MAP", "UNION", "BLOB")) or kind.endswith("]")
        if nested and not (column.name == "changed_files" and kind == "VARCHAR[]"):
            raise table.refuse(None, column.name, f"has the type {kind}, which cannot be taken")
    values = ",\n".join(f"{column.value} as {_quoted(column.name)}" for column in columns)
    wrong = "\n".join(f"when {column.wrong} then {number}" for number, column in enumerate(columns))
    sql = f"""
        create or replace temp table {into} as
        select
            (row_number() over ())::integer as row,
            {values},
            case {wrong} end::tinyint as wrong
        from {{source}}
        """
    _read_into(connection, table, sql)
    bad = connection.execute(f"select row, wrong from {into} where wrong is not null limit 1")
    if not bad:
        return
    row, number = bad[0]
    raise _named(table, row, columns[number])


def _read_into(connection: Connection, table: _Table, sql: str) -> None:
    if table.format == _PARQUET:
        try:
            connection.exchange(sql.replace("{source}", _READ_PARQUET), (literal(table.path),))
        except AqeError as error:
            raise table.refuse(None, None, f"no Parquet file ({error})") from error
        return
    listed = ", ".join(f"{_sql_text(name)}: 'varchar'" for name in table.columns)
    compression = "gzip" if _is_gzip(table.path) else "none"
    options = f"""
        auto_detect = false, header = true, delim = ',', quote = '"', escape = '"',
        columns = {{{listed}}}, hive_partitioning = false
        """
    source = f"read_csv($1, compression = '{compression}', {options})"
    with suppress(AqeError):
        connection.exchange(sql.replace("{source}", source), (literal(table.path),))
        return
    # Now Python reads it, finds the line at fault or has nothing to say against it, and
    # DuckDB, whose reader is the stricter one, gets what Python read.
    with tempfile.TemporaryDirectory() as folder:
        rewritten = Path(folder) / "rows.csv"
        with (
            rewritten.open("w", encoding="utf-8", newline="") as file,
            _records(table.path, table.shown) as records,
        ):
            writer = csv.writer(file)
            for line, record in records:
                if len(record) != len(table.columns):
                    raise table.refuse(
                        line, None, f"has {len(record)} fields, the header has {len(table.columns)}"
                    )
                writer.writerow(record)
        source = f"read_csv($1, compression = 'none', {options})"
        try:
            connection.exchange(sql.replace("{source}", source), (literal(rewritten),))
        except AqeError as error:
            raise table.refuse(None, None, f"cannot be read ({error})") from error


def _named(table: _Table, row: int, column: _Column) -> InterchangeError:
    """Return the error that names a row's place in its file, and what stands there."""
    if table.format == _PARQUET:
        return table.refuse(row, column.name, column.problem)
    with _records(table.path, table.shown) as records:
        for number, (at, record) in enumerate(records):
            if number == row:
                value = record[list(table.columns).index(column.name)]
                problem = f"{value!r} {column.problem}" if value else "is empty"
                line = table.made_of.line(row, column.name) if table.made_of else at
                return table.refuse(line, column.name, problem)
    return table.refuse(None, column.name, column.problem)


@contextmanager
def _records(path: Path, shown: Path) -> Iterator[Iterator[tuple[int, list[str]]]]:
    """Open a CSV file as records, the header first, each with the line it starts on."""
    with (
        gzip.open(path) if _is_gzip(path) else path.open("rb") as raw,
        io.TextIOWrapper(raw, encoding="utf-8", errors="surrogateescape", newline="") as text,
    ):
        yield _numbered(text, shown)


def _numbered(text: Iterable[str], shown: Path) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(_lines(text, shown), strict=True)
    while True:
        start = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InterchangeError(shown, start, None, f"no CSV ({error})") from error
        if record:
            yield start, record


def _lines(text: Iterable[str], shown: Path) -> Iterator[str]:
    """Yield the lines; name the one that holds bytes that are no UTF-8."""
    number = 0
    try:
        for line in text:
            number += 1
            if not line.isascii() and any("\udc80" <= each <= "\udcff" for each in line):
                raise InterchangeError(shown, number, None, "holds bytes that are no UTF-8")
            yield line.removeprefix("\ufeff") if number == 1 else line
    except (OSError, EOFError, zlib.error) as error:
        raise InterchangeError(shown, number + 1, None, f"cannot be read on ({error})") from error


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _sql_text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


_GIVEN = """
    row integer,
    run_id varchar,
    started_at timestamp,
    commit varchar,
    branch varchar,
    changed_files varchar[]
    """


def _stage_runs(connection: Connection, runs: _Table) -> None:
    """Read the file of runs into the temporary table ``given``."""
    _require(runs, ("run_id",))
    read = _Reading(runs)
    columns = [
        read.text("run_id", required=True),
        read.time("started_at"),
        read.text("commit"),
        read.text("branch"),
        read.paths("changed_files"),
    ]
    _stage(connection, runs, "given", columns)
    twice = connection.execute(
        "select row from given qualify row_number() over (partition by run_id order by row) > 1 "
        "order by row limit 1"
    )
    if twice:
        problem = "is there already, on an earlier line"
        raise _named(runs, twice[0][0], _Column("run_id", "", "", problem))


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


def export(
    connection: Connection,
    out: Path,
    *,
    runs_out: Path | None = None,
    prefix: str = "",
    force: bool = False,
) -> tuple[Exported, Exported | None]:
    """Write every result to ``out``, and every run to ``runs_out``.

    A test goes by its latest name, as seen from the rootdir that is ``prefix`` away from
    the git root: an import there finds the same tests. A file that is there is replaced
    only by ``force``, and by a whole one.
    """
    targets = [path for path in (out, runs_out) if path is not None]
    for path in targets:
        _refuse_target(path, force)
    connection.read("runs", "tests", "results")
    ((results,),) = connection.execute("select count(*) from results")
    if not results:
        raise AqeError(f"{connection.path} holds no results to export")
    with _whole(out) as partial:
        _copy(connection, _results_sql(out, prefix), out, partial)
        if runs_out is not None:
            connection.read("changed_files")
            with _whole(runs_out) as partial_runs:
                _copy(connection, _runs_sql(runs_out), runs_out, partial_runs)
    done = Exported(out, results, out.stat().st_size)
    if runs_out is None:
        return done, None
    ((runs,),) = connection.execute("select count(*) from runs")
    return done, Exported(runs_out, runs, runs_out.stat().st_size)


def _refuse_target(path: Path, force: bool) -> None:
    if not path.name.endswith((".parquet", ".csv", ".csv.gz")):
        raise AqeError(f"{path}: an export ends with .parquet, .csv or .csv.gz")
    if path.exists() and not force:
        raise AqeError(f"{path} is there already; --force replaces it")


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Give a place to write to, which takes the name ``path`` when all went well."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.touch()
        yield partial
        partial.replace(path)
    except OSError as error:
        raise AqeError(f"{path} cannot be written ({error.strerror})") from error
    finally:
        partial.unlink(missing_ok=True)


def _copy(connection: Connection, sql: str, path: Path, partial: Path) -> None:
    how = "format parquet, compression zstd"
    if not path.name.endswith(".parquet"):
        compression = "gzip" if path.name.endswith(".gz") else "none"
        how = f"format csv, header true, compression '{compression}'"
    try:
        connection.exchange(f"copy ({sql}) to {_sql_text(str(partial))} ({how})")
    except AqeError as error:
        raise AqeError(f"{path} cannot be written ({error})") from error


def _results_sql(path: Path, prefix: str) -> str:
    return f"""
        select
            runs.run_id,
            {_time(path)} as started_at,
            runs.commit,
            runs.tree,
            runs.branch,
            runs.source,
            results.environment,
            results.worker,
            results.position,
            {_without("tests.identity", prefix)} as node_id,
            {_without("tests.file", prefix)} as file,
            results.attempt,
            results.attempt_mode,
            results.outcome,
            results.duration,
            results.code,
            results.signature
        from results
            join runs using (run_no)
            join tests using (test_no)
        order by runs.started_at nulls last, run_no, results.rowid
        """


def _without(column: str, prefix: str) -> str:
    starts = f"starts_with({column}, {_sql_text(prefix)})"
    return f"case when {starts} then substr({column}, {len(prefix) + 1}) else {column} end"


def _runs_sql(path: Path) -> str:
    changed = "changed" if path.name.endswith(".parquet") else "to_json(changed)"
    return f"""
        select
            run_id,
            {_time(path)} as started_at,
            "commit",
            branch,
            {changed} as changed_files
        from (
            select
                runs.*,
                coalesce(files.paths, case when base is not null then [] end) as changed
            from runs left join (
                select run_no, list(path order by path) as paths from changed_files group by run_no
            ) as files using (run_no)
        ) as runs
        order by started_at nulls last, run_no
        """


def _time(path: Path) -> str:
    if path.name.endswith(".parquet"):
        return "runs.started_at"
    return "strftime(runs.started_at, '%Y-%m-%dT%H:%M:%S.%fZ')"
