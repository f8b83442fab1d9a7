"""Where a file says what: one walk, and every question about names is a look-up."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pytest_aqe.data import MAIN, Pieces
from pytest_aqe.evidence.pieces import MODULE
from pytest_aqe.evidence.syntax import (
    FIELDS,
    annotations_of,
    children_of,
    is_main,
    last_name,
    nodes_of,
    text_of,
)

words_in = re.compile(r"[^\W\d]\w*").findall

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
_IMPORT = "import_module"
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_OF_OBJECTS = frozenset(
    {"attrgetter", "dir", "getattr", "getattr_static", "hasattr", "methodcaller", "vars"}
)
_BY_VALUE = frozenset({"dir", "eval", "exec", "globals", "locals", "vars"})
_ATTRIBUTES = frozenset({"__dict__", "getmembers", "getmembers_static"})
_FINDERS = _BY_TEXT.keys() | _BY_VALUE | _ATTRIBUTES


class Words(NamedTuple):
    """Where a file says what: for each piece, its words.

    ``named`` in any role, ``given`` as more than what is called, ``values`` as a value of which
    no name is asked; ``reflecting`` are the pieces that look names up in what they do not name,
    ``asking`` those that ask some object for a name. ``importing`` are those that import modules
    by a text, with what a part of their dotted names begins with.
    """

    named: Mapping[str, frozenset[str]]
    given: Mapping[str, frozenset[str]]
    values: Mapping[str, frozenset[str]]
    reflecting: frozenset[str]
    asking: frozenset[str]
    importing: Mapping[str, frozenset[str]]


def words_of(tree: ast.Module, pieces: Pieces) -> Words:
    """Read all words of a file whose pieces are known."""
    reader = _Reader()
    for piece, nodes in _parts(tree, pieces):
        reader.read(piece, nodes)
    return reader.words()


class _Reader:
    """Read piece by piece; of each, parents before their children."""

    def __init__(self) -> None:
        self._named: dict[str, set[str]] = defaultdict(set)
        self._given: dict[str, set[str]] = defaultdict(set)
        self._values: dict[str, set[str]] = defaultdict(set)
        self._looking = _Looking()
        self._prose: set[ast.AST] = set()
        self._called: set[ast.AST] = set()
        self._asked: set[ast.AST] = set()

    def read(self, piece: str, nodes: Sequence[ast.AST]) -> None:
        """Take the nodes of a piece."""
        named_here, given, values = self._named[piece], self._given[piece], self._values[piece]
        prose, called, asked = self._prose, self._called, self._asked
        see, bind = self._looking.see, self._looking.bind
        said: list[str] = []
        texts: list[str] = []
        node: Any  # what follows runs for every node of a project: each look at it counts
        for node in nodes:
            kind = node.__class__
            if kind is ast.Name:
                word = node.id
                named_here.add(word)
                if node not in called:
                    given.add(word)
                if node.ctx.__class__ is not ast.Load:
                    bind(piece, word)
                    continue
                if node not in asked:
                    values.add(word)
                if word in _FINDERS:
                    see(piece, node)
            elif kind is ast.Constant:
                if node.value.__class__ is str:
                    (texts if node in prose else said).append(node.value)
            elif kind is ast.Attribute:
                word = node.attr
                named_here.add(word)
                if node not in called:
                    given.add(word)
                asked.add(node.value)
                if node.ctx.__class__ is ast.Load and node not in asked:
                    values.add(word)
                if word in _FINDERS:
                    see(piece, node)
            elif kind is ast.Call:
                called.add(node.func)
                if len(node.args) > 1 and text_of(node.args[1]):
                    asked.add(node.args[0])
                see(piece, node)
            elif kind is ast.Expr:
                if ">>>" not in (text_of(node.value) or ">>>"):
                    prose.add(node.value)
            elif kind is ast.arg:
                named_here.add(node.arg)
                bind(piece, node.arg)
            else:
                if kind is ast.alias:
                    see(piece, node)
                named_here.update(named(node))
        words = words_in("\n".join(said))
        named_here.update(words)
        given.update(words)
        given.update(words_in("\n".join(texts)))
        self._looking.end(piece, nodes)
        if _IMPORT in words:  # who is asked for it by a text
            self._looking.importing[piece].add("")

    def words(self) -> Words:
        """Return all that was read."""
        return Words(
            _frozen(self._named),
            _frozen(self._given),
            _frozen(self._values),
            self._looking.found(),
            self._looking.asking(),
            _frozen(self._looking.importing),
        )


def _frozen(words: Mapping[str, set[str]]) -> dict[str, frozenset[str]]:
    return {piece: frozenset(here) for piece, here in words.items()}


class _Looking:
    """Find the pieces that look names up, node by node, parents before their children."""

    def __init__(self) -> None:
        self._found: set[str] = set()
        self._asking: set[str] = set()
        self._bound: dict[str, set[str]] = {}  # a variable called `dir` is not the builtin
        self._by_value: list[tuple[str, str]] = []
        self._literal: set[ast.AST] = set()  # the functions of calls whose text is literal
        self.importing: dict[str, set[str]] = defaultdict(set)
        self._imports: list[tuple[ast.AST, ast.Call | None]] = []  # of this piece, by a text
        self._calls: dict[ast.AST, ast.Call] = {}

    def bind(self, piece: str, name: str) -> None:
        """Hear of a name that a piece gives a meaning of its own."""
        if name in _FINDERS:
            self._bound.setdefault(piece, set()).add(name)

    def see(self, piece: str, node: ast.AST) -> None:
        """Take a call, a name of an import, or a name that is one of those that look up."""
        if isinstance(node, ast.Call):
            function = last_name(node.func)
            if function == _IMPORT:
                self._calls[node.func] = node
            position = _BY_TEXT.get(function)
            if (position is not None and _is_literal(node, position)) or (
                function in _OF_OBJECTS and _asks_itself(node)
            ):
                self._literal.add(node.func)
            elif function in ("dir", "vars") and not node.args:
                self._found.add(piece)  # all names of where it stands
        elif isinstance(node, ast.alias):
            renamed = node.asname is not None and node.name in _FINDERS
            if renamed and node.name == _IMPORT:
                self.importing[piece].add("")
            if renamed or node.name == "*":
                self._found.add(piece)
        elif _IMPORT in (getattr(node, "id", ""), getattr(node, "attr", "")):
            self._imports.append((node, self._calls.get(node)))
        elif isinstance(node, ast.Name):
            if (node.id in _BY_VALUE or node.id in _ATTRIBUTES) and node not in self._literal:
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

    def end(self, piece: str, nodes: Sequence[ast.AST]) -> None:
        """Take all nodes of a piece that was seen: what a text begins with may stand above."""
        for _, call in self._imports:
            inner = sum(isinstance(each, _SCOPES) for each in nodes) > 1
            above = () if inner or piece == MODULE else nodes  # names may be those of others
            start = _start(call.args[0], above) if call is not None and call.args else ""
            start = start.rpartition(".")[2]  # above that, folders may be called otherwise
            self.importing[piece].add(start)
            if not start:
                self._looks_up(piece, _IMPORT)
        self._imports.clear()
        self._calls.clear()

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


def _parts(tree: ast.Module, pieces: Pieces) -> Iterator[tuple[str, list[ast.AST]]]:
    """Yield the pieces with their nodes; what runs at import last."""
    inert = pieces.inert
    outside: list[ast.AST] = []
    left: list[tuple[str, ast.AST]] = []
    for each in tree.body:
        if is_main(each):
            yield MAIN, nodes_of(each.body)
        else:
            left.append(("", each))
    while left:
        prefix, node = left.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            name = prefix + node.name
            yield name, nodes_of(node)
            if name not in inert:
                outside += nodes_of(node.decorator_list)
                outside += nodes_of([*node.args.defaults, *node.args.kw_defaults])
                outside += nodes_of([each for _, each in annotations_of(node)])
        elif isinstance(node, ast.expr):
            outside += nodes_of(node)
        else:
            outside.append(node)
            if isinstance(node, ast.ClassDef):
                prefix = f"{prefix}{node.name}."
            left += [(prefix, each) for each in children_of(node)]
    yield MODULE, outside


def named(node: ast.AST) -> Iterator[str]:
    """Yield the identifiers that a node has in its own fields, and the words of its text."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield from words_in(node.value)
    elif isinstance(node, ast.alias):
        yield from node.name.split(".")
        yield node.asname or ""
    elif isinstance(node, ast.ImportFrom):
        yield from (node.module or "").split(".")
    else:
        for field in _IDENTIFIERS[node.__class__]:
            value = getattr(node, field)
            if isinstance(value, str):
                yield value
            elif isinstance(value, list):
                yield from (each for each in value if isinstance(each, str))


