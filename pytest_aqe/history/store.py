"""The DuckDB file: opened late, briefly, for one transaction; the one file that imports duckdb.

Of duckdb the compiled half is all that is needed; the other half, which writes queries in
Python, takes longer to import. Only duckdb before 1.4 has no such halves.

While a process has the file open for writing no other can open it, not even to read
(measured), so a lock is waited for and then reported as `HistoryBusy`; the caller's run
file simply stays for the next session. Errors of the database are translated here, by what
can be done about them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pytest_aqe import DEFAULT_HISTORY
from pytest_aqe.data import FAILING
from pytest_aqe.errors import (
    AqeError,
    HistoryBroken,
    HistoryBusy,
    HistoryDenied,
    HistoryError,
    HistoryForeign,
    HistoryNewer,
    NotFound,
)
from pytest_aqe.history import runfile

SCHEMA_VERSION = 3
STORAGE_VERSION = "v1.0.0"  # duckdb 2.0's own default is unreadable by 1.4 (measured)
WAIT = 2.0  # seconds to wait for another process to let go of the history
_MAGIC, _MAGIC_AT = b"DUCK", 8  # what every DuckDB file says, and where
_DESCRIPTORS = 16  # files that must still be openable; DuckDB needed 2 (measured)
_RETRY = 0.05  # seconds between two tries
# A process and its database in memory that no file is attached to: to make one takes 20 ms, to
# attach a file to it 3 (measured, duckdb 2.0).
_IDLE: list[tuple[int, Any]] = []

# The tables that version n has and version n - 1 had not, made by `schema.sql`.
NEW_TABLES: dict[int, tuple[str, ...]] = {
    1: (
        "meta",
        "runs",
        "changed_files",
        "tests",
        "nodes",
        "results",
        "rollups",
        "renames",
        "touches",
    ),
    2: (
        "pieces",
        "sets",
        "dependencies",
        "run_files",
        "collected",
        "file_pieces",
        "selections",
        "flake_tests",
        "flake_lanes",
        "flake_signatures",
        "flake_verdicts",
        "flake_causes",
        "flake_episodes",
        "flake_values",
        "flake_marks",
        "covered",
        "gaps",
        "generations",
        "policies",
        "learner_states",
        "lessons",
        "test_scores",
        "cofailures",
        "policy_scores",
        "calls",
        "examples",
        "memory",
    ),
}
# What else version n changes of what version n - 1 had.
_CHANGES: dict[int, tuple[str, ...]] = {
    3: (
        "alter table dependencies add column if not exists ran_no integer",
        "update dependencies set ran_no = run_no where ran_no is null",
    ),
}
TABLES = tuple(table for tables in NEW_TABLES.values() for table in tables)
FAILED = ", ".join(f"'{outcome}'" for outcome in sorted(FAILING))  # as SQL lists them

_BUSY = ("could not set lock", "conflicting lock", "used by another process")
_DENIED = (
    "permission denied",
    "read-only file system",
    "no space left",
    "file too large",
    "disk quota",
    "is a directory",
    "operation not permitted",
)
_NEWER = ("version number", "newer version")


def _driver() -> Any:
    try:
        import _duckdb
    except ImportError:
        import duckdb

        return duckdb
    return _duckdb


class Connection:
    """One open history. ``execute`` speaks SQL; what tables are read is kept for `doctor`."""

    def __init__(self, raw: Any, path: Path, *, writable: bool) -> None:
        self._raw = raw
        self.path = path
        self.writable = writable
        self.read_tables: set[str] = set()
        self.written_tables: set[str] = set()
        self.is_compacted = False

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows."""
        try:
            rows: list[tuple[Any, ...]] = self._raw.execute(sql, list(parameters)).fetchall()
        except _driver().Error as error:
            raise translate(error, self.path) from error
        return rows

    def exchange(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement that reads or writes a file of the user's.

        A fault is that file's and says nothing about the history: an `AqeError`.
        """
        try:
            rows: list[tuple[Any, ...]] = self._raw.execute(sql, list(parameters)).fetchall()
        except _driver().Error as error:
            raise AqeError(str(error).splitlines()[0]) from error
        return rows

    @contextmanager
    def attached(self, path: Path, wait: float = WAIT) -> Iterator[None]:
        """Attach the history at ``path`` as ``other``, to be read. Its faults name it."""
        _attach(self._raw, path, "other", write=False, deadline=time.monotonic() + wait)
        try:
            self._compare_schema(path)
            yield
        finally:
            self.execute("detach other")

    def _compare_schema(self, path: Path) -> None:
        try:
            rows = self.exchange("select value from other.meta where name = 'schema_version'")
        except AqeError as error:
            raise HistoryBroken(path, f"{path} is not a history") from error
        version = rows[0][0] if rows else None
        if version != str(SCHEMA_VERSION):
            raise HistoryError(
                path,
                f"{path} has schema {version}, this version reads {SCHEMA_VERSION}; "
                f"`pytest-aqe status --history {path}` by the latest version brings it up to date",
            )

    def compact(self) -> str | None:
        """Replace the file by a fresh copy: DuckDB never gives space back by itself.

        Nothing may be written through this connection afterwards. The old file stays locked
        until the connection is closed, and `_attach` refuses a file that was replaced under
        it, so no run is written to the file that goes away. A kill leaves either file whole.
        Return why it was not done, if it was not.
        """
        fresh = self.path.with_name(f"{self.path.name}.fresh")
        log = self.path.with_name(f"{self.path.name}.wal")
        for left in (fresh, fresh.with_name(f"{fresh.name}.wal")):
            left.unlink(missing_ok=True)  # of a killed one: only the holder of the lock compacts
        self.execute("checkpoint history")
        quoted = str(fresh).replace("'", "''")
        self.execute(f"attach '{quoted}' as fresh (storage_version '{STORAGE_VERSION}')")
        try:
            self.execute("copy from database history to fresh")
        finally:
            self.execute("detach fresh")
        if log.exists() and log.stat().st_size:  # it would be replayed into the fresh file
            fresh.unlink()
            return f"{log} could not be emptied"
        self.is_compacted = True
        self.execute("pragma disable_checkpoint_on_shutdown")  # the log's name is the fresh file's
        try:
            fresh.replace(self.path)
        except OSError as error:  # Windows, while the file is open
            fresh.unlink()
            return f"{self.path} cannot be replaced ({error.strerror})"
        return None

    def read(self, *tables: str) -> None:
        """Note that these tables are being read."""
        self.read_tables.update(tables)

    def wrote(self, *tables: str) -> None:
        """Note that these tables were written."""
        self.written_tables.update(tables)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what happens inside, or none of it."""
        self.execute("begin transaction")
        try:
            yield
            self._touch()
            self.execute("commit")
        except BaseException:
            with suppress(_driver().Error):  # the failed statement may have ended it already
                self._raw.execute("rollback")
            raise

    def _touch(self) -> None:
        """Write down when each table was last written and last read."""
        now = datetime.now(timezone.utc).replace(tzinfo=None)
        self.written_tables.add("touches")
        self.execute(
            """
            update touches set
                last_write = if(list_contains($2, table_name), $1, last_write),
                last_read = if(list_contains($3, table_name), $1, last_read)
            where list_contains($2, table_name) or list_contains($3, table_name)
            """,
            (now, sorted(self.written_tables), sorted(self.read_tables)),
        )
        self.written_tables.clear()
        self.read_tables.clear()


@contextmanager
def open_history(path: Path, *, write: bool, wait: float = WAIT) -> Iterator[Connection]:
    """Open the history at ``path``; created when ``write`` and absent, migrated when older.

    Raise a `HistoryError` by name: busy after ``wait`` seconds, newer, broken, foreign, denied;
    and `NotFound` when there is none to read.
    """
    if is_foreign(path):
        raise HistoryForeign(path)
    if write:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HistoryDenied(path, f"cannot create {path.parent} ({error.strerror})") from error
    _spare_descriptors(path)
    database = _database(path.parent / "tmp")
    raw = database.cursor()  # temporary tables are its own
    is_whole = False  # nothing went wrong: it can be used again
    try:
        _attach(raw, path, "history", write=write, deadline=time.monotonic() + wait)
        connection = Connection(raw, path, writable=write)
        connection.execute("use history")
        if not _prepare(connection):
            connection.execute("use memory")
            connection.execute("detach history")
            with open_history(path, write=True, wait=wait):
                pass
            _attach(raw, path, "history", write=False, deadline=time.monotonic() + wait)
            connection.execute("use history")
        yield connection
        is_whole = not connection.is_compacted
    finally:
        try:
            _let_go(database, raw, keep=is_whole)
        except _driver().Error as error:
            raise translate(error, path) from error


def _let_go(database: Any, raw: Any, *, keep: bool) -> None:
    """Close the file, and keep the database for the next opening or close it too."""
    detached = False
    try:
        if keep:
            raw.execute("use memory")
            raw.execute("detach history")
            detached = True
    finally:
        raw.close()
        if detached:
            _IDLE[:] = [(os.getpid(), database)]
        else:
            database.close()


def _database(spill: Path) -> Any:
    """Return a database in memory, for files to be attached to: the idle one, or a new one.

    While nothing is attached it holds no file, and it has no threads: a test that forks is
    warned of these.
    """
    duckdb = _driver()
    quoted = str(spill).replace("'", "''")
    while _IDLE:
        process, idle = _IDLE.pop()
        if process != os.getpid():
            continue  # our parent's
        try:
            idle.execute(f"set temp_directory = '{quoted}'")
        except duckdb.Error:  # it was used
            idle.close()
        else:
            return idle
    config = {
        "threads": 1,  # the machine is the tests'
        "autoinstall_known_extensions": False,  # nothing is ever fetched
        "temp_directory": str(spill),
    }
    try:
        return duckdb.connect(":memory:", config={**config, "async_threads": 0})
    except duckdb.Error:  # before duckdb 2, which has none
        return duckdb.connect(":memory:", config=config)


def is_foreign(path: Path) -> bool:
    """Tell whether a file is there that DuckDB has not written, and that was never a history.

    At a history's place it is one that was damaged: see `set_aside`.
    """
    try:
        with path.open("rb") as file:
            start = file.read(_MAGIC_AT + len(_MAGIC))
    except OSError:
        return False
    return bool(start) and start[_MAGIC_AT:] != _MAGIC and not _is_a_historys_place(path)


def _is_a_historys_place(path: Path) -> bool:
    """Tell whether a history stands here usually, or has left run files beside it."""
    return path.match(DEFAULT_HISTORY) or runfile.any_beside(path.parent)


def is_current(path: Path) -> bool:
    """Tell whether a history can be read as it is, without a migration or a repair."""
    try:
        with open_history(path, write=False, wait=0.0):
            return True
    except (HistoryError, NotFound):
        return False


def _spare_descriptors(path: Path) -> None:
    """Make sure that files can still be opened: without any, DuckDB aborts the process.

    Seen with a suite that leaks descriptors; no Python code can catch that abort.
    """
    opened: list[int] = []
    try:
        opened.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(_DESCRIPTORS))
    except OSError as error:
        raise HistoryDenied(path, f"{path} cannot be opened ({error.strerror})") from error
    finally:
        for file in opened:
            os.close(file)


