"""What people see of flaky tests: a card for each failure that is not what it seems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_aqe.report.terminal import SHORT_COMMIT, counted, printable

LONG_STREAK = 3  # failures in a row from which a test is said to be broken, flaky or not
CARDS = 5  # shown; the command `pytest-aqe flaky` shows all


@dataclass(frozen=True, slots=True)
class Card:
    """One test of this session that failed, and what that is taken for: flaky or broken.

    ``passed_on`` is the number of the attempt that passed, None where none did; ``interval`` is
    that of the flake rate (95 %). ``streak`` counts the latest runs that failed in a row, since
    ``since`` (a commit).
    """

    verdict: str
    node_id: str
    p_broken: float
    attempts: int
    passed_on: int | None
    failures: int
    runs: int
    interval: tuple[float, float]
    signature: str | None
    commit: str | None
    streak: int = 0
    since: str | None = None


def card_lines(cards: Sequence[Card]) -> list[str]:
    """Return two lines for every flaky test, one for every broken one; at most so many cards."""
    lines: list[str] = []
    for card in cards[:CARDS]:
        lines += _flaky(card) if card.verdict == "flaky" else _broken(card)
    if len(cards) > CARDS:
        lines.append(f"... and {len(cards) - CARDS} more (pytest-aqe flaky)")
    return lines


def _flaky(card: Card) -> list[str]:
    how = "failed, as it does by itself"
    if card.passed_on is not None:
        how = f"failed then passed on the same code (attempt {card.passed_on})"
    elif card.attempts > 1:
        how = f"failed on all {card.attempts} attempts; it is known to flake"
    if card.streak >= LONG_STREAK:
        how += f"; failed in the latest {counted(card.streak, 'run')}: a lasting cause?"
    low, high = card.interval
    facts = [
        f"failed in {card.failures} of {counted(card.runs, 'run')}",
        f"flake rate {low:.1%} to {high:.1%}",
        f"P(broken) {card.p_broken:.1%}",
    ]
    if card.signature:
        facts.append(card.signature.partition("#")[0])
    return [f"FLAKY  {card.node_id}  {how}", f"       {'; '.join(facts)}"]


def _broken(card: Card) -> list[str]:
    line = f"BROKEN, not flaky: {card.node_id}  P(broken) {card.p_broken:.1%}"
    if card.streak > 1:
        line += f", failed in the latest {counted(card.streak, 'run')}"
        if card.since:
            line += f" since {card.since[:SHORT_COMMIT]}"
    return [line]


def forgiven_lines(forgiven: Mapping[str, tuple[int, bool, float]]) -> list[str]:
    """Return a line for each known flake whose failure did not count.

    By node id: its attempts, whether one passed, P(broken).
    """
    return [
        printable(
            f"FORGIVEN {node_id}  "
            + (
                f"failed and passed in {attempts} attempts"
                if passed
                else f"failed on all {attempts} attempts, as this known flake does by itself; "
                "its code is unchanged"
            )
            + f", P(broken) {p_broken:.1%}"
        )
        for node_id, (attempts, passed, p_broken) in forgiven.items()
    ]


def quarantine_lines(
    quarantined: Mapping[str, tuple[str, int]],
    red: Mapping[str, str],
    expired: Sequence[str],
    *,
    failed: bool,
) -> list[str]:
    """Return a line for each test that failed in quarantine: its owner and the days left."""
    lines = [
        f"QUARANTINED {node_id}  failed and still runs; owner={owner}, expires {_in_days(days)}"
        for node_id, (owner, days) in quarantined.items()
    ]
    lines += [f"RED AGAIN {node_id}  {why}" for node_id, why in red.items()]
    if expired:
        shown = ", ".join(expired[:CARDS]) + (" ..." if len(expired) > CARDS else "")
        lines.append(
            f"{counted(len(expired), 'quarantine')} expired: {shown} "
            "(pytest-aqe quarantine list, release, add)"
        )
    if failed:
        lines.append("failed by --aqe-fail-on=expired-quarantine")
    return [printable(line) for line in lines]


def _in_days(days: int) -> str:
    return "today" if days == 0 else f"in {counted(days, 'day')}"
