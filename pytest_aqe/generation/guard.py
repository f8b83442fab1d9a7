"""What a test reached for and what it left behind, seen from inside its process.

The audit hook is detection, not security: Python code can get around it, and then meets the
sandbox. It names what the sandbox would only refuse, and notes it even where the test
swallows the refusal.
"""

from __future__ import annotations

import builtins
import dis
import functools
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import CodeType, FunctionType, ModuleType
from typing import Any

from pytest_aqe.generation.values import is_a

_NETWORK = frozenset(
    {"socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname",
     "socket.gethostbyaddr", "socket.getnameinfo", "socket.sendto", "socket.sendmsg"}
)  # fmt: skip
_PROCESSES = frozenset(
    {"subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn",
     "os.spawn", "os.startfile", "pty.spawn", "os.kill", "os.killpg", "signal.pthread_kill"}
)  # fmt: skip
_TRICKS = frozenset(
    {"ctypes.dlopen", "ctypes.dlsym", "sys.addaudithook",
     "sys.monitoring.register_callback", "resource.setrlimit"}
)  # fmt: skip
_CHANGING = {  # how many of its first arguments are paths
    "os.remove": 1, "os.rmdir": 1, "os.mkdir": 1, "os.rename": 2, "os.chmod": 1, "os.chown": 1,
    "os.truncate": 1, "os.link": 2, "os.symlink": 2, "os.utime": 1, "shutil.rmtree": 1,
    "shutil.move": 2, "shutil.copyfile": 0, "shutil.copytree": 0, "os.setxattr": 1,
}  # fmt: skip
_HEARD = _NETWORK | _PROCESSES | _TRICKS | _CHANGING.keys() | {"open", "socket.__new__"}
_SIGNALS = {each.name: each for each in signal.Signals}
_MOST_FILES = 100  # opened for writing in one test; more fills a disk
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Denied(BaseException):
    """What a test reached for and must not have. No ``except Exception`` hides it."""


