"""Which skips are settled: by the interpreter and the project's code, and nothing outside.

What ``skipif(sys.platform != "win32")`` skips is skipped again while nothing it depends on has
changed; what a missing program, a variable or a fixture skips may run tomorrow. A mark itself
does not say why it is there, so the source is asked: decorators and ``pytestmark``, and of
conditions what the interpreter alone decides, also behind names that modules assign once and no
conftest sets. Where a conftest handles marks itself, nothing is settled.
"""

from __future__ import annotations

import ast
import importlib.util
import operator
import platform
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pytest_aqe.evidence.bindings import Bindings, bound_by
from pytest_aqe.evidence.plain import STANDARD
from pytest_aqe.evidence.syntax import Function, parse

_FACTS = frozenset(
    {
        *("sys.byteorder", "sys.hexversion", "sys.implementation.name", "sys.maxsize"),
        *("sys.platform", "sys.version", "sys.version_info", "os.name", "os.sep"),
    }
)  # of an interpreter
_CALLS: dict[str, Callable[[], object]] = {
    "platform.machine": platform.machine,
    "platform.python_implementation": platform.python_implementation,
    "platform.python_version": platform.python_version,
    "platform.python_version_tuple": platform.python_version_tuple,
    "platform.system": platform.system,
}
_METHODS = frozenset({"startswith", "endswith", "lower", "upper"})  # of a text
_FIELDS = frozenset({"major", "minor", "micro", "releaselevel", "serial"})  # of `sys.version_info`
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda one, other: one in other,
    ast.NotIn: lambda one, other: one not in other,
}
_TRAITS = frozenset({"gettotalrefcount", "pypy_version_info"})  # that `sys` has or has not
_HANDLED = (b"own_markers", b"pytestmark", b"__unittest_skip__")  # by who takes marks off
_SKIP = frozenset({"pytest.mark.skip", "unittest.skip"})
_SKIP_IF = frozenset({"pytest.mark.skipif", "unittest.skipIf"})
_SKIP_UNLESS = "unittest.skipUnless"
_DEEP = 8  # names that stand for names


