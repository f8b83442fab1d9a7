"""What a file says, kept by its text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_aqe.evidence import readings, syntax
from pytest_aqe.evidence.readings import forget, keep_in, pieces_of, reading

SOURCE = b"""
import os
from m import B

class C(B):
    '''Doc.'''
    x = os.sep

def f(x):
    return getattr(x, "name")(C, *"a b".split())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    forget()
    keep_in(tmp_path)
    yield tmp_path / "readings"
    keep_in(None)
    forget()


def read_again(source: bytes) -> readings.Reading:
    """Read what was read before, as another process would, and see that nothing is parsed."""
    forget()
    found = reading(source)
    assert syntax.parse.cache_info().misses == 0
    return found


@pytest.mark.parametrize("source", [SOURCE, b"", b"def (", "é = 'é'".encode()])
def test_what_is_kept_is_what_was_read(folder: Path, source: bytes) -> None:
    """A second process asks the file, and gets the same."""
    first = reading(source)
    assert read_again(source) == first
    assert len(list(folder.iterdir())) == 1


def test_nothing_is_kept_without_a_folder(tmp_path: Path) -> None:
    """Whoever has no place for it reads again."""
    assert reading(SOURCE).top is not None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", [b"", b"\x00", b"(\x02\x00\x00\x00", b"i\x01\x00\x00\x00"])
def test_a_damaged_file_is_read_anew(folder: Path, damage: bytes) -> None:
    """And written as it should be."""
    first = reading(SOURCE)
    (file,) = folder.iterdir()
    file.write_bytes(damage)
    forget()
    assert reading(SOURCE) == first
    assert read_again(SOURCE) == first


def test_what_nobody_asks_for_is_given_up(folder: Path) -> None:
    """Edits leave readings behind; those of this session stay."""
    folder.mkdir()
    for number in range(200):
        (folder / f"{number:016x}").write_bytes(b"")
    reading(SOURCE)
    forget()
    assert len(list(folder.iterdir())) == len(readings._Shelf.asked)


def test_a_full_disk_costs_nothing_but_time(folder: Path) -> None:
    """Where nothing can be written the answer is the same."""
    folder.parent.joinpath("readings").write_text("a file, no folder")
    assert reading(SOURCE).words is not None
    forget()
    assert syntax.parse.cache_info().currsize == 0


def test_the_pieces_alone_are_taken_from_what_is_kept(folder: Path) -> None:
    """A file that was read before is not parsed to tell its pieces; another is not kept for it."""
    expected = reading(SOURCE).pieces
    forget()
    assert pieces_of(SOURCE) == expected
    assert syntax.parse.cache_info().misses == 0
    assert pieces_of(b"x = 1").checksums
    assert len(list(folder.iterdir())) == 1