def _attach(raw: Any, path: Path, name: str, *, write: bool, deadline: float) -> None:
    if not write and not path.exists():
        raise NotFound(f"there is no history at {path}; `pytest --aqe` starts one")
    quoted = str(path).replace("'", "''")
    how = f"storage_version '{STORAGE_VERSION}'" if write else "read_only"
    while True:
        before = _inode(path)
        try:
            raw.execute(f"attach '{quoted}' as {name} ({how})")
        except _driver().Error as error:
            fault = translate(error, path)
            if not isinstance(fault, HistoryBusy) or time.monotonic() >= deadline:
                raise fault from error
        else:
            if before in (None, _inode(path)):
                return
            raw.execute(f"detach {name}")  # compacted or set aside between opening and locking
            continue
        time.sleep(_RETRY)


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


def _prepare(connection: Connection) -> bool:
    """Create, migrate or refuse the schema; False where it must be migrated and cannot be here."""
    try:
        rows = connection.execute("select value::integer from meta where name = 'schema_version'")
    except HistoryBroken:
        tables = {name for (name,) in connection.execute("show tables")}
        if tables and tables.isdisjoint(TABLES) and not _is_a_historys_place(connection.path):
            raise HistoryForeign(connection.path) from None
        if tables or not connection.writable:
            raise
        _create(connection)
        return True
    connection.read("meta")
    version = rows[0][0] if rows else None
    if version is None or version > SCHEMA_VERSION:
        raise HistoryNewer(
            connection.path,
            f"{connection.path} was written by a later version of pytest-aqe "
            f"(schema {version}, this version knows {SCHEMA_VERSION}); upgrade pytest-aqe",
        )
    if version < SCHEMA_VERSION and connection.writable:
        _migrate(connection, version)
    return version == SCHEMA_VERSION or connection.writable


