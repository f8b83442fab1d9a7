"""An error of Python's own says which argument would not do, and what would."""

from __future__ import annotations

import os
import re
import weakref
from typing import Any

import pytest

from pytest_aqe.generation.corrections import corrections, looked_up


def error_of(text: str) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - any error of Python's own
        eval(text, {"one": 1, "re": re, "weakref": weakref})
    return caught.value


def suggested(error: BaseException) -> dict[str, list[Any]]:
    return {each.kind: [value.value({}) for value in each.values] for each in corrections(error)}


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("list(1)", "int", [1]),
        ("one()", "int", str),
        ("one[0]", "int", "a"),
        ("len(1)", "int", {"a": 1}),
        ("1 in 2", "int", [1]),
        ("dict(**[])", "list", {"a": 1}),
        ("{[]: 1}", "list", (1,)),
        ("weakref.ref(1)", "int", str),
        ("re.match('a', 1)", "int", "a"),
        ("'a' + 1", "int", "a"),
        ("1 < 'a'", "str", 1),
        ("1 - 'a'", "str", 1),
        ("range('a')", "str", 1),
        ("(1).items()", "int", {"a": 1}),
        ("dict([1])", "int", {"a": 1, "b": 2}),
        ("dict(['abc'])", "list", [(1, "a"), (2, "b")]),
    ],
)
def test_a_message_names_what_would_do(text: str, kind: str, value: object) -> None:
    assert value in suggested(error_of(text))[kind]


def test_an_iterator_is_tried() -> None:
    found = suggested(error_of("next([])"))["list"]
    assert any(hasattr(each, "__next__") for each in found)


def test_other_errors_suggest_nothing() -> None:
    class Own(TypeError):
        def __str__(self) -> str:
            raise RuntimeError

    assert not suggested(KeyError("'int' object is not iterable"))
    assert not suggested(TypeError("no more apples"))
    assert not suggested(Own())


def test_a_key_that_is_not_there_names_those_that_are() -> None:
    class Prices:
        def __init__(self) -> None:
            self.known = {"apple": 2, 3: 4}

        def of(self, name: str) -> int:
            more = {"pear": 3}
            return more.get(name) or self.known[name]

    with pytest.raises(KeyError) as caught:
        Prices().of("plum")
    assert sorted(looked_up(caught.value)) == [("plum", "apple"), ("plum", "pear")]

    class Closed:
        @property
        def __dict__(self) -> dict[str, object]:  # type: ignore[override]
            raise RuntimeError

        def of(self, name: str) -> object:
            return {"pear": 3}[name]

    with pytest.raises(KeyError) as caught:
        Closed().of("plum")
    assert not [*looked_up(caught.value)]
    variables = dict(os.environ)
    with pytest.raises(KeyError) as caught:
        assert variables["no such variable"]
    assert not [*looked_up(caught.value)]
    rates = {7: "seven", 9: "nine"}
    with pytest.raises(KeyError) as caught:
        assert rates[8]
    assert sorted(looked_up(caught.value)) == [(8, 7), (8, 9)]
    assert not [*looked_up(KeyError("plum"))]
    assert not [*looked_up(IndexError("plum"))]
