"""Texts that a regular expression matches: a few, short, made from what it is parsed to.

What cannot be made right by construction (a look-around, an anchor inside) is left to chance:
only texts that do match are returned.
"""

from __future__ import annotations

import functools
import re
import string
from collections.abc import Callable, Sequence
from typing import Any

try:
    from re import _constants as kinds  # type: ignore[attr-defined]
    from re import _parser as parser  # type: ignore[attr-defined]
except ImportError:  # before Python 3.11
    import sre_constants as kinds
    import sre_parse as parser

MOST = 5  # texts of one pattern
_VARIANTS = 8
_LONGEST = 60  # characters
_DEEPEST = 20
_LIKELY = "a1 bAZ0_-.:/,x9\n\t\xe9" + string.printable
_CATEGORIES: dict[Any, Callable[[str], bool]] = {
    kinds.CATEGORY_DIGIT: str.isdigit,
    kinds.CATEGORY_NOT_DIGIT: lambda char: not char.isdigit(),
    kinds.CATEGORY_SPACE: str.isspace,
    kinds.CATEGORY_NOT_SPACE: lambda char: not char.isspace(),
    kinds.CATEGORY_WORD: lambda char: char.isalnum() or char == "_",
    kinds.CATEGORY_NOT_WORD: lambda char: not (char.isalnum() or char == "_"),
}


@functools.lru_cache(256)  # asked for whenever a text does not match
def matching(pattern: re.Pattern[Any]) -> tuple[str | bytes, ...]:
    """Return texts that a pattern matches from their first to their last character."""
    source = pattern.pattern
    text = source.decode("latin-1") if isinstance(source, bytes) else source
    try:
        tree = parser.parse(text, pattern.flags & ~re.UNICODE)
        made = dict.fromkeys(_Maker(variant).made(tree) for variant in range(_VARIANTS))
    except (re.error, RecursionError, ValueError, OverflowError):
        return ()
    found: list[str | bytes] = []
    for each in made:
        written = each if isinstance(source, str) else each.encode("latin-1", "replace")
        if 0 < len(each) <= _LONGEST and pattern.fullmatch(written):
            found.append(written)
    return tuple(found[:MOST])


class _Maker:
    """Make one text: ``variant`` tells which branch and how many of what may be any number."""

    def __init__(self, variant: int) -> None:
        self._variant = variant
        self._groups: dict[int, str] = {}
        self._depth = 0

    def made(self, tree: Any) -> str:
        """Return a text for a parsed pattern."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise RecursionError
        try:
            return "".join(self._one(kind, value) for kind, value in tree)
        finally:
            self._depth -= 1

    def _one(self, kind: Any, value: Any) -> str:
        if kind is kinds.LITERAL:
            return chr(value)
        if kind is kinds.NOT_LITERAL:
            return self._some(lambda char: ord(char) != value)
        if kind is kinds.ANY:
            return self._some(lambda char: char != "\n")
        if kind is kinds.IN:
            first = value[0][1][0] if value[0][0] is kinds.RANGE else None
            return self._some(lambda char: _is_in(char, value), first)
        if kind is kinds.BRANCH:
            branches: Sequence[Any] = value[1]
            return self.made(branches[self._variant % len(branches)])
        if kind is kinds.SUBPATTERN:
            self._groups[value[0]] = self.made(value[-1])
            return self._groups[value[0]]
        if kind in _REPEATS:
            least, most, inner = value
            times = min(max(least, 1 + self._variant % 2 if self._variant < 4 else least), most)
            return "".join(self.made(inner) for _ in range(min(times, _LONGEST)))
        if kind is kinds.GROUPREF:
            return self._groups.get(value, "")
        if kind is kinds.GROUPREF_EXISTS:
            group, yes, no = value
            return self.made(yes if group in self._groups else no or ())
        return self.made(value) if kind is _ATOMIC else ""  # an anchor, or what is looked at

    def _some(self, fits: Any, first: int | None = None) -> str:
        known = [char for char in _LIKELY if fits(char)]
        known = known or ([chr(first)] if first is not None else [])
        if not known:
            raise ValueError
        return known[self._variant // 2 % min(len(known), 3)]


_REPEATS = (kinds.MAX_REPEAT, kinds.MIN_REPEAT, getattr(kinds, "POSSESSIVE_REPEAT", None))
_ATOMIC = getattr(kinds, "ATOMIC_GROUP", None)


def _is_in(char: str, members: Any) -> bool:
    is_negated = bool(members) and members[0][0] is kinds.NEGATE
    found = False
    for kind, value in members:
        if kind is kinds.LITERAL:
            found = found or ord(char) == value
        elif kind is kinds.RANGE:
            found = found or value[0] <= ord(char) <= value[1]
        elif kind is kinds.CATEGORY:
            found = found or _CATEGORIES[value](char)
    return found is not is_negated
