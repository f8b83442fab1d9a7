"""What a test touches besides functions: data files, folders, processes, threads, libraries.

Handlers of audit events. They run inside whatever caused the event, so they are short, never
raise (`dependencies` guards them) and look at the stack only for what is the project's.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from threading import Thread
from types import FrameType
from typing import Any

from pytest_aqe.evidence.auditing import Handler
from pytest_aqe.evidence.contexts import Context, Kind
from pytest_aqe.evidence.territory import Territory

_PROCESSES = ("os.system", "os.exec", "os.startfile")
_READING = """
    basename cat cut dirname echo expr false grep head less more printf sleep sort tail tr true
    uname uniq wc
"""
_READERS = frozenset(_READING.split())  # programs that read what they are given, and run no other
_FORKS = ("os.fork", "os.forkpty")
_THREADS = ("_thread.start_new_thread", "_thread.start_joinable_thread")
_CODE = (".py", ".pyc", ".so", ".pyd")
_IMPORTED = (*_CODE, "/")  # what importlib opens, and the folders where it looks for it
_READING_SOURCE = frozenset({"linecache.py", "rewrite.py"})  # to show it, or to run it
_SHOWING_SOURCE = frozenset({"inspect.py", "doctest.py"})  # for code that looks at the text


class Observer:
    """Note in the innermost context what happens. ``frame`` gives the frame that caused it."""

    def __init__(
        self,
        territory: Territory,
        context: Callable[[], Context],
        frame: Callable[[], FrameType | None],
        touched: Callable[[str], None],
    ) -> None:
        self._territory = territory
        self._context = context
        self._frame = frame
        self._touched = touched
        self._written: set[str] = set()
        self._runner: FrameType | None = None

    def start(self) -> None:
        """Take no frame for the project's that was there before: a script that runs pytest."""
        self._runner = self._nearest()

    def stop(self) -> None:
        """Let go of the frame."""
        self._runner = None

    def handlers(self) -> dict[str, Handler]:
        """Return what to do at which event."""
        return {
            "open": self._open,
            "os.listdir": self._list,
            "os.scandir": self._list,
            "sqlite3.connect": lambda path, *_: self._open(path, None, os.O_RDWR),
            "import": self._import,
            "ctypes.dlopen": self._library,
            **dict.fromkeys(_PROCESSES, lambda *_: self._doubt("subprocess")),
            "subprocess.Popen": self._spawned,
            "os.posix_spawn": lambda path, arguments, env: self._spawned(
                path, arguments, None, env
            ),
            **dict.fromkeys(_FORKS, lambda *_: self._doubt("fork")),
            **dict.fromkeys(_THREADS, self.thread_started),
        }

    def _open(self, path: Any, _mode: Any, flags: int) -> None:
        place = self._place(path)
        if place is None:
            return
        writing = flags & (os.O_WRONLY | os.O_RDWR)
        if (not writing or not flags & (os.O_TRUNC | os.O_WRONLY)) and place not in self._written:
            if os.path.isdir(self._territory.path(place)):  # noqa: PTH112
                return
            if self._is_wanted(place):
                self._note(place)
        if writing:
            self._written.add(place)  # what is read from now on, a test wrote

    def _list(self, path: Any) -> None:
        if path is None:
            path = os.getcwd()  # noqa: PTH109
        place = self._place(path)
        if place is not None and self._is_wanted(f"{place}/"):
            self._note(f"{place}/")

    def _import(self, _name: str, file: Any, *_: Any) -> None:
        """Note an extension module: it is data to us."""
        if isinstance(file, str) and (place := self._place(file)) is not None:
            self._note(place)

    def _library(self, name: Any) -> None:
        place = self._place(name)
        if place is not None:
            self._note(place)
        if name is not None and self._is_the_projects_doing():
            self._context().doubts.add("ctypes")

    def _spawned(self, executable: Any, arguments: Any, folder: Any, env: Any) -> None:
        """Note the files a harmless program is given; any other cannot be followed."""
        path = (env or os.environ).get("PATH")
        words = [arguments] if isinstance(arguments, (str, bytes)) else list(arguments)
        program = os.fsdecode(executable or words[0])
        start = os.fsdecode(folder or "")
        paths = [os.path.join(start, os.fsdecode(each)) for each in words[1:]]  # noqa: PTH118
        if (
            os.path.basename(program) not in _READERS  # noqa: PTH119
            or self._place(shutil.which(program, path=path) or os.sep)
            or any(map(os.path.isdir, paths))
        ):
            self._doubt("subprocess")
            return
        for place in map(self._place, paths):
            if (
                place is not None
                and place not in self._written
                and os.path.lexists(self._territory.path(place))
            ):
                self._note(place)

    def _doubt(self, kind: str) -> None:
        context = self._context()
        if context.kind in (Kind.TEST, Kind.FIXTURE) or self._is_the_projects_doing():
            context.doubts.add(kind)

    def thread_started(self, function: Any, *_: Any) -> None:
        """Keep a thread that the project's code started: it may outlive the test."""
        if self._nearest() is None:
            return  # a plugin's own, such as a watchdog
        thread = getattr(function, "__self__", None)
        if isinstance(thread, Thread):
            self._context().threads.append(thread)
        else:
            self._context().doubts.add("thread")  # nobody can tell when it ends

    def looked_at(self, path: Any) -> None:
        """Note a file that was asked about, there or not."""
        place = None if isinstance(path, int) else self._place(path)
        if place is None or place in self._written or place.endswith(_CODE):
            return
        if not os.path.isdir(self._territory.path(place)) and self._is_wanted(place):  # noqa: PTH112
            self._note(place)

    def _note(self, place: str) -> None:
        self._context().files.add(place)
        self._touched(place)

    def _place(self, path: Any) -> str | None:
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        elif not isinstance(path, str):
            if not hasattr(path, "__fspath__"):
                return None  # a descriptor
            path = os.fspath(path)
        if not os.path.isabs(path):  # noqa: PTH117
            path = os.path.join(os.getcwd(), path)  # noqa: PTH109, PTH118
        return self._territory.place(path) if self._territory.inside(path) else None

    def _is_wanted(self, place: str) -> bool:
        """Tell whether the project's code reads this, not pytest, importlib or coverage."""
        frame: FrameType | None = self._frame()
        source = place.endswith(".py")
        reading = showing = False
        while frame is not self._runner and frame is not None:
            name = frame.f_code.co_filename
            if name.startswith("<frozen importlib._bootstrap_external") and place.endswith(
                _IMPORTED
            ):
                return False  # to run it; a package's data is read that way too
            if source:
                base = name.rpartition(os.sep)[2]
                reading |= base in _READING_SOURCE
                showing |= base in _SHOWING_SOURCE
            if self._territory.place(name) is not None:
                return showing or not reading
            frame = frame.f_back
        return False

    def _nearest(self) -> FrameType | None:
        """Return the innermost frame that is the project's."""
        frame: FrameType | None = self._frame()
        while frame is not self._runner and frame is not None:
            if self._territory.place(frame.f_code.co_filename) is not None:
                return frame
            frame = frame.f_back
        return None

    def _is_the_projects_doing(self) -> bool:
        """Tell whether the innermost frame outside the standard library is the project's."""
        frame: FrameType | None = self._frame()
        while frame is not self._runner and frame is not None:
            name = frame.f_code.co_filename
            if self._territory.place(name) is not None:
                return True
            if not name.startswith("<") and not self._territory.is_library(name):
                return False
            frame = frame.f_back
        return False
