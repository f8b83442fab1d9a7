"""Command lines for parsers of argparse: each is one that its parser takes."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aqe.generation.parsers import MOST, lines

Add = Callable[[argparse.ArgumentParser, int], object]
NARGS: st.SearchStrategy[Any] = st.sampled_from([None, 1, 2, "?", "+", "*"])
KINDS: st.SearchStrategy[Any] = st.sampled_from(
    [{}, {"type": int}, {"type": float}, {"type": Path}, {"choices": ["x", "y"]}]
)


class Kind(Enum):
    A = "a"
    B = "b"


def values(name: str) -> Sequence[str]:
    return [repr(name), "'7'"]


def option(nargs: Any, kind: dict[str, Any], required: bool) -> Add:
    return lambda parser, n: parser.add_argument(f"--o{n}", nargs=nargs, required=required, **kind)


def flag(action: str) -> Add:
    return lambda parser, n: parser.add_argument(f"-{'abcdefgh'[n]}", f"--o{n}", action=action)


def place(nargs: Any, kind: dict[str, Any]) -> Add:
    return lambda parser, n: parser.add_argument(f"p{n}", nargs=nargs, **kind)


options = st.builds(option, NARGS, KINDS, st.booleans()) | st.builds(
    flag, st.sampled_from(["store_true", "count", "store_false"])
)
places = st.builds(place, st.sampled_from([None, 1, 2]), KINDS)


@st.composite
def parsers(draw: st.DrawFn) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="prog")
    fill(parser, draw)
    if not has_any_number(parser) and draw(st.booleans()):
        inner = parser.add_subparsers(required=draw(st.booleans()))
        for name in ("one", "two"):
            fill(inner.add_parser(name), draw)
    elif draw(st.booleans()):
        draw(st.builds(place, NARGS, KINDS))(parser, 9)
    return parser


def has_any_number(parser: argparse.ArgumentParser) -> bool:
    """Tell one whose options take all words that follow: a command then has no place."""
    return any(each.nargs in ("?", "*", "+") for each in parser._actions)


def fill(parser: argparse.ArgumentParser, draw: st.DrawFn) -> None:
    for number, add in enumerate(draw(st.lists(options | places, max_size=4))):
        add(parser, number)


@given(parsers())
def test_a_parser_takes_each_line(parser: argparse.ArgumentParser) -> None:
    found = [*lines(parser, values)]
    assert 0 < len(found) <= MOST
    assert len(set(found)) == len(found)
    for line in found:
        if line:  # nothing is tried, too
            parser.parse_args([ast.literal_eval(word) for word in line])


def test_every_option_and_every_command_is_given() -> None:
    parser = argparse.ArgumentParser(prog="prog")
    parser.add_argument("--version", action="version", version="1")
    parser.add_argument("--loud", action="store_true")
    inner = parser.add_subparsers()
    count = inner.add_parser("count", aliases=["c"])
    count.add_argument("path")
    count.add_argument("--how", choices=["words", "lines"])
    inner.add_parser("list")
    found = [" ".join(map(ast.literal_eval, line)) for line in lines(parser, values)]
    assert found == [
        "count path",
        "list",
        "count 7",
        "count --how words path",
        "count --how lines path",
        "--loud count path",
        "--loud list",
        "--loud count 7",
        "--loud count --how words path",
        "--loud count --how lines path",
        "",
    ]


def test_a_place_for_any_number_of_choices_is_given_one_at_least() -> None:
    parser = argparse.ArgumentParser(prog="prog")
    parser.add_argument("--out", choices=["x"], nargs="*")
    parser.add_argument("what", choices=["y", "z"], nargs="*")
    found = [" ".join(map(ast.literal_eval, line)) for line in lines(parser, values)]
    assert found == ["y z", "y", "z", "y z --out", "y z --out x x", "y z --out x", ""]


@pytest.mark.parametrize("name", ["--from", "in-file", "--class", "--3d"])
def test_any_name_will_do(name: str) -> None:
    parser = argparse.ArgumentParser(prog="prog")
    parser.add_argument(name)
    for line in lines(parser, values):
        if line:
            parser.parse_args([ast.literal_eval(word) for word in line])


def test_what_may_be_left_out_is_left_out_first() -> None:
    parser = argparse.ArgumentParser(prog="prog")
    parser.add_argument("first", nargs="?")
    parser.add_argument("--kind", type=Kind, choices=list(Kind))
    found = [" ".join(map(ast.literal_eval, line)) for line in lines(parser, values)]
    assert found == ["", "first", "7", "--kind a", "--kind b"]


def test_a_large_program_has_some_lines_soon() -> None:
    """Nothing is made of what would not be used, and never millions of words."""
    parser = argparse.ArgumentParser(prog="prog")
    parser.add_argument("--many", nargs=30_000_000, metavar="M")
    inner = parser.add_subparsers()
    for number in range(200):
        command = inner.add_parser(f"c{number}")
        for option in range(20):
            command.add_argument(f"--o{option}", choices=range(10**9), metavar="N")
    found = list(lines(parser, values))
    assert len(found) == MOST
    assert ("'c0'",) in found
    assert ("'c59'",) in found
