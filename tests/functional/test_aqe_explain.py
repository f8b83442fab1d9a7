"""``--aqe-explain``: the planned order and the reason for every place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project

Workers = tuple[str, ...]


@pytest.fixture(autouse=True)
def two_modules(project: Project) -> None:
    project.write(
        test_a="import pathlib\ndef test_x(): pathlib.Path('ran').touch()\n",
        test_b="def test_y(): assert 0\n",
    )


def test_order_and_reasons(project: Project, workers: Workers) -> None:
    """Every test is listed at its place with the reason for it."""
    project.run()
    project.run("--aqe-explain", *workers).stdout.fnmatch_lines(
        [
            "2 tests would run, 2 of them moved by linear-q@0.5",
            "1. test_b.py::test_y  failed last run (1 of 1 runs failed), * s",
            "2. test_a.py::test_x  no failure in 1 run",
        ]
    )


def test_new_tests(project: Project) -> None:
    """A test that no run recorded is called new."""
    project.run()
    project.write(test_c="def test_z(): pass\n")
    project.run("--aqe-explain").stdout.fnmatch_lines(["2. test_c.py::test_z  new: *"])


def test_first_run(project: Project) -> None:
    """Without a history, the order is the collected one and says so."""
    project.run("--aqe-explain").stdout.fnmatch_lines(
        ["1. test_a.py::test_x  collected order", "2. test_b.py::test_y  collected order"]
    )


def test_deselected_tests(project: Project) -> None:
    """What the user deselected is not in the plan."""
    project.run()
    project.run("--aqe-explain", "-k", "test_x").stdout.fnmatch_lines(
        ["1 test would run, 0 of them moved by *", "1. test_a.py::test_x  *"]
    )


def test_runs_and_learns_nothing(project: Project) -> None:
    """No test runs and no run is recorded."""
    done = project.run("--aqe-explain")
    assert done.ret == pytest.ExitCode.OK
    assert not (project.path / "ran").exists()
    assert not project.history.exists()


def test_observe(project: Project) -> None:
    """In observe mode the explained order is the collected one."""
    project.run()
    project.run("--aqe-explain", "--aqe-mode=observe").stdout.fnmatch_lines(
        ["1. test_a.py::test_x  collected order"]
    )


def test_what_is_explained_is_what_runs(project: Project) -> None:
    """The next run keeps to the explained order."""
    project.run()
    explained = [
        line.split()[1] for line in project.run("--aqe-explain").outlines if ". test_" in line
    ]
    project.run()
    ran = project.sql(
        "select node_id from results join nodes using (node_no) where run_no = 2 order by position"
    )
    assert explained == [node_id for (node_id,) in ran]


def test_variable(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """``PYTEST_AQE_EXPLAIN`` does what the flag does."""
    monkeypatch.setenv("PYTEST_AQE_EXPLAIN", "yes")
    project.run().stdout.fnmatch_lines(["*- aqe plan -*"])
