"""Several sessions at once on one history: every run is recorded once."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Project

# Each session waits, inside its test, until the other one is inside its own.
_MEETING = """
import os, pathlib, time

def test_meets():
    here = pathlib.Path(os.environ["HERE"])
    here.touch()
    there = pathlib.Path(os.environ["THERE"])
    deadline = time.monotonic() + 60
    while not there.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
"""


def _start(project: Project, command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, cwd=project.path, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("arguments", [[], ["-n1"]], ids=["n0", "n1"])
def test_two_sessions(
    project: Project, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    """Two runs that overlap on one history are both in it afterwards."""
    if arguments:
        pytest.importorskip("xdist")
    project.write(test_a=_MEETING)
    command = [sys.executable, "-m", "pytest", "--aqe", "-p", "no:cacheprovider", *arguments]
    sessions = []
    for here, there in (("one", "two"), ("two", "one")):
        monkeypatch.setenv("HERE", here)
        monkeypatch.setenv("THERE", there)
        sessions.append(_start(project, command))
    for session in sessions:
        session.communicate()
        assert session.returncode == pytest.ExitCode.OK
    assert project.answer("status")["runs"] == 2
    assert project.statuses() == ["complete", "complete"]
    assert project.results() == [("test_a.py::test_meets", "passed")] * 2


def test_running_session_is_left_alone(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run file that is still written is not taken up by another session."""
    project.write(test_a=_MEETING, test_b="def test_x(): pass\n")
    monkeypatch.setenv("HERE", "inside")
    monkeypatch.setenv("THERE", "go-on")
    command = [sys.executable, "-m", "pytest", "--aqe", "-p", "no:cacheprovider"]
    long = _start(project, [*command, "test_b.py", "test_a.py"])
    while not (project.path / "inside").exists():
        assert long.poll() is None
    assert project.run("test_b.py").ret == pytest.ExitCode.OK
    assert project.statuses() == ["complete"]
    assert project.answer("doctor")["run_files_running"] == 1
    (project.path / "go-on").touch()
    long.communicate()
    assert project.statuses() == ["complete", "complete"]
    assert len(project.results()) == 3


def test_session_inside_a_session(project: Project) -> None:
    """A test that runs pytest itself, with us on, leaves two runs."""
    project.write(
        test_outer="""
        import subprocess, sys

        def test_outer():
            subprocess.run([sys.executable, "-m", "pytest", "--aqe", "inner.py"], check=True)
        """,
        inner="def test_inner(): pass\n",
    )
    assert project.run().ret == pytest.ExitCode.OK
    assert project.results() == [
        ("inner.py::test_inner", "passed"),
        ("test_outer.py::test_outer", "passed"),
    ]
