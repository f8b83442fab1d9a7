"""``pytest-aqe status | history | why | doctor``: text for people, JSON for programs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from pytest_aqe import __version__, cli
from pytest_aqe.history.store import STORAGE_VERSION

if TYPE_CHECKING:
    from .conftest import Project


@pytest.fixture
def two_runs(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs of three tests: one never failed, one failed first, one fails still."""
    project.write(
        test_a="""
        import os
        import pytest

        def test_good(): pass
        def test_mended(): assert "SECOND" in os.environ
        @pytest.mark.parametrize("way", ["card", "cash"])
        def test_bad(way): assert way == "card"
        """
    )
    project.run()
    monkeypatch.setenv("SECOND", "1")
    project.run()


COMMANDS = [["status"], ["history"], ["history", "test_bad"], ["why", "test_bad"], ["doctor"]]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_without_history(project: Project, command: list[str]) -> None:
    """Without a history every command says so, starts none, and exits with 1."""
    code, printed = project.command(*command)
    assert code == 1
    assert printed == (
        f"pytest-aqe: there is no history at {project.history}; `pytest --aqe` starts one\n"
    )
    assert not project.folder.exists()


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_damaged_history(project: Project, command: list[str]) -> None:
    """A damaged history is rebuilt or refused; no command ends in a traceback."""
    project.folder.mkdir()
    project.history.write_bytes(b"noise" * 9999)
    code, printed = project.command(*command)
    assert code in (0, 1, 2)
    assert list(project.folder.glob("history.duckdb.broken-*"))
    assert "is damaged or not a history; kept a" in printed
    assert "rebuilt from" in printed


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_file_of_somebody_elses(project: Project, command: list[str]) -> None:
    """A file that was never a history is refused by every command, and left as it is."""
    project.history = project.path / "pytest.ini"
    project.write_ini()
    (project.path / "runs").mkdir()
    (project.path / "runs" / "losses.jsonl").write_text('{"loss": 0.1}\n', encoding="utf-8")
    before = {path: path.is_file() and path.read_bytes() for path in project.path.rglob("*")}
    assert project.command(*command) == (
        2,
        f"pytest-aqe: {project.history} is not a history of pytest-aqe and is left alone; "
        "name another file, or move this one away\n",
    )
    assert before == {
        path: path.is_file() and path.read_bytes() for path in project.path.rglob("*")
    }


def test_a_database_of_somebody_elses(project: Project) -> None:
    """A DuckDB file without a table of ours is no history either."""
    project.history = project.path / "sales.duckdb"
    with duckdb.connect() as connection:
        where = f"'{project.history}' as theirs (storage_version '{STORAGE_VERSION}')"
        connection.execute(f"attach {where}")
        connection.execute("create table theirs.sales (amount integer)")
    code, printed = project.command("status")
    assert (code, "is left alone" in printed) == (2, True)
    assert project.sql("select count(*) from sales") == [(0,)]


def test_a_rebuilt_history_is_told_of(project: Project) -> None:
    """By whoever rebuilds it, where there was nothing to rebuild it from too."""
    project.folder.mkdir()
    project.history.write_bytes(b"noise" * 9999)
    assert "and rebuilt from 0 run files" in project.command("flaky")[1]


def test_damaged_block(project: Project) -> None:
    """A block that only a command reads is damage too: the history is rebuilt, then answered."""
    runs = project.folder / "runs"
    runs.mkdir(parents=True)
    line = '{"type":"result","node_id":"t.py::t[%d]","outcome":"passed","call":%d}\n'
    results = (line % (n, n * 7919 % 10007) for n in range(30_000))
    run = '{"type":"run","format":1,"run_id":"r","started_at":"2026-01-01T00:00:00Z"}\n'
    (runs / "r.jsonl").write_text(run + "".join(results), encoding="utf-8")
    assert project.command("status")[0] == 0
    _damage(project.history, "select sum(duration) from results")
    code, printed = project.command("doctor")
    assert code == 1, printed
    assert "kept aside and rebuilt" in printed
    assert "a broken history was kept" in printed
    assert project.sql("select count(*) from results") == [(30_000,)]


