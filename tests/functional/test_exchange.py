"""import, export, merge and prune: runs in and out of a history, through the command."""

from __future__ import annotations

import csv
import json
import shutil
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from pytest_aqe.history.interchange import RESULTS, RUNS

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Project

SUITE = """
    import unittest

    import pytest

    @pytest.fixture
    def breaks_afterwards():
        yield
        raise RuntimeError("afterwards")

    def test_passes(): pass

    def test_fails():
        assert {"a": 1} == {"a": 2}, "values differ"

    def test_raises():
        raise ValueError("two\\nlines")

    def test_teardown(breaks_afterwards): pass

    def test_both(breaks_afterwards): assert 0

    @pytest.mark.xfail
    def test_xfails(): assert 0

    @pytest.mark.xfail(strict=True)
    def test_passes_unexpectedly(): pass

    def test_lacks_a_fixture(nowhere): pass

    @pytest.mark.skip
    def test_skips(): pass

    class TestGroup:
        @pytest.mark.parametrize("x", ["a.b", "c[d]", "e::f"])
        def test_many(self, x): pass

    class Case(unittest.TestCase):
        def test_parts(self):
            for number in range(3):
                with self.subTest(number=number):
                    self.assertNotEqual(number, 1)
    """


def _told(project: Project, origin: str) -> dict[str, Any]:
    """Return what the runs of one origin say of every test."""
    return {
        identity: (outcome, attempt, signature)
        for identity, outcome, attempt, signature in project.sql(
            "select identity, outcome, attempt, signature from results join runs using (run_no) "
            f"join tests using (test_no) where origin = '{origin}'"
        )
    }


@pytest.mark.parametrize("family", ["xunit1", "xunit2"])
def test_junit_xml_tells_what_the_session_told(project: Project, family: str) -> None:
    """Tests, outcomes and signatures of an imported report are those recorded live.

    But for a unittest sub-test's, whose traceback pytest prints without the frame that
    raised: there only the file differs.
    """
    project.write(tests__sub__test_it=SUITE)
    project.write_ini(f"junit_family = {family}")
    project.run("--junit-xml=report.xml")
    answer = project.answer("import", "report.xml")
    assert answer["files"][0]["runs"] == 1
    live, imported = _told(project, "session"), _told(project, "junit")
    parts = "tests/sub/test_it.py::Case::test_parts"
    assert imported.pop(parts)[0] == live.pop(parts)[0] == "failed"
    assert imported == live


def test_a_reportlog_tells_what_the_session_told(
    project: Project, workers: tuple[str, ...]
) -> None:
    """Its reports are folded as live ones are."""
    pytest.importorskip("pytest_reportlog")
    project.write(tests__sub__test_it=SUITE)
    project.run("--report-log=log.jsonl", *workers)
    project.answer("import", "log.jsonl")
    assert _told(project, "reportlog") == _told(project, "session")


def test_a_report_is_one_run_however_often_it_is_imported(project: Project) -> None:
    """Its name is the hash of its content."""
    project.write(test_it="def test_a(): pass")
    project.pytest("--junit-xml=report.xml")
    shutil.copy(project.path / "report.xml", project.path / "copy.xml")
    answer = project.answer("import", "report.xml", "copy.xml")
    assert [(file["runs"], file["known_runs"]) for file in answer["files"]] == [(1, 0), (0, 1)]


def test_an_imported_history_orders_the_next_session(project: Project) -> None:
    """A test that failed in the imported run is first."""
    project.write(test_a="def test_a(): pass", test_b="def test_b(): pass")
    (project.path / "past.csv").write_text(
        "run_id,node_id,outcome,started_at\n"
        "n1,test_a.py::test_a,passed,2026-01-01\nn1,test_b.py::test_b,failed,2026-01-01\n"
    )
    project.answer("import", "past.csv")
    result = project.run("-v")
    result.stdout.fnmatch_lines(["*test_b.py::test_b PASSED*", "*test_a.py::test_a PASSED*"])


