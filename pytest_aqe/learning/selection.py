"""Which tests are likely to fail now, and in which order they tell us soonest.

Two decisions, kept apart. A policy ranks known tests by their rollups, once per session, in
the controller. `arrange` turns the ranks into an order of what was collected, alike in
every worker, and moves as little as it can: whole modules, and inside a module only tests
that are likely to fail, for a shuffled module sets its fixtures up again (3 modules of 10 tests:
21 set-ups instead of 3, measured) and wakes order-dependent tests.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pytest_aqe.data import Identity, Rank, Rollup

FAILED_LAST, NEW, KNOWN = 0, 1, 2
USES_WHAT_CHANGED = ", uses what changed"
LIKELY = 5.0  # times the typical score of its module, from which a test leaves its place in it
MIN_SECONDS = 0.005  # cheaper tests are alike: below it the clock and set-up dominate


class DecayedFailureRate:
    """Failed last first, then failures per execution and second, both lately counting more.

    rate = sum of .9^i over failing executions i back / the same over all executions;
    score = rate / seconds. On four CI histories with durations it has a better APFDc than
    the two published learners that were re-run on them (docs: how ordering works). Of
    ``affected`` tests, which a change can have broken, the rate is at least what Laplace's
    rule of succession makes of their executions: one failure in two more than there were.
    """

    name = "decayed failure rate per second"

    def __init__(self, affected: Collection[Identity] = ()) -> None:
        self._affected = affected

    def rank(self, tests: Sequence[Rollup]) -> Sequence[Rank]:
        """Rank each test by its own rollup."""
        return [self._rank(test) for test in tests]

    def _rank(self, test: Rollup) -> Rank:
        rate = test.failing / test.weight if test.weight else 0.0
        reason = record_of(test)
        if test.identity in self._affected:
            rate = max(rate, 1 / (test.weight + 2))
            reason += USES_WHAT_CHANGED
        seconds = MIN_SECONDS if test.seconds is None else max(test.seconds, MIN_SECONDS)
        tier = FAILED_LAST if test.failed_last else KNOWN
        return Rank(tier, rate / seconds, test.seconds, reason)


def record_of(test: Rollup) -> str:
    """Say what a test has done so far."""
    rate = test.failing / test.weight if test.weight else 0.0
    if not test.runs:
        return "skipped in every run"
    if test.failed_last:
        reason = f"failed last run ({test.failures} of {test.runs} runs failed)"
    elif test.failures:
        reason = f"{test.failures} of {test.runs} runs failed, decayed rate {rate:.3f}"
    else:
        return f"no failure in {test.runs} run{'' if test.runs == 1 else 's'}"
    return reason + (
        f", {test.seconds:.3g} s" if test.seconds is not None else ", duration unknown"
    )


NEW_TEST = Rank(NEW, 0.0, None, "new: no run recorded")


class Place(NamedTuple):
    """One collected test, as far as its order is concerned.

    ``phase`` numbers the parts of the session that must follow each other (pytest-django's
    database classes). ``block`` names what must stay together beyond the module: a
    parametrized session fixture, a package fixture. ``shared`` tells that the module sets
    up something wider than a function. ``pinned`` tells that another plugin placed it.
    """

    identity: Identity
    module: str
    phase: int = 0
    block: tuple[str, ...] = ()
    shared: bool = False
    pinned: bool = False


@dataclass(slots=True)
class _Module:
    phase: int
    block: tuple[str, ...]
    pinned: bool = False
    shared: bool = False
    indices: list[int] = field(default_factory=list)
    urgency: tuple[int, float] = (KNOWN, 0.0)


def arrange(places: Sequence[Place], ranks: Mapping[Identity, Rank]) -> list[int]:
    """Return the indices of ``places`` in the order to run them: always a permutation.

    Inside a phase, blocks are sorted by the most urgent module they hold, then modules by
    their most urgent test; ties keep the collected order. A module with a pinned test stays
    where it was among the modules.
    """
    modules = _modules(places)
    blocks: dict[tuple[int, tuple[str, ...]], tuple[tuple[int, float], int]] = {}
    for number, module in enumerate(modules):
        module.urgency = _urgency(module, places, ranks)
        urgency, first = blocks.get((module.phase, module.block), (module.urgency, number))
        blocks[module.phase, module.block] = (min(urgency, module.urgency), first)
    movable = iter(
        sorted(
            (module for module in modules if not module.pinned),
            key=lambda each: (each.phase, blocks[each.phase, each.block], each.urgency),
        )
    )
    return [
        index
        for module in modules
        for index in (module if module.pinned else next(movable)).indices
    ]


def _modules(places: Sequence[Place]) -> list[_Module]:
    """Group places by module; a module with a pinned test stays cut wherever it was cut.

    A module that belongs to no block is a block of its own.
    """
    pinned = {place.module for place in places if place.pinned}
    modules: list[_Module] = []
    known: dict[tuple[int, tuple[str, ...], str], _Module] = {}
    previous: str | None = None
    for index, place in enumerate(places):
        block = place.block or ("module", place.module)
        key = (place.phase, block, place.module)
        if place.module in pinned:
            if place.module != previous:
                modules.append(_Module(place.phase, ("pinned", str(index)), pinned=True))
            module = modules[-1]
        elif key in known:
            module = known[key]
        else:
            module = known[key] = _Module(place.phase, block)
            modules.append(module)
        module.indices.append(index)
        module.shared |= place.shared
        previous = place.module
    return modules


def _urgency(
    module: _Module, places: Sequence[Place], ranks: Mapping[Identity, Rank]
) -> tuple[int, float]:
    """Order the module inside, where it may be; return how soon it tells of a failure.

    That is the best, over its tests, of tier and score, the score being taken per second
    from the module's start: a likely failure behind a slow test is worth less.
    """
    if not (module.shared or module.pinned):
        found = [ranks.get(places[index].identity) for index in module.indices]
        likely = LIKELY * sorted(rank.score if rank else 0.0 for rank in found)[len(found) // 2]
        module.indices.sort(key=lambda index: _lately(ranks.get(places[index].identity), likely))
    best = (KNOWN, 0.0)
    waited = 0.0
    for index in module.indices:
        rank = ranks.get(places[index].identity, NEW_TEST)
        seconds = MIN_SECONDS if rank.seconds is None else max(rank.seconds, MIN_SECONDS)
        score = rank.score * seconds / (waited + seconds)
        best = min(best, (rank.tier, -score))
        waited += seconds
    return best


def _lately(rank: Rank | None, likely: float) -> tuple[int, float]:
    """Sort key inside a module: failed last first, then far likelier than its typical test.

    All others stay as collected.
    """
    if rank is None:
        return (KNOWN, 0.0)
    if rank.tier == FAILED_LAST:
        return (FAILED_LAST, -rank.score)
    return (NEW, -rank.score) if 0 < likely < rank.score else (KNOWN, 0.0)
