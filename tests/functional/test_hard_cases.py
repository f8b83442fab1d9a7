"""Sessions that go their own ways: generators, quitting, other people's items and words."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project


def test_explain_needs_no_other_flag(project: Project) -> None:
    """A flag that promises to run nothing runs nothing, with or without ``--aqe``."""
    project.write(test_a="def test_1(): raise SystemExit\n")
    done = project.pytest("--aqe-explain")
    assert done.ret == 0
    done.stdout.fnmatch_lines(["nothing was run, nothing was learned"])


def test_explain_is_off_when_told(project: Project) -> None:
    """``--no-aqe`` wins over everything."""
    project.write(test_a="def test_1(): pass\n")
    project.pytest("--aqe-explain", "--no-aqe").assert_outcomes(passed=1)


def test_generator_of_deselected_items(project: Project) -> None:
    """A plugin may hand any iterable to pytest_deselected; it is not ours to use up."""
    project.write(
        conftest="""
            def pytest_collection_modifyitems(config, items):
                gone = [items.pop()]
                config.hook.pytest_deselected(items=(item for item in gone))
        """,
        test_a="def test_1(): pass\ndef test_2(): pass\n",
    )
    plain, ours = project.pytest("-p", "no:aqe"), project.run()
    assert (plain.ret, ours.ret) == (0, 0)
    assert ours.parseoutcomes() == plain.parseoutcomes()


def test_worker_with_another_environment(project: Project) -> None:
    """Workers obey the controller: what their own environment says turns nothing on or off."""
    pytest.importorskip("xdist")
    project.write(test_a="def test_1(): pass\n", test_b="def test_1(): assert 0\n")
    project.run()
    done = project.run("--dist=load", "--tx", "popen", "--tx", "popen//env:PYTEST_AQE=0")
    done.assert_outcomes(passed=1, failed=1)
    assert project.statuses() == ["complete", "complete"]


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux")
def test_file_names_that_are_no_text(project: Project) -> None:
    """A changed file whose name is not UTF-8 costs no run."""
    project.write(test_a="def test_1(): pass\n")
    project.commit_all()
    with open(os.fsencode(project.path) + b"/caf\xe9.txt", "w"):  # noqa: PTH123
        pass
    project.run()
    assert project.statuses() == ["complete"]
    assert ("caf\\udce9.txt",) in project.sql("select path from changed_files")


def test_setup_plan_is_no_run(project: Project) -> None:
    """``--setup-plan`` reports tests as passed that never ran; nothing is recorded."""
    project.write(test_a="def test_1(): assert 0\n")
    project.run("--setup-plan")
    assert not project.history.exists()


def test_failure_before_an_exit(project: Project) -> None:
    """A failure whose teardown never came, because the session was ended there, is kept."""
    project.write(
        conftest="""
            import pytest

            def pytest_exception_interact(report):  # where --pdb stands when one quits
                pytest.exit("enough")
        """,
        test_a="def test_1(): pass\ndef test_2(): assert 0\n",
    )
    project.run()
    assert project.outcomes() == {"test_1": "passed", "test_2": "failed"}
    assert project.statuses() == ["interrupted"]


def test_outcome_of_another_plugin(project: Project) -> None:
    """An outcome that pytest does not count as a failure is none in the history."""
    project.write(
        conftest="""
            import pytest

            @pytest.hookimpl(wrapper=True)
            def pytest_runtest_makereport(item, call):
                report = yield
                if call.when == "call":
                    report.outcome = "postponed"
                return report

            def pytest_report_teststatus(report):
                if report.outcome == "postponed":
                    return "postponed", "p", "POSTPONED"
        """,
        test_a="def test_1(): pass\n",
    )
    assert project.run().ret == 0
    assert project.outcomes() == {"test_1": "skipped"}


def test_unlike_properties_of_one_signature(project: Project) -> None:
    """Two Hypothesis tests are not one because the same decorator wraps them."""
    test = """
        from hypothesis import given, strategies as st

        @given(st.integers())
        def test_{name}(x):
            assert {body}
    """
    project.write(test_a=test.format(name="add", body="x + 1 > x"))
    project.run()
    project.write(test_a=test.format(name="double", body="2 * x == x + x"))
    project.run()
    assert project.sql("select * from renames") == []


def test_renamed_property(project: Project) -> None:
    """A renamed Hypothesis test keeps its history: what it does is what it decorates."""
    test = """
        from hypothesis import given, strategies as st

        @given(st.integers())
        def test_{name}(x):
            assert x + 1 > x
    """
    project.write(test_a=test.format(name="old"))
    project.run()
    project.write(test_a=test.format(name="new"))
    project.run()
    assert project.sql("select old, new from renames") == [
        ("test_a.py::test_old", "test_a.py::test_new")
    ]


def test_inherited_tests_are_not_renamed(project: Project) -> None:
    """A test that a class inherits is not taken for the one another class inherits."""
    project.write(
        contract="class Contract:\n    def test_it(self): pass\n",
        test_a="from contract import Contract\nclass TestA(Contract): pass\n",
    )
    project.write_ini("pythonpath = .")
    project.run()
    project.write(test_b="from contract import Contract\nclass TestB(Contract): pass\n")
    project.run("test_b.py")
    assert project.sql("select * from renames") == []


def test_identity_mark_of_a_class(project: Project) -> None:
    """``aqe_id`` names one test; on a class it would name many, and names none."""
    project.write(
        test_a="""
            import pytest

            @pytest.mark.aqe_id("api")
            class TestA:
                def test_1(self): pass
                def test_2(self): assert 0
        """
    )
    project.run()
    assert project.outcomes() == {"TestA::test_1": "passed", "TestA::test_2": "failed"}


def test_node_ids_of_a_plugins_own_making(project: Project) -> None:
    """Items of one file that a plugin spreads over made-up paths stay apart."""
    project.write(
        conftest="""
            import pytest

            class Case(pytest.Item):
                def runtest(self): pass

            class Part(pytest.Collector):
                def collect(self):
                    return [Case.from_parent(self, name="case")]

            class File(pytest.File):
                def collect(self):
                    for name in ("alpha", "beta"):
                        yield Part.from_parent(self, name=name, nodeid=f"virtual/{name}.py")

            def pytest_collect_file(parent, file_path):
                if file_path.suffix == ".yaml":
                    return File.from_parent(parent, path=file_path)
        """
    )
    (project.path / "x.yaml").write_text("")
    project.run("x.yaml")
    assert [identity for identity, _ in project.results()] == [
        "virtual/alpha.py::case",
        "virtual/beta.py::case",
    ]
