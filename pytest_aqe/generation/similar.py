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
from functools import cached_property
from typing import Generic, TypeVar

K1 = 1.2  # how soon a repeated word counts no more
B = 0.75  # how much a long text is discounted
RANK = 60  # damps the first places: the constant of the paper
WORDS = 32  # of a query, the rarest: the others are in every test

_WORD = re.compile(r"[A-Za-z]+|\d+")
_HUMP = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

T = TypeVar("T", bound=Hashable)


def words(text: str) -> list[str]:
    """Return the words of a text, identifiers taken apart: ``parseURL_2`` is parse, url, 2."""
    found: list[str] = []
    for run in _WORD.findall(text):
        found += [hump.lower() for hump in _HUMP.findall(run)] or [run]
    return found


class Index(Generic[T]):
    """Texts, taken apart once, to be asked many times.

    A query costs the occurrences of its words, not the texts.
    """

    def __init__(self, texts: Mapping[T, str]) -> None:
        self._keys = list(texts)
        self._places: dict[str, list[tuple[int, int]]] = {}  # word -> (text, how often)
        self._lengths: list[int] = []
        for number, text in enumerate(texts.values()):
            counts = Counter(words(text))
            self._lengths.append(sum(counts.values()))
            for word, count in counts.items():
                self._places.setdefault(word, []).append((number, count))
        total = len(self._keys)
        self._mean = sum(self._lengths) / total if total else 1.0
        self._weight = {
            word: math.log(1 + (total - len(found) + 0.5) / (len(found) + 0.5))
            for word, found in self._places.items()
        }
        squares = [0.0] * total
        for word, found in self._places.items():
            for number, count in found:
                squares[number] += (count * self._weight[word]) ** 2
        self._norms = [math.sqrt(square) for square in squares]

    def nearest(self, query: str, rankings: Sequence[Sequence[T]] = ()) -> list[T]:
        """Return the keys of texts, nearest first; ``rankings`` are further opinions.

        What shares no word with the query and is in no ranking is left out. Equal ones are in
        the order given.
        """
        asked = self.asked(query)
        scores = fused([_ranked(self.bm25(asked)), _ranked(self.cosine(asked)), *rankings])
        return [key for key in sorted(scores, key=lambda key: -scores[key]) if key in self]

    def __contains__(self, key: object) -> bool:
        return key in self._known

    @cached_property
    def _known(self) -> frozenset[T]:
        return frozenset(self._keys)

    def asked(self, query: str) -> Counter[str]:
        """Return the rarest words of a query that occur at all, with how often it says them."""
        counts = Counter(word for word in words(query) if word in self._places)
        rarest = sorted(counts, key=lambda word: -self._weight[word])[:WORDS]
        return Counter({word: counts[word] for word in rarest})

    def bm25(self, asked: Counter[str]) -> dict[T, float]:
        """Return how much of the query each text says, rare words first."""
        found: dict[T, float] = {}
        for word in asked:
            weight = self._weight[word] * (K1 + 1)
            for number, count in self._places[word]:
                norm = K1 * (1 - B + B * self._lengths[number] / self._mean)
                key = self._keys[number]
                found[key] = found.get(key, 0.0) + weight * count / (count + norm)
        return found

    def cosine(self, asked: Counter[str]) -> dict[T, float]:
        """Return the cosine between the query and each text, words weighted by rarity."""
        query = {word: count * self._weight[word] for word, count in asked.items()}
        length = math.sqrt(sum(value * value for value in query.values()))
        dots: dict[int, float] = {}
        for word, value in query.items():
            weight = value * self._weight[word]
            for number, count in self._places[word]:
                dots[number] = dots.get(number, 0.0) + weight * count
        return {
            self._keys[number]: dot / (length * self._norms[number])
            for number, dot in dots.items()
            if length and self._norms[number]
        }


def fused(rankings: Sequence[Sequence[T]]) -> dict[T, float]:
    """Return the reciprocal rank score of everything that some ranking names."""
    scores: dict[T, float] = {}
    for ranking in rankings:
        for rank, key in enumerate(ranking, 1):
            scores[key] = scores.get(key, 0.0) + 1 / (RANK + rank)
    return scores


def _ranked(scores: Mapping[T, float]) -> list[T]:
    return [key for key in sorted(scores, key=lambda key: -scores[key]) if scores[key] > 0]
