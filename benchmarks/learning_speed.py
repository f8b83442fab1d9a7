"""How long the selection learner takes for a suite of 10,000 tests, and the kernel by itself.

    python benchmarks/learning_speed.py

CPU time of this process, the median of 30 runs. Exits with 1 when a bar is missed: decide for
10,000 tests in 30 ms, learn from a run of them in 150 ms, look a Q up in 50 microseconds (95 of
100 times), one million tabular updates a second.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from pytest_aqe.learning import keeping
from pytest_aqe.learning.features import Past, Situation
from pytest_aqe.learning.guard import Guarded
from pytest_aqe.learning.publish import publish
from pytest_aqe.learning.qlearning import TabularQ, seeded

TESTS = 10_000
RUNS = 30


def main() -> int:
    """Measure, print and judge."""
    past, guarded, random = Past(), Guarded(), seeded("speed")
    files = [f"tests/part{i % 40}/test_{i % 400}.py" for i in range(TESTS)]
    names = {i: (f"{files[i]}::test_word{i % 97}_thing{i % 13}", files[i]) for i in range(TESTS)}
    everything = np.array([past.index(number, *name) for number, name in names.items()])
    weak = random.choice(TESTS, 30, replace=False)
    seconds = random.exponential(0.1, TESTS)
    spent: dict[str, list[float]] = {"decide": [], "learn": [], "publish": []}
    for number in range(RUNS):
        run = Situation(past, everything, ("src/part3/thing.py", files[4]), float(number))
        failed = np.zeros(TESTS, np.bool_)
        failed[weak[random.random(weak.size) < 0.2]] = True
        failed[weak[0]] = True
        spent["decide"].append(cpu(lambda: guarded.scores(run).argsort()))  # noqa: B023
        learning = cpu(lambda: guarded.learn(run, failed, seconds))  # noqa: B023
        learning += cpu(lambda: past.learn(run, failed, seconds))  # noqa: B023
        spent["learn"].append(learning)
        spent["publish"].append(cpu(lambda: publish(past, guarded)))
    kept = keeping.pack(past, guarded)
    fresh = (Past(), Guarded())
    rows = [
        ("decide for 10,000 tests", statistics.median(spent["decide"]) * 1e3, 30.0, "ms"),
        ("learn from a run of 10,000", statistics.median(spent["learn"]) * 1e3, 150.0, "ms"),
        ("publish their Q", statistics.median(spent["publish"]) * 1e3, None, "ms"),
        ("write the state", cpu(lambda: keeping.pack(past, guarded)) * 1e3, None, "ms"),
        ("read the state", cpu(lambda: keeping.unpack(kept, names, *fresh)) * 1e3, None, "ms"),
        ("look a Q up, 95th percentile", lookup() * 1e6, 50.0, "us"),
        ("tabular updates a second (at least)", updates(), 1e6, ""),
    ]
    missed = False
    for what, value, bar, unit in rows:
        at_least = not unit
        held = bar is None or (value >= bar if at_least else value <= bar)
        missed |= not held
        told = "" if bar is None else f"bar {bar:,.0f}: {'held' if held else 'MISSED'}"
        print(f"{what:<38}{value:>14,.1f} {unit:<3} {told}")
    print(f"{'state':<38}{len(kept):>14,d} bytes")
    return int(missed)


def cpu(action: Callable[[], object]) -> float:
    """Return the CPU seconds of an action."""
    start = time.process_time()
    action()
    return time.process_time() - start


def lookup() -> float:
    """Return the 95th percentile of 10,000 single look-ups, in seconds."""
    learner = TabularQ(1000, 4)
    taken = []
    for number in range(10_000):
        start = time.perf_counter()
        learner.value(number % 1000, number % 4)
        taken.append(time.perf_counter() - start)
    return sorted(taken)[int(0.95 * len(taken))]


def updates() -> float:
    """Return temporal-difference updates a CPU second, in batches of 10,000."""
    learner, random = TabularQ(1000, 4, gamma=0.9), seeded("updates")
    states, after = (random.integers(1000, size=10_000) for _ in range(2))
    actions, rewards = random.integers(4, size=10_000), random.normal(size=10_000)
    rounds = 50
    spent = cpu(lambda: [learner.update(states, actions, rewards, after) for _ in range(rounds)])
    return rounds * states.size / spent


if __name__ == "__main__":
    sys.exit(main())
