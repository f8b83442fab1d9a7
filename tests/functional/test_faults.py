"""Whatever is wrong with our folder, outcomes and exit code are those of plain pytest."""

from __future__ import annotations

import os
import random
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

if TYPE_CHECKING:
    from .conftest import Project

Workers = tuple[str, ...]

_OUTCOMES = {"passed": 2, "failed": 1, "skipped": 1}
_NOISE = random.Random(1840).randbytes(64_000)


@pytest.fixture(autouse=True)
def four_tests(project: Project) -> None:
    project.write(
        test_a="def test_1(): pass\ndef test_2(): pass\n",
        test_b="import pytest\ndef test_1(): assert 0\n@pytest.mark.skip\ndef test_2(): pass\n",
    )


def _said(done: pytest.RunResult) -> list[str]:
    """Return the lines of our section but the one that says what was recorded."""
    lines: list[str] = []
    inside = False
    for line in done.outlines:
        if "- aqe -" in line:
            inside = True
        elif line.startswith(("===", "!!!")):
            inside = False
        elif inside and line and not line.startswith(("recorded ", "first failure ")):
            lines.append(line)
    return lines


def _as_plain(project: Project, *arguments: str | Path) -> list[str]:
    """Run with every warning an error; check what the user asked pytest for; return our lines."""
    done = project.run("-W", "error", *arguments)
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    done.assert_outcomes(**_OUTCOMES)
    assert "Traceback" not in str(done.stdout) + str(done.stderr)
    return _said(done)


def _overwrite(path: Path, data: bytes, offset: int = 0) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


_BROKEN: dict[str, Callable[[Path], object]] = {
    "header overwritten": lambda path: _overwrite(path, _NOISE[:4096]),
    "middle overwritten": lambda path: _overwrite(path, _NOISE, 8192),
    "truncated": lambda path: os.truncate(path, 20_000),
    "truncated to its header": lambda path: os.truncate(path, 4096),
    "text": lambda path: path.write_text("this is not a history\n", encoding="utf-8"),
    "noise": lambda path: path.write_bytes(_NOISE),
    "one byte": lambda path: path.write_bytes(b"\0"),
}


@pytest.mark.parametrize("damage", _BROKEN.values(), ids=_BROKEN)
def test_damaged_history(project: Project, damage: Callable[[Path], object]) -> None:
    """A damaged history is set aside and rebuilt from the run files, in one line."""
    project.run()
    damage(project.history)
    damaged = project.history.read_bytes()
    (line,) = _as_plain(project)
    assert "rebuilt from" in line
    (aside,) = project.folder.glob("history.duckdb.broken-*")
    assert aside.read_bytes() == damaged
    assert len(project.statuses()) == 2


def test_damaged_history_under_xdist(project: Project) -> None:
    """With workers it is no different."""
    pytest.importorskip("xdist")
    project.run()
    project.history.write_bytes(_NOISE)
    (line,) = _as_plain(project, "-n2")
    assert "rebuilt from" in line
    assert len(project.statuses()) == 2


def test_empty_history(project: Project) -> None:
    """An empty file in the history's place becomes the history."""
    project.folder.mkdir()
    project.history.touch()
    _as_plain(project)
    assert len(project.statuses()) == 1


def test_lost_history(project: Project) -> None:
    """A history that was deleted is rebuilt from the run files."""
    project.run()
    project.history.unlink()
    _as_plain(project)
    assert len(project.statuses()) == 2


def test_damaged_write_ahead_log(project: Project) -> None:
    """Noise in the write-ahead log beside the history changes nothing for the user."""
    project.run()
    project.history.with_name("history.duckdb.wal").write_bytes(_NOISE)
    assert len(_as_plain(project)) <= 1
    _as_plain(project)
    assert len(project.statuses()) == 3


