"""What can be told from a code object without running it: pieces, imports, names.

Bytecode is read by hand: `dis` makes an object of every instruction, and a session looks at
every module of the project.
"""

from __future__ import annotations

import opcode
import sys
from collections.abc import Iterable, Iterator, Set
from types import CodeType
from typing import NamedTuple

MODULE = "<module>"

_OPTIMIZED = 0x1  # a function's code, not a module's or a class body's
_AWAITING = 0x80 | 0x200  # coroutine, asynchronous generator
_SUSPENDING = 0x20 | _AWAITING  # and generator
_IMPORT_NAME = opcode.opmap["IMPORT_NAME"]
_STORE_GLOBAL = opcode.opmap["STORE_GLOBAL"]
_LOAD_GLOBAL = opcode.opmap["LOAD_GLOBAL"]
_LOAD_ATTR = opcode.opmap["LOAD_ATTR"]
_EXTENDED_ARG = opcode.opmap["EXTENDED_ARG"]
_STORE_NAME = opcode.opmap["STORE_NAME"]
_USING_NAMES = frozenset(opcode.hasname) - {_STORE_NAME}
_IMPORT_FROM = opcode.opmap["IMPORT_FROM"]
_ASKING_NAMES = frozenset(each for each in opcode.hasname if opcode.opname[each][:4] == "LOAD")
_CALLING_NAMES = _USING_NAMES - {_IMPORT_NAME, _IMPORT_FROM}
_FLAGS = {  # bits below the index of a name, by operation
    _LOAD_GLOBAL: int(sys.version_info >= (3, 11)),
    _LOAD_ATTR: int(sys.version_info >= (3, 12)),
    opcode.opmap.get("LOAD_SUPER_ATTR", -1): 2,
}
_LOAD_CONST = opcode.opmap["LOAD_CONST"]
_LOAD_SMALL_INT = opcode.opmap.get("LOAD_SMALL_INT", -1)
_BY_NAME = frozenset({"__import__", "import_module", "importorskip", "import_string", "resolve"})


class Import(NamedTuple):
    """One import statement: ``from <level dots><name> import <names>``."""

    name: str
    names: tuple[str, ...]
    level: int


def functions(module: CodeType) -> Iterator[tuple[str, CodeType]]:
    """Yield (piece, code) of every function in a module's code, nested ones included.

    A piece is the qualified name of the outermost function; lambdas and comprehensions at
    module or class level, and annotations evaluated late, belong to ``<module>``.
    """
    yield from _inside(module, "", None)


def _inside(code: CodeType, prefix: str, piece: str | None) -> Iterator[tuple[str, CodeType]]:
    for constant in code.co_consts:
        if not isinstance(constant, CodeType):
            continue
        name = constant.co_name
        if piece is not None:
            yield piece, constant
            yield from _inside(constant, prefix, piece)
        elif name.startswith("<generic parameters"):  # the scope of def f[T](): ...
            yield from _inside(constant, prefix, None)
        elif not constant.co_flags & _OPTIMIZED:
            yield from _inside(constant, f"{prefix}{name}.", None)
        else:
            own = MODULE if name.startswith("<") or name == "__annotate__" else prefix + name
            yield own, constant
            yield from _inside(constant, prefix, own)


def pieces(function: CodeType, name: str) -> Iterator[tuple[str, CodeType]]:
    """Yield (piece, code) of a function with this qualified name, and of those inside it."""
    piece = name.partition(".<locals>")[0]
    piece = MODULE if "<" in piece else piece
    yield piece, function
    for _, inner in functions(function):
        yield piece, inner


def bodies(module: CodeType) -> Iterator[CodeType]:
    """Yield a module's code and those of its class bodies: what runs at import."""
    yield module
    for constant in module.co_consts:
        if isinstance(constant, CodeType) and (
            constant.co_name.startswith("<generic parameters") or not constant.co_flags & _OPTIMIZED
        ):
            yield from bodies(constant)