def test_a_bad_file_is_named_and_the_others_are_imported(project: Project) -> None:
    """The exit code is 2, and nothing of the bad file is in the history."""
    (project.path / "good.csv").write_text("run_id,node_id,outcome\nn1,a,passed\n")
    (project.path / "bad.csv").write_text("run_id,node_id,outcome\nn2,a,passed\nn2,b,oops\n")
    code, printed = project.command("import", "bad.csv", "good.csv", "absent.xml")
    assert code == 2
    assert "bad.csv, line 3, column 'outcome': 'oops' is none of" in printed
    assert "absent.xml: cannot be read (No such file or directory)" in printed
    assert project.sql("select run_id from runs") == [("n1",)]
    refused = project.answer("import", "bad.csv")["refused"]
    assert [(each["line"], each["column"]) for each in refused] == [(3, "outcome")]


JUNIT = """<?xml version="1.0"?>
<testsuites>
<testsuite name="first">
</testsuite>
<testsuite name="second"
           timestamp="{time}">
<testcase classname="test_a" name="test_x"/>
<testcase classname="test_a" name="{name}"/>
</testsuite>
</testsuites>
"""


def _logged(number: int, **more: Any) -> str:
    return "".join(
        json.dumps(
            {
                "$report_type": "TestReport",
                "nodeid": f"test_a.py::test_{number}",
                "outcome": "passed",
                "when": when,
            }
            | more
        )
        + "\n"
        for when in ("setup", "call", "teardown")
    )


@pytest.mark.parametrize(
    "name, text, line",
    [
        ("report.xml", JUNIT.format(time="yesterday", name="test_y"), 5),
        ("report.xml", JUNIT.format(time="2026-13-01T00:00:00", name="test_y"), 5),
        ("report.xml", JUNIT.format(time="2026-01-01T00:00:00Z", name=""), 8),
        ("log.jsonl", _logged(1) + _logged(2) + _logged(3, nodeid=""), 9),
        ("log.jsonl", _logged(1) + _logged(2, aqe={"position": -1}) + _logged(3), 6),
    ],
)
def test_a_bad_report_is_named_by_its_own_line(
    project: Project, name: str, text: str, line: int
) -> None:
    """Not by that of the table it is turned into."""
    (project.path / name).write_text(text, encoding="utf-8")
    (refused,) = project.answer("import", name)["refused"]
    assert (refused["file"], refused["line"]) == (name, line)


@pytest.mark.parametrize(
    "time",
    [
        "2026-01-02T03:04:05",
        "2026-01-02 03:04:05.1+0000",
        "2026-01-02T03:04:05.1234Z",
        "2026-01-02",
    ],
)
def test_the_times_of_other_writers_are_taken(project: Project, time: str) -> None:
    """Reports come from more tools than one."""
    (project.path / "report.xml").write_text(JUNIT.format(time=time, name="test_y"))
    code, printed = project.command("import", "report.xml")
    assert (code, printed) == (0, "report.xml: 2 results of 1 run\n")


def test_unknown_columns_are_named(project: Project) -> None:
    """Nobody should believe that they were taken in."""
    (project.path / "a.csv").write_text("run_id,node_id,outcome,colour\nn1,a,passed,red\n")
    assert "not in the format: colour" in project.command("import", "a.csv")[1]


def test_imports_of_a_suite_stay_apart(project: Project) -> None:
    """--suite says of which variant they are."""
    (project.path / "a.csv").write_text("run_id,node_id,outcome\nn1,a,passed\n")
    project.answer("import", "a.csv", "--suite", "py314")
    assert project.sql("select suite from tests") == [("py314",)]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_an_export_holds_every_result(project: Project) -> None:
    """One row an attempt, in the columns of the format, in the order of recording."""
    project.write(test_it="def test_b(): pass\n\ndef test_a(): assert 0")
    project.run()
    answer = project.answer("export", "out.csv", "--runs-out", "runs.csv")
    assert (answer["results"], answer["runs"]) == (2, 1)
    rows, (run,) = _rows(project.path / "out.csv"), _rows(project.path / "runs.csv")
    assert [(row["node_id"], row["outcome"]) for row in rows] == [
        ("test_it.py::test_b", "passed"),
        ("test_it.py::test_a", "failed"),
    ]
    assert (tuple(rows[0]), tuple(run)) == (RESULTS, RUNS)
    assert float(rows[0]["duration"]) > 0