def test_missing_table(project: Project) -> None:
    """A history that lost a table is set aside and rebuilt."""
    project.run()
    with duckdb.connect(str(project.history)) as connection:
        connection.execute("drop table rollups")
    (line,) = _as_plain(project)
    assert "rebuilt from" in line
    assert len(project.statuses()) == 2


def test_directory_in_place_of_history(project: Project) -> None:
    """A directory in the history's place is left alone; the run waits in its file."""
    project.history.mkdir(parents=True)
    (project.history / "precious").touch()
    assert len(_as_plain(project)) == 1
    assert (project.history / "precious").exists()
    assert len(list((project.folder / "runs").glob("*.jsonl"))) == 1


def test_newer_schema(project: Project, workers: Workers) -> None:
    """A history of a later version is left as it is; the run waits in its file."""
    project.run()
    with duckdb.connect(str(project.history)) as connection:
        connection.execute("update meta set value = '999' where name = 'schema_version'")
    before = project.history.read_bytes()
    (line,) = _as_plain(project, *workers)
    assert "later version of pytest-aqe" in line
    assert project.history.read_bytes() == before
    assert len(list((project.folder / "runs").glob("*.jsonl"))) == 1


def test_older_schema(project: Project) -> None:
    """A history too old to be migrated is left as it is; the run waits in its file."""
    project.run()
    with duckdb.connect(str(project.history)) as connection:
        connection.execute("update meta set value = '0' where name = 'schema_version'")
    assert len(_as_plain(project)) <= 2
    assert len(list((project.folder / "runs").glob("*.jsonl"))) == 1


def test_file_in_place_of_folder(project: Project, workers: Workers) -> None:
    """A file where our folder should be costs one line."""
    project.folder.write_text("mine\n", encoding="utf-8")
    assert len(_as_plain(project, *workers)) == 1
    assert project.folder.read_text(encoding="utf-8") == "mine\n"


def _first_failure(project: Project, *arguments: str) -> list[str]:
    """Return what is said of the first failure."""
    done = project.run(*arguments)
    return [line for line in done.outlines if line.startswith("first failure ")]


@pytest.mark.parametrize("outcomes", ["0111", "10", "1"])
def test_first_failure_where_nothing_is_kept(
    project: Project, workers: Workers, outcomes: str
) -> None:
    """Every test counts towards the first failure, whether its result can be kept or not."""
    project.write(
        test_a=f"""
        import pytest
        @pytest.mark.parametrize("passes", {[*map(int, outcomes)]})
        def test_1(passes): assert passes
        """,
    )
    project.run()
    _allow_no_run_file(project)
    (line,) = _first_failure(project, *workers)
    assert f" of {len(outcomes) + 2} tests" in line
    places = [*map(int, outcomes), 0].index(0) + 1
    assert workers or f"(same failures in collected order: {places}" in line


def test_first_failure_of_a_stopped_run_where_nothing_is_kept(project: Project) -> None:
    """What did not run may have failed earlier in another order."""
    project.run()
    _allow_no_run_file(project)
    (line,) = _first_failure(project, "-x")
    assert line == "first failure after 1 of 1 test"


def _allow_no_run_file(project: Project) -> None:
    shutil.rmtree(project.folder / "runs")
    (project.folder / "runs").touch()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc on this system")
def test_folder_that_cannot_be_made(project: Project) -> None:
    """A path where nobody may create a folder costs one line."""
    assert len(_as_plain(project, "--aqe-history=/proc/aqe/history.duckdb")) == 1


def test_dangling_link(project: Project) -> None:
    """A link that leads nowhere in place of our folder costs one line."""
    project.folder.symlink_to(project.path / "nowhere" / "at all", target_is_directory=True)
    assert len(_as_plain(project)) == 1


def test_folder_without_permission(project: Project) -> None:
    """A folder that may not be written costs one line."""
    project.run()
    project.folder.chmod(0o500)
    try:
        if os.access(project.folder, os.W_OK):
            pytest.skip("this user may write everywhere")
        lines = _as_plain(project)
    finally:
        project.folder.chmod(0o700)
    assert len(lines) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no file size limit")
