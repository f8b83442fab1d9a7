"""What language models are asked, and what that costs, for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from pytest_aqe.data import Announcement
from pytest_aqe.report.terminal import counted, printable, table

_FILES = 5  # named in the announcement; the rest is counted


class Used(Protocol):
    """What a model was asked in one role, in all sessions. None is unmeasured."""

    @property
    def model(self) -> str: ...
    @property
    def role(self) -> str: ...
    @property
    def calls(self) -> int: ...
    @property
    def cached(self) -> int: ...
    @property
    def failed(self) -> int: ...
    @property
    def tokens_in(self) -> int | None: ...
    @property
    def tokens_out(self) -> int | None: ...
    @property
    def cost(self) -> float | None: ...


def announcement_lines(told: Announcement) -> list[str]:
    """Say what leaves the machine, to whom, and at most at what cost."""
    files = list(told.files[:_FILES])
    if len(told.files) > _FILES:
        files.append(f"{len(told.files) - _FILES} more")
    if told.again:
        return [printable(f"prompts now quote {', '.join(files)} too")]
    cap = f"at most {told.tokens:,} tokens"
    cap += f" and {dollars(told.dollars)}" if told.dollars is not None else "; the price is unknown"
    lines = [
        f"asking {', '.join(told.models)} at {', '.join(told.hosts)}: "
        f"{counted(told.prompts, 'prompt')}, {told.bytes:,} bytes, then repairs; {cap}",
        f"they quote {', '.join(files)}",
    ]
    return [printable(line) for line in lines]


def session_lines(
    *,
    asked: int,
    cached: int,
    tokens: tuple[int, int, int],
    cost: float | None,
    errors: Mapping[str, int],
    over: str | None,
) -> list[str]:
    """Say what a session asked and spent, and why questions stayed open.

    ``tokens`` are sent, received, and those assumed for replies that told no count.
    """
    if not asked and over is None:
        return []
    sent, received, assumed = tokens
    line = f"asked language models {counted(asked, 'question')}"
    if cached:
        line += f" ({cached} answered from earlier replies)"
    line += f", {sent:,} tokens sent, {received:,} received"
    if assumed:
        line += f", up to {assumed:,} more in replies that told no count"
    if cost is not None:
        line += f", {dollars(cost)}" if not assumed else f", at most {dollars(cost)}"
    lines = [line]
    if over is not None:
        lines.append(f"stopped: {over}")
    for error, count in errors.items():
        if error != over:
            lines.append(error if count == 1 else f"{error} ({count} times)")
    return [printable(line) for line in lines]


def use_table(used: Sequence[Used]) -> list[str]:
    """Return what was asked in all sessions as a table."""
    headings = ("model", "role", "asked", "cached", "failed", "sent", "received", "dollars")
    return table(
        headings,
        [
            (
                each.model,
                each.role,
                each.calls,
                each.cached,
                each.failed,
                each.tokens_in,
                each.tokens_out,
                each.cost,
            )
            for each in used
        ],
    )


def dollars(amount: float) -> str:
    """Return an amount, small ones with what can be seen of them."""
    return f"${amount:.2f}" if amount >= 0.1 or amount == 0 else f"${amount:.4f}"
