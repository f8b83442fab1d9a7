"""A module is found in what a model says, or it is said why there is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aqe.generation import reply

TEST = "def test_a():\n    assert f() == 1\n"
OTHER = "def helper():\n    return 1\n"


@pytest.mark.parametrize(
    "said",
    [
        f"```python\n{TEST}```",
        f"Here it is:\n\n```py\n{TEST}```\nI hope it helps.",
        f"```\n{TEST}\n```\n",
        f"~~~python\n{TEST}~~~",
        f"````python\n{TEST}````",
        f"```python\r\n{TEST}```".replace("\n", "\r\n").replace("\r\r", "\r"),
        f"\ufeff```python\n{TEST}```",
        f"```python\n{OTHER}```\nand\n```python\n{TEST}```",
        TEST,
        '{"tests": "def test_a():\\n    assert f() == 1\\n"}',
    ],
    ids=["fence", "prose", "no language", "tildes", "four", "crlf", "bom", "two blocks",
         "bare", "json"],
)  # fmt: skip
def test_the_module_is_found(said: str) -> None:
    """However it is wrapped."""
    assert reply.module(said) == (TEST, "")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("", "the reply is empty"),
        (" \n", "the reply is empty"),
        ("I cannot help with that.", "there is no code in the reply"),
        (f"```python\n{TEST}", "the reply was cut off before its end"),
        ("def test_a(:\n", "there is no code in the reply"),
        (f"FILE: src/a.py\n```python\n{TEST}```", "edits files"),
        (f"--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n```python\n{TEST}```", "edits files"),
        ('{"code": 1}', "there is no code in the reply"),
        ('["def test_a(): pass"]', "there is no code in the reply"),
    ],
)
def test_a_reply_without_a_module_says_why(said: str, why: str) -> None:
    """In the words that a row of the history shows."""
    code, told = reply.module(said)
    assert code is None
    assert why in told


def test_a_reply_that_was_stopped_is_not_taken_for_a_whole_one() -> None:
    """Even if what there is of it parses."""
    assert reply.module(TEST, cut=True) == (None, "the reply was cut off before its end")


@given(st.text())
def test_any_text_is_a_reply(said: str) -> None:
    """Nothing a model says raises."""
    code, why = reply.module(said)
    assert (code is None) == bool(why)