@pytest.mark.parametrize("limit", [0, 700, 2_000, 30_000, 300_000])
@pytest.mark.parametrize("known", [False, True], ids=["first run", "later run"])
def test_full_disk(project: Project, limit: int, known: bool) -> None:
    """Where nothing, or not everything, can be written, the run is the user's all the same."""
    if known:
        project.run()
    process = project.python(
        """
        import resource, signal, sys
        import pytest

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
        sys.exit(pytest.main(sys.argv[2:]))
        """,
        str(limit),
        "--aqe",
        *("-W", "error", "-s", "-p", "no:cacheprovider"),
    )
    printed, _ = process.communicate()
    assert process.returncode == pytest.ExitCode.TESTS_FAILED, printed
    assert "1 failed, 2 passed, 1 skipped" in printed
    assert "Traceback" not in printed
    _as_plain(project)
    assert project.statuses()[-1] == "complete"


def test_lock_for_the_whole_session(project: Project) -> None:
    """While another process holds the history, runs wait in their files; then all are taken."""
    project.run()
    holder = project.python(
        """
        import duckdb, sys

        connection = duckdb.connect(sys.argv[1])
        print("held", flush=True)
        sys.stdin.read()
        """,
        project.history,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    try:
        (line,) = _as_plain(project)
    finally:
        holder.communicate()
    assert line.endswith("is in use by another process; order was not applied")
    assert project.statuses() == ["complete"]
    _as_plain(project)
    assert project.statuses() == ["complete"] * 3


def _run_file(project: Project, name: str, data: bytes, age: float = 3600) -> Path:
    path = project.folder / "runs" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (time.time() - age,) * 2)
    return path


@pytest.mark.parametrize(
    "data", [_NOISE, b"", b"{}\n", b"[]\n", b"null\n", b'{"type":"run","format":99}\n', b"\n" * 99]
)
def test_what_is_no_run_file(project: Project, data: bytes) -> None:
    """A file that is no run file is set aside, in one line, and never again."""
    path = _run_file(project, "odd.jsonl", data)
    assert len(_as_plain(project)) == 1
    assert not path.exists()
    assert (project.folder / "runs" / "refused" / "odd.jsonl").read_bytes() == data
    assert _as_plain(project) == []


def test_run_file_that_is_just_coming_to_be(project: Project) -> None:
    """An empty run file of this minute belongs to a run that starts, and stays."""
    path = _run_file(project, "new.jsonl", b"", age=0)
    assert _as_plain(project) == []
    assert path.exists()


_RUN = b'{"type":"run","format":1,"run_id":"cut","started_at":"2026-01-01T00:00:00+00:00"}\n'
_RESULT = b'{"type":"result","node_id":"test_z.py::test_%d","outcome":"passed","call":0.1}\n'


def _cut(project: Project) -> list[tuple[str, str]]:
    return project.sql(
        "select identity, outcome from results join tests using (test_no) "
        "join runs using (run_no) where run_id = 'cut' order by 1"
    )


def test_truncated_last_line(project: Project) -> None:
    """Of a run file cut off within a line, everything before is taken."""
    _run_file(project, "cut.jsonl", _RUN + _RESULT % 1 + (_RESULT % 2)[:40])
    assert len(_as_plain(project)) <= 1
    assert _cut(project) == [("test_z.py::test_1", "passed")]


