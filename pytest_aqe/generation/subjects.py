"""The functions an author can call: how each is reached, and what it takes."""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
import types
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from types import CodeType
from typing import Any, Protocol

from pytest_aqe.generation import commands
from pytest_aqe.generation.harvest import Argument, Place, spelled
from pytest_aqe.generation.values import Source, is_a

_OPERATORS = {
    "__getitem__": "{0}[{1}]", "__contains__": "{1} in {0}", "__eq__": "{0} == {1}",
    "__ne__": "{0} != {1}", "__lt__": "{0} < {1}", "__le__": "{0} <= {1}", "__gt__": "{0} > {1}",
    "__ge__": "{0} >= {1}", "__add__": "{0} + {1}", "__sub__": "{0} - {1}",
    "__mul__": "{0} * {1}", "__truediv__": "{0} / {1}", "__floordiv__": "{0} // {1}",
    "__mod__": "{0} % {1}", "__pow__": "{0} ** {1}", "__and__": "{0} & {1}",
    "__or__": "{0} | {1}", "__xor__": "{0} ^ {1}", "__radd__": "{1} + {0}",
    "__rsub__": "{1} - {0}", "__ror__": "{1} | {0}", "__rand__": "{1} & {0}",
    "__rxor__": "{1} ^ {0}", "__len__": "len({0})", "__repr__": "repr({0})",
    "__str__": "str({0})", "__iter__": "list({0})", "__reversed__": "list(reversed({0}))",
    "__bool__": "bool({0})", "__neg__": "-{0}", "__invert__": "~{0}", "__abs__": "abs({0})",
    "__int__": "int({0})", "__float__": "float({0})", "__next__": "next({0})",
    "__hash__": "len({{{0}, {0}}})",
}  # fmt: skip
MOST_HOLDERS = 3
_UNTESTED = frozenset({"__del__", "__class_getitem__", "__init_subclass__", "__getattribute__",
                       "__reduce__", "__reduce_ex__"})  # fmt: skip
_DESCRIBING = {"__get__": "property", "__set__": "setter"}


@dataclass(frozen=True, slots=True)
class Subject:
    """A function under test.

    ``kind`` is function, method, static, property, setter, making, or command: one of click's,
    whose parameter is the command line.
    """

    name: str
    kind: str
    owner: type | None
    function: Any
    parameters: tuple[inspect.Parameter, ...]
    place: Place
    imports: frozenset[str]
    path: str
    is_async: bool
    levels: int = 0
    """How often what is returned is called in turn, by parameters named by `returned_name`."""
    asks: bool = False
    """Whether a command asks for what it was not given."""

    @property
    def bound(self) -> bool:
        """Tell what is called on an object."""
        return self.kind in ("method", "property", "setter")

    @property
    def tells_equals(self) -> bool:
        """Tell whether two objects that are made alike may be equal."""
        return getattr(self.owner, "__eq__", None) is not object.__eq__

    @property
    def required(self) -> tuple[inspect.Parameter, ...]:
        """The parameters without which it cannot be called."""
        return tuple(
            each
            for each in self.parameters
            if each.default is inspect.Parameter.empty
            and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
        )

    def spelled(self, receiver: str, arguments: Sequence[Argument]) -> str:
        """Write a call; ``receiver`` is an expression for ``self``."""
        if self.levels:
            return self._called_again(arguments)
        if self.kind == "command":
            line = arguments[0].source.text if arguments else "[]"
            return commands.spelled(self.path, line, asks=self.asks)
        shown = self.shortened(arguments)
        if self.kind == "setter":
            value = shown[0].source.text if shown else "None"
            return f"setattr({receiver}, {self.name!r}, {value})"
        if self.kind == "property":
            return f"{receiver}.{self.name}"
        operator = _OPERATORS.get(self.name) if self.kind == "method" else None
        if operator is not None and len(shown) == operator.count("{1}"):
            text = operator.format(receiver, *(_bracketed(each.source.text) for each in shown))
            return text if operator.endswith((")", "]")) else f"({text})"
        if self.kind == "method":
            function = receiver if self.name == "__call__" else f"{receiver}.{self.name}"
        else:
            function = self.path
        text = f"{function}({spelled(shown)})"
        return f"asyncio.run({text})" if self.is_async else text

    def _called_again(self, arguments: Sequence[Argument]) -> str:
        own = [each for each in arguments if _RETURNED not in each.name]
        text = replace(self, levels=0).spelled("", own)
        for level in range(1, self.levels + 1):
            given = [
                each._replace(kind="/" if each.kind == "=" else each.kind)
                for each in arguments
                if each.name.endswith(f"{_RETURNED}{level}")
            ]
            text += f"({spelled(given)})"
        return text

    def stated(self, receiver: str, arguments: Sequence[Argument]) -> str:
        """Write a call as it stands in a test: to set a property is a statement."""
        if self.kind == "setter" and arguments:
            return f"{receiver}.{self.name} = {arguments[0].source.text}"
        return self.spelled(receiver, arguments)

    def shortened(self, arguments: Sequence[Argument]) -> list[Argument]:
        """Leave out what equals the default; name what then stands at another place."""
        defaults = {each.name: each.default for each in self.parameters}
        named = {each.name for each in self.parameters if each.kind is each.KEYWORD_ONLY}
        only = {each.name for each in self.parameters if each.kind is each.POSITIONAL_ONLY}
        star = any(each.kind == "*" for each in arguments)
        kept: list[Argument] = []
        left_out = False
        for each in arguments:
            default = defaults.get(each.name, inspect.Parameter.empty)
            if (
                not star
                and each.name not in only
                and default is not inspect.Parameter.empty
                and repr(default) == each.source.text
            ):
                left_out = True
            elif each.kind == "/" and (left_out or each.name in named) and each.name not in only:
                kept.append(Argument(each.name, "=", each.source))
            else:
                kept.append(each)
        return kept


