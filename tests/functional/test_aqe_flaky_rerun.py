"""--aqe-flaky=rerun: a failure is followed up, and only a believed pass turns it green."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

if TYPE_CHECKING:
    from .conftest import Project

Workers = tuple[str, ...]

# Fails where the file "fail" holds a number that it then counts down.
FLAKY = """
    from pathlib import Path

    FAIL = Path(__file__).parent / ".aqe" / "fail"

    def test_steady(): pass

    def test_flaky():
        left = int(FAIL.read_text()) if FAIL.exists() else 0
        if left:
            FAIL.write_text(str(left - 1))
        assert not left
"""
NO_TRACKING = "--aqe-dependencies=off"

# The same, but test_steady can leave something behind that makes test_flaky fail.
BESIDE = FLAKY.replace("def test_steady", "LEFT = []\n\n    def test_steady").replace(
    "assert not left", "left = left or len(LEFT)\n        assert not left"
)
BROKEN = BESIDE.replace("test_steady(): pass", "test_steady(): assert LEFT.append(1)")
IN_ORDER = (NO_TRACKING, "--aqe-mode=observe")


def fail(project: Project, times: int) -> None:
    project.folder.mkdir(exist_ok=True)
    (project.folder / "fail").write_text(str(int(times)))


def flake(project: Project, runs: int, times: int, *arguments: str, test_it: str = FLAKY) -> None:
    """Run a suite again and again; in every third run a test fails so many times."""
    project.write(test_it=test_it)
    project.commit_all()
    for run in range(runs):
        fail(project, times * (run % 3 == 2))
        project.run(*arguments)


def in_one_process(workers: Workers) -> Workers:
    """Keep the tests of a file together."""
    return (*workers, "--dist=loadfile") if workers else ()


def break_before(project: Project, *arguments: str) -> pytest.RunResult:
    """Let a test flake, and run it after one that a change makes red, in one process."""
    project.begin("beside", lambda: flake(project, 12, 1, *IN_ORDER, test_it=BESIDE))
    project.write(test_it=BROKEN)
    fail(project, 0)
    return project.run(*arguments, *IN_ORDER)


@pytest.fixture
def known(project: Project) -> Project:
    """A suite with one test that was seen to flake: it failed and passed again on one tree."""
    project.begin("known", lambda: flake(project, 12, 1, NO_TRACKING))
    return project


def test_a_known_flake_is_green_again(known: Project, workers: Workers) -> None:
    """It fails, passes when run again, and does not fail the session; every attempt is kept."""
    fail(known, 1)
    result = known.run(*workers, "--aqe-flaky=rerun", NO_TRACKING)
    result.stdout.no_fnmatch_line("*internal fault*")
    outcomes = result.parseoutcomes()
    assert (outcomes["passed"], outcomes["rerun"] >= 1, result.ret) == (2, True, 0)
    attempts = known.sql(
        "select attempt, attempt_mode, outcome from results join tests using (test_no) "
        "where identity like '%test_flaky' and run_no = (select max(run_no) from runs) "
        "order by attempt"
    )
    assert attempts[0] == (0, "first", "failed")
    assert {mode for _, mode, _ in attempts[1:]} <= {"inproc", "isolated"}
    assert {outcome for _, _, outcome in attempts[1:]} == {"passed"}
    assert len(attempts) == 1 + outcomes["rerun"]
    result.stdout.fnmatch_lines(["FLAKY  test_it.py::test_flaky  failed then passed*"])


def test_a_pass_alone_is_no_excuse_after_a_red_failure(project: Project, workers: Workers) -> None:
    """What failed before it in its process may have broken a known flake too: both are red."""
    result = break_before(project, *in_one_process(workers), "--aqe-flaky=rerun")
    assert result.parseoutcomes()["failed"] == 2
    result.stdout.no_fnmatch_line("FORGIVEN*")


def test_junit_tells_of_a_flake(known: Project, workers: Workers) -> None:
    """A test that passed in the end is one passed test there, with a ``flakyFailure``."""
    fail(known, 1)
    xml = known.path / "junit.xml"
    known.run(*workers, "--aqe-flaky=rerun", NO_TRACKING, f"--junitxml={xml}")
    suite = ET.parse(xml).getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "0", "0")
    cases = {case.get("name"): list(case) for case in suite.iter("testcase")}
    assert cases["test_steady"] == []
    (failure, *_) = cases["test_flaky"]
    assert (failure.tag, failure.get("type")) == ("flakyFailure", "AssertionError")
    assert failure.get("message") == "assert not 1"
    assert "assert not left" in failure.findtext("stackTrace", "")


def test_import_reads_the_attempts_back(known: Project) -> None:
    """What the JUnit file tells of a flake, another history takes up as it was."""
    fail(known, 1)
    xml = known.path / "junit.xml"
    known.run("--aqe-flaky=rerun", NO_TRACKING, f"--junitxml={xml}")
    assert known.command("import", xml)[0] == 0
    latest, before = (
        known.sql(
            "select attempt, outcome, signature from results join tests using (test_no) "
            f"where identity like '%test_flaky' and run_no = (select max(run_no) - {back} "
            "from runs) and (attempt = 0 or outcome = 'passed') order by attempt"
        )
        for back in (0, 1)
    )
    assert len(latest) == 2
    assert latest == before


def test_junit_tells_of_a_failure_that_was_run_again(known: Project, workers: Workers) -> None:
    """A test that failed in the end is one failed test, each earlier try a ``rerunFailure``."""
    known.write(test_it=FLAKY.replace("assert not left", "assert not left  # edited"))
    known.commit_all()
    fail(known, 9)
    xml = known.path / "junit.xml"
    result = known.run(*workers, "--aqe-flaky=rerun", NO_TRACKING, f"--junitxml={xml}")
    suite = ET.parse(xml).getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    (tags,) = [tags for case in suite.iter("testcase") if (tags := [each.tag for each in case])]
    assert tags.count("failure") == 1
    assert tags.count("rerunFailure") == result.parseoutcomes()["rerun"]


@pytest.fixture
def brittle(project: Project) -> Project:
    """A suite with one test that often failed on every attempt, with its code unchanged."""
    project.begin("brittle", lambda: flake(project, 30, 9, NO_TRACKING))
    return project


def test_a_usual_failure_is_forgiven(brittle: Project, workers: Workers) -> None:
    """A known flake fails every attempt as ever: green, said aloud, and kept as failed."""
    fail(brittle, 9)
    xml = brittle.path / "junit.xml"
    result = brittle.run(*workers, "--aqe-flaky=rerun", NO_TRACKING, f"--junitxml={xml}")
    result.stdout.no_fnmatch_line("*internal fault*")
    result.stdout.fnmatch_lines(
        ["FORGIVEN test_it.py::test_flaky  failed on all * attempts*", "*1 passed, *1 forgiven*"]
    )
    assert result.ret == 0
    outcomes = brittle.sql(
        "select distinct outcome from results join tests using (test_no) "
        "where identity like '%test_flaky' and run_no = (select max(run_no) from runs)"
    )
    assert outcomes == [("failed",)]
    suite = ET.parse(xml).getroot()[0]
    assert (suite.get("failures"), suite.get("skipped")) == ("0", "1")
    assert {each.tag for case in suite.iter("testcase") for each in case} == {
        "skipped",
        "rerunFailure",
    }


@pytest.mark.parametrize(
    "asserted", ["assert not left, 1 / 0", "assert not left  # edited", "assert left is None"]
)
def test_an_unusual_failure_is_not_forgiven(brittle: Project, asserted: str) -> None:
    """Where its code has changed, or it fails otherwise than ever, a known flake stays red."""
    fail(brittle, 9)
    brittle.write(test_it=FLAKY.replace("assert not left", asserted))
    brittle.commit_all()
    result = brittle.run("--aqe-flaky=rerun", NO_TRACKING)
    assert result.ret == 1
    assert result.parseoutcomes()["failed"] == 1


def test_a_lasting_failure_is_not_forgiven(brittle: Project) -> None:
    """What fails run after run may have a cause outside the code: a service, a variable."""
    for expected in (0, 1, 1):
        fail(brittle, 9)
        result = brittle.run("--aqe-flaky=rerun", NO_TRACKING)
        assert result.ret == expected
    result.stdout.fnmatch_lines(["FLAKY *failed on all * attempts*latest 4 runs: a lasting cause?"])


# Fails in every third run, where its code is as it was.
PAYS = """
    from pathlib import Path

    import pay

    def coin():
        count = Path(__file__).parent / ".aqe" / "count"
        number = int(count.read_text()) if count.exists() else 1
        count.write_text(str(number + 1))
        return number

    def test_a(): pass
    def test_b(): pass
    def test_flaky(): assert (5 if coin() % 3 else 4) == pay.rate()
