"""A made-up project with a known truth: which failures are flakes, which are regressions.

Code is a set of units; every test runs some of them. Developers change units on branches and
in work trees, break and repair them; tests flake for the usual reasons; machines and services
go down. A world is drawn from a profile and a seed; nothing in it comes from real histories
but the quantiles of flake rates (811 tests run 10,000 times: median 0.7 %, a quarter at most
0.04 %).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

RATE_QUANTILES = ((0.0, 1e-4), (0.25, 4e-4), (0.5, 7e-3), (0.75, 0.05), (0.95, 0.3), (1.0, 0.6))
FRESH_TEXT = 0.15  # share of a flake's failures that read like none before
USUAL_TEXT = 0.1  # share of regressions that read like the test's usual flake
ENVIRONMENTS = ("e0", "e1", "e2")

Attempt = tuple[str, bool]  # mode, failed
Again = Callable[[str], bool]
"""Runs a test once more in a mode; tells whether it failed."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What kind of project and history. Shares are probabilities."""

    tests: int = 240
    pushes: int = 600
    flaky: float = 0.12
    outage: float = 0.02
    local: float = 0.15  # of sessions
    shuffled: float = 0.08
    xdist: float = 0.15
    blind: float = 0.03  # regressions in tests that coverage does not connect with the change
    breaks: float = 0.22
    breaks_local: float = 0.4


PROFILES = {
    "ci": Profile(),
    "mixed": Profile(local=0.6),
    "hell": Profile(flaky=0.3, outage=0.07, local=0.3),
    "small": Profile(tests=80, pushes=160, flaky=0.15, local=0.4),
    "blindcov": Profile(blind=0.4),
}


@dataclass(slots=True)
class Defect:
    """A regression: which tests it fails, and how often they then fail."""

    number: int
    units: frozenset[int]
    tests: frozenset[int]
    chance: float

    @property
    def deterministic(self) -> bool:
        return self.chance == 1.0


@dataclass(slots=True)
class State:
    """The code of a branch or a work tree."""

    units: list[int]
    defects: list[Defect] = field(default_factory=list)
    commit: int = 0
    tree: int = 0

    def copy(self) -> State:
        return State(list(self.units), list(self.defects), self.commit, self.tree)


@dataclass(slots=True)
class Flake:
    """Why and how often a test flakes. ``first`` and ``last`` limit it to a part of the past."""

    kind: str
    rate: float = 0.0
    other: int = -1  # the polluter or the setter
    first: float = 0.0
    last: float = 1.0
    hour: int = 0


@dataclass(slots=True)
class Failure:
    """Why a first attempt failed, and what another attempt would do."""

    cause: str  # reg, flake, od, time, env, infra
    signature: str
    again: Again
    defect: Defect | None = None


@dataclass(slots=True)
class Ran:
    """One run: what ran, in which order, and what failed at first."""

    number: int
    commit: str
    tree: str
    branch: str
    environment: str
    local: bool
    shuffled: bool
    hour: int
    order: list[int]
    codes: list[str]
    failures: dict[int, Failure]


