"""Functions that can be reached from a module's namespace, for what its code cannot tell.

Nothing in it is asked what it is: a lazy module or object loads itself as soon as an attribute
of it is read, and `isinstance` reads ``__class__``.
"""

from __future__ import annotations

import functools
import gc
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from types import (
    BuiltinFunctionType,
    CodeType,
    FrameType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    ModuleType,
)
from typing import Any, TypeGuard, TypeVar

from pytest_aqe.evidence.engine import mark_of
from pytest_aqe.evidence.outliving import Root, changes, stores

_T = TypeVar("_T")

# Whatever a metaclass says of them.
line_of: Callable[[type], tuple[type, ...]] = type.__dict__["__mro__"].__get__
home_of: Callable[[type], object] = type.__dict__["__module__"].__get__
members_of: Callable[[type], Mapping[str, Any]] = type.__dict__["__dict__"].__get__

_CONTAINERS = frozenset({dict, list, tuple})
_PLAIN = frozenset(  # kinds of values that neither keep anything nor call a function
    {
        *(bool, bytes, complex, float, frozenset, int, str, tuple, type(None)),
        *(BuiltinFunctionType, ModuleType, GetSetDescriptorType, MemberDescriptorType),
    }
)
_KINDS = _PLAIN | {  # of values that nothing is kept in
    *(type, FunctionType, classmethod, property, staticmethod, functools.partial),
}
_MANY = 256  # in a container: longer ones are tables of data


def is_a(value: object, kind: type[_T]) -> TypeGuard[_T]:
    """Tell what `isinstance` would, were ``__class__`` what it says."""
    return issubclass(type(value), kind)


def namespace_of(module: object) -> dict[str, Any]:
    """Return the namespace of a module, or of what stands in its place; an empty one of others."""
    for each in line_of(type(module)):
        reader = members_of(each).get("__dict__")
        if is_a(reader, GetSetDescriptorType) or is_a(reader, MemberDescriptorType):
            namespace = reader.__get__(module)
            return namespace if is_a(namespace, dict) else {}
    return {}


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


def functions_behind(value: object) -> Iterator[FunctionType]:
    """Yield a function, and those behind a decorator, a property or the like; none of a class."""
    return _functions(value, None)


def classes_of(namespace: dict[str, Any]) -> Iterator[type]:
    """Yield the classes that were defined in a module, those inside others too."""
    home = namespace.get("__name__")
    found = [value for value in list(namespace.values()) if is_a(value, type)]
    seen: set[int] = set()
    while found:
        each = found.pop()
        if home_of(each) == home and mark_of(each) not in seen:
            seen.add(mark_of(each))
            yield each
            found += [value for value in list(members_of(each).values()) if is_a(value, type)]


def inherited(heir: type) -> Iterator[CodeType]:
    """Yield the code of the methods that a class has from its bases and its metaclass."""
    for base in (*line_of(heir)[1:], *line_of(type(heir))):
        for member in list(members_of(base).values()):
            for function in _functions(member, None):
                yield function.__code__


def is_mutable(value: object) -> bool:
    """Tell whether something may be kept in a value; `None` stands for no value."""
    return type(value) not in _KINDS


def may_hold(value: object) -> bool:
    """Tell whether something that an object holds may hold something itself."""
    kind = type(value)
    return kind in _CONTAINERS or (kind not in _KINDS and not is_a(value, type))


def first_argument(code: CodeType, frame: FrameType) -> object:
    """Return what a function that has just started is called on."""
    found = frame.f_locals
    value = found.get(code.co_varnames[0])
    if sys.version_info < (3, 13):
        found.clear()  # a copy, which would keep the arguments alive as long as the call
    return value


def held(value: object) -> Iterator[object]:
    """Yield a value, and what a container holds, unless that is a table of data."""
    yield value
    if type(value) in _CONTAINERS and len(value) <= _MANY:  # type: ignore[arg-type]
        yield from list(value.values() if type(value) is dict else value)  # type: ignore[call-overload]


def size(value: object) -> int:
    """Return how much a container holds."""
    return len(value) if type(value) in _CONTAINERS else 0  # type: ignore[arg-type]


def shared(namespace: dict[str, Any]) -> Iterator[tuple[str, object]]:
    """Yield (name, value) of what outlives calls: globals, classes and what they hold."""
    found = list(namespace.items())
    for owner in classes_of(namespace):
        found.append(("", owner))
        found += members_of(owner).items()
    for name, value in found:
        for each in held(value):
            if type(each) not in _KINDS or type(value) is type:
                yield name, each


