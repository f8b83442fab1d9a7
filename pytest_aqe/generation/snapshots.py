"""What a call did, as assertions that a person would write: short, exact, the same every time."""

from __future__ import annotations

import math
import re
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from pytest_aqe.generation.values import SECRET, Source, Writer, public, same

NONE, SHAPE, VALUE = range(3)
"""How much assertions say: nothing but None, a length or a type, a value."""

_MOST_ATTRIBUTES = 4
_LONGEST_REPR = 300
_LONGEST_OUTPUT = 500
_LONGER = re.compile(
    r"0x[0-9a-fA-F]{4,}"  # an address, which may have fewer digits next time
    r"|\(choose from "  # of argparse, with quotes or without them by its version
)
_ADDRESS = re.compile(
    rf"{_LONGER.pattern}|<locals>|<lambda>|\bid=\d{6}"
    r"|aqe-trial-"  # where it ran
    r"|\{[^{}:]*['\"][^{}:]*,[^{}:]*\}"  # a set of texts is shown in any order
)
_NO_LETTER = re.compile(r"[^A-Za-z]")
_SPELLED = "aqetrial"  # where it ran, letter by letter


@dataclass(frozen=True, slots=True)
class Seen:
    """Assertions about a value. ``expected`` is set where one comparison says it all."""

    lines: tuple[str, ...]
    strength: int
    imports: frozenset[str] = frozenset()
    expected: Source | None = None
    form: str = ""


def assertions(text: str, value: object, writer: Writer, namespace: dict[str, Any]) -> Seen:
    """Return assertions about the value of the expression ``text``.

    Several of them, or a value that is looked at twice, go through a name.
    """
    if value is None:
        return Seen((f"assert {text} is None",), NONE, expected=Source("None"), form="is")
    if value is True or value is False:
        source = Source(repr(value))
        return Seen((f"assert {text} is {value}",), VALUE, expected=source, form="is")
    if isinstance(value, float) and type(value) is float:
        return _number(text, value)
    written = _written(value, writer, namespace)
    if written is not None:
        return Seen((f"assert {text} == {written.text}",), VALUE, written.imports, written, "==")
    return _object(text, value, writer, namespace)


def _number(text: str, value: float) -> Seen:
    if math.isnan(value):
        return Seen((f"assert math.isnan({text})",), SHAPE, frozenset({"import math"}))
    if math.isinf(value) or value.is_integer():
        source = Source(repr(value) if math.isfinite(value) else f'float("{value}")')
    else:
        source = Source(f"pytest.approx({value!r})", frozenset({"import pytest"}))
    return Seen((f"assert {text} == {source.text}",), VALUE, source.imports, source, "==")


def _written(value: object, writer: Writer, namespace: dict[str, Any]) -> Source | None:
    """Return a value's source where that gives an equal value back."""
    source = writer.write(value)
    if source is None or (isinstance(value, (str, bytes)) and _ADDRESS.search(source.text)):
        return None
    try:
        again = source.value(namespace)
        if same(value, again) and bool(value == again):
            return source
    except Exception:
        return None
    return None


def _object(text: str, value: object, writer: Writer, namespace: dict[str, Any]) -> Seen:
    """Look at what an object shows: its content, its text, its attributes, its length."""
    content = _content(value)
    if content is not None:
        name, plain = content
        source = _written(plain, writer, namespace)
        if source is not None:
            return Seen(
                (f"assert {name}({text}) == {source.text}",),
                VALUE if plain else SHAPE,
                source.imports,
                source,
                f"{name}==",
            )
    shown = _repr(value)
    if shown is not None and not writer.is_local(shown):
        return Seen(
            (f"assert repr({text}) == {shown!r}",), VALUE, expected=Source(repr(shown)), form="repr"
        )
    if isinstance(value, PurePath) and writer.is_local(repr(str(value.parent))):
        last = Source(repr(value.name))  # what is above it is another folder elsewhere
        if not writer.is_local(last.text) and not _is_unfit(last.text):
            return Seen((f"assert {text}.name == {last.text}",), VALUE, expected=last, form="name")
    lines: list[str] = []
    imports: set[str] = set()
    for name, inner in _attributes(value):
        if isinstance(inner, (types.FunctionType, types.MethodType, type)):
            continue
        source = _written(inner, writer, namespace)
        if source is None:
            continue
        lines.append(_compared(f"result.{name}", source, inner))
        imports |= source.imports
        if "pytest." in lines[-1]:
            imports.add("import pytest")
        if len(lines) == _MOST_ATTRIBUTES:
            break
    if lines:
        return Seen((f"result = {text}", *lines), VALUE, frozenset(imports))
    kind = Seen((f"assert type({text}).__name__ == {type(value).__name__!r}",), NONE)
    if isinstance(value, (str, bytes)) and (
        writer.is_local(repr(value)) or _LONGER.search(repr(value))
    ):
        return kind
    try:
        return Seen((f"assert len({text}) == {len(value)}",), SHAPE)  # type: ignore[arg-type]
    except Exception:
        return kind


