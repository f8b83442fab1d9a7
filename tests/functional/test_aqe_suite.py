"""``--aqe-suite``: variants of a suite in one history, kept apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project

Workers = tuple[str, ...]


@pytest.fixture(autouse=True)
def fails_on_demand(project: Project) -> None:
    project.write(
        test_a="def test_x(): pass\n",
        test_b="import os\ndef test_y(): assert 'BAD' not in os.environ\n",
    )


def test_variants_are_kept_apart(project: Project, workers: Workers) -> None:
    """The same test in two suites is two tests of the history."""
    project.run("--aqe-suite=linux", *workers)
    project.run("--aqe-suite=macos", *workers)
    assert project.sql("select suite, count(*) from tests group by 1 order by 1") == [
        ("linux", 2),
        ("macos", 2),
    ]


def test_failures_of_another_variant(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure in one suite does not reorder another."""
    project.run("--aqe-suite=macos")
    with monkeypatch.context() as patch:
        patch.setenv("BAD", "1")
        project.run("--aqe-suite=linux")
    project.run("--aqe-suite=macos", "-v").stdout.fnmatch_lines(["test_a.py::*", "test_b.py::*"])


def test_header_counts_its_own_runs(project: Project) -> None:
    """The header counts the runs and tests of its suite alone."""
    project.run("--aqe-suite=linux")
    project.run("--aqe-suite=macos").stdout.fnmatch_lines(["aqe: *no history yet*"])


def test_variable_beats_ini(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """``PYTEST_AQE_SUITE`` wins over the ini key."""
    project.write_ini("aqe_suite = ini")
    monkeypatch.setenv("PYTEST_AQE_SUITE", "variable")
    project.run()
    assert project.sql("select suite from runs") == [("variable",)]


def test_flag_beats_variable(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line wins over ``PYTEST_AQE_SUITE``."""
    monkeypatch.setenv("PYTEST_AQE_SUITE", "variable")
    project.run("--aqe-suite=flag")
    assert project.sql("select suite from runs") == [("flag",)]


def test_default(project: Project) -> None:
    """Without the flag there is one suite without a name."""
    project.run()
    assert project.sql("select suite from runs") == [("",)]


def test_odd_name(project: Project) -> None:
    """A name is text: quotes and spaces are part of it."""
    project.run("--aqe-suite=py 3'; drop table runs; --")
    assert project.sql("select suite from runs") == [("py 3'; drop table runs; --",)]
