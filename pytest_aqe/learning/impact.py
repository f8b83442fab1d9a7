"""Which known tests a change cannot have broken.

A test may be left out when some trusted run in which it passed saw the very same code, files
and environment as are there now: every piece it depended on is unchanged since. Nothing else
is a reason. All that is decided here is decided for known tests; a test that is not known
always runs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatch
from hashlib import blake2b
from typing import Literal, NamedTuple

from pytest_aqe.data import ALWAYS, SKIPPED, Identity

MOST_AFFECTED = 0.5  # of the tests; a change of more tells nothing apart
Kind = Literal["affected", "always", "failed", "doubt", "probe", "unknown"]


class Known(NamedTuple):
    """A test of which some run is known: see `history.affected.Reached`."""

    identity: Identity
    clean: tuple[int, ...]
    piece: tuple[str, str] | None
    doubt: tuple[str, ...]
    globs: tuple[str, ...] | None
    cause: str | None = None  # what changed, where ``piece`` only notices that


class Because(NamedTuple):
    """Why a known test runs. One that ``notices`` a change ran no code that itself changed."""

    kind: Kind
    reason: str
    notices: bool = False


FAILED = Because("failed", "failed when it last ran")
UNKNOWN = Because("unknown", "was not seen to pass yet")


class Decision(NamedTuple):
    """The known tests that run, each with its reason, and those that are left out.

    ``changed`` are those whose code differs, or may, from every run in which they passed,
    whatever else they run for.
    """

    runs: Mapping[Identity, Because]
    left_out: frozenset[Identity]
    changed: frozenset[Identity] = frozenset()


def decide(
    tests: Sequence[Known],
    *,
    failed: Collection[Identity],
    differing: Mapping[int, Sequence[str]],
    since_base: Sequence[str],
    probe: float,
    seed: str,
    hidden: Collection[str] = (),
) -> Decision:
    """Decide for every known test.

    ``failed`` are those that failed when they last ran. ``differing`` names, for each run,
    the files that differ from it now; ``since_base`` those that differ from the base, when
    one is asked for. ``probe`` is the share (0 to 1) of what could be left out that runs
    nevertheless, drawn by ``seed`` and only when anything changed at all, so that what
    selection misses can be measured. ``hidden`` are files of ``differing`` that what cannot be
    followed does not see unless it names them.
    """
    seen = {run: [file for file in files if file not in hidden] for run, files in differing.items()}
    runs: dict[Identity, Because] = {}
    left_out: set[Identity] = set()
    differs: set[Identity] = set()
    for test in tests:
        change = _change(test, seen if test.globs is None else differing, since_base)
        if change is not None:
            differs.add(test.identity)
        because = _anyway(test, failed) or change
        if because is not None:
            runs[test.identity] = because
        else:
            left_out.add(test.identity)
    changed = any(why.kind in ("affected", "doubt") for why in runs.values())
    if probe > 0 and (changed or since_base or any(seen.values())):
        for identity in sorted(left_out):
            if _drawn(seed, identity) < probe:
                runs[identity] = Because("probe", "drawn at random, to measure what is missed")
        left_out -= runs.keys()
    return Decision(runs, frozenset(left_out), frozenset(differs))


def told_apart(decision: Decision | None) -> frozenset[Identity]:
    """Return the tests that a change can have broken; none where those are most of the suite."""
    if decision is None:
        return frozenset()
    found = {identity for identity, why in decision.runs.items() if why.kind == "affected"}
    known = len(decision.runs) + len(decision.left_out)
    return frozenset(found if len(found) <= MOST_AFFECTED * known else ())


def _anyway(test: Known, failed: Collection[Identity]) -> Because | None:
    """Return why a test runs whatever changed."""
    if test.identity in failed:
        return FAILED
    if ALWAYS in test.doubt:
        return Because("always", "marked aqe_always")
    return None


def _change(
    test: Known, differing: Mapping[int, Sequence[str]], since_base: Sequence[str]
) -> Because | None:
    """Return what can have broken a test since it passed."""
    if not test.clean:
        what = shown(test.piece, test.cause) if test.piece else "changed"
        return Because("affected", what, test.cause is not None)
    if not set(test.doubt) - {ALWAYS, SKIPPED} and test.globs is None:
        return None
    for run in test.clean:
        reason = _in_doubt(test, [*differing.get(run, ()), *since_base])
        if reason is None:
            return None
    return Because("doubt", reason or "cannot be followed")


def _in_doubt(test: Known, files: Sequence[str]) -> str | None:
    """Return why a test that cannot be followed runs, or None when nothing it may use changed."""
    if test.globs is None and files:
        what = ", ".join(sorted({*test.doubt} - {SKIPPED}))
        named = next((file for file in files if not file.startswith("<")), "what is there")
        return f"uses {what}, which cannot be followed; {named} changed"
    if test.globs is None:
        return None
    for file in files:
        if any(fnmatch(file, glob) for glob in test.globs):
            return f"{file} changed (aqe_depends)"
    return None


def shown(piece: tuple[str, str], cause: str | None = None) -> str:
    """Write a changed piece for people, or what changed and which piece may use that."""
    file, name = piece
    if file.startswith("<"):
        return f"{file.partition('/')[2]} changed"
    whole = f"{file}::{name}" if name not in ("", "<module>") else file
    return f"{whole} changed" if cause is None else f"{cause} changed, which {whole} may use"


def _drawn(seed: str, identity: Identity) -> float:
    """Return a number in [0, 1), the same for the same seed and test in every process."""
    number = blake2b(f"{seed}\0{identity}".encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(number, "big") / 2.0**64


def upper_bound(escaped: int, failures: int, level: float = 0.95) -> float | None:
    """Return the upper limit of the share of failures that selection leaves out.

    One-sided Clopper-Pearson: the share at which so few escapes are seen with probability
    1 - level. None while no failure was judged.
    """
    if not failures:
        return None
    if escaped >= failures:
        return 1.0
    low, high = escaped / failures, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _at_most(escaped, failures, middle) > 1 - level:
            low = middle
        else:
            high = middle
    return high


def _at_most(k: int, n: int, p: float) -> float:
    """Return the probability of at most k successes of n at probability p each."""
    if p >= 1:
        return 0.0
    term = (1 - p) ** n
    total = term
    for i in range(k):
        term *= (n - i) / (i + 1) * p / (1 - p)
        total += term
    return total
