"""The nearest texts, by two measures and a fusion with known laws."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aqe.generation.similar import RANK, WORDS, Index, fused, words

TEXTS = {
    "parse": "def test_parse_date(): assert parse_date('2020-01-01').year == 2020",
    "render": "def test_render(): assert render(1) == 'one'",
    "both": "def test_round_trip(): assert parse_date(render_date(d)) == d",
}


def test_identifiers_are_taken_apart() -> None:
    """By case, underscores and digits."""
    assert words("parseURL2_of HTTPServer x9") == [
        "parse", "url", "2", "of", "http", "server", "x", "9",
    ]  # fmt: skip


def test_what_shares_rare_words_is_nearest() -> None:
    """And what shares none is not there at all."""
    assert Index(TEXTS).nearest("parse_date year") == ["parse", "both"]
    assert Index(TEXTS).nearest("unheard") == []


def test_another_ranking_can_lift_what_words_do_not_find() -> None:
    """Such as the tests that reach the code, whatever they call it."""
    assert Index(TEXTS).nearest("unheard", [["render"]]) == ["render"]
    assert Index(TEXTS).nearest("parse_date", [["render"]] * 3)[0] == "render"


def test_cosine_of_a_text_with_itself_is_one() -> None:
    """Whatever else there is."""
    index = Index(TEXTS)
    assert index.cosine(index.asked(TEXTS["both"]))["both"] == pytest.approx(1.0)


def test_bm25_by_hand() -> None:
    """Two texts of one word each, asked for one of them: ln(1 + 1.5/1.5) * 2.2 / 2.2."""
    scores = Index({"x": "a", "y": "b"}).bm25(Counter(["a"]))
    assert scores == {"x": pytest.approx(0.6931, abs=1e-4)}


def test_of_a_long_query_the_rare_words_count() -> None:
    """Those that every text says, and those that none does, are left out first."""
    texts = {n: f"def test assert {'w' * (n + 1)}" for n in range(100)}
    query = " ".join(["unheard", *(text for text in texts.values())])
    asked = Index(texts).asked(query)
    assert len(asked) == WORDS
    assert not {"def", "test", "assert", "unheard"} & set(asked)


def test_fusion_by_hand() -> None:
    """First in one ranking and second in another."""
    assert fused([["a", "b"], ["b", "a"], ["b"]])["b"] == pytest.approx(
        1 / (RANK + 2) + 2 / (RANK + 1)
    )


@given(st.lists(st.permutations("abcde"), min_size=1, max_size=5))
def test_what_is_ahead_in_every_ranking_is_ahead(rankings: list[list[str]]) -> None:
    """The law of a fusion."""
    scores = fused(rankings)
    for one in "abcde":
        for other in "abcde":
            if one != other and all(r.index(one) < r.index(other) for r in rankings):
                assert scores[one] > scores[other]


@given(st.text(max_size=60), st.dictionaries(st.integers(), st.text(max_size=60), max_size=6))
def test_any_text_can_be_asked_for_and_looked_through(query: str, texts: dict[int, str]) -> None:
    """Nothing is found twice, and nothing that is not there."""
    found = Index(texts).nearest(query)
    assert len(found) == len(set(found))
    assert set(found) <= set(texts)
