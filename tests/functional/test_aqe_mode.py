"""``--aqe-mode``: observe records only, order reorders as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project

Workers = tuple[str, ...]


@pytest.fixture(autouse=True)
def two_modules(project: Project) -> None:
    project.write(test_a="def test_x(): pass\n", test_b="def test_y(): assert 0\n")


def _first(project: Project) -> list[str]:
    """Return what the last run's workers started with."""
    return [
        name
        for (name,) in project.sql(
            "select node_id from results join nodes using (node_no) "
            "where position = 0 and run_no = (select max(run_no) from results) order by 1"
        )
    ]


def test_order_by_default(project: Project, workers: Workers) -> None:
    """Without the flag, the second run is ordered."""
    project.run()
    project.run(*workers)
    assert "test_b.py::test_y" in _first(project)
    assert project.sql("select mode from runs") == [("order",), ("order",)]


def test_observe(project: Project) -> None:
    """observe keeps the collected order."""
    project.run()
    project.run("--aqe-mode=observe")
    assert _first(project) == ["test_a.py::test_x"]


def test_observe_records(project: Project) -> None:
    """observe records every result."""
    project.run("--aqe-mode=observe")
    assert project.outcomes() == {"test_x": "passed", "test_y": "failed"}


def test_observe_is_told(project: Project) -> None:
    """The header and the run's row say observe."""
    project.run("--aqe-mode=observe").stdout.fnmatch_lines(["aqe: mode=observe, *"])
    assert project.sql("select mode, policy from runs") == [("observe", None)]


def test_observe_calls_no_policy(project: Project) -> None:
    """observe asks nobody for a policy."""
    project.write(conftest="def pytest_aqe_make_policy(config): raise RuntimeError\n")
    project.run()
    project.run("--aqe-mode=observe").stdout.no_fnmatch_line("*fault*")


def test_policy_is_recorded(project: Project) -> None:
    """An ordered run's row says what ranked the tests."""
    project.run()
    project.run()
    assert project.sql("select policy from runs order by run_no") == [
        (None,),
        ("linear-q@0.5",),
    ]


def test_variable_beats_ini(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """``PYTEST_AQE_MODE`` wins over the ini key."""
    project.write_ini("aqe_mode = order")
    monkeypatch.setenv("PYTEST_AQE_MODE", "observe")
    project.run().stdout.fnmatch_lines(["aqe: mode=observe, *"])


def test_flag_beats_variable(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line wins over ``PYTEST_AQE_MODE``."""
    monkeypatch.setenv("PYTEST_AQE_MODE", "observe")
    project.run("--aqe-mode=order").stdout.fnmatch_lines(["aqe: mode=order, *"])


def test_ini_beats_default(project: Project) -> None:
    """The ini key wins over the default."""
    project.write_ini("aqe_mode = observe")
    project.run().stdout.fnmatch_lines(["aqe: mode=observe, *"])


def test_bad_flag(project: Project) -> None:
    """An unknown mode on the command line is a usage error that names the flag."""
    done = project.run("--aqe-mode=fast")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["*--aqe-mode: invalid choice: 'fast'*observe*order*"])


def test_bad_variable(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown mode in the environment is a usage error that names the variable."""
    monkeypatch.setenv("PYTEST_AQE_MODE", "fast")
    done = project.run()
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(
        ["ERROR: PYTEST_AQE_MODE='fast': choose one of observe, order, select"]
    )


def test_bad_ini(project: Project) -> None:
    """An unknown mode in the ini file is a usage error that names the key."""
    project.write_ini("aqe_mode = fast")
    done = project.run()
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["ERROR: aqe_mode='fast': choose one of observe, order, select"])
