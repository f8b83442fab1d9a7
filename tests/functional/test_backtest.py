"""``pytest-aqe backtest``: every policy on the runs of the past."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Project

HEADER = "run_id,started_at,node_id,outcome,duration"


@pytest.fixture
def results(project: Project) -> Path:
    """Twelve runs of six tests as CSV: one test fails in every other run."""
    rows = [
        f"{run},2024-01-{run + 1:02}T00:00:00Z,test_a.py::test_{test},"
        f"{'failed' if test == 4 and run % 2 else 'passed'},{test + 1}.5"
        for run in range(12)
        for test in range(6)
    ]
    path = project.path / "results.csv"
    path.write_text("\n".join([HEADER, *rows, ""]), encoding="utf-8")
    return path


def test_files(project: Project, results: Path) -> None:
    """Files are replayed as a history of their own; the project's is not touched."""
    answer = project.answer("backtest", results, "--policy", "random,beta-mean,linear-q,guarded")
    assert (answer["runs"], answer["faulty_runs"], answer["tests"]) == (12, 6, 6)
    found = {each["policy"]: each for each in answer["policies"]}
    assert list(found) == ["random", "beta-mean", "linear-q", "guarded"]
    for each in found.values():
        assert 0 <= each["apfd"] <= 1
        assert each["intervals"]["apfd"][0] <= each["apfd"] <= each["intervals"]["apfd"][1]
        assert each["scored_runs"] == 6
        assert each["seconds"]["deciding"] >= 0
    assert found["beta-mean"]["against_baseline"] is None
    assert found["linear-q"]["against_baseline"]["verdict"] == "not enough data"
    assert not project.history.exists()


def test_the_history(project: Project) -> None:
    """Without files the project's own history is replayed."""
    project.write(
        test_a="""
            import pytest
            def test_good(): pass
            def test_bad(): assert 0
            @pytest.mark.skip
            def test_skipped(): pass
        """
    )
    project.run()
    project.run()
    answer = project.answer("backtest", "--policy", "failed-first")
    assert (answer["runs"], answer["faulty_runs"]) == (2, 2)
    assert answer["policies"][0]["apfd"] is not None
    assert answer["executions"] == 4  # a skipped test is none
    assert "3 tests, 4 executions" in project.command("backtest")[1]


def test_a_history_file(project: Project, results: Path) -> None:
    """A history is replayed as it is, without a copy."""
    project.command("import", results)
    other = project.path / "other.duckdb"
    project.history.rename(other)
    assert project.answer("backtest", other, "--policy", "beta-mean")["runs"] == 12


def test_a_folder_with_runs(project: Project, results: Path) -> None:
    """A folder holds results and what changed in each run."""
    folder = project.path / "past"
    folder.mkdir()
    results.rename(folder / "results.csv")
    (folder / "runs.csv").write_text('run_id,changed_files\n3,"[""test_a.py""]"\n', "utf-8")
    answer = project.answer("backtest", folder, "--policy", "linear-q")
    assert [path.rpartition("/")[2] for path in answer["source"]] == ["results.csv", "runs.csv"]


def test_partial_feedback(project: Project, results: Path) -> None:
    """With --share a policy sees only what it ran."""
    answer = project.answer("backtest", results, "--policy", "linear-q", "--share", "33%")
    assert answer["feedback"] == "partial"
    assert 0 <= answer["policies"][0]["observed_recall"] <= 1


def test_every_policy(project: Project, results: Path) -> None:
    """'all' stands for every policy there is."""
    found = [
        each["policy"]
        for each in project.answer("backtest", results, "--policy", "all")["policies"]
    ]
    assert len(found) == 16
    assert {"rocket", "ucb", "frrmab", "thompson", "logistic", "guarded"} <= set(found)


def test_another_suite(project: Project, results: Path) -> None:
    """A suite that is not there is named beside those that are."""
    project.command("import", results, "--suite", "linux")
    code, printed = project.command("backtest")
    assert code == 1
    assert "no runs of suite ''" in printed
    assert "'linux'" in printed


def test_a_table(project: Project, results: Path) -> None:
    """People see a line a policy."""
    code, printed = project.command("backtest", results)
    assert code == 0
    for name in ("random", "beta-mean", "linear-q@0.5", "guarded", "APFDc"):
        assert name in printed


def test_every_run(project: Project, results: Path) -> None:
    """With --each a program sees the scores of every run, and when a guard changed its mind."""
    answer = project.answer("backtest", results, "--policy", "beta-mean,guarded", "--each")
    for each in answer["policies"]:
        assert [row["run_id"] for row in each["each"]] == ["1", "3", "5", "7", "9", "11"]
    assert answer["policies"][1]["steps"] == []


def test_another_baseline(project: Project, results: Path) -> None:
    """Any of the policies can be what the others are compared with."""
    answer = project.answer(
        "backtest", results, "--policy", "beta-mean,recorded", "--baseline", "recorded"
    )
    assert answer["policies"][0]["against_baseline"]["baseline"] == "recorded"


def test_a_policy_of_your_own(
    project: Project, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MODULE:NAME is scored as the built-in ones are; it sees what a session would show it."""
    monkeypatch.chdir(project.path)
    monkeypatch.syspath_prepend(project.path)
    project.write(
        mine="""
        from pytest_aqe.data import Rank

        class Mine:
            name = "mine"
            def rank(self, tests):
                return [Rank(2, float(test.failures), test.seconds, "") for test in tests]
        """
    )
    answer = project.answer("backtest", results, "--policy", "mine:Mine,failed-first,random")
    mine, plain, random = (each["apfd"] for each in answer["policies"])
    assert mine == plain > random


def test_nothing_failed(project: Project) -> None:
    """Runs without a failure have no scores, and no number is made up."""
    path = project.path / "results.csv"
    path.write_text(f"{HEADER}\n1,,test_a.py::test_x,passed,1\n", encoding="utf-8")
    code, printed = project.command("backtest", path)
    assert code == 0
    assert "nothing to score" in printed
    answer = project.answer("backtest", path)
    assert {each["apfd"] for each in answer["policies"]} == {None}


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--policy", "oracle"], "there is no policy 'oracle'"),
        (["--share", "many"], "expected a share"),
        (["--prior", "results.csv"], "holds no weights"),
        (["--policy", "nowhere:Mine"], "cannot be imported"),
        (["--policy", "random", "--baseline", "beta-mean"], "not one of random"),
    ],
)
def test_wrong_calls(project: Project, results: Path, arguments: list[str], message: str) -> None:
    """What is wrong is named, with exit code 2."""
    code, printed = project.command("backtest", results, *arguments)
    assert code == 2
    assert message in printed
