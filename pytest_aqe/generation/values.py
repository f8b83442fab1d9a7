"""Values as source text that makes them again, for tests that people read.

What cannot be written down is refused, never approximated. Text that looks like a secret is
refused too: it would end in a file.
"""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import fractions
import functools
import io
import math
import os
import pathlib
import re
import sys
import sysconfig
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from types import BuiltinFunctionType, CodeType, FunctionType
from typing import Any, NamedTuple, TypeGuard, TypeVar

from pytest_aqe.generation.job import SCRATCH

MOST_ITEMS = 25
DEEPEST = 5
LONGEST_TEXT = 400  # characters of a text's repr
LONGEST = 600  # of a whole expression
LARGEST = 10**40

_T = TypeVar("_T")

SECRET = re.compile(
    r"AKIA[0-9A-Z]{12,}|gh[pousr]_[A-Za-z0-9]{20,}|xox[abpr]-[A-Za-z0-9-]{10,}"
    r"|(?<![A-Za-z])(?:sk-[\w-]{16,}|[rs]k[-_](?:live|test|proj|ant)[-_][\w-]{4,})"
    r"|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]+|eyJ[\w-]{20,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----(?:(?:.|\n)*?-----END [A-Z ]*PRIVATE KEY-----)?"
)
"""What looks like a secret by its shape, in any text."""
_SECRET_WORD = re.compile(r"(?i)passw|secret|token|api[_-]?key|credential|bearer |-----BEGIN")
_ENTROPY = re.compile(r"^(?=.*[a-z])(?=.*[A-Z])(?=.*\d)[A-Za-z0-9+/_=-]{32,}$")


def here(*folders: str) -> tuple[str, ...]:
    """Return what the source of a value must not hold, for it is another text elsewhere.

    ``folders`` are where the project lies and where a process works. The name of one directly
    below the root, as ``/app``, is a word like others: of such a one what is in it counts.
    """
    found = [sys.executable, sys.version, sys.prefix, sys.base_prefix]
    found += [sysconfig.get_path(each) for each in ("stdlib", "purelib", "platlib")]
    found += [str(pathlib.Path(__file__).parent)]
    for each in (os.path.expanduser("~"), *folders):  # noqa: PTH111  # raises nothing
        found += [each, os.path.realpath(each)]
    words = {_words(form) for each in found for form in (each, repr(os.fsencode(each))[2:-1])}
    for each in folders:
        if not _NAME.fullmatch(each):
            continue
        with suppress(OSError):
            words |= {_words(f"{each}/{name}") for name in os.listdir(each)}  # noqa: PTH208
    return tuple(sorted(each for each in words - _COMMON if each.count("/") > _ONE))


def is_local(text: str, local: Sequence[str]) -> bool:
    """Tell whether source text is another one on another machine: `here` returns ``local``.

    Whole words count, whatever stands between them: a path may have been split.
    """
    words = _words(text)
    return SCRATCH in text or any(each in words for each in local)


def _words(text: str) -> str:
    return f"/{_NO_WORD.sub('/', text.casefold()).strip('/')}/"


_NAME = re.compile(r"/\w+/?")
_NO_WORD = re.compile(r"\W+")
_ONE = 2  # slashes around a single word
_COMMON = frozenset({"/usr/bin/", "/usr/local/"})  # what is no folder of one machine alone


class Source(NamedTuple):
    """An expression and the import statements it needs."""

    text: str
    imports: frozenset[str] = frozenset()

    def value(self, namespace: dict[str, Any]) -> Any:
        """Evaluate it; names come from its imports, kept in ``namespace``."""
        for statement in self.imports:
            if statement not in namespace:
                exec(statement, namespace)
                namespace[statement] = True
        return eval(_compiled(self.text), namespace)


@functools.lru_cache(1024)  # receivers are made again for every call
def _compiled(text: str) -> CodeType:
    return compile(text.lstrip(" \t"), "<string>", "eval", dont_inherit=True)


def is_a(value: object, kind: type[_T]) -> TypeGuard[_T]:
    """Tell by its type alone: an object of a module may raise where it is asked for its class."""
    return issubclass(type(value), kind)


