"""Coverage and gaps, for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pytest_aqe.data import Gap
from pytest_aqe.report.terminal import counted, printable, table

SHOWN = 10  # gaps in a session's summary; `pytest-aqe gaps` has them all
_PLACES = 3  # changed lines named where a session fails for them


class Counts(Protocol):
    """What was covered of a file; None is unmeasured."""

    @property
    def statements(self) -> int: ...
    @property
    def ran(self) -> int: ...
    @property
    def branches(self) -> int | None: ...
    @property
    def taken(self) -> int | None: ...
    @property
    def changed(self) -> int | None: ...
    @property
    def changed_ran(self) -> int | None: ...


def session_lines(
    covered: Sequence[Counts],
    gaps: Sequence[Gap],
    notes: Sequence[str],
    *,
    whole: bool,
    fails: bool,
) -> list[str]:
    """Return what a session says: totals, the first gaps, and what could not be measured."""
    lines = [total_line(covered)] if covered else []
    if covered and not whole:
        lines.append("by the tests that ran; what the whole suite misses is not known from this")
    lines += gap_table(gaps[:SHOWN])
    if len(gaps) > SHOWN:
        lines.append(
            f"... and {counted(len(gaps) - SHOWN, 'more gap')}"
            + (" (pytest-aqe gaps)" if whole else "")
        )
    if fails:
        lines += _judgement(covered, gaps)
    return [*lines, *notes]


def total_line(covered: Sequence[Counts]) -> str:
    """Say how much is covered: statements, branches, and of the change."""
    line = _share(
        sum(each.ran for each in covered), sum(each.statements for each in covered), "statement"
    )
    branches = [each.branches for each in covered if each.branches is not None]
    if branches:
        taken = sum(each.taken or 0 for each in covered)
        line += ", " + _share(taken, sum(branches), "branch", "branches")
    else:
        line += ", branches not measured"
    if all(each.changed is not None for each in covered):
        changed = sum(each.changed or 0 for each in covered)
        if changed:
            ran = sum(each.changed_ran or 0 for each in covered)
            line += "; of the change " + _share(ran, changed, "statement")
    return f"covered {line}"


def _share(part: int, whole: int, noun: str, nouns: str | None = None) -> str:
    many = nouns or f"{noun}s"
    share = f" ({part / whole:.1%})" if whole else ""
    return f"{part:,} of {whole:,} {noun if whole == 1 else many}{share}"


def gap_table(gaps: Sequence[Gap]) -> list[str]:
    """Return gaps as a table, most urgent first."""
    if not gaps:
        return []
    rows = [
        (
            gap.risk,
            printable(f"{gap.file}:{gap.line}"),
            printable(gap.name or "(module)"),
            len(gap.lines),
            None if gap.branches is None else len(gap.branches),
            why(gap),
        )
        for gap in gaps
    ]
    return table(("risk", "place", "function", "lines", "branches", "why"), rows)


def why(gap: Gap) -> str:
    """Say what makes a gap matter, in a few words."""
    parts = []
    if gap.changed:
        parts.append(f"changed ({counted(len(gap.changed), 'line')})")
    if gap.flaky_only:
        parts.append("only flaky tests reach it")
    elif gap.failures is not None and not gap.tests:
        parts.append("no test reaches it")
    if gap.failures:
        parts.append(f"{gap.failures:.1f} recent failures")
    if gap.complexity > 1:
        parts.append(f"complexity {gap.complexity}")
    if gap.callers:
        parts.append(counted(gap.callers, "caller"))
    if gap.churn:
        parts.append(counted(gap.churn, "commit"))
    return ", ".join(parts)


def _judgement(covered: Sequence[Counts], gaps: Sequence[Gap]) -> list[str]:
    """Say whether --aqe-fail-on=gap failed the session, or why it could not judge."""
    if not covered or any(each.changed is None for each in covered):
        return ["--aqe-fail-on=gap cannot judge: what changed, or what ran, is unknown"]
    return [red_line(gaps)] if any(gap.changed for gap in gaps) else []


def red_line(gaps: Sequence[Gap]) -> str:
    """Say which changed lines fail the session."""
    places = [f"{gap.file}:{line}" for gap in gaps for line in gap.changed or ()]
    more = f" and {len(places) - _PLACES} more" if len(places) > _PLACES else ""
    return (
        f"failed by --aqe-fail-on=gap: {counted(len(places), 'changed line')} not covered "
        f"({printable(', '.join(places[:_PLACES]))}{more})"
    )
