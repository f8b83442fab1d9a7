"""pytest-xdist: every way to distribute leaves the rows of a run without workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project

pytest.importorskip("xdist")

_FILES = {
    "test_a": """
    import pytest

    def test_passes(): pass
    def test_fails(): assert 0
    @pytest.mark.parametrize("value", ["a", "b/c", "d@e", 1.5])
    def test_values(value): assert value != "a"
    @pytest.mark.xdist_group("db")
    def test_grouped(): pass
    """,
    "test_b": """
    import unittest, pytest

    class TestMethods:
        @pytest.mark.xdist_group("db")
        @pytest.mark.parametrize("number", [1, 2])
        def test_method(self, number): assert number == 1

    class TestUnit(unittest.TestCase):
        def test_sub(self):
            with self.subTest():
                self.fail()
    """,
}


@pytest.mark.parametrize(
    "arguments",
    [
        ["-n2", "--dist=load"],
        ["-n2", "--dist=loadscope"],
        ["-n2", "--dist=loadfile"],
        ["-n2", "--dist=loadgroup"],
        ["-n2", "--dist=worksteal"],
        ["-n4"],
    ],
    ids=" ".join,
)
def test_same_rows(project: Project, arguments: list[str]) -> None:
    """Identities and outcomes are those of a run without workers, in one history."""
    project.write(**_FILES)
    project.run()
    project.run(*arguments)
    rows = project.results("identity, node_id, outcome, body, run_no")
    alone = [row[:-1] for row in rows if row[-1] == 1]
    spread = [row[:-1] for row in rows if row[-1] == 2]
    assert spread == alone


def test_each(project: Project) -> None:
    """``--dist=each`` runs every test on every worker, and keeps every row."""
    project.write(test_a="def test_x(): pass\ndef test_y(): assert 0\n")
    project.run("--dist=each", "--tx=2*popen")
    assert project.results("node_id, worker, attempt, outcome") == [
        ("test_a.py::test_x", "gw0", 0, "passed"),
        ("test_a.py::test_x", "gw1", 0, "passed"),
        ("test_a.py::test_y", "gw0", 0, "failed"),
        ("test_a.py::test_y", "gw1", 0, "failed"),
    ]


def test_each_is_one_execution(project: Project) -> None:
    """A test that ran on every worker of a run was executed once in that run."""
    project.write(test_a="def test_x(): pass\n")
    project.run("--dist=each", "--tx=2*popen")
    assert project.sql("select runs, failures, flaked from rollups") == [(1, 0, 0)]


def test_workers_are_recorded(project: Project) -> None:
    """A result says which worker ran it, and as its how-manieth."""
    project.write(test_a="def test_x(): pass\ndef test_y(): pass\n")
    project.run("-n2")
    assert {worker for (worker,) in project.results("worker")} <= {"gw0", "gw1"}
    assert project.sql("select min(position) from results") == [(0,)]


def test_one_run(project: Project) -> None:
    """However many workers: one run, one run file, one history."""
    project.write(**_FILES)
    project.run("-n2")
    assert project.statuses() == ["complete"]
    assert len(list((project.folder / "runs" / "ingested").iterdir())) == 1


_CRASHING = """
import os