class Skips:
    """What the sources of one session say. A file is read once, and only if a test was skipped."""

    def __init__(self) -> None:
        self._sources: dict[str, _Source | None] = {}
        self._plugins: dict[str, bytes] = {}  # of the project, with their texts

    def are_settled(self, item: pytest.Item) -> bool:
        """Tell whether a test that was skipped is marked so, and always will be."""
        function = getattr(item, "function", None)
        while (inner := getattr(function, "__wrapped__", None)) is not None:
            function = inner
        code = getattr(function, "__code__", None)
        if code is None or not _is_marked(item):
            return False
        self._read_plugins(item.config)
        if any(word in text for text in self._plugins.values() for word in _HANDLED):
            return False
        source = self._source(getattr(function, "__globals__", {}))
        if source is None:
            return False
        found = source.marks.get((code.co_firstlineno, code.co_name))
        if found is None:
            return False
        marks, of_classes = found
        if not getattr(getattr(item, "cls", None), "__unittest_skip__", True):
            of_classes = tuple(each for each in of_classes if not _is_of_unittest(each, source))
        marks = (*marks, *of_classes)
        if code.co_filename == str(item.path) and "pytestmark" in source.values:
            marks = (*marks, source.values["pytestmark"])
        return any(self._skips(mark, source) for mark in marks)

    def _read_plugins(self, config: pytest.Config) -> None:
        for plugin in config.pluginmanager.get_plugins():
            file = getattr(plugin, "__file__", None)
            if isinstance(file, str) and file not in self._plugins:
                theirs = Path(file).is_relative_to(config.rootpath)
                theirs = theirs and "site-packages" not in Path(file).parts
                self._plugins[file] = _text(file) if theirs else b""

    def _is_set(self, name: str) -> bool:
        """Tell whether a conftest may give a name of a module another meaning."""
        sets = re.compile(rb"\b%b\b[\w\s,.]*=(?!=)|[\"']%b[\"']" % (name.encode(), name.encode()))
        return any(sets.search(text) for text in self._plugins.values())

    def _skips(self, mark: ast.expr, source: _Source, depth: int = 0) -> bool:
        """Tell whether a mark, or one of a list of them, is sure to skip."""
        if isinstance(mark, (ast.List, ast.Tuple)):
            return any(self._skips(each, source, depth) for each in mark.elts)
        name = source.bindings.origin(mark.func if isinstance(mark, ast.Call) else mark)
        if name in _SKIP:
            return True
        try:
            if not isinstance(mark, ast.Call):
                there, value = self._stands_for(mark, source, depth)
                return self._skips(value, there, depth + 1)
            if name == _SKIP_UNLESS:
                return not self._value(mark.args[0], source)
            if name not in _SKIP_IF:
                return False
        except (_OpenError, LookupError):
            return False
        conditions = mark.args if name.startswith("pytest") else mark.args[:1]
        return any(self._is_true(each, source) for each in conditions)

    def _is_true(self, condition: ast.expr, source: _Source) -> bool:
        """Tell a condition that holds; a text is evaluated where its own names count."""
        try:
            value = self._value(condition, source)
        except _OpenError:
            return False
        return bool(value) and not isinstance(value, str)

    def _stands_for(self, name: ast.expr, source: _Source, depth: int) -> tuple[_Source, ast.expr]:
        """Return what a name is assigned, here or where it is imported from."""
        if depth > _DEEP:
            raise _OpenError
        if isinstance(name, ast.Name) and name.id in source.values:
            if self._is_set(name.id):
                raise _OpenError
            return source, source.values[name.id]
        module, _, member = source.bindings.path(name).rpartition(".")
        if module.startswith("."):
            try:
                module = importlib.util.resolve_name(module, source.package)
            except ImportError as error:
                raise _OpenError from error
        there = self._source(vars(sys.modules[module])) if module in sys.modules else None
        if there is None:
            raise _OpenError
        return self._stands_for(ast.Name(member), there, depth + 1)

    def _value(self, node: ast.expr, source: _Source, depth: int = 0) -> Any:
        """Return what an expression is worth to this interpreter.

        Raises
        ------
        _OpenError
            If something else may have a say.
        """
        worth = _WORTH.get(type(node))
        if worth is None:
            raise _OpenError
        try:
            return worth(self, node, source, depth)
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise _OpenError from error

    def _values(self, nodes: Iterable[ast.expr], source: _Source, depth: int) -> tuple[Any, ...]:
        return tuple(self._value(each, source, depth) for each in nodes)

    def _name(self, node: ast.Name | ast.Attribute, source: _Source, depth: int) -> Any:
        origin = source.bindings.origin(node)
        if origin in _FACTS:
            module, _, path = origin.partition(".")
            return operator.attrgetter(path)(sys.modules[module])
        if isinstance(node, ast.Attribute) and node.attr in _FIELDS:
            return getattr(self._value(node.value, source, depth), node.attr)
        there, expression = self._stands_for(node, source, depth)
        value = self._value(expression, there, depth + 1)
        if isinstance(value, (list, set)):
            raise _OpenError  # it may hold something else by now
        return value

    def _call(self, node: ast.Call, source: _Source, depth: int) -> Any:
        function = node.func
        origin = source.bindings.origin(function)
        if node.keywords:
            raise _OpenError
        if origin in _CALLS and not node.args:
            return _CALLS[origin]()
        arguments = node.args
        if isinstance(function, ast.Attribute) and function.attr in _METHODS:
            text = self._value(function.value, source, depth)
            if isinstance(text, str):
                return getattr(text, function.attr)(*self._values(arguments, source, depth))
        elif isinstance(function, ast.Name) and function.id == "hasattr":
            module = source.bindings.origin(arguments[0])
            name = self._value(arguments[1], source, depth)
            # a conftest may leave a sign at `sys` that tests are running
            if module in STANDARD - {"sys"} or (module == "sys" and name in _TRAITS):
                return hasattr(sys.modules[module], name)
        raise _OpenError

    def _compare(self, node: ast.Compare, source: _Source, depth: int) -> bool:
        values = self._values([node.left, *node.comparators], source, depth)
        pairs = zip(node.ops, values, values[1:], strict=False)
        return all(_COMPARE[type(each)](one, other) for each, one, other in pairs)

    def _either(self, node: ast.BoolOp, source: _Source, depth: int) -> Any:
        """Go as far as Python does."""
        value = None
        for each in node.values:
            value = self._value(each, source, depth)
            if bool(value) == isinstance(node.op, ast.Or):
                break
        return value

    def _not(self, node: ast.UnaryOp, source: _Source, depth: int) -> bool:
        if not isinstance(node.op, ast.Not):
            raise _OpenError
        return not self._value(node.operand, source, depth)

    def _part(self, node: ast.Subscript, source: _Source, depth: int) -> Any:
        whole = self._value(node.value, source, depth)
        if not isinstance(node.slice, ast.Slice):
            return whole[self._value(node.slice, source, depth)]
        ends = (node.slice.lower, node.slice.upper, node.slice.step)
        return whole[slice(*(each and self._value(each, source, depth) for each in ends))]

    def _source(self, namespace: dict[str, Any]) -> _Source | None:
        path = namespace.get("__file__")
        if not isinstance(path, str):
            return None
        if path not in self._sources:
            self._sources[path] = None  # for modules that import each other
            self._sources[path] = self._read(path, str(namespace.get("__package__") or ""))
        return self._sources[path]

    def _read(self, path: str, package: str) -> _Source | None:
        text = _text(path)
        tree = parse(text)
        times = _times(tree.body) if tree is not None else Counter("*")
        if tree is None or "*" in times:
            return None
        source = _Source(package, Bindings(tree, text), {}, {})
        once = {name for name in times if times[name] == 1} - source.bindings.repeated
        if text.count(b"pytestmark") > 1:
            once.discard("pytestmark")  # a list, and something adds to it
        for statement in self._statements(tree.body, source):
            values = _assigned(statement)
            source.values.update({name: values[name] for name in values.keys() & once})
            source.marks.update(_marks(statement))
        return source

    def _statements(self, body: Iterable[ast.stmt], source: _Source) -> Iterator[ast.stmt]:
        """Yield the statements of a module, those of branches that the interpreter decides too."""
        for statement in body:
            if not isinstance(statement, ast.If):
                yield statement
                continue
            try:
                taken = self._value(statement.test, source)
            except _OpenError:
                yield statement
            else:
                yield from self._statements(statement.body if taken else statement.orelse, source)


