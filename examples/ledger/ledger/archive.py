"""Closing a year and keeping it. No test reaches this module: see README.md."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from ledger.accounts import Kind
from ledger.errors import LedgerError
from ledger.journal import Journal, Posting, Transaction
from ledger.money import total


def close_year(journal: Journal, year: int, equity: str) -> Transaction:
    """Post and return the transaction that carries the year's profit into equity."""
    if journal.chart[equity].kind is not Kind.EQUITY:
        raise LedgerError(f"account {equity} is not equity")
    first, last = date(year, 1, 1), date(year, 12, 31)
    postings = [
        Posting(account.code, -balance)
        for account in journal.chart.of_kind(Kind.INCOME, Kind.EXPENSE)
        if (balance := journal.balance(account.code, first, last))
    ]
    if not postings:
        raise LedgerError(f"nothing to close in {year}")
    profit = total((posting.amount for posting in postings), journal.currency)
    closing = Transaction(last, f"closing {year}", (*postings, Posting(equity, -profit)))
    journal.post(closing)
    return closing


def save(journal: Journal, path: Path) -> None:
    """Write the journal as JSON, amounts in minor units."""
    rows = [
        {
            "day": transaction.day.isoformat(),
            "text": transaction.text,
            "postings": [[p.account, p.amount.minor] for p in transaction.postings],
        }
        for transaction in journal
    ]
    path.write_text(
        json.dumps({"currency": journal.currency, "rows": rows}, indent=1), encoding="utf-8"
    )
