"""A child that a test forks is not the session: it records, learns and writes nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system with fork")

_FORKING = """
    import os
    import code_of_ours

    def test_first():
        pass

    def test_forking():
        child = os.fork()
        if child == 0:
            raise SystemExit(0)
        os.waitpid(child, 0)

    def test_last():
        pass
"""
_PASSED = {"test_first": "passed", "test_forking": "passed", "test_last": "passed"}


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--aqe-gaps"],
        ["--aqe-gaps", "--aqe-generate=propose"],
        ["--aqe-flaky=rerun"],
        ["--aqe-flaky=quarantine"],
    ],
    ids=" ".join,
)
def test_child_that_runs_on_to_the_end(project: Project, arguments: list[str]) -> None:
    """What a child makes of the rest of the session is no result."""
    project.write(code_of_ours="def double(x):\n    return 2 * x\n", test_forking=_FORKING)
    for runs in (1, 2):
        done = project.run_apart("-p", "no:cacheprovider", *arguments)
        assert done.ret == pytest.ExitCode.OK
        assert project.outcomes() == _PASSED
        assert project.statuses() == ["complete"] * runs
        assert sum("- aqe -" in line for line in done.outlines) == 1
        assert sum("- gaps -" in line for line in done.outlines) == ("--aqe-gaps" in arguments)
    assert not list(project.folder.glob("faults/*"))


def test_child_of_collection(project: Project) -> None:
    """A child that a test file forks as it is imported is none either."""
    project.write(
        test_importing="""
        import os

        child = os.fork()
        if child:
            os.waitpid(child, 0)

        def test_child():
            assert child
        """
    )
    assert project.run_apart("-p", "no:cacheprovider").ret == pytest.ExitCode.OK
    assert project.outcomes() == {"test_child": "passed"}
    assert project.statuses() == ["complete"]


def test_child_that_ends_where_it_should(project: Project, workers: tuple[str, ...]) -> None:
    """Children that are let run to their own ends change nothing, with workers neither."""
    project.write(
        test_forking="""
        import multiprocessing
        import os

        def test_fork():
            child = os.fork()
            if child == 0:
                os._exit(3)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3

        def test_multiprocessing():
            process = multiprocessing.get_context("fork").Process(target=print)
            process.start()
            process.join()
            assert process.exitcode == 0
        """
    )
    assert project.run_apart(*workers).ret == pytest.ExitCode.OK
    assert project.outcomes() == {"test_fork": "passed", "test_multiprocessing": "passed"}
    assert not list(project.folder.glob("faults/*"))
