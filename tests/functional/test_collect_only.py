"""``--collect-only`` and its like: who only looks sees every test, whatever would run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project

Workers = tuple[str, ...]

SELECT = ("--aqe-mode=select", "--aqe-probe=0")
COLLECTED = ["test_a.py::test_1", "test_a.py::test_2", "test_b.py::test_1"]


@pytest.fixture(autouse=True)
def passed_once(project: Project) -> None:
    """Three tests, of which none has to run."""
    project.write(test_a="def test_1(): pass\ndef test_2(): pass\n", test_b="def test_1(): pass\n")
    project.run_apart()


def listed(done: pytest.RunResult) -> list[str]:
    """Return the node ids that ``--collect-only -q`` prints."""
    assert done.ret == pytest.ExitCode.OK
    return [line for line in done.outlines if "::" in line]


def test_select(project: Project, workers: Workers) -> None:
    """Nothing is left out, and the header says so."""
    assert listed(project.run_apart(*SELECT, "--collect-only", "-q", *workers)) == COLLECTED
    project.run_apart(*SELECT, "--collect-only", *workers).stdout.fnmatch_lines(
        ["aqe: mode=select -> observe (--collect-only shows all tests)*", "collected 3 items"]
    )


def test_select_after_a_change(project: Project) -> None:
    """Tests that a change cannot have broken are there too."""
    project.write(test_b="def test_1(): assert 1\n")
    assert listed(project.run_apart(*SELECT, "--collect-only", "-q")) == COLLECTED


def test_configuration(project: Project) -> None:
    """Where the configuration selects, an editor finds every test."""
    project.write_ini("aqe = true", "aqe_mode = select")
    project.run_apart()
    assert listed(project.pytest("--collect-only", "-q")) == COLLECTED


def test_budget(project: Project) -> None:
    """What exceeds the budget is there too."""
    done = project.run("--aqe-budget=1%", "--collect-only", "-q")
    assert sorted(listed(done)) == COLLECTED


@pytest.mark.parametrize("flag", ["--setup-only", "--setup-plan", "--fixtures-per-test"])
def test_others_that_run_no_test(project: Project, flag: str) -> None:
    """Who shows fixtures shows those of every test."""
    project.write(
        test_a="import pytest\n@pytest.fixture\ndef mine(): '''It is.'''\ndef test_1(mine): pass\n"
    )
    project.run_apart()
    project.run_apart(*SELECT, flag).stdout.fnmatch_lines(["*mine*"])


@pytest.mark.parametrize("flag", ["--aqe-dry-run", "--aqe-explain"])
def test_the_plan_is_shown_where_it_is_asked_for(project: Project, flag: str) -> None:
    """Who asks for the plan sees what would run."""
    project.write(test_b="def test_1(): assert 1\n")
    done = project.run_apart(*SELECT, "--collect-only", "-q", flag)
    assert {line.split("  ")[0].split()[-1] for line in listed(done)} == {"test_b.py::test_1"}


def test_written_plan(project: Project) -> None:
    """Who asks for the plan or the rest as a file has them select."""
    project.run_apart(*SELECT, "--collect-only", "--aqe-rest=rest.txt")
    assert (project.path / "rest.txt").read_text("utf-8").splitlines() == COLLECTED