def public(value: Any) -> str:
    """Return the module by which people know a class or function: not the one written in C."""
    module = str(value.__module__)
    other = sys.modules.get(module.lstrip("_"))
    known = getattr(other, value.__qualname__.partition(".")[0], None)
    return module.lstrip("_") if known is not None and known is value else module


class Refused(Exception):
    """A value that cannot be written down."""


Recipe = Callable[[object], Source | None]


class Writer:
    """Write values. ``recipe`` tells how an object of the project was made, if that was seen."""

    def __init__(
        self,
        packages: frozenset[str],
        recipe: Recipe = lambda _: None,
        local: tuple[str, ...] | None = None,
    ) -> None:
        """``local`` is what `here` returns: a text that names it holds on this machine only."""
        self._packages = packages
        self._recipe = recipe
        self._here = here() if local is None else local
        self._imports: set[str] = set()

    def write(self, value: object) -> Source | None:
        """Return the source of a value, or None where there is none."""
        self._imports = set()
        try:
            text = self._write(value, 0)
        except (Refused, RecursionError):
            return None
        except Exception:  # a __repr__ or a property of the project's may raise anything
            return None
        if len(text) > LONGEST or self.is_local(text):
            return None
        return Source(text, frozenset(self._imports))

    def _write(self, value: object, depth: int) -> str:
        if depth > DEEPEST:
            raise Refused
        kind = type(value)
        if value is None or value is Ellipsis or value is NotImplemented or kind is bool:
            return repr(value)
        writer = _WRITERS.get(kind)
        if writer is not None:
            return writer(self, value, depth)
        if isinstance(value, enum.Enum):
            return f"{self._named(kind)}.{value.name}"
        recipe = self._recipe(value)
        if recipe is not None:
            self._imports |= recipe.imports
            return recipe.text
        if isinstance(value, type):
            return self._named(value)
        if isinstance(value, (FunctionType, BuiltinFunctionType)):
            return self._named(value)
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return f"{self._named(kind)}({', '.join(self._write(v, depth + 1) for v in value)})"
        if isinstance(value, pathlib.PurePath):
            self._imports.add("import pathlib")
            return f"pathlib.{kind.__name__}({str(value)!r})"
        if is_dataclass(value):
            given = (f"{f.name}={self._write(getattr(value, f.name), depth + 1)}"
                     for f in fields(value) if f.init)  # fmt: skip
            return f"{self._named(kind)}({', '.join(given)})"
        if isinstance(value, BaseException) and kind.__module__ == "builtins":
            return f"{kind.__name__}({', '.join(self._write(a, depth + 1) for a in value.args)})"
        raise Refused

    def _named(self, value: Any) -> str:
        """Return a name under which a class or function can be imported."""
        module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", "")
        if not module or "<" in name or module == "__main__":
            raise Refused
        if module == "builtins":
            return str(name)
        root = module.partition(".")[0]
        if root not in self._packages and root not in sys.stdlib_module_names:
            raise Refused
        found: Any = sys.modules.get(module)
        for part in name.split("."):
            found = getattr(found, part, None)
        if found is not value:
            raise Refused
        first = name.partition(".")[0]
        if root in self._packages:
            self._imports.add(f"from {module} import {first}")
            return str(name)
        module = public(value)
        self._imports.add(f"import {module}")
        return f"{module}.{name}"

    def is_local(self, text: str) -> bool:
        """Tell whether source text is another one on another machine, or in another process."""
        return is_local(text, self._here)

    def _text(self, value: Any, depth: int) -> str:
        text = repr(value)
        if len(text) > LONGEST_TEXT or _is_secret(_characters(value)):
            raise Refused
        return text

    def _integer(self, value: Any, depth: int) -> str:
        if abs(value) > LARGEST:
            raise Refused
        return repr(value)

    def _float(self, value: Any, depth: int) -> str:
        return repr(value) if math.isfinite(value) else f'float("{value}")'

    def _complex(self, value: Any, depth: int) -> str:
        return repr(value)

    def _items(self, value: Any, depth: int) -> str:
        if len(value) > MOST_ITEMS:
            raise Refused
        return ", ".join(self._write(each, depth + 1) for each in value)

    def _list(self, value: Any, depth: int) -> str:
        return f"[{self._items(value, depth)}]"

    def _tuple(self, value: Any, depth: int) -> str:
        return f"({self._items(value, depth)}{',' if len(value) == 1 else ''})"

    def _set(self, value: Any, depth: int) -> str:
        items = self._items(sorted(value, key=repr), depth)
        if type(value) is frozenset:
            return f"frozenset({{{items}}})" if value else "frozenset()"
        return f"{{{items}}}" if value else "set()"

    def _dict(self, value: Any, depth: int) -> str:
        if len(value) > MOST_ITEMS:
            raise Refused
        items = (f"{self._write(k, depth + 1)}: {self._write(v, depth + 1)}"
                 for k, v in value.items())  # fmt: skip
        return f"{{{', '.join(items)}}}"

    def _by_module(self, value: Any, depth: int) -> str:
        module = type(value).__module__.partition(".")[0]
        self._imports.add(f"import {module}")
        text = repr(value)
        return text if text.startswith(f"{module}.") else f"{module}.{text}"

    def _pattern(self, value: Any, depth: int) -> str:
        self._imports.add("import re")
        flags = value.flags & ~re.UNICODE.value
        return f"re.compile({value.pattern!r}{f', {flags}' if flags else ''})"

    def _plain(self, value: Any, depth: int) -> str:
        return repr(value)

    def _slice(self, value: Any, depth: int) -> str:
        parts = (self._write(each, depth + 1) for each in (value.start, value.stop, value.step))
        return f"slice({', '.join(parts)})"

    def _collection(self, value: Any, depth: int) -> str:
        self._imports.add("import collections")
        name = type(value).__name__
        if isinstance(value, collections.defaultdict):
            factory = self._write(value.default_factory, depth + 1)
            return f"collections.defaultdict({factory}, {self._dict(dict(value), depth)})"
        if isinstance(value, collections.deque):
            return f"collections.deque([{self._items(value, depth)}])"
        if isinstance(value, collections.OrderedDict):
            pairs = (self._write(pair, depth + 1) for pair in value.items())
            return f"collections.OrderedDict([{', '.join(pairs)}])"
        return f"collections.{name}({self._dict(dict(value), depth)})"

    def _stream(self, value: Any, depth: int) -> str:
        self._imports.add("import io")
        return f"io.{type(value).__name__}({self._text(value.getvalue(), depth)})"


