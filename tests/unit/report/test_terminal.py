"""What people read."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_aqe.report.terminal import (
    SUMMARY_LINES,
    Header,
    Summary,
    Verdicts,
    header_line,
    summary_lines,
    table,
    verdict_line,
)

HEADER = Header(
    mode="order",
    asked_mode="order",
    downgrade=None,
    full=None,
    base="3f2a91c0aa",
    base_origin="merge-base with origin/main",
    history=".aqe/history.duckdb",
    runs=214,
    tests=1812,
)


def test_the_header_names_mode_base_and_history() -> None:
    """One line says how the session runs, against what, and from which past."""
    assert header_line(HEADER) == (
        "aqe: mode=order, base=3f2a91c (merge-base with origin/main), "
        "history .aqe/history.duckdb: 214 runs of 1,812 tests"
    )


def test_a_downgrade_says_why() -> None:
    """A mode that was not kept is shown with the one in force and the reason."""
    header = Header("observe", "order", "because", None, None, "", "h", None, None)
    assert header_line(header).startswith("aqe: mode=order -> observe (because)")


def test_nothing_to_say_is_nothing() -> None:
    """A session that recorded nothing and had no trouble has no summary."""
    assert summary_lines(Summary()) == []


@given(st.lists(st.text(min_size=1), max_size=20), st.lists(st.text(min_size=1), max_size=20))
def test_the_summary_is_never_longer_than_six_lines(notes: list[str], faults: list[str]) -> None:
    """However much went wrong, six lines; what is left out is counted."""
    lines = summary_lines(
        Summary(recorded=5, ingested=True, flaked=1, unstable=3, notes=notes, faults=faults)
    )
    assert len(lines) <= SUMMARY_LINES


def test_the_first_failure_is_compared_with_the_collected_order() -> None:
    """How soon the first failure came is measured against other orders."""
    lines = summary_lines(
        Summary(
            recorded=99,
            tests=812,
            ingested=True,
            ordered=True,
            first_failure=3,
            first_failure_collected=120,
            other_orders={"failed-first": 41, "random": 390},
        )
    )
    assert (
        "first failure after 3 of 812 tests "
        "(same failures in collected order: 120, failed-first: 41, random: 390)"
    ) in lines


@pytest.mark.parametrize(
    "failures, escaped, unstable, said",
    [
        (0, 0, 0, "not measured yet: no failure in 3 full runs"),
        (2, 2, 2, "not measured yet: only flaky tests failed in 3 full runs"),
        (3, 2, 2, "caught 1 of 3 failures, 2 of the others flaky (95 %: at most 90.0% escape)"),
    ],
)
def test_a_share_of_nothing_is_not_told(
    failures: int, escaped: int, unstable: int, said: str
) -> None:
    verdicts = Verdicts(3, failures, failures - escaped, escaped, unstable, 0.9)
    assert said in verdict_line(verdicts)


def test_numbers_are_right_and_text_is_left() -> None:
    """Columns line up; unmeasured values are a dash."""
    assert table(
        ("n", "name", "at"), [(1, "a", datetime(2026, 1, 2, 3, 4)), (None, "bb", None)]
    ) == [
        "n  name  at",
        "1  a     2026-01-02 03:04",
        "-  bb    -",
    ]
