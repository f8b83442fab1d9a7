"""Small faults, put into the code under test: a test that proves something notices one.

Operators after Offutt's sufficient set (1996) as far as one line can show them: comparisons,
arithmetic, and/or, constants, negated conditions, and the returned value replaced.
"""

from __future__ import annotations

import ast
import copy
import functools
import gc
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import CodeType, FunctionType

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE,
    ast.LtE: ast.Gt, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd, ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip
_MARKER = "mutant"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A fault at a line; ``code`` is the function with it, in its class or classes, compiled."""

    line: int
    what: str
    code: CodeType


def mutants(
    source: str,
    file: str,
    lines: frozenset[int],
    is_open: Callable[[int], bool] = lambda _line: True,
) -> Iterator[Mutant]:
    """Yield mutants of a module at given lines, one a line before the second of any.

    What a fault does to the result is likeliest noticed, so returned values come first. Lines
    that are not open any more, when it is their turn, are left out.
    """
    tree = ast.parse(source)
    parts = list(_parts(tree))
    by_line: dict[int, list[tuple[str, ast.AST]]] = {}
    texts = {id(each.value) for each in ast.walk(tree) if isinstance(each, ast.Expr)}
    for node in ast.walk(tree):
        line = getattr(node, "lineno", None)
        if line in lines and id(node) not in texts and (whats := list(_faults(node))):
            by_line.setdefault(line, []).extend((what, node) for what in whats)
    for faults in by_line.values():
        faults.sort(key=lambda fault: _RANK.get(fault[0], 9))
    depth = max(map(len, by_line.values()), default=0)
    for place in range(depth):
        for line in sorted(by_line):
            if place < len(by_line[line]) and is_open(line):
                what, node = by_line[line][place]
                part = next((part for part, last in parts if line <= last), None)
                code = _compiled(part, node, what, file) if part is not None else None
                if code is not None:
                    yield Mutant(line, what, code)


def _parts(tree: ast.Module) -> Iterator[tuple[ast.Module, int]]:
    """Yield each statement as a module with what it imports from the future, and its last line.

    Those of a class come one by one, in a class that has nothing else: to compile all of a long
    one for every fault would take longer than to try it.
    """
    future: list[ast.stmt] = [
        each
        for each in tree.body
        if isinstance(each, ast.ImportFrom) and each.module == "__future__"
    ]
    for each in _statements(tree.body):
        yield ast.Module([*future, each], []), each.end_lineno or each.lineno


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    for each in body:
        if not isinstance(each, ast.ClassDef):
            yield each
            continue
        for inner in _statements(each.body):
            alone = copy.copy(each)
            alone.bases, alone.keywords, alone.decorator_list = [], [], []
            alone.body = [inner]
            alone.end_lineno = inner.end_lineno
            yield alone


_RANK = {"return": 0, "negate": 1, "compare": 2, "arithmetic": 3, "raise": 4, "assign": 5}


def _faults(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Return) and node.value is not None:
        yield "return"
    elif isinstance(node, (ast.If, ast.While, ast.IfExp)):
        yield "negate"
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in _COMPARISONS:
        yield "compare"
    elif isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in _ARITHMETIC:
        yield "arithmetic"
    elif isinstance(node, ast.BoolOp):
        yield "and/or"
    elif isinstance(node, ast.Raise) and node.exc is not None:
        yield "raise"
    elif isinstance(node, (ast.Assign, ast.Expr)) and not (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    ):
        yield "assign"
    elif isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float, str)):
        yield "constant"


def _compiled(tree: ast.Module, node: ast.AST, what: str, file: str) -> CodeType | None:
    """Return the module with one fault. The tree is shared, so the fault is taken out again."""
    fields = vars(node)
    before = dict(fields)
    try:
        _spoil(node, what)
        ast.fix_missing_locations(node)
        code: CodeType = compile(tree, file, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, TypeError, RecursionError):
        return None
    finally:
        fields.clear()
        fields.update(before)
    return code


def _spoil(node: ast.AST, what: str) -> None:
    if isinstance(node, ast.Return):
        nothing = isinstance(node.value, ast.Constant) and node.value.value is None
        node.value = _instead(node.value, _MARKER if nothing else None)
    elif what == "negate" and isinstance(node, (ast.If, ast.While, ast.IfExp)):
        node.test = ast.UnaryOp(ast.Not(), node.test)
    elif isinstance(node, ast.Compare):
        node.ops = [_COMPARISONS[type(node.ops[0])](), *node.ops[1:]]
    elif isinstance(node, (ast.BinOp, ast.AugAssign)):
        node.op = _ARITHMETIC[type(node.op)]()
    elif isinstance(node, ast.BoolOp):
        node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    elif isinstance(node, ast.Raise):
        node.exc = ast.Call(ast.Name("ArithmeticError", ast.Load()), [ast.Constant(_MARKER)], [])
    elif isinstance(node, (ast.Assign, ast.Expr)):
        node.value = _instead(node.value, None)
    elif isinstance(node, ast.Constant):
        node.value = _other(node.value)


def _instead(value: ast.expr | None, other: str | None) -> ast.expr:
    """Return another value; what the first names stays named, for closures must fit."""
    new = ast.Constant(other)
    return ast.IfExp(ast.Constant(True), new, value) if value is not None else new


def _other(value: object) -> bool | int | float | str:
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    return f"{value}{_MARKER}"


def let_be_found(module: str) -> None:
    """Let `living` find the functions of a module that this process has imported already.

    A warm interpreter has frozen all that it knows, pytest say, and the project may be that.
    """
    if module in sys.modules:
        gc.unfreeze()


def living(file: str) -> list[FunctionType]:
    """Return the functions of a file that exist in this process, however they were made."""
    is_it = functools.cache(lambda name: name == file or os.path.realpath(name) == file)
    return [
        each
        for each in gc.get_objects()
        if type(each) is FunctionType and is_it(each.__code__.co_filename)
    ]


def exchange(module: CodeType, functions: Iterable[FunctionType], line: int | None = None) -> bool:
    """Give functions their code from another version of their module; True if any took it.

    With ``line`` only those around it. Functions that were made inside another, such as what a
    decorator returned at import, are exchanged like any.
    """
    fresh: dict[tuple[str, int], CodeType | None] = {}
    for code in _functions(module, line):
        key = (code.co_name, code.co_firstlineno)
        fresh[key] = None if key in fresh else code  # two lambdas of one line look the same
    done = False
    for each in functions:
        code = each.__code__
        other = fresh.get((code.co_name, code.co_firstlineno))
        if other is not None and other.co_freevars == code.co_freevars:
            each.__code__ = other
            done = True
    return done


def _functions(module: CodeType, line: int | None) -> Iterator[CodeType]:
    """Yield the functions of a module, also inside others; with ``line`` those that span it."""
    waiting = [each for each in module.co_consts if isinstance(each, CodeType)]
    while waiting:
        code = waiting.pop()
        inside = line is None or code.co_firstlineno <= line <= _last(code)
        if code.co_flags & 0x2 and inside:  # CO_NEWLOCALS: a function; a class body is not
            yield code
        waiting += [each for each in code.co_consts if isinstance(each, CodeType)]


def _last(code: CodeType) -> int:
    own = max((number for *_, number in code.co_lines() if number), default=0)
    return max([own, *(_last(each) for each in code.co_consts if isinstance(each, CodeType))])
