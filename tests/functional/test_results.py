"""What a run leaves in the history: one row an attempt, with the outcome people mean."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project

Workers = tuple[str, ...]


def test_every_outcome(project: Project, workers: Workers) -> None:
    """Passes, failures, errors, skips, xfails and xpasses are told apart."""
    project.write(
        test_kinds="""
        import pytest

        @pytest.fixture
        def broken_setup():
            raise RuntimeError

        @pytest.fixture
        def broken_teardown():
            yield
            raise RuntimeError

        def test_passes(): pass
        def test_fails(): assert 0
        def test_setup_error(broken_setup): pass
        def test_teardown_error(broken_teardown): pass
        def test_fails_then_teardown_error(broken_teardown): assert 0
        @pytest.mark.skip
        def test_skip_mark(): pass
        def test_skips_inside(): pytest.skip("now")
        @pytest.mark.xfail
        def test_xfails(): assert 0
        @pytest.mark.xfail
        def test_xpasses(): pass
        @pytest.mark.xfail(strict=True)
        def test_xpasses_strictly(): pass
        """
    )
    project.run(*workers)
    assert project.outcomes() == {
        "test_passes": "passed",
        "test_fails": "failed",
        "test_setup_error": "error",
        "test_teardown_error": "error",
        "test_fails_then_teardown_error": "failed",
        "test_skip_mark": "skipped",
        "test_skips_inside": "skipped",
        "test_xfails": "xfailed",
        "test_xpasses": "xpassed",
        "test_xpasses_strictly": "failed",
    }


def test_unittest_subtest(project: Project, workers: Workers) -> None:
    """A unittest test with a failed subTest failed, although its own report says passed."""
    project.write(
        test_unit="""
        import unittest

        class TestUnit(unittest.TestCase):
            def test_one_bad(self):
                for number in range(3):
                    with self.subTest(number=number):
                        self.assertNotEqual(number, 1)

            def test_all_good(self):
                for number in range(3):
                    with self.subTest(number=number):
                        pass
        """
    )
    project.run(*workers)
    outcomes = project.outcomes()
    if pytest.version_tuple < (9, 0):  # without subtests of its own it reports a failed test
        assert outcomes["TestUnit::test_one_bad"] == "failed"
    assert outcomes == {"TestUnit::test_one_bad": "failed", "TestUnit::test_all_good": "passed"}


@pytest.mark.skipif(pytest.version_tuple < (9, 0), reason="pytest has no subtests fixture")
def test_subtests_fixture(project: Project, workers: Workers) -> None:
    """A test with a failed subtest failed, and is one result."""
    project.write(
        test_sub="""
        def test_one_bad(subtests):
            for number in range(3):
                with subtests.test(number=number):
                    assert number != 1

        def test_all_good(subtests):
            for number in range(3):
                with subtests.test(number=number):
                    pass
        """
    )
    project.run(*workers)
    assert project.results("node_id, outcome") == [
        ("test_sub.py::test_all_good", "passed"),
        ("test_sub.py::test_one_bad", "failed"),
    ]


def test_unittest_classes(project: Project, workers: Workers) -> None:
    """unittest's own skips, expected failures and unexpected successes are told apart."""
    project.write(
        test_unit="""
        import unittest

        class TestUnit(unittest.TestCase):
            def test_good(self): pass
            def test_bad(self): self.fail()
            @unittest.skip("not now")
            def test_skipped(self): pass
            @unittest.expectedFailure
            def test_expected(self): self.fail()
        """
    )
    project.run(*workers)
    assert project.outcomes() == {
        "TestUnit::test_good": "passed",
        "TestUnit::test_bad": "failed",
        "TestUnit::test_skipped": "skipped",
        "TestUnit::test_expected": "xfailed",
    }


def test_doctest_module(project: Project, workers: Workers) -> None:
    """The doctests of a module are tests like any other."""
    project.write(
        arithmetic='''
        def double(number):
            """Double.

            >>> double(2)
            4
            """
            return number * 2

        def halve(number):
            """Halve.

            >>> halve(4)
            3
            """
            return number / 2
        '''
    )
    project.run("--doctest-modules", *workers)
    assert project.outcomes() == {"arithmetic.double": "passed", "arithmetic.halve": "failed"}


def test_doctest_file(project: Project) -> None:
    """A text file of doctests is a test."""
    (project.path / "test_guide.txt").write_text(">>> 1 + 1\n2\n", encoding="utf-8")
    project.run()
    assert project.results("node_id, outcome") == [("test_guide.txt::test_guide.txt", "passed")]