class Guard:
    """Refuse and note what no test needs, while it is armed."""

    def __init__(self, scratch: str) -> None:
        self._scratch = os.path.realpath(scratch)
        self._armed = False
        self.denied: list[str] = []
        self.opened = 0
        """Files that were opened for writing since it was armed."""

    def install(self) -> None:
        """Listen from now on; an audit hook cannot be taken away again."""
        sys.addaudithook(self._hear)

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Refuse while this lasts."""
        self._armed, self.opened = True, 0
        try:
            yield
        finally:
            self._armed = False

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _HEARD or not self._armed:
            return
        what = self._reason(event, arguments)
        if what is not None:
            self._armed = False  # to say so must not be refused in turn
            try:
                self.denied.append(what)
            finally:
                self._armed = True
            raise Denied(what)

    def _reason(self, event: str, arguments: tuple[Any, ...]) -> str | None:
        if event == "open":
            return self._writes(arguments)
        if event in _CHANGING:
            for path in arguments[: _CHANGING[event]]:
                if not self._inside(path):
                    return f"{event} of {_shown(path)}"
            return None
        if event == "socket.__new__":
            family = arguments[1] if len(arguments) > 1 else -1
            return None if int(family) in (1, -1) else "the network (socket)"
        if event in _NETWORK:
            address = arguments[1] if event in ("socket.connect", "socket.bind") else arguments[0]
            if isinstance(address, (str, bytes)) and event in ("socket.connect", "socket.bind"):
                return None  # a Unix socket's path
            return f"the network ({event} {_shown(address)})"
        if event in _PROCESSES:
            if event == "os.kill" and arguments[:1] == (os.getpid(),) and arguments[1:] == (0,):
                return None
            return f"another process ({event})"
        return f"the innards of Python ({event})" if event in _TRICKS else None

    def _writes(self, arguments: tuple[Any, ...]) -> str | None:
        path, mode, flags = (*arguments, None, None, None)[:3]
        if isinstance(mode, str):
            writes = any(each in mode for each in "wax+")
        else:
            writes = isinstance(flags, int) and bool(flags & _WRITING)
        if not writes or isinstance(path, int):
            return None
        if not self._inside(path):
            return None if os.fspath(path) in (os.devnull, b"/dev/null") else (
                f"writing {_shown(path)}"
            )  # fmt: skip
        self.opened += 1
        return f"writing more than {_MOST_FILES} files" if self.opened > _MOST_FILES else None

    def _inside(self, path: Any) -> bool:
        """Tell a path below the scratch folder, links followed; a common prefix is not enough."""
        if isinstance(path, int):
            return True
        try:
            real = os.path.realpath(os.fsdecode(path))
        except (TypeError, ValueError, OSError):
            return False
        return real == self._scratch or real.startswith(self._scratch + os.sep)


def _shown(value: Any) -> str:
    return repr(value)[:80]


@dataclass(frozen=True, slots=True)
class State:
    """What a test must leave as it was."""

    environ: Mapping[str, str]
    folder: str
    path: tuple[str, ...]
    arguments: tuple[object, ...]
    modules: Mapping[str, int]
    names: Mapping[tuple[str, str], object]
    defaults: Mapping[tuple[str, str], object]
    threads: frozenset[int]
    files: frozenset[str]
    limit: int
    handlers: Mapping[str, object]
    builtins: Mapping[str, object]


def state(root: str, scratch: str, before: State | None = None) -> State:
    """Look at this process and its scratch folder; ``root`` is where the project lies.

    With an earlier state only at the modules that it knows: to look at each of a thousand
    writes into its memory, and a fork would have to copy all that.
    """
    names: dict[tuple[str, str], object] = {}
    defaults: dict[tuple[str, str], object] = {}
    there = (
        sys.modules
        if before is None
        else {name: sys.modules[name] for name in before.modules if name in sys.modules}
    )
    ours = [
        (name, module)
        for name, module in list(there.items())
        if _is_of(module, root + os.sep, scratch + os.sep)
    ]
    for module_name, module in ours:
        changing = _declared_global(module)
        for name, value in list(vars(module).items()):
            if name in changing or name.startswith("__"):
                continue
            names[module_name, name] = value
            if is_a(value, FunctionType):
                defaults[module_name, name] = (value.__defaults__, value.__code__)
            elif is_a(value, type) and value.__module__ == module_name:
                for attribute, inner in list(vars(value).items()):
                    if is_a(inner, FunctionType):
                        names[module_name, f"{name}.{attribute}"] = inner
    return State(
        dict(os.environ),
        _folder(),
        tuple(sys.path),
        tuple(sys.argv),
        {name: id(module) for name, module in ours},
        names,
        defaults,
        frozenset(id(each) for each in threading.enumerate() if not each.daemon),
        files(scratch),
        sys.getrecursionlimit(),
        _handlers(),
        dict(vars(builtins)),
    )


def _handlers() -> dict[str, object]:
    """Return what hears of a signal, an error or an expression typed in, in this process."""
    hooks: dict[str, object] = {
        "sys.excepthook": sys.excepthook,
        "sys.displayhook": sys.displayhook,
        "sys.breakpointhook": sys.breakpointhook,
        "threading.excepthook": threading.excepthook,
    }
    for name, number in _SIGNALS.items():
        hooks[f"the handler of {name}"] = signal.getsignal(number)
    return hooks


def traces(before: State, after: State) -> list[str]:
    """Say what differs, in the order in which it is worth knowing."""
    found = []
    changed = {
        name
        for name in before.environ.keys() | after.environ.keys()
        if before.environ.get(name) != after.environ.get(name) and name != "PYTEST_CURRENT_TEST"
    }
    if changed:
        found.append(f"it changes the environment ({', '.join(sorted(changed)[:3])})")
    if before.folder != after.folder:
        found.append("it changes the working directory")
    if before.path != after.path:
        found.append("it changes sys.path")
    if before.arguments != after.arguments:
        found.append("it changes sys.argv")
    if before.limit != after.limit:
        found.append("it changes the recursion limit")
    for name, handler in before.handlers.items():
        if after.handlers[name] is not handler:
            found.append(f"it changes {name}")
    for name in before.builtins.keys() | after.builtins.keys():
        if after.builtins.get(name, before) is not before.builtins.get(name, before):
            found.append(f"it changes the built-in {name}")
    for name, module in before.modules.items():
        if after.modules.get(name) != module:
            found.append(f"it replaces the module {name}")
    for (module_name, name), value in before.names.items():
        if after.names.get((module_name, name), before) is not value:
            found.append(f"it rebinds {module_name}.{name}")
    for key, value in before.defaults.items():
        if after.defaults.get(key, value) != value:
            found.append(f"it changes the defaults or the code of {'.'.join(key)}")
    if after.threads - before.threads:
        found.append("it leaves a thread running")
    if new := sorted(after.files - before.files):
        found.append(f"it leaves the file {new[0]}")
    if gone := sorted(before.files - after.files):
        found.append(f"it removes the file {gone[0]}")
    return found


def _folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - a plain string is compared
    except OSError:
        return ""


def _is_of(module: object, root: str, scratch: str) -> bool:
    """Tell a module of the project, not of the tests that are tried."""
    file = getattr(module, "__file__", None)
    if not isinstance(module, ModuleType) or not isinstance(file, str):
        return False
    return file.startswith(root) and not file.startswith(scratch)


@functools.cache
def _declared_global(module: ModuleType) -> set[str]:
    """Return the names that the module's own functions rebind: its state, not a test's trace."""
    found: set[str] = set()
    for value in list(vars(module).values()):
        with suppress(Exception):  # an object may answer nothing outside of a request, say
            code = getattr(value, "__code__", None)
            if isinstance(code, CodeType) and getattr(value, "__module__", None) == module.__name__:
                found.update(_stored_globals(code))
    return found


@functools.cache
def _stored_globals(code: CodeType) -> frozenset[str]:
    found = {
        instruction.argval
        for instruction in dis.get_instructions(code)
        if instruction.opname in ("STORE_GLOBAL", "DELETE_GLOBAL")
    }
    return frozenset(found).union(
        *(_stored_globals(each) for each in code.co_consts if isinstance(each, CodeType))
    )


def files(scratch: str) -> frozenset[str]:
    """Return the files in the scratch folder, but for those that pytest's own fixtures make."""
    found = []
    for folder, folders, names in os.walk(scratch):
        folders[:] = [each for each in folders if each not in ("tmp", "__pycache__")]
        found += [os.path.relpath(f"{folder}/{name}", scratch) for name in names]
    return frozenset(found)
