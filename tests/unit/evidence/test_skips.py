"""Skips that only an edit can end, told from those that may end any time."""

from __future__ import annotations

import importlib
import sys

import pytest

from pytest_aqe.evidence.skips import Skips

THIS, OTHER = sys.platform, "amiga"
MINOR = sys.version_info[:2]
LATER = (MINOR[0], MINOR[1] + 1)


def settled(pytester: pytest.Pytester, source: str) -> set[str]:
    """Return the names of tests that are skipped until somebody edits them."""
    pytester.makepyfile(test_it=f"import os, sys, platform, unittest, pytest\n{source}")
    items, _ = pytester.inline_genitems()
    skips = Skips()
    return {item.name for item in items if skips.is_settled(item)}


@pytest.mark.parametrize(
    "mark",
    [
        "pytest.mark.skip",
        "pytest.mark.skip(reason='not now')",
        "unittest.skip('not now')",
        f"pytest.mark.skipif(sys.platform == {THIS!r}, reason='here')",
        f"pytest.mark.skipif(condition=sys.platform == {THIS!r}, reason='here')",
        f"pytest.mark.skipif({'sys.platform == ' + repr(THIS)!r})",
        f"pytest.mark.skipif(not sys.platform.startswith({OTHER!r}), reason='here')",
        f"pytest.mark.skipif(sys.platform in ({OTHER!r}, {THIS!r}), reason='here')",
        "pytest.mark.skipif(os.name != 'amiga', reason='here')",
        "pytest.mark.skipif(platform.system() != 'Amiga', reason='here')",
        "pytest.mark.skipif(platform.python_implementation() != 'X', reason='here')",
        "pytest.mark.skipif(sys.implementation.name != 'x', reason='here')",
        f"pytest.mark.skipif(sys.version_info < {LATER}, reason='old')",
        f"pytest.mark.skipif(sys.version_info[:2] == {MINOR}, reason='old')",
        f"pytest.mark.skipif(sys.version_info[1] == {MINOR[1]}, reason='old')",
        f"pytest.mark.skipif(sys.version_info.minor < {LATER[1]}, reason='old')",
        f"pytest.mark.skipif(os.environ.get('A') or sys.platform == {THIS!r}, reason='here')",
        f"pytest.mark.skipif(os.environ.get('A') is None, sys.platform == {THIS!r}, reason='')",
        f"unittest.skipIf(sys.platform == {THIS!r}, 'here')",
        f"unittest.skipUnless(sys.platform == {OTHER!r}, 'elsewhere')",
    ],
)
def test_only_an_edit_ends_it(pytester: pytest.Pytester, mark: str) -> None:
    """However the system, the version of Python, or nothing at all is asked for."""
    assert settled(pytester, f"@{mark}\ndef test_a(): pass\ndef test_b(): pass\n") == {"test_a"}


