"""``--aqe-probe`` and ``--aqe-seed``: a few of those left out run, so that misses are measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project

Workers = tuple[str, ...]


@pytest.fixture(autouse=True)
def forty_tests(project: Project) -> None:
    """Forty tests that passed, and a new module."""
    project.write(
        test_a="".join(f"def test_{n}(): pass\n" for n in range(40)), test_b="def test_b(): pass\n"
    )
    project.run_apart()
    project.write(test_b="def test_b(): assert 1\n")


def probed(project: Project, *arguments: str) -> set[str]:
    """Return the names of the tests that a run takes at random."""
    run = project.run if "-n2" in arguments else project.run_apart
    run("--aqe-mode=select", *arguments)
    rows = project.sql(
        "select node_id from results join nodes using (node_no) "
        "where run_no = (select max(run_no) from runs)"
    )
    names = {node_id.partition("::")[2] for (node_id,) in rows}
    assert "test_b" in names
    project.write(test_b=f"def test_b(): assert {len(project.statuses()) + 1}\n")
    return names - {"test_b"}


def test_everything(project: Project, workers: Workers) -> None:
    """A share of 100 % runs all, and says that these are probes."""
    run = project.run if workers else project.run_apart
    done = run("--aqe-mode=select", "--aqe-probe=100%", *workers)
    done.assert_outcomes(passed=41)
    done.stdout.fnmatch_lines(["selected 41 of 41 tests: 1 affected, 40 probed; 0 not run, *"])


def test_nothing(project: Project) -> None:
    """A share of 0 runs none."""
    assert probed(project, "--aqe-probe=0") == set()


def test_seed(project: Project, workers: Workers) -> None:
    """One seed draws the same tests again, another one others."""
    one = probed(project, "--aqe-probe=50%", "--aqe-seed=1", *workers)
    again = probed(project, "--aqe-probe=50%", "--aqe-seed=1", *workers)
    other = probed(project, "--aqe-probe=50%", "--aqe-seed=2", *workers)
    assert one == again != other
    assert 0 < len(one) < 40


def test_the_commit_is_the_seed(project: Project) -> None:
    """Without a seed the draw changes with the commit, and with nothing else."""
    (project.path / ".gitignore").write_text("stdout\nstderr\nrunpytest-*\n__pycache__/\n")
    project.commit_all()
    one, again = (probed(project, "--aqe-probe=50%") for _ in range(2))
    project.commit_all()
    other = probed(project, "--aqe-probe=50%")
    assert one == again != other


def test_no_change_no_probe(project: Project) -> None:
    """When nothing changed nothing can have been missed."""
    probed(project, "--aqe-probe=0")
    project.run_apart("--aqe-mode=select", "--aqe-probe=0")
    done = project.run_apart("--aqe-mode=select", "--aqe-probe=100%")
    done.stdout.fnmatch_lines(["selected 0 of 41 tests; *"])


def test_ini_key(project: Project) -> None:
    """The share can be set once for the project; that it is set is a change of everything."""
    project.write_ini("aqe_probe = 100%")
    project.run_apart()
    project.write(test_b="def test_b(): assert 2\n")
    project.run_apart("--aqe-mode=select").assert_outcomes(passed=41)


@pytest.mark.parametrize("wrong", ["-1%", "x", "101%", "nan"])
def test_wrong(project: Project, wrong: str) -> None:
    """Anything but a share is refused by name."""
    done = project.run("--aqe-mode=select", f"--aqe-probe={wrong}")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines([f"*--aqe-probe={wrong!r}: expected a share*"])


def test_a_probe_that_fails_is_an_escape(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that was left out, was probed and failed is counted as missed."""
    project.write(
        test_a="import os\ndef test_0(): assert 'BAD' not in os.environ\ndef test_1(): pass\n"
    )
    project.run_apart()
    monkeypatch.setenv("BAD", "1")  # of no declared variable nothing is known
    project.write(test_b="def test_b(): assert 3\n")
    done = project.run_apart("--aqe-mode=select", "--aqe-probe=100%")
    done.assert_outcomes(passed=2, failed=1)
    assert project.sql(
        "select known, selected, failures, caught, escaped from selections where mode = 'select'"
    ) == [(3, 1, 1, 0, 1)]
