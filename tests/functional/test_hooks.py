"""Our own hooks, implemented in a project's conftest: what they change, and when they raise."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project

Workers = tuple[str, ...]

_POLICY = """
from pytest_aqe.data import Rank

class Alphabet:
    name = "z to a"

    def rank(self, tests):
        return [Rank(2, float(ord(test.identity[5])), None, "by letter") for test in tests]

def pytest_aqe_make_policy(config):
    return Alphabet()
"""


@pytest.fixture(autouse=True)
def three_modules(project: Project) -> None:
    project.write(**{f"test_{name}": "def test_x(): pass\n" for name in "abc"})


def test_an_interrupt_while_the_history_is_written(project: Project) -> None:
    """The session ends as pytest's do at Ctrl-C: with code 2 and its summary, no traceback."""
    project.write(
        conftest="""
        def pytest_aqe_recorded(config, run, run_file):
            raise KeyboardInterrupt
        """
    )
    result = project.run_apart()
    assert result.ret == 2
    result.stdout.fnmatch_lines(["interrupted while the history was written", "*3 passed*"])
    assert result.errlines == []


def _faults(project: Project) -> list[str]:
    return [path.read_text(encoding="utf-8") for path in (project.folder / "faults").glob("*")]


def test_make_policy(project: Project) -> None:
    """The first policy that a plugin returns ranks the tests."""
    project.write(conftest=_POLICY)
    project.run()
    project.run("-v").stdout.fnmatch_lines(["test_c.py::*", "test_b.py::*", "test_a.py::*"])


def test_make_policy_under_xdist(project: Project) -> None:
    """A policy of a plugin reaches the workers."""
    pytest.importorskip("xdist")
    project.write(conftest=_POLICY)
    project.run("-n1")
    project.run("-n1")
    assert project.sql(
        "select node_id from results join nodes using (node_no) where run_no = 2 order by position"
    ) == [("test_c.py::test_x",), ("test_b.py::test_x",), ("test_a.py::test_x",)]


def test_make_policy_is_recorded(project: Project) -> None:
    """The run's row names the policy of the plugin."""
    project.write(conftest=_POLICY)
    project.run()
    project.run()
    assert project.sql("select policy from runs where run_no = 2") == [("z to a",)]


def test_make_policy_is_explained(project: Project) -> None:
    """``--aqe-explain`` shows the reasons that the policy gave."""
    project.write(conftest=_POLICY)
    project.run()
    project.run("--aqe-explain").stdout.fnmatch_lines(["1. test_c.py::test_x  by letter"])


def test_make_policy_declines(project: Project) -> None:
    """A plugin that returns None leaves the choice to ours."""
    project.write(conftest="def pytest_aqe_make_policy(config): return None\n")
    project.run()
    project.run()
    assert project.sql("select policy from runs where run_no = 2") == [
        ("decayed failure rate per second",)
    ]


@pytest.mark.parametrize(
    "body",
    [
        "raise RuntimeError('broken')",
        "return 42",
        "return type('P', (), {'name': 'p', 'rank': lambda self, tests: []})()",
        "return type('P', (), {'name': 'p', 'rank': lambda self, tests: [1] * len(tests)})()",
    ],
    ids=["raises", "returns no policy", "ranks too few", "ranks by no Rank"],
)
def test_broken_policy(project: Project, workers: Workers, body: str) -> None:
    """A policy that does not work is one line, and the tests run as collected."""
    project.write(conftest=f"def pytest_aqe_make_policy(config): {body}\n")
    project.run()
    done = project.run(*workers)
    assert done.ret == pytest.ExitCode.OK
    done.assert_outcomes(passed=3)
    done.stdout.fnmatch_lines(["*internal fault while *; your run is not affected; traceback: *"])
    assert len([line for line in done.outlines if "fault" in line]) == 1


def test_evidence(project: Project, workers: Workers) -> None:
    """What plugins know of a test is kept with its result."""
    project.write(
        conftest="""
        def pytest_aqe_evidence(item, report):
            return {"owner": "ada", "name": item.name, "when": report.when}
        """
    )
    project.run(*workers)
    kept = [json.loads(evidence) for (evidence,) in project.results("evidence")]
    assert kept == [{"owner": "ada", "name": "test_x", "when": "teardown"}] * 3


def test_evidence_of_several(project: Project, workers: Workers) -> None:
    """Facts of several plugins are merged; a conftest nearer to the test wins."""
    for name in "abc":
        (project.path / f"test_{name}.py").unlink()
    project.write(
        conftest="def pytest_aqe_evidence(item, report): return {'a': 1, 'both': 'outer'}\n",
        inner__conftest="def pytest_aqe_evidence(item, report): return {'b': 2, 'both': 'inner'}\n",
        inner__test_a="def test_x(): pass\n",
    )
    project.run(*workers)
    kept = [json.loads(evidence) for (evidence,) in project.results("evidence")]
    assert kept == [{"a": 1, "b": 2, "both": "inner"}]


