"""What modules can have run at import that were loaded before anybody watched.

A plugin that ``-p`` names is imported before ours is, and so may be a project that is itself a
plugin. What the bodies of its modules can have called is followed by the names in their code,
through what these stand for now: functions, classes, what modules and objects hold.
"""

from __future__ import annotations

import importlib.machinery
import os
from collections.abc import Iterable, Set
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from pytest_aqe.evidence import codes
from pytest_aqe.evidence.engine import Mark, mark_of
from pytest_aqe.evidence.reachable import (
    functions_behind,
    home_of,
    is_a,
    line_of,
    members_of,
    namespace_of,
)

_MAKING = frozenset(
    {
        *("__init__", "__new__", "__post_init__", "__call__", "__prepare__"),
        *("__init_subclass__", "__set_name__", "__class_getitem__"),
    }
)  # what runs when a class is made, or an object of it, and nobody says the name
_READING = frozenset({"open", "read_text", "read_bytes", "open_text", "open_binary", "get_data"})


def code_of(file: str, namespace: dict[str, Any]) -> CodeType | None:
    """Return the code of a loaded module, or None."""
    loader = getattr(namespace.get("__spec__"), "loader", None)
    try:
        if type(loader) is importlib.machinery.SourceFileLoader:
            return loader.get_code(loader.name)  # its bytecode, where that is kept
        return compile(Path(file).read_bytes(), file, "exec", dont_inherit=True)
    except (ImportError, OSError, SyntaxError, ValueError, RecursionError):
        return None


class Early:
    """The functions that bodies can have called. ``namespaces`` are those of all modules."""

    def __init__(self, namespaces: Iterable[dict[str, Any]]) -> None:
        self._homes = {str(namespace.get("__name__")) for namespace in namespaces}
        self._seen: set[Mark] = set()
        self._waiting: list[tuple[FunctionType, type | None, bool]] = []
        self.called: list[FunctionType] = []
        self.read: set[str] = set()
        """Files that are named in code that reads."""
        self.hidden: set[str] = set()
        """Files of code that reads what it does not name, and is sure to have run."""

    def body(self, module: CodeType, namespace: dict[str, Any]) -> None:
        """Follow what the body of a module names."""
        for body in codes.bodies(module):
            names = codes.called_names(body)
            self._look_up(names, namespace, sure=True)
            self._note_reading([body], names, sure="__main__" not in body.co_consts)
        for piece, code in codes.functions(module):
            if piece == codes.MODULE:
                self._look_up(set(code.co_names), namespace, sure=False)
        self._follow()

    def _follow(self) -> None:
        while self._waiting:
            function, owner, sure = self._waiting.pop()
            self.called.append(function)
            inside = list(codes.whole(function.__code__))
            names = {name for code in inside for name in code.co_names}
            self._note_reading(inside, names, sure)
            self._look_up(names, function.__globals__, sure)
            if owner is not None:
                self._members(owner, names)

    def _look_up(self, names: Set[str], namespace: dict[str, Any], sure: bool) -> None:
        for name in names & namespace.keys():
            self._target(namespace[name], names, sure)

    def _target(self, value: object, names: Set[str], sure: bool) -> None:
        """Take what a name stands for; ``names`` say which of its parts."""
        if is_a(value, type):
            self._members(value, names | _MAKING)
            self._members(type(value), names | _MAKING)
        elif is_a(value, ModuleType):
            held = namespace_of(value)
            if held.get("__name__") in self._homes:
                for name in names & held.keys():
                    if not is_a(held[name], ModuleType):
                        self._target(held[name], names, sure)
        elif not self._take(value, None, sure):
            self._members(type(value), names)

    def _members(self, owner: type, names: Set[str]) -> None:
        for each in line_of(owner):
            if home_of(each) in self._homes:
                members = members_of(each)
                for name in names & members.keys():
                    self._take(members[name], owner, sure=False)

    def _take(self, value: object, owner: type | None, sure: bool) -> bool:
        """Take the functions behind a value; tell whether there are any."""
        found = list(functions_behind(value))
        for function in found:
            if function.__module__ in self._homes and mark_of(function.__code__) not in self._seen:
                self._seen.add(mark_of(function.__code__))
                self._waiting.append((function, owner, sure))
        return bool(found)

    def _note_reading(self, inside: list[CodeType], names: Set[str], sure: bool) -> None:
        if _READING.isdisjoint(names):
            return
        file = inside[0].co_filename
        texts = {text for code in inside for text in code.co_consts if type(text) is str}
        folders = [os.path.dirname(file), os.getcwd()]  # noqa: PTH109, PTH120
        paths = {os.path.join(folder, text) for folder in folders for text in texts}  # noqa: PTH118
        named = {path for path in paths if "\0" not in path and os.path.isfile(path)}  # noqa: PTH113
        self.read |= named
        if sure and not named:
            self.hidden.add(file)