@pytest.mark.parametrize(
    "mark",
    [
        "pytest.mark.skipif(os.environ.get('A') is None, reason='unset')",
        "pytest.mark.skipif('os.environ.get(\"A\") is None')",
        "pytest.mark.skipif(not os.path.exists('/nothing'), reason='not there')",
        "pytest.mark.skipif(True, reason='computed') if sys.argv else pytest.mark.slow",
        f"pytest.mark.skipif(sys.platform == {OTHER!r}, reason='elsewhere')",
        f"pytest.mark.skipif(os.environ.get('A') is None and sys.platform == {THIS!r}, reason='')",
        f"pytest.mark.skipif(sys.version_info < {(*LATER, 0)}, reason='a patch may matter')",
        f"pytest.mark.skipif(sys.version_info[:3] < {LATER}, reason='a patch may matter')",
        "pytest.mark.skipif(sys.version_info[2] >= 0, reason='a patch may matter')",
        "pytest.mark.skipif(platform.release() != '', reason='another kernel')",
        "pytest.mark.skipif(sys.maxsize > 0, reason='another machine')",
        "pytest.mark.usefixtures('monkeypatch')",
        f"unittest.skipUnless(sys.platform == {THIS!r}, 'here')",
        "unittest.skipIf(os.environ.get('A') is None, 'unset')",
    ],
)
def test_it_may_end_any_time(pytester: pytest.Pytester, mark: str) -> None:
    """What asks for anything else, or does not skip."""
    assert settled(pytester, f"@{mark}\ndef test_a(): pass\n") == set()


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (f"HERE = sys.platform == {THIS!r}", True),
        (f"HERE: bool = sys.platform == {THIS!r}", True),
        (f"NAME = {THIS!r}\nHERE = sys.platform == NAME", True),
        (f"from system import PLACE as HERE  # sys.platform == {THIS!r}", True),
        ("HERE = 'A' not in os.environ", False),
        (f"HERE = False\nHERE = sys.platform == {THIS!r}", False),
        (f"HERE = sys.platform == {THIS!r}\ndef turn():\n    global HERE", False),
        (f"if True:\n    HERE = sys.platform == {THIS!r}", False),
        (f"HERE = sys.platform == {OTHER!r}\nglobals()['HERE'] = True", False),
    ],
)
def test_conditions_that_have_names(pytester: pytest.Pytester, source: str, found: bool) -> None:
    """They are followed to where they are bound, if that is one place and at the top."""
    pytester.makepyfile(system=f"import sys\nPLACE = sys.platform == {THIS!r}\n")
    pytester.syspathinsert()
    importlib.import_module("system")  # else it would be gone when the collecting is over
    mark = "@pytest.mark.skipif(HERE, reason='here')\n"
    assert bool(settled(pytester, f"{source}\n{mark}def test_a(): pass\n")) is found


def test_a_condition_in_another_module(pytester: pytest.Pytester) -> None:
    """It may be an attribute of a module."""
    pytester.makepyfile(system2=f"import sys\nHERE = sys.platform == {THIS!r}\n")
    pytester.syspathinsert()
    source = (
        "import system2\n@pytest.mark.skipif(system2.HERE, reason='here')\ndef test_a(): pass\n"
    )
    assert settled(pytester, source) == {"test_a"}


def test_a_mark_that_has_a_name(pytester: pytest.Pytester) -> None:
    """As is made once and used often."""
    source = f"here = pytest.mark.skipif(sys.platform == {THIS!r}, reason='here')\n"
    assert settled(pytester, f"{source}@here\ndef test_a(): pass\n") == {"test_a"}


@pytest.mark.parametrize("many", ["{}", "[{}]", "[pytest.mark.slow, {}]"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnknownMarkWarning")
def test_marks_of_classes_and_modules(pytester: pytest.Pytester, many: str) -> None:
    """They are the marks of every test in them."""
    mark = many.format(f"pytest.mark.skipif(sys.platform == {THIS!r}, reason='here')")
    source = f"class TestA:\n    pytestmark = {mark}\n    def test_a(self): pass\n"
    decorated = (
        "@pytest.mark.skip\nclass TestB:\n    class TestC:\n        def test_b(self): pass\n"
    )
    plain = "class TestD:\n    def test_d(self): pass\n"
    assert settled(pytester, source + decorated + plain) == {"test_a", "test_b"}
    assert settled(pytester, f"pytestmark = {mark}\n{plain}") == {"test_d"}


def test_what_cannot_be_told(pytester: pytest.Pytester) -> None:
    """One of two tests of a name, an inherited one, and an item that is no function."""
    twice = "if True:\n    pass\n@pytest.mark.skip\ndef test_a(): pass\ndef test_a(): pass\n"
    assert settled(pytester, twice) == set()
    pytester.makepyfile(
        base="import pytest\nclass Base:\n    @pytest.mark.skip\n    def test_a(self): pass\n"
    )
    pytester.syspathinsert()
    assert settled(pytester, "from base import Base as TestBase\n") == set()
    text = pytester.maketxtfile(test_text=">>> 1\n1\n")
    items, _ = pytester.inline_genitems(text)
    assert [Skips().is_settled(item) for item in items] == [False]
