"""Which pieces name a function, may find it without naming it, or keep what it gave.

A new or deleted inert function changes no other piece, so it concerns the tests whose pieces
name it. Three things get around names: looking them up at run time (`reflects`), and a result
that an earlier test left behind (`memos`). All three search the text before they parse it.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from pytest_aqe.evidence.pieces import MODULE, pieces
from pytest_aqe.evidence.syntax import annotations_of, last_name, parse, text_of

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
_LOOKS_UP = re.compile(
    rb"dir\b|eval\b|exec\b|globals|locals|vars\b|__dict__|getmembers|__import__|attrgetter"
    rb"|getattr|getfixturevalue|hasattr|import_module|methodcaller|resolve_name|import\s*\(?\s*\*"
)

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


def mentions(source: bytes, names: Collection[str]) -> dict[str, frozenset[str]]:
    """Return which of the simple ``names`` each piece mentions; pieces without any are absent.

    A mention is an identifier in any role (a test's arguments are fixtures, a function's own
    name may hide another's) or a word of a text, docstrings without examples excepted.
    Decorators, defaults and annotations count for the function, and for ``<module>`` too unless
    the function is inert.
    """
    wanted = _said(source, names)
    words = _words(source) if wanted else None
    if words is None:
        return {MODULE: frozenset(wanted)} if wanted else {}
    found: dict[str, set[str]] = {}
    for name in wanted:
        for piece in words.named.get(name, ()):
            found.setdefault(piece, set()).add(name)
    return {piece: frozenset(here) for piece, here in found.items()}


def hands_on(source: bytes, names: Collection[str]) -> frozenset[str]:
    """Return the pieces that do more with one of ``names`` than call it: who gets it may look."""
    wanted = _said(source, names)
    return _among(source, wanted, lambda words: words.given) if wanted else frozenset()


def reflects(source: bytes, *, asking: bool = True) -> frozenset[str]:
    """Return the pieces that look names up at run time, or take all of another module's.

    Without ``asking``, not those that ask an object, as ``getattr(x, name)`` does.
    """
    if not _LOOKS_UP.search(source):
        return frozenset()
    words = _words(source)
    if words is None:
        return frozenset({MODULE})
    return words.reflecting | words.asking if asking else words.reflecting


def gives(source: bytes, modules: Collection[str]) -> frozenset[str]:
    """Return the pieces that use a module of these names as a value: who gets it may look.

    ``m.name`` and ``setattr(m, "name", x)`` say what they look for.
    """
    return _among(source, modules, lambda words: words.values)


def _said(source: bytes, names: Collection[str]) -> list[str]:
    """Return the names that the text may have: quicker than reading what it says."""
    return [name for name in names if not name.isascii() or name.encode() in source]


def _among(
    source: bytes,
    names: Collection[str],
    which: Callable[[Words], Mapping[str, frozenset[str]]],
) -> frozenset[str]:
    words = _words(source)
    if words is None:
        return frozenset({MODULE})
    where = which(words)
    return frozenset().union(*(where[name] for name in names if name in where))


@lru_cache(maxsize=4096)
def _words(source: bytes) -> Words | None:
    """Read all words of a file in one walk; None when it cannot be parsed."""
    tree = parse(source)
    if tree is None:
        return None
    named_in: dict[str, set[str]] = defaultdict(set)
    given: dict[str, set[str]] = defaultdict(set)
    values: dict[str, set[str]] = defaultdict(set)
    looking = _Looking()
    prose: set[ast.AST] = set()
    called: set[ast.AST] = set()
    asked: set[ast.AST] = set()
    for piece, node in _nodes(tree, source):
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


def _nodes(tree: ast.Module, source: bytes) -> Iterator[tuple[str, ast.AST]]:
    """Yield every node with the piece it belongs to, a parent before its children."""
    inert = pieces(source).inert
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
