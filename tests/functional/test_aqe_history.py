"""``--aqe-history``: where the history is kept."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from pytest_aqe.history.store import SCHEMA_VERSION

if TYPE_CHECKING:
    from .conftest import Project

Workers = tuple[str, ...]


@pytest.fixture(autouse=True)
def one_test(project: Project) -> None:
    project.write(test_a="def test_x(): pass\n")


def test_path(project: Project) -> None:
    """The history, its run files and nothing else of ours lie where the flag says."""
    path = project.path / "kept" / "memory.duckdb"
    project.run(f"--aqe-history={path}")
    assert project.sql("select count(*) from results", path) == [(1,)]
    assert (path.parent / "runs" / "ingested").is_dir()
    assert not project.folder.exists()


def test_relative_path(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path counts from the rootdir, wherever pytest is started."""
    project.write_ini("aqe_history = kept/memory.duckdb")
    inner = project.path / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    project.run(project.path)
    assert (project.path / "kept" / "memory.duckdb").exists()


@pytest.mark.parametrize("text", ["[pytest]\n", "x", "a line of text\n" * 500])
def test_a_file_of_somebody_elses(project: Project, text: str) -> None:
    """A file that was never a history is left alone: one line, and the run goes on."""
    taken = project.path / "notes.txt"
    taken.write_text(text, encoding="utf-8")
    before = sorted(project.path.iterdir())
    done = project.run("-p", "no:cacheprovider", "--aqe-gaps", "--aqe-history=notes.txt")
    assert done.ret == pytest.ExitCode.OK
    (line,) = [line for line in done.outlines if "notes.txt" in line]
    assert line == (
        f"aqe: {taken} is not a history of pytest-aqe and is left alone; "
        "name another file, or move this one away"
    )
    assert taken.read_text(encoding="utf-8") == text
    assert sorted(project.path.iterdir()) == before


def test_a_file_of_somebody_elses_under_xdist(project: Project) -> None:
    """With workers it is no different."""
    pytest.importorskip("xdist")
    project.write_ini("")
    before = sorted(project.path.iterdir())
    done = project.run("-p", "no:cacheprovider", "-n2", "--aqe-history=pytest.ini")
    assert done.ret == pytest.ExitCode.OK
    assert sum("is left alone" in line for line in done.outlines) == 1
    assert sorted(project.path.iterdir()) == before


def test_damaged_under_a_name_of_its_own(project: Project) -> None:
    """Where run files of ours lie beside it, what DuckDB did not write is a damaged history."""
    path = project.path / "kept" / "memory.duckdb"
    project.run(f"--aqe-history={path}")
    path.write_bytes(b"noise" * 9999)
    assert "rebuilt from" in str(project.run(f"--aqe-history={path}").stdout)
    assert project.sql("select count(*) from results", path) == [(2,)]


def test_quote_in_path(project: Project) -> None:
    """A path may hold quotes, spaces and semicolons."""
    path = project.path / "it's; here" / "h'.duckdb"
    project.run(f"--aqe-history={path}")
    assert path.exists()


def test_variable_beats_ini(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """``PYTEST_AQE_HISTORY`` wins over the ini key."""
    project.write_ini("aqe_history = ini.duckdb")
    monkeypatch.setenv("PYTEST_AQE_HISTORY", "variable/h.duckdb")
    project.run()
    assert (project.path / "variable" / "h.duckdb").exists()
    assert not (project.path / "ini.duckdb").exists()


def test_flag_beats_variable(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line wins over ``PYTEST_AQE_HISTORY``."""
    monkeypatch.setenv("PYTEST_AQE_HISTORY", "variable/h.duckdb")
    project.run("--aqe-history=flag/h.duckdb")
    assert (project.path / "flag" / "h.duckdb").exists()
    assert not (project.path / "variable").exists()


def test_url(project: Project) -> None:
    """A URL is a usage error that says what this version can do."""
    done = project.run("--aqe-history=postgresql://db/history")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["ERROR: --aqe-history=postgresql://db/history: *file*"])


def test_url_in_variable(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad value is blamed on where it stands."""
    monkeypatch.setenv("PYTEST_AQE_HISTORY", "postgresql://db/history")
    done = project.run()
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["ERROR: PYTEST_AQE_HISTORY=postgresql://db/history: *file*"])


def test_url_while_off(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """While we are off, a history that this version cannot use stops nobody."""
    monkeypatch.setenv("PYTEST_AQE_HISTORY", "postgresql://db/history")
    assert project.pytest().ret == pytest.ExitCode.OK


def test_storage_version(project: Project) -> None:
    """The file has DuckDB's storage version 64, which every duckdb from 1.0 on reads."""
    project.run()
    magic, version = struct.unpack_from("<4sQ", project.history.read_bytes(), 8)
    assert magic == b"DUCK"
    assert version == 64


def test_no_lock_is_left(project: Project) -> None:
    """After the run the file can be opened for writing by anybody."""
    project.run()
    process = project.python(
        "import duckdb, sys; duckdb.connect(sys.argv[1]).execute('checkpoint'); print('free')",
        project.history,
    )
    printed, _ = process.communicate()
    assert printed == "free\n"


def test_no_write_ahead_log_is_left(project: Project) -> None:
    """After the run the file is whole: no log stands beside it."""
    project.run()
    assert not project.history.with_name("history.duckdb.wal").exists()


def test_schema_version(project: Project) -> None:
    """The file says which schema it has."""
    project.run()
    assert project.sql("select value from meta where name = 'schema_version'") == [
        (str(SCHEMA_VERSION),)
    ]


def test_file_of_another_program(project: Project) -> None:
    """A DuckDB file without our tables is left alone, and the run recorded beside it."""
    import duckdb

    project.folder.mkdir()
    with duckdb.connect(str(project.history)) as connection:
        connection.execute("create table precious as select 42 as answer")
    done = project.run()
    assert done.ret == pytest.ExitCode.OK
    kept = [project.history, *project.folder.glob("history.duckdb.broken-*")]
    found = [project.sql("select table_name from duckdb_tables()", path) for path in kept]
    assert [("precious",)] in found
