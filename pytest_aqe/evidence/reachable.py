"""Functions that can be reached from a module's namespace, for what its code cannot tell."""

from __future__ import annotations

import functools
import gc
import os
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, FunctionType
from typing import Any

from pytest_aqe.evidence.engine import mark_of

# Whatever a metaclass says of them.
line_of: Callable[[type], tuple[type, ...]] = type.__dict__["__mro__"].__get__
home_of: Callable[[type], object] = type.__dict__["__module__"].__get__


def functions_of(namespaces: Iterable[tuple[str, dict[str, Any]]]) -> dict[str, list[FunctionType]]:
    """Return the functions that are there of each file, by its path.

    ``namespaces`` are (path, namespace) of modules. The collector knows functions that no name
    leads to, as behind a decorator; but not those that were frozen.
    """
    found: dict[str, dict[int, FunctionType]] = {}
    by_name: dict[str, dict[int, FunctionType]] = {}  # as code may spell the path, too
    for file, namespace in namespaces:
        functions = found.setdefault(file, {})
        by_name[file] = by_name[os.path.normpath(file)] = functions
        for value in list(namespace.values()):
            for each in _functions(value, namespace.get("__name__")):
                if by_name.get(each.__code__.co_filename) is functions:
                    functions[mark_of(each)] = each
    for each in gc.get_objects() if found else ():
        if type(each) is FunctionType and each.__code__.co_filename in by_name:
            by_name[each.__code__.co_filename][mark_of(each)] = each
    return {file: list(functions.values()) for file, functions in found.items()}


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
