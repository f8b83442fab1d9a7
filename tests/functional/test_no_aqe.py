"""``--no-aqe`` turns off what an ini file, a variable or ``addopts`` turned on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project

Workers = tuple[str, ...]


@pytest.fixture(autouse=True)
def one_test(project: Project) -> None:
    project.write(test_a="def test_x(): pass\n")


def test_beats_addopts(project: Project, workers: Workers) -> None:
    """``--no-aqe`` wins over ``--aqe`` in ``addopts``."""
    project.write_ini("addopts = --aqe")
    project.pytest("--no-aqe", *workers)
    assert not project.folder.exists()


def test_beats_ini(project: Project) -> None:
    """``--no-aqe`` wins over the ini key."""
    project.write_ini("aqe = true")
    project.pytest("--no-aqe")
    assert not project.folder.exists()


def test_beats_variable(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--no-aqe`` wins over ``PYTEST_AQE``."""
    monkeypatch.setenv("PYTEST_AQE", "1")
    project.pytest("--no-aqe")
    assert not project.folder.exists()


def test_the_last_one_wins(project: Project) -> None:
    """Of ``--no-aqe`` and ``--aqe`` the last one counts."""
    project.pytest("--no-aqe", "--aqe")
    assert project.history.exists()


def test_in_addopts(project: Project) -> None:
    """``--aqe`` wins over ``--no-aqe`` in ``addopts``."""
    project.write_ini("addopts = --no-aqe")
    project.pytest("--aqe")
    assert project.history.exists()


def test_other_flags_stay_silent(project: Project) -> None:
    """Without ``--aqe``, the other flags change nothing."""
    done = project.pytest("--aqe-mode=order", "--aqe-suite=x")
    done.assert_outcomes(passed=1)
    assert not project.folder.exists()