_WRITERS: dict[type, Callable[[Writer, Any, int], str]] = {
    str: Writer._text,
    bytes: Writer._text,
    bytearray: Writer._plain,
    int: Writer._integer,
    float: Writer._float,
    complex: Writer._complex,
    list: Writer._list,
    tuple: Writer._tuple,
    set: Writer._set,
    frozenset: Writer._set,
    dict: Writer._dict,
    range: Writer._plain,
    slice: Writer._slice,
    datetime.datetime: Writer._by_module,
    datetime.date: Writer._by_module,
    datetime.time: Writer._by_module,
    datetime.timedelta: Writer._by_module,
    datetime.timezone: Writer._by_module,
    decimal.Decimal: Writer._by_module,
    fractions.Fraction: Writer._by_module,
    uuid.UUID: Writer._by_module,
    re.Pattern: Writer._pattern,
    collections.OrderedDict: Writer._collection,
    collections.defaultdict: Writer._collection,
    collections.Counter: Writer._collection,
    collections.deque: Writer._collection,
    io.StringIO: Writer._stream,
    io.BytesIO: Writer._stream,
}


def _is_secret(text: str) -> bool:
    return any(
        found is not None
        for found in (_SECRET_WORD.search(text), SECRET.search(text), _ENTROPY.match(text))
    )


def _characters(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def same(first: object, second: object) -> bool:
    """Tell whether two values are equal, of one type, nan included."""
    if type(first) is not type(second):
        return False
    if isinstance(first, float) and isinstance(second, float):
        return first == second or (math.isnan(first) and math.isnan(second))
    if isinstance(first, (list, tuple)) and isinstance(second, (list, tuple)):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, (re.Pattern, io.StringIO, io.BytesIO)):
        return True  # they compare by identity, and are written from their content
    try:
        return bool(first == second)
    except Exception:
        return False
