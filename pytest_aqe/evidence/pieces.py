"""Source text in, pieces out: what of a Python file can change on its own.

A piece is an outermost function or method, by its qualified name, or ``<module>``: all that
runs at import except function bodies. Its checksum is of what the piece means: positions,
comments, formatting, parentheses and spelling do not count; annotations and docstrings that
nothing in the file can read stand apart, for few projects read them elsewhere. It is the same on
every supported Python (``ast.dump`` is not: fields come and go), because it is stored and
compared later.

What runs while a function is defined (decorators, defaults, annotations that are not quiet)
stands in ``<module>`` as a line in the function's place, and so does what others may read of
a function without running it. An *inert* function has no such line: adding or removing it
changes nothing at import, so it only concerns who runs or names it. So does ``<main>``, what
runs where the file is the program, and what it defines.

The syntax tree is walked into one flat list of tags, fields and lengths, which `marshal`
turns into bytes: no recursion, and quick. Parsing included, that is 1.4 to 1.9 times the
instructions of `ast.parse` alone (click and marshmallow, CPython 3.10 to 3.13).
"""

from __future__ import annotations

import ast
import marshal
import re
from ast import Attribute, Call, Constant, Name, arg
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple

from pytest_aqe.data import MAIN, Pieces
from pytest_aqe.evidence.bindings import Bindings, bound_by
from pytest_aqe.evidence.plain import (
    ANNOTATIONS,
    BINDING,
    DOCS,
    POSTPONED,
    TYPE_CHECKING,
    Plain,
    does_nothing,
)
from pytest_aqe.evidence.syntax import (
    FIELDS,
    Function,
    annotations_of,
    docstring,
    is_main,
    is_type_checking,
    last_name,
    parse,
    text_of,
    type_params,
)

MODULE = "<module>"
_FORMAT = 2  # of marshal: the last one whose bytes depend on values alone, not on identity


class Difference(NamedTuple):
    """What two versions of a file differ in: names of pieces."""

    changed: frozenset[str]
    added: frozenset[str]
    removed: frozenset[str]


def pieces(source: bytes) -> Pieces:
    """Tell the pieces of a file; one that no Python can parse is a single piece."""
    return _read(source)[0]


def given(source: bytes) -> frozenset[str]:
    """Return the names, here and where they come from, that an import of a file gives away.

    It gives them to calls that may read what a function is; see `Bindings.reads_nothing`.
    """
    return _read(source)[1]


def compare(old: Mapping[str, str], new: Mapping[str, str]) -> Difference:
    """Compare the checksums of two versions of one file."""
    return Difference(
        frozenset(name for name, checksum in old.items() if new.get(name, checksum) != checksum),
        frozenset(new.keys() - old.keys()),
        frozenset(old.keys() - new.keys()),
    )


@lru_cache(maxsize=4096)
def _read(source: bytes) -> tuple[Pieces, frozenset[str]]:
    """Return the pieces of a file, and what it gives away.

    What a module may read of its own functions is known by the words it uses; whether they
    stand in code or in a comment is known when it has been walked, so it may be walked again.
    """
    tree = parse(source)
    if tree is None:
        return _whole(source), frozenset()
    try:
        reading = _Reading(tree, source)
        away = frozenset(reading.given_away)
        docs = reading.uses(_READ_DOCS, source)
        annotated = reading.uses(READ_ANNOTATIONS, source)
        if docs or annotated:
            reading = _Reading(tree, source, docs, annotated)
    except RecursionError:  # one definition inside another, a hundred times
        return _whole(source), frozenset(re.findall(r"\w+", source.decode(errors="replace")))
    return reading.pieces(), away


def _whole(source: bytes) -> Pieces:
    return Pieces({MODULE: _digest(source)}, frozenset())


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=8).hexdigest()


# What a module names that reads the docstrings, or the annotations, of functions and classes.
_READ_DOCS = (b"__doc__", b"getdoc")
READ_ANNOTATIONS = (
    b"__annotations__",
    b"beartype",
    b"cyclopts",
    b"fastapi",
    b"from_callable",
    b"get_annotations",
    b"get_type_hints",
    b"getfullargspec",
    b"injector",
    b"litestar",
    b"pydantic",
    b"signature",
    b"singledispatch",
    b"strawberry",
    b"typeguard",
    b"typer",
)

# Who runs texts, whose annotations are as those of the module.
_EXECUTES = re.compile(rb"\bexec\b|(?<![\w.])compile\b")

# Bases whose makers do not look at the docstrings of the classes made from them.
_PLAIN = """
    ABC BaseException Enum Flag Generic IntEnum IntFlag NamedTuple Protocol StrEnum TypedDict
    bool bytes dict float frozenset int list object set str tuple type
"""
_PLAIN_BASES = frozenset(_PLAIN.split())
_PLAIN_ENDINGS = ("Error", "Exception", "TestCase", "Warning")

