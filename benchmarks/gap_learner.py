"""The gap learner against fixed orders, by replay: gain per cost, and the cost of the same gain.

    python benchmarks/gap_learner.py HISTORY [HISTORY ...]

The trials of real sessions (table ``generations``) say what the offline author made of each
gap, and what it cost. Models were not asked in those sessions: what they make of a gap is
scripted from CoverUp's own logs (FSE'25; 1,465 segments: 50 % closed, of these 60 % at the
first attempt, 14,900 tokens a saved file), a small one a third of them at a fifth of the
cost. The learner has seen one half of the gaps; on the other half all policies spend a
tenth of what trying everything costs:

fixed      by risk as the session shows them, every author in turn until one gains
size       the largest gap first, every author in turn
random     any gap, every author in turn
offline    the offline author alone, the largest gap first
learned    the gap learner's order and choice
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np

from pytest_aqe.data import Gap
from pytest_aqe.learning.gaps import NONE, GapLearner, Tried

SECONDS_PER_FILE = 14.9  # 14,900 tokens, a thousand to a second as the learner counts
CLOSED, FIRST = 0.505, 0.603
SEEDS = 20


@dataclass(frozen=True)
class Case:
    """One gap, and what each author would make of it: gain and cost."""

    gap: Gap
    outcomes: tuple[tuple[float, float], ...]


def main() -> None:
    """Replay and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("history", nargs="+", type=Path)
    asked = parser.parse_args()
    rows = [row for path in asked.history for row in _rows(path)]
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for seed in range(SEEDS):
        chance = random.Random(seed)
        cases = [_scripted(gap, gain, cost, chance) for gap, gain, cost in rows]
        chance.shuffle(cases)
        half = len(cases) // 2
        learner = GapLearner()
        learner.replay(list(_seen(cases[:half])))
        rest = cases[half:]
        everything = sum(cost for case in rest for _, cost in case.outcomes)
        for name, policy in _policies(learner, seed).items():
            steps = list(policy(rest))
            found[name].append((_gain(steps, everything / 10), _cost(steps, rest)))
    print(json.dumps({
        "gaps": len(rows),
        "models": "scripted",
        **{
            name: {
                "gain_at_a_tenth": round(statistics.mean(gain for gain, _ in each), 1),
                "cost_of_half_the_gain": round(statistics.mean(cost for _, cost in each), 1),
            }
            for name, each in found.items()
        },
    }, indent=1))  # fmt: skip


def _rows(path: Path) -> Iterator[tuple[Gap, float, float]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        for file, name, missing, complexity, reached, gain, cost in connection.execute(
            """
            select
                gap_file, gap_name, any_value(missing), any_value(complexity), any_value(reached),
                sum(case when outcome = 'accepted' then lines + branches + killed else 0 end),
                sum(coalesce(seconds, 1.0))
            from generations
            where not model
            group by run_no, gap_file, gap_name
            order by 1, 2
            """
        ).fetchall():
            gap = Gap(
                file, name, 1, 9, tuple(range(missing)), (), missing, complexity=complexity,
                failures=None if reached is None else 0.0, tests=("t",) if reached else (),
            )  # fmt: skip
            yield gap, float(gain or 0), float(cost)


def _scripted(gap: Gap, gain: float, cost: float, chance: random.Random) -> Case:
    """Add what models would make of a gap. Harder code is harder for them too."""
    hard = 0.75 if gap.complexity > 6 else 1.15
    small = chance.random() < CLOSED * FIRST * hard
    large = small or chance.random() < CLOSED * hard
    return Case(
        gap,
        (
            (gain, cost),
            (gap.size * 0.8 * small, cost + SECONDS_PER_FILE / 5),
            (gap.size * 0.9 * large, cost + SECONDS_PER_FILE),
        ),
    )


def _seen(cases: list[Case]) -> Iterator[Tried]:
    """Yield the trials of sessions that tried everything in turn."""
    for run, case in enumerate(cases):
        for author, (gain, cost) in enumerate(case.outcomes):
            reached = None if case.gap.failures is None else bool(case.gap.tests)
            yield Tried(run, case.gap.id, case.gap.size, case.gap.complexity, reached, author,
                        gain, cost)  # fmt: skip
            if gain:
                break


Step = tuple[float, float]
Policy = Callable[[list[Case]], Iterator[Step]]


def _policies(learner: GapLearner, seed: int) -> dict[str, Policy]:
    def in_turn(cases: list[Case], authors: int = 3) -> Iterator[Step]:
        for case in cases:
            for gain, cost in case.outcomes[:authors]:
                yield gain, cost
                if gain:
                    break

    def fixed(cases: list[Case]) -> Iterator[Step]:
        return in_turn(sorted(cases, key=lambda each: -each.gap.size * each.gap.complexity))

    def by_size(cases: list[Case]) -> Iterator[Step]:
        return in_turn(sorted(cases, key=lambda each: -each.gap.size))

    def at_random(cases: list[Case]) -> Iterator[Step]:
        return in_turn(random.Random(seed).sample(cases, len(cases)))

    def offline(cases: list[Case]) -> Iterator[Step]:
        return in_turn(sorted(cases, key=lambda each: -each.gap.size), 1)

    def learned(cases: list[Case]) -> Iterator[Step]:
        chance = np.random.default_rng(seed)
        open_ = list(cases)
        for author in range(3):  # as a session does: each author in turn, gaps by value
            chosen = [each for each in open_
                      if learner.choose(each.gap, author, range(3), chance) == author]  # fmt: skip
            chosen.sort(key=lambda each: -learner.value(each.gap, author, [author]))
            closed = set()
            for case in chosen:
                gain, cost = case.outcomes[author]
                yield gain, cost
                if gain:
                    closed.add(case.gap.id)
            open_ = [each for each in open_ if each.gap.id not in closed]
        assert NONE

    return {"fixed": fixed, "size": by_size, "random": at_random, "offline": offline,
            "learned": learned}  # fmt: skip


def _gain(steps: list[Step], budget: float) -> float:
    spent = total = 0.0
    for gain, cost in steps:
        spent += cost
        if spent > budget:
            break
        total += gain
    return total


def _cost(steps: list[Step], cases: list[Case]) -> float:
    """Return what half of all that can be gained costs, infinite where it is not reached."""
    wanted = sum(max(gain for gain, _ in case.outcomes) for case in cases) / 2
    spent = total = 0.0
    for gain, cost in steps:
        spent += cost
        total += gain
        if total >= wanted:
            return spent
    return float("inf")


if __name__ == "__main__":
    main()