def attribute(value: object, names: Iterable[str]) -> object:
    """Return an attribute of an attribute, or None, without asking any object for it."""
    for name in names:
        line = line_of(value) if is_a(value, type) else ()
        members = map(members_of, line or line_of(type(value)))
        own = namespace_of(value)
        if dict.__contains__(own, name):
            value = dict.get(own, name)
        else:
            value = next((space[name] for space in members if name in space), None)
    return value


def defaults(namespace: dict[str, Any]) -> Iterator[tuple[CodeType, set[str]]]:
    """Yield (code, arguments) of functions in which calls can leave something in a default."""
    for value in list(namespace.values()):
        for each in _functions(value, namespace.get("__name__")):
            code = each.__code__
            names = code.co_varnames[: code.co_argcount]
            given = each.__defaults__ or ()
            found = dict(zip(names[len(names) - len(given) :], given, strict=True))
            found.update(each.__kwdefaults__ or {})
            if mutable := {name for name, default in found.items() if is_mutable(default)}:
                yield code, mutable


def caches(namespace: dict[str, Any]) -> Iterator[tuple[str, CodeType, bool]]:
    """Yield (name, code, by hand) of functions and properties whose answers are remembered.

    By hand is what another function remembers that was made around them.
    """
    for name, value in list(namespace.items()):
        yield from _cached(name, value)
        if type(value) in _CONTAINERS and len(value) <= _MANY:
            for each in list(value.values() if type(value) is dict else value):
                yield from _cached(name, each)
    for owner in classes_of(namespace):
        for name, value in list(members_of(owner).items()):
            yield from _cached(name, value)


def _cached(name: str, value: Any) -> Iterator[tuple[str, CodeType, bool]]:
    """Look behind decorators for what remembers, and then for the function."""
    if type(value) in _PLAIN:
        return
    remembers = False
    for _ in range(8):
        if is_a(value, functools.cached_property):
            remembers, value = True, value.func
        elif is_a(value, functools._lru_cache_wrapper):
            remembers, value = True, value.__wrapped__
        elif is_a(value, property):
            value = value.fget
        elif is_a(value, staticmethod) or is_a(value, classmethod):
            value = value.__func__
        elif is_a(value, FunctionType) and value.__closure__ and _fills(value):
            for each in _enclosed(value):
                yield name, each.__code__, True
            break
        else:
            behind = "__wrapped__" if is_a(value, FunctionType) else "_fixture_function"  # pytest's
            inner = namespace_of(value).get(behind)
            if inner is None:
                yield from ((name, each.__code__, True) for each in _asked_for(value))
                break
            value = inner
    if remembers and is_a(value, FunctionType):
        yield name, value.__code__, False


def _asked_for(value: object) -> Iterator[FunctionType]:
    """Yield the functions that answer for a descriptor which puts the answer in its own place."""
    kind = type(value)
    getter = attribute(kind, ["__get__"]) if kind not in _KINDS else None
    if type(getter) is FunctionType and stores(getter.__code__):
        spaces = [value, *(each for each in gc.get_referents(value) if type(each) is dict)]
        for each in spaces:
            yield from (part for part in gc.get_referents(each) if type(part) is FunctionType)


def _fills(function: FunctionType) -> bool:
    """Tell whether a function changes what the one around it left to it."""
    return any(each.root is Root.FREE for each in changes(function.__code__))


def _enclosed(function: FunctionType) -> list[FunctionType]:
    """Return the functions that one remembers the answers of: those around which it was made.

    If there are none it answers itself.
    """
    found: list[FunctionType] = []
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # it is empty
            found += _functions(cell.cell_contents, None)
    return found or [function]


def _functions(value: Any, home: object, depth: int = 0) -> Iterator[FunctionType]:
    if depth > 8 or type(value) in _PLAIN:
        return
    if is_a(value, FunctionType):
        yield value
        inner = value.__dict__.get("__wrapped__")
        if inner is not None:
            yield from _functions(inner, home, depth + 1)
    elif is_a(value, staticmethod) or is_a(value, classmethod):
        yield from _functions(value.__func__, home, depth + 1)
    elif is_a(value, property):
        for part in (value.fget, value.fset, value.fdel):
            yield from _functions(part, home, depth + 1)
    elif is_a(value, functools.cached_property):
        yield from _functions(value.func, home, depth + 1)
    elif is_a(value, functools._lru_cache_wrapper):
        yield from _functions(value.__wrapped__, home, depth + 1)
    elif is_a(value, type) and home_of(value) == home:
        for member in list(members_of(value).values()):
            yield from _functions(member, home, depth + 1)
