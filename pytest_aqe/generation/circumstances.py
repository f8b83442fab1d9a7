"""What a function finds besides its arguments: the command line, the environment, the clock.

A test sets them by pytest's ``monkeypatch``. Which they may be is found in the code of the
function and of those of its module that it calls; which variables it asks for is seen.
"""

from __future__ import annotations

import datetime
import dis
import os
import pkgutil
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from types import CodeType, FrameType, FunctionType
from typing import Any, NamedTuple

from pytest_aqe.generation import files
from pytest_aqe.generation.harvest import Argument
from pytest_aqe.generation.values import Source

FIXTURE = "monkeypatch"
COMMAND, _INPUT = "sys.argv", "sys.stdin"
_MOST_CODES = 60  # functions that are looked at
_MOST_WORDS = 24
_MOST_VARIABLES = 3
_MOST_SEAMS = 6
_ASKING = {
    COMMAND: frozenset({"argv", "parse_args", "parse_known_args"}),
    _INPUT: frozenset({"stdin", "input"}),
}
_MAKING = ("__init__", "__new__", "__post_init__")
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
    "time.sleep": ("lambda *args: None",),
    "random.random": ("lambda: 0.0", "lambda: 0.5", "lambda: 0.99"),
    "random.randint": ("lambda low, high: low", "lambda low, high: high"),
    "random.randrange": ("lambda *limits: 0", "lambda *limits: 1"),
    "random.uniform": ("lambda low, high: low", "lambda low, high: high"),
    "random.choice": ("lambda items: items[0]", "lambda items: items[-1]"),
    "random.choices": ("lambda items, *args, k=1, **kwargs: [items[0]] * k",),
    "random.sample": ("lambda items, k, **kwargs: list(items)[:k]",),
    "random.shuffle": ("lambda items: items.reverse()",),
    "os.urandom": ("lambda size: b'a' * size",),
    "os.cpu_count": ("lambda: 4", "lambda: None"),
    "os.getpid": ("lambda: 7",),
    "sys.platform": ("'linux'", "'win32'", "'darwin'"),
    "platform.system": ("lambda: 'Linux'", "lambda: 'Windows'", "lambda: 'Darwin'"),
    "platform.node": ("lambda: 'somewhere'",),
    "socket.gethostname": ("lambda: 'somewhere'",),
    "getpass.getuser": ("lambda: 'somebody'",),
    "getpass.getpass": ("lambda *args, **kwargs: 'abc'", "lambda *args, **kwargs: ''"),
    "shutil.which": (
        "lambda *args, **kwargs: None",
        "lambda name, *args, **kwargs: '/bin/' + name",
    ),
    "uuid.uuid4": ("lambda: uuid.UUID(int=1)",),
    "uuid.uuid1": ("lambda: uuid.UUID(int=1)",),
}
"""What of the standard library is another thing every time, or elsewhere, and what a test lets it
be. Not ``os.name``: pytest itself asks for that."""
_CLOCK = re.compile(r"_?(utc_?)?(now|today)")
_CLOCKS = {
    datetime.datetime: "lambda: datetime.datetime(2024, 1, 31, 12, 30)",
    datetime.date: "lambda: datetime.date(2024, 1, 31)",
}
FIXED = "Fixed"  # a class of dates in a test: what shows its name is about the test
_DATES = {
    "datetime": {
        "now": "lambda tz=None, now={}: now.replace(tzinfo=tz)",
        "utcnow": "lambda now={}: now",
        "today": "lambda now={}: now",
    },
    "date": {"today": "lambda today={}: today"},
}
# another year, month, day, hour and weekday
_MOMENTS = {"datetime": ("2024, 1, 31, 12, 30", "1999, 12, 3, 6, 5"),
            "date": ("2024, 1, 31", "1999, 12, 3")}  # fmt: skip


_OTHER_COMMANDS = (Source("['third-program']"), Source("['fourth-program', '1']"))


