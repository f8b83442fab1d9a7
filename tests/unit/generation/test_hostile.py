"""Hostile tests, run without being read first: nothing gets out, each is named, the rest goes on.

The static rules would refuse most of these; here the guard, the limits and the system stand
alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from pytest_aqe.data import Target
from pytest_aqe.generation import confine
from pytest_aqe.generation.interpreters import Interpreters, interpreters
from pytest_aqe.generation.job import Ran, Report
from pytest_aqe.generation.sandbox import Sandbox, Settings, changed

from .test_trial import make_target

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a trial needs os.fork")

VICTIM = f"/var/tmp/aqe-hostile-{os.getpid()}"  # not under the folders that pytest cleans
HEAD = """
import ctypes, multiprocessing, os, pathlib, resource, shutil, signal, socket, subprocess, sys
import threading, time
import pytest
from pack import money

OUT = pathlib.Path({victim!r})
"""  # fmt: skip

HOSTILE: dict[str, str] = {
    "deletes the home": "shutil.rmtree(os.path.expanduser('~root'), ignore_errors=True)",
    "deletes a tree": "shutil.rmtree(OUT)",
    "overwrites the source": "pathlib.Path(money.__file__).write_text('x = 1')",
    "appends to the source": "open(money.__file__, 'a').write('#')",
    "opens the source by a descriptor": "os.open(money.__file__, os.O_WRONLY | os.O_TRUNC)",
    "renames the package": "os.rename(os.path.dirname(money.__file__), 'gone')",
    "writes outside": "(OUT / 'new').write_text('x')",
    "removes outside": "(OUT / 'kept').unlink()",
    "links outside": "os.symlink(OUT / 'kept', OUT / 'link')",
    "writes through a link": "os.symlink(OUT, 'way')\n    open('way/kept', 'w').write('x')",
    "changes modes": "os.chmod(OUT / 'kept', 0)",
    "writes beside the scratch folder": "open(os.getcwd() + '-beside', 'w').write('x')",
    "reads a key": "assert os.environ['AQE_HOSTILE_KEY']",
    "reads a file at home": "assert (pathlib.Path.home().parent / 'kept').read_text()",
    "reads outside": "assert (OUT / 'kept').read_text() == 'kept'",
    "connects": "socket.create_connection(('127.0.0.1', 9), timeout=1)",
    "connects, and hides it": (
        "try:\n        socket.create_connection(('127.0.0.1', 9), timeout=1)\n"
        "    except BaseException:\n        pass"
    ),
    "sends a datagram": (
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))"
    ),
    "listens": "socket.socket().bind(('127.0.0.1', 0))",
    "looks a name up": "socket.getaddrinfo('example.org', 80)",
    "runs a program": "subprocess.run(['true'], check=True)",
    "runs a shell": "assert os.system('true') == 0",
    "runs a program through libc": "assert ctypes.CDLL(None).system(b'true') == 0",
    "forks": "os.fork()",
    "forks for ever": "while True:\n        os.fork()",
    "forks through libc": "assert ctypes.CDLL(None).fork() >= 0",
    "starts a process": (
        "p = multiprocessing.get_context('fork').Process(target=print)\n    p.start()"
    ),
    "kills its parent": "os.kill(os.getppid(), signal.SIGKILL)",
    "kills its parent through libc": "assert ctypes.CDLL(None).kill(os.getppid(), 9) == 0",
    "kills everything": "os.kill(-1, signal.SIGKILL)",
    "exits": "os._exit(0)",
    "dies of a signal": "os.kill(os.getpid(), signal.SIGSEGV)",
    "fills memory": "x = [bytearray(1 << 28) for _ in range(1000)]",
    "fills the disk": "f = open('big', 'wb')\n    [f.write(bytes(1 << 20)) for _ in range(200)]",
    "writes many files": "[open(f'f{n}', 'w').close() for n in range(1000)]",
    "spins": "while True:\n        pass",
    "hangs": "time.sleep(1000)",
    "waits on a lock": "lock = threading.Lock()\n    lock.acquire()\n    lock.acquire()",
    "leaves a thread": "threading.Thread(target=time.sleep, args=(100,)).start()",
    "replaces a module": "sys.modules['pack.money'] = sys",
    "rebinds the target": "money.convert = lambda *a: 11",
    "changes the code of the target": "money.convert.__code__ = money.label.__code__",
    "changes defaults": "money.convert.__defaults__ = ('chf',)",
    "changes sys.path": "sys.path.insert(0, '/tmp')",
    "changes the environment": "os.environ['PATH'] = '/nowhere'",
    "changes the directory": "os.chdir('/')",
    "changes the recursion limit": "sys.setrecursionlimit(99999)",
    "raises its limits": "resource.setrlimit(resource.RLIMIT_NOFILE, (9999, 9999))",
    "forges a report": "open('result.json', 'w').write('{{}}')",
    "a deep recursion": "def f(): return f()\n    f()",
}  # fmt: skip


ENFORCED_ONLY = frozenset(
    {
        "runs a program through libc",
        "forks through libc",
        "reads outside",
        "kills its parent through libc",
        "reads a file at home",
    }
)  # what Python does not hear of; without a sandbox of the system they are not tried


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A package, and a folder elsewhere that must stay as it is."""
    victim = Path(VICTIM)
    victim.mkdir()
    (victim / "kept").write_text("kept", "utf-8")
    yield make_target(tmp_path_factory.mktemp("hostile"))
    shutil.rmtree(victim)


