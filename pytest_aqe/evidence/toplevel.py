"""What a file's top level does at import, statement by statement, by its text alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any, NamedTuple

from pytest_aqe.data import Pieces
from pytest_aqe.evidence.bindings import Bindings, bound_by, ties
from pytest_aqe.evidence.pieces import READ_ANNOTATIONS
from pytest_aqe.evidence.plain import (
    bases_of,
    is_class,
    is_doc,
    is_standard,
    modules_of,
    names_of,
    only_names,
)
from pytest_aqe.evidence.syntax import (
    annotations_of,
    children_of,
    is_main,
    last_name,
    nodes_of,
    text_of,
)
from pytest_aqe.evidence.words import named, words_in

_ANNOTATIONS_READ = re.compile(b"|".join(READ_ANNOTATIONS))


class Statement(NamedTuple):
    """What one statement does at import: the words it uses, those in texts, what it binds.

    ``acting`` are the words of a class that only binds its name as far as its file tells, when
    its bases do more: who is told of a class may read its annotations.
    """

    used: frozenset[str]
    texts: frozenset[str]
    bound: frozenset[str]
    acts: bool
    imports: bool
    acting: tuple[frozenset[str], frozenset[str]] | None = None


class TopLevel(NamedTuple):
    """A file's top level, its classes with the names of their bases, and all it imports.

    What it does only as a program is none of its ``statements``.

    ``plain_classes`` only bind their names if their bases allow it; ``heirs`` are those that ask
    nothing of who inherits from them; both with the paths of their bases. ``paths`` say where
    other names come from, ``*`` for what a star brings.
    """

    statements: tuple[Statement, ...]
    classes: Mapping[str, frozenset[str]]
    aliases: tuple[tuple[str, str], ...]  # a name that is imported or assigned, and the new one
    imported: frozenset[str]
    own: frozenset[str]  # imported here from the standard library, and said of nothing else
    plain_classes: Mapping[str, tuple[str, ...]]
    heirs: Mapping[str, tuple[str, ...]]
    paths: Mapping[str, str]

    def with_acting(self, classes: Set[str]) -> TopLevel:
        """Return the same with these of the ``plain_classes`` doing more than bind a name."""
        if not classes:
            return self
        return self._replace(
            statements=tuple(
                each._replace(used=each.acting[0], texts=each.acting[1], acts=True)
                if each.acting is not None and not classes.isdisjoint(each.bound)
                else each
                for each in self.statements
            ),
        )


def top_level(tree: ast.Module, source: bytes, pieces: Pieces) -> TopLevel:
    """Read the top level of a file whose pieces are known."""
    annotated = _ANNOTATIONS_READ.search(source) is not None
    classes: dict[str, set[str]] = {}
    aliases: list[tuple[str, str]] = []
    imported: set[str] = set()
    own = {name for key in pieces.checksums if modules_of(key) for name in names_of(key)}
    said: set[str] = set()
    prose: set[ast.AST] = set()
    texts: list[str] = []
    node: Any  # every node of a project passes here
    for node in nodes_of(tree):
        kind = node.__class__
        if kind is ast.Name:
            continue
        if kind is ast.Constant:
            if node.value.__class__ is str and node not in prose:
                texts.append(node.value)
        elif kind is ast.Attribute:
            if not (isinstance(node.value, ast.Name) and node.value.id in own):
                said.add(node.attr)
        elif kind is ast.Expr:
            if ">>>" not in (text_of(node.value) or ">>>"):
                prose.add(node.value)
        elif kind is ast.ClassDef:
            classes.setdefault(node.name, set()).update(map(last_name, node.bases))
        elif kind is ast.Assign:
            if isinstance(node.value, (ast.Name, ast.Attribute)):
                old = last_name(node.value)
                aliases += ((old, new) for new in bound_by(node))
        elif kind is ast.Import or kind is ast.ImportFrom:
            imported.update(word for each in (node, *node.names) for word in named(each))
            aliases += (
                (each.name.rpartition(".")[2], each.asname) for each in node.names if each.asname
            )
            if kind is ast.ImportFrom and not is_standard(node):
                for each in node.names:
                    said.update(own if each.name == "*" else {each.name, each.asname or ""})
    said.update(words_in("\n".join(texts)))
    plain_classes = {
        names_of(key)[0]: bases_of(key)
        for key in pieces.checksums
        if is_class(key) and not is_doc(key)
    }
    bindings = Bindings(tree, source)
    return TopLevel(
        tuple(
            read
            for each in tree.body
            if not is_main(each)
            for read in (
                map(_import, each.names)
                if isinstance(each, (ast.Import, ast.ImportFrom))
                else [_statement(each, annotated, plain_classes, bindings)]
            )
        ),
        {name: frozenset(bases) for name, bases in classes.items()},
        tuple(aliases),
        frozenset(imported),
        frozenset(own - said),
        plain_classes,
        dict(_heirs(tree, source, bindings)),
        {
            name: bindings.path(ast.Name(name, ast.Load()))
            for statement in tree.body
            for name in bound_by(statement)
        },
    )


def _heirs(
    tree: ast.Module, source: bytes, bindings: Bindings
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the classes that ask nothing of their heirs: what their bodies do is done by then."""
    if b"__init_subclass__" in source:
        return
    for node in tree.body:
        if (
            isinstance(node, ast.ClassDef)
            and not node.keywords
            and node.name not in bindings.repeated
            and all(map(bindings.makes_plain, node.decorator_list))
        ):
            yield node.name, tuple(map(bindings.path, node.bases))


