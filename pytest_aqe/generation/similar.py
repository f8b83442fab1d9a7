"""Which texts are nearest to a query: BM25 and cosine, fused by reciprocal rank.

BM25 as in Robertson and Zaragoza 2009 (k1 1.2, b .75) finds shared rare words; cosine of
term-frequency vectors weighted by inverse document frequency finds the same vocabulary in
another mixture. Their scores do not compare, their ranks do: reciprocal rank fusion sums
1 / (60 + rank) over the rankings (Cormack, Clarke, Büttcher 2009).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

K1 = 1.2  # how soon a repeated word counts no more
B = 0.75  # how much a long text is discounted
RANK = 60  # damps the first places: the constant of the paper

_WORD = re.compile(r"[A-Za-z]+|\d+")
_HUMP = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

T = TypeVar("T", bound=Hashable)


def words(text: str) -> list[str]:
    """Return the words of a text, identifiers taken apart: ``parseURL_2`` is parse, url, 2."""
    found: list[str] = []
    for run in _WORD.findall(text):
        found += [hump.lower() for hump in _HUMP.findall(run)] or [run]
    return found


def nearest(query: str, texts: Mapping[T, str], rankings: Sequence[Sequence[T]] = ()) -> list[T]:
    """Return the keys of ``texts``, nearest first; ``rankings`` are further opinions, best first.

    What shares no word with the query and is in no ranking is left out. Equal ones are in the
    order given.
    """
    counts = {key: Counter(words(text)) for key, text in texts.items()}
    asked = Counter(words(query))
    keyword = _ranked(bm25(asked, counts))
    vector = _ranked(cosine(asked, counts))
    scores = fused([keyword, vector, *rankings])
    return [key for key in sorted(texts, key=lambda key: -scores.get(key, 0.0)) if key in scores]


def bm25(asked: Counter[str], texts: Mapping[T, Counter[str]]) -> dict[T, float]:
    """Return how much of the query each text says, rare words first."""
    lengths = {key: sum(counts.values()) for key, counts in texts.items()}
    mean = sum(lengths.values()) / len(lengths) if lengths else 1.0
    weight = _idf(texts)
    found: dict[T, float] = {}
    for key, counts in texts.items():
        norm = K1 * (1 - B + B * lengths[key] / mean) if mean else K1
        found[key] = sum(
            weight[word] * counts[word] * (K1 + 1) / (counts[word] + norm)
            for word in asked
            if word in counts
        )
    return found


def cosine(asked: Counter[str], texts: Mapping[T, Counter[str]]) -> dict[T, float]:
    """Return the cosine between the query and each text, words weighted by how rare they are."""
    weight = _idf(texts)
    query = {word: count * weight[word] for word, count in asked.items() if word in weight}
    length = math.sqrt(sum(value * value for value in query.values()))
    found: dict[T, float] = {}
    for key, counts in texts.items():
        other = math.sqrt(sum((count * weight[word]) ** 2 for word, count in counts.items()))
        dot = sum(value * counts[word] * weight[word] for word, value in query.items())
        found[key] = dot / (length * other) if length and other else 0.0
    return found


def fused(rankings: Sequence[Sequence[T]]) -> dict[T, float]:
    """Return the reciprocal rank score of everything that some ranking names."""
    scores: dict[T, float] = {}
    for ranking in rankings:
        for rank, key in enumerate(ranking, 1):
            scores[key] = scores.get(key, 0.0) + 1 / (RANK + rank)
    return scores


def _ranked(scores: Mapping[T, float]) -> list[T]:
    return [key for key in sorted(scores, key=lambda key: -scores[key]) if scores[key] > 0]


def _idf(texts: Mapping[T, Counter[str]]) -> dict[str, float]:
    """Return ln(1 + (N - n + .5) / (n + .5)) of every word: never negative."""
    occurs: Counter[str] = Counter()
    for counts in texts.values():
        occurs.update(counts.keys())
    total = len(texts)
    return {word: math.log(1 + (total - n + 0.5) / (n + 0.5)) for word, n in occurs.items()}
