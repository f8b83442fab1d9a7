"""The processes that run generated code: forks of warm interpreters, or fresh ones.

A warm interpreter (``warm.py``) is kept for every environment, that is for every hash seed,
and serves one job at a time. A command of the user's that goes around a process needs a fresh
one for each job.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Protocol, TypeAlias

from pytest_aqe.errors import AqeError
from pytest_aqe.generation.job import OUTPUT, Ended, Order

_OF_A_JOB = ("HOME", "TMPDIR", "HYPOTHESIS_STORAGE_DIRECTORY", "TZ")  # a fork takes its own
_Process: TypeAlias = "subprocess.Popen[bytes]"


class Interpreters(Protocol):
    """Runs jobs, several at a time where several threads ask."""

    def run(self, order: Order) -> Ended:
        """Run a job to its end; raise `AqeError` where nothing can be started."""

    def close(self) -> None:
        """End what is running, and what that started."""


def interpreters(command: Sequence[str]) -> Interpreters:
    """Return warm interpreters, or fresh ones behind the user's command."""
    return Fresh(command) if command else Warm()


class Fresh:
    """Start an interpreter for each job, behind a command."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._running: set[_Process] = set()
        self._closed = False

    def run(self, order: Order) -> Ended:
        """Run a job to its end; raise `AqeError` where the command cannot be started."""
        if self._closed:
            raise AqeError("the session is over")
        with Path(order.scratch, OUTPUT).open("wb") as said:
            process = _started(
                [*self._command, *_python(order.module)],
                order.scratch,
                order.environ,
                stdout=said,
                stderr=subprocess.STDOUT,
            )
            self._running.add(process)
            slow = threading.Event()
            clock = threading.Timer(order.wall, _too_slow, [process, slow])
            clock.start()
            try:
                assert process.stdin is not None
                with suppress(BrokenPipeError), process.stdin as given:
                    given.write(order.job.encode())
                # the child's own time, whatever else is running beside it
                _, status, used = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
            finally:
                clock.cancel()
                _kill(process.pid)
                process.wait()
                self._running.discard(process)
        return Ended(process.returncode, used.ru_utime + used.ru_stime, slow.is_set())

    def close(self) -> None:
        """End what is running, and what that started."""
        self._closed = True
        for process in list(self._running):
            _kill(process.pid)


class Warm:
    """Run jobs in forks of interpreters that are kept until `close`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[tuple[tuple[str, str], ...], list[_Process]] = defaultdict(list)
        self._all: list[_Process] = []
        self._jobs: dict[_Process, int] = {}
        self._folder = ""
        self._closed = False

    def run(self, order: Order) -> Ended:
        """Run a job to its end; raise `AqeError` where no interpreter can be started."""
        with self._interpreter(order.environ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(order.encode())
                process.stdin.flush()
                self._jobs[process] = int(process.stdout.readline())
                return Ended.decode(process.stdout.readline())
            except (OSError, ValueError):  # something ended it, or `close` did
                self._end(process)
                return Ended(process.wait(), 0.0, slow=False)
            except BaseException:  # Ctrl-C: nobody will ask for what the job does
                self._end(process)
                raise
            finally:
                self._jobs.pop(process, None)

    def close(self) -> None:
        """End what is running, and what that started."""
        with self._lock:
            self._closed = True
        for process in self._all:
            self._end(process)
        for process in self._all:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                with suppress(OSError):  # what was not read any more
                    pipe.close()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _end(self, process: _Process) -> None:
        process.kill()
        job = self._jobs.get(process)
        if job is not None:
            _kill(job)

    @contextmanager
    def _interpreter(self, environ: Mapping[str, str]) -> Iterator[_Process]:
        """Lend an interpreter that has this environment."""
        kept = {name: value for name, value in environ.items() if name not in _OF_A_JOB}
        key = tuple(sorted(kept.items()))
        with self._lock:
            if self._closed:
                raise AqeError("the session is over")
            idle = [each for each in self._idle[key] if each.poll() is None]
            if idle:
                process = idle.pop()
            else:
                self._folder = self._folder or tempfile.mkdtemp(prefix="aqe-warm-")
                process = _started(
                    _python("warm"),
                    self._folder,
                    kept | {"HOME": self._folder, "TMPDIR": self._folder},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
                self._all.append(process)
            self._idle[key] = idle
        yield process
        with self._lock:
            self._idle[key].append(process)


def _python(module: str) -> list[str]:
    return [sys.executable, "-B", "-m", f"pytest_aqe.generation.{module}"]


def _started(
    command: Sequence[str],
    folder: str,
    environ: Mapping[str, str],
    *,
    stdout: int | IO[bytes],
    stderr: int,
) -> _Process:
    try:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
    except OSError as error:
        raise AqeError(f"the trial cannot start {command[0]} ({error.strerror})") from error


def _kill(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _too_slow(process: _Process, said: threading.Event) -> None:
    said.set()
    _kill(process.pid)