def _statement(
    statement: ast.stmt,
    annotated: bool,
    plain_classes: Mapping[str, tuple[str, ...]],
    bindings: Bindings,
) -> Statement:
    """Read one statement; ``annotated`` tells that its module reads annotations."""
    bound = set(bound_by(statement))
    acts = True
    acting = None
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
        acts = not all(map(_is_of_pytest, statement.decorator_list))
    elif isinstance(statement, ast.ClassDef) and statement.name in plain_classes:
        acts = False
        acting = _uses(_at_import(statement, True))
    nodes = _at_import(statement, annotated or acts)
    bound |= {each.target.id for each in nodes if isinstance(each, ast.NamedExpr)}
    if isinstance(statement, (ast.Assign, ast.AnnAssign)):
        calls = (each for each in nodes if isinstance(each, ast.Call))
        acts = (
            any(map(ties, nodes))
            or not all(map(bindings.makes_value, calls))
            or not (
                isinstance(statement.target, ast.Name)
                if isinstance(statement, ast.AnnAssign)
                else only_names(statement)
            )
        )
    acts = acts or any(name.startswith(("__", "pytest")) for name in bound)
    used, texts = _uses(nodes)
    if not acts:
        texts -= bound  # T = TypeVar("T")
    return Statement(used, texts, frozenset(bound), acts, imports=False, acting=acting)


def _import(name: ast.alias) -> Statement:
    """Read one name of an import; others of the same statement have nothing to do with it."""
    bound = name.asname or name.name.partition(".")[0]
    return Statement(
        frozenset(name.name.split(".")), frozenset(), frozenset({bound}), acts=False, imports=True
    )


def _is_of_pytest(decorator: ast.expr) -> bool:
    """Tell ``@pytest.mark.parametrize("x", CASES)``: the test itself names what it uses."""
    node: ast.AST = decorator.func if isinstance(decorator, ast.Call) else decorator
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) and node.id == "pytest"


def _at_import(statement: ast.stmt, annotated: bool) -> list[ast.AST]:
    """Return what runs of a statement when its module is imported, bodies of functions not.

    Annotations of functions are there for who decorates, or otherwise reads them.
    """
    found: list[ast.AST] = []
    left: list[ast.AST] = [statement]
    while left:
        node = left.pop()
        if isinstance(node, ast.expr):
            found += nodes_of(node)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            left += node.decorator_list
            left += node.args.defaults
            left += [each for each in node.args.kw_defaults if each is not None]
            if annotated or node.decorator_list:
                left += [annotation for _, annotation in annotations_of(node)]
        elif not isinstance(node, ast.Expr) or text_of(node.value) is None:
            found.append(node)
            left += children_of(node)
    return found


def _uses(nodes: Iterable[ast.AST]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the words that nodes use, as identifiers and in texts, not those they bind."""
    used: set[str] = set()
    texts: list[str] = []
    node: Any
    for node in nodes:
        kind = node.__class__
        if kind is ast.Name:
            if node.ctx.__class__ is ast.Load:
                used.add(node.id)
        elif kind is ast.Constant:
            if node.value.__class__ is str:
                texts.append(node.value)
        elif kind is not ast.ClassDef and (
            kind is not ast.Attribute or node.ctx.__class__ is ast.Load
        ):
            used.update(named(node))
    return frozenset(used), frozenset(words_in("\n".join(texts)))