class _Source(NamedTuple):
    """What a module says at its top level: names by what they are assigned, and the marks.

    These are the decorators of functions, and those of the classes they stand in, by the first
    line and the name of the function's code.
    """

    package: str
    bindings: Bindings
    values: dict[str, ast.expr]
    marks: dict[tuple[int, str], tuple[tuple[ast.expr, ...], tuple[ast.expr, ...]]]


class _OpenError(Exception):
    """Something outside may have a say."""


_WORTH: dict[type[ast.expr], Callable[[Skips, Any, _Source, int], Any]] = {
    ast.Attribute: Skips._name,
    ast.BoolOp: Skips._either,
    ast.Call: Skips._call,
    ast.Compare: Skips._compare,
    ast.Constant: lambda _, node, *__: node.value,
    ast.List: lambda self, node, *where: list(self._values(node.elts, *where)),
    ast.Name: Skips._name,
    ast.Set: lambda self, node, *where: set(self._values(node.elts, *where)),
    ast.Subscript: Skips._part,
    ast.Tuple: lambda self, node, *where: self._values(node.elts, *where),
    ast.UnaryOp: Skips._not,
}


def _is_marked(item: pytest.Item) -> bool:
    """Tell whether a mark is on the test now: code may have taken it off."""
    if any(mark.name in ("skip", "skipif") for mark in item.iter_markers()):
        return True
    holders = (getattr(item, "obj", None), getattr(item, "cls", None))
    return any(getattr(each, "__unittest_skip__", False) for each in holders)


def _assigned(statement: ast.stmt) -> dict[str, ast.expr]:
    """Return what a statement assigns to single names."""
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    else:
        return {}
    value = statement.value
    return {each.id: value for each in targets if isinstance(each, ast.Name) and value is not None}


def _marks(
    statement: ast.stmt, above: tuple[ast.expr, ...] = (), inside: frozenset[str] = frozenset()
) -> Iterator[tuple[tuple[int, str], tuple[tuple[ast.expr, ...], tuple[ast.expr, ...]]]]:
    """Yield the marks of tests; ``inside`` are names that classes around give their own meaning."""
    if isinstance(statement, Function):
        decorators = statement.decorator_list
        first = min([statement.lineno, *(each.lineno for each in decorators)])
        own = tuple(each for each in decorators if not _says(each, inside))
        yield (first, statement.name), (own, above)
    elif isinstance(statement, ast.ClassDef):
        own = tuple(each for each in statement.decorator_list if not _says(each, inside))
        names = inside.union(*map(bound_by, statement.body))
        for each in statement.body:
            yield from _marks(each, (*above, *own), names)


def _says(expression: ast.expr, names: frozenset[str]) -> bool:
    """Tell whether an expression has one of these names."""
    return any(isinstance(node, ast.Name) and node.id in names for node in ast.walk(expression))


def _is_of_unittest(mark: ast.expr, source: _Source) -> bool:
    """Tell a mark that a class which inherits can take off."""
    called = mark.func if isinstance(mark, ast.Call) else mark
    return not source.bindings.origin(called).startswith("pytest.")


def _times(body: Iterable[ast.stmt]) -> Counter[str]:
    """Count how often names are bound, of an ``if`` and its ``else`` where that is more often."""
    times: Counter[str] = Counter()
    for statement in body:
        if isinstance(statement, ast.If):
            times += _times(statement.body) | _times(statement.orelse)
            times.update(bound_by(ast.Expr(statement.test)))
        else:
            times.update(bound_by(statement))
    return times


def _text(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""