_RETURNED = "__returned"


def _calling_again(subject: Subject) -> Subject | None:
    """Return the subject that also calls the functions it returns; None where it returns none."""
    if subject.kind not in ("function", "static") or subject.is_async:
        return None
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(subject.function)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return None
    parameters = list(subject.parameters)
    levels = 0
    node: ast.AST = tree.body[0]
    while (inner := _returned(node)) is not None:
        node = inner
        levels += 1
        parameters += [
            inspect.Parameter(f"{name}{_RETURNED}{levels}", kind)
            for name, kind in _taken(inner.args)
        ]
    return replace(subject, parameters=tuple(parameters), levels=levels) if levels else None


def _returned(node: ast.AST) -> ast.FunctionDef | None:
    """Return the function that one makes inside and returns."""
    made = {each.name: each for each in ast.walk(node)
            if isinstance(each, ast.FunctionDef) and each is not node}  # fmt: skip
    for each in ast.walk(node):
        if isinstance(each, ast.Return) and isinstance(each.value, ast.Name):
            found = made.get(each.value.id)
            if found is not None and not any(each in ast.walk(inner) for inner in made.values()):
                return found
    return None


def _taken(arguments: ast.arguments) -> Iterator[tuple[str, Any]]:
    """Yield what must be passed: no parameter with a default, all that take any number."""
    places = [*arguments.posonlyargs, *arguments.args]
    for each in places[: len(places) - len(arguments.defaults)]:
        yield each.arg, inspect.Parameter.POSITIONAL_ONLY
    if arguments.vararg is not None:
        yield arguments.vararg.arg, inspect.Parameter.VAR_POSITIONAL


def _bracketed(text: str) -> str:
    return f"({text})" if text.startswith(("-", "lambda")) else text


def find(module: Any, name: str, target: str, *, setter: bool = False) -> Subject | None:
    """Return the function of a qualified name; of one inside another, the outer one."""
    outer = name.split(".<locals>")[0]
    *classes, last = outer.split(".")
    owner: Any = None
    holder: Any = module
    for part in classes:
        holder = vars(holder).get(part)
        if not isinstance(holder, type):
            return None
        owner = holder
    if owner is not None and last.startswith("__") and not last.endswith("__"):
        last = f"_{owner.__name__.lstrip('_')}{last}"
    raw = vars(holder).get(last)
    if raw is None or last in _UNTESTED:
        return None
    if commands.is_command(raw):
        return None if setter else _command(module, last, raw, target)
    if setter:
        if not isinstance(raw, property) or raw.fset is None:
            return None
        kind, function = "setter", raw.fset
    else:
        kind, function = _unwrapped(raw, owner)
        if last in ("__init__", "__new__"):
            kind = "making"
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType) or code.co_filename != target:
        return None
    parameters = _parameters(function)
    if parameters is None:
        return None
    if owner is not None and kind != "static":
        parameters = parameters[1:]
    if kind == "class":
        kind = "static"
    path = ".".join([*classes, last]) if kind != "making" else ".".join(classes)
    first = classes[0] if classes else last
    if getattr(module, first, None) is None:
        return None
    is_async = inspect.iscoroutinefunction(function)
    imports = {f"from {module.__name__} import {first}"} | (
        {"import asyncio"} if is_async else set()
    )
    return Subject(last, kind, owner, function, parameters,
                   (code.co_filename, code.co_firstlineno), frozenset(imports), path,
                   is_async)  # fmt: skip


def _command(module: Any, name: str, command: Any, target: str) -> Subject | None:
    function = inspect.unwrap(command.callback)
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType) or code.co_filename != target:
        return None
    line = inspect.Parameter(commands.LINE, inspect.Parameter.POSITIONAL_ONLY)
    imports = {f"from {module.__name__} import {name}", *commands.IMPORTS}
    return Subject(name, "command", None, function, (line,),
                   (code.co_filename, code.co_firstlineno), frozenset(imports), name,
                   is_async=False, asks=commands.asks(command))  # fmt: skip


