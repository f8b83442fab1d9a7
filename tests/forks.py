"""Run pytest many times from one process that has imported it once.

Most of a run of a small project goes into importing pytest and the database. So this program
imports them, and forks a child for every line it reads: the child is a fresh ``pytest`` in the
folder and the environment that the line names. It writes the exit code of each, or what signal
ended it as a negative number, to its standard output. `Runs` speaks to it.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


class Runs:
    """The process that forks, started with an environment; to be closed."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        # As text: a program with a file would stand below every test, like code of the project.
        self._process = subprocess.Popen(
            [sys.executable, "-c", Path(__file__).read_text(encoding="utf-8")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environ,
        )

    def run(
        self, folder: Path, arguments: list[str], environ: Mapping[str, str], *outputs: Path
    ) -> int:
        """Run pytest in a folder; return what it exits with.

        What it prints is in ``outputs``: one file for all, or a second one for errors.
        """
        request = {
            "folder": str(folder),
            "arguments": arguments,
            "environ": dict(environ),
            "outputs": [str(output) for output in outputs],
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        code = self._process.stdout.readline()
        assert code, "the process that forks the runs has ended"
        return int(code)

    def close(self) -> None:
        """Let the process end."""
        self._process.communicate()


def serve() -> int:
    """Fork a run for every request; the child exits with what ``pytest`` exits with."""
    del sys.path[0]  # the folder this was started in, which `pytest` does not import from
    _import_all()
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            os._exit(_ended(run(**request)))  # see `_ended`
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
    import duckdb  # noqa: F401  (thawed: it counts what it has left)

    import pytest_aqe

    for module in pkgutil.walk_packages(pytest_aqe.__path__, "pytest_aqe."):
        if not module.name.endswith(("__main__", ".agent")):  # lionagi brings in half the world
            with contextlib.suppress(ModuleNotFoundError):  # of an extra
                importlib.import_module(module.name)


def run(folder: str, environ: dict[str, str], arguments: list[str], outputs: list[str]) -> int:
    """Run pytest here, what it prints into ``outputs``; return the exit code."""
    import pytest

    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    sys.path[0:0] = [path for path in environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, output in enumerate([outputs[0], outputs[-1]], start=1):
        os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    sys.argv = ["pytest", *arguments]
    return int(pytest.main(arguments))


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
    sys.exit(serve())
