"""Why a test flakes: the cause that its recorded attempts name, with the evidence, or unknown.

No model and no text: each cause is a difference between the attempts that failed and those that
passed, and is named only where chance makes such a difference in less than 0.1 % of cases, over all
that were looked at (Fisher's exact test, Bonferroni). Order is asked first: in Python more than
half of all flaky tests depend on it (Gruber et al., ICST 2021).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import comb

LEVEL = 0.001  # over all differences looked at for a test; a suite has many tests
_HOURS = 4  # length of a part of the day, which may begin at any hour
_NOTHING = 0.1  # seconds below which writing the traceback is what takes longer
_SLOW = 1.5  # times the median of the passes from which an attempt is slow
_NETWORK = (
    "ConnectionError",
    "ConnectionRefusedError",
    "ConnectionResetError",
    "ConnectTimeout",
    "gaierror",
    "HTTPError",
    "ReadTimeout",
    "SSLError",
    "URLError",
    "RemoteDisconnected",
)
_ASYNC = ("CancelledError", "InvalidStateError", "TaskTimeout")


@dataclass(frozen=True, slots=True)
class Seen:
    """One run of a test: how its attempts ended, and what was around them.

    ``before`` are the tests that ran before it on its worker, None where that is not known.
    """

    attempts: tuple[tuple[str, bool], ...]  # mode, failed
    environment: str = ""
    hour: int | None = None
    seconds: float | None = None
    signature: str | None = None
    outage: float = 0.0
    before: frozenset[int] | None = None

    @property
    def failed(self) -> bool:
        """Whether the first attempt failed."""
        return self.attempts[0][1]


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause and what names it. ``others`` are the polluters or setters, likeliest first."""

    name: str
    evidence: str
    others: tuple[int, ...] = field(default=())


UNKNOWN = Cause("unknown", "no difference between failures and passes that chance does not make")


def cause(seen: Sequence[Seen]) -> Cause:
    """Name the cause of a test's failures."""
    failures = [each for each in seen if each.failed]
    repeated = _non_idempotent(seen)
    if repeated is not None:
        return repeated
    if not failures:
        return UNKNOWN
    if sum(each.outage >= 0.5 for each in failures) * 2 > len(failures):
        return Cause("shared outage", _of(failures, "failed together with others alike"))
    for look in (_order, _environment, _time_of_day, _words, _load):
        found = look(seen, failures)
        if found is not None:
            return found
    return UNKNOWN


def _of(failures: Sequence[Seen], what: str) -> str:
    return f"{what} in {sum(each.outage >= 0.5 for each in failures)} of {len(failures)} runs"


def _non_idempotent(seen: Sequence[Seen]) -> Cause | None:
    """Passes first, and fails when it runs again in the same process."""
    again = [
        failed
        for each in seen
        if not each.failed
        for mode, failed in each.attempts[1:]
        if mode == "inproc"
    ]
    if len(again) >= 2 and all(again):
        return Cause(
            "non-idempotent", f"failed in all {len(again)} second runs in the same process"
        )
    return None


def _order(seen: Sequence[Seen], failures: Sequence[Seen]) -> Cause | None:
    """Fails after a certain test, or without one: the orders, or an isolated attempt, say so."""
    polluters, setters = neighbours(seen)
    if polluters:
        count = sum(each.before is not None for each in failures)
        return Cause(
            "order-dependent (victim)",
            f"failed in {count} runs, always after one test that ran before it in no pass",
            tuple(polluters),
        )
    if setters:
        count = sum(each.before is not None for each in failures)
        return Cause(
            "order-dependent (brittle)",
            f"failed in {count} runs, always without one test that ran before it in every pass",
            tuple(setters),
        )
    inproc, isolated = _outcomes(failures, "inproc"), _outcomes(failures, "isolated")
    if len(isolated) >= 2 and not any(isolated) and len(inproc) >= 2 and all(inproc):
        return Cause(
            "order-dependent (victim)",
            f"passed in all {len(isolated)} fresh processes and failed again in all "
            f"{len(inproc)} attempts beside the others",
        )
    return None


def _outcomes(failures: Iterable[Seen], mode: str) -> list[bool]:
    return [failed for each in failures for how, failed in each.attempts[1:] if how == mode]


