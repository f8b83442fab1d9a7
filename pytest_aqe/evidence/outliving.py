"""What a function changes that may outlive its call, told from its bytecode.

A memo that is kept by hand is filled once: whoever asks it later runs nothing of what filled it.
So what a function does while it fills one is kept for others, if what it changes is still there
when it has returned: that of a global, of a class, of an object that a module or a shared
fixture holds, a default of an argument, a variable of the function around it.
"""

from __future__ import annotations

import builtins
import opcode
import sys
from collections.abc import Iterator
from enum import Enum, auto
from types import CodeType
from typing import NamedTuple

_MUTATORS = frozenset(
    (
        *("add", "append", "appendleft", "extend", "extendleft", "insert", "push", "put"),
        *("register", "set", "setdefault", "store", "update"),
    )
)
_SETTERS = frozenset({"__setattr__", "setattr", "setdefault", "update"})
_HARMLESS = frozenset(  # to call: these run nothing of the project's that matters
    (
        *("copy", "discard", "endswith", "format", "get", "group", "items", "join", "keys"),
        *("lower", "match", "pop", "remove", "rstrip", "search", "split", "startswith"),
        *("strip", "upper", "values"),
        *(_MUTATORS | vars(builtins).keys()),
    )
) - {"__build_class__", "__import__", "eval", "exec", "map", "filter", "next", "super"}
_GLOBALS = frozenset({"globals"})
_THROUGH = frozenset({"enumerate", "iter", "list", "reversed", "set", "sorted", "tuple"})
_VIEWS = (("items",), ("values",))
_CLASSES = frozenset({"cls", "klass", "mcls", "mcs", "metacls"})  # as first arguments are named
_MAKING = frozenset({"__init__", "__post_init__", "__setstate__"})  # what nobody holds yet
_OP = opcode.opmap
_EXTENDED_ARG, _CACHE = _OP["EXTENDED_ARG"], 0
_LOAD_ATTR, _LOAD_GLOBAL = _OP["LOAD_ATTR"], _OP["LOAD_GLOBAL"]
_LOAD_METHOD = _OP.get("LOAD_METHOD", -1)
_STORE_ATTR, _STORE_SUBSCR, _STORE_DEREF = (
    _OP["STORE_ATTR"],
    _OP["STORE_SUBSCR"],
    _OP["STORE_DEREF"],
)
_STORE_FAST, _LOAD_DEREF = _OP["STORE_FAST"], _OP["LOAD_DEREF"]
_LOAD_CONST = _OP["LOAD_CONST"]
_PUSH_NULL = _OP.get("PUSH_NULL", -1)
_STORING = {_STORE_SUBSCR: 1} | ({_OP["STORE_SLICE"]: 2} if "STORE_SLICE" in _OP else {})
_BINARY_SUBSCR = _OP.get("BINARY_SUBSCR", _OP.get("BINARY_OP", -1))
_SUBSCR_ARGUMENT = 0 if "BINARY_SUBSCR" in _OP else 26  # an operator of its own, up to 3.13
_CALL = _OP.get("CALL", -1)
_GET_ITER, _FOR_ITER = _OP["GET_ITER"], _OP["FOR_ITER"]
_UNPACK_SEQUENCE = _OP["UNPACK_SEQUENCE"]
_LOADS = frozenset(
    _OP[name] for name in ("LOAD_FAST", "LOAD_FAST_BORROW", "LOAD_FAST_CHECK") if name in _OP
)
_LOAD_FAST = _OP["LOAD_FAST"]
_PAIRS = {  # two in one, from 3.13 on
    _OP[name]: pair
    for name, pair in (
        ("LOAD_FAST_LOAD_FAST", (_LOAD_FAST, _LOAD_FAST)),
        ("LOAD_FAST_BORROW_LOAD_FAST_BORROW", (_LOAD_FAST, _LOAD_FAST)),
        ("STORE_FAST_LOAD_FAST", (_STORE_FAST, _LOAD_FAST)),
        ("STORE_FAST_STORE_FAST", (_STORE_FAST, _STORE_FAST)),
    )
    if name in _OP
}
_CALLING = frozenset(  # what is none of the names that are called
    _OP[name] for name in ("PUSH_NULL", "LOAD_SUPER_ATTR", "SEND", "IMPORT_NAME") if name in _OP
)
_JUMPS = frozenset((*opcode.hasjrel, *opcode.hasjabs))
_GLOBAL_FLAG = int(sys.version_info >= (3, 11))
_ATTR_FLAG = int(sys.version_info >= (3, 12))


class Root(Enum):
    """What a change starts from."""

    GLOBAL = auto()
    RECEIVER = auto()  # the first argument
    CLASS = auto()  # the first argument, which by its name is a class
    KIND = auto()  # the class of the first argument
    ARGUMENT = auto()  # one that may have a default
    FREE = auto()  # a variable of the function around


class Change(NamedTuple):
    """``<root>.<names> = ...``, or a change of what is there.

    ``name`` is what the root is called. One that ``asks`` may find it there and leave it so.
    Where it ``calls`` nothing that may be the project's, what it does is all in the function
    itself.
    """

    root: Root
    name: str
    names: tuple[str, ...]
    binds: bool
    asks: bool
    calls: bool