def _schema() -> str:
    from importlib import resources

    return resources.files("pytest_aqe.history").joinpath("schema.sql").read_text("utf-8")


def _create(connection: Connection) -> None:
    with connection.transaction():
        connection.execute(_schema())
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        connection.execute(
            "insert into meta values ('schema_version', $1), ('created_at', $2)",
            (str(SCHEMA_VERSION), now),
        )
        connection.execute("insert into touches (table_name) select unnest($1)", (list(TABLES),))
        connection.wrote("meta")


def _migrate(connection: Connection, version: int) -> None:
    with connection.transaction():
        if version < min(NEW_TABLES):
            raise HistoryError(
                connection.path,
                f"{connection.path} has schema {version}, too old to be migrated; "
                "move it away and the run files rebuild it",
            )
        for step in range(version + 1, SCHEMA_VERSION + 1):
            _add_tables(connection, NEW_TABLES.get(step, ()))
            for change in _CHANGES.get(step, ()):
                connection.execute(change)
        connection.execute(
            "update meta set value = $1 where name = 'schema_version'", (str(SCHEMA_VERSION),)
        )
        connection.wrote("meta")


def _add_tables(connection: Connection, tables: Sequence[str]) -> None:
    """Create tables as schema.sql has them."""
    schema = _schema()
    for table in tables:
        start = schema.index(f"create table {table} (")
        connection.execute(schema[start : schema.index("\n);", start) + len("\n);")])
    connection.execute("insert into touches (table_name) select unnest($1)", (list(tables),))