def _identifiers(kind: Any) -> tuple[str, ...]:
    names = ("id", "attr", "arg", "name", "names", "kwd_attrs", "rest")
    return tuple(name for name in names if name in kind._fields)


_IDENTIFIERS = {kind: _identifiers(kind) for kind in FIELDS}


def _asks_itself(call: ast.Call) -> bool:
    """Tell ``getattr(self, name)`` and ``dir(cls)``: an instance or a class is no module."""
    asked = call.args[0] if call.args else None
    return isinstance(asked, ast.Name) and asked.id in ("self", "cls")


def _start(text: ast.expr, nodes: Sequence[ast.AST]) -> str:
    """Return what a text begins with; of a variable, where it is bound once among ``nodes``."""
    if isinstance(text, ast.JoinedStr):
        return text_of(text.values[0]) or "" if text.values else ""
    if isinstance(text, ast.BinOp) and isinstance(text.op, (ast.Add, ast.Mod)):
        left = _start(text.left, nodes)
        return left.partition("%")[0] if isinstance(text.op, ast.Mod) else left
    if isinstance(text, ast.Call) and last_name(text.func) == "format":
        template = text.func.value if isinstance(text.func, ast.Attribute) else None
        return (text_of(template) or "").partition("{")[0]
    if isinstance(text, ast.Name):
        values = [
            each.value
            for each in nodes
            if isinstance(each, ast.Assign)
            and any(isinstance(to, ast.Name) and to.id == text.id for to in each.targets)
        ]
        once = sum(_binds(each, text.id) for each in nodes) == 1
        return _start(values[0], ()) if once and values else ""
    return text_of(text) or ""


def _binds(node: ast.AST, name: str) -> bool:
    """Tell whether a node itself gives a name a meaning, or may let another scope do so."""
    if isinstance(node, ast.Name):
        return node.id == name and not isinstance(node.ctx, ast.Load)
    if isinstance(node, (ast.Attribute, ast.Constant, ast.keyword)):
        return False
    return name in named(node)


def _is_literal(call: ast.Call, position: int) -> bool:
    """Tell whether the text a call finds something by stands in the source."""
    return len(call.args) > position and text_of(call.args[position]) is not None
