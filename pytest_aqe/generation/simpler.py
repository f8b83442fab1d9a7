"""Simpler calls than one that was found: what a reader would ask why it is there goes first."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from pytest_aqe.generation.comparisons import replaced
from pytest_aqe.generation.execution import Call
from pytest_aqe.generation.files import FIXTURE
from pytest_aqe.generation.pools import WRITTEN
from pytest_aqe.generation.values import Source

_DIGITS = (0, 1, 2, 3, 6)  # decimals that a number is rounded to
_STAYING = ("None", "True", "False", FIXTURE)
_LONG = 12  # characters or items; shorter ones are left alone


def simpler(call: Call) -> Iterator[Call]:
    """Yield calls with a step or an optional argument less, or one plainer literal."""
    for number in range(len(call.before)):
        yield call._replace(before=(*call.before[:number], *call.before[number + 1 :]))
    for number, argument in enumerate(call.arguments):
        if argument.kind != "/":
            yield call._replace(arguments=(*call.arguments[:number], *call.arguments[number + 1 :]))
    for number, argument in enumerate(call.arguments):
        for text in (*_leaner(argument.source.text), *_plainer(argument.source.text)):
            plain = argument._replace(source=Source(text, argument.source.imports))
            yield call._replace(
                arguments=(*call.arguments[:number], plain, *call.arguments[number + 1 :])
            )
    if call.receiver is not None:
        made = call.receiver.text
        for text in (*_leaner(made), *_shorter(made), *_plainer(made)):
            yield call._replace(receiver=Source(text, call.receiver.imports))


def plain(call: Call) -> Iterator[Call]:
    """Yield calls with a plain value where a function or a class is given: any may do."""
    for number, argument in enumerate(call.arguments):
        if argument.source.text.isidentifier() and argument.source.text not in _STAYING:
            for text in ("'a'", "1"):
                other = argument._replace(source=Source(text))
                yield call._replace(
                    arguments=(*call.arguments[:number], other, *call.arguments[number + 1 :])
                )


def _shorter(text: str) -> Iterator[str]:
    """Yield a construction without its last argument, if that says nothing: None."""
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    if isinstance(tree, ast.Call) and (tree.args or tree.keywords):
        last = tree.keywords.pop().value if tree.keywords else tree.args.pop()
        if isinstance(last, ast.Constant) and last.value is None:
            yield ast.unparse(tree)


def _leaner(text: str) -> Iterator[str]:
    """Yield objects with fewer attributes: without half of them, without one."""
    if "SimpleNamespace(" not in text:
        return
    tree = ast.parse(text, mode="eval").body
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "types.SimpleNamespace":
            every = node.keywords
            half = len(every) // 2
            for kept in (
                *((every[half:], every[:half]) if half > 1 else ()),
                *([each for each in every if each is not gone] for gone in every),
            ):
                node.keywords = kept
                yield ast.unparse(tree)
            node.keywords = every


def _plainer(text: str) -> Iterator[str]:
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            for value in _plainer_values(node.value):
                yield replaced(text, node, repr(value))


def _plainer_values(value: Any) -> Iterator[Any]:
    if isinstance(value, float):
        written = len(repr(value))
        if abs(value) < 1e15:
            yield round(value)
        for digits in _DIGITS:
            rounded = round(value, digits) if abs(value) < 1e15 else value
            if len(repr(rounded)) < written:
                yield rounded
    elif isinstance(value, (str, bytes)) and len(value) > _LONG and value not in WRITTEN:
        yield value[: len(value) // 2]
        yield value[len(value) // 2 :]