def set_aside(path: Path) -> Path | None:
    """Move a broken history out of the way, never delete it; return its new place.

    Of two processes that find it broken only one may act, and only while it is: the other
    would move the new file away.
    """
    guard = os.open(path.parent / ".set-aside", os.O_WRONLY | os.O_CREAT)
    try:
        if not runfile.lock(guard):
            return None
        try:
            with open_history(path, write=False, wait=0.0) as connection:
                _read_through(connection)
                return None
        except HistoryBroken:
            pass
        except (HistoryError, NotFound):
            return None
        stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S")
        aside = path.with_name(f"{path.name}.broken-{stamp}-{os.getpid()}")
        path.replace(aside)
        log = path.with_name(f"{path.name}.wal")
        if log.exists():
            log.replace(aside.with_name(f"{aside.name}.wal"))
        return aside
    finally:
        os.close(guard)


def _read_through(connection: Connection) -> None:
    """Read every value: a history opens although a block is damaged, until that is read."""
    for table in TABLES:
        connection.execute(f"select max(hash({table})) from {table}")


def translate(error: Exception, path: Path) -> HistoryError:
    """Return our error for one of duckdb's, by what can be done about it."""
    duckdb = _driver()
    text = str(error).lower()
    reason = str(error).partition("\n")[0]
    if any(mark in text for mark in _BUSY):
        return HistoryBusy(path, f"{path} is in use by another process")
    if any(mark in text for mark in _DENIED):
        return HistoryDenied(path, f"{path} cannot be used ({reason})")
    if any(mark in text for mark in _NEWER):
        return HistoryNewer(
            path, f"{path} was written by a later version of DuckDB; upgrade duckdb"
        )
    broken = (
        duckdb.CatalogException,  # a table is missing
        duckdb.IOException,
        duckdb.InternalException,
        duckdb.FatalException,
        duckdb.SerializationException,
    )
    if isinstance(error, broken) or "corrupt" in text:
        return HistoryBroken(path, f"{path} is damaged or not a history")
    return HistoryError(path, f"{path}: {reason}")
