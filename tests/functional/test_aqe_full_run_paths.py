"""``--aqe-full-run-paths``: files whose change makes select run everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project

Workers = tuple[str, ...]

SELECT = ("--aqe-mode=select", "--aqe-probe=0")


@pytest.fixture(autouse=True)
def two_tests(project: Project) -> None:
    """Two tests, of which one reads a file."""
    project.write(
        test_a="from pathlib import Path\n"
        "def test_1(): assert Path('schema.sql').read_text()\n"
        "def test_2(): pass\n"
    )
    (project.path / "schema.sql").write_text("1")
    (project.path / "pyproject.toml").write_text("")


def test_named(project: Project, workers: Workers) -> None:
    """A file that a glob names concerns every test, also one that no test opens."""
    run = project.run if workers else project.run_apart
    paths = "--aqe-full-run-paths=*.lock, schema.sql"
    run(paths, *workers)
    (project.path / "schema.sql").write_text("2")
    done = run(*SELECT, paths, *workers)
    done.assert_outcomes(passed=2)
    done.stdout.fnmatch_lines(["full run: schema.sql changed"])


def test_not_named(project: Project) -> None:
    """Any other file concerns who uses it."""
    project.run_apart()
    (project.path / "schema.sql").write_text("2")
    project.run_apart(*SELECT).assert_outcomes(passed=1, deselected=1)


def test_none(project: Project) -> None:
    """The built-in list can be replaced, by one that matches nothing too."""
    paths = "--aqe-full-run-paths=none"
    project.run_apart(paths)
    (project.path / "pyproject.toml").write_text("[tool.other]\n")
    project.run_apart(*SELECT, paths).stdout.fnmatch_lines(["selected 0 of 2 tests; *"])


def test_above_rootdir(project: Project) -> None:
    """Files beside the repository's root count as those beside rootdir do."""
    below = project.path / "below"
    below.mkdir()
    for name in ("test_a.py", "schema.sql"):
        (project.path / name).rename(below / name)
    (below / "pytest.ini").write_text("[pytest]\n")
    (below / "test_a.py").write_text("def test_1(): pass\n")
    where = ("--rootdir", str(below), f"--aqe-history={project.history}", str(below))
    project.run_apart(*where)
    project.run_apart(*SELECT, *where).stdout.fnmatch_lines(["selected 0 of 1 test; *"])
    (project.path / "pyproject.toml").write_text("[tool.other]\n")
    done = project.run_apart(*SELECT, *where)
    done.stdout.fnmatch_lines(["full run: pyproject.toml changed"])
    (below / "pytest.ini").write_text("[pytest]\naddopts = -q\n")
    done = project.run_apart(*SELECT, *where)
    done.stdout.fnmatch_lines(["full run: below/pytest.ini changed"])


def test_what_a_subprocess_may_read_elsewhere_is_not_new(project: Project) -> None:
    """A matching file in another folder that a run did not look at has not come since."""
    (project.path / "docs").mkdir()
    (project.path / "docs" / "requirements.txt").write_text("sphinx\n")
    project.write(
        test_b="import subprocess, sys\ndef test_b(): subprocess.run([sys.executable, '-c', ''])\n"
    )
    project.run_apart()
    project.run_apart("-k", "test_1")
    done = project.run_apart(*SELECT)
    assert "full run:" not in done.stdout.str()


def test_ini_key(project: Project) -> None:
    """The list can be set once for the project."""
    project.write_ini("aqe_full_run_paths = *.sql")
    project.run_apart()
    (project.path / "schema.sql").write_text("2")
    project.run_apart(*SELECT).stdout.fnmatch_lines(["full run: schema.sql changed"])