def test_failing_doctest_file(project: Project) -> None:
    """A failed doctest has a signature like any failure."""
    (project.path / "test_guide.txt").write_text(">>> 1 + 1\n3\n", encoding="utf-8")
    project.run()
    ((outcome, signature),) = project.results("outcome, signature")
    assert outcome == "failed"
    assert "@test_guide.txt#" in signature


def test_reruns_are_kept(project: Project, workers: Workers) -> None:
    """Every attempt that pytest-rerunfailures makes is a row of its own."""
    pytest.importorskip("pytest_rerunfailures")
    project.write(
        test_flaky="""
        tries = []

        def test_second_time_lucky():
            tries.append(1)
            assert len(tries) == 2

        def test_never(): assert 0
        """
    )
    project.run("--reruns=2", *workers)
    assert project.results("node_id, attempt, attempt_mode, outcome") == [
        ("test_flaky.py::test_never", 0, "first", "failed"),
        ("test_flaky.py::test_never", 1, "inproc", "failed"),
        ("test_flaky.py::test_never", 2, "inproc", "failed"),
        ("test_flaky.py::test_second_time_lucky", 0, "first", "failed"),
        ("test_flaky.py::test_second_time_lucky", 1, "inproc", "passed"),
    ]


def test_rerun_after_setup_error(project: Project) -> None:
    """An attempt that ends in its setup is a row too."""
    pytest.importorskip("pytest_rerunfailures")
    project.write(
        test_flaky="""
        import pytest
        tries = []

        @pytest.fixture
        def service():
            tries.append(1)
            if len(tries) == 1:
                raise ConnectionError

        def test_service(service): pass
        """
    )
    project.run("--reruns=1")
    assert project.results("attempt, outcome") == [(0, "error"), (1, "passed")]


def test_flaked_tests_are_told(project: Project) -> None:
    """The summary counts the tests that failed first and passed on a later attempt."""
    pytest.importorskip("pytest_rerunfailures")
    project.write(
        test_flaky="""
        tries = []

        def test_second_time_lucky():
            tries.append(1)
            assert len(tries) == 2
        """
    )
    project.run("--reruns=1").stdout.fnmatch_lines(
        ["recorded 2 results, 1 failed first and passed on a later attempt"]
    )


def test_durations(project: Project) -> None:
    """Setup, call and teardown are measured, and the duration is their sum."""
    project.write(test_a="def test_x(tmp_path): pass")
    project.run()
    ((setup, teardown, duration),) = project.results("setup, teardown, duration")
    assert setup > 0
    assert teardown > 0
    assert duration > setup + teardown


def test_exit_first(project: Project, workers: Workers) -> None:
    """A run that ``-x`` ended is recorded as stopped."""
    project.write(test_a="def test_x(): assert 0\ndef test_y(): pass\n")
    project.run("-x", *workers)
    assert project.statuses() == ["stopped"]
    assert project.outcomes()["test_x"] == "failed"


def test_complete(project: Project) -> None:
    """A run that came to its end is complete, whatever failed."""
    project.write(test_a="def test_x(): assert 0\ndef test_y(): pass\n")
    project.run()
    assert project.sql("select status, exit_status, collected, deselected, recorded from runs") == [
        ("complete", 1, 2, 0, 2)
    ]


def test_keyboard_interrupt(project: Project) -> None:
    """A run that Ctrl-C ended is recorded as interrupted, with the results it had."""
    project.write(test_a="def test_x(): pass\ndef test_y(): raise KeyboardInterrupt\n")
    done = project.run_apart()
    assert done.ret == pytest.ExitCode.INTERRUPTED
    assert project.statuses() == ["interrupted"]
    assert project.outcomes() == {"test_x": "passed"}


