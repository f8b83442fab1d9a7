"""Skips that only an edit can end: a mark in the source asks for another system or Python.

A test that was skipped was not seen to pass, so it runs again whenever it may: a service can
come up, a package be installed, ``--runslow`` be given. But ``skipif(sys.platform != "win32")``
says the same for as long as nobody edits it, for what is known of other systems and versions of
Python is kept apart; and so does a plain ``skip``. Conditions are read and worked out anew from
the source; one that asks for anything else, and a skip that stands in no source, may end any time.
"""

from __future__ import annotations

import ast
import operator
import os
import platform
import sys
from collections.abc import Callable, Iterator
from importlib.util import resolve_name
from pathlib import Path
from types import ModuleType
from typing import Any

_SETTLED: dict[tuple[str, str], Callable[[], Any]] = {
    ("os", "name"): lambda: os.name,
    ("platform", "python_implementation()"): platform.python_implementation,
    ("platform", "system()"): platform.system,
    ("sys", "implementation.name"): lambda: sys.implementation.name,
    ("sys", "platform"): lambda: sys.platform,
    ("sys", "version_info"): lambda: sys.version_info,
    ("sys", "version_info.major"): lambda: sys.version_info.major,
    ("sys", "version_info.minor"): lambda: sys.version_info.minor,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda one, many: one in many,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.NotEq: operator.ne,
    ast.NotIn: lambda one, many: one not in many,
}
_OF_TEXT = frozenset({"startswith", "endswith", "lower"})
_MINOR = 2  # parts of a version; the third may change within one environment
_DEEPEST = 8  # names that stand for other names


class _Unsettled(Exception):
    """It asks for something else, or for what cannot be read."""


