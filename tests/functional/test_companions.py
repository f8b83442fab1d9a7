"""Beside pytest's own flags and other plugins: whoever was asked by name has its way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project

Workers = tuple[str, ...]

_THREE = {
    "test_a": "import os\ndef test_1(): assert 'A' not in os.environ\n",
    "test_b": "import os\ndef test_1(): assert 'B' not in os.environ\n",
    "test_c": "import os\ndef test_1(): assert 'C' not in os.environ\n",
}


def _fail(project: Project, names: str, *arguments: str, aqe: bool = True) -> None:
    """Run with the modules of these letters failing."""
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.setenv(name, "1")
        (project.run if aqe else project.pytest)(*arguments)


@pytest.fixture
def c_failed(project: Project) -> None:
    """A history in which ``test_c`` failed last, and a cache in which ``test_b`` did."""
    project.write(**_THREE)
    _fail(project, "C")
    _fail(project, "B", aqe=False)


def test_ours_comes_first_otherwise(project: Project, c_failed: None) -> None:
    """Without any such flag our order is the one that counts."""
    project.run()
    assert project.ran() == ["test_c.py::test_1", "test_a.py::test_1", "test_b.py::test_1"]


def test_failed_first(project: Project, c_failed: None) -> None:
    """``--ff`` puts first what pytest's cache says, and the rest stays in our order."""
    project.run("--ff")
    assert project.ran() == ["test_b.py::test_1", "test_c.py::test_1", "test_a.py::test_1"]


def test_last_failed(project: Project, c_failed: None, workers: Workers) -> None:
    """``--lf`` runs what pytest's cache says and nothing else."""
    project.run("--lf", *workers).assert_outcomes(passed=1)
    assert project.ran() == ["test_b.py::test_1"]


def test_new_first(project: Project, c_failed: None) -> None:
    """``--nf`` puts the tests of new files first."""
    project.write(test_d="def test_1(): pass\n")
    project.run("--nf")
    assert project.ran()[0] == "test_d.py::test_1"


def test_stepwise(project: Project) -> None:
    """``--sw`` keeps the collected order, on which it relies, and goes on where it stopped."""
    project.write(**_THREE)
    _fail(project, "C")
    _fail(project, "B", "--sw")
    assert project.ran() == ["test_a.py::test_1", "test_b.py::test_1"]
    project.run("--sw")
    assert project.ran() == ["test_b.py::test_1", "test_c.py::test_1"]


def test_stepwise_is_told(project: Project) -> None:
    """The header says that ``--sw`` steps order down to observe."""
    project.write(**_THREE)
    project.run("--sw").stdout.fnmatch_lines(["aqe: mode=order -> observe (--stepwise *), *"])


def test_stepwise_skip(project: Project) -> None:
    """``--sw-skip`` keeps the collected order too."""
    project.write(**_THREE)
    _fail(project, "C")
    _fail(project, "AB", "--sw-skip")
    assert project.ran() == ["test_a.py::test_1", "test_b.py::test_1"]


def test_stepwise_run_is_stopped(project: Project) -> None:
    """A run that ``--sw`` ended is recorded as stopped."""
    project.write(**_THREE)
    _fail(project, "B", "--sw")
    assert project.statuses() == ["stopped"]


def test_order_marks(project: Project) -> None:
    """A test that ``pytest.mark.order`` placed keeps its place."""
    pytest.importorskip("pytest_order")
    project.write(
        test_a="def test_1(): pass\n",
        test_b="import pytest\n@pytest.mark.order(1)\ndef test_1(): pass\n",
        test_c="def test_1(): assert 0\n",
    )
    project.run()
    project.run()
    assert project.ran() == ["test_b.py::test_1", "test_c.py::test_1", "test_a.py::test_1"]


def test_order_marks_inside_a_module(project: Project) -> None:
    """A module with a placed test keeps the order that pytest-order gave it."""
    pytest.importorskip("pytest_order")
    project.write(
        test_a="""
        import pytest

        def test_plain(): pass
        @pytest.mark.order("last")
        def test_last(): assert 0
        @pytest.mark.order("first")
        def test_first(): pass
        """
    )
    project.run()
    project.run()
    assert [name.partition("::")[2] for name in project.ran()] == [
        "test_first",
        "test_plain",
        "test_last",
    ]


def test_dependency_marks(project: Project) -> None:
    """A test that depends on another one still runs after it."""
    pytest.importorskip("pytest_dependency")
    project.write(
        test_a="""
        import pytest

        @pytest.mark.dependency
        def test_first(): pass
        @pytest.mark.dependency(depends=["test_first"])
        def test_second(): assert 0
        """
    )
    project.run()
    project.run().assert_outcomes(passed=1, failed=1)
    assert [name.partition("::")[2] for name in project.ran()] == ["test_first", "test_second"]


def test_dependency_across_modules(project: Project) -> None:
    """A module that depends on another one still runs after it."""
    pytest.importorskip("pytest_dependency")
    project.write(
        test_a="import pytest\n@pytest.mark.dependency\ndef test_1(): pass\n",
        test_b="""
        import pytest

        @pytest.mark.dependency(depends=["test_a.py::test_1"], scope="session")
        def test_2(): assert 0
        """,
    )
    project.run()
    project.run().assert_outcomes(passed=1, failed=1)


def test_randomly_does_not_undo_the_order(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where pytest-randomly shuffles, what failed last still runs first."""
    pytest.importorskip("pytest_randomly")
    monkeypatch.delenv("PYTEST_ADDOPTS")
    project.write(**_THREE)
    _fail(project, "B", "-p", "randomly")
    for seed in (1, 2, 3):
        project.run("-p", "randomly", f"--randomly-seed={seed}", "-k", "test_b or test_c")
        assert project.ran()[0] == "test_b.py::test_1"


def test_keyword_and_marks(project: Project, c_failed: None) -> None:
    """``-k`` and ``--deselect`` choose, we order what is left."""
    project.run("-k", "not test_b")
    assert project.ran() == ["test_c.py::test_1", "test_a.py::test_1"]


def test_a_plugin_that_deselects(project: Project) -> None:
    """What another plugin deselects is not run and not counted as recorded."""
    project.write(
        **_THREE,
        conftest="""
        def pytest_collection_modifyitems(config, items):
            gone = [item for item in items if "test_b" in item.nodeid]
            items[:] = [item for item in items if item not in gone]
            config.hook.pytest_deselected(items=gone)
        """,
    )
    project.run()
    assert project.sql("select collected, deselected, recorded from runs") == [(3, 1, 2)]


def test_reportlog(project: Project, workers: Workers) -> None:
    """pytest-reportlog can write every report that we hung facts on."""
    pytest.importorskip("pytest_reportlog")
    project.write(
        **_THREE, conftest="def pytest_aqe_evidence(item, report): return {'owner': 'ada'}\n"
    )
    assert project.run("--report-log=log.jsonl", *workers).ret == pytest.ExitCode.OK
    assert (project.path / "log.jsonl").read_text(encoding="utf-8").count("TestReport") == 9


def test_junit(project: Project) -> None:
    """pytest's JUnit file is to the byte the same, times apart."""
    import re

    project.write(**_THREE)
    texts = []
    for run in (project.pytest, project.run):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("B", "1")
            run("--junit-xml=out.xml")
        text = (project.path / "out.xml").read_text(encoding="utf-8")
        texts.append(re.sub(r'(time|timestamp)="[^"]*"', "", text))
    assert texts[0] == texts[1]
