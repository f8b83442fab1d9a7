"""The nearest texts, by two measures and a fusion with known laws."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aqe.generation.similar import RANK, bm25, cosine, fused, nearest, words

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
    assert nearest("parse_date year", TEXTS) == ["parse", "both"]
    assert nearest("unheard", TEXTS) == []


def test_another_ranking_can_lift_what_words_do_not_find() -> None:
    """Such as the tests that reach the code, whatever they call it."""
    assert nearest("unheard", TEXTS, [["render"]]) == ["render"]
    assert nearest("parse_date", TEXTS, [["render"], ["render"], ["render"]])[0] == "render"


def test_cosine_of_a_text_with_itself_is_one() -> None:
    """Whatever else there is."""
    counts = {key: Counter(words(text)) for key, text in TEXTS.items()}
    assert cosine(counts["both"], counts)["both"] == pytest.approx(1.0)


def test_bm25_by_hand() -> None:
    """Two texts of one word each, asked for one of them: ln(1 + 1.5/1.5) * 2.2 / 2.2."""
    scores = bm25(Counter(["a"]), {"x": Counter(["a"]), "y": Counter(["b"])})
    assert scores["x"] == pytest.approx(0.6931, abs=1e-4)
    assert scores["y"] == 0.0


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
    found = nearest(query, texts)
    assert len(found) == len(set(found))
    assert set(found) <= set(texts)
