"""An interpreter that is warm: it has imported what trials need, and serves each in a fork.

A fork costs a few milliseconds where a fresh interpreter and pytest cost a fifth of a second.
The parent of the forks runs no line of the project and nothing that was generated; each fork
takes its own folder, environment, process group and confinement, as if it were new.

Started as ``python -m pytest_aqe.generation.warm``; an order a line on standard input; on
standard output the number of its process, and how that ended.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

import pytest

from pytest_aqe.generation import inside, search
from pytest_aqe.generation.job import OUTPUT, Ended, Order

_MODULES = {"inside": inside, "search": search}
_HIGHEST = 256  # descriptors; more are never open here


class Server:
    """Runs one order at a time."""

    def __init__(self) -> None:
        self._process = 0
        self._slow = False

    def serve(self) -> None:
        """Answer orders until the session closes the pipe."""
        told = os.dup(1)
        os.dup2(2, 1)
        signal.signal(signal.SIGALRM, self._end_slow)
        for line in sys.stdin:
            self._start(Order.decode(line))
            os.write(told, b"%d\n" % self._process)  # for who ends the session early
            os.write(told, self._ended().encode())

    def _start(self, order: Order) -> None:
        self._slow = False
        self._process = os.fork()
        if self._process == 0:
            _become(order)
        signal.setitimer(signal.ITIMER_REAL, order.wall)

    def _ended(self) -> Ended:
        _, status, used = os.wait4(self._process, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        _kill(self._process)  # what it left in its group
        self._process = 0
        seconds = used.ru_utime + used.ru_stime
        return Ended(os.waitstatus_to_exitcode(status), seconds, self._slow)

    def _end_slow(self, signum: int, frame: FrameType | None) -> None:
        if self._process:
            self._slow = True
            _kill(self._process)


def main() -> None:
    """Warm up, then serve."""
    _rehearse()
    gc.collect()
    gc.freeze()  # a fork that collects garbage would copy all of it
    Server().serve()


def _rehearse() -> None:
    """Run one test of nothing: what pytest imports late is then there for every fork."""
    with tempfile.TemporaryDirectory(prefix="aqe-warm-") as folder:
        test = Path(folder, "test_aqe_rehearsal.py")
        test.write_text("def test_it():\n    assert str(1) == '1'\n", "utf-8")
        Path(folder, "pytest.ini").write_text("[pytest]\n", "utf-8")
        pytest.main([*inside.arguments(folder), str(test)])
    sys.modules.pop(test.stem, None)
    tempfile.tempdir = None


def _become(order: Order) -> None:
    """Take the place of a fresh interpreter. Never return."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        os.chdir(order.scratch)
        said = os.open(OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for place, descriptor in ((0, nothing), (1, said), (2, said)):
            os.dup2(descriptor, place)
        os.closerange(3, _HIGHEST)  # the pipes to the session are not for what runs here
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for good
        sys.path[0] = order.scratch
        os.environ.clear()
        os.environ.update(order.environ)
        time.tzset()
        _MODULES[order.module].run(order.job)
        code = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _kill(process: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process, signal.SIGKILL)


if __name__ == "__main__":
    main()