def test_pytest_exit(project: Project) -> None:
    """A run that pytest.exit() ended is interrupted, whatever exit code it asked for."""
    project.write(test_a="import pytest\ndef test_x(): pass\ndef test_y(): pytest.exit('', 0)\n")
    assert project.run_apart().ret == 0
    assert project.statuses() == ["interrupted"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_killed_run(project: Project, workers: Workers) -> None:
    """What a killed run had recorded, the next run finds."""
    project.write(
        test_a="""
        import os, signal
        def test_x(): pass
        def test_y(): assert 0
        """,
        conftest="""
        import os, signal

        def pytest_runtest_logfinish(nodeid):
            seen.add(nodeid)
            if len(seen) == 2 and "PYTEST_XDIST_WORKER" not in os.environ and armed:
                os.kill(os.getpid(), signal.SIGKILL)

        seen = set()
        armed = os.path.exists("armed")
        """,
    )
    (project.path / "armed").touch()
    assert project.run_apart(*workers).ret == -signal.SIGKILL
    (project.path / "armed").unlink()
    assert not project.history.exists()
    project.run("-k", "test_x")
    assert project.statuses() == ["killed", "complete"]
    assert project.results("run_no, node_id, outcome") == [
        (1, "test_a.py::test_x", "passed"),
        (1, "test_a.py::test_y", "failed"),
        (2, "test_a.py::test_x", "passed"),
    ]


def test_collection_error(project: Project) -> None:
    """A run whose collection failed ran no test and leaves no row."""
    project.write(test_a="import nothing_of_that_name\n", test_b="def test_y(): pass\n")
    done = project.run()
    assert done.ret == pytest.ExitCode.INTERRUPTED
    assert not project.history.exists()


def test_collection_error_under_xdist(project: Project) -> None:
    """xdist runs what could be collected, so that is recorded."""
    pytest.importorskip("xdist")
    project.write(test_a="import nothing_of_that_name\n", test_b="def test_y(): pass\n")
    done = project.run("-n2")
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    assert project.outcomes() == {"test_y": "passed"}


def test_continued_collection_error(project: Project) -> None:
    """With --continue-on-collection-errors, what did run is recorded."""
    project.write(test_a="import nothing_of_that_name\n", test_b="def test_y(): pass\n")
    project.run("--continue-on-collection-errors")
    assert project.outcomes() == {"test_y": "passed"}


def test_collect_only(project: Project) -> None:
    """--collect-only records nothing."""
    project.write(test_a="def test_x(): pass\n")
    project.run("--collect-only")
    assert not project.folder.exists()


def test_no_tests(project: Project) -> None:
    """A run of no tests leaves no row, and pytest's exit code."""
    project.write(test_a="")
    assert project.run().ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert not project.history.exists()


def test_typo_in_keyword(project: Project) -> None:
    """A -k expression that matches nothing is exit code 5, as without us."""
    project.write(test_a="def test_x(): pass\n")
    assert project.run("-k", "nothing").ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_typo_in_keyword_with_history(project: Project, workers: Workers) -> None:
    """A plan does not change the exit code of a run with nothing to run."""
    project.write(test_a="def test_x(): pass\n")
    project.run()
    assert project.run("-k", "nothing", *workers).ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_all_deselected(project: Project) -> None:
    """Tests that the user deselected leave pytest's exit code."""
    project.write(test_a="def test_x(): pass\n")
    done = project.run("--deselect", "test_a.py::test_x")
    assert done.ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_deselected_are_counted(project: Project, workers: Workers) -> None:
    """A run's row tells how many tests were collected and how many deselected."""
    project.write(test_a="def test_x(): pass\ndef test_y(): pass\ndef test_z(): pass\n")
    project.run("-k", "not test_y", *workers)
    assert project.sql("select collected, deselected, recorded from runs") == [(3, 1, 2)]


def test_failure_signature(project: Project, workers: Workers) -> None:
    """Two failures of one kind at one place have one signature, whatever the values."""
    project.write(
        test_a="""
        import pytest

        def load(name):
            raise FileNotFoundError(f"no file {name!r} in {len(name)} places")

        @pytest.mark.parametrize("name", ["a", "bcd"])
        def test_load(name): load(name)
        """
    )
    project.run(*workers)
    signatures = {signature for (signature,) in project.results("signature")}
    assert len(signatures) == 1
    assert signatures.pop().startswith("FileNotFoundError@test_a.py#")


def test_run_is_described(project: Project) -> None:
    """A run's row says when, where and with what it ran."""
    project.write(test_a="def test_x(): pass\n")
    commit = project.commit_all()
    project.run()
    ((found, branch, source, trust, version, plugins),) = project.sql(
        'select "commit", branch, source, trust, pytest, plugins from runs'
    )
    assert (found, branch, source, trust, version) == (
        commit,
        "main",
        "local",
        "trusted",
        pytest.__version__,
    )
    assert any(plugin.startswith("pytest-aqe-") for plugin in plugins)


def test_pull_request_is_untrusted(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run of a pull request is marked as one."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_EVENT_NAME", "pull_request")
    project.write(test_a="def test_x(): pass\n")
    project.run()
    assert project.sql("select source, ci, trust from runs") == [("ci", "github", "untrusted")]
