"""What is done with a parameter says what it is."""

from __future__ import annotations

import ast

import pytest

from pytest_aqe.generation.uses import Uses

SOURCE = """
def work(one, two, three, four, five, six, seven):
    one.strip()
    two(1)
    three["key"]
    four[0]
    for each in five:
        pass
    six - 1
    "%s" % seven


class Kept:
    def __init__(self, cache, unused):
        self.cache = cache

    def get(self, key):
        return self.cache.setdefault(key, 1)


@decorated
def later(name):
    return name == "x"
"""


@pytest.mark.parametrize(
    "function, line, parameter, kinds",
    [
        ("work", 2, "one", ["str"]),
        ("work", 2, "two", ["callable"]),
        ("work", 2, "three", ["dict"]),
        ("work", 2, "four", ["list"]),
        ("work", 2, "five", ["list"]),
        ("work", 2, "six", ["int"]),
        ("work", 2, "seven", []),
        ("__init__", 14, "cache", ["dict"]),
        ("__init__", 14, "unused", []),
        ("later", 21, "name", ["str"]),
    ],
)
def test_a_use_says_the_type(function: str, line: int, parameter: str, kinds: list[str]) -> None:
    """What a constructor keeps is followed through its class."""
    found = Uses(ast.parse(SOURCE)).of(function, line)
    assert list(found.get(parameter, ())) == kinds
    assert Uses(ast.parse(SOURCE)).of(function, line + 1) == {}