def test_an_export_imported_elsewhere_says_the_same(project: Project, tmp_path: Path) -> None:
    """Renamed tests and the order they are run in included."""
    project.write(test_old="def test_a(): assert 0\n\ndef test_b(): pass")
    project.run()
    (project.path / "test_old.py").rename(project.path / "test_new.py")
    project.run()
    project.answer("export", "out.parquet", "--runs-out", "runs.parquet")
    told = project.results("identity, outcome, attempt, results.duration, position, signature")
    rollups = (
        "select identity, rollups.runs, failures, streak from rollups join tests using (test_no)"
    )
    rolled = sorted(project.sql(rollups))
    shutil.rmtree(project.folder)
    project.answer("import", "out.parquet", "--runs", "runs.parquet")
    assert told == project.results(
        "identity, outcome, attempt, results.duration, position, signature"
    )
    assert rolled == sorted(project.sql(rollups))


def test_in_a_part_of_a_repository_node_ids_are_those_pytest_prints(project: Project) -> None:
    """They go out without the way from the git root and come in with it."""
    (project.path / ".git").rename(project.path.parent / ".git")
    try:
        project.write(test_it="def test_a(): pass")
        project.run()
        project.answer("export", "out.csv")
        (row,) = _rows(project.path / "out.csv")
        assert (row["node_id"], row["file"]) == ("test_it.py::test_a", "test_it.py")
        shutil.rmtree(project.folder)
        project.answer("import", "out.csv")
        assert project.sql("select identity, file from tests") == [
            (f"{project.path.name}/test_it.py::test_a", f"{project.path.name}/test_it.py")
        ]
    finally:
        (project.path.parent / ".git").rename(project.path / ".git")


def test_an_export_replaces_a_file_only_by_force(project: Project) -> None:
    """Without it the exit code is 2 and the file is what it was."""
    project.write(test_it="def test_a(): pass")
    project.run()
    out = project.path / "out.parquet"
    out.write_text("mine")
    assert project.command("export", "out.parquet")[0] == 2
    assert out.read_text() == "mine"
    assert project.command("export", "out.parquet", "--force")[0] == 0
    assert duckdb.sql(f"select count(*) from '{out}'").fetchall() == [(1,)]


@pytest.mark.parametrize("name", ["out.txt", "out", "out.parquet.gz"])
def test_an_export_of_another_ending_is_refused(project: Project, name: str) -> None:
    """The ending says which format is meant."""
    project.write(test_it="def test_a(): pass")
    project.run()
    assert project.command("export", name)[0] == 2


def _shard(project: Project, name: str) -> Path:
    """Record a run elsewhere; return its ``.aqe`` folder."""
    project.write(**{f"test_{name}": "def test_a(): pass"})
    folder = project.path / name / ".aqe"
    project.run(f"--aqe-history={folder / 'history.duckdb'}", f"test_{name}.py")
    return folder


def test_shards_merge_into_one_history(project: Project) -> None:
    """Histories, run files and folders of both, each run once, the sources untouched."""
    one, two = _shard(project, "one"), _shard(project, "two")
    (kept,) = (two / "runs" / "ingested").iterdir()
    before = {path: path.read_bytes() for path in (one / "history.duckdb", kept)}
    answer = project.answer("merge", one / "history.duckdb", kept, project.path / "two")
    assert (answer["runs"], answer["refused"]) == (2, [])
    assert project.results("identity") == [("test_one.py::test_a",), ("test_two.py::test_a",)]
    again = project.answer("merge", one, two)
    assert (again["runs"], again["known_runs"]) == (0, 4)
    assert {path: path.read_bytes() for path in before} == before


