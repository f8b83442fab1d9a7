"""Texts that a regular expression matches."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aqe.generation.patterns import MOST, matching

PARTS = st.recursive(
    st.sampled_from(["a", "0", ".", r"\d", r"\w", r"\s", r"\D", "[a-f]", "[^a-z]", r"[\w.-]", "-"]),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.tuples(inner, st.sampled_from(["?", "*", "+", "{2}", "{1,3}", "*?"])).map(
            lambda made: f"(?:{made[0]}){made[1]}"
        ),
        st.tuples(inner, inner).map(lambda made: f"({made[0]}|{made[1]})"),
    ),
    max_leaves=6,
)


@given(PARTS)
def test_each_matches_and_there_is_one(source: str) -> None:
    pattern = re.compile(source)
    found = matching(pattern)
    assert len(set(found)) == len(found) <= MOST
    assert all(pattern.fullmatch(each) for each in found)
    assert found or pattern.fullmatch("")  # what is empty is tried anyway


@pytest.mark.parametrize(
    "source, text",
    [
        (r"^(\d+)\.(\d+)(?:-([a-z]+))?$", "1.1-a"),
        (r"^(\d+)\.(\d+)(?:-([a-z]+))?$", "0.0-b"),
        (r"\d{4}-\d{2}-\d{2}", "1111-11-11"),
        (r"(?P<quote>['\"])x(?P=quote)", "'x'"),
        (r"(?i)hello\b.world", "hello world"),
        (r"(?=a)\w+", "a"),
        (r"#[0-9a-f]{6}", "#aaaaaa"),
        ("[\u4e00-\u9fff]", "\u4e00"),
        (r"(a)?(?(1)b|c)", "ab"),
        (b"\\x00[\\x10-\\x1f]", b"\x00\x10"),
    ],
)
def test_what_is_made(source: str | bytes, text: str | bytes) -> None:
    pattern = re.compile(source)
    assert text in matching(pattern), matching(pattern)


@pytest.mark.parametrize("source", ["", "$.", r"(?!)", "[^\\d\\D]", "(x{50}){50}"])
def test_nothing_is_made_of_what_matches_nothing_short(source: str) -> None:
    assert matching(re.compile(source)) == ()
