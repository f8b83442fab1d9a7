"""Programs that read their command line with argparse: lines that a parser of theirs takes.

Which parser reads a line is seen while a call is tried; what it may be given it knows itself.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from itertools import islice, zip_longest
from typing import Any, NamedTuple

MOST = 60  # command lines of one parser
_ANY_NUMBER = ("?", "*", "+", argparse.REMAINDER)
_DEPTH = 3  # commands inside commands
_EACH = 3  # values of one option
_ENDING = (argparse._HelpAction, argparse._VersionAction)  # print, and end the program
_WHOLE, _FRACTIONS = ("'1'", "'7'", "'-1'"), ("'1.5'", "'-2'")
_FILE = "path"  # a name by which files are known

Line = tuple[str, ...]  # the source text of each word


class Read(NamedTuple):
    """A command line that a parser has read; ``is_program`` tells that of the whole program."""

    parser: argparse.ArgumentParser
    line: list[Any]
    is_program: bool


class Parsers:
    """Sees which parser a call reads its command line with: the outermost of them."""

    def __init__(self) -> None:
        self.read: Read | None = None

    def install(self) -> None:
        """See it from now on; the process is a fork that ends with this."""
        plain = argparse.ArgumentParser.parse_known_args

        def parse_known_args(
            parser: argparse.ArgumentParser, args: Any = None, *others: Any, **more: Any
        ) -> Any:
            if self.read is None:
                line = sys.argv[1:] if args is None else list(args)
                of_program = args is None or (bool(line) and line == sys.argv[1:])
                self.read = Read(parser, line, of_program)
                args = line
            return plain(parser, args, *others, **more)

        argparse.ArgumentParser.parse_known_args = parse_known_args  # type: ignore[method-assign, assignment]


def lines(
    parser: argparse.ArgumentParser, values: Callable[[str], Sequence[str]]
) -> Iterator[Line]:
    """Yield command lines, likeliest first: what is needed, and each option beside it.

    ``values`` are texts for what has a name, as source text.
    """
    yield from islice(dict.fromkeys([*_lines(parser, values, _DEPTH), ()]), MOST)


def _lines(
    parser: argparse.ArgumentParser, values: Callable[[str], Sequence[str]], depth: int
) -> Iterator[Line]:
    options: list[tuple[argparse.Action, list[Line]]] = []
    places: list[list[Line]] = []
    has_commands = False
    for each in parser._actions:
        if isinstance(each, _ENDING):
            continue
        if isinstance(each, argparse._SubParsersAction):
            has_commands = True
            places.append(list(islice(_commands(each, values, depth), MOST)) if depth else [])
        elif each.option_strings:
            options.append((each, list(_ways(each, values))))
        else:
            places.append(list(_ways(each, values)))
    needed = {each: ways[0] for each, ways in options if each.required and ways}
    base = [ways[0] for ways in places if ways]  # what may be left out is, to begin with
    yield _joined(needed, base)
    for way in _one_by_one(places):
        yield _joined(needed, way)
    for option, ways in options:
        for given in ways:
            yield _joined({**needed, option: given}, base)
    flags = [(option, ways[0]) for option, ways in options if option.nargs == 0]
    for way in _one_by_one(places) if has_commands else ():
        yield from (_joined({**needed, option: given}, way) for option, given in flags)


def _joined(options: Mapping[argparse.Action, Line], places: Sequence[Line]) -> Line:
    """Put a line together: an option that takes any number of words would take the places."""
    greedy = [way for each, way in options.items() if each.nargs in _ANY_NUMBER]
    modest = [way for each, way in options.items() if each.nargs not in _ANY_NUMBER]
    return tuple(word for way in (*modest, *places, *greedy) for word in way)


def _one_by_one(places: Sequence[Sequence[Line]]) -> Iterator[list[Line]]:
    """Yield the first of each place, with one of them exchanged for another that it may be."""
    for number, ways in enumerate(places):
        for way in ways[1:]:
            yield [way if n == number else each[0] for n, each in enumerate(places) if each]


def _commands(action: Any, values: Callable[[str], Sequence[str]], depth: int) -> Iterator[Line]:
    """Yield lines for commands: the likeliest of each, then the next of each."""
    names = {id(parser): name for name, parser in reversed(action.choices.items())}  # or an alias
    some = islice(reversed(names.values()), MOST)
    of_each = [(name, _lines(action.choices[name], values, depth - 1)) for name in some]
    for turn in zip_longest(*(lines for _, lines in of_each)):
        for (name, _), line in zip(of_each, turn, strict=True):
            if line is not None:
                yield (repr(name), *line)


def _ways(action: argparse.Action, values: Callable[[str], Sequence[str]]) -> Iterator[Line]:
    """Yield how an option, or what has a place, is given."""
    names = [repr(name) for name in sorted(action.option_strings, key=len)[-1:]]
    if action.nargs == 0:
        for name in action.option_strings:  # one may mean the opposite of another
            if name.startswith("--") or len(action.option_strings) == 1:
                yield (repr(name),)
        return
    given = _values(action, values)
    times = action.nargs if isinstance(action.nargs, int) else 1
    if times > MOST or not given:
        return
    # Below 3.12, no word at all is none of the choices (python/cpython#92445).
    if action.nargs == "?" or (action.nargs == "*" and (names or action.choices is None)):
        yield (*names,)
    if action.nargs in ("*", "+"):
        yield (*names, given[0], given[min(1, len(given) - 1)])
    for value in given:
        yield (*names, *[value] * times)


def _values(action: argparse.Action, values: Callable[[str], Sequence[str]]) -> Sequence[str]:
    """Return what one word may be, as source text."""
    if action.choices is not None:
        chosen = islice(action.choices, MOST)
        return [repr(str(each.value if isinstance(each, Enum) else each)) for each in chosen]
    if action.type is int or action.type is float:
        return _WHOLE if action.type is int else _FRACTIONS
    is_file = action.type is pathlib.Path or action.type is open
    is_file = is_file or isinstance(action.type, argparse.FileType)
    return values(_FILE if is_file else str(action.dest))[:_EACH]
