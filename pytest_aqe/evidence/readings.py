"""What a Python file says, read once: kept beside the history by the text it was read from.

Reading a file costs ten times what parsing it does, and a decision may ask all of a project's.
So what was read is a file of its own in ``.aqe/readings``, named by the digest of the text; a
file that did not change is never parsed again.
"""

from __future__ import annotations

import marshal
import os
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from pytest_aqe import __version__
from pytest_aqe.data import Pieces
from pytest_aqe.evidence.pieces import given, pieces
from pytest_aqe.evidence.syntax import forget_trees, parse
from pytest_aqe.evidence.toplevel import Statement, TopLevel, top_level
from pytest_aqe.evidence.versions import digest
from pytest_aqe.evidence.words import Words, words_of

_FORMAT = f"9 {__version__} {sys.version_info[0]}.{sys.version_info[1]}"
_MOST = 4  # times as many files as were asked for are kept


class Reading(NamedTuple):
    """All that is asked of a file: without ``words`` and ``top`` when no Python can parse it.

    ``given`` is what its import gives away.
    """

    pieces: Pieces
    given: frozenset[str]
    words: Words | None
    top: TopLevel | None


class _Shelf:
    """Where readings are kept, once `keep_in` has said so, and which were asked for."""

    folder: ClassVar[Path | None] = None
    asked: ClassVar[set[str]] = set()


def keep_in(folder: Path | None) -> None:
    """Keep readings below ``folder`` from now on; None: only as long as the process lives."""
    _Shelf.folder = folder / "readings" if folder is not None else None
    _Shelf.asked.clear()
    _kept.cache_clear()


@lru_cache(maxsize=4096)
def reading(source: bytes) -> Reading:
    """Return what a file's bytes say."""
    kept = _kept(source)
    if kept is None:
        kept = _read(source)
        if _Shelf.folder is not None:
            _keep(_Shelf.folder / digest(source), len(source), kept)
    return kept


def pieces_of(source: bytes) -> Pieces:
    """Return the pieces of a file, without reading the rest of it where it is not kept."""
    kept = _kept(source)
    return kept.pieces if kept is not None else pieces(source)


def forget() -> None:
    """Give back the memory, and of what is kept what nobody asked for in a long time."""
    reading.cache_clear()
    _kept.cache_clear()
    forget_trees()
    if _Shelf.folder is None:
        return
    try:
        names = os.listdir(_Shelf.folder)  # noqa: PTH208
        if len(names) > _MOST * len(_Shelf.asked) + 100:
            for name in set(names) - _Shelf.asked:
                (_Shelf.folder / name).unlink(missing_ok=True)
    except OSError:
        return


def _read(source: bytes) -> Reading:
    found = pieces(source)
    tree = parse(source)
    if tree is None:
        return Reading(found, given(source), None, None)
    return Reading(found, given(source), words_of(tree, found), top_level(tree, source, found))


@lru_cache(maxsize=4096)
def _kept(source: bytes) -> Reading | None:
    if _Shelf.folder is None:
        return None
    name = digest(source)
    _Shelf.asked.add(name)
    try:
        held = marshal.loads((_Shelf.folder / name).read_bytes())
        form, of_size, checksums, inert, away, words, top = held
        if (form, of_size) != (_FORMAT, len(source)):
            return None
        if words is None:
            return Reading(Pieces(checksums, inert), away, None, None)
        statements, *others = top
        return Reading(
            Pieces(checksums, inert),
            away,
            Words(*words),
            TopLevel(tuple(Statement(*each) for each in statements), *others),
        )
    except (OSError, EOFError, ValueError, TypeError):
        return None


def _keep(path: Path, size: int, found: Reading) -> None:
    words: Any = None
    top: Any = None
    if found.words is not None and found.top is not None:
        words = tuple(found.words)
        statements, *others = found.top
        top = (tuple(map(tuple, statements)), *others)
    checksums, inert = found.pieces
    held = (_FORMAT, size, dict(checksums), inert, found.given, words, top)
    scratch = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_bytes(marshal.dumps(held))
        scratch.replace(path)
    except OSError:
        return
