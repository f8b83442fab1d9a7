"""Stand-ins for functions of the standard library that no event tells of.

Each returns what undoes it. The notes it takes must not raise.
"""

from __future__ import annotations

import functools
import genericpath
import importlib
import os
import threading
from collections.abc import Callable, Collection, Iterator
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


def looks_at_files(note: Callable[[object], None]) -> Iterator[Undo]:
    """Tell every path that is asked about."""
    for function in looking_at_files():
        code = function.__code__
        function.__code__ = _noting(function, note)
        yield functools.partial(setattr, function, "__code__", code)


def looking_at_files() -> Iterator[Any]:
    """Yield the functions that ask whether a file is there, or what it is."""
    for function in (
        genericpath.exists,
        genericpath.isfile,
        genericpath.getsize,
        genericpath.getmtime,
        Path.exists,
        Path.is_file,
        Path.stat,
    ):
        if hasattr(function, "__code__"):  # some are written in C on some systems
            yield function


def threads(note: Callable[[object], None]) -> Undo:
    """Tell what every thread is started with, where that is no audit event yet."""
    plain = threading._start_new_thread  # type: ignore[attr-defined]

    def noting(function: Callable[..., object], *arguments: Any) -> Any:
        note(function)
        return plain(function, *arguments)

    threading._start_new_thread = noting  # type: ignore[attr-defined]
    return lambda: setattr(threading, "_start_new_thread", plain)


def environ(names: Collection[str], note: Callable[[str], None]) -> Undo:
    """Tell which of these variables is looked up: each look-up encodes the name first."""
    variables: Any = os.environ
    plain = variables.encodekey

    def noting(key: Any) -> Any:
        if key in names:
            note(key)
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
    )