def _damage(history: Path, query: str) -> None:
    """Spoil one block so that the file still opens and this query fails."""
    good = history.read_bytes()
    for start in range(12_288, len(good), 262_144):
        history.write_bytes(good[: start + 64] + b"\xff" * 4096 + good[start + 4160 :])
        try:
            with duckdb.connect(str(history), read_only=True) as connection:
                connection.execute("select count(*) from meta").fetchall()
                with pytest.raises(duckdb.Error):
                    connection.execute(query).fetchall()
        except (duckdb.Error, pytest.fail.Exception):
            continue
        return
    pytest.fail("no block of the file is one that only this query reads")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_newer_history(project: Project, two_runs: None, command: list[str]) -> None:
    """A history of a later version is refused by name, with exit code 2."""
    with duckdb.connect(str(project.history)) as connection:
        connection.execute("update meta set value = '999' where name = 'schema_version'")
    code, printed = project.command(*command)
    assert code == 2
    assert "later version of pytest-aqe" in printed


def test_status(project: Project, two_runs: None) -> None:
    """status shows the size, the runs, and the tests that failed last."""
    code, printed = project.command("status")
    assert code == 0
    lines = printed.splitlines()
    assert lines[0] == f"{project.history}: 2 runs, 4 tests, 8 results"
    assert sum("complete" in line for line in lines) == 2
    assert any(line.endswith("test_a.py::test_bad[cash]") for line in lines)


def test_status_as_json(project: Project, two_runs: None) -> None:
    """status as JSON has the same in full."""
    answer = project.answer("status")
    assert (answer["runs"], answer["tests"], answer["results"]) == (2, 4, 8)
    assert [run["failed"] for run in answer["latest_runs"]] == [1, 2]
    assert [test["identity"] for test in answer["failing"]] == ["test_a.py::test_bad[cash]"]


def test_a_test_that_was_tried_again_is_one_test(project: Project) -> None:
    """Parameters count apart, attempts do not."""
    runs = project.folder / "runs"
    runs.mkdir(parents=True)
    line = '{"type":"result","node_id":"test_a.py::test_%s","outcome":"%s","attempt":%d}\n'
    attempts = [("x[1]", "failed", 0), ("x[1]", "passed", 1), ("x[2]", "passed", 0)]
    (runs / "r.jsonl").write_text(
        '{"type":"run","format":1,"run_id":"r","started_at":"2026-01-01T00:00:00Z"}\n'
        + "".join(line % each for each in attempts),
        encoding="utf-8",
    )
    (run,) = project.answer("status")["latest_runs"]
    assert (run["tests"], run["failed"], run["flaked"]) == (2, 0, 1)
    row = project.command("history")[1].splitlines()[1].split()
    assert row[-4:] == ["2", "0", "1", "-"]


def test_status_takes_up_what_waits(project: Project) -> None:
    """A killed run's file is taken up by whoever looks next."""
    runs = project.folder / "runs"
    runs.mkdir(parents=True)
    (runs / "r.jsonl").write_text(
        '{"type":"run","format":1,"run_id":"r","started_at":"2026-01-01T00:00:00Z"}\n'
        '{"type":"result","node_id":"test_a.py::test_x","outcome":"passed"}\n',
        encoding="utf-8",
    )
    answer = project.answer("status")
    assert answer["runs"] == 1
    assert answer["latest_runs"][0]["status"] == "killed"


def test_history_of_runs(project: Project, two_runs: None) -> None:
    """history without a test lists the runs, newest first."""
    runs = project.answer("history")["runs"]
    assert [run["failed"] for run in runs] == [1, 2]
    assert runs[0]["started_at"] > runs[1]["started_at"]


def test_history_of_a_test(project: Project, two_runs: None) -> None:
    """history of a test lists its attempts, newest first."""
    (test,) = project.answer("history", "test_a.py::test_mended")["tests"]
    assert [attempt["outcome"] for attempt in test["attempts"]] == ["passed", "failed"]
    assert (test["runs"], test["failures"], test["flips"]) == (2, 1, 1)


def test_history_of_a_test_as_text(project: Project, two_runs: None) -> None:
    """history as text has a heading, a table, and nothing else."""
    code, printed = project.command("history", "test_a.py::test_good")
    assert code == 0
    lines = printed.splitlines()
    assert lines[0] == "test_a.py::test_good"
    assert lines[1].split()[:2] == ["run", "started"]
    assert len(lines) == 4


