"""What a function compares, seen while it runs: what its arguments would have to be.

The functions of the file under search get code in which every comparison, ``isinstance`` and
``startswith`` also notes its operands, and every regular expression a text that it does not
match. Lines and jumps stay the same. Where a comparison stands before a branch that nothing took,
one operand is often an argument, or a part of one, and the other is what it should have been:
that is tried next (input-to-state correspondence, Redqueen, NDSS 2019). Where it was computed,
the distance says which calls are nearer (branch distance, Korel, TSE 1990).
"""

from __future__ import annotations

import ast
import functools
import math
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import islice
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

from pytest_aqe.generation.mutants import exchange, living
from pytest_aqe.generation.patterns import matching
from pytest_aqe.generation.values import Source

_HOOK = "__aqe_compared__"
_MATCHING_HOOK = "__aqe_matched__"
_MATCHING = ("match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer")
_METHOD = type(re.compile("").match)
_MOST = 40  # comparisons noted in one call
_MEMBERS = 6  # of a container that are tried
_JUST_BELOW = 1 - 1e-7  # what is rounded up
_LONGEST = 60  # items or characters that a literal is made up to
_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "Eq": operator.eq,
    "NotEq": operator.ne,
    "Lt": operator.lt,
    "LtE": operator.le,
    "Gt": operator.gt,
    "GtE": operator.ge,
    "Is": operator.is_,
    "IsNot": operator.is_not,
    "In": lambda left, right: left in right,
    "NotIn": lambda left, right: left not in right,
    "startswith": lambda left, right: left.startswith(right),
    "endswith": lambda left, right: left.endswith(right),
    "isinstance": isinstance,
}


class Compared(NamedTuple):
    """One comparison that was made, by the line of its statement."""

    line: int
    how: str
    left: Any
    right: Any

    @property
    def distance(self) -> float | None:
        """How far the operands are apart; None where that is no number."""
        left, right = _number(self.left), _number(self.right)
        if left is None or right is None:
            return None
        apart = abs(left - right)
        return apart if math.isfinite(apart) else None


class Comparisons:
    """Note the comparisons of one module."""

    def __init__(self) -> None:
        self._seen: list[Compared] = []
        self._written: dict[tuple[str, int], CodeType] = {}

    def install(self, module: ModuleType, file: str) -> None:
        """Exchange the code of the module's functions."""
        tree = _Noting().visit(ast.parse(Path(file).read_text("utf-8")))
        vars(module)[_HOOK] = self._compare
        vars(module)[_MATCHING_HOOK] = self._matching
        try:
            code = compile(tree, file, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError):
            return
        functions = living(file)
        for each in functions:
            written = each.__code__
            self._written[written.co_name, written.co_firstlineno] = written
        exchange(code, functions)

    def written(self, code: CodeType) -> CodeType:
        """Return a function's code as it was before: only its own constants stand there."""
        return self._written.get((code.co_name, code.co_firstlineno), code)

    def seen(self) -> list[Compared]:
        """Return what was compared since the last time."""
        seen, self._seen = self._seen, []
        return seen

    def _compare(self, line: int, how: str, left: Any, right: Any) -> Any:
        if len(self._seen) < _MOST:
            self._seen.append(Compared(line, how, left, right))
        return _OPERATIONS[how](left, right)

    def _matching(self, line: int, function: Any) -> Any:
        """Return a function, or what does the same and notes a text that does not match."""
        owner: Any = getattr(function, "__self__", None) if type(function) is _METHOD else None
        method = type(owner) is re.Pattern
        of_module = type(function) is FunctionType and function.__module__ == "re"
        if not method and not of_module:
            return function
        place = int(function.__name__ in ("sub", "subn")) + of_module

        def noted(*given: Any, **named: Any) -> Any:
            with suppress(Exception):  # what is wrong with it the call itself says
                pattern = owner if method else _pattern(*given, **named)
                text = given[place] if len(given) > place else named["string"]
                whole = function.__name__ in ("match", "fullmatch")
                matches = getattr(pattern, function.__name__ if whole else "search")
                if len(self._seen) < _MOST and matches(text) is None:
                    self._seen.append(Compared(line, "match", text, pattern))
            return function(*given, **named)

        return noted


class _Noting(ast.NodeTransformer):
    """Let comparisons go through the hook, each with the line of its statement."""

    def __init__(self) -> None:
        self._line = 0

    def visit(self, node: ast.AST) -> Any:
        before = self._line
        if isinstance(node, ast.stmt):
            self._line = node.lineno
        try:
            return super().visit(node)
        finally:
            self._line = before

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if len(node.ops) != 1:
            return node
        return self._noted(node, type(node.ops[0]).__name__, node.left, node.comparators[0])

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        function, given = node.func, node.args
        if isinstance(function, ast.Attribute) and function.attr in _MATCHING:
            node.func = self._told(function, _MATCHING_HOOK, [ast.Constant(self._line)], [function])
            return node
        if node.keywords or any(isinstance(each, ast.Starred) for each in given):
            return node
        if isinstance(function, ast.Name) and function.id == "isinstance" and len(given) == 2:
            return self._noted(node, "isinstance", *given)
        if (
            isinstance(function, ast.Attribute)
            and function.attr in ("startswith", "endswith")
            and len(given) == 1
        ):
            return self._noted(node, function.attr, function.value, given[0])
        return node

    def _noted(self, node: ast.AST, how: str, left: ast.expr, right: ast.expr) -> ast.Call:
        told = [ast.Constant(self._line), ast.Constant(how)]
        return self._told(node, _HOOK, told, [left, right])

    def _told(
        self, node: ast.AST, hook: str, told: Sequence[ast.expr], given: Sequence[ast.expr]
    ) -> ast.Call:
        call = ast.Call(ast.Name(hook, ast.Load()), [*told, *given], [])
        for each in (*told, call.func, call):
            ast.copy_location(each, node)
        return call


