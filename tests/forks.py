"""Run pytest, or a worker of xdist, many times from one process that has imported it once.

Most of a run of a small project goes into importing pytest and the database. So this program
imports them, and forks a child for every line it reads: the child is a fresh ``pytest`` in the
folder and the environment that the line names. It writes the exit code of each, or what signal
ended it as a negative number, to its standard output. Where the line has no arguments, the
child is a worker that speaks through the pipes it is handed, and its number is written at once.
`Runs` speaks to the program.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import inspect
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


class Runs:
    """The process that forks, started with an environment; to be closed."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._pipes, theirs = socket.socketpair()
        # As text: a program with a file would stand below every test, like code of the project.
        program = Path(__file__).read_text(encoding="utf-8")
        self._process = subprocess.Popen(
            [sys.executable, "-c", program, str(theirs.fileno())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environ,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()

    def run(
        self, folder: Path, arguments: list[str], environ: Mapping[str, str], *outputs: Path
    ) -> int:
        """Run pytest in a folder; return what it exits with.

        What it prints is in ``outputs``: one file for all, or a second one for errors.
        """
        self._send(folder, environ, arguments=arguments, outputs=[*map(str, outputs)])
        return self._receive()

    def work(self, execmodel: object) -> Worker:
        """Start a worker in this process's folder and environment."""
        (theirs_in, ours_in), (ours_out, theirs_out) = os.pipe(), os.pipe()
        self._send(Path.cwd(), os.environ)
        socket.send_fds(self._pipes, [b"-"], [theirs_in, theirs_out, 2])
        worker = Worker(self._receive(), ours_in, ours_out, execmodel)
        os.close(theirs_in)
        os.close(theirs_out)
        return worker

    def close(self) -> None:
        """Let the process end."""
        self._process.communicate()
        self._pipes.close()

    def _send(self, folder: Path, environ: Mapping[str, str], **rest: list[str]) -> None:
        request = {"folder": str(folder), "environ": dict(environ), **rest}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()

    def _receive(self) -> int:
        assert self._process.stdout is not None
        number = self._process.stdout.readline()
        assert number, "the process that forks the runs has ended"
        return int(number)


class Worker:
    """A forked process at the other end of two pipes: an ``IO`` of execnet."""

    def __init__(self, pid: int, stdin: int, stdout: int, execmodel: object) -> None:
        self._handle: int | None = os.pidfd_open(pid)
        self._stdin = os.fdopen(stdin, "wb")
        self._stdout = os.fdopen(stdout, "rb")
        self.execmodel = execmodel
        self.close_write = self._stdin.close
        self.close_read = self._stdout.close

    def write(self, data: bytes) -> None:
        """Send all of it."""
        self._stdin.write(data)
        self._stdin.flush()

    def read(self, size: int) -> bytes:
        """Wait for so many bytes."""
        data = self._stdout.read(size)
        if len(data) < size:
            raise EOFError(f"expected {size} bytes, got {len(data)}")
        return data

    def wait(self) -> None:
        """Wait until it has ended. Execnet keeps what it speaks through for as long as it runs."""
        if self._handle is not None:
            ended = select.poll()  # `select` knows no file above 1,023
            ended.register(self._handle, select.POLLIN)
            ended.poll()
            os.close(self._handle)
            self._handle = None
            self._stdin.close()
            self._stdout.close()

    def kill(self) -> None:
        """End it at once."""
        if self._handle is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)


def serve(pipes: socket.socket) -> int:
    """Fork a run for every request; the child exits with what ``pytest`` exits with."""
    del sys.path[0]  # the folder this was started in, which `pytest` does not import from
    _import_all()
    workers: set[int] = set()
    for line in sys.stdin:
        request = json.loads(line)
        workers -= {each for each in workers if os.waitpid(each, os.WNOHANG)[0]}
        works = "arguments" not in request
        files = socket.recv_fds(pipes, 1, 3)[1] if works else []
        child = os.fork()
        if child == 0:
            pipes.close()
            os._exit(_ended(work(**request, files=files) if works else run(**request)))
        if works:
            workers.add(child)
            for file in files:
                os.close(file)
            print(child, flush=True)
        else:
            _, status = os.waitpid(child, 0)
            print(os.waitstatus_to_exitcode(status), flush=True)
    return 0


def _import_all() -> None:
    import pytest

    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        sys.stdout, kept = nowhere, sys.stdout
        # Brings in every plugin of pytest's own, and nothing of the tests around.
        pytest.main(["--help", "-p", "aqe", "--noconftest"])
        sys.stdout = kept
    gc.freeze()  # else every child walks all of pytest, twice, as it ends
    import duckdb  # thawed: it counts what it has left

    import pytest_aqe

    duckdb.extract_statements("select 1")  # the first in a process takes 20 ms

    for module in pkgutil.walk_packages(pytest_aqe.__path__, "pytest_aqe."):
        if not module.name.endswith(("__main__", ".agent")):  # lionagi brings in half the world
            with contextlib.suppress(ModuleNotFoundError):  # of an extra
                importlib.import_module(module.name)
    # Asks every module that is loaded for its file, which else each child does that shows a fault.
    inspect.getmodule(_import_all.__code__)


def run(folder: str, environ: dict[str, str], arguments: list[str], outputs: list[str]) -> int:
    """Run pytest here, what it prints into ``outputs``; return the exit code."""
    import pytest

    _move(folder, environ)
    sys.path[0:0] = [path for path in environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, output in enumerate([outputs[0], outputs[-1]], start=1):
        os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    sys.argv = ["pytest", *arguments]
    return int(pytest.main(arguments))


def work(folder: str, environ: dict[str, str], files: list[int]) -> int:
    """Do what execnet starts ``python -u -c`` for: run the program that it sends."""
    _move(folder, environ)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.stdin = os.fdopen(0, closefd=False)  # the old one has read ahead
    sys.argv = ["-c"]
    exec(eval(sys.stdin.readline()), {"__name__": "__main__"})
    return 0


def _move(folder: str, environ: dict[str, str]) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    sys.dont_write_bytecode = bool(environ.get("PYTHONDONTWRITEBYTECODE"))  # read at its start


def _ended(code: int) -> int:
    """End as an interpreter does, but for its libraries.

    DuckDB 1.5.6, the newest for Python 3.10, aborts as it is unloaded from a process that was
    forked after importing it and has started a thread since.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    sys.exit(serve(socket.socket(fileno=int(sys.argv[1]))))
