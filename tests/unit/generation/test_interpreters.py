"""Warm interpreters serve jobs in forks that know nothing of each other, and end with a session."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_aqe.data import Target
from pytest_aqe.errors import AqeError
from pytest_aqe.generation.interpreters import Fresh, Interpreters, Warm, interpreters
from pytest_aqe.generation.job import Report
from pytest_aqe.generation.sandbox import Sandbox, Settings

from .test_trial import make_target

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a trial needs os.fork")


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Target:
    return make_target(tmp_path_factory.mktemp("interpreters"))


def tried(
    processes: Interpreters, target: Target, text: str, wall: float = 60.0, **environ: str
) -> Report | str:
    """Run a test module alone and together with nothing."""
    sandbox = Sandbox(Settings(), target, processes)
    with sandbox.scratch({"test_it.py": text}) as scratch:
        job = replace(sandbox.job(scratch, ["test_it.py"], model=False), alone=True)
        return sandbox.run(job, environ=environ, wall=wall)


def error(report: Report | str) -> str:
    assert isinstance(report, Report), report
    return report.alone[0].error.splitlines()[0]


def test_nothing_passes_from_one_job_to_the_next(processes: Interpreters, target: Target) -> None:
    """Not a module, not a variable, not a folder."""
    text = (
        "import os, sys, tempfile\nfrom pack import money\n\n"
        "known = 'colorsys' in sys.modules, hasattr(money, 'seen')\n"
        "money.seen = os.environ['SEEN'] = tempfile.gettempdir()\nimport colorsys\n\n"
        "def test_it():\n    assert known == (False, False)\n    assert money.seen == os.getcwd()\n"
    )
    for _ in range(2):
        report = tried(processes, target, text)
        assert isinstance(report, Report)
        assert report.alone[0].outcome == "passed", report.alone[0].error


def test_one_interpreter_serves_many_jobs(target: Target) -> None:
    text = "import os\n\nPARENT = os.getppid()\n\ndef test_it():\n    assert PARENT is None\n"
    warm = Warm()
    try:
        first, second = error(tried(warm, target, text)), error(tried(warm, target, text))
        other = error(tried(warm, target, text, PYTHONHASHSEED="1"))
    finally:
        warm.close()
    assert first == second
    assert other != first


def test_the_environment_is_that_of_the_job(processes: Interpreters, target: Target) -> None:
    """A hash seed holds from the start of an interpreter, a time zone from its change on."""
    text = (
        "import os, time\n\n"
        "def test_it():\n    assert [hash('a'), time.strftime('%Z', time.localtime(0))] is None\n"
    )
    said = [
        error(tried(processes, target, text, PYTHONHASHSEED=seed, TZ=zone))
        for seed, zone in (("0", "UTC"), ("0", "Asia/Tokyo"), ("1", "Asia/Tokyo"))
    ]
    assert len(set(said)) == len(said)
    assert ["JST" in each for each in said] == [False, True, True]


def test_the_pipes_to_the_session_are_closed(processes: Interpreters, target: Target) -> None:
    """What runs there cannot answer in the interpreter's place."""
    text = (
        "import os\n\n"
        "HELD = [os.readlink(f'/proc/self/fd/{n}') for n in range(3, 256)\n"
        "        if os.path.islink(f'/proc/self/fd/{n}')]\n\n"
        "def test_it():\n    assert not [each for each in HELD if each.startswith('pipe:')]\n"
    )
    report = tried(processes, target, text)
    assert isinstance(report, Report)
    assert report.alone[0].outcome == "passed", report.alone[0].error


def test_what_is_slow_is_ended_and_the_next_is_served(target: Target) -> None:
    warm = Warm()
    try:
        slow = tried(warm, target, "import time\ntime.sleep(60)\n", wall=0.5)
        good = tried(warm, target, "def test_it():\n    pass\n")
    finally:
        warm.close()
    assert slow == "it was still running after 0 s"
    assert isinstance(good, Report)


def test_an_interpreter_that_was_ended_is_replaced(target: Target) -> None:
    """As by a system short of memory."""
    good = "def test_it():\n    pass\n"
    warm = Warm()
    try:
        assert isinstance(tried(warm, target, good), Report)
        for process in warm._all:
            process.kill()
            process.wait()
        assert isinstance(tried(warm, target, good), Report)
    finally:
        warm.close()


def test_closing_ends_what_runs(target: Target) -> None:
    """And nothing is begun any more."""
    warm = Warm()
    begun = threading.Event()
    said: list[Report | str] = []

    def run() -> None:
        begun.set()
        said.append(tried(warm, target, "import time\ntime.sleep(60)\n"))

    thread = threading.Thread(target=run)
    thread.start()
    begun.wait()
    while not warm._all:
        time.sleep(0.01)
    warm.close()
    thread.join()
    assert [type(each) for each in said] == [str]
    with pytest.raises(AqeError, match="over"):
        tried(warm, target, "")
    assert not any(Path(f"/proc/{process.pid}").exists() for process in warm._all)


@pytest.mark.skipif(
    not Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").exists(),
    reason="it looks for processes there",
)
def test_ctrl_c_ends_the_job_and_the_test_that_it_runs(target: Target) -> None:
    """Nobody will ask for what they do."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    warm = Warm()
    running: list[int] = []

    def press() -> None:
        while not running:
            for job in list(warm._jobs.values()):
                children = Path(f"/proc/{job}/task/{job}/children").read_text().split()
                running.extend([job, *map(int, children)] if children else [])
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            tried(warm, target, "import time\n\ndef test_it():\n    time.sleep(60)\n")
    finally:
        signal.signal(signal.SIGINT, before)
        thread.join()
        warm.close()
    assert len(running) > 1
    for _ in range(1000):  # the system takes a moment; the test would sleep for six times as long
        left = [process for process in running if Path(f"/proc/{process}").exists()]
        if not left:
            break
        time.sleep(0.01)
    assert left == []


def test_a_command_of_the_users_goes_around_every_job() -> None:
    """Which is why each needs an interpreter of its own."""
    assert isinstance(interpreters(("env",)), Fresh)
    warm = interpreters(())
    assert isinstance(warm, Warm)
    warm.close()


def test_a_command_that_is_not_there_is_an_error(target: Target) -> None:
    with pytest.raises(AqeError, match="cannot start no-such-command"):
        tried(Fresh(("no-such-command",)), target, "")


def test_no_command_is_started_after_the_end(target: Target) -> None:
    fresh = Fresh(("env",))
    fresh.close()
    with pytest.raises(AqeError, match="over"):
        tried(fresh, target, "")
