"""pytest-aqe flaky why, replay, bisect and hunt, on a suite with order-dependent tests."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from pytest_aqe.history.attempts import FoundCause, keep_cause
from pytest_aqe.history.store import open_history

if TYPE_CHECKING:
    from .conftest import Project

SUITE = """
    STATE = set()

    def test_victim(): assert "dirt" not in STATE
    def test_one(): pass
    def test_setter(): STATE.add("set")
    def test_two(): pass
    def test_brittle(): assert "set" in STATE
    def test_three(): pass
    def test_polluter(): STATE.add("dirt")
    def test_four(): pass
"""
NAMES = ["victim", "one", "setter", "two", "brittle", "three", "polluter", "four"]


@pytest.fixture
def suite(project: Project) -> Project:
    """The suite after a run in its own order and one in the reverse."""
    project.write(test_it=SUITE)
    project.commit_all()
    project.run()
    replay(project, NAMES[::-1])
    return project


def replay(project: Project, names: list[str]) -> pytest.RunResult:
    plan = project.path / ".aqe" / "order.txt"
    plan.write_text("".join(f"test_it.py::test_{name}\n" for name in names))
    return project.run(f"--aqe-replay={plan}", "-p", "no:cacheprovider")


@pytest.mark.parametrize(
    "name, kind, other", [("victim", "victim", "polluter"), ("brittle", "brittle", "setter")]
)
def test_bisect_finds_the_other_test(suite: Project, name: str, kind: str, other: str) -> None:
    """It names polluter or setter and the two-test command, and `flaky` then knows the cause."""
    found = suite.answer("flaky", "bisect", f"test_{name}")
    assert (found["kind"], found["found"]) == (kind, [f"test_it.py::test_{other}"])
    assert found["launches"] <= 10
    assert found["command"].endswith(f"test_it.py::test_{other} test_it.py::test_{name}")
    rows = {row["node_id"]: row for row in suite.answer("flaky", "--all")}
    row = rows[f"test_it.py::test_{name}"]
    assert row["cause"] == f"order-dependent ({kind})"
    assert other in row["cause_evidence"]


def test_bisect_of_a_test_that_order_does_not_change(suite: Project) -> None:
    """A test that never failed, and one that is not there, are said to be so."""
    assert suite.command("flaky", "bisect", "test_one") == (
        1,
        "pytest-aqe: test_it.py::test_one never failed in the runs that are recorded\n",
    )
    assert suite.command("flaky", "bisect", "test_nobody")[0] == 1


def test_bisect_of_a_test_that_fails_by_chance(project: Project) -> None:
    """What does not come again each time is no cause, and one that was kept is forgotten."""
    project.write(
        test_it="""
        from pathlib import Path

        COUNT = Path(__file__).parent / ".aqe" / "count"

        def test_one(): pass

        def test_coin():
            number = int(COUNT.read_text()) if COUNT.exists() else 2
            COUNT.write_text(str(number + 1))
            assert number % 3 != 2
        """
    )
    project.commit_all()
    project.run()
    project.run()
    assert project.command("flaky", "why", "test_coin")[0] == 0
    with open_history(project.history, write=True) as connection:
        ((number,),) = connection.execute("select test_no from tests where identity like '%coin'")
        cause = FoundCause("order-dependent (victim)", "fails after test_one", ["test_one"])
        keep_cause(connection, number, cause)
    (project.folder / "count").write_text("1")
    code, text = project.command("flaky", "bisect", "test_coin")
    assert (code, text) == (
        1,
        "pytest-aqe: test_it.py::test_coin fails and passes in the same order: "
        "not order-dependent\n",
    )
    assert project.sql("select * from flake_causes") == []


def test_why_shows_belief_and_runs(suite: Project) -> None:
    """What is believed, in which lane, what would clear it, and the failing runs."""
    code, text = suite.command("flaky", "why", "test_victim")
    assert code == 0
    for part in ("flaky:", "cause:", "in lane:", "to clear:", "AssertionError@test_it.py"):
        assert part in text
    found = suite.answer("flaky", "why", "test_victim")
    assert (found["clean_runs"], len(found["failing_runs"])) == (0, 1)
    assert found["lanes"][0]["p_broken"] == found["p_broken"]


def test_replay_runs_the_recorded_order(suite: Project) -> None:
    """The second run again: the same order, the same failures, and recorded as a run."""
    ((run_id,),) = suite.sql("select run_id from runs order by started_at desc limit 1")
    found = suite.answer("flaky", "replay", run_id)
    assert found["tests"] == [f"test_it.py::test_{name}" for name in NAMES[::-1]]
    assert found["exit_code"] == 1
    assert suite.sql(
        "select count(*), count(distinct outcome) from (select identity, outcome, position "
        "from results join tests using (test_no) where run_no = 3 "
        "except select identity, outcome, position from results join tests using (test_no) "
        "where run_no = 2)"
    ) == [(0, 0)]


def test_replay_of_what_is_not_there(suite: Project) -> None:
    """It says which run it cannot find, or that the run had no workers."""
    assert suite.command("flaky", "replay", "nope") == (
        1,
        "pytest-aqe: no run is called 'nope'\n",
    )
    ((run_id,),) = suite.sql("select max(run_id) from runs")
    assert suite.command("flaky", "replay", f"{run_id}:gw1") == (
        1,
        f"pytest-aqe: run {run_id} had no workers: leave out 'gw1'\n",
    )


def test_hunt_runs_new_orders(project: Project) -> None:
    """Orders that pairs of tests never ran in, each to its end, show what depends on order."""
    project.write(test_it=SUITE)
    project.write_ini("addopts = -x")
    project.commit_all()
    project.run("--maxfail=0")
    found = project.answer("flaky", "hunt", "--orders", "2", "--time", "10m")
    assert (found["orders"], found["exit_codes"][0]) == (2, 1)
    assert project.statuses() == ["complete"] * 3
    failed = project.sql(
        "select distinct identity from results join tests using (test_no) where outcome = 'failed'"
    )
    assert sorted(failed) == [("test_it.py::test_brittle",), ("test_it.py::test_victim",)]


def test_hunt_ends_where_an_order_hangs(project: Project) -> None:
    """The order is interrupted when the time is over, and what ran until then is recorded."""
    project.write(
        test_it="""
        import threading

        STATE = set()

        def test_waits():
            if "late" in STATE:
                threading.Event().wait()

        def test_late(): STATE.add("late")
        """
    )
    project.commit_all()
    project.run()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in the background of a shell
    try:
        found = project.answer("flaky", "hunt", "--orders", "5", "--time", "6s")
    finally:
        signal.signal(signal.SIGINT, before)
    assert found["exit_codes"] == [None]
    assert project.sql("select status from runs order by run_no") == [
        ("complete",),
        ("interrupted",),
    ]
    assert project.sql("select outcome from results where run_no = 2") == [("passed",)]


def test_hunt_wants_a_time(project: Project) -> None:
    """Anything but a number with s, m or h is refused."""
    with pytest.raises(SystemExit):
        project.command("flaky", "hunt", "--time", "soon")
