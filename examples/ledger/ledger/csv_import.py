"""Bank statements as CSV (``date,text,amount``), turned into transactions.

A file is taken whole or not at all: the first bad row stops the import and names its line.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from ledger.errors import BadRow, LedgerError
from ledger.journal import Journal, Posting, Transaction
from ledger.money import Money

COLUMNS = ("date", "text", "amount")


@dataclass(frozen=True, slots=True)
class Rule:
    """Texts in which ``pattern`` is found belong to ``account``."""

    pattern: str
    account: str


def read(
    rows: Iterable[str], bank: str, rules: Sequence[Rule], otherwise: str, currency: str = "EUR"
) -> list[Transaction]:
    """Return one transaction a row; ``otherwise`` is the account where no rule matches."""
    reader = csv.DictReader(rows)
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise BadRow(1, f"no column {', '.join(missing)}")
    transactions = []
    for row in reader:
        try:
            day = date.fromisoformat(row["date"].strip())
            amount = Money.of(row["amount"].strip(), currency)
        except (AttributeError, ValueError, LedgerError) as error:
            raise BadRow(reader.line_num, str(error)) from None
        text = " ".join(row["text"].split())
        other = _account(text, rules) or otherwise
        transactions.append(
            Transaction(day, text, (Posting(bank, amount), Posting(other, -amount)))
        )
    return transactions


def merge(journal: Journal, transactions: Iterable[Transaction]) -> int:
    """Post what the journal does not hold yet; return how many that were."""
    known = set(journal)
    fresh = [transaction for transaction in transactions if transaction not in known]
    journal.post(*fresh)
    return len(fresh)


def _account(text: str, rules: Sequence[Rule]) -> str | None:
    for rule in rules:
        if re.search(rule.pattern, text, re.IGNORECASE):
            return rule.account
    return None