class _Path(NamedTuple):
    root: Root
    name: str
    names: tuple[str, ...]


_Instructions = list[tuple[int, int]]


def changes(code: CodeType) -> list[Change]:
    """Return what a function, without those inside it, changes that may outlive its call."""
    raw = code.co_code
    operations = raw[::2]
    if (
        _STORE_ATTR not in operations
        and not any(each in operations for each in _STORING)
        and not (_STORE_DEREF in operations and code.co_freevars)
        and _MUTATORS.isdisjoint(code.co_names)
        and "setattr" not in code.co_names
    ):
        return []
    instructions = list(_instructions(raw))
    reader = _Reader(code, instructions)
    found = set(reader.changes())
    found |= {  # the first argument may have a default, too
        (path._replace(root=Root.ARGUMENT), binds, asks)
        for path, binds, asks in found
        if path.root is Root.RECEIVER
    }
    found = {each for each in found if _may_last(code, *each[:2])}
    calls = bool(found) and _calls(code, instructions)
    return [Change(*path, binds, asks, calls) for path, binds, asks in found]


def stores(code: CodeType) -> bool:
    """Tell whether a function stores anything in an object, or may."""
    operations = code.co_code[::2]
    return (
        _STORE_ATTR in operations
        or _STORE_SUBSCR in operations
        or not _SETTERS.isdisjoint(code.co_names)
    )


def is_making(code: CodeType) -> bool:
    """Tell whether a method is called on what is being made."""
    return code.co_name in _MAKING


def _may_last(code: CodeType, path: _Path, binds: bool) -> bool:
    if path.root is Root.RECEIVER:
        return not is_making(code) or (not binds and len(path.names) == 1)
    return path.root is not Root.ARGUMENT or (not path.names and not binds)


def _instructions(raw: bytes) -> Iterator[tuple[int, int]]:
    extended = 0
    for place in range(0, len(raw), 2):
        operation, argument = raw[place], raw[place + 1] | extended
        if operation == _EXTENDED_ARG:
            extended = argument << 8
        elif operation in _PAIRS:
            extended = 0
            first, second = _PAIRS[operation]
            yield first, argument >> 4
            yield second, argument & 15
        elif operation != _CACHE:
            extended = 0
            yield operation, argument


def _calls(code: CodeType, instructions: _Instructions) -> bool:
    """Tell whether a function calls what may be the project's. Before 3.12 that is not told."""
    if sys.version_info < (3, 12):
        return True
    names = code.co_names
    for operation, argument in instructions:
        if operation in _CALLING:
            return True
        is_called = operation in (_LOAD_GLOBAL, _LOAD_ATTR) and argument & 1
        if is_called and names[argument >> 1] not in _HARMLESS:
            return True
    return False


