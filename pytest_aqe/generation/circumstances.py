"""What a function finds besides its arguments: the command line, the environment, the clock.

A test sets them by pytest's ``monkeypatch``. Which they are is found in the code of the function
and of those of its module that it calls.
"""

from __future__ import annotations

import datetime
import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
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
_MOST_SEAMS = 4
_ASKING = {
    _COMMAND: frozenset({"argv", "parse_args", "parse_known_args"}),
    _INPUT: frozenset({"stdin", "input"}),
}
_WORD = re.compile(r"-{0,2}\w[\w.-]{0,30}")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]+")
_UNSET = Source("None")
_IO = frozenset({"import io"})
_INPUTS = tuple(Source(f"io.StringIO({text!r})", _IO)
                for text in ("one\ntwo\n", "", "y\n", "1\n2\n"))  # fmt: skip


_SEAMS = {
    "time.time": ("lambda: 1700000000.0", "lambda: 0.0"),
    "time.time_ns": ("lambda: 1700000000000000000",),
    "time.monotonic": ("lambda: 100.0", "lambda: 0.0"),
    "time.perf_counter": ("lambda: 100.0", "lambda: 0.0"),
    "time.sleep": ("lambda seconds: None",),
    "random.random": ("lambda: 0.0", "lambda: 0.5", "lambda: 0.99"),
    "random.randint": ("lambda low, high: low", "lambda low, high: high"),
    "random.randrange": ("lambda *limits: 0", "lambda *limits: 1"),
    "random.uniform": ("lambda low, high: low", "lambda low, high: high"),
    "random.choice": ("lambda items: items[0]", "lambda items: items[-1]"),
    "random.choices": ("lambda items, *args, k=1: list(items)[:k]",),
    "random.sample": ("lambda items, k: list(items)[:k]",),
    "random.shuffle": ("lambda items: items.reverse()",),
    "os.urandom": ("lambda size: b'a' * size",),
    "os.cpu_count": ("lambda: 4", "lambda: None"),
    "os.getpid": ("lambda: 7",),
    "sys.platform": ("'linux'", "'win32'", "'darwin'"),
    "platform.system": ("lambda: 'Linux'", "lambda: 'Windows'", "lambda: 'Darwin'"),
    "platform.node": ("lambda: 'somewhere'",),
    "socket.gethostname": ("lambda: 'somewhere'",),
    "getpass.getuser": ("lambda: 'somebody'",),
    "getpass.getpass": ("lambda *args: 'abc'", "lambda *args: ''"),
    "shutil.which": ("lambda name: None", "lambda name: '/bin/' + name"),
    "uuid.uuid4": ("lambda: uuid.UUID(int=1)",),
    "uuid.uuid1": ("lambda: uuid.UUID(int=1)",),
}
"""What of the standard library is another thing every time, or elsewhere, and what a test lets it
be. Not ``os.name``: pytest itself asks for that."""
_CLOCK = re.compile(r"_?(utc_?)?(now|today)")
_CLOCKS = ("lambda: datetime.datetime(2024, 1, 31, 12, 30)", "lambda: datetime.date(2024, 1, 31)")

_NOW = "now=datetime.datetime(2024, 1, 31, 12, 30)"
_DATES = {
    "datetime": {
        "now": f"lambda tz=None, {_NOW}: now.replace(tzinfo=tz)",
        "utcnow": f"lambda {_NOW}: now",
        "today": f"lambda {_NOW}: now",
    },
    "date": {"today": "lambda today=datetime.date(2024, 1, 31): today"},
}


class Circumstance(NamedTuple):
    """One of them, with values to try: the likeliest first."""

    name: str
    pool: Sequence[Source]

    def others(self, argument: Argument) -> list[Argument | None]:
        """Return what may not make a difference where a test need not set it; None leaves it."""
        if self.name in _ASKING:
            return [None]  # where `mislead` lets nobody read it
        if "." not in self.name:
            return [None, argument._replace(source=_UNSET)]
        values = [each for each in self.pool if each != argument.source]
        return [None, *(argument._replace(source=each) for each in values[:2])]


def of(function: FunctionType, owner: type | None, module: Any) -> list[Circumstance]:
    """Return those that a function asks for, itself or by others of its module and class."""
    methods = {name: each for kind in getattr(owner, "__mro__", ())[::-1]
               for name, each in vars(kind).items() if isinstance(each, FunctionType)}  # fmt: skip
    codes = _reached(function.__code__, {**methods, **vars(module)})
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
        pool = [_UNSET, *(Source(repr(each)) for each in ("1", "", "abc", *values))]
        found += [Circumstance(name, pool) for name in asked]
    return [*found, *islice(_seams(names, module), _MOST_SEAMS)]


def _seams(names: Collection[str], module: Any) -> Iterator[Circumstance]:
    """Yield what names in a module's functions lead to that a test can exchange."""
    held = {name: vars(module)[name] for name in sorted(names) if name in vars(module)}
    for dotted, texts in _SEAMS.items():
        root, _, last = dotted.partition(".")
        there = sys.modules.get(root)
        imports = frozenset({"import uuid"} if root == "uuid" else ())
        pool = [Source(text, imports) for text in texts]
        if last in names and there is not None and any(each is there for each in held.values()):
            yield Circumstance(dotted, pool)
        for name, value in held.items():
            if callable(value) and value is getattr(there, last, None):
                yield Circumstance(f"{module.__name__}.{name}", pool)
    for name, value in held.items():
        pool = [Source(text, frozenset({"import datetime"})) for text in _CLOCKS]
        is_clock = isinstance(value, FunctionType) and _CLOCK.fullmatch(name)
        if is_clock and value.__code__.co_argcount == 0:
            yield Circumstance(f"{module.__name__}.{name}", pool)
        for kind, asked in _DATES.items():
            methods = [method for method in asked if method in names]
            made = [Source(_fixed(kind, methods, asked), frozenset({"import datetime"}))]
            if methods and value is datetime and kind in names:
                yield Circumstance(f"datetime.{kind}", made)
            elif methods and value is getattr(datetime, kind):
                yield Circumstance(f"{module.__name__}.{name}", made)


def _fixed(kind: str, methods: Sequence[str], bodies: Mapping[str, str]) -> str:
    """Write a class of dates on which it is always the same moment."""
    fixed = ", ".join(f"{each!r}: {bodies[each]}" for each in methods)
    return f"type('Fixed', (datetime.{kind},), {{{fixed}}})"


def statement(argument: Argument) -> str:
    """Return how a test sets one; a variable that is None is not set."""
    value = argument.source.text
    if "." in argument.name:
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
        elif "." not in each.name:
            os.environ[each.name] = "another value"


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
