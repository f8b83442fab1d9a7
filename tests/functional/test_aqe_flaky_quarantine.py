"""--aqe-flaky=quarantine: a listed flake does not fail the session; a listed defect does."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from fnmatch import fnmatch
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

if TYPE_CHECKING:
    from .conftest import Project

from .test_aqe_flaky_rerun import FLAKY, NO_TRACKING, break_before, fail, flake, in_one_process

Workers = tuple[str, ...]


def today() -> date:
    return datetime.now(timezone.utc).date()


def quarantine(project: Project, days: int = 9, name: str = "test_it.py::test_flaky") -> None:
    (project.path / "aqe-quarantine.toml").write_text(
        f"""
        [[test]]
        id = "{name}"
        reason = "the sandbox times out"
        owner = "team-x"
        expires = {today() + timedelta(days=days)}
        evidence = []
        """
    )


@pytest.fixture
def listed(project: Project) -> Project:
    """A suite whose one flaky test is quarantined."""

    def live() -> None:
        quarantine(project)
        flake(project, 12, 1, NO_TRACKING)

    project.begin("listed", live)
    return project


def test_a_flake_is_q_and_judged(listed: Project, workers: Workers) -> None:
    """It runs, is shown as Q with its owner, is recorded as failed, and the session is green."""
    fail(listed, 1)
    xml = listed.path / "junit.xml"
    result = listed.run(*workers, "--aqe-flaky=quarantine", NO_TRACKING, f"--junitxml={xml}")
    result.stdout.no_fnmatch_line("*internal fault*")
    result.stdout.fnmatch_lines(
        [
            "QUARANTINED test_it.py::test_flaky  failed and still runs; "
            "owner=team-x, expires in 9 days",
            "*1 passed, 1 quarantined*",
        ]
    )
    assert result.ret == 0
    assert listed.outcomes()["test_flaky"] == "failed"
    suite = ElementTree.parse(xml).getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("2", "0", "1")


def test_a_defect_is_red_again(listed: Project, workers: Workers) -> None:
    """The day it is broken the session fails, and says why."""
    listed.write(test_it=FLAKY.replace("assert not left", "raise ValueError(left)"))
    listed.commit_all()
    result = listed.run(*workers, "--aqe-flaky=quarantine", NO_TRACKING)
    result.stdout.fnmatch_lines(
        ["RED AGAIN test_it.py::test_flaky  quarantined, but P(broken) is *: red again"]
    )
    assert result.ret == 1


def test_what_is_quarantined_is_not_called_broken(project: Project, workers: Workers) -> None:
    """Where the list is believed, no line of the session says that it should not be."""
    project.write(test_it="def test_one(): pass")
    quarantine(project, name="test_it.py::test_one")
    project.commit_all()
    project.run(*workers)
    project.write(test_it="def test_one(): assert 0")
    project.commit_all()
    for _ in range(3):
        result = project.run(*workers, "--aqe-flaky=quarantine")
        result.stdout.fnmatch_lines(["QUARANTINED test_it.py::test_one *"])
        result.stdout.no_fnmatch_line("BROKEN*")


def test_after_a_change_a_flake_passes_alone(listed: Project, workers: Workers) -> None:
    """Where its code has changed it is tried alone, and what passes there is no defect."""
    listed.write(test_it=FLAKY.replace("steady(): pass", "steady(): assert True"))
    fail(listed, 1)
    result = listed.run(*workers, "--aqe-flaky=quarantine", NO_TRACKING)
    result.stdout.fnmatch_lines(["*1 passed, 1 rerun, 1 quarantined*"])
    assert result.ret == 0
    assert listed.sql(
        "select attempt, attempt_mode, outcome from results join nodes using (node_no) "
        "where node_id like '%flaky' and run_no = (select max(run_no) from results) order by 1"
    ) == [(0, "first", "failed"), (1, "isolated", "passed")]


def test_after_a_red_failure_a_pass_alone_does_not_count(
    project: Project, workers: Workers
) -> None:
    """Where its code has changed, what is red before it in its process may be the reason."""
    quarantine(project)
    result = break_before(project, *in_one_process(workers), "--aqe-flaky=quarantine")
    result.stdout.fnmatch_lines(
        ["RED AGAIN test_it.py::test_flaky  quarantined, but a test before it is red*"]
    )
    assert result.parseoutcomes()["failed"] == 2


def test_after_a_change_a_failure_counts_where_it_fails_alone(
    listed: Project, workers: Workers
) -> None:
    """However often it flaked before: the change may have broken it."""
    listed.write(test_it=FLAKY.replace("steady(): pass", "steady(): assert True"))
    fail(listed, 9)
    result = listed.run(*workers, "--aqe-flaky=quarantine", NO_TRACKING)
    result.stdout.fnmatch_lines(["RED AGAIN test_it.py::test_flaky  quarantined, but *: red again"])
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_flaky - *assert not 9"])
    assert result.ret == 1


def test_who_runs_a_test_again_goes_on_doing_so(listed: Project, workers: Workers) -> None:
    """A mark of pytest-rerunfailures keeps its meaning for a listed test, changed or not."""
    pytest.importorskip("pytest_rerunfailures")
    mark = "import pytest\n\n    @pytest.mark.flaky(reruns=2)\n    def test_flaky"
    listed.write(test_it=FLAKY.replace("def test_flaky", mark))
    fail(listed, 1)
    result = listed.run(*workers, "--aqe-flaky=quarantine", NO_TRACKING)
    result.stdout.fnmatch_lines(["*2 passed, 1 rerun*"])
    assert result.ret == 0


def test_past_its_date_it_is_red(listed: Project, workers: Workers) -> None:
    """An expired quarantine masks nothing."""
    quarantine(listed, days=-1)
    fail(listed, 1)
    result = listed.run(*workers, "--aqe-flaky=quarantine", NO_TRACKING)
    result.stdout.fnmatch_lines(["*its quarantine expired on *", "1 quarantine expired: *"])
    assert result.ret == 1


def test_an_expired_quarantine_can_fail_a_green_session(listed: Project) -> None:
    """--aqe-fail-on=expired-quarantine asks for it, in every mode, and says so."""
    quarantine(listed, days=-1)
    fail(listed, 0)
    result = listed.run("--aqe-fail-on=expired-quarantine")
    result.stdout.fnmatch_lines(["failed by --aqe-fail-on=expired-quarantine"])
    assert result.ret == 1
    assert listed.run().ret == 0


def test_a_new_flake_can_fail_a_green_session(project: Project) -> None:
    """--aqe-fail-on=new-flaky fails the session in which a test becomes known to be flaky."""
    pytest.importorskip("pytest_rerunfailures")
    project.write(test_it=FLAKY)
    project.commit_all()
    codes = []
    for run in range(12):
        fail(project, run % 3 == 2)
        result = project.run(NO_TRACKING, "--reruns=1", "--aqe-fail-on=new-flaky")
        codes.append(result.ret)
        if result.ret:
            result.stdout.fnmatch_lines(
                ["*failed by --aqe-fail-on=new-flaky: test_it.py::test_flaky"]
            )
    assert sum(codes) == 1


def test_a_test_can_become_a_new_flake_by_passing(project: Project, workers: Workers) -> None:
    """Nobody runs it again: it failed before and passes now, and that fails a session, once."""
    project.write(test_it=FLAKY)
    project.commit_all()
    codes = []
    for failing in (0, 1, 0, 1, 0, 0, 0):
        fail(project, failing)
        quiet = ("-qq",) if len(codes) == 5 else ()  # the reason is told all the same
        result = project.run(*workers, NO_TRACKING, "--aqe-fail-on=new-flaky", *quiet)
        codes.append(int(result.ret))
        if result.ret and not failing:
            result.stdout.fnmatch_lines(
                ["failed by --aqe-fail-on=new-flaky: test_it.py::test_flaky"]
            )
    assert codes == [0, 1, 0, 1, 0, 1, 0]


@pytest.mark.parametrize("suite", ["", "other"])
def test_a_flake_of_earlier_runs_is_not_new(project: Project, suite: str) -> None:
    """Runs that nobody had learnt from, of this suite or another one, fail no later session."""
    project.write(test_it=FLAKY)
    project.commit_all()
    for failing in (0, 1, 0, 1, 0, 0):
        fail(project, failing)
        project.run(NO_TRACKING, f"--aqe-suite={suite}")
    fail(project, 0)
    assert project.run(NO_TRACKING, "--aqe-fail-on=new-flaky").ret == 0
    assert project.sql("select flagged from flake_tests") == [(True,)]


def test_the_mark_quarantines_too(project: Project, workers: Workers) -> None:
    """aqe_quarantine(reason, owner, expires) is an entry beside the test."""
    until = today() + timedelta(days=3)
    project.write(
        test_it=f"""
        import pytest
        @pytest.mark.aqe_quarantine(reason="slow disk", owner="ada", expires="{until}")
        def test_one(): assert 0
        """
    )
    result = project.run(*workers, "--aqe-flaky=quarantine")
    result.stdout.fnmatch_lines(
        ["QUARANTINED test_it.py::test_one  failed and still runs; owner=ada, expires in 3 days"]
    )
    assert result.ret == 0


@pytest.mark.parametrize(
    "given, problem",
    [
        ("reason='r', owner='o', expires='2026-13-40'", "has no date in expires, such as *"),
        ("'x'", "has arguments without names (reason=, owner=, expires=)"),
    ],
)
def test_a_mark_that_does_not_hold_is_told_of(
    project: Project, workers: Workers, given: str, problem: str
) -> None:
    """In one line, whoever runs the tests; they are red."""
    project.write(
        test_it=f"""
        import pytest

        @pytest.mark.aqe_quarantine({given})
        @pytest.mark.parametrize("x", [1, 2])
        def test_one(x): assert 0

        @pytest.mark.aqe_quarantine
        def test_two(): pass
        """
    )
    result = project.run(*workers, "--aqe-flaky=quarantine")
    result.assert_outcomes(failed=2, passed=1)
    (line,) = [line for line in result.outlines if "no quarantine by the mark" in line]
    assert fnmatch(line, f"*: test_it.py::test_one {problem}, and 1 more")


@pytest.mark.parametrize(
    "name, days, problem",
    [
        ("test_it.py", 3, "*names no single test*"),
        ("test_it.py::test_flaky", 31, "*expires in more than 30 days*"),
    ],
)
def test_what_cannot_be_honoured_is_said(
    project: Project, name: str, days: int, problem: str
) -> None:
    """A whole file, or a date too far ahead, masks nothing and costs a line."""
    project.write(test_it=FLAKY)
    quarantine(project, days, name)
    fail(project, 1)
    result = project.run("--aqe-flaky=quarantine")
    result.stdout.fnmatch_lines([problem])
    assert result.ret == 1


def test_a_broken_list_masks_nothing(project: Project) -> None:
    """No TOML, no quarantine; the session says so and goes on."""
    project.write(test_it="def test_one(): assert 0")
    (project.path / "aqe-quarantine.toml").write_text("[[test")
    result = project.run("--aqe-flaky=quarantine")
    result.stdout.fnmatch_lines(["*is no TOML*no test is quarantined*"])
    assert result.ret == 1


def test_other_modes_do_not_honour_it(listed: Project) -> None:
    """Without --aqe-flaky=quarantine a listed test fails as ever."""
    fail(listed, 1)
    assert listed.run(NO_TRACKING).ret == 1