"""


def pay_nine_times(project: Project) -> None:
    project.write(test_pay=PAYS, pay="def rate(): return 5")
    (project.path / ".gitignore").write_text(".aqe\n__pycache__\n")
    project.commit_all()
    for _ in range(9):
        project.run_apart()


@pytest.fixture
def failed_last(project: Project) -> Project:
    """A suite whose flake failed in its last run, each test being followed."""
    project.begin("failed-last", lambda: pay_nine_times(project))
    assert project.outcomes()["test_flaky"] == "failed"
    return project


def test_a_regression_after_a_flake_stays_red(failed_last: Project) -> None:
    """That it failed last is no excuse: its code differs from what it last passed with."""
    days = datetime.now(timezone.utc).date() + timedelta(days=9)
    (failed_last.path / "aqe-quarantine.toml").write_text(
        f"""
        [[test]]
        id = "test_pay.py::test_flaky"
        reason = "a coin"
        owner = "team-x"
        expires = {days}
        evidence = []
        """
    )
    failed_last.write(pay="def rate(): return 6")
    for mode in ("rerun", "quarantine"):
        result = failed_last.run_apart(f"--aqe-flaky={mode}")
        assert (result.parseoutcomes()["failed"], result.ret) == (1, 1)


def test_a_flake_that_failed_last_is_forgiven(failed_last: Project) -> None:
    """Where its code is what it last passed with, its failure in the run before says nothing."""
    (failed_last.path / ".aqe" / "count").write_text("9")
    result = failed_last.run_apart("--aqe-flaky=rerun")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["FLAKY  test_pay.py::test_flaky  failed then passed*"])


def test_a_regression_stays_red(known: Project, workers: Workers) -> None:
    """A test whose code broke fails on every attempt, and fails the session."""
    known.write(test_it=FLAKY.replace("assert not left", "assert 0"))
    known.commit_all()
    result = known.run(*workers, "--aqe-flaky=rerun", NO_TRACKING)
    assert result.ret == 1
    assert result.parseoutcomes()["failed"] == 1
    result.stdout.no_fnmatch_line("*internal fault*")


def test_a_new_test_is_not_called_flaky(project: Project, workers: Workers) -> None:
    """In its first runs a pass on another attempt is not believed, and said so."""
    project.write(test_it=FLAKY)
    fail(project, 1)
    result = project.run(*workers, "--aqe-flaky=rerun")
    assert result.ret == 1
    assert result.parseoutcomes()["failed"] == 1
    if "rerun" in result.parseoutcomes():
        result.stdout.fnmatch_lines(["*it passed on attempt *, but *"])
        assert project.outcomes()["test_flaky"] == "passed"


def test_a_new_test_gets_no_card(project: Project) -> None:
    """What is too new to be called flaky is not called so two lines below."""
    project.write(test_it=FLAKY)
    project.commit_all()
    for failing in (0, 0, 0, 1):
        fail(project, failing)
        result = project.run("--aqe-flaky=rerun", NO_TRACKING)
    result.stdout.fnmatch_lines(["it passed on attempt *: too new to be called flaky"])
    result.stdout.no_fnmatch_line("FLAKY*")


def test_marks_of_rerunfailures_keep_their_meaning(known: Project, workers: Workers) -> None:
    """A test that pytest-rerunfailures runs again is left to it."""
    pytest.importorskip("pytest_rerunfailures")
    known.write(
        test_it=FLAKY.replace(
            "def test_flaky", "@pytest.mark.flaky(reruns=3)\n    def test_flaky"
        ).replace("from pathlib", "import pytest\n    from pathlib"),
    )
    known.commit_all()
    fail(known, 3)
    result = known.run(*workers, "--aqe-flaky=rerun", NO_TRACKING)
    outcomes = result.parseoutcomes()
    assert (outcomes["passed"], outcomes["rerun"], result.ret) == (2, 3, 0)


def test_time_for_reruns_is_bounded(known: Project) -> None:
    """With hardly any time nothing is run again."""
    fail(known, 1)
    result = known.run("--aqe-flaky=rerun", "--aqe-rerun-budget=0.0000001s", NO_TRACKING)
    assert result.ret == 1
    assert "rerun" not in result.parseoutcomes()


def test_fixtures_are_fresh_for_another_attempt(project: Project) -> None:
    """Function fixtures and the instance are made anew; what failed to be set up is tried again."""
    project.write(
        test_it="""
        from pathlib import Path
        import pytest

        FAIL = Path(__file__).parent / ".aqe" / "fail"

        @pytest.fixture
        def box():
            left = int(FAIL.read_text())
            if left:
                FAIL.write_text(str(left - 1))
                raise TimeoutError
            return []

        class TestBox:
            def test_box(self, box):
                assert not hasattr(self, "seen")
                self.seen = True
                box.append(1)
                assert box == [1]
        """
    )
    project.commit_all()
    for run in range(12):
        fail(project, run % 3 == 2)
        project.run(NO_TRACKING)
    fail(project, 1)
    result = project.run("--aqe-flaky=rerun", NO_TRACKING)
    assert (result.parseoutcomes()["passed"], result.ret) == (1, 0)


def test_xfail_and_skip_are_no_failures(project: Project) -> None:
    """Nothing is run again that did not fail."""
    project.write(
        test_it="""
        import pytest
        @pytest.mark.xfail
        def test_x(): assert 0
        def test_s(): pytest.skip()
        """
    )
    result = project.run("--aqe-flaky=rerun")
    assert result.parseoutcomes() == {"xfailed": 1, "skipped": 1}


def test_it_learns_from_how_episodes_turn_out(known: Project) -> None:
    """A flake that passes in the next run on the same code teaches; states keep their visits."""
    fail(known, 1)
    known.run("--aqe-flaky=rerun", NO_TRACKING)
    assert known.sql("select count(*) from flake_episodes") == [(0,)]
    fail(known, 0)
    known.run("--aqe-flaky=rerun", NO_TRACKING)
    assert known.sql("select real from flake_episodes") == [(False,)]
    ((states,),) = known.sql("select count(*) from flake_values")
    assert states >= 2  # before and after the attempt
    known.run("--aqe-flaky=rerun", NO_TRACKING)
    assert known.sql("select count(*) from flake_episodes") == [(1,)]


# A victim of test_polluter, which pollutes where there is a file that says so.
POLLUTED = """
    import os

    STATE = []

    def test_polluter():
        if os.path.exists(".aqe/pollute"):
            STATE.append(1)

    def test_victim(): assert not STATE
