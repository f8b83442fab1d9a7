"""Stand-ins for functions of the standard library that no event tells of.

Each returns what undoes it. The notes it takes must not raise.
"""

from __future__ import annotations

import functools
import genericpath
import glob
import importlib
import linecache
import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

Undo = Callable[[], None]


def imports_by_name(note: Callable[[str], None]) -> Undo:
    """Tell the name of every module that is imported by name, also where it is loaded."""
    bootstrap: Any = importlib._bootstrap
    plain = bootstrap._gcd_import

    def noting(name: str, package: str | None = None, level: int = 0) -> Any:
        module = plain(name, package, level)
        note(getattr(module, "__name__", ""))
        return module

    bootstrap._gcd_import = noting
    return lambda: setattr(bootstrap, "_gcd_import", plain)


def starts(function: Any, note: Callable[[object], None]) -> Undo:
    """Tell the first argument of every call of a function, whoever holds it."""
    code = function.__code__
    function.__code__ = _noting(function, note)
    return functools.partial(setattr, function, "__code__", code)


def functions_that_look() -> Iterator[Any]:
    """Yield the functions that ask whether a file is there, or what it is.

    `os.stat` and its like are C, and too many ask them for a stand-in.
    """
    yield from _in_python(
        genericpath.exists,
        genericpath.isfile,
        genericpath.isdir,
        genericpath.getsize,
        genericpath.getmtime,
        os.path.lexists,
        os.path.islink,
        Path.exists,
        Path.is_file,
        Path.is_dir,
        Path.stat,
        Path.lstat,
    )


def functions_that_follow_links() -> Iterator[Any]:
    """Yield the functions that ask where a path leads."""
    yield from _in_python(os.path.realpath, Path.readlink)


def functions_that_show_text() -> Iterator[Any]:
    """Yield the functions that read a file, or know it from an earlier call."""
    yield from _in_python(linecache.getlines)


def globs(note: Callable[[object], None]) -> Undo:
    """Tell the paths that `Path.glob` of Python 3.13 asks about: it calls `os.lstat`."""
    globber: Any = getattr(glob, "_StringGlobber", None)
    plain = vars(globber).get("lstat") if globber is not None else None
    if plain is None:
        return lambda: None

    def noting(path: Any) -> Any:
        note(path)
        return os.lstat(path)

    globber.lstat = staticmethod(noting)
    return lambda: setattr(globber, "lstat", plain)


def _in_python(*functions: Any) -> Iterator[Any]:
    """Yield those that are not written in C on this system."""
    for function in functions:
        if hasattr(function, "__code__"):
            yield function


def threads(note: Callable[[object], None]) -> Undo:
    """Tell what every thread is started with, where that is no audit event yet."""
    plain = threading._start_new_thread  # type: ignore[attr-defined]

    def noting(function: Callable[..., object], *arguments: Any) -> Any:
        note(function)
        return plain(function, *arguments)

    threading._start_new_thread = noting  # type: ignore[attr-defined]
    return lambda: setattr(threading, "_start_new_thread", plain)


def environ(names: Collection[str], note: Callable[[str], None]) -> Iterator[Undo]:
    """Tell which of these variables is looked up: each look-up encodes the name first."""
    yield _look_ups(os.environ, {name: name for name in names}, note)
    if os.supports_bytes_environ:
        yield _look_ups(os.environb, {os.fsencode(name): name for name in names}, note)


def _look_ups(variables: Any, names: Mapping[Any, str], note: Callable[[str], None]) -> Undo:
    plain = variables.encodekey

    def noting(key: Any) -> Any:
        if key in names:
            note(names[key])
        return plain(key)

    variables.encodekey = noting
    return lambda: setattr(variables, "encodekey", plain)


def _noting(function: Any, note: Callable[[object], None]) -> CodeType:
    """Return code for a function that tells its first argument and goes on as it was.

    Whoever holds the function runs it, under whatever name; what it needs are constants.
    """
    plain = FunctionType(function.__code__, function.__globals__, function.__name__)
    plain.__defaults__, plain.__kwdefaults__ = function.__defaults__, function.__kwdefaults__

    def noting(*arguments: Any, **named: Any) -> Any:
        tell: Any = "tell"
        go_on: Any = "go on"
        tell(arguments[0] if arguments else None)
        return go_on(*arguments, **named)

    constants = {"tell": note, "go on": plain}
    code = noting.__code__
    return code.replace(
        co_consts=tuple(constants.get(each, each) for each in code.co_consts),
        co_name=function.__name__,
        co_filename=function.__code__.co_filename,
    )