# Names that Python, pytest or unittest look for: such a function acts without being named.
_SPECIAL = re.compile(
    r"__\w+__|pytest_\w+|(?:setup|teardown)_(?:module|function)|(?:setUp|tearDown)Module|load_tests"
)


def _is_plain_base(base: str) -> bool:
    """Tell a well-known base, not of the project, that a class is made from without a trace."""
    return base in _PLAIN_BASES or base.endswith(_PLAIN_ENDINGS)


# Nodes that are more, or less, than their fields.
_BY_HAND = frozenset(
    {
        ast.AnnAssign,
        ast.AsyncFunctionDef,
        ast.ClassDef,
        ast.Expr,
        ast.FunctionDef,
        ast.If,
        ast.JoinedStr,
    }
)


class _Reading:
    """One walk over one module. ``prefix`` is the class around, None inside a function."""

    def __init__(
        self, tree: ast.Module, source: bytes, docs: bool = False, annotations: bool = False
    ) -> None:
        self._bindings = Bindings(tree, source)
        self._plain = Plain(self._bindings, lambda node: self._line(node, [], ""))
        self._docs = docs
        self._annotations = annotations
        self._postponed = any(_postpones(part) for each in tree.body for part in _parts(each))
        self._hands_down = _EXECUTES.search(source) is not None  # to what a text defines
        # annotations that are read are other values then, texts
        self._hint = (b"AnnAssign", b"Annotation")
        if self._postponed:
            self._hint = (b"AnnAssign as text", b"Annotation as text")
        self._flat: dict[str, list[Any]] = {MODULE: []}
        self._inert: set[str] = set()
        self._given: set[str] = set()  # names given to calls that may read what they are given
        self.given_away: set[str] = set()
        """These, and what they and parts of modules are called where they come from."""
        self._unread: list[Function] = []  # functions that nothing reads where they stand
        self._above = 0  # statements that do more than bind, so far
        self._module(tree.body, self._flat[MODULE])

    def pieces(self) -> Pieces:
        """Hash what was read."""
        return Pieces(
            {name: _digest(marshal.dumps(flat, _FORMAT)) for name, flat in self._flat.items()},
            frozenset(self._inert),
        )

    def uses(self, words: tuple[bytes, ...], source: bytes) -> bool:
        """Tell whether the code that was read has one of these words as a name or a text."""
        found = {word.decode() for word in words if word in source}
        return bool(found) and any(
            token in found or ("." in token and not found.isdisjoint(token.split(".")))
            for flat in self._flat.values()
            for token in flat
            if token.__class__ is str
        )

    def _module(self, body: list[ast.stmt], out: list[Any]) -> None:
        doc = docstring(body)
        if doc is not None:
            kept = self._docs or ">>>" in doc
            (out if kept else self._flat.setdefault(DOCS, [])).extend((b"Doc", doc))
        length = len(out)
        for position, statement in enumerate(body):
            self._bindings.position = position
            self._above += len(out) != length
            length = len(out)
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
                self._define(statement, out, "", statement.name not in self._bindings.repeated)
            elif isinstance(statement, ast.ClassDef):
                self._class(statement, self._binding(statement, out), "", direct=True)
            elif is_type_checking(statement):
                self._flatten([statement.body], self._flat.setdefault(TYPE_CHECKING, []), None)
            elif is_main(statement):
                self._program(statement, body[position + 1 :])
            elif not does_nothing(statement):
                for part in _parts(statement):
                    if _postpones(part):
                        self._flat[POSTPONED] = []
                    if self._hands_down or not _postpones(part):
                        self._flatten([part], self._binding(part, out), "")
        for node in self._unread:
            if node.name in self._given:
                self._line(node, out, "", given=True)

    def _program(self, statement: ast.If, below: list[ast.stmt]) -> None:
        """Append what runs only where the file is the program, and which names come too late."""
        main = self._flat.setdefault(MAIN, [])
        main.append(self._above)
        self._flatten([statement.body], main, None)
        late = {name for each in below for name in bound_by(each)}
        main += sorted(late.intersection(each for each in main if each.__class__ is str))

    def _binding(self, statement: ast.stmt, out: list[Any]) -> list[Any]:
        """Return where a statement goes: apart when all it does is bind names, else to ``out``.

        Apart, it begins with how many that do more stand above: what they see depends on it.
        """
        key = self._plain.key(statement)
        if key is None:
            return out
        apart = self._flat.setdefault(key, [])
        apart.append(self._above)
        return apart

    def _flatten(
        self, left: list[Any], out: list[Any], prefix: str | None, in_class: bool = False
    ) -> None:
        """Append what the nodes of ``left`` mean to ``out``, last first.

        A name is its bare text, everything else begins with a tag (bytes) and has the
        fields of its kind, a list its length: no two trees give the same list.
        """
        pop, add, more, push = left.pop, left.append, left.extend, out.append
        fields_of = FIELDS.get
        while left:
            node = pop()
            kind = node.__class__
            if kind is Name:
                push(node.id)
            elif kind is Attribute:
                push(b"Attribute")
                push(node.attr)
                add(node.value)
            elif kind is list:
                push(len(node))
                more(node)
            elif kind is Constant:
                push(b"Constant")
                push(node.value)
            elif kind is arg:
                push(b"arg")  # without its annotation
                push(node.arg)
            elif kind is Call:
                push(b"Call")
                push(len(node.args))
                push(len(node.keywords))
                add(node.func)
                more(node.args)
                more(node.keywords)
                if prefix is not None:
                    self._give(node)
            elif (fields := fields_of(kind)) is None:
                push(node)  # what is no node: a name, a number, None
            elif kind in _BY_HAND:
                self._by_hand(node, left, out, prefix, in_class)
            else:
                push(fields[0])
                if (get := fields[1]) is not None:
                    more(get(node))

    def _give(self, call: ast.Call) -> None:
        """Note the names that ``command("x")(f)`` is given, as a decorator would be."""
        each_given = [*call.args, *(each.value for each in call.keywords)]
        named = [each for each in each_given if isinstance(each, (Name, Attribute))]
        if named and not self._bindings.reads_nothing(call.func):
            self._given |= {each.id for each in named if isinstance(each, Name)}
            for each in named:
                self.given_away |= {last_name(each), self._bindings.path(each).rpartition(".")[2]}

    def _by_hand(
        self, node: Any, left: list[Any], out: list[Any], prefix: str | None, in_class: bool
    ) -> None:
        """Append a node whose meaning depends on its content or on where it stands."""
        if isinstance(node, ast.Expr):
            if text_of(node.value) is not None:
                out.append(b"Text")  # a string on a line of its own does nothing
            else:
                out.append(b"Expr")
                left.append(node.value)
        elif isinstance(node, ast.If):
            if is_type_checking(node):
                out.append(b"TypeChecking")
            else:
                out.append(b"If")
                left += (node.test, node.body, node.orelse)
        elif isinstance(node, ast.JoinedStr):
            out.append(b"JoinedStr")  # some releases of 3.12 add empty parts
            left.append([part for part in node.values if text_of(part) != ""])
        elif isinstance(node, ast.AnnAssign):
            self._annotated(node, left, out, prefix, in_class)
        elif isinstance(node, ast.ClassDef):
            self._class(node, out, prefix)
        elif prefix is None:
            self._function(node, out)
            self._line(node, out, prefix)
        else:
            self._define(node, out, prefix, may_be_inert=False)

    def _annotated(
        self,
        node: ast.AnnAssign,
        left: list[Any],
        out: list[Any],
        prefix: str | None,
        in_class: bool,
    ) -> None:
        """Append ``x: int = 1``, without its annotation where Python drops it or nobody reads it.

        Annotations of a class are fields for dataclasses and their like. Those of a function's
        variables are never evaluated.
        """
        kept = in_class or (
            prefix is not None
            and (self._annotations or not (self._postponed or self._quiet([node.annotation])))
        )
        if kept:
            out.append(self._hint[0])
            left += (node.target, node.annotation, node.value, node.simple)
        elif node.value is None:
            out.append(b"Declared")
            left.append(node.target)
        else:
            out.append(b"Assign")  # the fields of ast.Assign
            left += ([node.target], node.value)

    def _class(
        self, node: ast.ClassDef, out: list[Any], prefix: str | None, direct: bool = False
    ) -> None:
        """Append a class: everything but the bodies of its methods.

        The tests of a test class that stands ``direct`` in the module may be inert.
        """
        out += (b"ClassDef", node.name)
        bases = [last_name(base) for base in node.bases]
        body = node.body
        doc = docstring(body)
        if doc is not None:
            plain = not node.keywords and all(map(_is_plain_base, bases))
            plain = plain and all(map(self._bindings.ignores_doc, node.decorator_list))
            read = self._docs or ">>>" in doc
            apart = self._plain.doc_key(node) if direct and not (plain or read) else None
            if read or not (plain or apart):
                out += (b"Doc", doc)
            else:
                body = body[1:]
                if apart is not None:
                    self._flat[apart] = [doc]
                else:
                    self._flat.setdefault(DOCS, []).extend((node.name, doc))
        for field in (node.bases, node.keywords, node.decorator_list, type_params(node)):
            self._flatten([field], out, prefix)
        repeated: set[str] | None = None
        if (
            direct
            and not (node.decorator_list or node.keywords)
            and (node.name.startswith("Test") or any(base.endswith("TestCase") for base in bases))
        ):
            repeated = _repeated(node.body)
        inner = None if prefix is None else f"{prefix}{node.name}."
        for statement in body:
            if (
                repeated is not None
                and inner is not None
                and isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef))
            ):
                name = statement.name
                collected = name.startswith("test") and name not in repeated
                self._define(statement, out, inner, collected)
            else:
                self._flatten([statement], out, inner, in_class=True)
        out.append(b"End")

    def _define(self, node: Function, out: list[Any], prefix: str, may_be_inert: bool) -> None:
        """Make a function its own piece, and append the line it leaves at import, if any."""
        name = prefix + node.name
        self._function(node, self._flat.setdefault(name, []))
        # who never runs it may look at its signature, as autospec does
        signature = self._flat.setdefault(f"{BINDING}{name}", [])
        self._flatten([node.args, node.decorator_list], signature, None)
        for argument, annotation in annotations_of(node):
            hints = self._flat.setdefault(f"{BINDING}{name}{ANNOTATIONS}", [])
            hints += (self._hint[1], argument)
            self._flatten([annotation], hints, None)
        line: list[Any] = []
        read = self._line(node, line, prefix)
        if not (prefix or read):
            self._unread.append(node)
        if (
            may_be_inert
            and not read
            and not _SPECIAL.fullmatch(node.name)
            and all(map(self._bindings.leaves_no_trace, node.decorator_list))
            and self._quiet([*node.args.defaults, *node.args.kw_defaults])
        ):
            self._inert.add(name)
        else:
            out += line

    def _function(self, node: Function, out: list[Any]) -> None:
        """Append a function: decorators, arguments, defaults and body."""
        doc = docstring(node.body)
        body: list[Any] = node.body if doc is None else node.body[1:]
        if doc is not None:
            self._flat.setdefault(DOCS, []).extend((node.name, doc))
        if doc is not None and _calls_in_doctest(node.name, doc):
            out += (b"Doc", doc)
        out += (node.__class__.__name__, node.name)
        self._flatten([type_params(node), body, node.args, node.decorator_list], out, None)

    def _line(
        self, node: Function, out: list[Any], prefix: str | None, given: bool = False
    ) -> bool:
        """Append what a function is at import; return whether anything may read it there.

        A decorator we do not know, or a call that it is ``given`` to, may read all of it, the
        names of the arguments too.
        Annotations that are not quiet run at import, or fail there.
        """
        known = not given and all(map(self._bindings.ignores, node.decorator_list))
        out += (b"Line", node.__class__.__name__, node.name)
        doc = docstring(node.body)
        read = not known
        if doc is not None and (
            not known
            or self._docs
            or (">>>" in doc and prefix is not None and not _calls_in_doctest(node.name, doc))
        ):
            out += (b"Doc", doc)
            read = True
        arguments = node.args
        evaluated: list[Any] = [arguments.defaults, arguments.kw_defaults, node.decorator_list]
        if not self._annotations and self._quiet([*arguments.defaults, *arguments.kw_defaults]):
            evaluated = [node.decorator_list]  # who does not run it does not see its defaults
        self._flatten(evaluated if known else [arguments, node.decorator_list], out, None)
        if known and self._postponed and not self._annotations:
            return read
        for name, annotation in annotations_of(node):
            if not known or self._annotations or not self._quiet([annotation]):
                out += (self._hint[1], name)
                self._flatten([annotation], out, None)
                read = True
        return read

    def _quiet(self, expressions: Iterable[ast.expr | None]) -> bool:
        return self._bindings.are_quiet(expressions)


