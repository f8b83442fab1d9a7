"""pytest-aqe flaky and backtest --learner flaky, on imported histories."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project

HEADER = (
    "run_id,started_at,tree,branch,source,environment,"
    "node_id,attempt,attempt_mode,outcome,code,signature"
)


@pytest.fixture
def past(project: Project) -> Path:
    """Forty runs of three tests: one good, one that flakes, one that breaks in run 30."""
    lines = [HEADER]
    for run in range(40):
        about = f"r{run:02},2026-01-{run // 24 + 1:02}T{run % 24:02}:00:00Z,t{run // 2},main,ci,e"
        lines.append(f"{about},t.py::test_good,0,first,passed,g,")
        if run % 6 == 5:
            lines.append(f"{about},t.py::test_flaky,0,first,failed,f,TimeoutError@t.py#1")
            lines.append(f"{about},t.py::test_flaky,1,inproc,passed,f,")
        else:
            lines.append(f"{about},t.py::test_flaky,0,first,passed,f,")
        broken = 30 <= run < 33
        code = "changed" if run >= 30 else "old"
        if broken:
            for attempt, mode in enumerate(("first", "inproc")):
                lines.append(
                    f"{about},t.py::test_breaks,{attempt},{mode},failed,{code},ValueError@m.py#2"
                )
        else:
            lines.append(
                f"{about},t.py::test_breaks,0,first,passed,{'fixed' if run >= 33 else code},"
            )
    path = project.path / "past.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_an_imported_flake_is_found(project: Project, past: Path) -> None:
    """The table holds the test that flakes, and not the one that broke and was repaired."""
    project.command("import", past)
    (row,) = project.answer("flaky")
    assert row["node_id"] == "t.py::test_flaky"
    assert row["interval"][0] <= 1 / 6 <= row["interval"][1]
    assert row["p_flaky"] >= 0.95
    assert row["p_broken"] <= 0.1
    assert row["last_flip_run"] == "r36"
    assert row["last_flip"] == "2026-01-02T12:00:00Z"
    assert row["evidence_runs"] == ["r05", "r11", "r17", "r23", "r29", "r35"]
    assert set(row) >= {"flake_rate", "cause"}
    _, text = project.command("flaky")
    assert "t.py::test_flaky" in text
    assert "test_breaks" not in text


@pytest.mark.parametrize("failures", [10, 11, 45])
def test_why_says_that_there_are_more_runs(project: Project, failures: int) -> None:
    """Ten failing runs are shown, and how many more there are."""
    lines = [HEADER]
    for run in range(2 * failures):
        about = f"r{run:02},2026-01-{run // 24 + 1:02}T{run % 24:02}:00:00Z,t,main,ci,e"
        outcome = "failed" if run % 2 else "passed"
        lines.append(f"{about},t.py::test_flaky,0,first,{outcome},f,")
    path = project.path / "past.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    project.command("import", path)
    _, text = project.command("flaky", "why", "test_flaky")
    more = failures - 10
    said = f"... and {more} more failing run{'s' * (more > 1)}"
    assert text.count("more failing") == (more > 0)
    assert said in text or not more


def test_all_shows_every_test_that_failed(project: Project, past: Path) -> None:
    """With --all the broken one is there too, with what is believed of it."""
    project.command("import", past)
    assert [row["node_id"] for row in project.answer("flaky", "--all")] == [
        "t.py::test_flaky",
        "t.py::test_breaks",
    ]


def test_without_failures_it_says_so(project: Project) -> None:
    """A suite that never failed has no flaky tests."""
    project.write(test_it="def test_one(): pass")
    project.run()
    assert project.command("flaky") == (0, "no test is known to be flaky\n")
    assert project.answer("flaky") == []


def test_backtest_walks_a_file(project: Project, past: Path) -> None:
    """One JSON object a failed attempt; a regression is never suppressed, a known flake is."""
    for form in ("text", "json"):
        code, printed = project.command("backtest", "--learner", "flaky", past, "--format", form)
        rows = [json.loads(line) for line in printed.splitlines()]
        assert code == 0
        assert len(rows) == 6 + 3 * 2
    broken = [row for row in rows if row["node_id"] == "t.py::test_breaks"]
    flaky = [row for row in rows if row["node_id"] == "t.py::test_flaky"]
    assert {row["verdict"] for row in broken} == {"broken"}
    assert not any(row["suppressed"] for row in broken)
    assert [row["attempt"] for row in broken] == [0, 1] * 3
    assert [row["suppressed"] for row in flaky] == [False, False, True, True, True, True]
    assert {"run_id", "p_flaky", "p_broken"} <= set(rows[0])
    assert not project.history.exists()


def test_backtest_walks_the_history(project: Project, past: Path) -> None:
    """Without a file it is the history's own runs, with the same result."""
    project.command("import", past)
    _, own = project.command("backtest", "--learner", "flaky")
    _, given = project.command("backtest", "--learner", "flaky", past)
    assert own == given != ""