def _compared(text: str, source: Source, value: object) -> str:
    if value is None or isinstance(value, bool):
        return f"assert {text} is {source.text}"
    if isinstance(value, float) and math.isfinite(value) and not value.is_integer():
        return f"assert {text} == pytest.approx({source.text})"
    return f"assert {text} == {source.text}"


def _content(value: object) -> tuple[str, object] | None:
    """Return how a container of the project shows what it holds."""
    for name, kind in (("dict", dict), ("list", list), ("tuple", tuple), ("set", (set, frozenset))):
        if isinstance(value, kind):
            try:
                return name, {"dict": dict, "list": list, "tuple": tuple, "set": set}[name](value)
            except Exception:
                return None
    return None


def _repr(value: object) -> str | None:
    if type(value).__repr__ is object.__repr__ or isinstance(
        value, (types.FunctionType, types.MethodType, types.ModuleType, type, types.GeneratorType)
    ):
        return None
    try:
        shown = repr(value)
    except Exception:
        return None
    if _is_unfit(shown) or len(shown) > _LONGEST_REPR or "\n" in shown:
        return None
    return shown if type(value).__module__ != "builtins" else None


def _is_unfit(text: str) -> bool:
    """Tell a text that is another one next time, or that must not be repeated."""
    spelled = _SPELLED in _NO_LETTER.sub("", text)
    return spelled or bool(_ADDRESS.search(text) or SECRET.search(text))


def _attributes(value: object) -> Iterator[tuple[str, object]]:
    names = list(getattr(value, "__dict__", ()))
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        names += [slots] if isinstance(slots, str) else list(slots)
    for name in names:
        if not name.startswith("_"):
            try:
                yield name, getattr(value, name)
            except Exception:
                continue


def printed(call: str, output: str, writer: Writer) -> Seen:
    """Assert what a call printed; the test then takes ``capsys``."""
    if len(output) > _LONGEST_OUTPUT or _is_unfit(output) or writer.is_local(repr(output)):
        return Seen((), NONE)
    return Seen((call, f"assert capsys.readouterr().out == {output!r}"), VALUE)


def raised(
    call: str, error: BaseException, packages: frozenset[str], writer: Writer
) -> Seen | None:
    """Assert an exception by its type and the first line of its message."""
    kind = type(error)
    root = kind.__module__.partition(".")[0]
    imports = {"import pytest"}
    if kind.__module__ == "builtins":
        name = kind.__name__
    elif root in packages and "<" not in kind.__qualname__:
        name = kind.__qualname__
        imports.add(f"from {kind.__module__} import {name.partition('.')[0]}")
    else:
        name = f"{public(kind)}.{kind.__qualname__}"
        imports.add(f"import {public(kind)}")
    try:
        message = str(error).splitlines()[0] if str(error) else ""
    except Exception:
        return None
    match = ""
    if message and not _is_unfit(message) and not writer.is_local(repr(message)):
        match = f", match={_pattern(message[:80])}"
    elif name in ("Exception", "BaseException"):
        return None
    return Seen(
        (f"with pytest.raises({name}{match}):", f"    {call}"),
        VALUE if match else SHAPE,
        frozenset(imports),
    )


def _pattern(message: str) -> str:
    escaped = re.escape(message).replace("\\ ", " ").replace("\\'", "'").replace("\\-", "-")
    if "\\" in escaped:
        plain = escaped.isprintable() and not escaped.endswith("\\")
        if plain and '"' not in escaped:
            return f'r"{escaped}"'
        return f"r'{escaped}'" if plain and "'" not in escaped else repr(escaped)
    return f'"{escaped}"' if '"' not in escaped and escaped.isprintable() else repr(escaped)
