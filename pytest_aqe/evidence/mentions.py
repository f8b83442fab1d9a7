"""Which pieces name a function, may find it without naming it, or keep what it gave.

A new or deleted inert function changes no other piece, so it concerns the tests whose pieces
name it. Three things get around names: looking them up at run time (`reflects`), and a result
that an earlier test left behind (`memos`). All three search the text before they parse it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping

from pytest_aqe.evidence.pieces import MODULE
from pytest_aqe.evidence.readings import reading
from pytest_aqe.evidence.words import Words

_LOOKS_UP = re.compile(
    rb"dir\b|eval\b|exec\b|globals|locals|vars\b|__dict__|getmembers|__import__|attrgetter"
    rb"|getattr|getfixturevalue|hasattr|import_module|methodcaller|resolve_name|import\s*\(?\s*\*"
)
_ROAMS = re.compile(rb"__globals__|f_globals|\.module\b")
_GLOBALS = frozenset({"__globals__", "f_globals"})
_OF_TESTS = frozenset({"item", "items", "metafunc", "request"})  # they have a ``.module``

_FEW = 8


def mentions(source: bytes, names: Collection[str]) -> dict[str, frozenset[str]]:
    """Return which of the simple ``names`` each piece mentions; pieces without any are absent.

    A mention is an identifier in any role (a test's arguments are fixtures, a function's own
    name may hide another's) or a word of a text, docstrings without examples excepted.
    Decorators, defaults and annotations count for the function, and for ``<module>`` too unless
    the function is inert.
    """
    if not _says_any(source, names):
        return {}
    words = reading(source).words
    if words is None:
        said = frozenset(name for name in names if _says_any(source, [name]))
        return {MODULE: said} if said else {}
    wanted = frozenset(names)
    return {piece: found for piece, said in words.named.items() if (found := wanted & said)}


def hands_on(source: bytes, names: Collection[str]) -> frozenset[str]:
    """Return the pieces that do more with one of ``names`` than call it: who gets it may look."""
    if not _says_any(source, names):
        return frozenset()
    return _among(source, names, lambda words: words.given)


def reflects(source: bytes, *, asking: bool = True) -> frozenset[str]:
    """Return the pieces that look names up at run time, or take all of another module's.

    Without ``asking``, not those that ask an object, as ``getattr(x, name)`` does.
    """
    if not _LOOKS_UP.search(source):
        return frozenset()
    words = reading(source).words
    if words is None:
        return frozenset({MODULE})
    return words.reflecting | words.asking if asking else words.reflecting


def roams(source: bytes) -> frozenset[str]:
    """Return the pieces that may look names up in any module: their caller's, or a test's."""
    if not _ROAMS.search(source):
        return frozenset()
    words = reading(source).words
    if words is None:
        return frozenset({MODULE})
    looking = words.reflecting | words.asking
    return frozenset(
        piece
        for piece, said in words.named.items()
        if not _GLOBALS.isdisjoint(said)
        or (
            piece in looking
            and "module" in words.values.get(piece, ())
            and not _OF_TESTS.isdisjoint(said)
        )
    )


def gives(source: bytes, modules: Collection[str]) -> frozenset[str]:
    """Return the pieces that use a module of these names as a value: who gets it may look.

    ``m.name`` and ``setattr(m, "name", x)`` say what they look for.
    """
    return _among(source, modules, lambda words: words.values)


def _says_any(source: bytes, names: Collection[str]) -> bool:
    """Tell whether the text may have one of a few names: quicker than reading what it says."""
    return len(names) > _FEW or any(not name.isascii() or name.encode() in source for name in names)


def _among(
    source: bytes,
    names: Collection[str],
    which: Callable[[Words], Mapping[str, frozenset[str]]],
) -> frozenset[str]:
    words = reading(source).words
    if words is None:
        return frozenset({MODULE})
    wanted = frozenset(names)
    return frozenset(piece for piece, said in which(words).items() if not wanted.isdisjoint(said))
