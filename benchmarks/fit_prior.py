"""Fit the weights that a new installation starts from, on public CI histories.

    python benchmarks/fit_prior.py HISTORIES [--write]

HISTORIES is a folder with one history in the interchange format a folder. Each is replayed
once; every run with a failure gives a lesson (features of what failed and of a sample of what
passed). The weights minimise the list-wise loss, each family of histories counting alike, plus
a ridge. Besides the weights of all families, those that leave one family out are fitted: only
they may be used to benchmark that family. Prints the loss of each family under both; with
--write replaces ``pytest_aqe/learning/prior.json`` and ``benchmarks/priors/*.json``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from pytest_aqe.evidence.identity import from_node_id
from pytest_aqe.history import interchange, past
from pytest_aqe.history.store import open_history
from pytest_aqe.learning.baselines import beta_mean
from pytest_aqe.learning.features import FEATURES, Past, Situation
from pytest_aqe.learning.outcomes import outcome_of
from pytest_aqe.learning.qlearning import seeded
from pytest_aqe.learning.ranking import Lesson, lesson_of

# What resembles each other is left out together.
FAMILIES = {
    "dask": ("dask", "distributed"),
    "deeplearning4j": ("deeplearning4j",),
    "dune": ("dune",),
    "iofrol": ("iofrol",),
    "retrofit": ("retrofit",),
}
RIDGE = 0.002  # per squared weight, beside a mean loss of about 2
ROUNDS = 250  # of full-batch Adam; the loss changes in the fourth digit after 150
PACKAGE = Path(__file__).resolve().parent.parent / "pytest_aqe" / "learning" / "prior.json"
PRIORS = Path(__file__).resolve().parent / "priors"


def main() -> None:
    """Fit and print; write when asked to."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("histories", type=Path)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    found = {
        family: [lesson for name in names for lesson in lessons(asked.histories / name)]
        for family, names in FAMILIES.items()
    }
    everything = fit(list(found.values()))
    print(f"{'family':<16}{'lessons':>8}{'no prior':>10}{'left out':>10}{'fitted':>8}")
    for family, mine in found.items():
        others = [each for name, each in found.items() if name != family]
        without = fit(others)
        row = [loss([mine], weights) for weights in (np.zeros(len(FEATURES)), without, everything)]
        print(f"{family:<16}{len(mine):>8}{row[0]:>10.3f}{row[1]:>10.3f}{row[2]:>8.3f}")
        if asked.write:
            PRIORS.mkdir(exist_ok=True)
            left = sorted(set(FAMILIES) - {family})
            write(PRIORS / f"without-{family}.json", without, left)
    for name, weight in sorted(zip(FEATURES, everything, strict=True), key=lambda x: -abs(x[1])):
        print(f"{weight:+.3f}  {name}")
    if asked.write:
        write(PACKAGE, everything, sorted(FAMILIES))


def write(path: Path, weights: np.ndarray, families: list[str]) -> None:
    """Write weights with what they were fitted on."""
    content = {
        "fitted_on": families,
        "weights": {name: round(float(w), 4) for name, w in zip(FEATURES, weights, strict=True)},
    }
    path.write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def lessons(folder: Path) -> Iterator[Lesson]:
    """Replay one history; give a lesson for every run with a failure."""
    evidence = interchange.Evidence(
        folder, "", partial(from_node_id, prefix=""), lambda *_: None, lambda: None
    )
    runs = folder / "runs.parquet"
    with (
        tempfile.TemporaryDirectory() as place,
        open_history(Path(place) / "history.duckdb", write=True) as connection,
    ):
        interchange.import_file(
            connection,
            folder / "results.parquet",
            evidence,
            runs=runs if runs.exists() else None,
        )
        names = past.tests_of(connection, "")
        known = Past()
        for run in past.runs(connection, past.run_numbers(connection, "")):
            outcome = outcome_of(known, run, names)
            situation = Situation(known, outcome.tests, run.changed_files, run.hours)
            if known.clock and outcome.failed.any() and not outcome.failed.all():
                hard = np.log(beta_mean(situation))
                yield lesson_of(
                    situation.features, outcome.failed, hard, seeded("prior", run.run_no)
                )
            known.learn(situation, outcome.failed, outcome.seconds)


class Batch:
    """Lessons as one matrix, so that a whole pass is three operations on arrays."""

    def __init__(self, lessons: list[Lesson]) -> None:
        self.x = np.concatenate([each.features for each in lessons]).astype(np.float32)
        self.importance = np.concatenate([each.importance for each in lessons])
        self.starts = np.cumsum([0, *(len(each.failed) for each in lessons[:-1])])
        self.lengths = np.array([len(each.failed) for each in lessons])
        self.wanted = np.concatenate([each.failed / each.failed.sum() for each in lessons])

    def loss(self, weights: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the mean list-wise loss and its gradient."""
        q = self.x @ weights.astype(np.float32)
        q -= np.repeat(np.maximum.reduceat(q, self.starts), self.lengths)
        e = np.exp(q) * self.importance
        share = e / np.repeat(np.add.reduceat(e, self.starts), self.lengths)
        value = -(self.wanted * np.log(share + 1e-12)).sum() / len(self.starts)
        gradient = self.x.T @ (share - self.wanted) / len(self.starts)
        return float(value), gradient.astype(np.float64)


def fit(families: list[list[Lesson]]) -> np.ndarray:
    """Minimise the mean loss over families by Adam."""
    batches = [Batch(each) for each in families]
    weights, first, second = (np.zeros(len(FEATURES)) for _ in range(3))
    for i in range(1, ROUNDS + 1):
        gradient = np.mean([batch.loss(weights)[1] for batch in batches], axis=0)
        gradient += 2 * RIDGE * weights
        first = 0.9 * first + 0.1 * gradient
        second = 0.99 * second + 0.01 * gradient**2
        step = 0.03 * (first / (1 - 0.9**i)) / (np.sqrt(second / (1 - 0.99**i)) + 1e-8)
        weights -= step * (1 - i / (ROUNDS + 1))
    return weights


def loss(families: list[list[Lesson]], weights: np.ndarray) -> float:
    """Return the mean loss over families."""
    return float(np.mean([Batch(each).loss(weights)[0] for each in families]))


if __name__ == "__main__":
    main()