class _Reader:
    """Reads expressions backwards, from where they end."""

    def __init__(self, code: CodeType, instructions: _Instructions) -> None:
        self._code = code
        self._instructions = instructions
        self._aliases: dict[str, _Path] = {}

    def changes(self) -> Iterator[tuple[_Path, bool, bool]]:
        """Yield what is changed, whether it is bound, and whether it was asked for before."""
        names = self._code.co_names
        loaded: set[object] = set(self._code.co_consts)  # it may be asked for by a text
        branched = False
        for place, (operation, argument) in enumerate(self._instructions):
            path = None
            branched |= operation in _JUMPS
            binds = operation == _STORE_ATTR
            if operation == _STORE_FAST:
                self._store(place, argument)
            elif operation == _FOR_ITER:
                self._go_through(place)
            elif binds:
                path = self._path(place)
                path = path and path._replace(names=(*path.names, names[argument]))
            elif operation in _STORING:
                start = self._start(place, _STORING[operation])
                path = self._path(start) if start is not None else None
                if path is None and start and self._calls(start - 1, _GLOBALS, 0):
                    path = self._global(place - 1)
                    binds = path is not None
            elif operation == _STORE_DEREF:
                name = self._variable(argument)
                binds = True
                path = _Path(Root.FREE, name, ()) if name in self._code.co_freevars else None
            elif operation in (_LOAD_ATTR, _LOAD_METHOD):
                is_method = operation == _LOAD_METHOD or (_ATTR_FLAG and argument & 1)
                name = names[argument >> _ATTR_FLAG if operation == _LOAD_ATTR else argument]
                loaded.add(name)
                path = self._path(place) if is_method and name in _MUTATORS else None
            elif operation == _LOAD_GLOBAL and names[argument >> _GLOBAL_FLAG] == "setattr":
                path = self._set(place + 1)
            if path is not None:
                is_asked = operation != _STORE_ATTR or branched or names[argument] in loaded
                yield path, binds, is_asked

    def _set(self, place: int) -> _Path | None:
        """Return what ``setattr`` binds whose arguments begin here; a name may not be told."""
        while self._instructions[place][0] == _PUSH_NULL:
            place += 1
        place += 1
        while self._instructions[place][0] in (_LOAD_ATTR, _LOAD_METHOD):
            place += 1
        path = self._path(place)
        operation, argument = self._instructions[place]
        name = self._code.co_consts[argument] if operation == _LOAD_CONST else None
        if path is None or not isinstance(name, str):
            return path
        return path._replace(names=(*path.names, name))

    def _calls(self, place: int, names: frozenset[str], arguments: int) -> bool:
        """Tell whether one of these globals is called here, with so many plain arguments."""
        operation, argument = self._instructions[place]
        start = self._start(place, arguments) if arguments else place
        if operation != _CALL or argument != arguments or not start:
            return False
        operation, name = self._instructions[start - 1]
        return operation == _LOAD_GLOBAL and self._code.co_names[name >> _GLOBAL_FLAG] in names

    def _global(self, key: int) -> _Path | None:
        operation, argument = self._instructions[key]
        name = self._code.co_consts[argument] if operation == _LOAD_CONST else None
        return _Path(Root.GLOBAL, name, ()) if isinstance(name, str) else None

    def _go_through(self, place: int) -> None:
        """Remember that variables of a loop are other names of what is in something."""
        end = place - 1
        if self._instructions[end][0] != _GET_ITER:
            return
        if self._calls(end - 1, _THROUGH, 1):
            end -= 1
        views = self._instructions[end - 1] == (_CALL, 0)  # of a dictionary
        path = self._path(end - views)
        if path is None or (views and path.names[-1:] not in _VIEWS):
            return
        path = path._replace(names=path.names[:-1]) if views else path
        for operation, argument in self._instructions[place + 1 :]:
            if operation == _STORE_FAST:
                self._alias(argument, path)
            elif operation != _UNPACK_SEQUENCE:
                break

    def _store(self, place: int, index: int) -> None:
        """Remember that a variable is another name of something."""
        path = self._path(place)
        if path is not None:
            self._alias(index, path)

    def _alias(self, index: int, path: _Path) -> None:
        if path.names or path.root is not Root.ARGUMENT:
            self._aliases[self._code.co_varnames[index]] = path

    def _path(self, end: int) -> _Path | None:
        """Return what the expression stands for that ends before ``end``."""
        names: tuple[str, ...] = ()
        code = self._code
        place = end
        while place > 0:
            place -= 1
            operation, argument = self._instructions[place]
            if operation in (_LOAD_ATTR, _LOAD_METHOD):
                shift = _ATTR_FLAG if operation == _LOAD_ATTR else 0
                names = (code.co_names[argument >> shift], *names)
            elif operation == _LOAD_GLOBAL:
                return _Path(Root.GLOBAL, code.co_names[argument >> _GLOBAL_FLAG], names)
            elif operation in _LOADS:
                return self._local(code.co_varnames[argument], names)
            elif operation == _BINARY_SUBSCR and argument == _SUBSCR_ARGUMENT:
                start = self._start(place)
                if start is None:
                    return None
                place = start
            elif operation == _LOAD_DEREF:
                return self._captured(self._variable(argument), names)
            elif operation == _CALL and argument == 1 and self._asks_type(place):
                return _Path(Root.KIND, code.co_varnames[0], names)
            else:
                return None
        return None

    def _asks_type(self, call: int) -> bool:
        """Tell whether this call is ``type(self)``."""
        if call < 2:
            return False
        (asked, name), (loaded, index) = self._instructions[call - 2 : call]
        is_type = asked == _LOAD_GLOBAL and self._code.co_names[name >> _GLOBAL_FLAG] == "type"
        return is_type and loaded in _LOADS and index == 0 and self._code.co_argcount > 0

    def _local(self, name: str, names: tuple[str, ...]) -> _Path | None:
        known = self._aliases.get(name)
        if known is not None:
            return known._replace(names=known.names + names)
        code = self._code
        arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        if name not in arguments:
            return None
        if name != code.co_varnames[0] or not code.co_argcount:
            return _Path(Root.ARGUMENT, name, names)
        if name in _CLASSES:
            return _Path(Root.CLASS, name, names)
        if names and names[0] == "__class__":
            return _Path(Root.KIND, name, names[1:])
        return _Path(Root.RECEIVER, name, names)

    def _captured(self, name: str, names: tuple[str, ...]) -> _Path | None:
        if name in self._code.co_freevars:
            return _Path(Root.FREE, name, names)
        return self._local(name, names)

    def _variable(self, argument: int) -> str:
        code = self._code
        if sys.version_info >= (3, 11):
            return code._varname_from_oparg(argument)  # type: ignore[attr-defined, no-any-return]
        return (code.co_cellvars + code.co_freevars)[argument]

    def _start(self, end: int, count: int = 1) -> int | None:
        """Return where so many expressions begin that end before ``end``, if they go straight."""
        pushed = 0
        for place in range(end - 1, -1, -1):
            operation, argument = self._instructions[place]
            if operation in _JUMPS:
                return None
            has_argument = operation >= opcode.HAVE_ARGUMENT
            pushed += opcode.stack_effect(operation, argument if has_argument else None)
            if pushed >= count:
                return place
        return None