"""


def pollute(project: Project, workers: Workers, *arguments: str) -> pytest.RunResult:
    """Let a victim flake in every third run, then in one that runs failures again."""

    def live() -> None:
        project.write(test_it=POLLUTED)
        project.commit_all()
        for run in range(12):
            project.folder.mkdir(exist_ok=True)
            (project.folder / "pollute").touch()
            if run % 3 != 2:
                (project.folder / "pollute").unlink()
            project.run(NO_TRACKING, *arguments)

    if arguments or (project.path / "conftest.py").exists():
        live()
    else:
        project.begin("polluted", live)
    (project.folder / "pollute").touch()
    return project.run(
        *in_one_process(workers), *IN_ORDER, "--aqe-flaky=rerun", NO_TRACKING, *arguments
    )


def alone(project: Project) -> set[tuple[str, ...]]:
    """Return the outcomes of a victim's attempts in a process of their own."""
    return set(
        project.sql(
            "select outcome from results join tests using (test_no) "
            "where identity like '%test_victim' and attempt_mode = 'isolated'"
        )
    )


def test_an_attempt_in_a_fresh_process(project: Project, workers: Workers) -> None:
    """A victim passes alone: it is run in a process of its own, which says which mode that was."""
    result = pollute(project, workers)
    result.stdout.no_fnmatch_line("*internal fault*")
    assert (alone(project), result.ret) == ({("passed",)}, 0)


