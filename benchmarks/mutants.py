"""Small faults for one function at a time: what a selection must never miss.

A mutant replaces one expression: a comparison turns into its opposite, a condition is negated,
a constant becomes another one, a returned value is dropped. The text around it stays as it is.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_OPPOSITE: dict[type[ast.cmpop], str] = {
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Lt: ">=",
    ast.LtE: ">",
    ast.Gt: "<=",
    ast.GtE: "<",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.In: "not in",
    ast.NotIn: "in",
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """A file (from the checkout), the function in it, what was done, and the text it becomes."""

    file: str
    function: str
    line: int
    what: str
    text: bytes

    @property
    def name(self) -> str:
        """Tell it from every other mutant of the same tree."""
        return f"{self.file}:{self.line} {self.function}: {self.what}"


def choose(root: Path, files: Sequence[str], seed: int) -> Iterator[Mutant]:
    """Yield mutants of the functions in ``files``, a function at a time, in seeded order.

    Once every function had its turn, each has another one, until none has any left.
    """
    chance = random.Random(seed)
    functions = []
    for file in sorted(files):
        for mutants in _by_function(file, (root / file).read_bytes()):
            chance.shuffle(mutants)
            functions.append(mutants)
    chance.shuffle(functions)
    while functions:
        for mutants in functions:
            yield mutants.pop()
        functions = [mutants for mutants in functions if mutants]


def _by_function(file: str, source: bytes) -> Iterator[list[Mutant]]:
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    before = ast.dump(ast.parse(source))
    for name, function in _outermost(ast.parse(source), ""):
        mutants = []
        for node, text, what in _changes(function, source, starts):
            begin, end = _span(node, starts)
            mutated = source[:begin] + text + source[end:]
            try:
                differs = ast.dump(ast.parse(mutated)) != before
            except SyntaxError:
                continue
            if differs:
                mutants.append(Mutant(file, name, node.lineno, what, mutated))
        if mutants:
            yield mutants


def _outermost(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.AST]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield f"{prefix}{child.name}", child
        elif isinstance(child, ast.ClassDef):
            yield from _outermost(child, f"{prefix}{child.name}.")
        else:
            yield from _outermost(child, prefix)


def _changes(
    function: ast.AST, source: bytes, starts: Sequence[int]
) -> Iterator[tuple[ast.expr, bytes, str]]:
    """Yield an expression of the function's body, its replacement, and that in words."""

    def text(node: ast.expr) -> bytes:
        begin, end = _span(node, starts)
        return source[begin:end]

    for node in _walk(function):
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            sign = _OPPOSITE[type(node.ops[0])]
            left, right = text(node.left), text(node.comparators[0])
            yield node, b"((%b) %b (%b))" % (left, sign.encode(), right), f"compares {sign}"
        elif isinstance(node, (ast.If, ast.While, ast.IfExp)):
            if not isinstance(node.test, ast.Compare):
                yield node.test, b"(not (%b))" % text(node.test), "condition negated"
        elif isinstance(node, ast.Return) and node.value is not None:
            if not (isinstance(node.value, ast.Constant) and node.value.value is None):
                yield node.value, b"None", "returns None"
        elif isinstance(node, ast.Constant):
            other = _other(node.value)
            if other is not None:
                yield node, repr(other).encode(), f"{node.value!r:.20} becomes {other!r:.20}"


def _walk(function: ast.AST) -> Iterator[ast.AST]:
    """Yield what may be replaced: of the body, without docstrings, texts' parts and types."""
    body: list[ast.stmt] = getattr(function, "body", [])
    left: list[ast.AST] = list(body)
    while left:
        node = left.pop()
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        yield node
        if isinstance(node, ast.JoinedStr):
            continue
        for name, value in ast.iter_fields(node):
            if name not in ("annotation", "returns"):
                inner = value if isinstance(value, list) else [value]
                left += [each for each in inner if isinstance(each, ast.AST)]


def _other(value: object) -> object:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return f"{value}x"
    return None


def _span(node: ast.expr, starts: Sequence[int]) -> tuple[int, int]:
    """Return where an expression's bytes begin and end in the file."""
    line, column = node.end_lineno, node.end_col_offset
    if line is None or column is None:
        raise ValueError("a parsed expression has an end")
    return starts[node.lineno - 1] + node.col_offset, starts[line - 1] + column