class World:
    """Draw a project from a profile; `runs` are its history."""

    def __init__(self, profile: Profile, seed: int) -> None:
        self.profile = profile
        self.chance = random.Random(seed)
        self._modules = max(6, profile.tests // 10)
        self._number = 0
        self._trees = 0
        self._defects = 0
        self._now = 0.0
        self._make_tests()

    def _make_tests(self) -> None:
        c, tests = self.chance, self.profile.tests
        self.uses: list[frozenset[int]] = []
        self.service: list[int] = []
        self.flakes: dict[int, Flake] = {}
        for _ in range(tests):
            modules = c.sample(range(self._modules), c.choice((1, 1, 2, 2, 3)))
            units = {m * 8 + u for m in modules for u in c.sample(range(8), c.randint(2, 6))}
            self.uses.append(frozenset(units))
            self.service.append(c.randrange(3) if c.random() < 0.25 else -1)
        self.born = [c.uniform(0, 0.6) if c.random() < 0.1 else 0.0 for _ in range(tests)]
        flaky = c.sample(range(tests), int(tests * self.profile.flaky))
        self.clusters: list[tuple[list[int], float]] = []
        while flaky:
            kind = c.choices(
                ("nod", "clus", "od_vic", "od_brit", "time", "env", "fixed", "new"),
                (44, 3, 18, 8, 4, 6, 9, 9),
            )[0]
            if kind == "clus":
                members = [flaky.pop() for _ in range(min(len(flaky), c.randint(2, 5)))]
                self.clusters.append((members, c.uniform(0.01, 0.05)))
                self.flakes |= {each: Flake("clus") for each in members}
                continue
            test = flaky.pop()
            flake = Flake(kind, self._rate(), hour=c.randrange(24))
            if kind == "od_vic":
                flake.other = c.randrange(test, tests)
            elif kind == "od_brit":
                flake.other = c.randrange(0, max(test, 1))
            elif kind == "fixed":
                flake.last = c.uniform(0.3, 0.7)
            elif kind == "new":
                flake.first = c.uniform(0.3, 0.7)
            if flake.other == test:
                flake.kind = "nod"
            self.flakes[test] = flake

    def _rate(self) -> float:
        share = self.chance.random()
        for (low, start), (high, end) in pairwise(RATE_QUANTILES):
            if share <= high:
                return float(start * (end / start) ** ((share - low) / (high - low)))
        return RATE_QUANTILES[-1][1]

    def is_flaky(self, test: int) -> bool:
        """Tell whether a test flakes at any time: an environment alone is no flake."""
        return test in self.flakes and self.flakes[test].kind != "env"

    def runs(self) -> Iterator[Ran]:
        """Yield the history: pull requests, main, and work trees."""
        c, profile = self.chance, self.profile
        main = State([0] * (self._modules * 8))
        pushes = 0
        while pushes < profile.pushes:
            self._now = pushes / profile.pushes
            if c.random() < profile.local:
                yield from self._local(main)
            branch = main.copy()
            name = f"pr{pushes}"
            for _ in range(c.choice((1, 1, 2, 3, 5))):
                pushes += 1
                self._push(branch, profile.breaks)
                yield self._run(branch, name, ENVIRONMENTS[0])
                if c.random() < 0.15:
                    yield self._run(branch, name, ENVIRONMENTS[0])
            if branch.defects and c.random() < 0.85:
                continue  # never merged
            main = branch
            for environment in ENVIRONMENTS[: c.choice((1, 1, 2, 3))]:
                yield self._run(main, "main", environment)
            if main.defects and c.random() < 0.8:
                self._push(main, 0.0, repair=1.0)
                yield self._run(main, "main", ENVIRONMENTS[0])

    def _local(self, main: State) -> Iterator[Ran]:
        c = self.chance
        work = main.copy()
        for _ in range(c.randint(2, 8)):
            if c.random() < 0.75:
                self._edit(work, self.profile.breaks_local, repair=0.5)
            share = c.choice((0.1, 0.3, 1.0))
            yield self._run(work, "main", ENVIRONMENTS[0], local=True, share=share)

    def _push(self, state: State, breaks: float, repair: float = 0.5) -> None:
        self._edit(state, breaks, repair)
        state.commit = state.tree

    def _edit(self, state: State, breaks: float, repair: float) -> None:
        c = self.chance
        self._trees += 1
        state.tree = self._trees
        touched = {
            m * 8 + u
            for m in c.sample(range(self._modules), c.choice((1, 1, 2, 3)))
            for u in c.sample(range(8), c.choice((1, 1, 2, 3)))
        }
        for defect in list(state.defects):
            if c.random() < repair:
                state.defects.remove(defect)
                touched |= defect.units
        for unit in touched:
            state.units[unit] = self._trees
        if c.random() < breaks:
            self._break(state, touched)

    def _break(self, state: State, touched: set[int]) -> None:
        c, tests = self.chance, self.profile.tests
        near = [test for test in range(tests) if self.uses[test] & touched]
        blind = c.random() < self.profile.blind
        if blind:
            near = [test for test in range(tests) if not self.uses[test] & touched]
        if not near:
            return
        many = not blind and c.random() < 0.08
        count = int(len(near) * c.uniform(0.3, 0.9)) + 1 if many else c.choice((1, 1, 2, 3, 6))
        chance = 1.0 if c.random() < 0.9 else c.uniform(0.15, 0.85)
        self._defects += 1
        hit = frozenset(c.sample(near, min(count, len(near))))
        state.defects.append(Defect(self._defects, frozenset(touched), hit, chance))

    def _run(
        self, state: State, branch: str, environment: str, local: bool = False, share: float = 1.0
    ) -> Ran:
        c = self.chance
        self._number += 1
        tests = [t for t in range(self.profile.tests) if self.born[t] <= self._now]
        if share < 1.0:
            tests = sorted(c.sample(tests, max(1, int(len(tests) * share))))
        drawn = c.random()
        shuffled = drawn < self.profile.shuffled
        workers = 1
        if shuffled:
            c.shuffle(tests)
        elif drawn < self.profile.shuffled + self.profile.xdist:
            workers = 3
        hour = c.randrange(24)
        before = _before(tests, workers, c)
        failures = self._failures(state, environment, tests, before, hour)
        return Ran(
            self._number,
            f"c{state.commit}",
            f"t{state.tree}",
            branch,
            environment,
            local,
            shuffled,
            hour,
            tests,
            [f"{hash(tuple(state.units[u] for u in sorted(use)))}" for use in self.uses],
            failures,
        )

    def _failures(
        self,
        state: State,
        environment: str,
        tests: list[int],
        before: dict[int, set[int]],
        hour: int,
    ) -> dict[int, Failure]:
        c = self.chance
        load = c.lognormvariate(0, 0.4)
        found: dict[int, Failure] = self._outage(tests)
        for members, rate in self.clusters:
            if c.random() < rate:
                for test in members:
                    if c.random() < 0.8:
                        found.setdefault(
                            test,
                            Failure("flake", f"cluster{members[0]}", self._persists(0.6, 0.3, 0.0)),
                        )
        asked = set(tests)
        for test, flake in self.flakes.items():
            if test in asked and test not in found:
                failure = self._flake(test, flake, environment, before[test], hour, load)
                if failure is not None:
                    found[test] = failure
        for defect in state.defects:
            for test in defect.tests & asked:
                if c.random() < defect.chance:
                    usual = c.random() < USUAL_TEXT
                    text = f"usual{test}" if usual else f"defect{defect.number}"
                    found[test] = Failure("reg", text, self._fails(defect.chance), defect)
        return {test: found[test] for test in tests if test in found}

    def _flake(
        self,
        test: int,
        flake: Flake,
        environment: str,
        before: set[int],
        hour: int,
        load: float,
    ) -> Failure | None:
        c = self.chance
        text = f"fresh{c.random()}" if c.random() < FRESH_TEXT else f"usual{test}"
        match flake.kind:
            case "nod" | "fixed" | "new":
                rate = min(0.95, flake.rate * load)
                if flake.first <= self._now <= flake.last and c.random() < rate:
                    return Failure("flake", text, self._persists(0.5, 0.2, rate))
            case "od_vic":
                if flake.other in before:
                    return Failure("od", text, lambda mode: mode != "isolated")
            case "od_brit":
                if flake.other not in before:
                    return Failure("od", text, lambda mode: True)
            case "time":
                if (hour - flake.hour) % 24 < 2:
                    return Failure("time", text, lambda mode: True)
            case "env":
                if environment == ENVIRONMENTS[-1]:
                    return Failure("env", text, lambda mode: True)
        return None

    def _outage(self, tests: list[int]) -> dict[int, Failure]:
        c = self.chance
        if c.random() >= self.profile.outage:
            return {}
        kind = c.choice(("whole", "service", "service", "load"))
        if kind == "whole":
            hit = c.sample(tests, int(len(tests) * c.uniform(0.5, 1.0)))
            again = self._persists(1.0, 1.0, 1.0)
        elif kind == "service":
            service, share = c.randrange(3), c.choice((0.1, 0.5, 1.0))
            hit = [t for t in tests if self.service[t] == service and c.random() < share]
            again = self._persists(0.6, 0.6, 0.3)
        else:
            hit = c.sample(tests, min(len(tests), c.randint(2, 6)))
            again = self._persists(0.5, 0.3, 0.2)
        shared = c.random() < 0.9
        return {
            test: Failure("infra", f"down{kind}" if shared else f"down{test}", again)
            for test in hit
        }

    def _persists(self, inproc: float, isolated: float, rate: float) -> Again:
        def again(mode: str) -> bool:
            persists = inproc if mode == "inproc" else isolated
            return self.chance.random() < persists + (1 - persists) * rate

        return again

    def _fails(self, chance: float) -> Again:
        return lambda mode: self.chance.random() < chance


def _before(tests: list[int], workers: int, c: random.Random) -> dict[int, set[int]]:
    """Return what ran before each test on its worker."""
    ran: list[set[int]] = [set() for _ in range(workers)]
    before = {}
    for test in tests:
        mine = ran[c.randrange(workers)]
        before[test] = set(mine)
        mine.add(test)
    return before


def retry(failure: Failure, how: str) -> tuple[Attempt, ...]:
    """Return the attempts at a test that failed at first: ladder, twice, or none."""
    attempts: list[Attempt] = [("first", True)]
    modes = {"ladder": ("inproc", "isolated"), "twice": ("inproc", "inproc"), "none": ()}[how]
    for mode in modes:
        if attempts[-1][1]:
            attempts.append((mode, failure.again(mode)))
    return tuple(attempts)
