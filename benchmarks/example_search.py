"""Search for the nearest tests among 10,000: CPU milliseconds a query, 95th percentile.

    python benchmarks/example_search.py [--tests 10000] [--queries 200]

The texts are made of words drawn as they are in code: the n-th most frequent one about 1/n as
often as the first (Zipf). A query is the text of a function of 20 lines.
"""

from __future__ import annotations

import argparse
import random
import string
import sys
import time
from itertools import accumulate
from statistics import median, quantiles

from pytest_aqe.generation.similar import Index

BAR = 10.0  # milliseconds, 95th percentile
VOCABULARY = 8000  # words of a large code base, identifiers taken apart
TEST = 40  # words a test
QUERY = 120  # words a function


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tests", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=200)
    asked = parser.parse_args()
    draw = random.Random(1)
    words = ["".join(draw.choices(string.ascii_lowercase, k=7)) for _ in range(VOCABULARY)]
    weights = list(accumulate(1 / rank for rank in range(1, VOCABULARY + 1)))

    def text(length: int) -> str:
        return " ".join(draw.choices(words, cum_weights=weights, k=length))

    texts = {number: text(TEST) for number in range(asked.tests)}
    start = time.process_time()
    index = Index(texts)
    built = time.process_time() - start
    took = []
    for _ in range(asked.queries):
        query = text(QUERY)
        start = time.process_time()
        index.nearest(query)
        took.append(1000 * (time.process_time() - start))
    print(f"{asked.tests:,} tests: index {built:.2f} s")
    late = quantiles(took, n=20)[-1]
    print(f"query: median {median(took):.1f} ms, p95 {late:.1f} ms; bar <= {BAR:g} ms")
    sys.exit(late > BAR)


if __name__ == "__main__":
    main()
