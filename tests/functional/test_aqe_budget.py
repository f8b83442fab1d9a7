"""``--aqe-budget``: the riskiest tests that fit run, the rest is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project

Workers = tuple[str, ...]


def ran(project: Project, *arguments: str) -> list[str]:
    """Return the names of the tests of the run that this makes."""
    project.run(*arguments)
    return [
        node_id.partition("::")[2]
        for (node_id,) in project.sql(
            "select node_id from results join nodes using (node_no) "
            "where run_no = (select max(run_no) from runs) order by 1"
        )
    ]


@pytest.fixture(autouse=True)
def ten_tests(project: Project) -> None:
    """Ten tests, of which one fails."""
    project.write(
        test_a="".join(f"def test_{n}(): assert {n} != 7\n" for n in range(10)),
    )


def test_share_when_nothing_is_measured(project: Project, workers: Workers) -> None:
    """Without a history a share is one of the number of tests."""
    done = project.run("--aqe-budget=30%", *workers)
    done.assert_outcomes(passed=3)
    done.stdout.fnmatch_lines(["7 tests not run: beyond --aqe-budget"])


def test_failed_first(project: Project, workers: Workers) -> None:
    """What failed last is the last to be cut."""
    project.run(*workers)
    assert "test_7" in ran(project, "--aqe-budget=60%", *workers)


def test_enough_time(project: Project) -> None:
    """A budget that holds everything cuts nothing and says nothing."""
    project.run()
    done = project.run("--aqe-budget=1h")
    done.assert_outcomes(passed=9, failed=1)
    assert "--aqe-budget" not in done.stdout.str()


def test_whole_share(project: Project) -> None:
    """A share of 100 % is everything."""
    project.run("--aqe-budget=100%").assert_outcomes(passed=9, failed=1)


def test_deselected(project: Project) -> None:
    """What is cut is deselected, so that everybody counts it."""
    project.run("--aqe-budget=30%").assert_outcomes(passed=3, deselected=7)


def test_nothing_fits(project: Project, workers: Workers) -> None:
    """When nothing fits nothing fails: that is what was asked for."""
    project.run(*workers)
    done = project.run("--aqe-budget=0.000001s", *workers)
    assert done.ret == pytest.ExitCode.OK
    done.stdout.fnmatch_lines(["10 tests not run: beyond --aqe-budget"])


def test_cut_tests_are_not_known(project: Project) -> None:
    """A test that was cut was not seen to pass, so select runs it."""
    done = project.run_apart("--aqe-budget=30%")
    done.assert_outcomes(passed=3)
    done = project.run_apart("--aqe-mode=select", "--aqe-probe=0")
    done.assert_outcomes(passed=6, failed=1, deselected=3)


def test_select(project: Project) -> None:
    """The budget cuts what selection left: both are counted, and are not the same."""
    project.write(test_b="def test_b(): pass\n")
    project.run_apart()
    project.write(test_a="".join(f"def test_{n}(): assert {n} != 70\n" for n in range(10)))
    done = project.run_apart("--aqe-mode=select", "--aqe-probe=0", "--aqe-budget=0.000001s")
    done.assert_outcomes(deselected=10)  # and a file that nothing was selected from
    done.stdout.fnmatch_lines(
        ["selected 10 of 11 tests: *; 1 not run, *", "10 tests not run: beyond --aqe-budget"]
    )


def test_rest(project: Project) -> None:
    """What was cut is written with what was left out."""
    project.run("--aqe-budget=30%", "--aqe-rest=rest.txt").assert_outcomes(passed=3)
    assert len((project.path / "rest.txt").read_text().splitlines()) == 7


def test_observe(project: Project) -> None:
    """A run that only records cuts nothing."""
    project.run("--aqe-mode=observe", "--aqe-budget=30%").assert_outcomes(passed=9, failed=1)


@pytest.mark.parametrize("wrong", ["", "5", "-5s", "5x", "nan%", "130%", "infs", "0s", "s"])
def test_wrong(project: Project, wrong: str) -> None:
    """Anything but a time or a share is refused by name."""
    done = project.run(f"--aqe-budget={wrong}")
    if not wrong:  # as CI services pass on what is unset
        done.assert_outcomes(passed=9, failed=1)
        return
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines([f"*--aqe-budget={wrong!r}: expected *"])