@pytest.fixture(scope="module")
def report(processes: Interpreters, world: Target) -> Report:
    """All of them, run by one child after the other in forks of their own, with a good one."""
    tests = [
        f"def test_{number}():\n    {body.replace('{{}}', '{}')}\n"
        for number, (kind, body) in enumerate(HOSTILE.items())
        if kind not in ENFORCED_ONLY or _enforced()
    ]
    good = "def test_good():\n    assert money.label(0) == 'free'\n"
    text = "\n\n".join([HEAD.format(victim=VICTIM), *tests, good])
    sandbox = Sandbox(Settings(), world, processes)
    os.environ["AQE_HOSTILE_KEY"] = "secret"
    try:
        with sandbox.scratch({"test_hostile.py": text}) as scratch:
            job = sandbox.job(scratch, ["test_hostile.py"], model=False)
            found = sandbox.run(changed(job, alone=True, lines=tuple(range(1, 90))), wall=300)
    finally:
        del os.environ["AQE_HOSTILE_KEY"]
    assert isinstance(found, Report), found
    return found


@pytest.fixture(scope="module")
def ran(report: Report) -> dict[str, Ran]:
    return {each.name: each for each in report.alone}


def test_each_is_named(ran: dict[str, Ran]) -> None:
    """It fails, or what it reached for or left behind is told."""
    told = {
        kind: ran[f"test_{number}"]
        for number, kind in enumerate(HOSTILE)
        if kind not in ENFORCED_ONLY or _enforced()
    }
    assert not [
        kind
        for kind, each in told.items()
        if each.outcome == "passed" and not each.denied and not each.traces
    ]


def test_the_session_goes_on(ran: dict[str, Ran]) -> None:
    assert ran["test_good"].outcome == "passed"
    assert len(ran) > len(HOSTILE) - len(ENFORCED_ONLY)


def test_nothing_got_out(world: Target, report: Report) -> None:
    """Everything outside of the scratch folder is as it was."""
    assert report.alone
    names = sorted(path.name for path in world.root.rglob("*") if path.is_file())
    assert names == ["__init__.py", "money.py"]
    assert world.file.read_text("utf-8") == world.source
    assert [path.name for path in Path(VICTIM).iterdir()] == ["kept"]
    assert (Path(VICTIM) / "kept").read_text("utf-8") == "kept"
    assert not list(orphans())


def orphans() -> Iterator[bytes]:
    """Yield the command lines of what got away from a trial: it has no parent any more."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = (folder / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[1]
            command = (folder / "cmdline").read_bytes()
            if parent == "1" and b"aqe-trial" in command:
                yield command


@cache
def _enforced() -> bool:
    """Ask the system in a process of its own: confinement is for good."""
    code = (
        "import sys, tempfile\nfrom pytest_aqe.generation import confine\n"
        "folder = tempfile.mkdtemp()\n"
        "layers = confine.confine(sys.path, [folder], sys.prefix)\n"
        "sys.exit(not confine.is_enforced(layers))"
    )
    own = str(Path(__file__).parents[3])
    environ = {**os.environ, "PYTHONPATH": own}
    return subprocess.run([sys.executable, "-c", code], env=environ, check=False).returncode == 0


def test_below_the_enforced_layer_a_model_runs_nothing(
    processes: Interpreters, world: Target
) -> None:
    """Unless the user insists, or has a wall of his own."""
    assert not confine.is_enforced(["Landlock 7"])
    assert not confine.is_enforced(["seccomp"])
    for settings, expected in ((Settings(), True), (Settings(unsafe=True), False),
                               (Settings(command=("env",)), False)):  # fmt: skip
        sandbox = Sandbox(settings, world, processes)
        with sandbox.scratch({}) as scratch:
            assert sandbox.job(scratch, [], model=True).enforced is expected
            assert sandbox.job(scratch, [], model=False).enforced is False


def test_a_command_of_the_users_goes_around_it(world: Target) -> None:
    """It is the layer that the session names."""
    settings = Settings.of("env AQE_WALL=1", False)
    sandbox = Sandbox(settings, world, interpreters(settings.command))
    text = "import os\ndef test_wall():\n    assert os.environ['AQE_WALL'] == '1'\n"
    with sandbox.scratch({"test_wall.py": text}) as scratch:
        job = replace(sandbox.job(scratch, ["test_wall.py"], model=False), alone=True)
        found = sandbox.run(job)
    assert isinstance(found, Report)
    assert found.alone[0].outcome == "passed"
    assert sandbox.layer is not None
    assert sandbox.layer.endswith("env")


def test_the_environment_is_a_list_of_harmless_names(
    processes: Interpreters, world: Target
) -> None:
    sandbox = Sandbox(Settings(), world, processes)
    text = (
        "import os\ndef test_names():\n"
        "    raise AssertionError('names ' + ' '.join(sorted(os.environ)))\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        for name in ("OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "SSH_AUTH_SOCK"):
            patch.setenv(name, "secret")
        with sandbox.scratch({"test_names.py": text}) as scratch:
            job = replace(sandbox.job(scratch, ["test_names.py"], model=False), alone=True)
            found = sandbox.run(job)
    assert isinstance(found, Report)
    names = found.alone[0].error.split("names ")[1].splitlines()[0]
    assert not any(word in names for word in ("KEY", "TOKEN", "SECRET", "SSH"))