class Circumstance(NamedTuple):
    """One of them, with values to try: the likeliest first."""

    name: str
    pool: Sequence[Source]

    def others(self, argument: Argument) -> list[Argument | None]:
        """Return what may not make a difference where a test need not set it; None leaves it."""
        if self.name == _INPUT:
            return [None]  # where `mislead` lets nobody read it
        if self.name == COMMAND:
            return [None, *(argument._replace(source=each) for each in _OTHER_COMMANDS)]
        if is_variable(self.name):
            return []  # it was asked for
        values = [each for each in self.pool if each != argument.source]
        return [None, *(argument._replace(source=each) for each in values[:2])]

    @property
    def is_seam(self) -> bool:
        """Tell what a call has without a test, too: the clock, chance, the platform."""
        return is_seam(self.name)


def is_seam(name: str) -> bool:
    """Tell what a call has without a test, too, by its name."""
    return "." in name and name not in _ASKING


def is_date(name: str) -> bool:
    """Tell a class of dates, by its name; what depends on it shows at another date, too."""
    return name.rpartition(".")[2] in _DATES


def is_variable(name: str) -> bool:
    """Tell a variable of the environment by its name."""
    return "." not in name


def variable(name: str, words: Iterable[str] = ()) -> Circumstance:
    """Return a variable of the environment, with values to try."""
    return Circumstance(name, [_UNSET, *(Source(repr(each)) for each in ("1", "", "abc", *words))])


def any_command() -> Circumstance:
    """Return the command line of which nothing is known."""
    return Circumstance(COMMAND, list(_commands([])))


def command(words: Iterable[str]) -> Argument:
    """Return a command line: the name of a program, and what follows as source text."""
    return Argument(COMMAND, "=", Source(f"[{', '.join([repr('prog'), *words])}]"))


def unset(name: str) -> Argument:
    """Return a variable of the environment that is not set."""
    return Argument(name, "=", _UNSET)


class Variables:
    """Sees which variables of the environment code asks for that is not the standard library's."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    def install(self) -> None:
        """See it from now on; the process is a fork that ends with this."""
        plain = type(os.environ)

        def asked(environ: os._Environ[str], name: str) -> str:
            # what begins so is a program's own affair: completion in a shell
            if not name.startswith("_") and name not in self.asked and _asks(sys._getframe(1)):
                self.asked.add(name)
            return plain.__getitem__(environ, name)

        os.environ.__class__ = type("Environ", (plain,), {"__getitem__": asked})


def _asks(frame: FrameType | None) -> bool:
    """Tell whether it was asked for by no module of the standard library, but by way of `os`."""
    while frame is not None and frame.f_globals.get("__name__") in ("os", "collections.abc"):
        frame = frame.f_back
    name = str(frame.f_globals.get("__name__", "")) if frame is not None else "os"
    return name.partition(".")[0] not in sys.stdlib_module_names


def of(function: FunctionType, owner: type | None, module: Any) -> list[Circumstance]:
    """Return those that a function asks for, itself or by others of its module and class."""
    methods = {name: each for kind in getattr(owner, "__mro__", ())[::-1]
               for name, each in vars(kind).items() if type(each) is FunctionType}  # fmt: skip
    making = [methods[name].__code__ for name in _MAKING if name in methods]
    codes = _reached([function.__code__, *making], {**methods, **vars(module)})
    names = {name for code in codes for name in code.co_names}
    texts = dict.fromkeys(text for code in codes for text in _texts(code.co_consts))
    words = [text for text in texts if _WORD.fullmatch(text)][:_MOST_WORDS]
    found = []
    if names & _ASKING[COMMAND]:
        found.append(Circumstance(COMMAND, list(_commands(words))))
    if names & _ASKING[_INPUT]:
        found.append(Circumstance(_INPUT, _INPUTS))
    if not names.isdisjoint({"environ", "getenv"}):
        asked = [text for text in texts if _VARIABLE.fullmatch(text)][:_MOST_VARIABLES]
        values = [word for word in words if word not in asked][:6]
        found += [variable(name, values) for name in asked]
    seams = _seams(codes, names, module)
    return [*found, *islice(seams, _MOST_SEAMS)]


def _seams(
    codes: Sequence[CodeType], names: Collection[str], module: Any
) -> Iterator[Circumstance]:
    """Yield what names in a module's functions lead to that a test can exchange.

    A module that its package hides behind a name of its own has no path for ``monkeypatch``.
    """
    held = {name: vars(module)[name] for name in sorted(names) if name in vars(module)}
    is_found = _named(module.__name__) is module
    for dotted, texts in _SEAMS.items():
        root, _, last = dotted.partition(".")
        there = sys.modules.get(root)
        imports = frozenset({"import uuid"} if root == "uuid" else ())
        pool = [Source(text, imports) for text in texts]
        holds = there is not None and any(each is there for each in held.values())
        if holds and last in names and (root != last or any(_reads(each, last) for each in codes)):
            yield Circumstance(dotted, pool)
        for name, value in held.items():
            if is_found and there is not None and value is getattr(there, last, held):
                yield Circumstance(f"{module.__name__}.{name}", pool)
    for name, value in held.items():
        if type(value) is FunctionType and _CLOCK.fullmatch(name) and is_found:
            told = _told_by(value) if value.__code__ is not codes[0] else ""
            if told:
                pool = [Source(told, frozenset({"import datetime"}))]
                yield Circumstance(f"{module.__name__}.{name}", pool)
        for kind, asked in _DATES.items():
            methods = [method for method in asked if method in names]
            made = list(_fixed(kind, methods))
            if methods and value is datetime and kind in names:
                yield Circumstance(f"datetime.{kind}", made)
            elif methods and is_found and value is getattr(datetime, kind):
                yield Circumstance(f"{module.__name__}.{name}", made)


def _named(path: str) -> object:
    try:
        return pkgutil.resolve_name(path)
    except (ImportError, AttributeError, ValueError):
        return None


def _reads(code: CodeType, attribute: str) -> bool:
    """Tell whether an attribute of a name is read that is a global name, too."""
    return any(
        each.opname in ("LOAD_ATTR", "LOAD_METHOD") and each.argval == attribute
        for each in (dis.get_instructions(code) if attribute in code.co_names else ())
    )


def _told_by(clock: FunctionType) -> str:
    """Return what stands in for a project's own clock, by what it tells when asked once."""
    try:
        kind = type(clock())
    except Exception:  # it takes something, or needs what is not there
        return ""
    return next((text for known, text in _CLOCKS.items() if kind is known), "")