def test_noise_within_a_run_file(project: Project) -> None:
    """Of a run file with noise in it, the whole lines are taken, and one line says so."""
    _run_file(project, "cut.jsonl", _RUN + _RESULT % 1 + _NOISE + b"\n" + _RESULT % 2)
    assert len(_as_plain(project)) <= 1
    assert _cut(project) == [("test_z.py::test_1", "passed"), ("test_z.py::test_2", "passed")]


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"result","node_id":"test_z.py::test_9","outcome":"splendid"}\n',
        b'{"type":"result","node_id":7,"outcome":"passed","call":"long"}\n',
        b'{"type":"result","node_id":"test_z.py::test_9"}\n',
        b'{"type":"result","node_id":null,"outcome":"passed"}\n',
        b'{"type":"end","status":7,"exit_status":"many"}\n',
        b'{"type":"rename","old":"test_z.py::test_1","new":null}\n',
        b'{"type":"news"}\n',
    ],
)
def test_odd_line(project: Project, line: bytes) -> None:
    """A line that means nothing to us costs at most one line, and no other result."""
    _run_file(project, "cut.jsonl", _RUN + _RESULT % 1 + line + _RESULT % 2)
    assert len(_as_plain(project)) <= 1
    assert {("test_z.py::test_1", "passed"), ("test_z.py::test_2", "passed")} <= set(_cut(project))


@pytest.mark.parametrize(
    "field",
    [
        b'"plugins":7',
        b'"suite":null',
        b'"run_id":{}',
        b'"commit":["a"]',
        b'"started_at":"yesterday"',
    ],
)
def test_odd_start(project: Project, field: bytes) -> None:
    """A run file that describes its run oddly is set aside, in one line, and stops nobody."""
    _run_file(project, "cut.jsonl", _RUN[:-2] + b"," + field + b"}\n" + _RESULT % 1)
    assert len(_as_plain(project)) == 1
    assert _as_plain(project) == []
    assert project.statuses() == ["complete"] * 2
    assert (project.folder / "runs" / "refused" / "cut.jsonl").exists()


def test_folder_within_runs(project: Project) -> None:
    """A folder named like a run file is no trouble."""
    (project.folder / "runs" / "odd.jsonl").mkdir(parents=True)
    assert len(_as_plain(project)) <= 1
    assert len(project.statuses()) == 1


def test_folder_removed_by_a_test(project: Project, workers: Workers) -> None:
    """A test that deletes our folder costs at most two lines."""
    project.write(
        test_a="""
        import pathlib, shutil
        def test_1(): pass
        def test_2(): shutil.rmtree(pathlib.Path(__file__).with_name(".aqe"), ignore_errors=True)
        """
    )
    project.run()
    assert len(_as_plain(project, *workers)) <= 2


def test_working_directory_changed_by_a_test(
    project: Project, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test that changes the working directory, or deletes it, changes nothing of ours."""
    monkeypatch.chdir(project.path)  # back to it at the end
    project.write(
        test_a="""
        import os
        def test_1(): os.mkdir("gone"); os.chdir("gone"); os.rmdir("../gone")
        def test_2(): pass
        """
    )
    assert _as_plain(project, *workers) == []
    assert len(project.results()) == 4


@pytest.mark.skipif(shutil.which("git") is None, reason="no git")
def test_broken_repository(project: Project) -> None:
    """A damaged git repository leaves commit and change unknown, silently."""
    project.commit_all()
    (project.path / ".git" / "HEAD").write_bytes(b"\0\0")
    assert _as_plain(project) == []
    assert project.sql('select "commit" from runs') == [(None,)]


def test_closed_files(project: Project) -> None:
    """A test that closes every open file of the process costs at most one line."""
    project.write(
        test_a="""
        import os
        def test_1(): pass
        def test_2():
            for number in range(3, 64):
                if os.path.realpath(f"/proc/self/fd/{number}").endswith(".jsonl"):
                    os.close(number)
        """
    )
    done = project.run_apart("-W", "error")
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    done.assert_outcomes(**_OUTCOMES)
    assert len(_said(done)) <= 2


def test_that_nothing_is_recorded_is_told_once(project: Project) -> None:
    """However many there are who had something to keep."""
    project.folder.write_text("")
    said = _as_plain(project, "--aqe-gaps")
    (line,) = [line for line in said if line.startswith("nothing is recorded: cannot create")]
    assert line.endswith(")")
    assert "times" not in line
