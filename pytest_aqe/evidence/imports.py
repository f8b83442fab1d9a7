"""Which module needs which: edges from bytecode, from the stack at import, and by name.

A module's import needs everything its import statements name, whoever executed it first;
what was imported in ways that bytecode does not show was seen while it happened.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from types import CodeType
from typing import Any

from pytest_aqe.evidence import codes
from pytest_aqe.evidence.codes import Import
from pytest_aqe.evidence.engine import Mark
from pytest_aqe.evidence.outliving import Change
from pytest_aqe.evidence.reachable import is_a, members_of, namespace_of
from pytest_aqe.evidence.territory import Territory
from pytest_aqe.evidence.versions import PACKAGE

_STANDARD = sys.stdlib_module_names | {"_pytest", "pytest", "__main__", "pytest_aqe"}


@dataclass(slots=True)
class Module:
    """One file of the project that was executed, and what its execution brought.

    ``untraced`` are functions of which nobody will tell whether they ran, by piece. ``package`` is
    what its relative imports start from. A ``lazy`` one was imported by a function, or by such a
    module: who holds what it defines need not have imported it. ``changes`` are what functions
    change that may outlive their calls: (change, mark, code). Of the ``names`` that it says those
    are ``asked`` that it does not only bind.
    """

    place: str
    package: str = ""
    edges: set[str] = field(default_factory=set)
    marks: set[Mark] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    doubts: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    untraced: dict[str, set[Mark]] = field(default_factory=dict)
    lazy: bool = False
    changes: list[tuple[Change, Mark, CodeType]] = field(default_factory=list)


@dataclass(slots=True)
class Found:
    """What import statements lead to: places in the project, and ``<package>/NAME``.

    It is not ``complete`` where something is named that is not there, or not yet.
    """

    places: set[str] = field(default_factory=set)
    packages: set[str] = field(default_factory=set)
    complete: bool = True


class Resolver:
    """Turn names of modules into places, by what `sys.modules` holds now."""

    def __init__(self, territory: Territory) -> None:
        self._territory = territory

    def statements(self, code: CodeType, package: str, found: Found) -> None:
        """Add what the import statements of one code object lead to."""
        self.resolve(codes.imports(code), codes.imported_by_name(code), package, found)

    def resolve(
        self,
        statements: Iterable[Import],
        texts: Iterable[str],
        package: str,
        found: Found,
    ) -> None:
        """Add what statements lead to, and which of ``texts`` name a loaded module."""
        for statement in statements:
            name = _absolute(statement, package)
            if name is None:
                continue
            self.name(name, found)
            if statement.names:
                self._members(name, statement.names, found)
        for text in texts:
            if text in sys.modules:
                self.name(text, found)
            elif text.startswith(".") and (full := package + text) in sys.modules:
                self.name(full, found)

    def name(self, name: str, found: Found) -> None:
        """Add a module and the packages it lies in."""
        top = name.partition(".")[0]
        if top in _STANDARD and self.place(top) is None:
            return
        inside = False
        for each in _with_parents(name):
            place = self.place(each)
            if place is not None:
                inside = True
                found.places.add(place)
        if not inside and top in sys.modules and not self._is_ours(top):
            found.packages.add(PACKAGE + top)

    def place(self, name: str) -> str | None:
        """Return where a loaded module's file stands in the project."""
        file = _namespace(name).get("__file__")
        return self._territory.place(file) if isinstance(file, str) else None

    def _members(self, name: str, members: Iterable[str], found: Found) -> None:
        """Add submodules, and for lazily filled packages the modules that members come from."""
        namespace = _namespace(name)
        if self.place(name) is None and not self._is_ours(name.partition(".")[0]):
            return
        for member in members:
            submodule = f"{name}.{member}"
            if submodule in sys.modules:
                self.name(submodule, found)
                continue
            value = namespace.get(member)
            found.complete &= member in namespace
            home = members_of(value).get("__module__") if is_a(value, type) else None
            if is_a(home, str) and home != name and self.place(home) is not None:
                self.name(home, found)

    def _is_ours(self, top: str) -> bool:
        """Tell whether a namespace package, which has no file, has parts in the project."""
        path = _namespace(top).get("__path__", ())
        try:
            return any(self._territory.place(f"{each}/.") is not None for each in path)
        except TypeError:
            return False


def _namespace(name: str) -> dict[str, Any]:
    """Return a module's namespace without waking what is lazy about it."""
    return namespace_of(sys.modules.get(name))


def is_lazy(namespace: dict[str, Any]) -> bool:
    """Tell whether a module is one of `importlib.util.LazyLoader`'s, about to load."""
    return getattr(namespace.get("__spec__"), "loader_state", None) is not None


def _absolute(statement: Import, package: str) -> str | None:
    if not statement.level:
        return statement.name
    parts = package.split(".")
    if not package or statement.level > len(parts):
        return None
    start = ".".join(parts[: len(parts) - statement.level + 1])
    return f"{start}.{statement.name}" if statement.name else start


@lru_cache(maxsize=4096)
def _with_parents(name: str) -> tuple[str, ...]:
    return tuple(_each_parent(name))


def _each_parent(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.rpartition(".")[0]
