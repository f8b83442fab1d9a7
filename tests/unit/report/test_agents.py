"""What is said about language models: before they are asked, and at the end."""

from __future__ import annotations

from pytest_aqe.data import Announcement
from pytest_aqe.report.agents import announcement_lines, dollars, session_lines

TOLD = Announcement(("m/x", "m/y"), ("h",), tuple(f"{n}.py" for n in range(7)), 2, 3000, 500, 0.5)


def test_an_announcement_says_whom_what_and_how_much() -> None:
    """A few files by name, the rest by number; without a price, that too."""
    assert announcement_lines(TOLD) == [
        "asking m/x, m/y at h: 2 prompts, 3,000 bytes, then repairs; at most 500 tokens and $0.50",
        "they quote 0.py, 1.py, 2.py, 3.py, 4.py, 2 more",
    ]
    assert announcement_lines(TOLD._replace(files=("a.py", "b.py"), again=True)) == [
        "prompts now quote a.py, b.py too"
    ]
    assert "the price is unknown" in announcement_lines(TOLD._replace(dollars=None))[0]


def test_a_session_that_asked_nothing_says_nothing() -> None:
    """And one that could not begin says why, once."""
    nothing = {"asked": 0, "cached": 0, "tokens": (0, 0, 0), "cost": None, "errors": {}}
    assert session_lines(**nothing, over=None) == []  # type: ignore[arg-type]
    assert session_lines(
        asked=2, cached=0, tokens=(0, 0, 0), cost=None, errors={"no key": 2}, over="no key"
    ) == ["asked language models 2 questions, 0 tokens sent, 0 received", "stopped: no key"]


def test_what_was_measured_is_told_from_what_is_assumed() -> None:
    """A cost with an assumed part is an upper bound."""
    lines = session_lines(
        asked=3, cached=1, tokens=(1000, 20, 500), cost=0.25, errors={"HTTP 500": 2}, over=None
    )
    assert lines == [
        "asked language models 3 questions (1 answered from earlier replies), 1,000 tokens sent, "
        "20 received, up to 500 more in replies that told no count, at most $0.25",
        "HTTP 500 (2 times)",
    ]


def test_small_amounts_are_seen() -> None:
    """A thousandth of a dollar is not nothing."""
    assert [dollars(amount) for amount in (0, 0.0002, 0.5, 12)] == ["$0.00", "$0.0002", "$0.50",
                                                                     "$12.00"]  # fmt: skip
