"""``--aqe-dry-run``: how many tests the plan would move, and nothing else."""

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


def test_runs_nothing(project: Project) -> None:
    """No test runs."""
    done = project.run("--aqe-dry-run")
    assert not (project.path / "ran").exists()
    assert done.ret == pytest.ExitCode.OK


def test_first_run(project: Project) -> None:
    """Without a history the plan moves nothing, and no history is started."""
    project.run("--aqe-dry-run").stdout.fnmatch_lines(
        ["*- aqe plan -*", "2 tests would run, 0 of them moved", "nothing was run, *"]
    )
    assert not project.history.exists()


def test_plan(project: Project, workers: Workers) -> None:
    """With a history it says how many tests are moved, and by what."""
    project.run()
    project.run("--aqe-dry-run", *workers).stdout.fnmatch_lines(
        ["2 tests would run, 2 of them moved by linear-q@0.5"]
    )


def test_learns_nothing(project: Project) -> None:
    """No run is recorded."""
    project.run()
    project.run("--aqe-dry-run")
    assert project.statuses() == ["complete"]
    assert not list((project.folder / "runs").glob("*.jsonl"))


def test_gives_no_reasons(project: Project) -> None:
    """The reasons are for ``--aqe-explain``."""
    project.run()
    project.run("--aqe-dry-run").stdout.no_fnmatch_line("*failed last run*")


def test_collection_error(project: Project) -> None:
    """A failed collection is pytest's to report."""
    project.write(test_c="import nothing_of_that_name\n")
    done = project.run("--aqe-dry-run")
    assert done.ret == pytest.ExitCode.INTERRUPTED
    done.stdout.no_fnmatch_line("*would run*")


def test_nothing_to_run(project: Project) -> None:
    """A -k expression that matches nothing is exit code 5 here too."""
    assert project.run("--aqe-dry-run", "-k", "nothing").ret == (pytest.ExitCode.NO_TESTS_COLLECTED)


def test_variable(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """``PYTEST_AQE_DRY_RUN`` does what the flag does."""
    monkeypatch.setenv("PYTEST_AQE_DRY_RUN", "1")
    project.run()
    assert not (project.path / "ran").exists()


def test_collect_only(project: Project) -> None:
    """With ``--collect-only`` pytest lists the tests in the planned order."""
    project.run()
    project.run("--aqe-dry-run", "--collect-only", "-q").stdout.fnmatch_lines(
        ["test_b.py::test_y", "test_a.py::test_x"]
    )
