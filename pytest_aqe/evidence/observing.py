"""What a test touches besides functions: data files, folders, processes, threads, libraries.

Handlers of audit events. They run inside whatever caused the event, so they are short, never
raise (`dependencies` guards them) and look at the stack only for what is the project's.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from threading import Thread
from types import FrameType
from typing import Any

from pytest_aqe.evidence import watching
from pytest_aqe.evidence.auditing import Handler
from pytest_aqe.evidence.contexts import Context, Kind
from pytest_aqe.evidence.territory import Territory
from pytest_aqe.evidence.versions import PRESENCE, content_version

_PLUGIN = f"{__name__.partition('.')[0]}."
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
_COPYING = "shutil.py"
_LOADERS = "<frozen importlib._bootstrap"
_IMPORTLIB = f"{os.sep}importlib{os.sep}"
_NOBODYS = frozenset(  # packages that read for themselves
    {"_pytest", "pluggy", "importlib", "coverage", "pytest_cov", "xdist", "pytest_aqe"}
)


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
        self._written: dict[str, str] = {}  # and its version before
        self._links: dict[str, str] = {}  # that tests made, and where they lead in the project
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
            "sqlite3.connect": self._connect,
            "os.mkdir": self._made,
            "os.symlink": self._linked,
            "os.link": lambda path, link, *_: self._linked(_absolute(path) or path, link),
            "os.rename": lambda _, path, *__: self._made(path),
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

    def looks(self) -> Iterator[tuple[Any, Handler]]:
        """Yield functions that no event tells of, and what to do with their first argument."""
        for function in watching.functions_that_look():
            yield function, self.looked_at
        for function in watching.functions_that_follow_links():
            yield function, self._link_followed
        for function in watching.functions_that_show_text():
            yield function, self._shown

    def _open(self, path: Any, _mode: Any, flags: int) -> None:
        place = self._place(path)
        if place is None:
            return
        writing = flags & (os.O_WRONLY | os.O_RDWR)
        if not (writing and flags & (os.O_TRUNC | os.O_WRONLY)) and not self._is_made(place):
            if os.path.isdir(self._territory.path(place)):  # noqa: PTH112
                return
            if self._is_wanted(place):
                self._note(place)
        if writing:
            self._make(place)

    def _made(self, path: Any, *_: Any) -> None:
        place = self._place(path)
        if place is not None:
            self._make(place)

    def _linked(self, target: Any, link: Any, *_: Any) -> None:
        """Remember a link that leads into the project: what is read through it is there."""
        name = _absolute(link)
        if name is None:
            return
        leads = os.path.normpath(os.path.join(os.path.dirname(name), os.fsdecode(target)))  # noqa: PTH118, PTH120
        if self._territory.place(leads) is not None:
            self._links[name] = leads

    def _make(self, place: str) -> None:
        if place not in self._written:
            self._written[place] = content_version(self._territory.path(place))

    def _connect(self, path: Any, *_: Any) -> None:
        """Note a database; the event does not say whether its name is a URI."""
        if isinstance(path, str) and path.startswith("file:"):
            from urllib.parse import unquote, urlsplit

            path = unquote(urlsplit(path).path)
        self._open(path, None, os.O_RDWR)

    def _list(self, path: Any) -> None:
        place = self._place(os.curdir if path is None else path)
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
        search = (env or os.environ).get("PATH")
        words = [arguments] if isinstance(arguments, (str, bytes)) else list(arguments)
        program = os.fsdecode(executable or words[0])
        start = os.fsdecode(folder or "")
        told = [os.fsdecode(word) for word in words[1:]]
        if os.path.dirname(program):  # noqa: PTH120
            program = os.path.join(start, program)  # noqa: PTH118
        found = shutil.which(program, path=search)
        given = [os.path.join(start, word) for word in told if not word.startswith("-")]  # noqa: PTH118
        name = os.path.basename(program)  # noqa: PTH119
        if (
            name not in _READERS
            or self._place(found or os.sep)
            or any(_reads_more(name, word) for word in told)
            or any(map(os.path.isdir, given))
        ):
            self._doubt("subprocess", [found or program, *given])
            return
        for place in map(self._place, given):  # what is not there may come
            if place is not None and not self._is_made(place):
                self._note(place)

    def _note_given(self, paths: Iterable[str]) -> None:
        """Note files by name: git may ignore them, and then nothing else tells of them."""
        for place in map(self._place, paths):
            if (
                place is not None
                and not place.endswith(".py")
                and os.path.isfile(self._territory.path(place))  # noqa: PTH113
                and not self._is_made(place)
            ):
                self._note(place)

    def _doubt(self, kind: str, given: Iterable[str] = ()) -> None:
        context = self._context()
        in_a_test = context.kind in (Kind.TEST, Kind.FIXTURE)
        if in_a_test or (self._is_the_projects_doing() and not self.is_our_own()):
            context.doubts.add(kind)
            self._note_given(given)

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
        """Note a file or a folder that was asked about, there or not.

        Not the file of a test, or a module that runs: without it, neither does. And pytest asks
        for that of each test.
        """
        place = self._place(path)
        if place is None or place == self._context().owner:
            return
        if not self._is_made(place) and self._is_wanted(place):
            self._note(f"{PRESENCE}{place}/" if place.endswith(_CODE) else place)

    def _shown(self, path: Any) -> None:
        place = self._place(path)
        if place is not None and not self._is_made(place) and self._is_wanted(place):
            self._note(place)

    def _link_followed(self, path: Any) -> None:
        """Note the links on the way."""
        place = self._place(path)
        if place is None:
            return
        parts = place.split("/")
        for count in range(1, len(parts) + 1):
            place = "/".join(parts[:count])
            if os.path.islink(self._territory.path(place)) and self._is_wanted(place):  # noqa: PTH114
                self._note(place)

    def _is_made(self, place: str) -> bool:
        """Tell whether what would be read is what a test wrote: then no change of it matters."""
        before = self._written.get(place)
        return before is not None and content_version(self._territory.path(place)) != before

    def _note(self, place: str) -> None:
        self._context().files.add(place)
        self._touched(place)

    def _place(self, path: Any) -> str | None:
        name = _absolute(path)
        if name is None:
            return None
        if self._links:
            name = self._behind_link(name)
        return self._territory.place(name) if self._territory.inside(name) else None

    def _behind_link(self, path: str) -> str:
        """Return the path that a link leads to which a test has made."""
        for link, target in self._links.items():
            if path == link or path.startswith(link + os.sep):
                return target + path[len(link) :]
        return path

    def _is_wanted(self, place: str) -> bool:
        """Tell whether the project's code reads this, not pytest, importlib or coverage.

        Where nothing of the project's is under way, a test or a fixture may have it read by a
        plugin or an installed base class. What is noted already is wanted again.
        """
        if not self._context().kept or self.is_our_own():
            return False
        if place in self._context().files:
            return True
        frame: FrameType | None = self._frame()
        reader: FrameType | None = None  # the innermost outside the standard library
        source = place.endswith(".py")
        base = ""  # of the file of the frame before
        reading = showing = copying = False
        while frame is not self._runner and frame is not None:
            name = frame.f_code.co_filename
            if (
                name.startswith(_LOADERS)
                and place.endswith(_IMPORTED)
                and frame.f_code.co_name != "get_data"  # who asks for that may want a resource
            ):
                return False  # to run it
            if self._territory.place(name) is not None:
                return showing or not reading or base in _READING_SOURCE
            if source:
                base = name.rpartition(os.sep)[2]
                reading |= base in _READING_SOURCE
                showing |= base in _SHOWING_SOURCE
                copying |= base == _COPYING
            if reader is None and (not self._is_library(name) or _IMPORTLIB in name):
                reader = frame
            frame = frame.f_back
        return (
            reader is not None
            and self._context().kind in (Kind.TEST, Kind.FIXTURE)
            and (copying or not source)  # else it is for a report, or to follow the code
            and _package_of(reader) not in _NOBODYS
        )

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
            if not self._is_library(name):
                return False
            frame = frame.f_back
        return False

    def is_our_own(self) -> bool:
        """Tell whether a hook of the plugin is at work: its own checkout may be the project."""
        frame = self._beyond_library(self._frame())
        if not _is_plugins(frame):
            return False
        while _is_plugins(frame):
            frame = self._beyond_library(frame and frame.f_back)
        return frame is None or _package_of(frame) in _NOBODYS

    def _beyond_library(self, frame: FrameType | None) -> FrameType | None:
        while frame is not None and self._is_library(frame.f_code.co_filename):
            frame = frame.f_back
        return frame

    def _is_library(self, name: str) -> bool:
        return name.startswith("<") or self._territory.is_library(name)


def _is_plugins(frame: FrameType | None) -> bool:
    return frame is not None and _name_of(frame).startswith(_PLUGIN)


def _package_of(frame: FrameType) -> str:
    return _name_of(frame).partition(".")[0]


def _name_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _reads_more(program: str, word: str) -> bool:
    """Tell an option by which a program may read what it is not given as a word of its own."""
    if word.startswith("--"):
        return "=" in word or word.startswith(("--r", "--d", "--f"))
    letters = word[1:] if word.startswith("-") and program == "grep" else ""
    return not {"r", "R", "d"}.isdisjoint(letters) or "f" in letters[:-1]


def _absolute(path: Any) -> str | None:
    """Return the text of a path from the root of the file system, None for a descriptor."""
    if isinstance(path, bytes):
        path = os.fsdecode(path)
    elif not isinstance(path, str):
        if not hasattr(path, "__fspath__"):
            return None
        path = os.fsdecode(path)
    if os.path.isabs(path):  # noqa: PTH117
        return str(path)
    try:
        return os.path.join(os.getcwd(), path)  # noqa: PTH109, PTH118
    except OSError:
        return None  # the working folder is gone
