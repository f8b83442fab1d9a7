"""What a function finds besides its arguments: the command line, the input, the environment.

A test sets them by pytest's ``monkeypatch``. Which they are is found in the code of the function
and of those of its module that it calls.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from types import CodeType, FunctionType
from typing import Any, NamedTuple

from pytest_aqe.generation import files
from pytest_aqe.generation.harvest import Argument
from pytest_aqe.generation.values import Source

FIXTURE = "monkeypatch"
_COMMAND, _INPUT = "sys.argv", "sys.stdin"
_MOST_CODES = 60  # functions that are looked at
_MOST_WORDS = 24
_MOST_VARIABLES = 3
_ASKING = {
    _COMMAND: frozenset({"argv", "parse_args", "parse_known_args"}),
    _INPUT: frozenset({"stdin", "input"}),
}
_WORD = re.compile(r"-{0,2}\w[\w.-]{0,30}")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]+")
_IO = frozenset({"import io"})
_INPUTS = tuple(Source(f"io.StringIO({text!r})", _IO)
                for text in ("one\ntwo\n", "", "y\n", "1\n2\n"))  # fmt: skip


class Circumstance(NamedTuple):
    """One of them, with values to try: the likeliest first."""

    name: str
    pool: Sequence[Source]


def of(function: FunctionType, module: Any) -> list[Circumstance]:
    """Return those that a function asks for, itself or by others of its module."""
    codes = _reached(function.__code__, vars(module))
    names = {name for code in codes for name in code.co_names}
    texts = dict.fromkeys(text for code in codes for text in _texts(code.co_consts))
    words = [text for text in texts if _WORD.fullmatch(text)][:_MOST_WORDS]
    found = []
    if names & _ASKING[_COMMAND]:
        found.append(Circumstance(_COMMAND, list(_commands(words))))
    if names & _ASKING[_INPUT]:
        found.append(Circumstance(_INPUT, _INPUTS))
    if not names.isdisjoint({"environ", "getenv"}):
        asked = [text for text in texts if _VARIABLE.fullmatch(text)][:_MOST_VARIABLES]
        values = [word for word in words if word not in asked][:6]
        pool = [Source(each) for each in ("None", *map(repr, ("1", "", "abc", *values)))]
        found += [Circumstance(name, pool) for name in asked]
    return found


def statement(argument: Argument) -> str:
    """Return how a test sets one; a variable that is None is not set."""
    value = argument.source.text
    if argument.name in _ASKING:
        return f"{FIXTURE}.setattr({argument.name!r}, {value})"
    if value == "None":
        return f"{FIXTURE}.delenv({argument.name!r}, raising=False)"
    return f"{FIXTURE}.setenv({argument.name!r}, {value})"


def mislead(circumstances: Iterable[Circumstance]) -> None:
    """Let this process be one in which nobody is: what a call finds without a test shows."""
    for each in circumstances:
        if each.name == _COMMAND:
            sys.argv = None  # type: ignore[assignment]
        elif each.name == _INPUT:
            sys.stdin = None
        else:
            os.environ[each.name] = "another value"


def otherwise(argument: Argument) -> list[Argument | None]:
    """Return what may not make a difference where a test need not set one; None leaves it."""
    if argument.name in _ASKING:
        return [None]
    return [None, argument._replace(source=Source("None"))]


def _commands(words: Sequence[str]) -> Iterator[Source]:
    """Yield command lines: nothing, each word, an option with a value, a file."""
    yield Source("['prog']")
    paths = [each for each in files.SOURCES if each.text.startswith("str(")][:2]
    options = [word for word in words if word.startswith("-")]
    plain = [word for word in words if not word.startswith("-")]
    for word in [*options, *plain]:
        yield Source(f"['prog', {word!r}]")
    for path in paths:
        yield Source(f"['prog', {path.text}]")
    for option in options:
        yield Source(f"['prog', {option!r}, '1']")
        yield Source(f"['prog', {option!r}, {paths[0].text}]")
    for word in plain:
        yield Source(f"['prog', {word!r}, 'a']")


def _reached(code: CodeType, names: dict[str, Any]) -> list[CodeType]:
    """Return a function's code and, as far as names tell, that of whatever it calls there."""
    found: dict[CodeType, None] = {}
    waiting = [code]
    while waiting and len(found) < _MOST_CODES:
        each = waiting.pop(0)
        if each in found:
            continue
        found[each] = None
        waiting += [inner for inner in each.co_consts if isinstance(inner, CodeType)]
        for name in each.co_names:
            named = names.get(name)
            held = vars(named).values() if isinstance(named, type) else (named,)
            waiting += [
                other.__code__
                for other in held
                if isinstance(other, FunctionType)
                and other.__code__.co_filename == code.co_filename
            ]
    return list(found)


def _texts(constants: Iterable[Any]) -> Iterator[str]:
    for each in constants:
        if isinstance(each, str):
            yield each
        elif isinstance(each, (tuple, frozenset)):
            yield from _texts(each)
