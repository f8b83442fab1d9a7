"""CSV and Parquet files as tables that can be checked: a row that cannot be taken is named.

DuckDB reads them itself. Where its reader will not, Python's finds the line at fault, or hands
over what it read.
"""

from __future__ import annotations

import csv
import gzip
import io
import tempfile
import zlib
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pytest_aqe.errors import AqeError, InterchangeError
from pytest_aqe.history.store import Connection
from pytest_aqe.history.writes import literal

CSV, PARQUET, JUNIT, REPORTLOG = "csv", "parquet", "junit", "reportlog"
ENDINGS = {
    ".csv": CSV,
    ".csv.gz": CSV,
    ".parquet": PARQUET,
    ".xml": JUNIT,
    ".jsonl": REPORTLOG,
    ".json": REPORTLOG,
}
_READ_PARQUET = "read_parquet($1, binary_as_string = true, hive_partitioning = false)"
_NUMERIC = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL")


@dataclass(slots=True)
class Report:
    """Where in a report stands what its table holds: the line of each row, and of the start."""

    lines: array[int] = field(default_factory=lambda: array("L"))
    started_line: int | None = None
    left_out: int = 0

    def line(self, row: int, column: str) -> int | None:
        """Return the line that a row's value comes from; rows count from 1."""
        return self.started_line if column == "started_at" else self.lines[row - 1]


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV or Parquet file: ``shown`` is its name in messages, ``columns`` name to type.

    ``made_of`` is the report that it was made of.
    """

    path: Path
    shown: Path
    format: str
    columns: dict[str, str]
    made_of: Report | None = None

    @property
    def unit(self) -> str:
        """What a place in the file is counted in."""
        return "row" if self.format == PARQUET else "line"

    def refuse(self, line: int | None, column: str | None, problem: str) -> InterchangeError:
        """Return the error that names a place of this file."""
        return InterchangeError(self.shown, line, column, problem, unit=self.unit)


def kind_of(path: Path) -> str:
    """Tell a file's format by its ending, or without a known one by how it starts."""
    start = _start(path)
    name = path.name.lower()
    kind = next((each for ending, each in ENDINGS.items() if name.endswith(ending)), None)
    if kind is None:
        kind = _kind_by_content(start)
    if kind == REPORTLOG and b'"$report_type"' not in start and b'"pytest_version"' not in start:
        merge = "; `pytest-aqe merge` takes run files" if b'"type":"run"' in start else ""
        raise InterchangeError(path, 1, None, f"not what pytest-reportlog writes{merge}")
    return kind


def _kind_by_content(start: bytes) -> str:
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"PAR1"):
        return PARQUET
    if text.startswith(b"<"):
        return JUNIT
    return REPORTLOG if text.startswith(b"{") else CSV


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            start = file.read(1 << 16)
    except OSError as error:
        raise InterchangeError(path, None, None, f"cannot be read ({error.strerror})") from error
    if not start:
        raise InterchangeError(path, None, None, "is empty")
    return start


def open_table(connection: Connection, path: Path, shown: Path | None = None) -> Table:
    """Read a file's header."""
    shown = shown or path
    _start(path)
    if path.name.lower().endswith(".parquet") or kind_of(path) == PARQUET:
        try:
            rows = connection.exchange(
                f"select column_name, column_type from (describe from {_READ_PARQUET})",
                (literal(path),),
            )
        except AqeError as error:
            raise InterchangeError(shown, None, None, f"no Parquet file ({error})") from error
        return Table(path, shown, PARQUET, dict(rows))
    with _records(path, shown) as records:
        _, header = next(records, (1, []))
    table = Table(path, shown, CSV, dict.fromkeys(header, "VARCHAR"))
    for column in header:
        if header.count(column) > 1:
            raise table.refuse(1, column, "stands twice in the header")
    return table


def require(table: Table, columns: tuple[str, ...]) -> None:
    """Raise an `InterchangeError` where a column is missing."""
    for column in columns:
        if column not in table.columns:
            line = 1 if table.format == CSV else None
            raise table.refuse(line, column, "is required and is not in the header")


@dataclass(frozen=True, slots=True)
class Column:
    """How one column is read: its value, the test a value that is there must pass, and why."""

    name: str
    value: str
    wrong: str
    problem: str


class Reading:
    """Columns of one file as SQL: CSV has only text, Parquet may have any type."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def text(self, name: str, *, required: bool = False) -> Column:
        value = f"nullif({self._as_text(name)}, '')"
        return Column(name, value, f"{value} is null" if required else "false", "is empty")

    def one_of(self, name: str, words: tuple[str, ...], *, required: bool = False) -> Column:
        value = f"nullif({self._as_text(name)}, '')"
        listed = ", ".join(f"'{word}'" for word in words)
        wrong = f"{value} not in ({listed})"
        if required:
            wrong = f"coalesce({wrong}, true)"
        return Column(name, value, wrong, f"is none of {', '.join(words)}")

    def time(self, name: str) -> Column:
        kind = self._table.columns.get(name, "VARCHAR")
        if (kind.startswith("TIMESTAMP") and "ZONE" not in kind) or kind == "DATE":
            value = f"{_quoted(name)}::timestamp"
        elif kind.startswith("TIMESTAMP"):
            value = f"{_quoted(name)} at time zone 'UTC'"
        else:
            value = f"try_cast({self._as_text(name)} as timestamptz) at time zone 'UTC'"
        wrong = f"not coalesce(isfinite({value}) and year({value}) between 1 and 9999, false)"
        return self._unless_empty(name, value, wrong, "is no time (ISO 8601)")

    def count(self, name: str, most: int) -> Column:
        number = self._as_number(name)
        wrong = f"not coalesce({number} = floor({number}) and {number} between 0 and {most}, false)"
        value = f"try_cast({number} as integer)"
        return self._unless_empty(name, value, wrong, "is no whole number from 0")

    def duration(self, name: str) -> Column:
        number = self._as_number(name)
        wrong = f"not coalesce(isfinite({number}) and {number} >= 0, false)"
        return self._unless_empty(name, number, wrong, "is no number of seconds")

    def paths(self, name: str) -> Column:
        if self._table.columns.get(name, "").endswith("VARCHAR[]"):
            value = _quoted(name)
        else:
            value = f"try_cast(try_cast({self._as_text(name)} as json) as varchar[])"
        wrong = f"{value} is null or list_aggregate({value}, 'count') < len({value})"
        return self._unless_empty(name, value, wrong, "is no list of paths (JSON)")

    def _unless_empty(self, name: str, value: str, wrong: str, problem: str) -> Column:
        if name not in self._table.columns:
            return Column(name, value, "false", problem)
        return Column(name, value, f"({self._as_text(name)} <> '' and ({wrong}))", problem)

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


def stage(connection: Connection, table: Table, into: str, columns: list[Column]) -> None:
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
    raise named(table, row, columns[number])


def _read_into(connection: Connection, table: Table, sql: str) -> None:
    if table.format == PARQUET:
        try:
            connection.exchange(sql.replace("{source}", _READ_PARQUET), (literal(table.path),))
        except AqeError as error:
            raise table.refuse(None, None, f"no Parquet file ({error})") from error
        return
    listed = ", ".join(f"{sql_text(name)}: 'varchar'" for name in table.columns)
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


def named(table: Table, row: int, column: Column) -> InterchangeError:
    """Return the error that names a row's place in its file, and what stands there."""
    if table.format == PARQUET:
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


def sql_text(text: str) -> str:
    """Quote a text for SQL."""
    return "'" + text.replace("'", "''") + "'"
