"""``--aqe-environ``: environment variables that tests depend on."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import pytest_aqe

if TYPE_CHECKING:
    from .conftest import Project

Workers = tuple[str, ...]

VARIABLES = "--aqe-environ=COLOUR,SHAPE"


@pytest.fixture(autouse=True)
def readers(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that reads a variable and one that does not."""
    project.write(
        test_a="import os\ndef test_reads(): os.environ.get('COLOUR')\ndef test_plain(): pass\n"
    )
    monkeypatch.setenv("COLOUR", "red")


def select(project: Project, *arguments: str) -> set[str]:
    """Return the names of the tests that a selected run runs."""
    run = project.run if "-n2" in arguments else project.run_apart
    ((before,),) = project.sql("select max(run_no) from runs")
    run("--aqe-mode=select", "--aqe-probe=0", VARIABLES, *arguments)
    rows = project.sql(
        f"select node_id from results join nodes using (node_no) where run_no > {before}"
    )
    return {node_id.partition("::")[2] for (node_id,) in rows}


@pytest.mark.parametrize("value", ["blue", ""])
def test_changed(
    project: Project, monkeypatch: pytest.MonkeyPatch, workers: Workers, value: str
) -> None:
    """Who read the variable runs when its value is another."""
    (project.run if workers else project.run_apart)(VARIABLES, *workers)
    monkeypatch.setenv("COLOUR", value)
    assert select(project, *workers) == {"test_reads"}


def test_a_session_that_looks_at_the_variables_reads_them_for_no_test(
    project: Project, monkeypatch: pytest.MonkeyPatch, workers: Workers
) -> None:
    """What the history compares is nobody's dependency: only who read the variable runs."""
    run = project.run if workers else project.run_apart
    run(VARIABLES, *workers)
    project.write(test_b="def test_later(): pass\n")
    run(VARIABLES, *workers)
    monkeypatch.setenv("COLOUR", "blue")
    assert select(project, *workers) == {"test_reads"}


def test_a_checkout_of_the_plugin_reads_them_for_no_test(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it imports lately is the project's, and what it looks at then is nobody's."""
    own = Path(pytest_aqe.__file__).parent
    shutil.copytree(own, project.path / "pytest_aqe", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setenv("PYTHONPATH", str(project.path))
    assert project.run_fresh(VARIABLES, "test_a.py").ret == pytest.ExitCode.OK
    monkeypatch.setenv("COLOUR", "blue")
    done = project.run_fresh(VARIABLES, "--aqe-mode=select", "--aqe-probe=0", "test_a.py")
    done.stdout.fnmatch_lines(["selected 1 of 2 tests: 1 affected; *"])


@pytest.mark.parametrize(
    ("file", "lines"),
    [
        ("pytest.ini", ["[pytest]", "aqe_environ = COLOUR, SHAPE"]),
        ("pyproject.toml", ["[tool.pytest.ini_options]", "aqe_environ = ['SHAPE', 'COLOUR']"]),
        ("pyproject.toml", ["[tool.pytest.ini_options]", "aqe_environ = 'SHAPE COLOUR'"]),
        pytest.param(
            "pytest.toml",
            ["[pytest]", "aqe_environ = ['SHAPE', 'COLOUR']"],
            marks=pytest.mark.skipif(pytest.version_tuple < (9,), reason="pytest 9 reads it"),
        ),
    ],
)
def test_ini_key(
    project: Project, monkeypatch: pytest.MonkeyPatch, file: str, lines: list[str]
) -> None:
    """A project names them in its configuration, in each way in which a list is written."""
    (project.path / file).write_text("\n".join([*lines, ""]))
    project.run_apart("-Werror").assert_outcomes(passed=2)
    monkeypatch.setenv("COLOUR", "blue")
    done = project.run_apart("-Werror", "--aqe-mode=select", "--aqe-probe=0")
    done.assert_outcomes(passed=1, deselected=1)


def test_unset(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Being unset is a value."""
    project.run_apart(VARIABLES)
    monkeypatch.delenv("COLOUR")
    assert select(project) == {"test_reads"}
    assert select(project) == set()
    monkeypatch.setenv("COLOUR", "")
    assert select(project) == {"test_reads"}


def test_not_read(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A declared variable that no test read selects nothing."""
    project.run_apart(VARIABLES)
    monkeypatch.setenv("SHAPE", "round")
    assert select(project) == set()


def test_not_declared(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a variable that is not declared nothing is known."""
    project.run_apart()
    monkeypatch.setenv("COLOUR", "blue")
    assert select(project) == set()


def test_the_value_is_not_kept(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be a secret, so only its hash is written."""
    monkeypatch.setenv("COLOUR", "vermilion-4711")
    project.run_apart(VARIABLES)
    assert project.sql("select file from run_files where file = '<environ>/COLOUR'")
    kept = [path for path in project.folder.rglob("*") if path.is_file()]
    assert kept
    assert not any(b"vermilion-4711" in _content(path) for path in kept)


def _content(path: object) -> bytes:
    import gzip
    from pathlib import Path

    data = Path(str(path)).read_bytes()
    return gzip.decompress(data) if str(path).endswith(".gz") else data