class Skips:
    """The sources of one session, each read once."""

    def __init__(self) -> None:
        self._trees: dict[str, ast.Module | None] = {}

    def is_settled(self, item: Any) -> bool:
        """Tell whether a test item of pytest's will be skipped until its source is edited."""
        module, kind = getattr(item, "module", None), getattr(item, "cls", None)
        name = getattr(item, "originalname", None) or getattr(item, "name", "")
        if not isinstance(module, ModuleType):
            return False
        if kind is not None and kind.__module__ != module.__name__:
            return False
        names = [*(kind.__qualname__.split(".") if kind is not None else ()), name]
        try:
            return any(self._skips(mark, module) for mark in self._marks(module, names))
        except (_Unsettled, ImportError, RecursionError):
            return False

    def _marks(self, module: ModuleType, names: list[str]) -> Iterator[ast.expr]:
        """Yield what stands as a mark at a test, at its classes and in its module."""
        scope: ast.Module | ast.ClassDef = self._tree(module)
        for name in names:
            yield from _pytestmarks(scope)
            found = [
                each
                for each in scope.body
                if isinstance(each, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
                and each.name == name
            ]
            if len(found) != 1:  # one of two may be there for another system
                raise _Unsettled
            yield from found[0].decorator_list
            if isinstance(found[0], ast.ClassDef):
                scope = found[0]

    def _skips(self, mark: ast.expr, module: ModuleType, depth: int = 0) -> bool:
        """Tell whether a mark skips, and always will."""
        if isinstance(mark, ast.Name) and depth < _DEEPEST:
            try:
                return self._skips(*self._definition(mark.id, module), depth + 1)
            except _Unsettled:
                return False
        path = _dotted(mark.func if isinstance(mark, ast.Call) else mark)
        if path.endswith("mark.skip") or path == "unittest.skip":
            return True
        if not isinstance(mark, ast.Call):
            return False
        conditions = [*mark.args, *(each.value for each in mark.keywords if each.arg != "reason")]
        wanted = path != "unittest.skipUnless"
        if path.startswith("unittest.skip"):
            conditions = conditions[:1]
        elif not path.endswith("mark.skipif"):
            return False
        return any(self._is(wanted, each, module) for each in conditions)

    def _is(self, wanted: bool, condition: ast.expr, module: ModuleType) -> bool:
        try:
            if isinstance(condition, ast.Constant) and isinstance(condition.value, str):
                condition = ast.parse(condition.value.strip(), mode="eval").body
            return bool(self._value(condition, module)) is wanted
        except (_Unsettled, SyntaxError, TypeError):
            return False

    def _value(self, asked: ast.expr, module: ModuleType, depth: int = 0) -> Any:
        """Work an expression out of what is settled."""
        if depth > _DEEPEST:
            raise _Unsettled

        def value(part: ast.expr) -> Any:
            return self._value(part, module, depth + 1)

        if isinstance(asked, ast.Constant):
            return asked.value
        if isinstance(asked, (ast.Tuple, ast.List, ast.Set)):
            return tuple(value(each) for each in asked.elts)
        if isinstance(asked, ast.UnaryOp) and isinstance(asked.op, ast.Not):
            return not value(asked.operand)
        if isinstance(asked, ast.BoolOp):
            return self._either(asked, value)
        if isinstance(asked, ast.Compare):
            return _compared(asked, value)
        if isinstance(asked, ast.Subscript):
            return _part(value(asked.value), asked.slice)
        if isinstance(asked, ast.Name):
            found, where = self._definition(asked.id, module)
            settled = self._value(found, where, depth + 1)
            if settled != vars(module).get(asked.id):  # something else has bound it, too
                raise _Unsettled
            return settled
        return self._asked(asked, module, value)

    def _either(self, asked: ast.BoolOp, value: Callable[[ast.expr], Any]) -> Any:
        """Work out ``and``, ``or``: one part may settle it, whatever the others are."""
        ends = isinstance(asked.op, ast.Or)
        unsettled = False
        for part in asked.values:
            try:
                if bool(value(part)) is ends:
                    return ends
            except _Unsettled:
                unsettled = True
        if unsettled:
            raise _Unsettled
        return not ends

    def _asked(self, asked: ast.expr, module: ModuleType, value: Callable[[ast.expr], Any]) -> Any:
        """Return an attribute of the system, of a text, or of another module."""
        if isinstance(asked, ast.Call) and isinstance(asked.func, ast.Attribute):
            if asked.func.attr in _OF_TEXT and not asked.keywords:
                text = value(asked.func.value)
                if isinstance(text, str):
                    return getattr(text, asked.func.attr)(*map(value, asked.args))
                raise _Unsettled
            path = f"{_dotted(asked.func)}()" if not asked.args and not asked.keywords else ""
        else:
            path = _dotted(asked)
        root, _, rest = path.partition(".")
        owner = vars(module).get(root)
        if owner is None and root in ("sys", "os", "platform"):
            owner = sys.modules[root]  # a condition that is a text
        if not isinstance(owner, ModuleType):
            raise _Unsettled
        known = _SETTLED.get((owner.__name__, rest))
        if known is not None:
            return known()
        if not rest.isidentifier():
            raise _Unsettled
        return self._value(*self._definition(rest, owner), depth=1)

    def _definition(self, name: str, module: ModuleType) -> tuple[ast.expr, ModuleType]:
        """Return what a name is bound to in a module, once and for all, and where that stands."""
        tree = self._tree(module)
        bound = [each for each in ast.walk(tree) if name in _bound(each)]
        if len(bound) != 1:
            raise _Unsettled
        for statement in tree.body:
            if isinstance(statement, ast.Assign) and statement.targets == bound:
                return statement.value, module
            if isinstance(statement, ast.AnnAssign) and [statement.target] == bound:
                if statement.value is None:
                    raise _Unsettled
                return statement.value, module
            if isinstance(statement, ast.ImportFrom) and statement is bound[0]:
                (alias,) = [each for each in statement.names if (each.asname or each.name) == name]
                relative = "." * statement.level + (statement.module or "")
                package = vars(module).get("__package__")
                source = sys.modules.get(resolve_name(relative, package))
                if source is not None:
                    return self._definition(alias.name, source)
        raise _Unsettled

    def _tree(self, module: ModuleType) -> ast.Module:
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or not file.endswith(".py"):
            raise _Unsettled
        if file not in self._trees:
            try:
                self._trees[file] = ast.parse(Path(file).read_bytes())
            except (OSError, SyntaxError, ValueError):
                self._trees[file] = None
        tree = self._trees[file]
        if tree is None:
            raise _Unsettled
        return tree


def _pytestmarks(scope: ast.Module | ast.ClassDef) -> Iterator[ast.expr]:
    for statement in scope.body:
        if isinstance(statement, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "pytestmark"
            for target in statement.targets
        ):
            marks = statement.value
            yield from marks.elts if isinstance(marks, ast.List) else [marks]


def _compared(asked: ast.Compare, value: Callable[[ast.expr], Any]) -> bool:
    sides = [value(each) for each in (asked.left, *asked.comparators)]
    if any(isinstance(side, type(sys.version_info)) for side in sides) and any(
        not isinstance(side, type(sys.version_info))
        and not (isinstance(side, tuple) and len(side) <= _MINOR)
        for side in sides
    ):
        raise _Unsettled
    return all(
        _COMPARISONS[type(how)](one, other)
        for how, one, other in zip(asked.ops, sides, sides[1:], strict=False)
    )


def _part(whole: Any, index: ast.expr) -> Any:
    """Return a part of the version that does not change within one environment."""
    if not isinstance(whole, type(sys.version_info)):
        raise _Unsettled
    kept = whole[:_MINOR]
    if isinstance(index, ast.Constant) and index.value in range(_MINOR):
        return kept[0 if index.value == 0 else 1]
    if isinstance(index, ast.Slice) and ast.unparse(index) in (":1", ":2"):
        return kept[:1] if ast.unparse(index) == ":1" else kept
    raise _Unsettled


def _bound(node: ast.AST) -> tuple[str, ...]:
    """Return the names that a node binds, as far as that is told by itself."""
    if isinstance(node, ast.Name):
        return (node.id,) if not isinstance(node.ctx, ast.Load) else ()
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return tuple(each.asname or each.name.partition(".")[0] for each in node.names)
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return (node.name,)
    return tuple(node.names) if isinstance(node, ast.Global) else ()


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"
