"""Where a file says what: one walk, and every question about names is a look-up."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from pytest_aqe.data import Pieces
from pytest_aqe.evidence.pieces import MODULE
from pytest_aqe.evidence.syntax import annotations_of, last_name, text_of

_WORD = re.compile(r"[^\W\d]\w*")

# Calls that find something by a text: only a literal text names it.
_BY_TEXT = {
    "__import__": 0,
    "attrgetter": 0,
    "getattr": 1,
    "getattr_static": 1,
    "getfixturevalue": 0,
    "hasattr": 1,
    "import_module": 0,
    "methodcaller": 0,
    "resolve_name": 0,
}  # name: the position of the text
_OF_OBJECTS = frozenset(
    {"attrgetter", "dir", "getattr", "getattr_static", "hasattr", "methodcaller", "vars"}
)
_BY_VALUE = frozenset({"dir", "eval", "exec", "globals", "locals", "vars"})
_ATTRIBUTES = frozenset({"__dict__", "getmembers", "getmembers_static"})
_FINDERS = _BY_TEXT.keys() | _BY_VALUE | _ATTRIBUTES

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class Words:
    """Where a file says what: for each word, the pieces.

    ``named`` in any role, ``given`` as more than what is called, ``values`` as a value of which
    no name is asked; ``reflecting`` are the pieces that look names up in what they do not name,
    ``asking`` those that ask some object for a name.
    """

    named: Mapping[str, frozenset[str]]
    given: Mapping[str, frozenset[str]]
    values: Mapping[str, frozenset[str]]
    reflecting: frozenset[str]
    asking: frozenset[str]


def words_of(tree: ast.Module, pieces: Pieces) -> Words:
    """Read all words of a file whose pieces are known."""
    named_in: dict[str, set[str]] = defaultdict(set)
    given: dict[str, set[str]] = defaultdict(set)
    values: dict[str, set[str]] = defaultdict(set)
    looking = _Looking()
    prose: set[ast.AST] = set()
    called: set[ast.AST] = set()
    asked: set[ast.AST] = set()
    for piece, node in _nodes(tree, pieces):
        looking.see(piece, node)
        if isinstance(node, ast.Expr):
            if ">>>" not in (text_of(node.value) or ">>>"):
                prose.add(node.value)
        elif isinstance(node, ast.Call):
            called.add(node.func)
            if len(node.args) > 1 and text_of(node.args[1]):
                asked.add(node.args[0])
        elif isinstance(node, ast.Attribute):
            asked.add(node.value)
        for word in named(node):
            if node not in prose:
                named_in[word].add(piece)
            if isinstance(node, (ast.Name, ast.Attribute, ast.Constant)) and node not in called:
                given[word].add(piece)
        if (
            isinstance(node, (ast.Name, ast.Attribute))
            and isinstance(node.ctx, ast.Load)
            and node not in asked
        ):
            values[node.id if isinstance(node, ast.Name) else node.attr].add(piece)
    return Words(
        _frozen(named_in), _frozen(given), _frozen(values), looking.found(), looking.asking()
    )


def _frozen(where: Mapping[str, set[str]]) -> dict[str, frozenset[str]]:
    return {word: frozenset(pieces) for word, pieces in where.items()}


class _Looking:
    """Find the pieces that look names up, node by node, parents before their children."""

    def __init__(self) -> None:
        self._found: set[str] = set()
        self._asking: set[str] = set()
        self._bound: dict[str, set[str]] = {}  # a variable called `dir` is not the builtin
        self._by_value: list[tuple[str, str]] = []
        self._literal: set[ast.AST] = set()  # the functions of calls whose text is literal

    def see(self, piece: str, node: ast.AST) -> None:
        """Take one more node."""
        if isinstance(node, ast.Call):
            function = last_name(node.func)
            position = _BY_TEXT.get(function)
            if (position is not None and _is_literal(node, position)) or (
                function in _OF_OBJECTS and _asks_itself(node)
            ):
                self._literal.add(node.func)
            elif function in ("dir", "vars") and not node.args:
                self._found.add(piece)  # all names of where it stands
        elif isinstance(node, ast.alias):
            renamed = node.asname is not None and node.name in _FINDERS
            if renamed or node.name == "*":
                self._found.add(piece)
        elif isinstance(node, ast.arg):
            self._bound.setdefault(piece, set()).add(node.arg)
        elif isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load):
                self._bound.setdefault(piece, set()).add(node.id)
            elif (node.id in _BY_VALUE or node.id in _ATTRIBUTES) and node not in self._literal:
                self._by_value.append((piece, node.id))
            elif node.id in _BY_TEXT and node not in self._literal:
                self._looks_up(piece, node.id)
        elif isinstance(node, ast.Attribute):
            if node.attr in _ATTRIBUTES:
                self._asking.add(piece)
            elif node.attr in _BY_TEXT and node not in self._literal:
                self._looks_up(piece, node.attr)

    def _looks_up(self, piece: str, function: str) -> None:
        (self._asking if function in _OF_OBJECTS else self._found).add(piece)

    def found(self) -> frozenset[str]:
        """Return the pieces that look into what they do not name."""
        return frozenset(self._found | self._unbound(_BY_VALUE - _OF_OBJECTS)) - _ASKED

    def asking(self) -> frozenset[str]:
        """Return the pieces that ask an object for what they do not name."""
        return frozenset(self._asking | self._unbound(_OF_OBJECTS | _ATTRIBUTES)) - _ASKED

    def _unbound(self, names: Collection[str]) -> set[str]:
        return {
            piece
            for piece, name in self._by_value
            if name in names and name not in self._bound.get(piece, ())
        }


_ASKED = frozenset({"__getattr__"})  # a module's own: who asks it has a name


def _nodes(tree: ast.Module, pieces: Pieces) -> Iterator[tuple[str, ast.AST]]:
    """Yield every node with the piece it belongs to, a parent before its children."""
    inert = pieces.inert
    left: list[tuple[str, ast.AST]] = [("", each) for each in tree.body]
    while left:
        prefix, node = left.pop()
        if isinstance(node, _FUNCTIONS):
            name = prefix + node.name
            for inner in ast.walk(node):
                yield name, inner
            if name not in inert:
                left += ((prefix, each) for each in node.decorator_list)
                left += ((prefix, each) for each in node.args.defaults)
                left += ((prefix, each) for each in node.args.kw_defaults if each is not None)
                left += ((prefix, each) for _, each in annotations_of(node))
            continue
        yield MODULE, node
        if isinstance(node, ast.ClassDef):
            prefix = f"{prefix}{node.name}."
        left += ((prefix, each) for each in ast.iter_child_nodes(node))


def named(node: ast.AST) -> Iterator[str]:
    """Yield the identifiers that a node has in its own fields, and the words of its text."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield from _WORD.findall(node.value)
    elif isinstance(node, ast.alias):
        yield from node.name.split(".")
        yield node.asname or ""
    elif isinstance(node, ast.ImportFrom):
        yield from (node.module or "").split(".")
    else:
        for field in _IDENTIFIERS:
            value = getattr(node, field, None)
            if isinstance(value, str):
                yield value
            elif isinstance(value, list):
                yield from (each for each in value if isinstance(each, str))


_IDENTIFIERS = ("id", "attr", "arg", "name", "names", "kwd_attrs", "rest")


def _asks_itself(call: ast.Call) -> bool:
    """Tell ``getattr(self, name)`` and ``dir(cls)``: an instance or a class is no module."""
    asked = call.args[0] if call.args else None
    return isinstance(asked, ast.Name) and asked.id in ("self", "cls")


def _is_literal(call: ast.Call, position: int) -> bool:
    """Tell whether the text a call finds something by stands in the source."""
    return len(call.args) > position and text_of(call.args[position]) is not None
