"""Functions that can be reached from a module's namespace, for what its code cannot tell."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any

from pytest_aqe.evidence import codes
from pytest_aqe.evidence.engine import mark_of

# Whatever a metaclass says of them.
line_of: Callable[[type], tuple[type, ...]] = type.__dict__["__mro__"].__get__
home_of: Callable[[type], object] = type.__dict__["__module__"].__get__


def functions_of(namespace: dict[str, Any], file: str) -> Iterator[tuple[str, CodeType]]:
    """Yield (piece, code) of functions and methods that were defined in ``file``.

    The piece is the qualified name up to the first enclosing function.
    """
    seen: set[int] = set()  # marks: a wrapper is reached by every name it was given
    for value in list(namespace.values()):
        for function in _functions(value, namespace.get("__name__")):
            code = function.__code__
            if code.co_filename != file or mark_of(code) in seen:
                continue
            # functools.wraps lends a wrapper the qualified name of what it wraps
            name = getattr(code, "co_qualname", function.__qualname__)
            piece = name.partition(".<locals>")[0]
            piece = codes.MODULE if "<" in piece else piece
            for each in (code, *(inner for _, inner in codes.functions(code))):
                seen.add(mark_of(each))
                yield piece, each


def classes_of(namespace: dict[str, Any]) -> Iterator[type]:
    """Yield the classes that were defined in a module, those inside others too."""
    home = namespace.get("__name__")
    found = [value for value in list(namespace.values()) if isinstance(value, type)]
    seen: set[int] = set()
    while found:
        each = found.pop()
        if home_of(each) == home and mark_of(each) not in seen:
            seen.add(mark_of(each))
            yield each
            found += [value for value in list(vars(each).values()) if isinstance(value, type)]


def inherited(heir: type) -> Iterator[CodeType]:
    """Yield the code of the methods that a class has from its bases and its metaclass."""
    for base in (*line_of(heir)[1:], *line_of(type(heir))):
        for member in list(vars(base).values()):
            for function in _functions(member, None):
                yield function.__code__


def caches(namespace: dict[str, Any]) -> Iterator[tuple[str, CodeType]]:
    """Yield (name, code) of functions and properties that remember what they returned."""
    home = namespace.get("__name__")
    for name, value in list(namespace.items()):
        yield from _cached(name, value)
        if isinstance(value, type) and value.__module__ == home:
            for attribute, member in list(vars(value).items()):
                yield from _cached(attribute, member)


def _cached(name: str, value: Any) -> Iterator[tuple[str, CodeType]]:
    if isinstance(value, (staticmethod, classmethod)):
        value = value.__func__
    if isinstance(value, functools.cached_property):
        function: Any = value.func
    elif isinstance(value, functools._lru_cache_wrapper):
        function = value.__wrapped__
    else:
        return
    while (inner := getattr(function, "__wrapped__", None)) is not None:
        function = inner
    if isinstance(function, FunctionType):
        yield name, function.__code__


def _functions(value: Any, home: object, depth: int = 0) -> Iterator[FunctionType]:
    if depth > 8:
        return
    if isinstance(value, FunctionType):
        yield value
        inner = value.__dict__.get("__wrapped__")
        if inner is not None:
            yield from _functions(inner, home, depth + 1)
    elif isinstance(value, (staticmethod, classmethod)):
        yield from _functions(value.__func__, home, depth + 1)
    elif isinstance(value, property):
        for part in (value.fget, value.fset, value.fdel):
            yield from _functions(part, home, depth + 1)
    elif isinstance(value, functools.cached_property):
        yield from _functions(value.func, home, depth + 1)
    elif isinstance(value, functools._lru_cache_wrapper):
        yield from _functions(value.__wrapped__, home, depth + 1)
    elif isinstance(value, type) and value.__module__ == home:
        for member in list(vars(value).values()):
            yield from _functions(member, home, depth + 1)