def test_no_evidence(project: Project) -> None:
    """Nothing to add leaves the column empty."""
    project.write(conftest="def pytest_aqe_evidence(item, report): return None\n")
    project.run()
    assert project.results("evidence") == [(None,)] * 3


@pytest.mark.parametrize(
    "body",
    ["raise RuntimeError('broken')", "return 42", "return {'x': object()}"],
    ids=["raises", "returns no mapping", "returns no JSON"],
)
def test_broken_evidence(project: Project, workers: Workers, body: str) -> None:
    """Evidence that cannot be had costs at most one line; the results are recorded."""
    project.write(conftest=f"def pytest_aqe_evidence(item, report): {body}\n")
    done = project.run(*workers)
    assert done.ret == pytest.ExitCode.OK
    assert len([line for line in done.outlines if "fault" in line]) <= 1
    assert set(project.outcomes().values()) == {"passed"}
    assert len(project.results()) == 3


def test_recorded(project: Project, workers: Workers) -> None:
    """Exporters get the run and its file once, in the controller."""
    project.write(
        conftest="""
        import gzip, pathlib

        def pytest_aqe_recorded(config, run, run_file):
            assert not hasattr(config, "workerinput")
            lines = gzip.open(run_file, "rt").read().count('"type":"result"')
            with pathlib.Path("exported").open("a") as file:
                file.write(f"{run.run_id} {lines}")
        """
    )
    project.run(*workers)
    ((run_id,),) = project.sql("select run_id from runs")
    assert (project.path / "exported").read_text(encoding="utf-8") == f"{run_id} 3"


def test_recorded_of_an_observed_run(project: Project) -> None:
    """Exporters hear of every recorded run, ordered or not."""
    project.write(
        conftest="""
        import pathlib
        def pytest_aqe_recorded(run): pathlib.Path("exported").write_text(run.mode)
        """
    )
    project.run("--aqe-mode=observe")
    assert (project.path / "exported").read_text(encoding="utf-8") == "observe"


def test_broken_exporter(project: Project, workers: Workers) -> None:
    """An exporter that raises is one line, a saved traceback, and an unchanged exit code."""
    project.write(conftest="def pytest_aqe_recorded(config): raise RuntimeError('broken')\n")
    done = project.run(*workers)
    assert done.ret == pytest.ExitCode.OK
    assert len([line for line in done.outlines if "fault" in line]) == 1
    (text,) = _faults(project)
    assert "RuntimeError: broken" in text


@pytest.mark.parametrize("hook", ["make_policy(config)", "evidence(item)", "recorded(config)"])
def test_saved_traceback(project: Project, workers: Workers, hook: str) -> None:
    """Whatever hook raises, its traceback lies under ``.aqe/faults`` and doctor shows it."""
    project.write(conftest=f"def pytest_aqe_{hook}: raise RuntimeError('broken')\n")
    project.run(*workers)
    project.run(*workers)
    texts = _faults(project)
    assert texts
    assert all("RuntimeError: broken" in text for text in texts)
    code, printed = project.command("doctor")
    assert code == 1
    assert "a fault of ours was saved" in printed


@pytest.mark.parametrize("hook", ["make_policy(config)", "evidence(item)", "recorded(config)"])
def test_raising_hook_of_a_failing_run(project: Project, workers: Workers, hook: str) -> None:
    """Whatever hook raises, failures stay failures and the exit code 1."""
    project.write(
        conftest=f"def pytest_aqe_{hook}: raise RuntimeError('broken')\n",
        test_c="def test_x(): assert 0\n",
    )
    project.run()
    done = project.run("-W", "error", *workers)
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    done.assert_outcomes(passed=2, failed=1)


def test_unknown_hook_of_ours(project: Project) -> None:
    """A misspelt hook of ours is pytest's to complain of."""
    project.write(conftest="def pytest_aqe_recordet(config): pass\n")
    done = project.run_apart()
    assert done.ret != pytest.ExitCode.OK
    assert "pytest_aqe_recordet" in str(done.stdout) + str(done.stderr)


def test_hooks_while_off(project: Project) -> None:
    """A conftest with our hooks works where we are off, and they are not called."""
    project.write(conftest="def pytest_aqe_recorded(config): raise RuntimeError\n" + _POLICY)
    assert project.pytest().ret == pytest.ExitCode.OK
