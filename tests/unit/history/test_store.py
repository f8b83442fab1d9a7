"""A history of an earlier version is brought up to date by whoever opens it, and loses nothing."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pytest_aqe.data import Result, Run, RunEnd
from pytest_aqe.errors import HistoryDenied, HistoryError, HistoryNewer
from pytest_aqe.history import runfile, writes
from pytest_aqe.history.store import NEW_TABLES, SCHEMA_VERSION, TABLES, open_history

OLDER = range(1, SCHEMA_VERSION)
WRITE = """
import sys, duckdb
with duckdb.connect(sys.argv[1]) as connection:
    connection.execute("insert into meta values ('note', 'there')")
"""
START = "2026-01-01T00:00:00+00:00"


def record(folder: Path, run_id: str) -> None:
    """Leave a finished run file of two results in ``folder``."""
    writer = runfile.RunFileWriter(folder, Run(run_id=run_id, started_at=START))
    writer.append(Result("t.py::f", "passed", call=1.0))
    writer.append(Result("t.py::g", "failed", call=2.0))
    writer.close(RunEnd(START, "complete", 1, 2, 0, 2))


def contents(path: Path, *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return every row of every table, but for when a table was last looked at."""
    with duckdb.connect(str(path), read_only=True) as connection:
        return {
            table: connection.execute(f"select * from {table} order by all").fetchall()
            for table in TABLES
            if table not in ("touches", "meta", *without)
        }


def tables(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return every table that is there, with its columns and their types."""
    with duckdb.connect(str(path), read_only=True) as connection:
        rows = connection.execute(
            "select table_name, column_name, data_type from duckdb_columns() order by all"
        ).fetchall()
    return {table: [row[1:] for row in rows if row[0] == table] for table, *_ in rows}


def version(path: Path) -> str:
    """Return the schema version that the file names."""
    with duckdb.connect(str(path), read_only=True) as connection:
        ((found,),) = connection.execute(
            "select value from meta where name = 'schema_version'"
        ).fetchall()
    return str(found)


def age(path: Path, to: int) -> None:
    """Make a history what an earlier version would have left: fewer tables and columns."""
    steps = range(to + 1, SCHEMA_VERSION + 1)
    newer = [table for step in steps for table in NEW_TABLES.get(step, ())]
    with duckdb.connect(str(path)) as connection:
        connection.execute("alter table dependencies drop column ran_no")
        for table in newer:
            connection.execute(f"drop table {table}")
        connection.execute("delete from touches where list_contains($1, table_name)", [newer])
        connection.execute(f"update meta set value = '{to}' where name = 'schema_version'")


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """A history of two runs."""
    path = tmp_path / "history.duckdb"
    for run_id in ("r1", "r2"):
        record(tmp_path, run_id)
    writes.remember(path)
    return path


@pytest.mark.parametrize("older", OLDER)
@pytest.mark.parametrize("write", [True, False], ids=["to write", "to read"])
def test_an_older_history_is_migrated_by_opening_it(history: Path, older: int, write: bool) -> None:
    """Every row is as before, every table as a new history has it."""
    before, fresh = contents(history), tables(history)
    age(history, older)
    assert tables(history) != fresh
    with open_history(history, write=write) as connection:
        assert connection.execute("select count(*) from runs") == [(2,)]
        assert connection.execute("select count(*) from dependencies") == [(0,)]
    assert contents(history) == before
    assert tables(history) == fresh
    assert version(history) == str(SCHEMA_VERSION)


@pytest.mark.parametrize("older", OLDER)
def test_an_ingest_into_an_older_history_is_one_into_a_new_one(
    history: Path, tmp_path: Path, older: int
) -> None:
    """The next run is added to what was there, also to what `doctor` watches."""
    age(history, older)
    record(tmp_path, "r3")
    writes.remember(history)
    with open_history(history, write=False) as connection:
        assert connection.execute("select count(*) from results") == [(6,)]
        watched = {name for (name,) in connection.execute("select table_name from touches")}
    assert watched == set(TABLES)


def test_an_older_history_that_cannot_be_written_is_left_alone(history: Path) -> None:
    """It says so; nothing is half done."""
    age(history, 1)
    before = history.read_bytes()
    history.chmod(stat.S_IRUSR)
    history.parent.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        if _is_writable(history):
            pytest.skip("this user may write everything")
        with pytest.raises(HistoryDenied), open_history(history, write=False):
            pass
        assert history.read_bytes() == before
    finally:
        history.parent.chmod(stat.S_IRWXU)


def _is_writable(path: Path) -> bool:
    try:
        with path.open("ab"):
            return True
    except OSError:
        return False


def test_a_version_before_the_first_is_refused(history: Path) -> None:
    """What no step leads from is named, and the file stays."""
    age(history, 1)
    with duckdb.connect(str(history)) as connection:
        connection.execute("update meta set value = '0' where name = 'schema_version'")
    before = history.read_bytes()
    for write in (True, False):
        with (
            pytest.raises(HistoryError, match="too old to be migrated"),
            open_history(history, write=write),
        ):
            pass
    assert history.read_bytes() == before


def test_a_later_version_is_refused(history: Path) -> None:
    """Only a later version of ours knows what it means."""
    with duckdb.connect(str(history)) as connection:
        connection.execute("update meta set value = '999' where name = 'schema_version'")
    for write in (True, False):
        with pytest.raises(HistoryNewer, match="upgrade"), open_history(history, write=write):
            pass


class TestOneDatabaseAProcess:
    """A second opening attaches its file to the database in memory of the first."""

    def test_nothing_is_held_between_two_openings(self, tmp_path: Path) -> None:
        """Another process can write, and the first one then reads what it wrote."""
        history = tmp_path / "history.duckdb"
        with open_history(history, write=True) as connection:
            connection.execute("create temp table left_behind as select 1")
        subprocess.run([sys.executable, "-c", WRITE, str(history)], check=True, capture_output=True)
        with open_history(history, write=False) as connection:
            assert connection.execute("select value from meta where name = 'note'") == [("there",)]
            with pytest.raises(HistoryError):
                connection.execute("from left_behind")

    def test_two_histories_in_one_process(self, tmp_path: Path) -> None:
        """One is opened while the other is open, and each is its own."""
        for name in ("a", "b"):
            with open_history(tmp_path / name, write=True) as connection:
                connection.execute(f"insert into meta values ('name', '{name}')")
        asked = "select value from meta where name = 'name'"
        with (
            open_history(tmp_path / "a", write=False) as one,
            open_history(tmp_path / "b", write=False) as other,
        ):
            assert (one.execute(asked), other.execute(asked)) == ([("a",)], [("b",)])

    def test_a_body_that_raises_lets_go_too(self, tmp_path: Path) -> None:
        """What it had not committed is gone, and the next opening finds the rest."""
        history = tmp_path / "history.duckdb"

        def fail() -> None:
            with open_history(history, write=True) as connection:
                connection.execute("begin transaction")
                connection.execute("insert into meta values ('name', 'lost')")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        with open_history(history, write=True) as connection:
            assert connection.execute("select value from meta where name = 'name'") == []

    @pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted there")
    def test_no_thread_stays(self, tmp_path: Path) -> None:
        """Python warns of a fork in a process that has any."""
        program = (
            "import os, pathlib, sys\n"
            "from pytest_aqe.history.store import open_history\n"
            "with open_history(pathlib.Path(sys.argv[1]), write=True): pass\n"
            "print(len(os.listdir('/proc/self/task')))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "history.duckdb")],
            check=True,
            capture_output=True,
            text=True,
        )
        assert done.stdout == "1\n"
