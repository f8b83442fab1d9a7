"""What a case is: a project, a change to it, and the tests that the change must reach.

A project is written as one string. A line ``-- path --`` opens a file, and what follows is
its text. The text of a ``.so`` is C: the test compiles it. A ``.link`` is a symbolic link, and
its text is where it leads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from textwrap import dedent

NOTHING: Set[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Swap:
    """An edit: ``old`` stands once in the file, and becomes ``new``."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Case:
    """One way in which a change reaches a test, or does not.

    Tests go by the name that pytest gives them: ``test_price``, ``test_price[2]``,
    ``TestShop::test_price``; a file that cannot be collected by its dotted module. Every
    project has a ``test_bystander`` of its own, which nothing but the settings can reach.
    """

    name: str
    before: str
    # Path to its whole new text, to an edit, or to None where the file is deleted.
    change: Mapping[str, str | Swap | None]
    selected: Set[str] = NOTHING  # must run, and fail when everything runs
    passing: Set[str] = NOTHING  # must run too, and pass all the same
    spared: Set[str] = frozenset({"test_bystander"})  # must not run
    full: bool = False  # a full run that says so is an answer too
    environ: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # before, after
    folder: str = "."  # where pytest runs, from the git root
    python: tuple[int, int] = (3, 10)  # the first one that can read it


def read_folder(text: str) -> dict[str, str]:
    """Return the text of every file of a project, by its path from the git root."""
    before, *parts = re.split(r"^-- (\S+) --\n", dedent(text), flags=re.MULTILINE)
    assert not before.strip(), f"a text without a path: {before!r}"
    return dict(zip(parts[::2], parts[1::2], strict=True))


def one_module(
    name: str, shop: str, check: str, old: str, new: str, python: tuple[int, int] = (3, 10)
) -> Case:
    """A module, one test of it, and an edit that the test must notice.

    ``shop`` and ``check`` are indented by four and by twelve.
    """
    return Case(
        name,
        f"""
    -- shop.py --
{shop}
    -- test_shop.py --
    import shop

    def test_shop():
        assert {check}
    """,
        change={"shop.py": Swap(old, new)},
        selected={"test_shop"},
        python=python,
    )
