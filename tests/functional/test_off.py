"""Installed and off: nothing is printed, changed, imported or written."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project

_MIXED = """
import pytest
import warnings

def test_passes(): print("printed")
def test_fails(): assert [1, 2] == [1, 3]
@pytest.mark.skip(reason="not now")
def test_skipped(): pass
@pytest.mark.xfail
def test_xfails(): assert 0
def test_warns(): warnings.warn("careful")
@pytest.fixture
def broken(): raise RuntimeError("broken")
def test_setup_error(broken): pass
"""


def _normal(result: pytest.RunResult) -> list[str]:
    """Return what was printed without timings and without the list of installed plugins."""
    lines = [*result.outlines, *result.errlines]
    return [
        re.sub(r"\d+\.\d+s", "TIME", line) for line in lines if not line.startswith("plugins: ")
    ]


def _same(project: Project, *arguments: str) -> None:
    off = project.pytest(*arguments)
    absent = project.pytest("-p", "no:aqe", *arguments)
    assert _normal(off) == _normal(absent)
    assert off.ret == absent.ret


@pytest.mark.parametrize(
    "arguments",
    [[], ["-v"], ["-q"], ["-q", "-q"], ["-rA"], ["-x"], ["-W", "error"], ["--collect-only"]],
    ids=" ".join,
)
def test_same_output(project: Project, arguments: list[str]) -> None:
    """Installed and off, pytest prints to the byte what it prints without the plugin."""
    project.write(test_mixed=_MIXED)
    _same(project, "-p", "no:cacheprovider", *arguments)


@pytest.mark.parametrize("quiet", ["", "-q", "-qq"])
def test_typed_for_nothing(project: Project, workers: tuple[str, ...], quiet: str) -> None:
    """A flag of ours that was typed without ``--aqe`` does nothing, and that is said."""
    project.write(test_good="def test_x(): pass\n")
    typed = ("--aqe-mode=select", "--aqe-base", "main", *([quiet] if quiet else []), *workers)
    done = project.pytest(*typed)
    said = "aqe: off, so --aqe-mode, --aqe-base did nothing; --aqe turns it on"
    assert (said in done.outlines) == (quiet != "-qq")
    assert not project.folder.exists()
    assert said not in project.pytest("--no-aqe", *typed).outlines


def test_flags_in_addopts_wait(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a project keeps for its runs with ``--aqe`` says nothing in the others."""
    project.write(test_good="def test_x(): pass\n")
    project.write_ini("addopts = --aqe-suite=linux")
    monkeypatch.setenv("PYTEST_ADDOPTS", "--aqe-mode=select")
    assert "--aqe" not in project.pytest().stdout.str()


def test_same_output_of_a_good_run(project: Project) -> None:
    """A run that passes is printed to the byte as without the plugin."""
    project.write(test_good="def test_x(): pass\n")
    _same(project)


def test_same_output_of_an_empty_run(project: Project) -> None:
    """A run of nothing is printed to the byte as without the plugin."""
    _same(project)


def test_same_output_of_a_broken_collection(project: Project) -> None:
    """A failed collection is printed to the byte as without the plugin."""
    project.write(test_broken="import nothing_of_that_name\n")
    _same(project)


def test_same_output_under_xdist(project: Project) -> None:
    """With workers, pytest prints to the byte what it prints without the plugin."""
    pytest.importorskip("xdist")
    project.write(test_mixed=_MIXED)
    _same(project, "-p", "no:cacheprovider", "-n1", "-v")


def test_same_result_in_a_process_of_its_own(project: Project) -> None:
    """The same holds for the pytest that a shell starts."""
    project.write(test_mixed=_MIXED)
    quiet = ("-p", "no:cacheprovider", "-v")
    off = project.pytester.runpytest_subprocess(*quiet)
    absent = project.pytester.runpytest_subprocess("-p", "no:aqe", *quiet)
    assert _normal(off) == _normal(absent)


def test_leaves_no_file(project: Project) -> None:
    """Installed and off, nothing is written."""
    project.write(test_good="def test_x(): pass\n")
    project.pytest()
    assert not project.folder.exists()


def test_off_imports_nothing_heavy(project: Project) -> None:
    """Installed and off, neither duckdb nor numpy, coverage or lionagi is imported."""
    project.write(
        conftest="""
        import sys

        def pytest_unconfigure(config):
            heavy = {"coverage", "duckdb", "lionagi", "numpy", "pytest_aqe.controller"}
            print("imported:", sorted(heavy & set(sys.modules)))
        """,
        test_good="def test_x(): pass\n",
    )
    done = project.pytester.runpytest_subprocess("-s", "-p", "no:pytest_cov")  # may import it
    done.stdout.fnmatch_lines(["*imported: []"])


def test_plugin_imports_the_standard_library_alone(project: Project) -> None:
    """The entry point imports pytest, the standard library, and of ours the options."""
    process = project.python(
        """
        import sys
        import pytest

        before = set(sys.modules)
        import pytest_aqe.plugin

        new = {name for name in sys.modules if name not in before}
        new = {name for name in new if name.partition(".")[0] not in sys.stdlib_module_names}
        print(sorted(new - {"pytest_aqe", "pytest_aqe.data", "pytest_aqe.options"}))
        """
    )
    printed, _ = process.communicate()
    assert printed == "['pytest_aqe.plugin']\n"
