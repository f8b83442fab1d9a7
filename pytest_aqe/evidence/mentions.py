"""Which pieces name a function, may find it without naming it, or keep what it gave.

A new or deleted inert function changes no other piece, so it concerns the tests whose pieces
name it. Three things get around names: looking them up at run time (`reflects`), and a result
that an earlier test left behind (`memos`). All three search the text before they parse it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator

from pytest_aqe.evidence.pieces import MODULE, read
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
_BY_VALUE = frozenset({"dir", "eval", "exec", "globals", "locals", "vars"})
_ATTRIBUTES = frozenset({"__dict__", "getmembers", "getmembers_static"})
_FINDERS = _BY_TEXT.keys() | _BY_VALUE | _ATTRIBUTES
_LOOKS_UP = re.compile(
    rb"dir\b|eval\b|exec\b|globals|locals|vars\b|__dict__|getmembers|__import__|attrgetter"
    rb"|getattr|getfixturevalue|hasattr|import_module|methodcaller|resolve_name|import\s*\(?\s*\*"
)
_KEEPS = re.compile(rb"global|cache|memo", re.IGNORECASE)
_MEMO = re.compile("cache|memo", re.IGNORECASE)

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def mentions(source: bytes, names: Collection[str]) -> dict[str, frozenset[str]]:
    """Return which of the simple ``names`` each piece mentions; pieces without any are absent.

    A mention is an identifier in any role (a test's arguments are fixtures, a function's own
    name may hide another's) or a word of a text, docstrings without examples excepted.
    Decorators, defaults and annotations count for the function, and for ``<module>`` too unless
    the function is inert.
    """
    wanted = frozenset(name for name in names if not name.isascii() or name.encode() in source)
    if not wanted:
        return {}
    tree = parse(source)
    if tree is None:
        return {MODULE: wanted}
    found: dict[str, set[str]] = {}
    prose: set[ast.AST] = set()
    for piece, node in _nodes(tree, source):
        if isinstance(node, ast.Expr) and ">>>" not in (text_of(node.value) or ">>>"):
            prose.add(node.value)
        if node not in prose and (here := wanted.intersection(named(node))):
            found.setdefault(piece, set()).update(here)
    return {piece: frozenset(here) for piece, here in found.items()}


def hands_on(source: bytes, names: Collection[str]) -> frozenset[str]:
    """Return the pieces that do more with one of ``names`` than call it: who gets it may look."""
    if not any(not name.isascii() or name.encode() in source for name in names):
        return frozenset()
    tree = parse(source)
    if tree is None:
        return frozenset({MODULE})
    wanted = set(names)
    called: set[ast.AST] = set()
    found: set[str] = set()
    for piece, node in _nodes(tree, source):
        if isinstance(node, ast.Call):
            called.add(node.func)
        if (
            isinstance(node, (ast.Name, ast.Attribute, ast.Constant))
            and node not in called
            and not wanted.isdisjoint(named(node))
        ):
            found.add(piece)
    return frozenset(found)


def reflects(source: bytes) -> frozenset[str]:
    """Return the pieces that look names up at run time, or take all of another module's."""
    if not _LOOKS_UP.search(source):
        return frozenset()
    tree = parse(source)
    if tree is None:
        return frozenset({MODULE})
    found: set[str] = set()
    bound: dict[str, set[str]] = {}  # a variable called `dir` is not the builtin
    by_value: list[tuple[str, str]] = []
    literal: set[ast.AST] = set()  # the functions of calls whose text is literal
    for piece, node in _nodes(tree, source):
        if isinstance(node, ast.Call):
            position = _BY_TEXT.get(last_name(node.func))
            if position is not None and _is_literal(node, position):
                literal.add(node.func)
        elif isinstance(node, ast.alias):
            renamed = node.asname is not None and node.name in _FINDERS
            if renamed or node.name == "*":
                found.add(piece)
        elif isinstance(node, ast.arg):
            bound.setdefault(piece, set()).add(node.arg)
        elif isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load):
                bound.setdefault(piece, set()).add(node.id)
            elif node.id in _BY_VALUE or node.id in _ATTRIBUTES:
                by_value.append((piece, node.id))
            elif node.id in _BY_TEXT and node not in literal:
                found.add(piece)
        elif isinstance(node, ast.Attribute) and (
            node.attr in _ATTRIBUTES or (node.attr in _BY_TEXT and node not in literal)
        ):
            found.add(piece)
    found.update(piece for piece, name in by_value if name not in bound.get(piece, ()))
    return frozenset(found - {"__getattr__"})  # a module's: who asks it has a name


def gives(source: bytes, modules: Collection[str]) -> frozenset[str]:
    """Return the pieces that use a module of these names as a value: who gets it may look.

    ``m.name`` and ``setattr(m, "name", x)`` say what they look for.
    """
    tree = parse(source)
    if tree is None:
        return frozenset({MODULE})
    asked: set[ast.AST] = set()
    found: set[str] = set()
    for piece, node in _nodes(tree, source):
        if isinstance(node, ast.Attribute):
            asked.add(node.value)
        elif isinstance(node, ast.Call) and len(node.args) > 1 and text_of(node.args[1]):
            asked.add(node.args[0])
        if (
            isinstance(node, (ast.Name, ast.Attribute))
            and isinstance(node.ctx, ast.Load)
            and node not in asked
            and (node.id if isinstance(node, ast.Name) else node.attr) in modules
        ):
            found.add(piece)
    return frozenset(found)


def memos(source: bytes) -> frozenset[str]:
    """Return the pieces whose result may outlive a test: cached, or kept in a global.

    A later test that calls them does not run what they run.
    """
    if not _KEEPS.search(source):
        return frozenset()
    tree = parse(source)
    if tree is None:
        return frozenset({MODULE})
    found: set[str] = set()
    for piece, node in _nodes(tree, source):
        if isinstance(node, ast.Global):
            found.add(piece)
        elif isinstance(node, _FUNCTIONS):
            if any(_MEMO.search(last_name(each)) for each in node.decorator_list):
                found.add(piece)
        elif isinstance(node, ast.Call) and _MEMO.search(last_name(node.func)):
            found.update(each.id for each in node.args if isinstance(each, ast.Name))
            if any(isinstance(each, ast.Lambda) for each in node.args):
                found.add(piece)
    return frozenset(found & read(tree, source).checksums.keys())


def _nodes(tree: ast.Module, source: bytes) -> Iterator[tuple[str, ast.AST]]:
    """Yield every node with the piece it belongs to, a parent before its children."""
    inert = read(tree, source).inert
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


def _is_literal(call: ast.Call, position: int) -> bool:
    """Tell whether the text a call finds something by stands in the source."""
    return len(call.args) > position and text_of(call.args[position]) is not None
