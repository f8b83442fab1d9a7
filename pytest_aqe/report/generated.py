"""Generated tests, for the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

from pytest_aqe.data import Gap, Target, Trial
from pytest_aqe.report.terminal import counted, printable

_REASONS = 3  # of refusal, in a session's summary
_BUGS = 5
_NAMED = 3  # modules of one reason


class Proposed(Protocol):
    """A file of accepted tests."""

    @property
    def tests(self) -> tuple[str, ...]: ...
    @property
    def lines(self) -> int: ...
    @property
    def branches(self) -> int: ...
    @property
    def file(self) -> str: ...


def target_line(target: Target, gaps: Sequence[Gap], trials: Sequence[Trial], author: str) -> str:
    """Say what came of one file, while the session goes on."""
    closed = {trial.candidate.gap.id for trial in trials if trial.accepted}
    return printable(
        f"aqe: {target.module}: tests for {len(closed)} of {counted(len(gaps), 'gap')} "
        f"by {author}, "
        f"{gain(trials)} more"
    )


def gain(trials: Sequence[Trial]) -> str:
    """Say what accepted trials add to coverage."""
    lines, branches = gained(trials)
    return f"{counted(lines, 'line')} and {counted(branches, 'branch', 'branches')}"


def gained(trials: Sequence[Trial]) -> tuple[int, int]:
    """Return the lines and branches that accepted trials add, each once."""
    accepted = [trial for trial in trials if trial.accepted]
    lines = {(t.candidate.gap.file, line) for t in accepted for line in t.lines or ()}
    branches = {(t.candidate.gap.file, arc) for t in accepted for arc in t.branches or ()}
    return len(lines), len(branches)


def session_lines(
    trials: Sequence[Trial],
    written: Sequence[tuple[Proposed, str]],
    notes: Sequence[str],
    *,
    applied: bool,
) -> list[str]:
    """Return what a session says of the tests it wrote."""
    lines: list[str] = []
    if trials:
        tests = sum(len(proposal.tests) for proposal, _ in written)
        refused = [trial for trial in trials if trial.verdict.outcome == "rejected"]
        lines.append(
            f"{counted(tests, 'test')} accepted: {gain(trials)} "
            f"that nothing else ran; {counted(len(refused), 'candidate')} refused"
            + _stages(refused)
        )
        layers = sorted({trial.layer for trial in trials if trial.layer})
        if layers:
            lines.append(f"tried in a sandbox: {', '.join(layers)}")
    for proposal, path in written:
        lines.append(
            printable(f"{path}: {counted(len(proposal.tests), 'test')} of {proposal.file}")
        )
    if written and not applied:
        lines.append("`pytest-aqe proposals apply NAME` moves a file into the test tree")
    bugs = [trial for trial in trials if trial.verdict.outcome == "bug"]
    for trial in bugs[:_BUGS]:
        lines.append(
            printable(f"bug found in {trial.candidate.gap.id}: {trial.candidate.bug} "
                      f"({trial.verdict.reason})")
        )  # fmt: skip
        lines += [f"    {printable(line)}" for line in trial.candidate.text.splitlines()]
    return [*lines, *map(printable, notes)]


def unreachable(failure: str, place: str, path: str) -> str:
    """Say why a new test file cannot import a module, and what would let it."""
    said = f"a new test file in {place} cannot import it by itself ({failure})"
    if not failure.startswith("ModuleNotFoundError"):
        return said
    return f"{said}; `pythonpath = {path}` in pytest's configuration lets it"


def unreachable_lines(reasons: Mapping[str, str]) -> list[str]:
    """Return a line for each reason why nothing is written for modules."""
    modules: dict[str, list[str]] = {}
    for module, reason in reasons.items():
        modules.setdefault(reason, []).append(module)
    return [
        f"no tests for {', '.join(names[:_NAMED])}"
        f"{f' and {len(names) - _NAMED} more' if len(names) > _NAMED else ''}: {reason}"
        for reason, names in modules.items()
    ]


def taken_back_lines(reasons: Mapping[str, str]) -> list[str]:
    """Say which accepted tests were refused after all, and why."""
    if not reasons:
        return []
    named = [f"{test}: {reason}" for test, reason in [*reasons.items()][:_NAMED]]
    more = len(reasons) - len(named)
    return [
        f"{counted(len(reasons), 'accepted test')} taken back, not getting on with the others"
        f"{f' (the first {_NAMED} are named)' if more else ''}",
        *(f"    {each}" for each in named),
    ]


def _stages(refused: Sequence[Trial]) -> str:
    if not refused:
        return ""
    counts = Counter(str(trial.verdict.stage) for trial in refused).most_common(_REASONS)
    return f" ({', '.join(f'{stage} {count}' for stage, count in counts)})"
