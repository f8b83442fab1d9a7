"""Lines for the terminal: the header, the summary, the plan, and plain tables.

We speak inside pytest's own stream, in its manner, and say nothing when there is nothing
to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

SUMMARY_LINES = 6
SHORT_COMMIT = 7


class Header(NamedTuple):
    """What a session knows when it starts."""

    mode: str
    asked_mode: str
    downgrade: str | None
    full: str | None
    base: str | None
    base_origin: str
    history: str
    runs: int | None
    tests: int | None


class Verdicts(NamedTuple):
    """How selection would have done in the full runs so far, and the limit of what it misses.

    ``at_most`` is the upper end (95 %) of the share of failures that selection leaves out.
    """

    runs: int
    failures: int
    caught: int
    escaped: int
    unstable: int
    at_most: float | None


@dataclass(slots=True)
class Summary:
    """What a session knows when it ends."""

    recorded: int = 0
    run_id: str | None = None
    ingested: bool = False
    ordered: bool = False
    tests: int = 0
    first_failure: int | None = None
    first_failure_collected: int | None = None
    other_orders: dict[str, int] = field(default_factory=dict)
    flaked: int = 0
    unstable: int = 0
    renamed: int = 0
    downgrade: str | None = None
    full: str | None = None
    kinds: dict[str, int] = field(default_factory=dict)
    replayed: tuple[int, int] | None = None
    missing: int = 0
    unended: int = 0
    ended_early: bool = False
    verdicts: Verdicts | None = None
    notes: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def header_line(header: Header) -> str:
    """Return the session's one header line: mode, base, history."""
    mode = header.mode
    if header.downgrade:
        mode = f"{header.asked_mode} -> {header.mode} ({header.downgrade})"
    elif header.full:
        mode = f"{header.mode}, full run ({header.full})"
    parts = [f"mode={mode}"]
    if header.base is not None:
        parts.append(f"base={header.base[:SHORT_COMMIT]} ({header.base_origin})")
    if header.runs is None:
        parts.append(f"history {header.history}")
    elif header.runs == 0:
        parts.append(f"no history yet ({header.history}); tests run in collected order")
    else:
        parts.append(
            f"history {header.history}: {counted(header.runs, 'run')} "
            f"of {counted(header.tests or 0, 'test')}"
        )
    return f"aqe: {', '.join(parts)}"


def summary_lines(summary: Summary) -> list[str]:
    """Return at most six lines; the last one counts what had to be left out."""
    reason = summary.downgrade
    faults, notes = (
        [
            f"{line}; order was not applied" if reason and line.startswith(reason) else line
            for line in said
        ]
        for said in (summary.faults, summary.notes)
    )
    lines = faults
    if reason and (faults, notes) == (summary.faults, summary.notes):
        lines = [*faults, f"order was not applied: {reason}"]
    lines += selection_lines(summary)
    if summary.recorded:
        line = f"recorded {counted(summary.recorded, 'result')}"
        if summary.flaked:
            line += f", {summary.flaked} failed first and passed on a later attempt"
        if not summary.ingested:
            line += "; kept in the run file, the history takes it up next time"
        lines.append(line)
    if summary.ordered and summary.first_failure is not None:
        lines.append(first_failure_line(summary))
    if summary.renamed:
        lines.append(f"{counted(summary.renamed, 'renamed test')} kept their history")
    if summary.unstable:
        lines.append(
            f"{counted(summary.unstable, 'parametrized id')} hold a memory address and change "
            "every run; their history is kept without it (give ids= to tell them apart)"
        )
    lines += notes
    if len(lines) > SUMMARY_LINES:
        left_out = len(lines) - SUMMARY_LINES + 1
        lines = [*lines[: SUMMARY_LINES - 1], f"... and {left_out} more lines (pytest-aqe doctor)"]
    return lines


def first_failure_line(summary: Summary) -> str:
    """Say how soon the first failure was told, and how soon other orders would have told it.

    Those are known for a complete run in one process alone.
    """
    line = f"first failure after {summary.first_failure:,} of {counted(summary.tests, 'test')}"
    if summary.first_failure_collected is None or summary.ended_early:
        return line  # what did not run may have failed earlier
    others = {"collected order": summary.first_failure_collected, **summary.other_orders}
    ranks = ", ".join(f"{name}: {rank:,}" for name, rank in others.items())
    return f"{line} (same failures in {ranks})"


