"""What code compares is noted while it runs, and tells which arguments to try."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pytest_aqe.generation.comparisons import Compared, Comparisons, exchanged, wished
from pytest_aqe.generation.values import Source

SOURCE = """
import re

CODE = re.compile("[a-z]+", re.I)


def read(text, how):
    if how == 1:
        return re.fullmatch(r"v(\\d+)", string=text, flags=re.I)
    if how == 2:
        return CODE.match(text)
    if how == 3:
        return re.sub("x+", "y", text)
    return how.match(text)


def made():
    def inner(word):
        if word == "sesame":
            return True
        return False
    return inner


opened = made()


class Gate:
    def wide(self, width):
        return (
            width
            > 7
        ) and 0 < width < 9

    def named(self, name):
        return name.startswith("north") or isinstance(name, bytes)
"""


@pytest.fixture
def watched(tmp_path: Path) -> tuple[Any, Comparisons]:
    path = tmp_path / "gate.py"
    path.write_text(SOURCE, "utf-8")
    module = ModuleType("gate")
    exec(compile(SOURCE, str(path), "exec"), vars(module))
    comparisons = Comparisons()
    comparisons.install(module, str(path))
    return module, comparisons


def test_operands_are_noted_and_results_stay(watched: tuple[Any, Comparisons]) -> None:
    """Also in what was made before; a statement is named by its first line."""
    module, comparisons = watched
    assert module.opened("please") is False
    assert comparisons.seen() == [Compared(19, "Eq", "please", "sesame")]
    assert module.opened("sesame") is True
    comparisons.seen()
    gate = module.Gate()
    assert gate.wide(8) is True
    assert comparisons.seen() == [Compared(30, "Gt", 8, 7)]
    assert gate.named("south") is False
    assert [each.how for each in comparisons.seen()] == ["startswith", "isinstance"]
    assert comparisons.seen() == []


def test_a_text_that_does_not_match_is_noted(watched: tuple[Any, Comparisons]) -> None:
    """By whichever function it is asked; what has a method of that name is let alone."""
    module, comparisons = watched
    assert module.read("12", 1) is None
    (noted,) = comparisons.seen()[-1:]
    assert (noted.line, noted.how, noted.left) == (9, "match", "12")
    assert noted.right == re.compile(r"v(\d+)", re.I)
    assert module.read("7b", 2) is None
    assert comparisons.seen()[-1] == Compared(11, "match", "7b", module.CODE)
    assert module.read("abc", 3) == "abc"
    assert comparisons.seen()[-1] == Compared(13, "match", "abc", re.compile("x+"))

    class Match:
        def match(self, text: str) -> str:
            return text * 2

    assert module.read("V7", 1)[1] == "7"
    assert module.read("axe", 3) == "aye"
    assert module.read("ab", Match()) == "abab"
    assert "match" not in {each.how for each in comparisons.seen()}
    with pytest.raises(TypeError, match="expected string or bytes-like object"):
        module.read(7, 2)
    with pytest.raises(AttributeError, match="no attribute 'match'"):
        module.read("", None)


def test_the_code_as_it_was_is_kept(watched: tuple[Any, Comparisons]) -> None:
    """What is noted for us is no constant of the project's."""
    module, comparisons = watched
    now = module.opened.__code__
    assert "Eq" in now.co_consts
    assert "Eq" not in comparisons.written(now).co_consts
    assert "sesame" in comparisons.written(now).co_consts


@pytest.mark.parametrize(
    "compared, old, new",
    [
        (Compared(1, "Eq", "please", "sesame"), "please", "sesame"),
        (Compared(1, "Lt", 3, 10), 3, 11),
        (Compared(1, "In", "red", {"blue": 1}), "red", "blue"),
        (Compared(1, "startswith", "south", "north"), "south", "northsouth"),
        (Compared(1, "endswith", "a", (".py", 1)), "a", "a.py"),
        (Compared(1, "Eq", (1, 2), (1, 5)), 2, 5),
        (Compared(1, "match", "seven", re.compile(r"v(\d)")), "seven", "v1"),
    ],
)
def test_what_an_operand_should_have_been(compared: Compared, old: object, new: object) -> None:
    assert (old, new) in list(wished(compared))


@pytest.mark.parametrize(
    "text, old, new, expected",
    [
        ("'please'", "please", "sesame", "'sesame'"),
        ("['é', 'x please y']", "please", "sesame", "['é', 'x sesame y']"),
        ("'PLEASE'", "please", "sesame", "'sesame'"),
        ("Box(width=3, name='a')", 3, 7, "Box(width=7, name='a')"),
        ("'1.3.5'", 3, 7, "'1.7.5'"),
        ("datetime.timedelta(seconds=120)", 2.0, 60, "datetime.timedelta(seconds=3600)"),
        ("[4, 4]", 2, 3, "[4, 4, 4]"),
        ("'abc'", 3, 0, "''"),
    ],
)
def test_the_place_that_held_it_is_exchanged(
    text: str, old: object, new: object, expected: str
) -> None:
    """Equal, inside a text, computed in a straight line, or a length."""
    assert expected in list(exchanged(text, old, new, Source(repr(new))))


@pytest.mark.parametrize("text", ["lambda x: x", "(", "[1, 2]"])
def test_what_holds_it_not_stays(text: str) -> None:
    assert list(exchanged(text, "please", "sesame", Source("'sesame'"))) == []


def test_a_distance_is_a_number_or_none() -> None:
    assert Compared(1, "Lt", 3, 10).distance == 7
    assert Compared(1, "Eq", "a", "b").distance is None
    assert Compared(1, "Eq", float("inf"), 1).distance is None
