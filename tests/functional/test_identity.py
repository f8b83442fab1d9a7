"""One test, one history: across working directories, addresses, renames and moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project

Workers = tuple[str, ...]


def _identities(project: Project) -> list[str]:
    return [identity for (identity,) in project.sql("select identity from tests order by 1")]


def _rows_by_test(project: Project) -> dict[str, int]:
    return dict(
        project.sql("select identity, count(*) from results join tests using (test_no) group by 1")
    )


def test_three_working_directories(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test started from three folders, with three rootdirs, is one test with three node ids."""
    project.write(services__pay__test_a="def test_x(): pass\n")
    history = f"--aqe-history={project.history}"
    project.run(history, f"--rootdir={project.path}")
    monkeypatch.chdir(project.path / "services")
    project.run(history, f"--rootdir={project.path / 'services'}")
    monkeypatch.chdir(project.path / "services" / "pay")
    project.run(history, f"--rootdir={project.path / 'services' / 'pay'}")
    assert _rows_by_test(project) == {"services/pay/test_a.py::test_x": 3}
    assert project.sql("select node_id from nodes order by 1") == [
        ("pay/test_a.py::test_x",),
        ("services/pay/test_a.py::test_x",),
        ("test_a.py::test_x",),
    ]


def test_working_directory_below_rootdir(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pytest is started inside one rootdir changes nothing."""
    project.write_ini()
    project.write(inner__test_a="def test_x(): pass\n")
    project.run()
    monkeypatch.chdir(project.path / "inner")
    project.run()
    assert _rows_by_test(project) == {"inner/test_a.py::test_x": 2}


def test_two_rootdirs_and_order(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run from one folder learned, a run from another applies."""
    project.write(inner__test_a="def test_x(): pass\n", inner__test_b="def test_y(): assert 0\n")
    history = f"--aqe-history={project.history}"
    project.run(history, f"--rootdir={project.path}")
    monkeypatch.chdir(project.path / "inner")
    project.run(history, f"--rootdir={project.path / 'inner'}", "-v").stdout.fnmatch_lines(
        ["test_b.py::test_y *", "test_a.py::test_x *"]
    )


def test_addresses(project: Project, workers: Workers) -> None:
    """Tests whose ids hold a memory address keep their history from run to run."""
    project.write(
        test_a="""
        import pytest

        class Thing: pass

        @pytest.mark.parametrize("thing", [Thing()], ids=repr)
        def test_x(thing): pass
        """
    )
    if workers:
        project.run("-n1")  # two workers would collect two addresses, which xdist refuses
        project.run_apart("-n1")
    else:
        project.run_apart()
        project.run_apart()
    assert _rows_by_test(project) == {"test_a.py::test_x[<test_a.Thing object>]": 2}


def test_addresses_are_told(project: Project) -> None:
    """The summary says that such ids change every run and what to do."""
    project.write(
        test_a="""
        import pytest

        @pytest.mark.parametrize("thing", [object()], ids=repr)
        def test_x(thing): pass
        """
    )
    project.run().stdout.fnmatch_lines(["1 parametrized id hold* a memory address *ids=*"])


def test_positional_ids(project: Project, workers: Workers) -> None:
    """Ids that only count, as ``thing0``, share the history of their function."""
    project.write(
        test_a="""
        import pytest

        @pytest.mark.parametrize("thing", [object(), object()])
        def test_x(thing): pass
        """
    )
    project.run(*workers)
    assert _rows_by_test(project) == {"test_a.py::test_x[thing*]": 2}


def test_telling_ids(project: Project) -> None:
    """Ids that say the value are tests of their own."""
    project.write(
        test_a="""
        import pytest

        @pytest.mark.parametrize("thing", ["thing0", 1, "b-c"])
        def test_x(thing): pass
        """
    )
    project.run()
    assert _identities(project) == [
        "test_a.py::test_x[1]",
        "test_a.py::test_x[b-c]",
        "test_a.py::test_x[thing0]",
    ]


def test_groups(project: Project) -> None:
    """An xdist group is no part of a test's name."""
    pytest.importorskip("xdist")
    project.write(test_a="import pytest\n@pytest.mark.xdist_group('db')\ndef test_x(): pass\n")
    project.run()
    project.run("-n2", "--dist=loadgroup")
    assert _rows_by_test(project) == {"test_a.py::test_x": 2}


def test_marker(project: Project) -> None:
    """``aqe_id`` names a test whatever it is called and wherever it stands."""
    text = "import pytest\n@pytest.mark.aqe_id('checkout')\ndef test_{name}(): assert {value}\n"
    project.write(test_a=text.format(name="old", value=1))
    project.run()
    (project.path / "test_a.py").unlink()
    project.write(test_b=text.format(name="new", value=2))
    project.run()
    assert _rows_by_test(project) == {"aqe_id::checkout": 2}


def test_marker_with_parameters(project: Project) -> None:
    """The parameters of a test with ``aqe_id`` are tests of their own."""
    project.write(
        test_a="""
        import pytest

        @pytest.mark.aqe_id("checkout")
        @pytest.mark.parametrize("way", ["card", "cash"])
        def test_x(way): pass
        """
    )
    project.run()
    assert _identities(project) == ["aqe_id::checkout[card]", "aqe_id::checkout[cash]"]


_BEFORE = """
import os

def test_{name}():
    total = sum(range(4))
    assert total == 6 and not os.path.exists("bad")
"""


def test_renamed_function(project: Project, workers: Workers) -> None:
    """A renamed test keeps its history, and says what it was called."""
    project.write(test_a=_BEFORE.format(name="sum"))
    project.run(*workers)
    project.write(test_a=_BEFORE.format(name="total"))
    project.run(*workers).stdout.fnmatch_lines(["1 renamed test* kept * history"])
    assert _rows_by_test(project) == {"test_a.py::test_total": 2}
    _, printed = project.command("history", "test_total")
    assert "renamed from test_a.py::test_sum" in printed


def test_moved_file(project: Project, workers: Workers) -> None:
    """A test in a renamed file keeps its history."""
    project.write(test_a=_BEFORE.format(name="sum"))
    project.run(*workers)
    (project.path / "tests").mkdir()
    (project.path / "test_a.py").rename(project.path / "tests" / "test_sums.py")
    project.run(*workers)
    assert _rows_by_test(project) == {"tests/test_sums.py::test_sum": 2}
    answer = project.answer("history", "test_sum")
    assert answer["tests"][0]["renames"][0]["old"] == "test_a.py::test_sum"


def test_renamed_test_is_ordered(project: Project) -> None:
    """A renamed test's failures still put it first, once the rename was seen."""
    project.write(test_a="def test_0(): pass\n", test_b=_BEFORE.format(name="sum"))
    (project.path / "bad").touch()
    project.run()
    project.write(test_b=_BEFORE.format(name="total"))
    project.run()
    assert project.answer("why", "test_total")["tests"][0]["failures"] == 2


def test_found_by_its_former_name(project: Project) -> None:
    """A renamed test is still found under its former name."""
    project.write(test_a=_BEFORE.format(name="sum"))
    project.run()
    project.write(test_a=_BEFORE.format(name="total"))
    project.run()
    tests = project.answer("history", "test_a.py::test_sum")["tests"]
    assert [test["identity"] for test in tests] == ["test_a.py::test_total"]


def test_copied_test(project: Project, workers: Workers) -> None:
    """A copy is a new test while the original stands, run or not."""
    project.write(test_a=_BEFORE.format(name="sum"))
    project.run(*workers)
    project.write(test_b=_BEFORE.format(name="sum"))
    project.run("test_b.py", *workers)
    assert _rows_by_test(project) == {"test_a.py::test_sum": 1, "test_b.py::test_sum": 1}


def test_two_candidates(project: Project) -> None:
    """Where it is not beyond doubt which test was renamed, none is."""
    project.write(test_a=_BEFORE.format(name="one") + _BEFORE.format(name="two"))
    project.run()
    project.write(test_a=_BEFORE.format(name="three") + _BEFORE.format(name="four"))
    project.run()
    assert project.sql("select count(*) from renames") == [(0,)]
    assert len(_identities(project)) == 4


def test_rename_and_rebuild(project: Project) -> None:
    """A rename survives the loss of the history, which its run files rebuild."""
    project.write(test_a=_BEFORE.format(name="sum"))
    project.run()
    project.write(test_a=_BEFORE.format(name="total"))
    project.run()
    project.history.unlink()
    project.run()
    assert _rows_by_test(project) == {"test_a.py::test_total": 3}
