"""What code does with its parameters: where no annotation says what they are, this does.

A parameter that is called is a function, one that is split is a text, one of which a key is
looked up is a dictionary. What a constructor keeps as ``self.name`` is followed through its
class.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from typing import TypeAlias

from pytest_aqe.generation.statements import statements

Kinds = dict[str, dict[str, None]]
"""Types by parameter, in the order in which they were found."""
_Function: TypeAlias = "ast.FunctionDef | ast.AsyncFunctionDef"

_METHODS = {
    "str": "strip lstrip rstrip split rsplit splitlines lower upper title startswith endswith "
    "replace partition rpartition encode isdigit isalpha isupper islower zfill ljust rjust "
    "format casefold",
    "dict": "items keys values get setdefault",
    "list": "append extend insert sort reverse",
    "set": "add union intersection difference issubset issuperset discard",
    "stream": "read write readline readlines seek tell",
    "date": "year month day isoformat strftime",
    "timedelta": "total_seconds days seconds microseconds",
    "bytes": "decode",
}
_BY_METHOD = {name: kind for kind, names in _METHODS.items() for name in names.split()}
_PATHS = (
    "os.path.exists os.path.isfile os.path.isdir os.path.lexists os.path.getsize os.listdir "
    "os.stat os.walk os.scandir os.open os.makedirs os.rename os.replace Path pathlib.Path"
)
_CALLED_WITH = {
    "sum": "list", "sorted": "list", "enumerate": "list", "iter": "list", "zip": "list",
    "reversed": "list", "min": "list", "max": "list", "any": "list", "all": "list",
    "set": "list", "dict": "dict", "len": "list", "list": "list", "tuple": "list",
    "int": "int str", "abs": "int", "range": "int", "round": "float", "float": "float str",
    "divmod": "int", "chr": "int", "ord": "str", "callable": "callable", "open": "file",
    **dict.fromkeys(_PATHS.split(), "file"),
}  # fmt: skip
_ARITHMETIC = (ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)


class Uses:
    """The types that the parameters of a module's functions seem to have."""

    def __init__(self, tree: ast.Module) -> None:
        """Find the functions, and read constructors with their classes; others when asked for."""
        self._functions: dict[tuple[str, int], tuple[_Function, ast.AST]] = {}
        self._known: dict[tuple[str, int], Kinds] = {}
        for node, owner in statements(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                line = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                self._functions[node.name, line] = node, owner
                if node.name == "__init__":
                    self.of(node.name, line)

    def of(self, name: str, line: int) -> Kinds:
        """Return the types of a function's parameters, none for one that is not known."""
        if (name, line) not in self._known:
            self._known[name, line] = self._looked_at(name, line)
        return self._known[name, line]

    def _looked_at(self, name: str, line: int) -> Kinds:
        kinds: Kinds = defaultdict(dict)
        if (name, line) in self._functions:
            node, owner = self._functions[name, line]
            given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            _look(node, {each.arg: each.arg for each in given}, kinds)
            if name == "__init__":
                _look(owner, {f"self.{kept}": name for kept, name in kept(node)}, kinds)
        return kinds


def kept(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield attributes of ``self`` that are set to a parameter."""
    for each in ast.walk(node):
        if isinstance(each, ast.Assign) and isinstance(each.value, ast.Name):
            for target in each.targets:
                name = spelled(target)
                if name.startswith("self."):
                    yield name.removeprefix("self."), each.value.id


def _look(node: ast.AST, names: dict[str, str], kinds: Kinds) -> None:
    """Note what is done to some names; ``names`` says which parameter each stands for."""
    for each in ast.walk(node):
        for name, kind in _seen(each):
            if name in names:
                kinds[names[name]].setdefault(kind)


def _seen(node: ast.AST) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Call):
        yield spelled(node.func), "callable"
        for kind in _CALLED_WITH.get(ast.unparse(node.func), "").split():
            for given in node.args:
                yield spelled(given), kind
    elif isinstance(node, ast.Attribute) and node.attr in _BY_METHOD:
        yield spelled(node.value), _BY_METHOD[node.attr]
    elif isinstance(node, ast.ExceptHandler) and node.type is not None:
        yield spelled(node.type), "exception"
    elif isinstance(node, ast.Raise) and node.exc is not None:
        yield spelled(node.exc), "exception"
    elif isinstance(node, ast.Subscript):
        number = isinstance(node.slice, (ast.Slice, ast.UnaryOp)) or (
            isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, int)
        )
        yield spelled(node.value), "list" if number else "dict"
    elif isinstance(node, (ast.For, ast.comprehension)):
        yield spelled(node.iter), "list"
    elif isinstance(node, ast.BinOp) and isinstance(node.op, _ARITHMETIC):
        text = isinstance(node.left, (ast.Constant, ast.JoinedStr)) and not _is_number(node.left)
        for side in () if text else (node.left, node.right):
            yield spelled(side), "int"
    elif isinstance(node, ast.Compare):
        yield from _compared(node.left, node.comparators[0])
        yield from _compared(node.comparators[0], node.left)


def _compared(name: ast.expr, other: ast.expr) -> Iterator[tuple[str, str]]:
    if isinstance(other, ast.Constant) and type(other.value) in (int, float, str, bytes):
        yield spelled(name), type(other.value).__name__


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, (int, float))


def spelled(node: ast.AST) -> str:
    """Return a name or an attribute of ``self`` as it stands there, nothing for the rest."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}" if node.value.id == "self" else ""
    return node.id if isinstance(node, ast.Name) else ""
