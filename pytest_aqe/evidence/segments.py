"""The functions of a file: where each stands, how many decisions it holds, whom it names."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pytest_aqe.evidence.syntax import Function, last_name

# What adds a path (McCabe 1976, counted as in most tools: each condition, each case).
_DECISIONS = (
    ast.If,
    ast.IfExp,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.ExceptHandler,
    ast.Assert,
    ast.comprehension,
)


@dataclass(frozen=True, slots=True)
class Segment:
    """A function, or with an empty name what stands outside of functions.

    ``body`` is the first line of the body: decorators, defaults and ``def`` run outside.
    """

    name: str
    line: int
    body: int
    end: int
    complexity: int


def segments(tree: ast.Module) -> list[Segment]:
    """Return the functions of a module, outer before inner, and last the module itself."""
    found = list(_functions(tree, ""))
    last = max((node.end_lineno or 1 for node in tree.body), default=1)
    return [*found, Segment("", 1, 1, last, _complexity(tree))]


def _functions(node: ast.AST, prefix: str) -> Iterator[Segment]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            name = f"{prefix}{child.name}"
            yield Segment(
                name,
                child.lineno,
                child.body[0].lineno,
                child.end_lineno or child.lineno,
                _complexity(child),
            )
            yield from _functions(child, f"{name}.<locals>.")
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{prefix}{child.name}.")
        elif not isinstance(child, ast.expr):
            yield from _functions(child, prefix)


def _complexity(node: ast.AST) -> int:
    """Count decisions of a function, not those of functions inside it, and one."""
    count = 1
    waiting = list(ast.iter_child_nodes(node))
    while waiting:
        each = waiting.pop()
        if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            continue
        if isinstance(each, _DECISIONS):
            count += 1
        elif isinstance(each, ast.BoolOp):
            count += len(each.values) - 1
        elif isinstance(each, ast.Match):
            count += len(each.cases)
        waiting += ast.iter_child_nodes(each)
    return count


def by_line(found: Iterable[Segment]) -> dict[int, Segment]:
    """Return the innermost function of every line that is inside one."""
    lines: dict[int, Segment] = {}
    for segment in found:
        if segment.name:
            lines.update(dict.fromkeys(range(segment.body, segment.end + 1), segment))
    return lines


def callers(trees: Mapping[str, ast.Module]) -> Counter[str]:
    """Count, for every bare name, the functions of a project that call something so named.

    Which of several functions of one name is meant cannot be told without types.
    """
    counts: Counter[str] = Counter()
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                counts.update(_called(node) - {node.name})
    return counts


def _called(node: Function) -> set[str]:
    return {last_name(each.func) for each in ast.walk(node) if isinstance(each, ast.Call)} - {""}
