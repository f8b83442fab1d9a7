"""What of a command line another process needs to run a test as this one does."""

from __future__ import annotations

import pytest

from pytest_aqe.evidence.command_line import handed_on


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--env=staging", "tests"], ["--env=staging"]),
        (["--env", "staging", "tests/test_it.py::test_one"], ["--env", "staging"]),
        (["-xs", "-k", "one", "--slow"], ["-s", "--slow"]),
        (
            ["-pno:doctest", "-o", "a=b", "-W", "error"],
            ["-pno:doctest", "-o", "a=b", "-W", "error"],
        ),
        (["--aqe-flaky=rerun", "--lf", "--deselect", "a.py", "--basetemp=b"], []),
        (["--junitxml=a.xml", "--junit-xml", "b.xml", "--log-file=c"], []),
        (["--env=staging", "--", "--slow"], ["--env=staging"]),
    ],
)
def test_how_a_test_runs_is_handed_on(
    pytester: pytest.Pytester, given: list[str], expected: list[str]
) -> None:
    """Options of the project's own are; paths, and what chooses or reports, are not."""
    pytester.makeconftest(
        """
        def pytest_addoption(parser):
            parser.addoption("--env")
            parser.addoption("--slow", action="store_true")
        """
    )
    (pytester.path / "tests").mkdir()
    config = pytester.parseconfig(*given)
    assert handed_on(config) == expected