def _pattern(pattern: Any = None, *given: Any, flags: int = 0, **named: Any) -> re.Pattern[Any]:
    """Return the pattern that a function of `re` is given first."""
    return re.compile(pattern, flags)


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return float(value) if abs(value) < 1e300 else None
    return value.total_seconds() if isinstance(value, timedelta) else None


def wished(compared: Compared) -> Iterator[tuple[object, object]]:
    """Yield what an operand was, and what it should have been for the other outcome."""
    left, right, how = compared.left, compared.right, compared.how
    if how in ("startswith", "endswith"):
        for each in right if isinstance(right, tuple) else (right,):
            if type(each) is type(left) and isinstance(left, (str, bytes)):
                yield left, each + left if how == "startswith" else left + each
        return
    if how == "match":
        yield from ((left, each) for each in matching(right))
        return
    if how in ("In", "NotIn"):
        try:
            members = list(islice(iter(right), _MEMBERS))
        except Exception:
            return
        for each in members:
            if type(each) is type(left):
                yield left, each
        return
    if isinstance(left, (tuple, list)) and isinstance(right, (tuple, list)):
        for one, other in zip(left, right, strict=False):
            if one is not other and type(one) is type(other) and not isinstance(one, (tuple, list)):
                yield one, other
    for old, new in ((left, right), (right, left)):
        yield old, new
        if isinstance(new, int) and not isinstance(new, bool):
            yield old, new + 1
            yield old, new - 1


def exchanged(text: str, old: object, new: object, written: Source) -> Iterator[str]:
    """Yield an expression with one place that was ``old`` exchanged for ``new``.

    Numbers that were computed from a literal are reached in a straight line, and lengths by
    making a literal longer or shorter.
    """
    for node, value in _literals(text):
        for each in _exchanged(value, old, new, written):
            yield replaced(text, node, each)


@functools.lru_cache(1024)  # a call is compared many times
def _literals(text: str) -> tuple[tuple[ast.expr, Any], ...]:
    """Return the places of an expression that are literals, with their values."""
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    found = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.Constant, ast.UnaryOp, ast.List, ast.Tuple, ast.Dict, ast.Set)):
            with suppress(ValueError, TypeError, SyntaxError):
                found.append((node, ast.literal_eval(node)))
    return tuple(found)


def _exchanged(value: Any, old: Any, new: Any, written: Source) -> Iterator[str]:
    if type(value) is type(old) and value == old:
        yield written.text
    elif isinstance(value, str) and isinstance(old, str) and isinstance(new, str):
        if old and old in value:
            yield repr(value.replace(old, new, 1))
        elif old.lower() == value.lower():
            yield repr(new)
    elif isinstance(value, str) and type(old) is int and type(new) is int:
        inside = value
        if str(old) in value:  # to compile a pattern takes longer than everything else here
            inside = re.sub(rf"(?<!\d){old}(?!\d)", str(new), value, count=1)
        if inside != value:
            yield repr(inside)
    elif type(value) in (int, float) and (apart := _apart(old, new)) is not None:
        moved, stretched = value + apart[0], value * apart[1]
        yield from dict.fromkeys(
            repr(round(each) if isinstance(value, int) and each == round(each) else each)
            for each in (moved, stretched, moved * _JUST_BELOW, stretched * _JUST_BELOW)
            if math.isfinite(each) and abs(each) < 1e18
        )
    sized = type(new) is int and 0 <= new <= _LONGEST and type(old) is int
    if sized and isinstance(value, (str, bytes, list, tuple)) and len(value) == old:
        filler: Any = {str: "a", bytes: b"a", list: [1], tuple: (1,)}[type(value)]
        yield repr(((value or filler) * (new + 1))[:new])


def _apart(old: object, new: object) -> tuple[float, float] | None:
    """Return difference and ratio of two numbers."""
    first, second = _number(old), _number(new)
    if first is None or second is None:
        return None
    whole = isinstance(old, int) and isinstance(new, int)
    difference = new - old if whole else second - first  # type: ignore[operator]
    return difference, second / first if first else 1.0


def replaced(text: str, node: ast.expr, new: str) -> str:
    """Return an expression with the source of one of its nodes exchanged."""
    data = text.encode()  # columns count bytes
    lines = [0]
    for line in data.split(b"\n")[:-1]:
        lines.append(lines[-1] + len(line) + 1)
    start = lines[node.lineno - 1] + node.col_offset
    end = lines[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
    return (data[:start] + new.encode() + data[end:]).decode()