def whole(code: CodeType) -> Iterator[CodeType]:
    """Yield a code object and all that are inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from whole(constant)


def stored_globals(code: CodeType) -> set[str]:
    """Return the globals that a function rebinds: what it did once may never run again."""
    if _STORE_GLOBAL not in code.co_code:
        return set()
    return _names(code, frozenset({_STORE_GLOBAL}))


def awaits(code: CodeType) -> bool:
    """Tell a coroutine or an asynchronous generator: while it rests, others may work for it."""
    return bool(code.co_flags & _AWAITING)


def suspends(code: CodeType) -> bool:
    """Tell whether calling this code only makes a generator or a coroutine."""
    return bool(code.co_flags & _SUSPENDING)


def used_names(body: CodeType) -> set[str]:
    """Return the names that the body of a module or class uses, not those it only binds."""
    return _names(body, _USING_NAMES)


def called_names(body: CodeType) -> set[str]:
    """Return the names that a body can call: it uses them for more than to import them."""
    return _names(body, _CALLING_NAMES)


def asked_names(bodies: Iterable[CodeType]) -> set[str]:
    """Return the names that code asks for what they stand for, not those it binds or hands on.

    What a module imports by a name is asked for where any of its ``bodies`` says the new name.
    """
    asked: set[str] = set()
    imported: dict[str, str] = {}
    for code in bodies:
        asked |= _names(code, _ASKING_NAMES)
        raw = code.co_code
        operations = raw[::2]
        place = operations.find(_IMPORT_FROM)
        while place >= 0:
            name = code.co_names[_argument(raw, place)[0]]
            bound = place + 1
            while raw[2 * bound] == _EXTENDED_ARG:
                bound += 1
            if raw[2 * bound] == _STORE_NAME:
                imported[code.co_names[_argument(raw, bound)[0]]] = name
            else:
                asked.add(name)
            place = operations.find(_IMPORT_FROM, place + 1)
    return asked | {imported[name] for name in asked & imported.keys()}


def _names(code: CodeType, operations: Set[int]) -> set[str]:
    found: set[str] = set()
    extended = 0
    raw = code.co_code
    for operation, argument in zip(raw[::2], raw[1::2], strict=True):
        index = argument | extended
        extended = index << 8 if operation == _EXTENDED_ARG else 0
        if operation in operations:
            index >>= _FLAGS.get(operation, 0)
            if index < len(code.co_names):
                found.add(code.co_names[index])
    return found


def imports(code: CodeType) -> list[Import]:
    """Return the import statements in this code, not those in functions inside it."""
    names = code.co_names
    raw = code.co_code
    if not names or _IMPORT_NAME not in raw:
        return []
    operations = raw[::2]
    found = []
    place = operations.find(_IMPORT_NAME)
    while place >= 0:
        argument, start = _argument(raw, place)
        names_from, start = _constant(code, raw, start - 1)
        level, _ = _constant(code, raw, start - 1)
        found.append(
            Import(
                names[argument],
                names_from if isinstance(names_from, tuple) else (),
                level if isinstance(level, int) else 0,
            )
        )
        place = operations.find(_IMPORT_NAME, place + 1)
    return found


def imported_by_name(code: CodeType) -> list[str]:
    """Return texts in this code that can name a module, where it imports by name at all."""
    if _BY_NAME.isdisjoint(code.co_names):
        return []
    return [constant for constant in code.co_consts if isinstance(constant, str)]


def _argument(raw: bytes, place: int) -> tuple[int, int]:
    """Return the argument of the instruction at ``place`` (in words) and where it begins."""
    argument = raw[2 * place + 1]
    shift = 8
    while place > 0 and raw[2 * place - 2] == _EXTENDED_ARG:
        place -= 1
        argument |= raw[2 * place + 1] << shift
        shift += 8
    return argument, place


def _constant(code: CodeType, raw: bytes, place: int) -> tuple[object, int]:
    if place < 0:
        return None, 0
    argument, start = _argument(raw, place)
    operation = raw[2 * place]
    if operation == _LOAD_CONST:
        return code.co_consts[argument], start
    return (argument if operation == _LOAD_SMALL_INT else None), start
