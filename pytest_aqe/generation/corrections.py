"""What an error says that an argument should have been.

Python names the type that would not do and what was asked of it: ``'int' object is not
iterable``. That is tried next in the place of every argument of that type, as a person would.
A key that was not found is exchanged for one of those that are there.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from pytest_aqe.generation.pools import BOUNDARIES
from pytest_aqe.generation.values import Source

MOST = 4  # values of one kind that are tried
MOST_KEYS = 8  # of one dictionary
_LARGE = 1000  # keys: a table of data, not of choices

_PAIRS = (Source("[(1, 'a'), (2, 'b')]"), Source("{'a': 1, 'b': 2}"))
_SAID: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"'(\w+)' object is not iterable", ("list", "str", "dict", "tuple")),
    (r"argument of type '(\w+)' is not", ("list", "str", "dict")),
    (r"'(\w+)' object is not callable", ("callable",)),
    (r"'(\w+)' object is not subscriptable", ("list", "dict", "str")),
    (r"'(\w+)' object is not a mapping", ("dict",)),
    (r"must be a mapping, not (\w+)", ("dict",)),
    (r"'(\w+)' object does not support item", ("list", "dict")),
    (r"'(\w+)' object is not an iterator", ("iterator", "stream")),
    (r"object of type '(\w+)' has no len", ("list", "str", "dict")),
    (r"'(\w+)' object cannot be interpreted as an integer", ("int",)),
    (r"unhashable type: '(\w+)'", ("str", "int", "tuple")),
    (r"cannot create weak reference to '(\w+)' object", ("callable", "type")),
    (r"expected str, bytes or os.PathLike object, not (\w+)", ("str", "path")),
    (r"expected string or bytes-like object(?:, got '(\w+)')?", ("str", "bytes")),
    (r"a bytes-like object is required, not '(\w+)'", ("bytes",)),
    (r"must be str, not (\w+)", ("str",)),
    (r"must be real number, not (\w+)", ("float", "int")),
    (r"can only concatenate str \(not \"(\w+)\"\)", ("str",)),
    (r"can only concatenate list \(not \"(\w+)\"\)", ("list",)),
    (r"not supported between instances of '(\w+)' and", ("int", "str")),
    (r"not supported between instances of '\w+' and '(\w+)'", ("int", "str")),
    (r"unsupported operand type\(s\) for .*: '(\w+)' and", ("int", "float", "str", "list")),
    (r"unsupported operand type\(s\) for .*: '\w+' and '(\w+)'", ("int", "float", "str", "list")),
)
# compiled here, once for all forks
_MESSAGES = tuple((re.compile(pattern), kinds) for pattern, kinds in _SAID)
_EXTRA = {
    "iterator": [Source("iter([1, 2, 3])"), Source("iter(['a', 'b'])")],
    "type": [Source("int"), Source("dict")],
}
_ATTRIBUTE = re.compile(r"'(\w+)' object has no attribute '(\w+)'")
_UNPACKED = re.compile(r"values to unpack|cannot unpack non-iterable|update sequence element")
_PLAIN = ("str", "int", "float", "list", "tuple", "NoneType", "bool", "dict", "set", "bytes")


@dataclass(frozen=True, slots=True)
class Correction:
    """Values to be tried in the place of those whose type has this name."""

    kind: str
    values: tuple[Source, ...]


def corrections(error: BaseException) -> Iterator[Correction]:
    """Yield what an error of Python's own suggests; nothing for any other."""
    try:
        message = str(error)
    except Exception:  # a __str__ of the project's may raise anything
        return
    if not isinstance(error, (TypeError, AttributeError, ValueError)):
        return
    for pattern, kinds in _MESSAGES:
        found = pattern.search(message)
        if found is not None:
            values = [each for kind in kinds for each in _of(kind)[:MOST]]
            for kind in [found[1]] if found[1] else _PLAIN:  # before Python 3.11 not every one
                yield Correction(kind, tuple(values))
    attribute = _ATTRIBUTE.search(message)
    if attribute is not None:
        yield Correction(attribute[1], tuple(_having(attribute[2])))
    if _UNPACKED.search(message):
        for kind in _PLAIN:
            yield Correction(kind, _PAIRS)


def looked_up(error: BaseException) -> Iterator[tuple[object, object]]:
    """Yield a key that was not found, and each that is in a dictionary of who looked for it."""
    trace = error.__traceback__
    if type(error) is not KeyError or not error.args or trace is None:
        return
    while trace.tb_next is not None:
        trace = trace.tb_next
    frame, key = trace.tb_frame, error.args[0]
    known = {**frame.f_globals, **frame.f_locals}
    of_this_machine = set(os.environ)
    for name in dict.fromkeys([*frame.f_locals, *frame.f_code.co_names]):
        held = known.get(name)
        for each in (held, *(_attributes(held) if name == "self" else ())):
            if type(each) is dict and len(each) <= _LARGE:
                likely = (other for other in list(each) if type(other) is type(key))
                others = (other for other in likely if other not in of_this_machine)
                yield from ((key, other) for other in islice(others, MOST_KEYS))


def _attributes(value: object) -> Iterable[object]:
    try:
        return list(object.__getattribute__(value, "__dict__").values())
    except Exception:  # it is an object of the project's
        return ()


def _of(kind: str) -> list[Source]:
    return BOUNDARIES.get(kind) or _EXTRA[kind]


@functools.cache
def _having(attribute: str) -> list[Source]:
    """Return values with an attribute, the first two of every type."""
    namespace: dict[str, object] = {}
    return [
        source
        for kind, sources in BOUNDARIES.items()
        if kind != "file" and hasattr(sources[0].value(namespace), attribute)
        for source in sources[:2]
    ]
