"""Calls that say the same in a plainer way."""

from __future__ import annotations

import pytest

from pytest_aqe.generation.execution import Call
from pytest_aqe.generation.harvest import Argument, spelled
from pytest_aqe.generation.simpler import plain, simpler
from pytest_aqe.generation.values import Source


def shown(call: Call) -> str:
    steps = "".join(f"{name}; " for name, _ in call.before)
    made = f"{call.receiver.text}." if call.receiver is not None else ""
    return f"{steps}{made}f({spelled(call.arguments)})"


@pytest.mark.parametrize(
    "call, expected",
    [
        (Call(None, (Argument("a", "/", Source("3599.99046")),)), "f(3600)"),
        (Call(None, (Argument("a", "/", Source("3599.99046")),)), "f(3599.99)"),
        (Call(None, (Argument("a", "/", Source("[1.0625, 2]")),)), "f([1.06, 2])"),
        (Call(None, (Argument("a", "/", Source("'much too long a text'")),)), "f('much too l')"),
        (Call(None, (Argument("a", "/", Source("1")), Argument("b", "=", Source("2")))), "f(1)"),
        (Call(Source("Box(1, None)"), ()), "Box(1).f()"),
        (Call(Source("Box(1)"), (), (("grow", ()), ("shrink", ()))), "shrink; Box(1).f()"),
    ],
)
def test_what_is_tried_instead(call: Call, expected: str) -> None:
    assert expected in [shown(each) for each in simpler(call)]


def test_what_is_plain_stays() -> None:
    call = Call(Source("Box(1)"), (Argument("a", "/", Source("'short'")),))
    assert list(simpler(call)) == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [("sorted", ["f('a')", "f(1)"]), ("'short'", []), ("True", []), ("tmp_path", [])],
)
def test_any_value_instead_of_a_function(given: str, expected: list[str]) -> None:
    call = Call(None, (Argument("a", "/", Source(given)),))
    assert [shown(each) for each in plain(call)] == expected


@pytest.mark.parametrize(
    "text, expected",
    [("{'a': 1, 'b': [2]}", "a=1, b=[2]"), ("{'class': 1}", "**{'class': 1}"), ("x", "**x")],
)
def test_arguments_by_name_look_like_it(text: str, expected: str) -> None:
    assert spelled((Argument("more", "**", Source(text)),)) == expected


@pytest.mark.parametrize("text, expected", [("(1, (2, 3))", "1, (2, 3)"), ("()", "*()")])
def test_arguments_by_place_look_like_it(text: str, expected: str) -> None:
    assert spelled((Argument("more", "*", Source(text)),)) == expected