class Located(Protocol):
    """A gap: its qualified name, and the line of its function."""

    @property
    def name(self) -> str: ...
    @property
    def line(self) -> int: ...


def reaching(module: Any, name: str, target: str, gaps: Collection[Located]) -> list[Subject]:
    """Return the functions whose calls can reach some gaps, which have an outer name in common.

    That is the function of the name, for a descriptor's first the attributes that it stands
    behind, its property's setter, and, where it makes functions inside it, or is not held by
    its name, those that the module or its classes hold; at last what it returns, called.
    """
    itself = find(module, name, target)
    found = [*_described(module, itself), itself, find(module, name, target, setter=True)]
    known = any(each is not None for each in found)
    inner = {gap.line for gap in gaps if "<locals>" in gap.name or not known}
    if inner:
        found += [
            find(module, held, target) for held in _holders(module, target, inner)[:MOST_HOLDERS]
        ]
    lines = {gap.line for gap in gaps}
    if inner and itself is not None:
        found.append(_calling_again(itself))
    return [
        each
        for each in found
        if each is not None and (each.kind != "setter" or _spans(each.function.__code__, lines))
    ]


def _described(module: Any, subject: Subject | None) -> list[Subject]:
    """Return the attributes of a module's classes that a descriptor's method reads or sets."""
    if subject is None or subject.owner is None or subject.name not in _DESCRIBING:
        return []
    return [
        replace(
            subject,
            name=name,
            kind=_DESCRIBING[subject.name],
            owner=holder,
            parameters=subject.parameters[1:] if subject.name == "__set__" else (),
            imports=source.imports,
            path=f"{source.text}.{name}",
        )
        for holder in list(vars(module).values())
        if is_a(holder, type) and holder.__module__ == module.__name__
        if (source := class_source(holder)) is not None
        for name, held in vars(holder).items()
        if is_a(held, subject.owner) and name.isidentifier()
    ][:MOST_HOLDERS]


def _spans(code: CodeType, lines: Collection[int]) -> bool:
    """Tell whether a function begins at one of some lines; decorators stand above its line."""
    last = max((number for *_, number in code.co_lines() if number), default=0)
    return any(code.co_firstlineno <= line <= last for line in lines)


def _holders(module: Any, target: str, lines: Collection[int]) -> list[str]:
    """Return the names under which functions that were made at some lines can be called."""
    found = []
    for name, value in list(vars(module).items()):
        if is_a(value, type) and value.__module__ == module.__name__:
            inside = [(f"{name}.{each}", held) for each, held in vars(value).items()]
        else:
            inside = [(name, value)]
        for path, held in inside:
            code = None
            with suppress(Exception):  # an object may answer nothing outside of a request, say
                code = getattr(_unwrapped(held, None)[1], "__code__", None)
            if isinstance(code, CodeType) and code.co_filename == target and _spans(code, lines):
                found.append(path)
    return found


def _unwrapped(raw: Any, owner: type | None) -> tuple[str, Any]:
    kind = "function" if owner is None else "method"
    if isinstance(raw, staticmethod):
        kind, raw = "static", raw.__func__
    elif isinstance(raw, classmethod):
        kind, raw = "class", raw.__func__
    elif isinstance(raw, property):
        kind, raw = "property", raw.fget
    elif isinstance(raw, functools.cached_property):
        kind, raw = "property", raw.func
    elif isinstance(getattr(raw, "func", None), types.FunctionType) and hasattr(raw, "__get__"):
        # a cached property of the project's own; in a module a wrapper that is called
        kind, raw = kind if owner is None else "property", raw.func
    while not isinstance(raw, types.FunctionType) and hasattr(raw, "__wrapped__"):
        raw = raw.__wrapped__
    inner = inspect.unwrap(raw) if callable(raw) else raw
    return kind, inner


def _parameters(function: Any) -> tuple[inspect.Parameter, ...] | None:
    """Return what something takes, its annotations evaluated where that can be done."""
    for evaluated in (True, False):
        try:
            found = inspect.signature(function, eval_str=evaluated)
        except (ValueError, TypeError):
            return None
        except Exception:  # an annotation names what is not there at run time
            continue
        return tuple(found.parameters.values())
    return None


def making(owner: type) -> tuple[inspect.Parameter, ...] | None:
    """Return what a class takes to be made, or None where that cannot be told."""
    return _parameters(owner)


def class_source(owner: type) -> Source | None:
    """Return how a test names a class."""
    name = owner.__qualname__
    if "<" in name:
        return None
    first = name.partition(".")[0]
    return Source(name, frozenset({f"from {owner.__module__} import {first}"}))
