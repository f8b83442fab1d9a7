"""results.code: one name for the code a test runs, as long as nothing of it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project

Workers = tuple[str, ...]

LIBRARY = """
    def used():
        return {used}

    def other():
        return {other}
"""
TESTS = """
    from pathlib import Path

    import library

    def test_used():
        if (Path(__file__).parent / ".aqe" / "flake").exists():
            assert 0
        assert library.used() >= 0

    def test_other():
        assert library.other() >= 0

    def test_that_fails():
        assert 0
"""


class Suite:
    """Two tests of two functions."""

    def __init__(self, project: Project, workers: Workers) -> None:
        self.project = project
        self.workers = workers
        project.write(test_it=TESTS, library=LIBRARY.format(used=1, other=1))
        project.commit_all()

    def run(self, *, flake: bool = False, options: Workers = (), **values: int) -> None:
        """Run once, with other code where asked."""
        if values:
            self.project.write(library=LIBRARY.format(**{"used": 1, "other": 1, **values}))
            self.project.commit_all()
        mark = self.project.folder / "flake"
        self.project.folder.mkdir(exist_ok=True)
        if flake:
            mark.touch()
        result = self.project.run(*self.workers, *options)
        result.stdout.no_fnmatch_line("*internal fault*")
        mark.unlink(missing_ok=True)

    def codes(self, test: str) -> list[str]:
        """Return the names of its code, run by run."""
        return [
            code
            for (code,) in self.project.sql(
                "select code from results join tests using (test_no) join runs using (run_no) "
                f"where identity like '%{test}' order by started_at"
            )
        ]


@pytest.fixture
def suite(project: Project, workers: Workers) -> Suite:
    return Suite(project, workers)


def test_code_is_named_by_what_a_test_uses(suite: Suite) -> None:
    """A function that a test does not run changes nothing for it."""
    suite.run()
    suite.run(other=2)
    suite.run(used=2, other=2)
    one, two, three = suite.codes("test_used")
    assert one == two != three
    one, two, three = suite.codes("test_other")
    assert one != two == three
    assert None not in suite.codes("test_used") + suite.codes("test_other")


def test_a_failure_runs_the_same_code(suite: Suite) -> None:
    """A test that stops half-way still counts as running what it ran when it passed."""
    suite.run()
    suite.run(flake=True, other=2)
    suite.run()
    assert len(set(suite.codes("test_used"))) <= 2  # it opened another file
    suite.run(used=3)
    assert suite.codes("test_used")[-1] not in suite.codes("test_used")[:-1]


def test_a_branch_and_back(suite: Suite) -> None:
    """Code that returns has its old name again."""
    suite.run()
    suite.run(used=2)
    suite.run(used=1)
    one, two, three = suite.codes("test_used")
    assert one == three != two


def test_a_run_that_left_it_out(suite: Suite) -> None:
    """Code keeps its name when a selected run did not need the test."""
    suite.run()
    suite.run(other=2, options=("--aqe-mode=select", "--aqe-probe=0"))
    assert len(suite.codes("test_used")) == 1
    suite.run(other=2)
    assert len(suite.codes("test_used")) == 2
    assert len(set(suite.codes("test_used"))) == 1


def test_a_suite_that_never_failed_needs_no_names(project: Project) -> None:
    """Where nothing is suspected nothing is named; from the first failure on everything is."""
    project.write(test_it="def test_one(): pass", test_other="def test_two(): pass")
    project.run()
    assert project.sql("select count(code) from results") == [(0,)]
    project.write(test_it="def test_one(): assert 0")
    project.run()
    assert project.sql("select count(code) from results") == [(2,)]