def test_an_attempt_alone_takes_as_long_as_the_test(project: Project) -> None:
    """Starting a process for it is no part of the test."""
    project.write(
        conftest="""
        import pytest

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport():
            report = yield
            report.duration = 0.25
            return report
        """
    )
    pollute(project, ())
    durations = project.sql(
        "select distinct duration from results join tests using (test_no) "
        "where identity like '%test_victim' and attempt_mode = 'isolated'"
    )
    assert durations == [(0.75,)]


def test_an_attempt_alone_has_the_options_of_the_session(
    project: Project, workers: Workers
) -> None:
    """A test that needs an option of the command line gets it in a process of its own too."""
    project.write(
        conftest="""
        import pytest

        def pytest_addoption(parser):
            parser.addoption("--env", default="production")

        @pytest.fixture(autouse=True)
        def env(request):
            assert request.config.getoption("--env") == "staging"
        """
    )
    result = pollute(project, workers, "--env", "staging")
    assert (alone(project), result.ret) == ({("passed",)}, 0)


def test_an_attempt_alone_is_told_by_the_test(project: Project) -> None:
    """What else fails its session, such as a coverage that one test cannot have, does not count."""
    project.write(
        conftest="""
        def pytest_sessionfinish(session, exitstatus):
            if session.testscollected == 1 and exitstatus == 0:
                session.exitstatus = 1
        """
    )
    result = pollute(project, ())
    assert (alone(project), result.ret) == ({("passed",)}, 0)