def neighbours(seen: Sequence[Seen]) -> tuple[list[int], list[int]]:
    """Return the tests that ran before it in every failure and no pass, and the other way round.

    Of these, only such as chance does not explain, with all candidates counted.
    """
    known = [each for each in seen if each.before is not None]
    failed = [each.before for each in known if each.failed and each.before is not None]
    passed = [each.before for each in known if not each.failed and each.before is not None]
    candidates = len(frozenset().union(*failed, *passed)) if known else 0
    if not failed or not passed or _fisher(len(failed), 0, 0, len(passed)) * candidates > LEVEL:
        return [], []
    always, ever = frozenset.intersection(*failed), frozenset().union(*passed)
    steady, met = frozenset.intersection(*passed), frozenset().union(*failed)
    return sorted(always - ever), sorted(steady - met)


def _environment(seen: Sequence[Seen], failures: Sequence[Seen]) -> Cause | None:
    return _differs("environment", seen, {each: each.environment for each in seen}, "in")


def _time_of_day(seen: Sequence[Seen], failures: Sequence[Seen]) -> Cause | None:
    """Look at every part of the day, for failures come at midnight too."""
    known = [each for each in seen if each.hour is not None]
    failed = sum(each.failed for each in known)
    passed = len(known) - failed
    chances = []
    for start in range(24):
        part = [each for each in known if ((each.hour or 0) - start) % 24 < _HOURS]
        bad = sum(each.failed for each in part)
        good = len(part) - bad
        chances.append((_fisher(bad, good, failed - bad, passed - good) * 24, start, bad, good))
    chance, start, bad, good = min(chances)
    if chance > LEVEL:
        return None
    part_of_day = f"{start:02}-{(start + _HOURS) % 24:02} UTC"
    return Cause(
        "time of day", f"{bad} of {failed} failures and {good} of {passed} passes at {part_of_day}"
    )


def _load(seen: Sequence[Seen], failures: Sequence[Seen]) -> Cause | None:
    passes = sorted(each.seconds for each in seen if not each.failed and each.seconds is not None)
    if not passes or passes[len(passes) // 2] < _NOTHING:
        return None
    limit = _SLOW * passes[len(passes) // 2]
    slow = {
        each: "slow" if each.seconds > limit else "usual"
        for each in seen
        if each.seconds is not None
    }
    found = _differs("load or resources", seen, slow, "where it was")
    return found if found is not None and "slow" in found.evidence else None


def _differs(
    name: str, seen: Sequence[Seen], groups: Mapping[Seen, str], word: str
) -> Cause | None:
    """Name a cause where one group fails and the rest does not, beyond chance."""
    counts = Counter((groups[each], each.failed) for each in seen if each in groups)
    names = {group for group, _ in counts}
    failed = sum(count for (_, bad), count in counts.items() if bad)
    passed = sum(count for (_, bad), count in counts.items() if not bad)
    for group in sorted(names, key=lambda each: -counts[each, True]):
        bad, good = counts[group, True], counts[group, False]
        chance = _fisher(bad, good, failed - bad, passed - good) * max(len(names), 1)
        if len(names) > 1 and chance <= LEVEL:
            return Cause(
                name, f"{bad} of {failed} failures and {good} of {passed} passes {word} {group}"
            )
    return None


def _words(seen: Sequence[Seen], failures: Sequence[Seen]) -> Cause | None:
    """Read the type of the error, where every failure has one that says it."""
    kinds = Counter((each.signature or "").partition("@")[0] for each in failures)
    for name, types in (("network", _NETWORK), ("async", _ASYNC)):
        count = sum(kinds[kind] for kind in types)
        if count == len(failures) >= 2:
            worst = max(types, key=lambda kind: kinds[kind])
            return Cause(name, f"{worst} in {kinds[worst]} of {len(failures)} failures")
    return None


def _fisher(a: int, b: int, c: int, d: int) -> float:
    """Return the one-sided p of a table at least as lopsided: Fisher's exact test."""
    row, column, total = a + b, a + c, a + b + c + d
    if not total:
        return 1.0
    whole = comb(total, column)
    most = min(row, column)
    return sum(comb(row, x) * comb(total - row, column - x) for x in range(a, most + 1)) / whole
