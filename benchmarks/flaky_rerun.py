"""What a failure costs by how it is followed up: fixed reruns, value of information, Q.

Trains the table that ships (`--write`) on six worlds, three times over, and scores every
policy on others. Cost is in minutes: an attempt .1 (in process) or .4 (isolated), a flake or an
outage reported red 10, a regression waved through 100. The bar: the learnt policy, behind the
shield, costs at most .55x of the best fixed one. The attempts that a policy makes are those the
beliefs learn from. What ships may do less: a session calls nothing a flake that has not passed
again, so flakes that persist stay red there, unless quarantined.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from flaky import observed
from flaky_world import PROFILES, Attempt, Failure, World

from pytest_aqe.learning import rerun
from pytest_aqe.learning.flaky import LaneBayes, tempering
from pytest_aqe.learning.qlearning import TabularQ
from pytest_aqe.learning.rerun import ACTIONS, FLAKY, INPROC, ISOLATED, REAL, Case

TRAINING, SCORING = range(200, 206), range(1, 5)
EPOCHS = 3
EPSILON = 0.15
OUTAGE_SHARE = 0.3  # of tests failing, beyond which nothing is rerun
START = {REAL: -5.0, FLAKY: -20.0, INPROC: -5.0, ISOLATED: -5.0}
BAR = 0.55

Policy = Callable[[Case], str]
Actions = Callable[[Case], list[str]]


@dataclass(slots=True)
class Score:
    """What following up cost, in minutes, and what came of it."""

    failures: int = 0
    minutes: float = 0.0
    reruns: int = 0
    regressions: Counter[str] = field(default_factory=Counter)
    escaped: Counter[str] = field(default_factory=Counter)
    flakes: int = 0
    red: int = 0

    def take(self, failure: Failure, verdict: str, cost: float, reruns: int) -> None:
        self.failures += 1
        self.minutes += cost
        self.reruns += reruns
        if failure.defect is not None:
            kind = "det" if failure.defect.deterministic else "int"
            self.regressions[kind] += 1
            self.escaped[kind] += verdict == FLAKY
        else:
            self.flakes += 1
            self.red += verdict == REAL


def verdict_cost(failure: Failure, verdict: str) -> float:
    """Return what a verdict costs when the truth comes out."""
    if failure.defect is not None:
        return rerun.ESCAPE if verdict == FLAKY else 0.0
    return rerun.FALSE_ALARM if verdict == REAL else 0.0


class Examiner:
    """Walks a world, follows up each failure by a policy, and believes what it saw."""

    def __init__(self, world: World, policy: Policy, score: Score) -> None:
        self.world = world
        self.policy = policy
        self.score = score
        self.learner = LaneBayes()

    def walk(self) -> None:
        for ran in self.world.runs():
            attempts: dict[int, tuple[Attempt, ...]] = {}
            conditions, executions = observed(ran, {}, code=True)
            followed = len(ran.failures) <= OUTAGE_SHARE * len(ran.order)
            for test, failure in ran.failures.items():
                done = [("first", True)]
                if followed:
                    outage = tempering(conditions, failure.signature, self.learner.events)
                    case = rerun.examine(
                        self.learner.beliefs.get(test),
                        conditions,
                        failure.signature,
                        ran.codes[test],
                        outage,
                    )
                    done += self.follow(case, failure)
                attempts[test] = tuple(done)
            conditions, executions = observed(ran, attempts, code=True)
            self.learner.see(conditions, executions)

    def follow(self, case: Case, failure: Failure) -> list[Attempt]:
        """Follow one failure up to a verdict."""
        done: list[Attempt] = []
        cost = 0.0
        while True:
            action = self.policy(case)
            if action in (REAL, FLAKY):
                cost += verdict_cost(failure, action)
                self.score.take(failure, action, cost, len(done))
                return done
            failed = failure.again(action)
            cost += rerun.MINUTES[action]
            done.append((action, failed))
            case = case.after(action, failed)


class Trainee(Examiner):
    """Follows epsilon-greedily, and learns from what each verdict cost."""

    def __init__(self, world: World, q: TabularQ, actions: Actions, seed: int) -> None:
        super().__init__(world, lambda case: REAL, Score())
        self.q = q
        self.actions = actions
        self.chance = random.Random(seed)

    def follow(self, case: Case, failure: Failure) -> list[Attempt]:
        done: list[Attempt] = []
        while True:
            open_ = self.actions(case)
            values = self.q.values[case.state]
            action = max(open_, key=lambda each: values[ACTIONS.index(each)])
            if self.chance.random() < EPSILON:
                action = self.chance.choice(open_)
            number = ACTIONS.index(action)
            if action in (REAL, FLAKY):
                self.q.update(case.state, number, -verdict_cost(failure, action))
                return done
            failed = failure.again(action)
            done.append((action, failed))
            after = case.after(action, failed)
            ahead = self.actions(after)
            self.q.update(
                case.state,
                number,
                -rerun.MINUTES[action],
                after.state,
                next_allowed=[[each in ahead for each in ACTIONS]],
            )
            case = after


def train(profile: str, actions: Actions) -> rerun.Table:
    """Learn the table in worlds that are not scored."""
    q = TabularQ(
        rerun.STATES, len(ACTIONS), alpha=0.02, gamma=1.0, initial=[START[a] for a in ACTIONS]
    )
    for epoch in range(EPOCHS):
        for seed in TRAINING:
            Trainee(World(PROFILES[profile], seed), q, actions, seed * 10 + epoch).walk()
    return as_table(q)


def as_table(q: TabularQ) -> rerun.Table:
    met = np.flatnonzero(q.visits.sum(axis=1))
    return rerun.Table(
        {int(s): tuple(round(float(v), 3) for v in q.values[s]) for s in met},
        {int(s): tuple(int(v) for v in q.visits[s]) for s in met},
    )


def fixed(ladder: str) -> Policy:
    """Rerun up to a fixed list of modes; a pass is a flake, none is real."""
    modes = [INPROC if each == "i" else ISOLATED for each in ladder]

    def policy(case: Case) -> str:
        if case.passed:
            return FLAKY
        return modes[case.reruns] if case.reruns < len(modes) else REAL

    return policy


def policies(table: rerun.Table, session: rerun.Table) -> dict[str, Policy]:
    return {
        "no rerun": fixed(""),
        "fixed 1 in process": fixed("i"),
        "fixed 2 in process": fixed("ii"),
        "fixed 3 in process": fixed("iii"),
        "fixed 5 in process": fixed("iiiii"),
        "ladder 1+1 isolated": fixed("is"),
        "ladder 2+1 isolated": fixed("iis"),
        "value of information": lambda case: rerun.value_of_information(case, rerun.allowed(case)),
        "Q": lambda case: table.choose(case, rerun.allowed(case)),
        "Q, a pass needed": lambda case: session.choose(case, rerun.session_actions(case)),
    }


def write(path: Path, table: rerun.Table, profile: str) -> None:
    rows = [
        f'"{state}": {json.dumps([table.values[state], table.visits[state]])}'
        for state in sorted(table.values)
    ]
    about = {"actions": ACTIONS, "profile": profile, "worlds": list(TRAINING)}
    text = json.dumps(about)[:-1] + ', "states": {\n' + ",\n".join(rows) + "\n}}\n"
    path.write_text(text, "utf-8")


def main() -> int:
    """Train, score, print; return 1 when the bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", choices=sorted(PROFILES), default="ci")
    parser.add_argument("--write", type=Path, help="train what ships anew, and write it here")
    asked = parser.parse_args()
    if asked.write:
        write(asked.write, train(asked.profile, rerun.session_actions), asked.profile)
    table, session = train(asked.profile, rerun.allowed), rerun.shipped()
    print(f"{len(table.values)} states met; {len(session.values)} in the table that ships")
    print(f"{'policy':24} {'cost':>6} {'reruns':>7} {'det.':>6} {'int.':>6} {'red':>5}")
    costs = {}
    for name, policy in policies(table, session).items():
        score = Score()
        for seed in SCORING:
            Examiner(World(PROFILES[asked.profile], seed), policy, score).walk()
        costs[name] = score.minutes / score.failures
        escaped = {
            kind: score.escaped[kind] / max(score.regressions[kind], 1) for kind in ("det", "int")
        }
        print(
            f"{name:24} {costs[name]:6.2f} {score.reruns / score.failures:7.2f} "
            f"{escaped['det']:6.3f} {escaped['int']:6.3f} {score.red / score.flakes:5.2f}",
            flush=True,
        )
    best = min(cost for name, cost in costs.items() if name.startswith(("no", "fixed", "ladder")))
    share = costs["Q"] / best
    print(f"Q costs {share:.2f}x of the best fixed policy (bar {BAR})")
    return int(share > BAR)


if __name__ == "__main__":
    sys.exit(main())