@pytest.mark.parametrize("limit", ["-1", "0", "x", "9999999999999999999"])
def test_a_limit_is_a_number_from_1(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Anything else is a wrong call."""
    with pytest.raises(SystemExit) as done:
        cli.main(["history", "--limit", limit])
    assert done.value.code == 2
    assert "--limit" in capsys.readouterr().err


def test_limit(project: Project, two_runs: None) -> None:
    """--limit bounds what is listed."""
    assert len(project.answer("history", "--limit", "1")["runs"]) == 1
    (test,) = project.answer("history", "test_good", "--limit", "1")["tests"]
    assert len(test["attempts"]) == 1


@pytest.mark.parametrize(
    "name, found",
    [
        ("test_a.py::test_good", ["test_good"]),
        ("test_good", ["test_good"]),
        ("test_bad", ["test_bad[card]", "test_bad[cash]"]),
        ("test_bad[cash]", ["test_bad[cash]"]),
    ],
)
def test_names(project: Project, two_runs: None, name: str, found: list[str]) -> None:
    """A test is meant by its id, by the end of it, or by its function."""
    tests = project.answer("history", name)["tests"]
    assert [test["identity"] for test in tests] == [f"test_a.py::{each}" for each in found]


@pytest.mark.parametrize("command", ["history", "why"])
@pytest.mark.parametrize("name", ["test_nowhere", "", "%", "'; drop table runs; --"])
def test_unknown_name(project: Project, two_runs: None, command: str, name: str) -> None:
    """A name that means no test is said so, with exit code 1."""
    code, printed = project.command(command, name)
    assert code == 1
    assert f"is called {name!r}" in printed
    assert len(project.statuses()) == 2


@pytest.mark.parametrize("command", ["history", "why"])
def test_a_test_that_was_only_skipped(project: Project, command: str) -> None:
    """A test without an execution is known, with a record of none."""
    project.write(test_a="import pytest\n\n@pytest.mark.skip\ndef test_x(): pass\n")
    project.run()
    (test,) = project.answer(command, "test_x")["tests"]
    assert (test["runs"], test["failures"], test["seconds"]) == (0, 0, None)
    code, printed = project.command(command, "test_x")
    assert code == 0
    assert ("skipped" if command == "history" else "skipped in every run") in printed


@pytest.mark.parametrize("command", ["history", "why"])
def test_a_test_of_several_suites(project: Project, command: str) -> None:
    """Where a test exists in more than one suite, each is shown under its suite's name."""
    project.write(test_a="def test_x(): pass\n")
    project.run()
    assert "suite" not in project.command(command, "test_x")[1]
    project.run("--aqe-suite=linux")
    _, printed = project.command(command, "test_x")
    headings = [line for line in printed.splitlines() if line.startswith("test_a.py::test_x")]
    assert headings == ["test_a.py::test_x  (no suite)", "test_a.py::test_x  (suite linux)"]


def test_why(project: Project, two_runs: None) -> None:
    """why gives place, reason, record and signature of a test."""
    code, printed = project.command("why", "test_bad[cash]")
    assert code == 0
    assert printed.startswith("test_a.py::test_bad[cash]\n  why here:  failed last run (2 of 2 ")
    assert "AssertionError@test_a.py#" in printed


def test_why_speaks_of_the_built_in_policy(capsys: pytest.CaptureFixture[str]) -> None:
    """A policy of another plugin is known in a session only, and the help says so."""
    with pytest.raises(SystemExit):
        cli.main(["why", "--help"])
    assert "built-in policy" in " ".join(capsys.readouterr().out.split())


def test_why_as_json(project: Project, two_runs: None) -> None:
    """why as JSON has the numbers behind it."""
    (test,) = project.answer("why", "test_mended")["tests"]
    assert test["tier"] == "known"
    assert test["score"] > 0
    assert (test["runs"], test["failures"]) == (2, 1)


def test_why_says_what_the_plan_says(project: Project, two_runs: None) -> None:
    """why and --aqe-explain give the same reason."""
    (test,) = project.answer("why", "test_mended")["tests"]
    explained = project.run("--aqe-explain").outlines
    assert any("test_mended" in line and test["reason"] in line for line in explained)


def test_why_names_the_change(project: Project) -> None:
    """why lists the files that were changed when the test failed last."""
    project.write(test_a="def test_x(): assert 0\n")
    project.commit_all()
    project.write(shop="x = 1\n")
    project.commit_all()
    project.run("-p", "no:cacheprovider")
    (test,) = project.answer("why", "test_x")["tests"]
    assert test["changed_when_it_last_failed"] == ["shop.py"]


def test_doctor(project: Project, two_runs: None) -> None:
    """doctor finds nothing wrong with a healthy history."""
    code, printed = project.command("doctor")
    assert code == 0
    assert printed.splitlines()[-1] == "no problems found"


def test_doctor_shows_reads_and_writes(project: Project, two_runs: None) -> None:
    """doctor shows when each table was last written, and that all but the empty ones were."""
    tables = {table["table"]: table for table in project.answer("doctor")["tables"]}
    assert {"runs", "tests", "nodes", "results", "rollups"} <= {
        name for name, table in tables.items() if table["rows"] and table["last_write"]
    }
    assert tables["rollups"]["last_read"]


@pytest.mark.parametrize(
    "change",
    [
        "update rollups set runs = 7",
        "update rollups set failures = 77",
        "update rollups set flips = null",
        "update rollups set streak = -streak",
        "update rollups set weight = weight * 1.001",
        "update rollups set seconds_sum = seconds_sum * 1.001",
        "update rollups set first_at = last_at",
        "update rollups set last_failed_run_no = 9",
        "delete from rollups",
        "update results set outcome = 'skipped'",
    ],
)
def test_doctor_recomputes(project: Project, two_runs: None, change: str) -> None:
    """doctor sees a rollup that does not say what the results say."""
    with duckdb.connect(str(project.history)) as connection:
        connection.execute(change)
    code, printed = project.command("doctor")
    assert code == 1
    assert "4 tests differ from their rollup" in printed


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_nothing_is_changed(project: Project, two_runs: None, command: list[str]) -> None:
    """Looking adds no run and no result."""
    project.command(*command)
    assert len(project.statuses()) == 2
    assert len(project.results()) == 8


def test_found_from_below(
    project: Project,
    two_runs: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without --history the one here or above is meant."""
    (project.path / "deep" / "inside").mkdir(parents=True)
    monkeypatch.chdir(project.path / "deep" / "inside")
    capsys.readouterr()
    assert cli.main(["status"]) == 0
    assert capsys.readouterr().out.startswith(f"{project.history}: 2 runs")


def test_found_by_variable(
    project: Project,
    two_runs: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """``PYTEST_AQE_HISTORY`` names the history wherever one stands."""
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    monkeypatch.setenv("PYTEST_AQE_HISTORY", str(project.history))
    capsys.readouterr()
    assert cli.main(["status"]) == 0
    assert capsys.readouterr().out.startswith(f"{project.history}: 2 runs")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """--version is the package's."""
    with pytest.raises(SystemExit) as done:
        cli.main(["--version"])
    assert done.value.code == 0
    assert capsys.readouterr().out == f"pytest-aqe {__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["fly"], ["status", "--format", "xml"], ["why"]])
def test_wrong_call(arguments: list[str]) -> None:
    """A wrong call exits with 2."""
    with pytest.raises(SystemExit) as done:
        cli.main(arguments)
    assert done.value.code == 2


@pytest.mark.parametrize("command", [["import", "x.csv"], ["merge", "x.csv"]], ids=" ".join)
def test_the_system_refuses(project: Project, command: list[str]) -> None:
    """What the system refuses is one line and exit code 2, no traceback."""
    project.folder.write_text("a file where our folder should be", encoding="utf-8")
    code, printed = project.command(*command)
    assert code == 2
    assert printed.startswith(f"pytest-aqe: {project.folder}")
    assert "cannot be used (" in printed
    assert printed.count("\n") == 1


def test_a_broken_history_of_any_name_is_shown(project: Project, two_runs: None) -> None:
    """Brackets in its name are no pattern."""
    history = project.folder / "h[1].duckdb"
    project.history.rename(history)
    broken = history.with_name(f"{history.name}.broken-1")
    broken.touch()
    assert cli.main(["doctor", "--history", str(history)]) == 1


def test_module(project: Project, two_runs: None) -> None:
    """``python -m pytest_aqe`` is the command."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest_aqe", "status"],
        cwd=project.path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(f"{project.history}: 2 runs")
    assert done.stderr == ""


def test_closed_pipe(project: Project, two_runs: None) -> None:
    """A reader that has seen enough is no error."""
    process = project.python(
        "import os, sys; os.close(0)\n"
        "from pytest_aqe.cli import main\n"
        "read, write = os.pipe(); os.close(read); os.dup2(write, 1)\n"
        "sys.exit(main(['status']))"
    )
    printed, _ = process.communicate()
    assert process.returncode == 0
    assert printed == ""


def test_commands_do_without_pytest(project: Project) -> None:
    """Whoever only asks does not wait for pytest and what it imports."""
    process = project.python("import sys, pytest_aqe.cli; print('pytest' in sys.modules)")
    assert process.communicate()[0] == "False\n"


@pytest.mark.parametrize("command", ["proposals", "quarantine"])
def test_a_group_without_an_action_lists(project: Project, command: str) -> None:
    """As ``flaky`` does; arguments that all commands take are taken there too."""
    assert project.command(command) == project.command(command, "list")
    assert project.answer(command) == project.answer(command, "list")
