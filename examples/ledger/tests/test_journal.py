"""Transactions and the journal."""

from __future__ import annotations

from datetime import date

import pytest

from ledger import Journal, Money, Posting, Transaction
from ledger.errors import Unbalanced, UnknownAccount


def test_a_transaction_must_balance() -> None:
    with pytest.raises(Unbalanced, match=r"off by 0\.01 EUR"):
        Transaction(date(2026, 1, 1), "x", (Posting("10", Money(100)), Posting("20", Money(-99))))


def test_a_transaction_needs_two_postings() -> None:
    with pytest.raises(Unbalanced, match="at least two"):
        Transaction(date(2026, 1, 1), "x", (Posting("10", Money(0)),))


def test_an_unknown_account_keeps_all_of_them_out(journal: Journal) -> None:
    good = Transaction.simple(date(2026, 3, 1), "good", "101", "40", Money(1))
    bad = Transaction.simple(date(2026, 3, 1), "bad", "101", "77", Money(1))
    with pytest.raises(UnknownAccount):
        journal.post(good, bad)
    assert len(journal) == 4


def test_transactions_come_in_the_order_of_their_days(journal: Journal) -> None:
    journal.post(Transaction.simple(date(2025, 12, 31), "late", "101", "40", Money(1)))
    assert next(iter(journal)).text == "late"


def test_a_balance_counts_the_parts(journal: Journal) -> None:
    assert journal.balance("10") == Money.of("846.70")


def test_a_balance_can_be_of_a_period(journal: Journal) -> None:
    assert journal.balance("101", end=date(2026, 1, 31)) == Money.of("1250.50")


def test_a_reversal_undoes_a_transaction(journal: Journal) -> None:
    sale = next(transaction for transaction in journal if transaction.text == "sale")
    journal.post(sale.reversed(date(2026, 3, 1)))
    assert journal.balance("40") == Money.zero()


def test_lines_carry_the_running_balance(journal: Journal) -> None:
    assert [str(running) for _, _, running in journal.lines("101")] == [
        "1,000.00 EUR",
        "1,250.50 EUR",
        "850.50 EUR",
    ]
