"""--aqe-flaky: what a session says and learns of its failures."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conftest import Project

Workers = tuple[str, ...]

FLAKY = """
    from pathlib import Path

    HERE = Path(__file__).parent

    def test_steady(): pass

    def test_flaky():
        count = HERE / ".git" / "count"
        number = int(count.read_text()) if count.exists() else 0
        count.write_text(str(number + 1))
        assert number % 3 != 1
"""


def test_a_flake_gets_a_card(project: Project, workers: Workers) -> None:
    """A test that comes and goes on one tree is called flaky, with the evidence."""
    project.write(test_it=FLAKY)
    project.commit_all()
    for _ in range(7):
        project.run(*workers, "--aqe-dependencies=off")
    result = project.run(*workers, "--aqe-dependencies=off")
    result.stdout.fnmatch_lines(
        ["FLAKY  test_it.py::test_flaky  failed*", "*failed in 3 of 8 runs; flake rate *"]
    )
    result.stdout.no_fnmatch_line("*internal fault*")
    (row,) = project.answer("flaky")
    assert row["node_id"] == "test_it.py::test_flaky"
    assert row["p_flaky"] > 0.95
    assert row["p_broken"] < 0.1


def test_a_regression_is_called_broken(project: Project, workers: Workers) -> None:
    """A test that keeps failing since its code changed is broken, and named once it is sure."""
    project.write(test_it="def test_one(): pass")
    project.commit_all()
    project.run(*workers)
    project.write(test_it="def test_one(): assert 0")
    commit = project.commit_all()
    for _ in range(2):
        project.run(*workers).stdout.no_fnmatch_line("BROKEN*")
    result = project.run(*workers)
    result.stdout.fnmatch_lines(
        [
            "BROKEN, not flaky: test_it.py::test_one  P(broken) 9*, "
            f"failed in the latest 3 runs since {commit[:7]}"
        ]
    )


def test_off_neither_says_nor_learns(project: Project) -> None:
    """With --aqe-flaky=off no belief is kept, and results still are."""
    project.write(test_it=FLAKY)
    for _ in range(3):
        project.run("--aqe-flaky=off")
    assert project.sql("select count(*) from flake_tests") == [(0,)]
    assert project.sql("select count(*) from results") == [(6,)]


def test_a_suite_that_never_failed_keeps_no_beliefs(project: Project) -> None:
    """Nothing is written where there is nothing to believe."""
    project.write(test_it="def test_one(): pass")
    project.run()
    assert project.sql("select count(*) from flake_marks") == [(0,)]


def test_a_session_is_learnt_from_later(project: Project, workers: Workers) -> None:
    """It judges its failures and keeps nothing; its run counts once somebody asks."""
    project.write(test_it=FLAKY)
    for _ in range(5):
        project.run(*workers)  # the second and the fifth fail
    assert project.sql("select count(*) from flake_marks") == [(0,)]
    (row,) = project.answer("flaky", "--all")
    assert row["node_id"] == "test_it.py::test_flaky"
    assert project.sql("select sum(runs) from flake_marks") == [(5,)]
    assert project.sql("select executions from flake_tests") == [(5,)]


def test_reruns_are_decided_by_what_is_known_now(project: Project) -> None:
    """With --aqe-flaky=rerun a run without a failure is learnt from at once."""
    project.write(test_it=FLAKY)
    for _ in range(2):
        project.run("--aqe-flaky=rerun")
    project.run("--aqe-flaky=rerun")
    assert project.sql("select sum(runs) from flake_marks") == [(3,)]