def _fixed(kind: str, methods: Sequence[str]) -> Iterator[Source]:
    """Write classes of dates on which it is always the same moment."""
    for moment in _MOMENTS[kind]:
        now = f"datetime.{kind}({moment})"
        bodies = ", ".join(f"{each!r}: {_DATES[kind][each].format(now)}" for each in methods)
        text = f"type({FIXED!r}, (datetime.{kind},), {{{bodies}}})"
        yield Source(text, frozenset({"import datetime"}))


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
        if each.name == COMMAND:
            sys.argv = ["another-program", "--another-option"]
        elif each.name == _INPUT:
            sys.stdin = None


def fits(argument: Argument, namespace: dict[str, Any]) -> bool:
    """Tell whether a value can be set there: texts alone, which a mutation may have changed."""
    if is_seam(argument.name) or argument.name == _INPUT:
        return True
    value = argument.source.value(namespace)
    if argument.name == COMMAND:
        return type(value) is list and all(type(each) is str for each in value)
    return value is None or type(value) is str


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


def _reached(begun: Sequence[CodeType], names: dict[str, Any]) -> list[CodeType]:
    """Return functions' code and, as far as names tell, that of whatever they call there."""
    found: dict[CodeType, None] = {}
    waiting = [*begun]
    while waiting and len(found) < _MOST_CODES:
        each = waiting.pop(0)
        if each in found:
            continue
        found[each] = None
        waiting += [inner for inner in each.co_consts if isinstance(inner, CodeType)]
        for name in each.co_names:
            named = names.get(name)
            held = vars(named).values() if issubclass(type(named), type) else (named,)
            waiting += [
                other.__code__
                for other in held
                if type(other) is FunctionType
                and other.__code__.co_filename == begun[0].co_filename
            ]
    return list(found)


def _texts(constants: Iterable[Any]) -> Iterator[str]:
    for each in constants:
        if isinstance(each, str):
            yield each
        elif isinstance(each, (tuple, frozenset)):
            yield from _texts(each)
