"""CI shards by pytest-split: every test in exactly one, though each shard knows another past."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project

pytest.importorskip("pytest_split")

_NAMES = [f"test_{letter}.py::test_{number}" for letter in "abcd" for number in (1, 2)]


@pytest.fixture(autouse=True)
def two_pasts(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two histories: in the first ``test_d`` failed last, in the second ``test_b``."""
    module = "import os\n" + "".join(
        f"def test_{number}(): assert {{name!r}} not in os.environ\n" for number in (1, 2)
    )
    project.write(**{f"test_{name}": module.format(name=f"BAD_{name}") for name in "abcd"})
    for history, name in (("one", "d"), ("two", "b")):
        with monkeypatch.context() as patch:
            patch.setenv(f"BAD_{name}", "1")
            project.run(f"--aqe-history={history}/h.duckdb")


def _shard(project: Project, number: int, *arguments: str) -> list[str]:
    history = f"--aqe-history={('one', 'two')[number - 1]}/h.duckdb"
    project.run(history, "--splits=2", f"--group={number}", *arguments)
    return [
        node_id
        for (node_id,) in project.sql(
            "select node_id from results join nodes using (node_no) where run_no = 2 "
            "order by position",
            project.path / ("one", "two")[number - 1] / "h.duckdb",
        )
    ]


@pytest.mark.parametrize("algorithm", ["duration_based_chunks", "least_duration"])
def test_union(project: Project, algorithm: str) -> None:
    """Two shards with differing histories together run every test exactly once."""
    ran = [_shard(project, number, f"--splitting-algorithm={algorithm}") for number in (1, 2)]
    assert Counter(ran[0] + ran[1]) == Counter(_NAMES)


def test_union_under_xdist(project: Project) -> None:
    """The same with workers inside each shard."""
    pytest.importorskip("xdist")
    ran = [_shard(project, number, "-n2") for number in (1, 2)]
    assert Counter(ran[0] + ran[1]) == Counter(_NAMES)


def test_union_of_shuffled_shards(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same where pytest-randomly shuffles both shards with one seed."""
    pytest.importorskip("pytest_randomly")
    monkeypatch.delenv("PYTEST_ADDOPTS")
    ran = [_shard(project, number, "-p", "randomly", "--randomly-seed=7") for number in (1, 2)]
    assert Counter(ran[0] + ran[1]) == Counter(_NAMES)


def test_failed_first_inside_a_shard(project: Project) -> None:
    """A shard starts with the module that failed last, where it holds it."""
    project.run("--aqe-history=two/h.duckdb", "--splits=2", "--group=1", "-v").stdout.fnmatch_lines(
        ["test_b.py::test_1 *", "test_a.py::test_1 *"]
    )
