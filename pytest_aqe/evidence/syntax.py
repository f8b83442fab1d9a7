"""What a syntax tree says, in the same words on every supported Python.

`ast` is not stable: fields come (``type_params`` in 3.12, ``default_value`` in 3.13), and some
say what is said elsewhere. Whoever compares trees, or reads names out of them, asks here.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Iterator
from functools import lru_cache
from operator import attrgetter
from typing import Any, TypeGuard

Function = ast.FunctionDef | ast.AsyncFunctionDef


@lru_cache(maxsize=64)  # trees: a comparison asks a dozen questions of the same files
def parse(source: bytes) -> ast.Module | None:
    """Parse a file's bytes, whatever encoding they name; None when that cannot be done.

    Trees are shared and kept until `forget_trees`, so nobody may change them.
    Warnings about the source are not ours to give, and under ``-W error`` would be errors.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def forget_trees() -> None:
    """Give back the memory of what was parsed."""
    parse.cache_clear()


def docstring(body: list[ast.stmt]) -> str | None:
    """Return the docstring of a module, class or function, as it stands in the source."""
    first = body[0] if body else None
    return text_of(first.value) if isinstance(first, ast.Expr) else None


def annotations_of(node: Function) -> Iterator[tuple[str, ast.expr]]:
    """Yield the annotations of a function by argument; the returned value's has no name."""
    arguments = node.args
    for argument in (
        *arguments.posonlyargs,
        *arguments.args,
        arguments.vararg,
        *arguments.kwonlyargs,
        arguments.kwarg,
    ):
        if argument is not None and argument.annotation is not None:
            yield argument.arg, argument.annotation
    if node.returns is not None:
        yield "", node.returns


def type_params(node: ast.AST) -> list[ast.AST]:
    """Return the ``[T]`` of a function or class."""
    found: list[ast.AST] = getattr(node, "type_params", [])  # Python 3.12
    return found


def text_of(node: ast.AST | None) -> str | None:
    """Return the value of a string literal; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return None


def is_type_checking(statement: ast.stmt) -> TypeGuard[ast.If]:
    """Tell ``if TYPE_CHECKING:`` without an else, which never runs."""
    if not isinstance(statement, ast.If) or statement.orelse:
        return False
    test = statement.test
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING"


def is_main(statement: ast.stmt) -> TypeGuard[ast.If]:
    """Tell ``if __name__ == "__main__":`` without an else, which runs in no import."""
    test = statement.test if isinstance(statement, ast.If) and not statement.orelse else None
    if not isinstance(test, ast.Compare) or not isinstance(test.ops[0], ast.Eq):
        return False
    sides = [test.left, *test.comparators]
    named = [getattr(each, "id", None) == "__name__" for each in sides]
    return len(sides) == 2 and any(named) and "__main__" in map(text_of, sides)


def last_name(node: ast.expr) -> str:
    """Return ``c`` for ``a.b.c``, ``c[int]`` and ``c(1)``."""
    while isinstance(node, (ast.Subscript, ast.Call)):
        node = node.value if isinstance(node, ast.Subscript) else node.func
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


# Fields that mean nothing here: positions are no fields, the rest repeats what is said elsewhere.
_MEANINGLESS = frozenset({"ctx", "kind", "type_comment", "annotation", "type_ignores"})
_LATER = {"default_value"}  # fields newer than Python 3.12, left out when they are empty


def _reader(fields: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]] | None:
    """Return a function that gives a node's fields that mean something, as a tuple."""
    always = [field for field in fields if field not in _MEANINGLESS | _LATER]
    later = [field for field in fields if field in _LATER]
    if later:
        return lambda node: (
            *(getattr(node, field) for field in always),
            *(value for field in later if (value := getattr(node, field)) is not None),
        )
    if not always:
        return None
    get = attrgetter(*always)
    return get if len(always) > 1 else lambda node: (get(node),)


# Each kind of node: its tag, and how to get its fields.
FIELDS: dict[type, tuple[bytes, Callable[[Any], tuple[Any, ...]] | None]] = {
    kind: (kind.__name__.encode(), _reader(kind._fields))
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST)
}


def fields(node: ast.AST) -> tuple[Any, ...]:
    """Return a node's fields that mean something: nodes, lists of nodes, and plain values."""
    get = FIELDS[node.__class__][1]
    return get(node) if get else ()


# Fields without a node that says anything; texts elsewhere are passed over one by one.
_WITHOUT = "arg attr conversion ctx id is_async kind level module op ops simple type_comment"
_LEAVES = frozenset(_WITHOUT.split())


def _inner(kind: Any) -> Callable[[Any], tuple[Any, ...]] | None:
    """Return a function that gives what stands below a node: nodes, lists of them, texts."""
    names = [field for field in kind._fields if field not in _LEAVES]
    if kind is ast.Constant or not names:
        return None
    get = attrgetter(*names)
    return get if len(names) > 1 else lambda node: (get(node),)


_INNER: dict[type, Callable[[Any], tuple[Any, ...]] | None] = {
    kind: _inner(kind)
    for kind in FIELDS
    if not issubclass(kind, (ast.boolop, ast.cmpop, ast.expr_context, ast.operator, ast.unaryop))
}


def nodes_of(root: ast.AST | list[Any]) -> list[ast.AST]:
    """Return the nodes of a tree or of several, parents before their children.

    Contexts and operators are left out; `ast.walk` looks at every field of every node.
    """
    found: list[ast.AST] = []
    left: list[Any] = [root]
    pop, more, add, inner = left.pop, left.extend, found.append, _INNER
    while left:
        node = pop()
        kind = node.__class__
        if kind is list:
            more(node)
        elif kind in inner:
            add(node)
            if (get := inner[kind]) is not None:
                more(get(node))
    return found


def children_of(node: ast.AST) -> list[ast.AST]:
    """Return the nodes right below a node, but contexts and operators."""
    get = _INNER[node.__class__]
    found: list[ast.AST] = []
    for each in get(node) if get is not None else ():
        found += each if each.__class__ is list else (each,)
    return [each for each in found if each.__class__ in _INNER]
