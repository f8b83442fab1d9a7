"""A small company's books, fresh for every test."""

from __future__ import annotations

from datetime import date

import pytest

from ledger import Account, Chart, Journal, Kind, Money, Transaction


@pytest.fixture
def chart() -> Chart:
    return Chart(
        Account("10", "Cash and banks", Kind.ASSET),
        Account("101", "Bank", Kind.ASSET),
        Account("102", "Cash", Kind.ASSET),
        Account("20", "Payables", Kind.LIABILITY),
        Account("30", "Capital", Kind.EQUITY),
        Account("40", "Sales", Kind.INCOME),
        Account("50", "Rent", Kind.EXPENSE),
        Account("51", "Coffee", Kind.EXPENSE),
        Account("99", "Suspense", Kind.ASSET),
    )


@pytest.fixture
def journal(chart: Chart) -> Journal:
    """Return a journal with capital paid in, one sale, one rent and one coffee."""
    journal = Journal(chart)
    journal.post(
        Transaction.simple(date(2026, 1, 1), "capital", "101", "30", Money.of(1000)),
        Transaction.simple(date(2026, 1, 15), "sale", "101", "40", Money.of("250.50")),
        Transaction.simple(date(2026, 2, 1), "rent", "50", "101", Money.of(400)),
        Transaction.simple(date(2026, 2, 2), "coffee", "51", "102", Money.of("3.80")),
    )
    return journal