def test_a_source_that_is_none_of_ours_is_named(project: Project) -> None:
    """The exit code is 2, and the good ones are merged all the same."""
    one = _shard(project, "one")
    (project.path / "log.jsonl").write_text('{"pytest_version": "9.2.0"}\n')
    (project.path / "other.duckdb").write_text("no database")
    (project.path / "empty").mkdir()
    code, printed = project.command("merge", "log.jsonl", one, "other.duckdb", "absent", "empty")
    assert code == 2
    for name in ("log.jsonl", "other.duckdb", "absent", "empty"):
        assert name in printed
    assert project.sql("select count(*) from runs") == [(1,)]


def test_our_own_folder_merges_to_nothing(project: Project) -> None:
    """Our history is passed over, our runs are known."""
    project.write(test_it="def test_a(): pass")
    project.run()
    answer = project.answer("merge", ".aqe")
    assert (answer["runs"], answer["refused"]) == (0, [])


def test_merged_run_files_survive_the_loss_of_the_history(project: Project) -> None:
    """They are kept beside our own, from which it is rebuilt."""
    one = _shard(project, "one")
    project.answer("merge", *(one / "runs" / "ingested").iterdir())
    project.history.unlink()
    assert project.answer("status")["runs"] == 1


def test_prune_forgets_old_runs_and_says_what(project: Project) -> None:
    """Runs, results and sizes are told; a dry run removes nothing."""
    project.write(test_it="def test_a(): pass")
    project.run()
    (project.path / "past.csv").write_text(
        "run_id,node_id,outcome,started_at\nn1,gone,failed,2020-01-01\nn2,test_it.py::test_a,"
        "failed,2020-01-02\n"
    )
    project.answer("import", "past.csv")
    dry = project.answer("prune", "--keep", "90d", "--dry-run")
    assert (dry["runs"], dry["results"], project.answer("status")["runs"]) == (2, 2, 3)
    done = project.answer("prune", "--keep", "12w")
    assert (done["runs"], done["results"], done["tests"]) == (2, 2, 1)
    assert done["bytes_after"] == project.history.stat().st_size
    assert project.results() == [("test_it.py::test_a", "passed")]
    assert project.answer("doctor")["problems"] == []
    assert project.sql("select runs, failures from rollups") == [(1, 0)]


def test_prune_keeps_the_latest_runs(project: Project) -> None:
    """By number, with their run files."""
    project.write(test_it="def test_a(): pass")
    for _ in range(3):
        project.run()
    assert project.answer("prune", "--keep-runs", "1")["run_files"] == 2
    project.history.unlink()
    assert project.answer("status")["runs"] == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("--keep", "90"),
        ("--keep", "-1d"),
        ("--keep", "999999w"),
        ("--keep-runs", "0"),
        ("--keep", "1d", "--keep-runs", "1"),
    ],
)
def test_prune_refuses_a_rule_it_does_not_understand(
    project: Project, arguments: tuple[str, ...]
) -> None:
    """Nothing is deleted by guess."""
    with pytest.raises(SystemExit) as caught:
        project.command("prune", *arguments)
    assert caught.value.code == 2


def test_a_session_after_a_prune_records_as_before(project: Project) -> None:
    """The compacted file is an ordinary history."""
    project.write(test_it="def test_a(): pass")
    project.run()
    project.answer("prune", "--keep", "1d")
    project.run()
    assert project.sql("select count(*) from runs") == [(2,)]


def test_there_is_nothing_to_prune_without_a_history(project: Project) -> None:
    """And none is made."""
    assert project.command("prune")[0] == 1
    assert not project.history.exists()


def test_every_table_that_moves_is_touched(project: Project) -> None:
    """`doctor` shows when an import wrote and an export read."""
    (project.path / "a.csv").write_text("run_id,node_id,outcome\nn1,a,passed\n")
    project.answer("import", "a.csv")
    project.answer("export", "out.csv", "--runs-out", "runs.csv")
    touched = {
        name: (written, read)
        for name, written, read in project.sql(
            "select table_name, last_write is not null, last_read is not null from touches"
        )
    }
    for name in ("runs", "tests", "results", "changed_files"):
        assert touched[name] == (True, True), json.dumps(touched)