def selection_lines(summary: Summary) -> list[str]:
    """Return what was left out and why the rest ran; how far that can be believed."""
    kinds = summary.kinds
    left_out, over = kinds.get("left out", 0), kinds.get("cut", 0)
    lines = []
    if summary.full:
        lines.append(f"full run: {summary.full}")
    elif kinds and set(kinds) - {"", "cut"}:
        total = sum(count for kind, count in kinds.items() if kind != "cut")
        why = ", ".join(
            f"{kinds[kind]} {words}" for kind, words in KINDS.items() if kinds.get(kind)
        )
        lines.append(
            f"selected {total - left_out:,} of {counted(total, 'test')}"
            + (f": {why}" if why else "")
            + f"; {left_out:,} not run, nothing they use has changed since they last passed"
            " or were skipped"
        )
    if summary.replayed is not None:
        lines.append(replay_line(*summary.replayed))
    if over:
        lines.append(f"{counted(over, 'test')} not run: beyond --aqe-budget")
    if lines and summary.unended:
        unended = counted(summary.unended, "test" if summary.full else "selected test")
        why = ": the session ended early" if summary.ended_early else ""
        lines.append(f"{unended} did not run to the end{why}")
    if summary.missing:
        there = "is" if summary.missing == 1 else "are"
        lines.append(f"{counted(summary.missing, 'test')} of the replayed plan {there} not here")
    if summary.verdicts is not None and (left_out or summary.verdicts.escaped):
        lines.append(verdict_line(summary.verdicts))
    return lines


def replay_line(planned: int, others: int) -> str:
    """Say how much of what is here a replayed plan ran."""
    line = f"replayed {planned:,} of {counted(planned + others, 'test')}"
    return f"{line}; {others:,} not run, they are not in the plan" if others else line


KINDS = {
    "affected": "affected",
    "new": "new",
    "unknown": "not seen to pass yet",
    "failed": "failed last",
    "doubt": "in doubt",
    "always": "always run",
    "probe": "probed",
}


def verdict_line(verdicts: Verdicts) -> str:
    """Say how selection would have done so far; unmeasured is said to be."""
    if verdicts.failures == verdicts.unstable:
        found = "only flaky tests failed" if verdicts.failures else "no failure"
        return (
            f"what selection misses is not measured yet: {found} in "
            f"{counted(verdicts.runs, 'full run')}"
        )
    line = (
        f"in {counted(verdicts.runs, 'full run')} selection would have caught "
        f"{verdicts.caught:,} of {counted(verdicts.failures, 'failure')}"
    )
    if verdicts.unstable:
        line += f", {verdicts.unstable:,} of the others flaky"
    if verdicts.at_most is not None:
        line += f" (95 %: at most {verdicts.at_most:.1%} escape)"
    return line


def plan_lines(
    order: Sequence[tuple[str, str]],
    moved: int,
    *,
    reasons: bool,
    policy: str | None,
    left_out: int = 0,
) -> list[str]:
    """Return the plan: how many tests it moves, and with ``reasons`` every place and why."""
    lines = [
        f"{counted(len(order), 'test')} would run, {moved} of them moved"
        + (f" by {policy}" if policy else "")
        + (f"; {left_out:,} would not run" if left_out else ""),
        "nothing was run, nothing was learned",
    ]
    if reasons:
        width = len(str(len(order)))
        lines += [
            f"{number:>{width}}. {node_id}  {reason}"
            for number, (node_id, reason) in enumerate(order, 1)
        ]
    return lines


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Return rows under headings in columns; numbers to the right, the rest to the left."""
    cells = [[cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    right = [
        bool(rows) and all(isinstance(row[index], int | float | None) for row in rows)
        for index in range(len(headings))
    ]

    def line(values: Sequence[str]) -> str:
        return "  ".join(
            value.rjust(width) if to_right else value.ljust(width)
            for value, width, to_right in zip(values, widths, right, strict=True)
        ).rstrip()

    return [line(headings), *map(line, cells)]


def cell(value: object) -> str:
    """Write one value: unmeasured is ``-``, times to the minute, seconds to three digits."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return str(value)


def printable(line: str) -> str:
    """Escape what a terminal would obey: names in the history may come from strangers."""
    if line.isprintable():
        return line
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii")
        for each in line
    )


def counted(number: int, noun: str, several: str = "") -> str:
    """Write ``1 run``, ``2 runs``; ``several`` is a plural that does not end in just an s."""
    return f"{number:,} {noun if number == 1 else several or f'{noun}s'}"


def shown_path(path: Path, start: Path) -> str:
    """Write a path as seen from ``start`` where that is shorter."""
    return path.relative_to(start).as_posix() if path.is_relative_to(start) else str(path)