def _postpones(statement: ast.stmt) -> bool:
    """Tell ``from __future__ import annotations``: it acts by what annotations are then."""
    return (
        isinstance(statement, ast.ImportFrom)
        and statement.module == "__future__"
        and [each.name for each in statement.names] == ["annotations"]
    )


def _parts(statement: ast.stmt) -> list[ast.stmt]:
    """Part an import of several names: each may be bound anew without the others."""
    if not isinstance(statement, (ast.Import, ast.ImportFrom)) or len(statement.names) == 1:
        return [statement]
    return [
        ast.Import([each])
        if isinstance(statement, ast.Import)
        else ast.ImportFrom(statement.module, [each], statement.level)
        for each in statement.names
    ]


def _calls_in_doctest(name: str, doc: str) -> bool:
    """Tell a docstring with examples that call the function: who runs them has run it.

    Other examples are tests of something else, so they belong to the module.
    """
    return ">>>" in doc and bool(
        re.search(rf"^\s*(?:>>>|\.\.\.).*(?<!\w){re.escape(name)}\(", doc, re.MULTILINE)
    )


def _repeated(body: list[ast.stmt]) -> set[str]:
    """Return the names that a class body binds more than once."""
    times = Counter(name for statement in body for name in bound_by(statement))
    return {name for name, count in times.items() if count > 1}