def test_1(): pass
def test_crashes(): os._exit(1)
def test_2(): pass
def test_3(): pass
def test_4(): pass
"""


def test_crash(project: Project) -> None:
    """A test that took its worker with it is recorded as crashed, the others as what they were."""
    project.write(test_a=_CRASHING)
    project.run("-n2")
    assert project.outcomes() == {
        "test_1": "passed",
        "test_crashes": "crashed",
        "test_2": "passed",
        "test_3": "passed",
        "test_4": "passed",
    }


def test_crash_counts_as_failure(project: Project) -> None:
    """A crashed test failed last, so it runs first."""
    project.write(test_a="def test_0(): pass\n", test_b=_CRASHING)
    project.run("-n2")
    assert project.answer("why", "test_crashes")["tests"][0]["tier"] == "failed last"


def test_crash_under_the_same_identity(project: Project) -> None:
    """A crashed test has the identity it has when it passes."""
    crashing = """
    import os, pytest

    class Thing: pass

    @pytest.mark.parametrize("thing", [Thing(), Thing()])
    def test_x(thing):
        if os.path.exists("armed"):
            os._exit(1)
    """
    project.write(test_a=crashing)
    project.run()
    (project.path / "armed").touch()
    project.run("-n1")
    assert len(project.sql("select identity from tests")) == 1
    assert {outcome for _, outcome in project.results("run_no, outcome") if _ == 2} == {"crashed"}


def test_restarted_worker_has_the_plan(project: Project) -> None:
    """The worker that replaces a crashed one collects in the same, planned order."""
    project.write(
        test_a="def test_0(): pass\n",
        test_b=_CRASHING,
        conftest="""
        import os, pathlib

        def pytest_collection_finish(session):
            worker = os.environ.get("PYTEST_XDIST_WORKER")
            if worker:
                pathlib.Path(f"order-{worker}").write_text(repr([i.nodeid for i in session.items]))
        """,
    )
    project.run("-n2")
    for path in project.path.glob("order-*"):
        path.unlink()
    project.run("-n2")
    orders = [path.read_text(encoding="utf-8") for path in sorted(project.path.glob("order-*"))]
    assert len(orders) == 3
    assert len(set(orders)) == 1
    assert orders[0].startswith("['test_b.py::test_crashes'")


def test_crash_then_rerun(project: Project) -> None:
    """An attempt that crashed its worker, and the rerun on another, are two attempts."""
    pytest.importorskip("pytest_rerunfailures")
    project.write(
        test_a="""
        import os, pathlib

        def test_x():
            marker = pathlib.Path("crashed-once")
            if not marker.exists():
                marker.touch()
                os._exit(1)
        """
    )
    # rerunfailures learns of the crash through a socket, and now and then too late to rerun.
    reruns = project.run("-n2", "--reruns=1").parseoutcomes().get("rerun", 0)
    assert project.results("attempt, outcome") == [(0, "crashed"), (1, "passed")][: 1 + reruns]


def test_deselected_are_counted_once(project: Project) -> None:
    """What every worker deselects is deselected once."""
    project.write(**_FILES)
    project.run("-n2", "-k", "not test_values")
    assert project.sql("select deselected from runs") == [(4,)]


def test_failing_hook_of_ours_in_a_worker_is_told_once(project: Project) -> None:
    """What goes wrong alike in every worker is one line."""
    project.write(
        test_a="def test_x(): pass\ndef test_y(): pass\n",
        conftest="def pytest_aqe_evidence(item, report): raise RuntimeError\n",
    )
    done = project.run("-n2")
    assert len([line for line in done.outlines if "fault while" in line]) == 1


def test_no_plan_no_message(project: Project) -> None:
    """Workers of a run that is not ordered get no plan and say nothing."""
    project.write(**_FILES)
    project.run("-n2", "--aqe-mode=observe").stdout.no_fnmatch_line("*fault*")


def test_every_worker_has_the_same_order(project: Project) -> None:
    """Four workers run what failed first, each from one and the same plan."""
    project.write(
        conftest="""
        import os, pathlib

        def pytest_collection_finish(session):
            worker = os.environ.get("PYTEST_XDIST_WORKER")
            if worker:
                ids = [item.nodeid for item in session.items]
                pathlib.Path(f"{worker}.order").write_text("\\n".join(ids))
        """,
        **{f"test_{name}": f"def test_x(): assert {name!r} < 'g'\n" for name in "abcdefgh"},
    )
    project.run("--aqe")
    project.run("--aqe", "-n4")
    orders = [path.read_text().split() for path in project.path.glob("gw*.order")]
    assert len(orders) == 4
    assert orders == [orders[0]] * 4
    assert set(orders[0][:2]) == {"test_g.py::test_x", "test_h.py::test_x"}
