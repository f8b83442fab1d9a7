"""Whether a new test file could import the code under test: asked of a pytest of its own.

What a session has on ``sys.path`` says little: a test file may have put it there, and a file
that runs before it, or without it, does not find the code. So an interpreter for each folder
of tests loads the settings and the conftests that count there, and no test; each module is
imported in a fork of it. Only code of the project runs here, nothing that was generated.

The interpreter is this file as a program: a folder, then pytest's arguments; a module and its
file a line on standard input; on standard output why it cannot be imported, or an empty line.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_LONGEST = 60  # seconds to start, or to import a module
_SHOWN = 200  # characters of an error
# Of us: this module is loaded before pytest is, which may be told to take warnings for errors.
_LOADED = "ignore::pytest.PytestAssertRewriteWarning"
_WITHOUT_FOLDER = "--without-folder"  # as ``pytest`` starts, not ``python -m pytest``


@dataclass(frozen=True, slots=True)
class Start:
    """How the session's pytest was started: where, and with which arguments but for paths."""

    folder: Path
    arguments: tuple[str, ...]
    environ: Mapping[str, str]
    by_module: bool = False  # by ``python -m pytest``, which finds what lies in the folder


class Imports:
    """Asks an interpreter for each folder of tests what can be imported there."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._running: dict[Path, subprocess.Popen[str]] = {}

    def failure(self, place: Path, module: str, file: Path) -> str:
        """Return why a new test file in ``place`` cannot import a module, empty if it can."""
        process = self._running.get(place) or self._started(place)
        self._running[place] = process
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps([module, str(file)]) + "\n")
            process.stdin.flush()
        answer = process.stdout.readline()
        return str(json.loads(answer)) if answer else "pytest does not start there by itself"

    def close(self) -> None:
        """End the interpreters."""
        for process in self._running.values():
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                with suppress(OSError):  # what was not read any more
                    pipe.close()

    def _started(self, place: Path) -> subprocess.Popen[str]:
        own = [] if self._needs_folder(place) else [_WITHOUT_FOLDER]
        return subprocess.Popen(
            [sys.executable, "-m", __spec__.name, *own, str(place), *self._start.arguments],
            cwd=self._start.folder,
            env=self._start.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # Ctrl-C is for the session
        )

    def _needs_folder(self, place: Path) -> bool:
        """Tell whether tests may count on being started by ``python -m pytest``.

        Those that see to ``sys.path`` themselves may be started by ``pytest`` tomorrow.
        """
        return self._start.by_module and not any(
            b"sys.path" in file.read_bytes() for file in place.glob("*.py")
        )


def main() -> None:
    """Load what counts in the folder, then answer until the session closes the pipe."""
    signal.alarm(_LONGEST)
    asked = os.fdopen(os.dup(0), encoding="utf-8")
    told = os.dup(1)
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    arguments = sys.argv[1:]
    if arguments[0] == _WITHOUT_FOLDER:
        del arguments[0], sys.path[0]
    answering = _Answering(Path(arguments[0]), asked, told)
    pytest.main([*arguments, "-W", _LOADED], plugins=[answering])


class _Answering:
    """Takes the place of a session."""

    def __init__(self, place: Path, asked: Any, told: int) -> None:
        self._place = place
        self._asked = asked
        self._told = told

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> int:
        """Answer instead of running tests."""
        for plugin in config.pluginmanager.get_plugins():
            if Path(getattr(plugin, "__file__", None) or "").name == "conftest.py":
                getattr(plugin, "pytest_configure", lambda config: None)(config)
        _find(self._place, config.getoption("importmode"))
        signal.alarm(0)
        for line in self._asked:
            module, file = json.loads(line)
            answer = _in_a_fork(module, file)
            os.write(self._told, json.dumps(answer).encode() + b"\n")
        os._exit(0)  # what conftests and plugins would do at the end is the session's


def _find(place: Path, mode: str) -> None:
    """Put on ``sys.path`` what pytest puts there for a test file in a folder."""
    while (place / "__init__.py").is_file():
        place = place.parent
    if mode == "prepend":
        sys.path.insert(0, str(place))
    elif mode == "append":
        sys.path.append(str(place))


def _in_a_fork(module: str, file: str) -> str:
    """Import a module in a process of its own, which the next one knows nothing of."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        signal.alarm(_LONGEST)
        os.write(writing, json.dumps(_imported(module, file)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as said:
        answer = said.read()
    os.waitpid(process, 0)
    return str(json.loads(answer)) if answer else "the import ends its process"


def _imported(module: str, file: str) -> str:
    try:
        found = importlib.import_module(module)
    except BaseException as error:
        return f"{type(error).__name__}: {error}"[:_SHOWN]
    place = getattr(found, "__file__", None) or ""
    if os.path.realpath(place) != os.path.realpath(file):
        return f"{module} is another file there: {place}"
    return ""


if __name__ == "__main__":
    main()
